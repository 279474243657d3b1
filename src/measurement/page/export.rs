//! Histograms as files: templates, and a pyhf workspace that is the model of the fit.

use super::super::likelihoods::Likelihoods;
use super::super::model::{Builder, Parameters, code, shape_code};
use super::super::pipeline::Study;
use super::super::plan::ProcessPlan;
use super::super::result::ExportResult;
use crate::error::Result;
use crate::settings::FINITE_SAMPLE;
use serde_json::{Value, json};
use sideband_likelihood::histogram::HistogramModel;
use sideband_likelihood::workspace;
use sideband_likelihood::workspace::{ReferencePoint, Settings};
use sideband_likelihood::{Likelihood as _, Model};
use std::collections::HashMap;

const WORKSPACE: &str = "workspace.json";
/// What pyhf needs beside it, and this program's numbers.
const POINTS: &str = "workspace_points.json";

/// Histograms as a pyhf workspace, or why they cannot be one. `best`: fitted points, every
/// parameter as itself.
pub(in super::super) fn export(
    study: &Study<'_>,
    made: &Likelihoods,
    best: &[HashMap<String, f64>],
) -> Result<ExportResult> {
    let Some(fitted) = &made.histograms else {
        return Ok(ExportResult {
            text: "There are no histograms to export.".to_owned(),
            ..ExportResult::default()
        });
    };
    let output = &study.output;
    output.write_json(&output.path().join("templates.json"), &templates(study))?;
    let none = |reason: String, is_wrong: bool| ExportResult {
        text: format!(
            "templates.json has the histograms of all processes and variations. There is no \
             workspace.json: {reason}."
        ),
        reason: Some(reason),
        is_wrong,
        is_written: false,
    };
    let exported = match own_units(study, made, fitted) {
        Ok(model) => model,
        Err(reason) => return Ok(none(reason, false)),
    };
    let name = &study.measurement.experiment.name;
    let (file, settings) = match workspace::export(&exported, name) {
        Ok(both) => both,
        Err(error) => return Ok(none(error.to_string(), false)),
    };
    let path = output.path().join(WORKSPACE);
    output.write_json(&path, &file)?;
    let points = Points {
        parameters: made.parameters(),
        fitted: fitted
            .likelihood()
            .with_prior(made.parameters().prior.clone()),
        best,
    };
    if let Err(difference) = points.compare(&output.read(&path)?, settings, &exported) {
        let _ = std::fs::remove_file(&path);
        let reason = format!("the file is not the model that was fitted: {difference}");
        return Ok(none(reason, true));
    }
    let value = json!({
        "modifier_settings": settings.to_json(),
        "points": points.reference(&exported, &file),
    });
    output.write_json(&output.path().join(POINTS), &value)?;
    Ok(ExportResult {
        is_written: true,
        reason: None,
        is_wrong: false,
        text: format!(
            "workspace.json is a pyhf workspace of the histograms{}; read back, it has the \
             likelihood of the curve \"histogram\". workspace_points.json has the \
             modifier_settings that pyhf needs and this program's numbers, which \
             scripts/check_workspace.py compares with those of pyhf. templates.json has the \
             histograms alone.",
            coordinates(study)
        ),
    })
}

/// What a reader must know of parameters that are fitted in another coordinate.
fn coordinates(study: &Study<'_>) -> String {
    let parameters = study.measurement.parameters.iter();
    let names: Vec<&str> = parameters
        .filter(|(_, p)| p.fit != crate::settings::Coordinate::Linear)
        .map(|(name, _)| name.as_str())
        .collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(" in {} itself, not its root", names.join(" and ")),
    }
}

/// The fitted model with every parameter as itself, or why it cannot be told.
fn own_units(
    study: &Study<'_>,
    made: &Likelihoods,
    fitted: &HistogramModel,
) -> Result<HistogramModel, String> {
    if made.parameters().prior.is_some() {
        return Err(
            "a workspace has no correlated auxiliary measurements (measurement.correlations)"
                .to_owned(),
        );
    }
    if fitted.parameters.iter().any(|p| p.name == FINITE_SAMPLE) {
        return Err(format!(
            "the parameter {FINITE_SAMPLE} moves the coefficients, which a workspace cannot say"
        ));
    }
    let plain = study.measurement.in_own_units();
    let parameters = Parameters::new(&plain, None);
    let builder = Builder {
        measurement: &plain,
        plan: study.plan,
        parameters: &parameters,
    };
    builder.histograms(&made.asked).map_err(|e| e.to_string())
}

/// Where the file is compared with the fit.
struct Points<'a> {
    parameters: &'a Parameters,
    fitted: Model,
    /// By name, every parameter as itself.
    best: &'a [HashMap<String, f64>],
}

