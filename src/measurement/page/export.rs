//! Histograms as files: templates, and a pyhf workspace.

use super::super::error::MeasureError;
use super::super::likelihoods::Likelihoods;
use super::super::pipeline::Study;
use super::super::plan::ProcessPlan;
use crate::inference::workspace;
use serde_json::{Value, json};

/// Histograms as a pyhf workspace, or why they cannot be one.
pub(super) fn export(study: &Study<'_>, made: &Likelihoods) -> Result<String, MeasureError> {
    let Some(histograms) = &made.histograms else {
        return Ok("There are no histograms to export.".to_owned());
    };
    let root = study.root;
    let write = |name: &str, value: &Value| root.write_json(&root.path().join(name), value);
    write("templates.json", &templates(study))?;
    if !study.measurement.measurement.correlations.is_empty() {
        return Ok(
            "templates.json has the histograms of all processes and variations. They are no pyhf \
             workspace, which has no correlated auxiliary measurements."
                .to_owned(),
        );
    }
    match workspace::export(histograms, &study.measurement.experiment.name) {
        Ok((workspace, settings)) => {
            write("workspace.json", &workspace)?;
            let nominal = histograms.nominal();
            let points = json!({
                "modifier_settings": settings.to_json(),
                "points": workspace::reference(histograms, &[nominal]),
            });
            write("workspace_points.json", &points)?;
            Ok(
                "workspace.json is a pyhf workspace of the histograms; workspace_points.json has \
                the modifier_settings that pyhf needs and this program's numbers, which \
                scripts/check_workspace.py compares with those of pyhf. templates.json has the \
                histograms alone."
                    .to_owned(),
            )
        }
        Err(error) => Ok(format!(
            "templates.json has the histograms of all processes and variations. They are no pyhf \
             workspace: {error}."
        )),
    }
}

/// Histograms of all processes and variations by channel.
fn templates(study: &Study<'_>) -> Value {
    let m = study.measurement;
    let own = m.measurement.histogram.iter();
    let own = own.map(|h| (&m.training.region, &h.observable, &h.bins));
    let others = m.channels.iter();
    let others = others.map(|(name, c)| (name, &c.observable, &c.bins));
    let channel = |number: usize, name: &String, observable: &String, bins: &Vec<f64>| {
        let process = |p: &ProcessPlan| {
            let scaled = |t: &[f64]| t.iter().map(|x| p.scale * x).collect::<Vec<f64>>();
            let own = study
                .plan
                .varied
                .iter()
                .filter(|((_, name), _)| *name == p.name);
            let varied: serde_json::Map<String, Value> = own
                .map(|((systematic, _), varied)| {
                    let value = match &varied.templates {
                        Some([low, high]) => json!({
                            "down": scaled(&low[number].contents),
                            "up": scaled(&high[number].contents),
                        }),
                        None => json!({ "rates": varied.rates }),
                    };
                    (systematic.clone(), value)
                })
                .collect();
            let nominal = &p.templates[number];
            let errors: Vec<f64> = nominal
                .variances
                .iter()
                .map(|v| p.scale * v.sqrt())
                .collect();
            let value = json!({
                "coefficient": m.samples[&p.name].coefficient,
                "contents": scaled(&nominal.contents),
                "errors": errors,
                "systematics": varied,
            });
            (p.name.clone(), value)
        };
        let processes: serde_json::Map<String, Value> =
            study.plan.processes.iter().map(process).collect();
        let value = json!({ "observable": observable, "edges": bins, "processes": processes });
        (name.clone(), value)
    };
    let all = own.chain(others).enumerate();
    let map: serde_json::Map<String, Value> = all
        .map(|(number, (name, observable, bins))| channel(number, name, observable, bins))
        .collect();
    Value::Object(map)
}
