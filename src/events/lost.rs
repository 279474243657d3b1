//! Events that are not where one would look for them: what is counted of them while
//! files are read, and what a result says of it.
//!
//! Every such event is counted by reason, with its weight. What a blind region hides
//! is no loss and is in no count.

use crate::error::{agreeing, counted};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// Keys that lose events for one reason and are named in a sentence, at most.
const NAMED: usize = 8;

/// Why events are missing somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// The sample's selection has no value: not selected.
    Selection,
    /// A region's selection has no value: not in the region.
    Region,
    /// No finite value of an input: dropped.
    Input,
    /// A value that is none of those that are listed, or none at all: dropped.
    Category,
    /// No value of an observable whose histogram is fitted: dropped.
    Observable,
    /// No value of a variable that is plotted: in none of its bins.
    Variable,
    /// An infinite value: in an end bin.
    Infinite,
    /// Shares its id with an earlier event, and so its fold and bootstrap weights.
    Id,
    /// A target event that shares its id with a source event.
    SharedId,
}

impl LossKind {
    /// In a few words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Selection => "no value: not selected",
            Self::Region => "no value: not in the region",
            Self::Input => "missing or not finite: dropped",
            Self::Category => "missing or not listed: dropped",
            Self::Observable => "no value: dropped",
            Self::Variable => "no value: in no bin",
            Self::Infinite => "infinite: in an end bin",
            Self::Id => "the id of an earlier event",
            Self::SharedId => "the id of a source event",
        }
    }

    /// What several keys have in common that lose events; none for a kind that has one key.
    fn of_several(self) -> Option<&'static str> {
        match self {
            Self::Region => Some("are not in regions whose selections have no value for them"),
            Self::Input => {
                Some("were dropped because inputs are missing or not finite (data.on_missing)")
            }
            Self::Category => Some(
                "were dropped because values are missing or none of those listed \
                 (data.on_missing)",
            ),
            Self::Observable => {
                Some("were dropped because observables have no value for them (data.on_missing)")
            }
            Self::Variable => Some("are in no bin of variables that have no value for them"),
            Self::Infinite => Some("are in end bins of variables that are infinite for them"),
            Self::Selection | Self::Id | Self::SharedId => None,
        }
    }

    /// Whether the event is gone from everything, by the user's wish.
    pub fn is_dropped(self) -> bool {
        matches!(self, Self::Input | Self::Category | Self::Observable)
    }

    /// Whether the event is where it should be, and only its id is not its own.
    fn is_of_ids(self) -> bool {
        matches!(self, Self::Id | Self::SharedId)
    }

    /// Whether more than the stated share of such events is an error: what was asked
    /// for (dropping) and what is in its place all the same is not.
    pub fn is_limited(self) -> bool {
        !self.is_dropped() && !self.is_of_ids() && self != Self::Infinite
    }
}

/// Events of a sample that are missing somewhere for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    pub kind: LossKind,
    /// The input, column or region; a key of the configuration once a sample is read.
    pub name: String,
    pub events: u64,
    /// Sum of their weights, as far as they are finite.
    pub weight: f64,
    /// File and row, from 0, of the first one; none for ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<(String, u64)>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// Where the configuration has the sample: `data.target`, `samples.S`.
    pub sample: String,
    pub events: u64,
    pub weight: f64,
    /// The factor of the configuration on the sample's weights, if it has one. It is in
    /// `weight`, but in that of a measurement's sample, whose rate it multiplies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// What is missing, by reason; empty if nothing is.
    pub lost: Vec<Loss>,
}

impl Losses {
    /// Events that were lost for a reason, over these and those that were kept.
    pub fn share(&self, loss: &Loss) -> f64 {
        let all = match loss.kind {
            LossKind::Variable | LossKind::Infinite => self.events,
            kind if kind.is_of_ids() => self.events,
            // they may be of another region, and there already
            LossKind::Region => self.events.max(loss.events),
            _ => self.events + loss.events,
        };
        loss.events as f64 / all.max(1) as f64
    }

    /// The first loss that is not asked for and above `limit`, a share.
    pub fn beyond(&self, limit: f64) -> Option<&Loss> {
        let mut lost = self.lost.iter();
        lost.find(|loss| loss.kind.is_limited() && self.share(loss) > limit)
    }

    /// What is on the weights, in a sentence.
    pub fn scaled(&self) -> Option<String> {
        let scale = self.scale?;
        Some(format!("{}: weights are scaled by {scale:?}.", self.sample))
    }

