//! Workspaces side by side: the likelihood is the product, contradictions are refused.

use super::super::*;
use super::{all_modifiers, point, read};
use crate::support::{assert_near, assert_refused};
use serde_json::{Value, json};

/// The same measurement elsewhere: other channels, the same parameters but for those of bins.
fn elsewhere() -> Value {
    let mut text = all_modifiers().to_string();
    for (from, to) in [("\"SR\"", "\"SR2\""), ("\"CR\"", "\"CR2\"")] {
        text = text.replace(from, to);
    }
    for name in ["mc", "fake_rate", "shape"] {
        text = text.replace(&format!("\"{name}\""), &format!("\"{name}_2\""));
    }
    serde_json::from_str(&text).unwrap()
}

fn combined(
    one: &Value,
    other: &Value,
    change: impl Fn(&mut CombineSettings),
) -> Result<Combined, crate::Error> {
    let part = |name, workspace| Part {
        name,
        workspace,
        measurement: None,
    };
    let mut settings = CombineSettings {
        measurement: "both".into(),
        ..CombineSettings::default()
    };
    change(&mut settings);
    combine(&[part("one.json", one), part("two.json", other)], &settings)
}

#[test]
fn the_likelihood_is_the_product_with_shared_constraints_once() {
    let (one, other) = (all_modifiers(), elsewhere());
    let both = combined(&one, &other, |_| ()).unwrap();
    assert!(both.notes.is_empty(), "{:?}", both.notes);
    let [both, one, other] = [&both.workspace, &one, &other].map(|w| read(w).unwrap().model);
    // mu, lumi and jes are shared
    let count = one.parameters.len() + other.parameters.len() - 3;
    assert_eq!(both.parameters.len(), count);
    assert_eq!(both.fixed.len(), one.fixed.len() + other.fixed.len());
    let at = point(&both, 0.6);
    let own = |model: &crate::histogram::HistogramModel| -> Vec<f64> {
        let place = |name: &str| both.parameters.iter().position(|p| p.name == name).unwrap();
        let places = model.parameters.iter().map(|p| place(&p.name));
        places.map(|k| at[k]).collect()
    };
    let (at_one, at_other) = (own(&one), own(&other));
    let twice: f64 = one
        .parameters
        .iter()
        .zip(&at_one)
        .filter(|(p, _)| ["lumi", "jes"].contains(&p.name.as_str()))
        .map(|(p, x)| {
            let constraint = p.constraint.unwrap();
            let root = constraint.width * (2.0 * std::f64::consts::PI).sqrt();
            constraint.penalty(*x)[0] + root.ln()
        })
        .sum();
    let sum = one.negative_log_pdf(&at_one) + other.negative_log_pdf(&at_other) - twice;
    assert_near(both.negative_log_pdf(&at), sum, 1e-9);
}

#[test]
fn channels_of_one_name_are_refused_the_same_or_chosen() {
    let one = all_modifiers();
    let mut other = elsewhere();
    other["channels"][0] = one["channels"][0].clone();
    other["observations"][1] = one["observations"][1].clone();
    // parameters of the bins are those of the first part's channel
    let words = "channel `SR` is in one.json and in two.json";
    assert_refused(combined(&one, &other, |_| ()), words);
    let mut with = one.clone();
    with["channels"].as_array_mut().unwrap().truncate(1);
    with["observations"].as_array_mut().unwrap().remove(0);
    let outer = |s: &mut CombineSettings| s.join = Join::Outer;
    let both = combined(&with, &one, outer).unwrap();
    let [both, alone] = [&both.workspace, &one].map(|w| read(w).unwrap().model);
    assert_near(
        both.negative_log_pdf(&both.nominal()),
        alone.negative_log_pdf(&alone.nominal()),
        1e-9,
    );
    let mut changed = with.clone();
    changed["observations"][0]["data"] = json!([61.0, 38.0]);
    let words = "channel `SR` of one.json is not that of two.json";
    assert_refused(combined(&changed, &one, outer), words);
    for (join, data) in [(Join::LeftOuter, 61.0), (Join::RightOuter, 60.0)] {
        let both = combined(&changed, &one, |s| s.join = join).unwrap();
        let found = read(&both.workspace).unwrap().model;
        let channel = found.channels.iter().find(|c| c.name() == "SR").unwrap();
        assert_near(channel.observed()[0], data, 0.0);
        assert!(
            both.notes[0].contains("channel `SR` is that of"),
            "{:?}",
            both.notes
        );
    }
}

