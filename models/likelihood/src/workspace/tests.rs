//! Every modifier against its formula, and round trips.

mod combined;
mod exported;
mod hostile;

use crate::support::assert_near;
use serde_json::{Value, json};

use super::*;
use crate::fit::{FitSettings, fit};
use crate::histogram::HistogramModel;
use crate::{Error, Interpolation, Likelihood as _};

/// Two channels with all seven types of modifiers.
fn all_modifiers() -> Value {
    json!({
        "channels": [
            {"name": "SR", "samples": [
                {"name": "signal", "data": [5.0, 11.0], "modifiers": [
                    {"name": "mu", "type": "normfactor", "data": null},
                    {"name": "lumi", "type": "lumi", "data": null},
                    {"name": "mc", "type": "staterror", "data": [0.5, 0.75]},
                ]},
                {"name": "top", "data": [40.0, 30.0], "modifiers": [
                    {"name": "lumi", "type": "lumi", "data": null},
                    {"name": "jes", "type": "normsys", "data": {"lo": 0.94, "hi": 1.08}},
                    {"name": "jes", "type": "histosys",
                     "data": {"lo_data": [38.0, 31.5], "hi_data": [43.0, 28.0]}},
                    {"name": "mc", "type": "staterror", "data": [1.5, 0.0]},
                ]},
                {"name": "fakes", "data": [12.0, 0.0], "modifiers": [
                    {"name": "fake_rate", "type": "shapesys", "data": [3.0, 0.0]},
                ]},
            ]},
            {"name": "CR", "samples": [
                {"name": "top", "data": [200.0, 90.0, 1.0], "modifiers": [
                    {"name": "jes", "type": "normsys", "data": {"lo": 0.97, "hi": 1.02}},
                    {"name": "mc", "type": "staterror", "data": [4.0, 3.0, 0.0]},
                    {"name": "shape", "type": "shapefactor", "data": null},
                ]},
                {"name": "other", "data": [8.0, 7.0, 6.0], "modifiers": []},
                {"name": "signal", "data": [1.0, 0.5, 0.2], "modifiers": [
                    {"name": "mu", "type": "normfactor", "data": null},
                    {"name": "mc", "type": "staterror", "data": [0.1, 0.1, 0.0]},
                ]},
            ]},
        ],
        "observations": [
            {"name": "CR", "data": [215.0, 93.0, 4.0]},
            {"name": "SR", "data": [60.0, 38.0]},
        ],
        "measurements": [
            {"name": "main", "config": {"poi": "mu", "parameters": [
                {"name": "lumi", "inits": [1.0], "bounds": [[0.5, 1.5]], "auxdata": [1.0],
                 "sigmas": [0.02]},
                {"name": "mu", "inits": [1.0], "bounds": [[0.0, 8.0]]},
                {"name": "nobody", "fixed": true},
            ]}},
            {"name": "fixed", "config": {"poi": "mu", "parameters": [
                {"name": "lumi", "inits": [1.0], "bounds": [[0.5, 1.5]], "auxdata": [1.0],
                 "sigmas": [0.02], "fixed": true},
            ]}},
        ],
        "version": "1.0.0",
    })
}

fn read(workspace: &Value) -> Result<Imported, Error> {
    import(workspace.to_string().as_bytes(), &ImportOptions::default())
}

/// A point away from nominal; fixed parameters stay.
fn point(model: &HistogramModel, seed: f64) -> Vec<f64> {
    let mut at = model.nominal();
    for (k, x) in at.iter_mut().enumerate() {
        if model.fixed.iter().all(|(place, _)| *place != k) {
            *x += 0.3 * (seed * (k as f64 + 1.0)).sin();
        }
    }
    at
}

fn set(model: &HistogramModel, at: &mut [f64], name: &str, value: f64) {
    let place = model.parameters.iter().position(|p| p.name == name);
    at[place.unwrap_or_else(|| panic!("no {name}"))] = value;
}

