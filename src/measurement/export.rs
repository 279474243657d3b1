//! Histograms as files: templates, and a pyhf workspace that is the model of the fit.

use super::model::{Analysis, HistogramRequest, Parameters};
use super::plan::{ProcessPlan, shape_code};
use super::result::ExportResult;
use super::samples::binned;
use crate::error::{Context, Error, Kind, Result};
use crate::rundir::RunDirectory;
use crate::settings::{Coordinate, FINITE_SAMPLE, ScanConfig, words};
use crate::workspace::Grid;
use serde_json::{Map, Value, json};
use sideband_likelihood::fit::Fit;
use sideband_likelihood::histogram::HistogramModel;
use sideband_likelihood::workspace::{self, ReferencePoint, Settings};
use sideband_likelihood::{Likelihood as _, Model, Parameter};
use std::collections::HashMap;

const WORKSPACE: &str = "workspace.json";
/// Patch sets for it, without ending.
const PATCH_SET: &str = "patchset";
/// What pyhf needs beside it, and this program's numbers.
const POINTS: &str = "workspace_points.json";

/// A fitted point by the names of its parameters, every one as itself.
pub(super) fn named(
    analysis: Analysis<'_>,
    parameters: &[Parameter],
    best: &Fit,
) -> HashMap<String, f64> {
    let value = |p: &Parameter, x: f64| match analysis.parameters.place(&p.name) {
        Some(place) => analysis.parameters.value(place, x),
        None => x,
    };
    let all = parameters.iter().zip(&best.point);
    all.map(|(p, x)| (p.name.clone(), value(p, *x))).collect()
}

/// Histograms as a pyhf workspace, or why they cannot be one. `fitted`: the model of histograms
/// alone, and what it was made of; `best`: fitted points, every parameter as itself; `scans`: along
/// which there are limits, each with a patch set for the workspace.
pub(super) fn export(
    analysis: Analysis<'_>,
    output: &RunDirectory,
    fitted: Option<(&HistogramModel, &[HistogramRequest])>,
    best: &[HashMap<String, f64>],
    scans: &[&ScanConfig],
) -> Result<ExportResult> {
    let Some((fitted, asked)) = fitted else {
        return Ok(ExportResult {
            text: "There are no histograms to export.".to_owned(),
            ..ExportResult::default()
        });
    };
    let path = |name: &str| output.path().join(name);
    output.write_json(&path("templates.json"), &templates(analysis))?;
    let none = |reason: String, is_wrong: bool| ExportResult {
        text: format!(
            "templates.json has the histograms of all processes and variations. There is no \
             workspace.json: {reason}."
        ),
        reason: Some(reason),
        is_wrong,
        is_written: false,
    };
    let exported = match own_units(analysis, asked, fitted) {
        Ok(model) => model,
        Err(reason) => return Ok(none(reason, false)),
    };
    let name = &analysis.measurement.experiment.name;
    let (file, settings) = match workspace::export(&exported, name) {
        Ok(both) => both,
        Err(error) => return Ok(none(error.to_string(), false)),
    };
    let workspace = path(WORKSPACE);
    output.write_json(&workspace, &file)?;
    let prior = analysis.parameters.prior.clone();
    let points = Points {
        parameters: analysis.parameters,
        fitted: fitted.likelihood().with_prior(prior),
        best,
    };
    if let Err(difference) = points.compare(&output.read(&workspace)?, settings, &exported) {
        let _ = std::fs::remove_file(&workspace);
        let reason = format!("the file is not the model that was fitted: {difference}");
        return Ok(none(reason, true));
    }
    let value = json!({
        "modifier_settings": settings.to_json(),
        "points": points.reference(&exported, &file),
    });
    output.write_json(&path(POINTS), &value)?;
    let mut grids = String::new();
    for scan in scans {
        let file = match scans {
            [_] => format!("{PATCH_SET}.json"),
            _ => format!("{PATCH_SET}_{}.json", scan.parameter),
        };
        let text = output.read(&workspace)?;
        let (model, name) = (&exported, name.as_str());
        grids += &match patch_set(analysis, scan, (model, name, &text)) {
            Ok(set) => {
                output.write_json(&path(&file), &set)?;
                format!(
                    " {file} is the patch set of workspace.json for the values of {}.",
                    scan.parameter
                )
            }
            Err(error) => format!(" There is no {file}: {error}."),
        };
    }
    Ok(ExportResult {
        is_written: true,
        reason: None,
        is_wrong: false,
        text: format!(
            "workspace.json is a pyhf workspace of the histograms{}{}; read back, it has the \
             likelihood of the curve \"histogram\". workspace_points.json has the \
             modifier_settings that pyhf needs and this program's numbers, which \
             scripts/check_workspace.py compares with those of pyhf. templates.json has the \
             histograms alone.{grids}",
            coordinates(analysis),
            at_fixed(analysis)
        ),
    })
}

