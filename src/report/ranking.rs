//! The ensembles of a matrix in the order of `report.rank_by`.

use super::end::EnsembleEnd;
use super::numbers::{number, with_error};
use super::page::{Section, Table};
use crate::results::{Metrics, RegionMetrics};
use crate::settings::RankBy;
use serde::{Deserialize, Serialize};

/// How good an ensemble is by what is ranked; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What is shown, and its statistical error.
    pub value: f64,
    /// The error.
    pub error: f64,
    /// How far it is from the best that could be.
    pub distance: f64,
    /// Its place among all, from 1.
    pub place: usize,
}

/// Scores by the places of the ensembles, and why the others have none.
fn scores(ends: &[EnsembleEnd], by: &RankBy) -> Vec<Result<Score, String>> {
    let score = |end: &EnsembleEnd| match &end.metrics {
        Some(metrics) => score(metrics, by),
        None => Err("no result".to_owned()),
    };
    let mut scores: Vec<Result<Score, String>> = ends.iter().map(score).collect();
    let mut distances: Vec<f64> = scores.iter().flatten().map(|s| s.distance).collect();
    distances.sort_by(f64::total_cmp);
    for own in scores.iter_mut().flatten() {
        own.place = 1 + distances.partition_point(|other| *other < own.distance);
    }
    scores
}

fn score(metrics: &Metrics, by: &RankBy) -> Result<Score, String> {
    let region = |name: &str| -> Result<&RegionMetrics, String> {
        let region = metrics.regions.get(name);
        let region = region.ok_or("nothing of the region is held out, or it is not predicted")?;
        match region.blind {
            true => Err("blinded".to_owned()),
            false => Ok(region),
        }
    };
    let (value, error, best) = match by {
        RankBy::HeldOutLoss => {
            let loss = metrics.loss.held_out.ok_or("no event is held out")?;
            (loss[0], loss[1], 0.0)
        }
        RankBy::Auc { region: name } => {
            let auc = region(name)?.auc.ok_or("no AUC")?.after;
            (auc.value, auc.error, 0.5)
        }
        RankBy::Chi2 {
            region: name,
            variable,
        } => {
            let variables = region(name)?.variables.iter();
            let wanted = variables.filter(|(name, _)| variable.as_ref().is_none_or(|v| v == *name));
            let chi2: Vec<_> = wanted.filter_map(|(_, v)| v.chi2_after).collect();
            let n = chi2.len() as f64;
            if chi2.is_empty() {
                return Err("no such distribution is tested".to_owned());
            }
            let ratio = chi2.iter().map(|c| c.chi2 / c.ndf as f64).sum::<f64>() / n;
            let variance = chi2.iter().map(|c| 2.0 / c.ndf as f64).sum::<f64>();
            (ratio, variance.sqrt() / n, 0.0)
        }
    };
    match value.is_finite() && error.is_finite() {
        true => Ok(Score {
            value,
            error,
            distance: (value - best).abs(),
            place: 0,
        }),
        false => Err("not finite".to_owned()),
    }
}

impl RankBy {
    /// What is ranked by, in words.
    fn words(&self) -> String {
        match self {
            Self::HeldOutLoss => "Held-out loss".to_owned(),
            Self::Auc { region } => format!("AUC in {region}"),
            Self::Chi2 { region, variable } => match variable {
                Some(variable) => format!("χ² / ndf of {variable} in {region}"),
                None => format!("Mean χ² / ndf in {region}"),
            },
        }
    }

    /// What the numbers are.
    fn explain(&self) -> &'static str {
        match self {
            Self::HeldOutLoss => {
                "Loss of the nominal ratio on the training region's held-out events, both classes \
                 at equal weight, with its statistical error."
            }
            Self::Auc { .. } => "AUC of a fresh classifier after, ranked by its distance from 0.5.",
            Self::Chi2 { .. } => {
                "χ² with the statistical errors of both samples alone, so that a large spread over \
                 members earns no place; the error is that of χ², distributions taken as \
                 independent."
            }
        }
    }
}

/// Places of ensembles in the order of the ranking, the best first.
fn order(scores: &[Result<Score, String>]) -> Vec<(usize, Score)> {
    let scored = scores.iter().enumerate();
    let mut scored: Vec<(usize, Score)> = scored
        .filter_map(|(place, score)| Some((place, *score.as_ref().ok()?)))
        .collect();
    scored.sort_by_key(|(_, score)| score.place);
    scored
}

/// What the ensembles of a matrix are ranked by.
fn rank_by(ends: &[EnsembleEnd]) -> Option<&RankBy> {
    ends.first()?.config.report.rank_by.as_ref()
}

/// The section of the page; none where nothing is ranked.
pub(super) fn section(ends: &[EnsembleEnd]) -> Option<Section> {
    let by = rank_by(ends)?;
    let scores = scores(ends, by);
    let order = order(&scores);
    let first = order.first().map_or(f64::NAN, |(_, score)| score.distance);
    let rows = order.iter().map(|(end, score)| {
        vec![
            score.place.to_string(),
            ends[*end].name.clone(),
            with_error(score.value, score.error),
            number(score.distance - first),
        ]
    });
    let header = format!("Place | Ensemble | {} | Behind the first", by.words());
    let caption = "Errors are of the same events for all ensembles: differences have smaller ones.";
    let mut section = Section::new("Ranking")
        .text(by.explain())
        .table(Table::new(caption, &header, rows));
    let without = ends.iter().zip(&scores);
    let without = without.filter_map(|(end, score)| {
        let why = score.as_ref().err()?;
        Some(format!("{} is not ranked: {why}.", end.name))
    });
    section.text.extend(without);
    Some(section)
}

/// The best ensembles in a line; none where nothing is ranked.
pub(crate) fn best(ends: &[EnsembleEnd], most: usize) -> Option<String> {
    let by = rank_by(ends)?;
    let order = order(&scores(ends, by));
    let line = |(end, score): &(usize, Score)| {
        let value = with_error(score.value, score.error);
        format!("{}. {}, {value}", score.place, ends[*end].name)
    };
    let best: Vec<String> = order.iter().take(most).map(line).collect();
    (!best.is_empty()).then(|| format!("{}: {}", by.words(), best.join("; ")))
}

/// Scores by the places of the ensembles; none where nothing is ranked.
pub(super) fn of(ends: &[EnsembleEnd]) -> Vec<Option<Score>> {
    match rank_by(ends) {
        Some(by) => scores(ends, by).into_iter().map(Result::ok).collect(),
        None => vec![None; ends.len()],
    }
}