impl Points<'_> {
    fn compare(
        &self,
        text: &str,
        settings: Settings,
        exported: &HistogramModel,
    ) -> Result<(), sideband_likelihood::Error> {
        let place = |name: &str| exported.parameters.iter().position(|p| p.name == name);
        let names = self.fitted.parameters().iter();
        let places: Vec<Option<usize>> = names.map(|p| place(&p.name)).collect();
        let fitted = |at: &[f64]| {
            let inner = self.fitted.parameters().iter().zip(&places);
            let inner = inner.map(|(p, place)| {
                let x = place.map_or(p.nominal, |place| at[place]);
                let own = self.parameters.place(&p.name);
                own.map_or(x, |own| self.parameters.coordinate(own, x))
            });
            self.fitted.value(&inner.collect::<Vec<f64>>())
        };
        let all = self.all(exported);
        workspace::compare(text.as_bytes(), settings, exported, &fitted, &all)
    }

    /// This program's numbers there, for the parameters that are in the file.
    fn reference(&self, exported: &HistogramModel, file: &Value) -> Vec<ReferencePoint> {
        let written = file["measurements"][0]["config"]["parameters"].as_array();
        let written: Vec<&str> = written
            .into_iter()
            .flatten()
            .filter_map(|p| p["name"].as_str())
            .collect();
        let mut all = workspace::reference(exported, &self.all(exported));
        for point in &mut all {
            // those of bins are name[0], name[1], ...
            let base = |name: &str| name.split('[').next().unwrap_or_default().to_owned();
            point
                .parameters
                .retain(|name, _| written.contains(&base(name).as_str()));
        }
        all
    }

    /// The nominal point and the best fits.
    fn all(&self, exported: &HistogramModel) -> Vec<Vec<f64>> {
        let nominal = exported.nominal();
        let is_fixed = |k: usize| exported.fixed.iter().any(|(place, _)| *place == k);
        let own = |best: &HashMap<String, f64>| -> Vec<f64> {
            let all = exported.parameters.iter().enumerate();
            all.map(|(k, p)| match best.get(&p.name) {
                Some(x) if !is_fixed(k) => x.clamp(p.bounds.0, p.bounds.1),
                _ => nominal[k],
            })
            .collect()
        };
        let best = self.best.iter().map(own);
        std::iter::once(nominal.clone()).chain(best).collect()
    }
}

/// Histograms of all processes and variations by channel.
fn templates(study: &Study<'_>) -> Value {
    let m = study.measurement;
    let own = m.measurement.histogram.iter();
    let own = own.map(|h| (&m.training.region, &h.observable, &h.bins));
    let others = m.channels.iter();
    let others = others.map(|(name, c)| (name, &c.observable, &c.bins));
    let all = own.chain(others).enumerate();
    let channel = |(number, (name, observable, edges)): (usize, (&String, &String, &Vec<f64>))| {
        let processes = study.plan.processes.iter();
        let processes: serde_json::Map<String, Value> = processes
            .map(|p| (p.name.clone(), process(study, p, number)))
            .collect();
        let value = json!({ "observable": observable, "edges": edges, "processes": processes });
        (name.clone(), value)
    };
    Value::Object(all.map(channel).collect())
}

/// One process in one channel: its bins, their errors, and what every systematic uncertainty
/// does to them at -1 and +1, with the codes between.
fn process(study: &Study<'_>, p: &ProcessPlan, number: usize) -> Value {
    let m = study.measurement;
    let scaled = |t: &[f64]| t.iter().map(|x| p.scale * x).collect::<Vec<f64>>();
    let nominal = &p.templates[number];
    let varied = study.plan.of_process(&p.name).map(|(systematic, varied)| {
        let config = &m.systematics[systematic];
        let kind = (config.shape, config.rates.contains_key(&p.name));
        let effect = varied.in_channel(nominal, number, kind);
        let mut value = serde_json::Map::new();
        if let Some(rates) = effect.rates {
            value.insert("rates".to_owned(), json!(rates));
            let interpolation = json!(code(config.interpolation));
            value.insert("interpolation".to_owned(), interpolation);
        }
        if let Some([low, high]) = effect.shapes {
            let [down, up] = effect.rates.unwrap_or([1.0, 1.0]);
            let full = |side: &[f64], rate: f64| -> Vec<f64> {
                scaled(side).iter().map(|x| rate * x).collect()
            };
            value.insert("down".to_owned(), json!(full(&low, down)));
            value.insert("up".to_owned(), json!(full(&high, up)));
            let interpolation = json!(shape_code(config.density_interpolation));
            value.insert("shape_interpolation".to_owned(), interpolation);
        }
        (systematic.clone(), Value::Object(value))
    });
    let varied: serde_json::Map<String, Value> = varied.collect();
    let errors: Vec<f64> = nominal
        .variances
        .iter()
        .map(|v| p.scale * v.sqrt())
        .collect();
    json!({
        "coefficient": m.samples[&p.name].coefficient,
        "contents": scaled(&nominal.contents),
        "errors": errors,
        "systematics": varied,
    })
}