    /// What is missing, in sentences: one for each kind, which names several keys together.
    pub fn sentences(&self) -> impl Iterator<Item = String> + '_ {
        let lost = self.lost.iter().enumerate();
        lost.filter_map(|(k, loss)| {
            let Some(what) = loss.kind.of_several() else {
                return Some(self.sentence(loss));
            };
            let alike = |other: &&Loss| other.kind == loss.kind;
            if self.lost[..k].iter().any(|other| alike(&other)) {
                return None;
            }
            let all: Vec<&Loss> = self.lost.iter().filter(alike).collect();
            Some(match all.len() {
                1 => self.sentence(loss),
                _ => self.together(what, all),
            })
        })
    }

    /// The losses of one kind in a sentence, the largest by name.
    fn together(&self, what: &str, mut lost: Vec<&Loss>) -> String {
        let first = lost.iter().filter_map(|loss| loss.first.as_ref()).min();
        let first = first.map(|(file, row)| format!("; first on row {row} of {file}"));
        lost.sort_by_key(|loss| Reverse(loss.events));
        let others = lost.len().saturating_sub(NAMED);
        let named = lost.iter().take(NAMED).map(|loss| {
            let (name, events) = (&loss.name, counted(loss.events, "event"));
            format!("`{name}` ({events}, {:.2} %)", 100.0 * self.share(loss))
        });
        let named: Vec<String> = named.collect();
        let others = match others {
            0 => String::new(),
            n => format!(" and {}", counted(n, "other")),
        };
        format!(
            "{}: events {what}: {}{others}{}.",
            self.sample,
            named.join(", "),
            first.unwrap_or_default()
        )
    }

    /// What one of the losses means, in a sentence.
    pub fn sentence(&self, loss: &Loss) -> String {
        use LossKind as Kind;
        let (name, asked) = (&loss.name, " (data.on_missing)");
        let of = |one, many| agreeing(loss.events, one, many);
        let (are, were, them) = (of("is", "are"), of("was", "were"), of("it", "them"));
        let have = of("has", "have");
        let shared = of(
            "it shares its folds and bootstrap weights",
            "they share its folds and bootstrap weights",
        );
        let what = match loss.kind {
            Kind::Selection => {
                format!("{are} not selected because `{name}` has no value for {them}")
            }
            Kind::Region => {
                format!("{are} not in the region because `{name}` has no value for {them}")
            }
            Kind::Input => {
                format!("{were} dropped because `{name}` is missing or not finite{asked}")
            }
            Kind::Category => format!(
                "{were} dropped because the value of `{name}` is missing or none of those \
                 listed{asked}"
            ),
            Kind::Observable => {
                format!("{were} dropped because `{name}` has no value for {them}{asked}")
            }
            Kind::Variable => {
                format!("{are} in no bin of `{name}`, which has no value for {them}")
            }
            Kind::Infinite => {
                format!("{are} in an end bin of `{name}`, which is infinite for {them}")
            }
            Kind::Id => format!(
                "{have} the id of an earlier event; {shared}. Give more id columns, or a namespace \
                 for each sample"
            ),
            Kind::SharedId => format!(
                "{have} the id of a source event; {shared}. If they are other events, set \
                 data.target.namespace"
            ),
        };
        let first = loss.first.as_ref();
        let first = first.map(|(file, row)| format!("; first on row {row} of {file}"));
        let weight = match loss.kind {
            kind if kind.is_of_ids() => String::new(),
            _ => format!(", sum of weights {}", short(loss.weight)),
        };
        format!(
            "{}: {} ({:.2} %{weight}) {what}{}.",
            self.sample,
            counted(loss.events, "event"),
            100.0 * self.share(loss),
            first.unwrap_or_default()
        )
    }
}

/// A number with as many digits as it needs, at most six behind the point.
fn short(number: f64) -> String {
    let text = format!("{number:.6}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    if text == "-0" { "0" } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(kind: LossKind, events: u64) -> Losses {
        Losses {
            sample: "data.target".to_owned(),
            events: 90,
            weight: 45.0,
            scale: None,
            lost: vec![Loss {
                kind,
                name: "x".to_owned(),
                events,
                weight: 5.0,
                first: Some(("t.parquet".to_owned(), 3)),
            }],
        }
    }

    #[test]
    fn what_is_asked_for_is_said_and_what_is_not_is_limited() {
        let dropped = losses(LossKind::Input, 10);
        assert_eq!(dropped.share(&dropped.lost[0]), 0.1);
        assert!(dropped.beyond(0.0).is_none());
        let text = dropped.sentences().next().unwrap_or_default();
        let expected = "10 events (10.00 %, sum of weights 5) were dropped";
        assert!(text.contains(expected), "{text}");
        assert!(text.ends_with("first on row 3 of t.parquet."), "{text}");
        // more than all that are there have no value for the region
        assert_eq!(
            losses(LossKind::Region, 45).share(&losses(LossKind::Region, 45).lost[0]),
            0.5
        );
        assert!(losses(LossKind::Region, 180).beyond(0.99).is_some());
        for kind in [LossKind::Selection, LossKind::Region, LossKind::Variable] {
            assert!(losses(kind, 10).beyond(0.05).is_some());
            assert!(losses(kind, 10).beyond(0.2).is_none());
        }
    }

    #[test]
    fn many_keys_of_one_kind_are_in_one_sentence() {
        let region = |k: u64| Loss {
            kind: LossKind::Region,
            name: format!("regions.r{k}.selection"),
            events: k,
            weight: 0.5,
            first: Some((format!("t{}.parquet", k % 2), 40 - k)),
        };
        let mut all = losses(LossKind::Input, 10);
        all.lost.extend((1..=34).map(region));
        let said: Vec<String> = all.sentences().collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("were dropped because `x` is missing"));
        let names = (27..=34).rev();
        let names = names.map(|k| {
            let share = 100.0 * k as f64 / 90.0;
            format!("`regions.r{k}.selection` ({k} events, {share:.2} %)")
        });
        let expected = format!(
            "data.target: events are not in regions whose selections have no value for them: {} \
             and 26 others; first on row 6 of t0.parquet.",
            names.collect::<Vec<_>>().join(", ")
        );
        assert_eq!(said[1], expected);
        // two of them, all named
        all.lost.truncate(3);
        let said: Vec<String> = all.sentences().collect();
        let words = "`regions.r2.selection` (2 events, 2.22 %), `regions.r1.selection` (1 event, \
                     1.11 %); first on row 38 of t0.parquet.";
        assert!(said[1].ends_with(words), "{}", said[1]);
    }
}
