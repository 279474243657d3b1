//! The error of a measurement from the finite number of events that its ratios were
//! trained on.
//!
//! Members of a bootstrapped ensemble differ by their training events and by their
//! initial weights, those of a second ensemble by initial weights alone. The mean of `E`
//! bootstrapped members has the variance that one training sample gives, and `1/E` of
//! what initial weights give: `var_bootstrap - var_initial (1 - 1/E)`, measured on the
//! best fit of each member's own likelihood.

use super::analyse::Analyst;
use super::columns::{Columns, Source};
use super::error::MeasureError;
use super::events::Events;
use super::model::Builder;
use super::pipeline::Study;
use super::result::FiniteSample;
use crate::inference::Sample;
use rayon::prelude::*;

/// The error of the first parameter of interest, from a fit for every member.
pub(super) fn finite_sample(
    study: &Study<'_>,
    source: &Source<'_>,
    events: &Events,
    normalising: Option<&Events>,
) -> Result<FiniteSample, MeasureError> {
    let mut variances = [[0.0; 2]; 2];
    let mut members = [0; 2];
    for (number, is_fixed) in [false, true].into_iter().enumerate() {
        let logs = study.member_logs(&events.features, is_fixed)?;
        let reference = match normalising {
            Some(events) => Some((study.member_logs(&events.features, is_fixed)?, events)),
            None => None,
        };
        let count = logs.values().map(Vec::len).min().unwrap_or(0);
        let fits = (0..count).into_par_iter().map(|member| {
            let columns = source.of_member(&logs, member, events.weights.clone())?;
            let reference = match &reference {
                Some((logs, events)) => {
                    let columns = source.of_member(logs, member, events.weights.clone())?;
                    Some(columns.sample()?)
                }
                None => None,
            };
            best(source, &columns, reference.as_ref())
        });
        let found = fits.collect::<Result<Vec<[f64; 2]>, MeasureError>>()?;
        variances[number] = [0, 1].map(|k| variance(found.iter().map(|pair| pair[k])));
        members[number] = count;
    }
    let [bootstrapped, fixed] = variances;
    let rest = 1.0 - 1.0 / members[0].max(1) as f64;
    let error = |k: usize| (bootstrapped[k] - fixed[k] * rest).max(0.0).sqrt();
    Ok(FiniteSample {
        bootstrapped: bootstrapped[0],
        fixed: fixed[0],
        error: error(0),
        coordinate_error: error(1),
        members,
    })
}

/// The best fit of the first parameter of interest with given ratios, and its coordinate.
fn best(
    source: &Source<'_>,
    columns: &Columns,
    reference: Option<&Sample>,
) -> Result<[f64; 2], MeasureError> {
    let (measurement, parameters) = (source.measurement, source.parameters);
    let builder = Builder {
        measurement,
        plan: source.plan,
        parameters,
    };
    let channel = builder.unbinned(columns, reference, &parameters.list)?;
    let model = Builder::model(parameters.list.clone(), Some(channel), Vec::new());
    let analyst = Analyst {
        measurement,
        parameters,
    };
    let place = analyst.interest()[0];
    let best = analyst.best(&model)?;
    Ok([analyst.measured(&best, place).0, best.point[place]])
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    if n < 2.0 {
        return 0.0;
    }
    let mean = values.clone().sum::<f64>() / n;
    values.map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)
}
