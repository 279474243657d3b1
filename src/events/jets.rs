//! Columns that are made of the jets of an event, which a file has in lists.

use super::candidates::{FourVector, Jet, PAIR, Pair, chosen, sort, trig_bucket, x_wt};
use arrow::buffer::NullBuffer;
use sideband_numerics::expression::{Column, Lane, Problem};
use std::ops::Range;
use std::sync::Arc;

/// Which lists of an event are its jets, each as a text over columns, and how many of them
/// are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jets {
    /// pT in GeV.
    pub pt: String,
    /// Pseudorapidity.
    pub eta: String,
    /// Azimuth.
    pub phi: String,
    /// Mass in GeV.
    pub mass: String,
    /// Whether a jet is tagged.
    pub tagged: String,
    /// Whether it is a jet of the event; all are if absent.
    pub selected: Option<String>,
    /// The most jets, by falling pT, that are anything but counted.
    pub most: usize,
}

impl Jets {
    /// Names of the columns that are made of them.
    pub(crate) fn columns() -> impl Iterator<Item = &'static str> {
        GROUPS.iter().flat_map(|(_, names)| names.iter().copied())
    }

    /// Keys and texts of the lists: four of numbers, then those of truths.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("pt", &self.pt),
            ("eta", &self.eta),
            ("phi", &self.phi),
            ("mass", &self.mass),
            ("tagged", &self.tagged),
        ]
        .into_iter()
        .chain(self.selected.iter().map(|text| ("selected", text)))
        .map(|(key, text)| (key, text.as_str()))
    }
}

/// The lists of [`Jets::texts`] that are of numbers.
pub(super) const NUMBERS: usize = 4;
pub(super) const TAGGED: usize = NUMBERS;
pub(super) const SELECTED: usize = TAGGED + 1;

/// Columns that are computed together, and the event without a value of one has none of
/// the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// Of all selected jets.
    Counts,
    /// Of four candidate jets.
    Pair,
    /// Of candidate jets and the others.
    Top,
}

const COUNTS: [&str; 2] = ["n_jets", "trig_bucket"];
const TOP: [&str; 1] = ["x_wt"];
const GROUPS: &[(Group, &[&str])] = &[
    (Group::Counts, &COUNTS),
    (Group::Pair, &PAIR),
    (Group::Top, &TOP),
];

/// The place of a column among all that are made of jets, and its name.
pub(super) fn place_of(name: &str) -> Option<(usize, &'static str)> {
    Jets::columns()
        .enumerate()
        .find(|(_, known)| *known == name)
}

/// The columns that are computed with the one at a place.
fn group_of(place: usize) -> (Group, Range<usize>) {
    let mut first = 0;
    for &(group, names) in GROUPS {
        let places = first..first + names.len();
        if places.contains(&place) {
            return (group, places);
        }
        first = places.end;
    }
    (Group::Counts, 0..COUNTS.len())
}

/// Why columns cannot be made of some lists, each by its place among the texts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Misfit {
    /// Two lists of an event that have not as many elements.
    Lengths {
        row: usize,
        lists: [usize; 2],
        lengths: [usize; 2],
    },
    /// A list with an integer that no `f64` is.
    Inexact { list: usize },
    /// No list.
    NotList { list: usize },
}

/// A list of every event.
struct Field {
    lengths: Vec<Option<usize>>,
    /// Of all events one behind the other, NaN where null.
    values: Arc<Vec<f64>>,
    /// Where that of the next event begins.
    next: usize,
}

impl Field {
    fn new(list: usize, column: &Column) -> Result<Self, Misfit> {
        let Column::Lists(lists) = column else {
            return Err(Misfit::NotList { list });
        };
        let lengths: Vec<Option<usize>> = lists.lengths().collect();
        let count = lengths.iter().flatten().sum();
        let values = column.numbers().clone().into_rows(count);
        Ok(Self {
            lengths,
            values: values.map_err(|_: Problem| Misfit::Inexact { list })?,
            next: 0,
        })
    }
}

/// The jets of one event after the other.
struct Events {
    fields: Vec<Field>,
    row: usize,
}

impl Events {
    fn new(lists: &[Column]) -> Result<Self, Misfit> {
        let fields = lists.iter().enumerate();
        let fields = fields.map(|(list, column)| Field::new(list, column));
        Ok(Self {
            fields: fields.collect::<Result<_, _>>()?,
            row: 0,
        })
    }