#[test]
fn contradictions_name_both_parts() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 12] = [
        (
            |w| w["measurements"][0]["config"]["parameters"][0]["fixed"] = json!(true),
            "parameter `lumi`: fixed false and true in one.json and two.json",
        ),
        (
            |w| w["measurements"][0]["config"]["parameters"][0]["sigmas"] = json!([0.03]),
            "parameter `lumi`: sigmas [0.02] and [0.03] in one.json and two.json",
        ),
        (
            |w| {
                w["channels"][0]["samples"][1]["modifiers"][1] =
                    json!({"name": "jes", "type": "normfactor", "data": null})
            },
            "two.json: channel `SR2`: `jes` is a normfactor and a normsys or histosys",
        ),
        (
            |w| w["channels"][0]["samples"][2]["modifiers"][0]["name"] = json!("fake_rate"),
            "`fake_rate` is a shapesys of both one.json and two.json",
        ),
        (
            |w| w["measurements"][0]["config"]["poi"] = json!("nu"),
            "one.json has the parameter of interest `mu` and two.json has `nu`",
        ),
        (
            |w| w["version"] = json!("2.0.0"),
            "two.json: the workspace has schema version",
        ),
        (
            |w| w["measurements"] = json!([]),
            "two.json: the workspace has no measurement",
        ),
        (
            |w| w["observations"] = json!([]),
            "two.json: channel `SR2` has no observation",
        ),
        (
            |w| w["observations"][0]["name"] = json!("SR2"),
            "two.json: the observation of channel `SR2` is there twice",
        ),
        (
            |w| w["observations"][0]["name"] = json!("VR"),
            "two.json: there is an observation of channel `VR`",
        ),
        (
            |w| w["measurements"][1]["name"] = json!("main"),
            "two.json: measurement `main` is there twice",
        ),
        (
            |w| w["measurements"][0]["config"]["parameters"][2]["name"] = json!("mu"),
            "two.json: measurement `main`: parameter `mu` is there twice",
        ),
    ];
    for (change, words) in cases {
        let mut other = elsewhere();
        change(&mut other);
        assert_refused(combined(&all_modifiers(), &other, |_| ()), words);
    }
    let one = all_modifiers();
    let refused = combined(&one, &elsewhere(), |s| s.poi = Some("nu".into()));
    assert_refused(refused, "parameter of interest `nu` is in no part");
    let rename = |from: &str, to: &str| vec![(from.to_owned(), to.to_owned())];
    let refused = combined(&one, &elsewhere(), |s| s.rename = rename("nu", "mu"));
    assert_refused(refused, "no part has a parameter `nu`");
    let refused = combined(&one, &elsewhere(), |s| s.rename = rename("mu", "lumi"));
    assert_refused(refused, "one.json: `mu` cannot become `lumi`");
    let part = Part {
        name: "one.json",
        workspace: &one,
        measurement: None,
    };
    assert_refused(
        combine(&[part], &CombineSettings::default()),
        "1 workspaces",
    );
}

#[test]
fn a_part_is_preferred_parameters_are_renamed_bounds_are_the_widest() {
    let one = all_modifiers();
    let mut other = elsewhere();
    other["measurements"][0]["config"]["parameters"][0]["fixed"] = json!(true);
    other["measurements"][0]["config"]["parameters"][1]["bounds"] = json!([[-1.0, 5.0]]);
    for (prefer, is_fixed) in [(0, false), (1, true)] {
        let both = combined(&one, &other, |s| s.prefer = Some(prefer)).unwrap();
        let model = read(&both.workspace).unwrap().model;
        let place = |name: &str| {
            model
                .parameters
                .iter()
                .position(|p| p.name == name)
                .unwrap()
        };
        let fixed = model.fixed.iter().any(|(k, _)| *k == place("lumi"));
        assert_eq!(fixed, is_fixed);
        assert_eq!(model.parameters[place("mu")].bounds, (-1.0, 8.0));
        assert!(
            both.notes
                .iter()
                .any(|n| n.contains("`mu` has the widest bounds"))
        );
        assert!(
            both.notes
                .iter()
                .any(|n| n.contains("`lumi` has the settings of"))
        );
    }
    // another strength, with the settings of its own
    let text = elsewhere().to_string().replace("\"mu\"", "\"strength\"");
    let other: Value = serde_json::from_str(&text).unwrap();
    let both = combined(&one, &other, |s| {
        s.rename = vec![("strength".into(), "mu".into())];
    });
    let shared = read(&both.unwrap().workspace).unwrap();
    let apart = combined(&one, &other, |s| s.poi = Some("mu".into())).unwrap();
    let apart = read(&apart.workspace).unwrap();
    assert_eq!(
        apart.model.parameters.len(),
        shared.model.parameters.len() + 1
    );
    assert!(shared.interest.is_some() && apart.interest.is_some());
    // two parameters of one part become one, which is said
    let rename = |s: &mut CombineSettings| s.rename = vec![("jes_CR".into(), "jes".into())];
    let mut apart = elsewhere();
    apart["channels"][1]["samples"][0]["modifiers"][0]["name"] = json!("jes_CR");
    let merged = combined(&one, &apart, rename).unwrap();
    let same = combined(&one, &elsewhere(), |_| ()).unwrap();
    assert_eq!(merged.workspace, same.workspace);
    let said = "two.json: its parameters `jes_CR` and `jes` are one, `jes`";
    assert_eq!(merged.notes, [said]);
    // what a part says of a parameter that it does not have is nothing to the other
    let mut silent = elsewhere();
    let parameters = silent
        .pointer_mut("/measurements/0/config/parameters")
        .unwrap();
    let settings = json!({"name": "fake_rate", "fixed": true});
    parameters.as_array_mut().unwrap().push(settings);
    let both = combined(&one, &silent, |_| ()).unwrap();
    let model = read(&both.workspace).unwrap().model;
    assert_eq!(model.fixed.len(), 4);
}
