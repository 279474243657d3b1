//! Workspaces that must be refused, with the words that say why.

use serde_json::{Value, json};

use super::super::*;
use super::{all_modifiers, read};

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
            "/measurements/1/name",
            json!("main"),
            "measurement `main` is there twice",
        ),
        (
            "/measurements/0/config/parameters/2/name",
            json!("mu"),
            "parameter `mu` is there twice",
        ),
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

/// Places of all values below one.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(list) => {
            for (i, inner) in list.iter().enumerate() {
                places(inner, &format!("{at}/{i}"), found);
            }
        }
        Value::Object(map) => {
            for (key, inner) in map {
                places(inner, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn no_value_in_the_place_of_another_does_harm() {
    let workspace = all_modifiers();
    let mut found = Vec::new();
    places(&workspace, "", &mut found);
    let odd = [
        json!(null),
        json!(-1),
        json!(0.0),
        json!(1e-308),
        json!(1e308),
        json!([]),
        json!({}),
        json!("mc"),
    ];
    let mut accepted = 0;
    for place in &found {
        for value in &odd {
            let mut changed = workspace.clone();
            *changed.pointer_mut(place).unwrap() = value.clone();
            if let Ok(Imported { model, .. }) = read(&changed) {
                accepted += 1;
                let nll = model.negative_log_pdf(&model.nominal());
                assert!(!nll.is_nan(), "{place} = {value}");
            }
        }
    }
    // most are refused; a count or an uncertainty may well be 0
    assert!(
        accepted > 0 && accepted < found.len() * odd.len() / 2,
        "{accepted}"
    );
}