    /// Puts the selected jets of the next event in the place of others, by falling pT, and
    /// says whether they are known: lists and what is looked at are not null, and the numbers
    /// are those of jets.
    fn next(&mut self, jets: &mut Vec<Jet>) -> Result<bool, Misfit> {
        jets.clear();
        let row = self.row;
        self.row += 1;
        let mut known = true;
        let mut first: Option<(usize, usize)> = None;
        for (list, field) in self.fields.iter().enumerate() {
            match (field.lengths[row], first) {
                (None, _) => known = false,
                (Some(length), Some((other, expected))) if length != expected => {
                    return Err(Misfit::Lengths {
                        row,
                        lists: [other, list],
                        lengths: [expected, length],
                    });
                }
                (Some(length), _) => first = first.or(Some((list, length))),
            }
        }
        let count = first.filter(|_| known).map_or(0, |(_, count)| count);
        for k in 0..count {
            let value = |list: usize| {
                let field = self.fields.get(list)?;
                Some(field.values[field.next + k])
            };
            let truth = |list: usize| value(list).map(|x| (!x.is_nan(), x != 0.0));
            let (is_selected_known, is_selected) = truth(SELECTED).unwrap_or((true, true));
            known &= is_selected_known;
            if !is_selected {
                continue;
            }
            let (is_tag_known, is_tagged) = truth(TAGGED).unwrap_or((false, false));
            let [pt, eta, phi, mass] = [0, 1, 2, 3].map(|list| value(list).unwrap_or(f64::NAN));
            let jet = Jet {
                pt,
                eta,
                phi,
                mass,
                is_tagged,
            };
            known &= is_tag_known && jet.is_physical();
            jets.push(jet);
        }
        for field in &mut self.fields {
            field.next += field.lengths[row].unwrap_or(0);
        }
        sort(jets);
        Ok(known)
    }
}

