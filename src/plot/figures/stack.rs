//! What makes up a total, on top of each other, with observed events over it and their ratio
//! below.
//!
//! Contents above zero are stacked upwards, those below zero, as of an interference, hang from
//! zero in the same order. Signals lie on top of all others: observed events are compared with
//! the total, which includes them, and so it is seen what they add to the rest. The total is a
//! line with its error hatched.

use super::comparison::Series;
use super::*;
use layers::DATA;

const HEIGHT: f64 = 600.0;
const HEIGHT_ALONE: f64 = 480.0; // without a panel of ratios
const MOST: usize = PALETTE.len(); // most contributions with a colour of their own
/// Opacities of contributions and of the hatching.
const AREA_OPACITY: f64 = 0.8;
const HATCH_OPACITY: f64 = 0.5;
const TOTAL: Stroke<'static> = Stroke::solid(INK, 1.6); // the look of the total

/// One distribution and what it is made of.
pub(crate) struct Stack {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    /// `n + 1` rising bin edges.
    pub edges: Vec<f64>,
    /// Observed events; `None` is a figure of expected ones alone.
    pub observed: Option<Series>,
    /// From the bottom to the top. Of more than six the smallest are one.
    pub contributions: Vec<Contribution>,
    /// Errors of their sum (one standard deviation), `[n]`; `None` where they are not known.
    pub errors: Option<Vec<f64>>,
    pub notes: Vec<String>,
}

/// A part of the total.
#[derive(Clone)]
pub(crate) struct Contribution {
    pub label: String,
    /// Contents of the bins, `[n]`.
    pub values: Vec<f64>,
    pub is_signal: bool,
}

impl Stack {
    /// Draws the figure; an error if edges do not rise, a list has the wrong length or there is
    /// no contribution.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        check::edges(&self.x_label, &self.edges)?;
        let bins = self.edges.len() - 1;
        let what = format!("stack in {}", self.x_label);
        check::drawable(!self.contributions.is_empty(), &what, "contribution")?;
        let lists = self.contributions.iter().map(|c| (&c.label, &c.values));
        check::lengths(lists, |label| format!("values of \"{label}\""), bins)?;
        let errors = self.errors.iter().map(|errors| ("errors", errors));
        check::lengths(errors, |what| format!("{what} of the total"), bins)?;
        self.observed.iter().try_for_each(|o| o.check(bins))?;
        let height = match self.observed {
            Some(_) => HEIGHT,
            None => HEIGHT_ALONE,
        };
        let mut canvas = Canvas::new(WIDTH, height);
        let hatch = canvas.hatch(INK);
        let hatched = Fill(&hatch, HATCH_OPACITY);
        let shown = self.shown();
        let total = self.total();
        let mut sides = [vec![0.0; bins], vec![0.0; bins]];
        let area = |(part, fill): &(Contribution, Fill<'static>)| {
            Mark::StepBand(&self.edges, lay(&part.values, &mut sides), *fill)
        };
        let mut below: Vec<Mark<'_>> = shown.iter().map(area).collect();
        let band = || total.band(&self.edges, &total.errors, hatched, None);
        below.extend(total.has_band().then(band));
        let observed = self.observed.as_ref().map(|o| (&*o.values, &*o.errors));
        let lines = std::slice::from_ref(&total);
        let (_, main) = layers::main_panel(&self.edges, false, below, lines, observed);
        let none = vec![0.0; bins];
        let ends = sides.iter().map(|side| (&**side, &*none));
        let drawn = ends.chain([(&*total.values, &*total.errors)]);
        let y = layers::y_axis(&self.edges, drawn.chain(observed), None);
        let lower = if self.observed.is_some() { 0.3 } else { 0.0 };
        let head = self.head(&shown, &total, hatched);
        let mut chart = Chart::around(head, height, lower)
            .x(&self.x_label, Axis::linear(self.edges[0], self.edges[bins]))
            .head_row(&self.y_label, y, main);
        if let Some(observed) = &self.observed {
            let (axis, marks) = self.ratio(observed, &total, hatched);
            chart = chart.row("Obs. / total", axis, marks);
        }
        Ok(chart.draw_on(canvas))
    }

    /// What is stacked, from the bottom to the top, in its colours; signals last, and of more
    /// contributions than there are colours the smallest as one.
    fn shown(&self) -> Vec<(Contribution, Fill<'static>)> {
        let all = &self.contributions;
        let sum = |part: &Contribution| part.values.iter().copied().map(size).sum::<f64>();
        let sums: Vec<f64> = all.iter().map(sum).collect();
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|a, b| {
            let first = all[*b].is_signal.cmp(&all[*a].is_signal);
            first.then(sums[*b].total_cmp(&sums[*a]))
        });
        let own = match all.len() > MOST {
            true => MOST - 1,
            false => all.len(),
        };
        let (own, others) = order.split_at_mut(own);
        own.sort_by_key(|k| (all[*k].is_signal, *k));
        let others = (!others.is_empty()).then(|| Contribution {
            label: format!("{} others", others.len()),
            values: added(others.iter().map(|k| &all[*k])),
            is_signal: false,
        });
        let others = others.map(|others| (others, Fill(PALETTE[MOST - 1], AREA_OPACITY)));
        let own = own.iter().zip(PALETTE);
        let own = own.map(|(k, colour)| (all[*k].clone(), Fill(colour, AREA_OPACITY)));
        others.into_iter().chain(own).collect()
    }

    fn total(&self) -> Layer<'static> {
        let values = added(self.contributions.iter());
        let errors = self.errors.iter().flatten().map(|error| size(*error));
        let mut errors: Vec<f64> = errors.collect();
        errors.resize(values.len(), 0.0);
        Layer {
            values,
            errors,
            stroke: TOTAL,
            opacity: HATCH_OPACITY,
        }
    }

    /// The legend, from the top to the bottom.
    fn head<'a>(
        &'a self,
        shown: &[(Contribution, Fill<'static>)],
        total: &Layer<'_>,
        hatched: Fill<'a>,
    ) -> Head<'a> {
        let observed = self.observed.iter();
        let mut entries: Vec<Entry<'a>> = observed
            .clone()
            .map(|o| Entry::new(&o.label, Key::Point(DATA)))
            .collect();
        entries.push(match total.has_band() {
            true => Entry::new("total and its error", Key::LineOnArea(TOTAL, hatched)),
            false => Entry::new("total", Key::Line(TOTAL)),
        });
        let parts = shown.iter().rev();
        entries.extend(parts.map(|(part, fill)| Entry::new(&part.label, Key::Area(*fill))));
        entries
            .extend(observed.map(|o| Entry::new(format!("{} / total", o.label), Key::Point(DATA))));
        Head::new(&self.title, entries).noted(self.notes.clone())
    }

    /// The lower panel: observed over the total, about which its error is hatched.
    fn ratio<'a>(
        &'a self,
        observed: &Series,
        total: &Layer<'_>,
        hatched: Fill<'a>,
    ) -> (Axis, Vec<Mark<'a>>) {
        let errors: Vec<f64> = observed.errors.iter().map(|error| error.abs()).collect();
        let [values, errors] = [&observed.values, &errors].map(|list| over(list, &total.values));
        let dots: Vec<Dot> = Dot::in_bins(&self.edges, 0.5, &values, &errors).collect();
        let ends = total.ends(&total.errors, Some(&total.values));
        let axis = layers::ratio_axis(&dots, &ends.concat());
        let band = Mark::StepBand(&self.edges, ends, hatched);
        let mut marks: Vec<Mark<'a>> = total.has_band().then_some(band).into_iter().collect();
        marks.push(Mark::level(1.0, Stroke::solid(GREY, 1.2)));
        marks.push(Mark::Ratios(dots, DATA, true));
        (axis, marks)
    }
}

