//! Every modifier against its formula, round trips, hostile workspaces.

use serde_json::{Value, json};

use super::*;
use crate::inference::fit::{FitSettings, fit};
use crate::inference::histogram::{Factor, HistogramChannel, HistogramModel, Modifier, Template};
use crate::inference::{Coefficient, Interpolation, Likelihood as _, Parameter, Role};

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
                {"name": "top", "data": [200.0, 90.0, 0.0], "modifiers": [
                    {"name": "jes", "type": "normsys", "data": {"lo": 0.97, "hi": 1.02}},
                    {"name": "mc", "type": "staterror", "data": [4.0, 3.0, 0.0]},
                    {"name": "shape", "type": "shapefactor", "data": null},
                ]},
                {"name": "other", "data": [8.0, 7.0, 6.0], "modifiers": []},
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

fn read(workspace: &Value) -> Result<Imported, WorkspaceError> {
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
        assert!((expected[bin] - sum).abs() < 1e-12 * sum, "{expected:?}");
    }
    let expected = model.channels[1].expected(&at);
    let by_hand = [0.97 * 1.05 * 200.0 + 8.0, 0.97 * 3.0 * 90.0 + 7.0, 6.0];
    for (found, by_hand) in expected.iter().zip(by_hand) {
        assert!((found - by_hand).abs() < 1e-12 * by_hand, "{expected:?}");
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
    assert!((width("mc[3]") - expected).abs() < 1e-15);
    assert!((width("mc[4]") - 0.75 / 41.0).abs() < 1e-15);
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
        assert!((one / other - 1.0).abs() < 1e-13, "{one} {other}");
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

/// The message of a workspace that was changed.
fn refusal(change: impl Fn(&mut Value)) -> String {
    let mut workspace = all_modifiers();
    change(&mut workspace);
    match read(&workspace) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn hostile_modifiers_are_named() {
    let top = "/channels/0/samples/1/modifiers";
    let set = |pointer: String, value: Value| {
        move |workspace: &mut Value| *workspace.pointer_mut(&pointer).unwrap() = value.clone()
    };
    let cases = [
        (
            format!("{top}/1/type"),
            json!("normshape"),
            "normshape `jes`: this type of modifier",
        ),
        (
            format!("{top}/1/data"),
            json!(null),
            "channel `SR`, sample `top`, normsys `jes`: data must be",
        ),
        (
            format!("{top}/1/data/lo"),
            json!(0.0),
            "normsys `jes`, lo: 0 is not a positive factor",
        ),
        (
            format!("{top}/1/data"),
            json!({"lo": 1, "hi": 1, "x": 1}),
            "unknown field `x`",
        ),
        (
            format!("{top}/2/data/hi_data"),
            json!([1.0]),
            "hi_data: 1 values; the channel has 2 bins",
        ),
        (
            format!("{top}/3/data"),
            json!([1.0, -1.0]),
            "staterror `mc`, data, bin 1: -1 is not",
        ),
        (
            format!("{top}/3/data"),
            json!([1.0, "1"]),
            "staterror `mc`: data must be a list",
        ),
        (
            format!("{top}/0/data"),
            json!(1.0),
            "lumi `lumi`: data must be null",
        ),
        (
            format!("{top}/1/name"),
            json!("mu"),
            "normsys `mu`: the name stands for a normfactor",
        ),
        (
            format!("{top}/1"),
            json!({"name": "lumi", "type": "lumi", "data": null}),
            "sample `top`: lumi `lumi` is there twice",
        ),
        (
            "/channels/1/samples/1/modifiers".into(),
            json!([{"name": "fake_rate", "type": "shapesys", "data": [1.0, 1.0, 1.0]}]),
            "shapesys `fake_rate`: the name stands for a shapesys elsewhere",
        ),
    ];
    for (pointer, value, words) in cases {
        let message = refusal(set(pointer.clone(), value));
        assert!(message.contains(words), "{pointer}: {message}");
    }
}

#[test]
fn hostile_documents_are_refused() {
    let set = |pointer: &'static str, value: Value| {
        move |workspace: &mut Value| *workspace.pointer_mut(pointer).unwrap() = value.clone()
    };
    let cases = [
        ("/version", json!("2.0.0"), "schema version `2.0.0`"),
        ("/channels", json!([]), "no channel"),
        (
            "/channels/1/samples",
            json!([]),
            "channel `CR` has no sample",
        ),
        (
            "/channels/1/name",
            json!("SR"),
            "channel `SR` is there twice",
        ),
        (
            "/channels/0/samples/1/name",
            json!("signal"),
            "sample `signal` is there twice",
        ),
        (
            "/channels/0/samples/1/data",
            json!([1.0]),
            "`top`, data: 1 values; the channel has 2",
        ),
        (
            "/channels/0/samples/1/data",
            json!([-60.0, 1.0]),
            "`SR`, bin 0: all samples sum to -43",
        ),
        (
            "/observations/1/data",
            json!([60.0, -1.0]),
            "`SR`, the observation, bin 1: -1",
        ),
        (
            "/observations/1/data",
            json!([60.0]),
            "the observation: 1 values",
        ),
        (
            "/observations/1/name",
            json!("VR"),
            "observation of channel `VR`",
        ),
        (
            "/observations/1/name",
            json!("CR"),
            "observation of channel `CR` is there twice",
        ),
        (
            "/observations",
            json!([]),
            "channel `SR` has no observation",
        ),
        ("/measurements", json!([]), "no measurement"),
        (
            "/measurements/0/config/poi",
            json!("nu"),
            "parameter of interest `nu`",
        ),
        (
            "/measurements/0/config/poi",
            json!("mc"),
            "parameter of interest `mc`",
        ),
        (
            "/measurements/0/config/parameters",
            json!([]),
            "luminosity needs inits",
        ),
        (
            "/measurements/0/config/parameters/1/bounds",
            json!([[2.0, 2.0]]),
            "leave nothing",
        ),
        (
            "/measurements/0/config/parameters/1/inits",
            json!([9.0]),
            "starts at 9, outside",
        ),
        (
            "/measurements/0/config/parameters/1/inits",
            json!([]),
            "inits has 0 values",
        ),
        (
            "/measurements/0/config/parameters/0/sigmas",
            json!([0.0]),
            "sigma 0 is not positive",
        ),
        (
            "/measurements/0/config/parameters/1",
            json!({"name": "mu", "auxdata": [1.0]}),
            "a normfactor has no auxdata",
        ),
        (
            "/measurements/0/config/parameters/1",
            json!({"name": "mu", "unit": 1}),
            "unknown field",
        ),
    ];
    for (pointer, value, words) in cases {
        let message = refusal(set(pointer, value));
        assert!(message.contains(words), "{pointer}: {message}");
    }
    let options = ImportOptions {
        measurement: Some("other".into()),
        ..ImportOptions::default()
    };
    let text = all_modifiers().to_string();
    let message = import(text.as_bytes(), &options).err().unwrap().to_string();
    assert!(message.contains("no measurement `other`"), "{message}");
    for text in [
        "",
        "[",
        "{}",
        "null",
        r#"{"version": "1.0.0", "version": "1.0.0"}"#,
    ] {
        let refused = import(text.as_bytes(), &ImportOptions::default());
        assert!(matches!(refused, Err(WorkspaceError::Json(_))), "{text}");
    }
    let huge = text.replace("215.0", "1e999");
    assert!(import(huge.as_bytes(), &ImportOptions::default()).is_err());
}

/// A reader that never ends: a workspace of 10^9 bins and more.
struct Endless;

impl std::io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        buffer.fill(b' ');
        Ok(buffer.len())
    }
}