/// The columns that are computed with the one at a place, and their places: of so many
/// events with these lists, in the order of [`Jets::texts`]. An event without known jets has
/// none of them, one with fewer than four none that is made of candidates.
pub(super) fn columns(
    place: usize,
    lists: &[Column],
    events: usize,
    most: usize,
) -> Result<(Range<usize>, Vec<Column>), Misfit> {
    let (group, places) = group_of(place);
    let mut all = Events::new(lists)?;
    let mut made: Vec<Vec<f64>> = places.clone().map(|_| Vec::with_capacity(events)).collect();
    let mut has_value = Vec::with_capacity(events);
    let (mut jets, mut vectors) = (Vec::new(), Vec::new());
    for _ in 0..events {
        let is_known = all.next(&mut jets)?;
        let looked_at = &jets[..jets.len().min(most)];
        let four = chosen(looked_at).filter(|_| is_known);
        let counts: [f64; COUNTS.len()];
        let pair: [f64; PAIR.len()];
        let top: [f64; TOP.len()];
        let values: Option<&[f64]> = match (group, four) {
            (Group::Counts, _) => {
                counts = [jets.len() as f64, trig_bucket(&jets)];
                is_known.then_some(&counts[..])
            }
            (_, None) => None,
            (Group::Pair, Some(four)) => {
                pair = Pair::min_dr(four.map(|place| looked_at[place])).values();
                Some(&pair[..])
            }
            (Group::Top, Some(four)) => {
                vectors.clear();
                vectors.extend(looked_at.iter().map(FourVector::of));
                top = [x_wt(&vectors, &four)];
                Some(&top[..])
            }
        };
        has_value.push(values.is_some());
        for (k, column) in made.iter_mut().enumerate() {
            column.push(values.map_or(f64::NAN, |values| values[k]));
        }
    }
    let nulls = NullBuffer::from(has_value);
    let column = |values: Vec<f64>| {
        let nulls = Some(nulls.clone());
        let largest = values.iter().copied().fold(0.0, f64::max);
        Column::Numbers(match group {
            Group::Counts => Lane::whole(values, largest, nulls),
            Group::Pair | Group::Top => Lane::real(values, nulls),
        })
    };
    Ok((places, made.into_iter().map(column).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_numerics::expression::Lists;

    /// Lists of events, null where there are none and where an element is.
    fn list(events: &[Option<&[Option<f64>]>]) -> Column {
        let mut bounds = vec![0];
        let mut elements = Vec::new();
        for event in events {
            elements.extend(event.iter().copied().flatten());
            bounds.push(elements.len());
        }
        let nulls: Vec<bool> = events.iter().map(Option::is_some).collect();
        let known: Vec<bool> = elements.iter().map(Option::is_some).collect();
        let values = elements.iter().map(|x| x.unwrap_or(f64::NAN)).collect();
        let elements = Column::Numbers(Lane::real(values, Some(known.into())));
        let lists = Lists::new(bounds, Some(nulls.into()), elements, false);
        Column::Lists(lists.unwrap())
    }

    /// A list for each event, the values of whose jets depend on their place.
    fn each(lengths: &[usize], value: impl Fn(usize, usize) -> f64) -> Column {
        let events: Vec<Vec<Option<f64>>> = lengths
            .iter()
            .enumerate()
            .map(|(event, &length)| (0..length).map(|k| Some(value(event, k))).collect())
            .collect();
        let events: Vec<Option<&[Option<f64>]>> = events.iter().map(|e| Some(&e[..])).collect();
        list(&events)
    }

    /// Jets of falling pT in turns in two directions; every second is tagged.
    fn jets(lengths: &[usize]) -> Vec<Column> {
        vec![
            each(lengths, |event, k| 100.0 + event as f64 - 5.0 * k as f64),
            each(lengths, |_, k| 0.1 * k as f64),
            each(lengths, |_, k| 3.0 * (k % 2) as f64),
            each(lengths, |_, _| 5.0),
            each(lengths, |_, k| (k % 2) as f64),
        ]
    }

    fn made(name: &str, lists: &[Column], events: usize) -> Result<Vec<f64>, Misfit> {
        let (place, _) = place_of(name).unwrap();
        let (places, columns) = columns(place, lists, events, 8)?;
        let column = columns[place - places.start].clone();
        let values = column.into_numbers().unwrap().into_rows(events);
        Ok(values.unwrap().to_vec())
    }

    #[test]
    fn every_name_has_a_place() {
        let names: Vec<&str> = Jets::columns().collect();
        assert_eq!(names.len(), COUNTS.len() + PAIR.len() + TOP.len());
        for (place, name) in names.iter().enumerate() {
            assert_eq!(place_of(name), Some((place, *name)));
            assert!(group_of(place).1.contains(&place));
        }
        assert_eq!(place_of("jet_pt"), None);
    }

    #[test]
    fn fewer_than_four_jets_are_counted_and_no_candidates() {
        let lists = jets(&[4, 3, 0, 5]);
        assert_eq!(made("n_jets", &lists, 4).unwrap(), [4.0, 3.0, 0.0, 5.0]);
        for name in ["log_pt4", "x_wt", "m_h1"] {
            let values = made(name, &lists, 4).unwrap();
            let known: Vec<bool> = values.iter().map(|x| x.is_finite()).collect();
            assert_eq!(known, [true, false, false, true], "{name}");
        }
        // jets 1 and 3 are tagged, 0 and 2 fill up
        let last = made("log_pt4", &lists, 4).unwrap();
        assert_eq!([last[0], last[3]], [85_f64.ln(), 88_f64.ln()]);
    }

    #[test]
    fn jets_that_are_not_selected_are_none() {
        let mut lists = jets(&[5, 5]);
        // of no pT; and the first one
        lists[0] = each(
            &[5, 5],
            |_, k| if k == 4 { -1.0 } else { 100.0 - 5.0 * k as f64 },
        );
        lists.push(each(&[5, 5], |event, k| {
            f64::from(u8::from(k != 4 && (event, k) != (1, 0)))
        }));
        assert_eq!(made("n_jets", &lists, 2).unwrap(), [4.0, 3.0]);
        let last = made("log_pt4", &lists, 2).unwrap();
        assert_eq!(last[0], 85_f64.ln());
        assert!(last[1].is_nan());
    }

    #[test]
    fn order_is_by_momentum_wherever_jets_stand() {
        let lengths = [6, 6];
        let lists = jets(&lengths);
        let turned = |column: &Column| {
            let values = column.numbers().clone().into_rows(12).unwrap();
            each(&lengths, |event, k| values[6 * event + 5 - k])
        };
        let reversed: Vec<Column> = lists.iter().map(turned).collect();
        for name in Jets::columns() {
            let (a, b) = (
                made(name, &lists, 2).unwrap(),
                made(name, &reversed, 2).unwrap(),
            );
            assert!(a.iter().all(|x| x.is_finite()), "{name}");
            assert_eq!(a, b, "{name}");
        }
    }

    #[test]
    fn what_is_no_jet_or_not_known_leaves_its_event_without_values() {
        for (field, bad) in [
            (0, Some(f64::NAN)),
            (0, Some(0.0)),
            (1, Some(f64::INFINITY)),
            (2, None),
            (3, Some(-0.1)),
            (4, None),
        ] {
            let mut lists = jets(&[5, 5]);
            let good: Vec<Option<f64>> = (0..5).map(|k| Some(f64::from(k) + 1.0)).collect();
            let mut wrong = good.clone();
            wrong[4] = bad;
            lists[field] = list(&[Some(&wrong), Some(&good)]);
            for name in Jets::columns() {
                let values = made(name, &lists, 2).unwrap();
                assert!(
                    values[0].is_nan() && values[1].is_finite(),
                    "{field} {bad:?} {name}"
                );
            }
        }
        let mut lists = jets(&[0, 5]);
        lists[1] = list(&[None, Some(&[Some(1.0); 5])]);
        assert_eq!(made("n_jets", &lists, 2).unwrap()[1], 5.0);
        assert!(made("n_jets", &lists, 2).unwrap()[0].is_nan());
    }

    #[test]
    fn lists_of_other_lengths_are_named() {
        let mut lists = jets(&[4, 5, 6]);
        lists[2] = each(&[4, 5, 7], |_, _| 0.0);
        let expected = Misfit::Lengths {
            row: 2,
            lists: [0, 2],
            lengths: [6, 7],
        };
        assert_eq!(made("m_hh", &lists, 3), Err(expected));
    }

    #[test]
    fn more_jets_than_are_looked_at_are_counted() {
        let mut lists = jets(&[12]);
        // the only tagged ones are those behind the first eight
        lists[4] = each(&[12], |_, k| f64::from(u8::from(k >= 8)));
        assert_eq!(made("n_jets", &lists, 1).unwrap(), [12.0]);
        assert_eq!(made("log_pt4", &lists, 1).unwrap(), [85_f64.ln()]);
    }
}