/// The sum of contributions, bin by bin.
fn added<'a>(parts: impl Iterator<Item = &'a Contribution>) -> Vec<f64> {
    let mut sum: Vec<f64> = Vec::new();
    for part in parts {
        sum.resize(part.values.len(), 0.0);
        let bins = sum.iter_mut().zip(&part.values);
        bins.for_each(|(sum, value)| *sum += value);
    }
    sum
}

/// Lower and upper ends of contents laid on those before, whose ends below and above zero are
/// `sides`; a value that is not finite is a gap.
fn lay(values: &[f64], sides: &mut [Vec<f64>; 2]) -> [Vec<f64>; 2] {
    let [down, up] = sides;
    let ends = values.iter().zip(down.iter_mut().zip(up));
    let ends = ends.map(|(value, (down, up))| {
        if !value.is_finite() {
            return (f64::NAN, f64::NAN);
        }
        let side = if *value < 0.0 { down } else { up };
        let from = *side;
        *side += value;
        (from.min(*side), from.max(*side))
    });
    let (low, high) = ends.unzip();
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::examples;
    use serde_json::{Value, json};

    fn part(label: &str, values: [f64; 2], is_signal: bool) -> Contribution {
        Contribution {
            label: label.to_owned(),
            values: values.to_vec(),
            is_signal,
        }
    }

    /// Names and ends of the areas of the first panel, from the bottom to the top.
    fn areas(contributions: Vec<Contribution>) -> Vec<Value> {
        let stack = Stack {
            contributions,
            ..examples::stack(&[1.0, 2.0], 0)
        };
        let numbers = stack.draw().unwrap().numbers;
        let numbers: Value = serde_json::from_str(&numbers).unwrap();
        let drawn = numbers["panels"][0]["drawn"].as_array().unwrap();
        let areas = drawn.iter().filter(|lists| lists["what"] == "band");
        areas
            .map(|lists| json!([lists["label"], lists["low"], lists["high"]]))
            .collect()
    }

    #[test]
    fn signals_lie_on_top_and_negative_contents_hang_from_zero() {
        let found = areas(vec![
            part("signal", [0.5, -0.5], true),
            part("a", [2.0, -1.0], false),
            part("b", [1.0, 3.0], false),
        ]);
        let expected = [
            json!(["a", [0.0, -1.0], [2.0, 0.0]]),
            json!(["b", [2.0, 0.0], [3.0, 3.0]]),
            json!(["signal", [3.0, -1.5], [3.5, -1.0]]),
            json!(["total and its error", [2.5, -0.5], [4.5, 3.5]]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_smallest_of_many_are_one_and_no_signal_is_among_them() {
        let mut parts: Vec<Contribution> = (1..=7)
            .map(|n| part(&n.to_string(), [f64::from(n), 0.0], false))
            .collect();
        parts[0].is_signal = true;
        let found = areas(parts);
        let names = found.iter().map(|area| area[0].as_str().unwrap());
        let names: Vec<&str> = names.collect();
        let expected = ["2 others", "4", "5", "6", "7", "1", "total and its error"];
        assert_eq!(names, expected);
        assert_eq!(found[0], json!(["2 others", [0.0, 0.0], [5.0, 0.0]]));
    }
}