#[test]
fn sizes_are_bounded() {
    let limits = |limits: Limits| ImportOptions {
        limits,
        ..ImportOptions::default()
    };
    let few = limits(Limits {
        bytes: 100_000,
        ..Limits::default()
    });
    let endless = import(Endless, &few).err().unwrap();
    assert!(
        matches!(endless, WorkspaceError::TooLarge { what: "bytes", .. }),
        "{endless}"
    );
    let text = all_modifiers().to_string();
    let bins = limits(Limits {
        bins: 2,
        ..Limits::default()
    });
    let message = import(text.as_bytes(), &bins).err().unwrap().to_string();
    assert!(message.contains("3 bins in a channel"), "{message}");
    let parameters = limits(Limits {
        parameters: 10,
        ..Limits::default()
    });
    let message = import(text.as_bytes(), &parameters)
        .err()
        .unwrap()
        .to_string();
    assert!(message.contains("parameters, at most 10"), "{message}");
}

/// A model as an analysis builds it: one sample with a coefficient.
fn with_coefficient(text: &str, fixed: bool, code: Interpolation) -> HistogramModel {
    let coefficient = Coefficient::parse(text, &["mu", "a", "b[0]", "b[1]"]).unwrap();
    let template = Template {
        name: "s".into(),
        nominal: vec![4.0, 9.0],
        factors: vec![Factor::Coefficient(coefficient)],
        modifiers: vec![
            Modifier::Shape {
                parameter: 1,
                low: vec![3.5, 9.5],
                high: vec![4.5, 8.0],
                code,
            },
            Modifier::PerBin {
                parameters: vec![2, 3],
            },
        ],
    };
    let free = |name: &str| Parameter {
        role: Role::Nuisance,
        ..Parameter::interest(name, 1.0, (0.0, 5.0))
    };
    let parameters = vec![
        Parameter::interest("mu", 1.5, (0.0, 5.0)),
        Parameter::nuisance("a"),
        free("b[0]"),
        free("b[1]"),
    ];
    HistogramModel {
        channels: vec![HistogramChannel::new("SR", vec![template], vec![5.0, 8.0], 4).unwrap()],
        parameters,
        fixed: if fixed { vec![(0, 4.0)] } else { vec![] },
        constraints: vec![],
    }
}

