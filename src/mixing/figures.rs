//! Figures of a mixing.

use super::result::UncertaintyResult;
use crate::plot::{MethodPrediction, Methods, Series};
use crate::settings::Config;
use sideband_likelihood::mixing::Nuisance;

/// The error of a background that variations are, bin by bin.
fn errors(background: &[f64], all: &[Nuisance]) -> Vec<f64> {
    let bins = background.iter().enumerate();
    bins.map(|(b, h)| {
        let largest = |n: &Nuisance| (n.up[b] - 1.0).abs().max((n.down[b] - 1.0).abs());
        h * all.iter().map(largest).fold(0.0, f64::hypot)
    })
    .collect()
}

fn title(config: &Config, of: &UncertaintyResult) -> String {
    let region = config.region_label(&of.region);
    match config.report.data_label.as_str() {
        "" => region.to_owned(),
        data => format!("{data}, {region}"),
    }
}

/// Mixed data over the models of the sets.
pub(super) fn mixed(config: &Config, of: &UncertaintyResult) -> Methods {
    let [average, _] = of.histograms.average();
    let chosen = of.bias.chosen();
    let data = &of.histograms;
    Methods {
        title: title(config, of),
        x_label: of.label.clone(),
        y_label: "Events".to_owned(),
        log_y: false,
        edges: data.edges.clone(),
        observed: Some(Series {
            label: "mixed data, mean".to_owned(),
            values: data.data.clone(),
            errors: data.data_variances.iter().map(|v| v.sqrt()).collect(),
        }),
        predictions: vec![MethodPrediction {
            label: "models, mean".to_owned(),
            errors: errors(&average, &of.nuisances),
            values: average,
            goodness: format!(
                "fitted χ²/{} = {:.1}",
                chosen.ndf,
                chosen.chi2 / chosen.ndf as f64
            ),
        }],
        notes: Vec::new(),
    }
}

/// The background of the data, and what is left of it and its error without the bias.
pub(super) fn background(config: &Config, of: &UncertaintyResult) -> Methods {
    let prediction = |label: &str, values: &[f64], all: &[Nuisance]| MethodPrediction {
        label: label.to_owned(),
        values: values.to_vec(),
        errors: errors(values, all),
        goodness: String::new(),
    };
    Methods {
        title: title(config, of),
        x_label: of.label.clone(),
        y_label: "Events".to_owned(),
        log_y: false,
        edges: of.histograms.edges.clone(),
        observed: None,
        predictions: vec![
            prediction("bias as an uncertainty", &of.model[0], &of.nuisances),
            prediction("bias corrected", &of.corrected, &of.corrected_nuisances),
        ],
        notes: Vec::new(),
    }
}
