//! Pulls and impacts on the page.

use super::super::error::MeasureError;
use super::super::pipeline::Study;
use super::super::result::{ErrorSource, ImpactsResult, MeasurementResult};
use super::figure;
use super::verdict::{asymmetric, number};
use crate::plot::{ImpactRow, Impacts};
use crate::report::page::{Section, Table};

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
                // what is not known is not drawn
                let pull = p.and_then(|p| p.pull);
                let pull_error = pull.and_then(|(_, error)| error).unwrap_or(f64::NAN);
                let [up, down] = impact.refit;
                let is_one_sided = up.is_some() != down.is_some();
                let by_hessian = impact.post_fit.filter(|_| !is_one_sided);
                ImpactRow {
                    name: p.map_or_else(|| impact.name.clone(), |p| p.label.clone()),
                    pull: pull.map_or(f64::NAN, |(pull, _)| pull),
                    pull_errors: (pull_error, pull_error),
                    unconstrained: p.filter(|p| p.pull.is_none()).map(asymmetric),
                    post_fit: (
                        down.or(by_hessian.map(|x| -x)).unwrap_or(f64::NAN),
                        up.or(by_hessian).unwrap_or(f64::NAN),
                    ),
                    pre_fit: impact.pre_fit.map(|x| (-x, x)),
                }
            });
            let drawn = Impacts {
                title: study.measurement.report.data_label.clone(),
                parameter: label.to_owned(),
                rows: rows.collect(),
                first_rank: number * ROWS + 1,
            }
            .draw();
            let caption = "Pulls with post-fit errors, and impacts: filled by refit with the \
                           parameter moved by its post-fit error, open for its pre-fit error.";
            let file = format!("impacts_{name}_{}", number + 1);
            section
                .figures
                .extend(figure(study, &file, caption, drawn)?);
        }
    }
    Ok(section)
}

fn groups(label: &str, impacts: &ImpactsResult) -> Table {
    let text = |x: Option<f64>| x.map_or_else(|| "–".to_owned(), number);
    let mut rows = vec![
        vec!["total".to_owned(), text(impacts.error)],
        vec!["statistics".to_owned(), text(impacts.statistical)],
    ];
    let group = |(name, impact): (&String, &Option<f64>)| vec![name.clone(), text(*impact)];
    rows.extend(impacts.groups.iter().map(group));
    for impact in impacts.ranking.iter().take(ROWS) {
        let signed = |x: f64| format!("{x:+.4}");
        let refit = impact
            .refit
            .map(|x| x.map_or_else(|| "–".to_owned(), signed));
        let value = match impact.post_fit {
            Some(x) => signed(x),
            None => refit.join(", "),
        };
        rows.push(vec![impact.name.clone(), value]);
    }
    let from = match impacts.from {
        ErrorSource::Hessian => "from the Hessian",
        ErrorSource::ProfileUp => {
            "upwards, to where t = 1: the Hessian gives none; single parameters by refit"
        }
        ErrorSource::ProfileDown => {
            "downwards, to where t = 1: the Hessian gives none; single parameters by refit"
        }
    };
    Table {
        caption: format!(
            "Errors of {label}, {from}: statistics with all nuisance parameters at the best fit, groups \
             as the difference in quadrature with the group frozen, single parameters as \
             V_{{muk}} / sqrt(V_{{kk}})."
        ),
        header: vec!["source".to_owned(), "impact".to_owned()],
        rows,
    }
}