/// The patch set of a workspace, a patch for each value of a scan, of the model that the workspace is
/// of, by the name of its measurement.
fn patch_set(
    analysis: Analysis<'_>,
    scan: &ScanConfig,
    (model, name, text): (&HistogramModel, &str, &str),
) -> Result<Value> {
    let own = analysis.parameters.place(&scan.parameter);
    let place = model
        .parameters
        .iter()
        .position(|p| p.name == scan.parameter);
    let (own, place) = own.zip(place).ok_or_else(|| {
        Error::config_at("measurement.scans", "names no parameter of the workspace")
    })?;
    let (low, high) = analysis.parameters.list[own].bounds;
    let range = scan.range.unwrap_or([low, high]);
    let values = analysis.evenly(own, range, scan.points).into_iter();
    let points = values.map(|coordinate| {
        let value = analysis.parameters.value(own, coordinate);
        let mut there = model.clone();
        there.fixed.retain(|(fixed, _)| *fixed != place);
        there.fixed.push((place, value));
        there.fixed.sort_by_key(|(fixed, _)| *fixed);
        let (file, _) = workspace::export(&there, name).of(Kind::Fit)?;
        Ok::<_, Error>((value, file))
    });
    let grid = Grid {
        workspace: WORKSPACE,
        text,
        label: &scan.parameter,
        description: format!("{name} at values of {}", scan.parameter),
    };
    grid.patch_set(points)
}

/// What a reader must know of parameters that are fitted in another coordinate.
fn coordinates(analysis: Analysis<'_>) -> String {
    let parameters = analysis.measurement.parameters.iter();
    let names: Vec<&str> = parameters
        .filter(|(_, p)| p.fit != Coordinate::Linear)
        .map(|(name, _)| name.as_str())
        .collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(" in {} itself, not its root", names.join(" and ")),
    }
}

/// At which values of fixed parameters coefficients are.
fn at_fixed(analysis: Analysis<'_>) -> String {
    let measurement = analysis.measurement;
    let texts = || measurement.samples.values().map(|s| words(&s.coefficient));
    let fixed = measurement.measurement.fixed.iter();
    let fixed = fixed.filter(|name| texts().any(|words| words.contains(*name)));
    let values = fixed.filter_map(|name| {
        let nominal = measurement.parameters.get(name)?.nominal;
        Some(format!("{name} = {nominal}"))
    });
    let values: Vec<String> = values.collect();
    match values.is_empty() {
        true => String::new(),
        false => format!(" at {}", values.join(" and ")),
    }
}

/// The fitted model with every parameter as itself, or why it cannot be told.
fn own_units(
    analysis: Analysis<'_>,
    asked: &[HistogramRequest],
    fitted: &HistogramModel,
) -> Result<HistogramModel, String> {
    if analysis.parameters.prior.is_some() {
        let text = "a workspace has no correlated auxiliary measurements \
                    (measurement.correlations)";
        return Err(text.to_owned());
    }
    if fitted.parameters.iter().any(|p| p.name == FINITE_SAMPLE) {
        return Err(format!(
            "the parameter {FINITE_SAMPLE} moves the coefficients, which a workspace cannot say"
        ));
    }
    let mut own = analysis.measurement.parameters.values();
    if own.all(|p| p.fit == Coordinate::Linear) {
        return Ok(fitted.clone());
    }
    let measurement = &analysis.measurement.in_own_units();
    let parameters = &Parameters::new(measurement, None);
    let plain = Analysis {
        measurement,
        parameters,
        ..analysis
    };
    plain.histograms(asked).map_err(|e| e.to_string())
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
fn templates(analysis: Analysis<'_>) -> Value {
    let channels = binned(analysis.measurement).into_iter().enumerate();
    let channels = channels.map(|(number, channel)| {
        let processes = analysis.plan.processes.iter();
        let processes: Map<String, Value> = processes
            .map(|p| (p.name.clone(), process(analysis, p, number)))
            .collect();
        let value = json!({
            "observable": channel.observable,
            "edges": channel.edges,
            "processes": processes,
        });
        (channel.name.to_owned(), value)
    });
    Value::Object(channels.collect())
}

/// One process in one channel: its bins, their errors, and what every systematic uncertainty
/// does to them at -1 and +1, with the codes between.
fn process(analysis: Analysis<'_>, p: &ProcessPlan, number: usize) -> Value {
    let m = analysis.measurement;
    let scaled = |t: &[f64]| t.iter().map(|x| p.scale * x).collect::<Vec<f64>>();
    let nominal = &p.templates[number];
    let varied = analysis.plan.of_process(&p.name);
    let varied = varied.map(|(systematic, varied)| {
        let config = &m.systematics[systematic];
        let effect = varied.in_channel(p, number, config);
        let mut value = Map::new();
        let mut insert = |key: &str, x: Value| value.insert(key.to_owned(), x);
        if let Some(rates) = effect.rates {
            insert("rates", json!(rates));
            insert("interpolation", json!(config.interpolation));
        }
        if let Some([low, high]) = effect.shapes {
            let [down, up] = effect.rates.unwrap_or([1.0, 1.0]);
            let full = |side: &[f64], rate: f64| -> Vec<f64> {
                scaled(side).iter().map(|x| rate * x).collect()
            };
            insert("down", json!(full(&low, down)));
            insert("up", json!(full(&high, up)));
            let code = shape_code(config.density_interpolation);
            insert("shape_interpolation", json!(code));
        }
        (systematic.clone(), Value::Object(value))
    });
    let varied: Map<String, Value> = varied.collect();
    let errors = nominal.variances.iter().map(|v| p.scale * v.sqrt());
    json!({
        "coefficient": m.samples[&p.name].coefficient,
        "contents": scaled(&nominal.contents),
        "errors": errors.collect::<Vec<f64>>(),
        "systematics": varied,
    })
}