#[test]
fn coefficients_are_written_where_a_workspace_has_a_word() {
    let (workspace, _) = export(&with_coefficient("mu", false, Interpolation::Code0), "m").unwrap();
    let read_back = read_with(&workspace, Interpolation::Code0);
    let sample = &workspace["channels"][0]["samples"][0];
    assert_eq!(sample["modifiers"][0]["type"], "normfactor");
    assert_eq!(sample["modifiers"][2]["type"], "shapefactor");
    assert_eq!(read_back.parameters.len(), 4);
    // mu = 4: 4 - 2
    let fixed = with_coefficient("mu - sqrt(mu)", true, Interpolation::Code4p);
    let (workspace, _) = export(&fixed, "m").unwrap();
    assert_eq!(
        workspace["channels"][0]["samples"][0]["data"],
        json!([8.0, 18.0])
    );
    let free = with_coefficient("mu - sqrt(mu)", false, Interpolation::Code4p);
    let message = export(&free, "m").unwrap_err().to_string();
    assert!(
        message.contains("`mu - sqrt(mu)` is no normfactor"),
        "{message}"
    );
}

fn read_with(workspace: &Value, shapes: Interpolation) -> HistogramModel {
    let options = ImportOptions {
        shapes,
        ..ImportOptions::default()
    };
    import(workspace.to_string().as_bytes(), &options)
        .unwrap()
        .model
}

#[test]
fn what_a_workspace_cannot_say_is_refused() {
    let multiplied = with_coefficient("mu", false, Interpolation::Code4);
    let message = export(&multiplied, "m").unwrap_err().to_string();
    assert!(
        message.contains("parameter `a`: interpolation Code4"),
        "{message}"
    );
    let mut wide = with_coefficient("mu", false, Interpolation::Code4p);
    if let Some(constraint) = &mut wide.parameters[1].constraint {
        constraint.width = 2.0;
    }
    let message = export(&wide, "m").unwrap_err().to_string();
    assert!(message.contains("constraint of width 1"), "{message}");
    let mut named = with_coefficient("mu", false, Interpolation::Code4p);
    named.parameters[3].name = "other".into();
    let message = export(&named, "m").unwrap_err().to_string();
    assert!(message.contains("`other` belongs to a bin"), "{message}");
    let mut mixed = with_coefficient("mu", false, Interpolation::Code4p);
    mixed.parameters[3].constraint = Parameter::nuisance("").constraint;
    let message = export(&mixed, "m").unwrap_err().to_string();
    assert!(
        message.contains("`b[1]` is not constrained as the other bins"),
        "{message}"
    );
    let mut endless = with_coefficient("mu", false, Interpolation::Code4p);
    endless.parameters[0].bounds.1 = f64::INFINITY;
    let message = export(&endless, "m").unwrap_err().to_string();
    assert!(message.contains("`mu` has no finite bounds"), "{message}");
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
