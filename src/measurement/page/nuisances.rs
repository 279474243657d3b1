//! Pulls and impacts on the page.

use super::super::error::MeasureError;
use super::super::pipeline::Study;
use super::super::result::{ImpactsResult, MeasurementResult};
use super::figure;
use crate::report::page::{Section, Table};
use crate::report::plot::{ImpactRow, Impacts};

/// Rows of one figure of impacts.
const ROWS: usize = 25;

pub(super) fn nuisances(
    study: &Study<'_>,
    result: &MeasurementResult,
) -> Result<Section, MeasureError> {
    let mut section = Section {
        title: "Pulls and impacts".to_owned(),
        ..Section::default()
    };
    for (name, impacts) in &result.impacts {
        let parameter = result.fit.parameters.iter().find(|p| p.name == *name);
        let label = parameter.map_or(name.as_str(), |p| &p.label);
        section.tables.push(groups(label, impacts));
        for (number, rows) in impacts.ranking.chunks(ROWS).enumerate() {
            let rows = rows.iter().map(|impact| {
                let p = result.fit.parameters.iter().find(|p| p.name == impact.name);
                let pull = p.and_then(|p| p.pull).unwrap_or([f64::NAN, f64::NAN]);
                let [up, down] = impact.refit;
                ImpactRow {
                    name: p.map_or_else(|| impact.name.clone(), |p| p.label.clone()),
                    pull: pull[0],
                    pull_errors: (pull[1], pull[1]),
                    unconstrained: p
                        .filter(|p| p.pull.is_none())
                        .map(|p| format!("{:.3} ± {:.3}", p.value, p.error)),
                    post_fit: (
                        down.unwrap_or(-impact.post_fit),
                        up.unwrap_or(impact.post_fit),
                    ),
                    pre_fit: impact.pre_fit.map(|x| (-x, x)),
                }
            });
            let drawn = Impacts {
                title: study.measurement.report.data_label.clone(),
                parameter: label.to_owned(),
                rows: rows.collect(),
                first_rank: number * ROWS + 1,
                notes: Vec::new(),
            }
            .draw();
            let caption = "Pulls with post-fit errors, and impacts: filled by refit with the \
                           parameter moved by its post-fit error, open for its pre-fit error.";
            let file = format!("impacts_{name}_{}", number + 1);
            section.figures.push(figure(study, &file, caption, drawn)?);
        }
    }
    Ok(section)
}

fn groups(label: &str, impacts: &ImpactsResult) -> Table {
    let mut rows = vec![
        vec!["total".to_owned(), format!("{:.4}", impacts.error)],
        vec![
            "statistics".to_owned(),
            format!("{:.4}", impacts.statistical),
        ],
    ];
    let group = |(name, impact): (&String, &f64)| vec![name.clone(), format!("{impact:.4}")];
    rows.extend(impacts.groups.iter().map(group));
    for impact in impacts.ranking.iter().take(ROWS) {
        let name = impact.name.clone();
        rows.push(vec![name, format!("{:+.4}", impact.post_fit)]);
    }
    Table {
        caption: format!(
            "Errors of {label}: statistics with all nuisance parameters at the best fit, groups \
             as the difference in quadrature with the group frozen, single parameters as \
             V_{{muk}} / sqrt(V_{{kk}})."
        ),
        header: vec!["source".to_owned(), "impact".to_owned()],
        rows,
    }
}
