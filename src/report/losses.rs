//! The page's section on events that are missing somewhere.

use super::numbers::{number, percent};
use super::page::{Section, Table};
use crate::events::Losses;
use crate::results::Metrics;

/// What is missing in a result, one sentence each.
pub(super) fn sentences(metrics: &Metrics) -> Vec<String> {
    let mut list: Vec<String> = metrics.losses.iter().flat_map(Losses::sentences).collect();
    if let Some(interpolation) = &metrics.interpolation {
        if interpolation.dropped > 0 {
            list.push(format!(
                "{} samples of all members had features that are not finite and were dropped.",
                interpolation.dropped
            ));
        }
        list.extend(interpolation.without_value.iter().map(|(name, samples)| {
            format!("{samples} samples of all members have no value of {name} and are in none of its bins.")
        }));
    }
    list
}

/// A table of all losses, and of all samples that have none.
pub(super) fn section(losses: &[Losses]) -> Section {
    let row = |sample: &Losses| -> Vec<Vec<String>> {
        let lost = sample.lost.iter().map(|loss| {
            vec![
                sample.sample.clone(),
                loss.name.clone(),
                loss.kind.describe().to_owned(),
                loss.events.to_string(),
                percent(sample.share(loss)),
                number(loss.weight),
            ]
        });
        lost.collect()
    };
    let rows: Vec<Vec<String>> = losses.iter().flat_map(row).collect();
    let mut section = Section::new("Events that are missing");
    section.text.extend(losses.iter().map(|sample| {
        let (events, weight) = (sample.events, number(sample.weight));
        format!(
            "{}: {events} events kept, sum of weights {weight}.",
            sample.sample
        )
    }));
    if rows.is_empty() {
        return section.text("No event was dropped, is without a bin or without a region.");
    }
    let header = ["sample", "key", "what", "events", "share", "sum of weights"];
    section.table(Table::new(
        "Events that are not where one would look for them, by reason; one that lacks \
         two things counts twice.",
        header,
        rows,
    ))
}
