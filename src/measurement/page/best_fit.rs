//! The best fit on the page: parameters, rates, correlations.

use super::super::pipeline::Study;
use super::super::result::{FiniteSample, FiniteSamplePoint, MeasurementResult};
use super::figure;
use super::verdict::asymmetric;
use crate::error::Result;
use crate::plot::CorrelationMatrix;
use crate::report::numbers::{significant, with_error};
use crate::report::page::{Section, Table};

/// Largest number of parameters whose correlations are drawn.
const CORRELATIONS: usize = 30;

pub(super) fn parameters(study: &Study<'_>, result: &MeasurementResult) -> Result<Section> {
    let rows = result.fit.parameters.iter().map(|p| {
        let pull = p.pull.map_or_else(
            || "–".to_owned(),
            |(pull, error)| match error {
                Some(error) => with_error(pull, error),
                None => format!("{pull:.3}"),
            },
        );
        let why = p.not_measured.as_ref().or(p.no_error.as_ref());
        let why = why.map_or_else(String::new, Clone::clone);
        vec![p.label.clone(), asymmetric(p), pull, why]
    });
    let rates = result.rates.iter().map(|(name, [rate, error])| {
        let coefficient = &study.measurement.samples[name].coefficient;
        vec![name.clone(), coefficient.clone(), with_error(*rate, *error)]
    });
    let header = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    let mut section = Section {
        title: "Best fit".to_owned(),
        tables: vec![
            Table {
                caption:
                    "Best fit with errors from the Hessian and, in brackets, where t = 1; on a \
                          bound, or without curvature, the Hessian gives none. Pulls: (fitted − \
                          measured) / error, with the post-fit error."
                        .to_owned(),
                header: header(&["parameter", "best fit", "pull", "no error from the Hessian"]),
                rows: rows.collect(),
            },
            Table {
                caption: "Processes: the rate is multiplied with the coefficient.".to_owned(),
                header: header(&["process", "coefficient", "rate"]),
                rows: rates.collect(),
            },
        ],
        ..Section::default()
    };
    if let Some(finite) = &result.finite_sample {
        section.tables.push(finite_table(finite));
    }
    for (t, point) in &result.fit.other_minima {
        let point: Vec<String> = point.iter().map(|x| significant(*x, 4)).collect();
        section.text.push(format!(
            "Another minimum, t = {t:.2} above the best fit: ({})",
            point.join(", ")
        ));
    }
    // those without error have no correlation
    let correlation = &result.fit.correlation;
    let known: Vec<usize> = (0..correlation.len())
        .filter(|k| correlation[*k][*k].is_some())
        .collect();
    if (2..=CORRELATIONS).contains(&known.len()) {
        let label = |k: &usize| result.fit.parameters[*k].label.clone();
        let row = |i: &usize| -> Vec<f64> {
            let values = known.iter().map(|j| correlation[*i][*j]);
            values.map(|x| x.unwrap_or(f64::NAN)).collect()
        };
        let drawn = CorrelationMatrix {
            title: study.measurement.report.data_label.clone(),
            labels: known.iter().map(label).collect(),
            values: known.iter().map(row).collect(),
            z_label: "correlation".to_owned(),
        }
        .draw();
        let caption = "Correlations of the parameters at the best fit.";
        section
            .figures
            .extend(figure(study, "correlation", caption, drawn)?);
    }
    Ok(section)
}

/// The error from the finite training sample by value.
fn finite_table(finite: &FiniteSample) -> Table {
    let row = |p: &FiniteSamplePoint| {
        vec![
            significant(p.value, 4),
            format!("{:.2e}", p.bootstrapped),
            format!("{:.2e}", p.fixed),
            significant(p.error, 4),
        ]
    };
    let header = ["value", "bootstrapped", "same events", "error"];
    Table {
        caption: "Finite training sample: variance of the best fit over bootstrapped members and \
                  over members of the same events, on Asimov data at each value, and what the \
                  training sample adds to the error of the ensemble's mean."
            .to_owned(),
        header: header.map(ToOwned::to_owned).to_vec(),
        rows: finite.points.iter().map(row).collect(),
    }
}