#[test]
fn every_modifier_is_its_formula() {
    let Imported {
        model,
        interest,
        unused,
        ..
    } = read(&all_modifiers()).unwrap();
    assert_eq!(model.parameters[interest.unwrap()].name, "mu");
    assert_eq!(model.parameters[interest.unwrap()].bounds, (0.0, 8.0));
    assert_eq!(unused, ["nobody"]);
    let mut at = model.nominal();
    for (name, value) in [
        ("mu", 2.0),
        ("lumi", 1.1),
        ("jes", -1.0),
        // CR comes before SR in the alphabet
        ("mc[0]", 1.05),
        ("mc[3]", 0.9),
        ("mc[4]", 1.2),
        ("fake_rate[0]", 0.5),
        ("shape[1]", 3.0),
    ] {
        set(&model, &mut at, name, value);
    }
    let expected = model.channels[0].expected(&at);
    let signal = [2.0 * 1.1 * 0.9 * 5.0, 2.0 * 1.1 * 1.2 * 11.0];
    let top = [1.1 * 0.94 * 0.9 * 38.0, 1.1 * 0.94 * 1.2 * 31.5];
    let fakes = [6.0, 0.0];
    for bin in 0..2 {
        let sum = signal[bin] + top[bin] + fakes[bin];
        assert_near(expected[bin], sum, 1e-12 * sum);
    }
    let expected = model.channels[1].expected(&at);
    let by_hand = [
        0.97 * 1.05 * 200.0 + 8.0 + 2.0 * 1.05,
        0.97 * 3.0 * 90.0 + 7.0 + 2.0 * 0.5,
        0.97 + 6.0 + 2.0 * 0.2,
    ];
    for (found, by_hand) in expected.iter().zip(by_hand) {
        assert_near(found, by_hand, 1e-12 * by_hand);
    }
}

#[test]
fn constraints_are_those_of_histfactory() {
    let Imported { model, .. } = read(&all_modifiers()).unwrap();
    let place = |name: &str| {
        model
            .parameters
            .iter()
            .position(|p| p.name == name)
            .unwrap()
    };
    let width = |name: &str| model.parameters[place(name)].constraint.unwrap().width;
    // samples in quadrature, relative to their sum
    let expected = (0.25_f64 + 2.25).sqrt() / 45.0;
    assert_near(width("mc[3]"), expected, 1e-15);
    assert_near(width("mc[4]"), 0.75 / 41.0, 1e-15);
    assert_eq!((width("lumi"), width("jes")), (0.02, 1.0));
    let counts = &model.constraints;
    assert_eq!(counts.len(), 2);
    assert_eq!((counts[0].tau, counts[0].observed), (16.0, 16.0));
    // no uncertainty, no freedom
    let fixed = [place("mc[2]"), place("fake_rate[1]")].map(|k| (k, 1.0));
    assert!(
        fixed.iter().all(|f| model.fixed.contains(f)),
        "{:?}",
        model.fixed
    );
    assert_eq!(model.fixed.len(), 2);
    let options = ImportOptions {
        measurement: Some("fixed".into()),
        ..ImportOptions::default()
    };
    let text = all_modifiers().to_string();
    let other = import(text.as_bytes(), &options).unwrap();
    assert_eq!(other.model.fixed.len(), 3);
}

#[test]
fn export_and_import_give_the_same_likelihood() {
    let Imported { model, .. } = read(&all_modifiers()).unwrap();
    let at = point(&model, 0.7);
    // data and auxiliary measurements away from nominal travel as well
    let model = model.asimov(&at).unwrap();
    let (workspace, settings) = export(&model, "again").unwrap();
    assert_eq!(settings.rates, Interpolation::Code4);
    assert_eq!(settings.shapes, Interpolation::Code4p);
    let again = read(&workspace).unwrap().model;
    assert_eq!(again.fixed.len(), model.fixed.len());
    for seed in [0.3, 1.1, 2.9] {
        let at = point(&model, seed);
        let mut same = again.nominal();
        for (parameter, value) in model.parameters.iter().zip(&at) {
            set(&again, &mut same, &parameter.name, *value);
        }
        let (one, other) = (model.negative_log_pdf(&at), again.negative_log_pdf(&same));
        assert_near(one / other, 1.0, 1e-13);
    }
}

#[test]
fn a_fit_respects_fixed_parameters() {
    let Imported { model, .. } = read(&all_modifiers()).unwrap();
    let settings = FitSettings {
        fixed: model.fixed.clone(),
        ..FitSettings::default()
    };
    let fit = fit(&model.likelihood(), &settings).unwrap();
    fit.checked().unwrap();
    for (place, value) in &model.fixed {
        assert_eq!(fit.point[*place], *value);
    }
}

#[test]
fn reference_points_name_parameters_and_channels() {
    let Imported { model, .. } = read(&all_modifiers()).unwrap();
    let at = point(&model, 0.4);
    let found = reference(&model, std::slice::from_ref(&at));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].parameters["mu"], json!(at[0]));
    assert_eq!(found[0].negative_log_pdf, model.negative_log_pdf(&at));
    assert_eq!(
        found[0].expected["CR"],
        json!(model.channels[1].expected(&at))
    );
    assert_eq!(
        model.likelihood().parameters().len(),
        found[0].parameters.len()
    );
}
