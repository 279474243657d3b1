//! Workspaces that must be refused, with the words that say why.

use super::super::*;
use super::{all_modifiers, read};
use crate::support::assert_refused;
use crate::workspace;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write as _;

/// The place of a value, another one, and what is said of it.
const MODIFIERS: &str = r#"
1/type | "normshape" | normshape `jes`: this type of modifier
1/data | null | channel `SR`, sample `top`, normsys `jes`: data must be
1/data/lo | 0.0 | normsys `jes`, lo: 0 is not a positive factor
1/data | {"lo": 1, "hi": 1, "x": 1} | unknown field `x`
2/data/hi_data | [1.0] | hi_data: 1 values; the channel has 2 bins
3/data | [1.0, -1.0] | staterror `mc`, data, bin 1: -1 is not
3/data | [1.0, "1"] | staterror `mc`: data must be a list
0/data | 1.0 | lumi `lumi`: data must be null
1/name | "mu" | normsys `mu`: the name stands for a normfactor
1 | {"name": "lumi", "type": "lumi", "data": null} | sample `top`: lumi `lumi` is there twice
"#;

const DOCUMENTS: &str = r#"
/version | "2.0.0" | schema version `2.0.0`
/channels | [] | no channel
/channels/1/samples | [] | channel `CR` has no sample
/channels/1/name | "SR" | channel `SR` is there twice
/channels/0/samples/1/name | "signal" | sample `signal` is there twice
/channels/0/samples/1/data | [1.0] | `top`, data: 1 values; the channel has 2
/channels/0/samples/1/data | [-60.0, 1.0] | `SR`, bin 0: all samples sum to -43
/observations/1/data | [60.0, -1.0] | `SR`, the observation, bin 1: -1
/observations/1/data | [60.0] | the observation: 1 values
/observations/1/name | "VR" | observation of channel `VR`
/observations/1/name | "CR" | observation of channel `CR` is there twice
/observations | [] | channel `SR` has no observation
/measurements | [] | no measurement
/measurements/1/name | "main" | measurement `main` is there twice
/measurements/0/config/parameters/2/name | "mu" | parameter `mu` is there twice
/channels/1/samples/1/modifiers | [{"name": "mc[0]", "type": "normfactor", "data": null}] | parameter `mc[0]` is there twice
/measurements/0/config/poi | "nu" | parameter of interest `nu`
/measurements/0/config/poi | "mc" | parameter of interest `mc`
/measurements/0/config/parameters | [] | luminosity needs inits
/measurements/0/config/parameters/1/bounds | [[2.0, 2.0]] | leave nothing
/measurements/0/config/parameters/1/inits | [9.0] | starts at 9, outside
/measurements/0/config/parameters/1/inits | [] | inits has 0 values
/measurements/0/config/parameters/0/sigmas | [0.0] | sigma 0 is not positive
/measurements/0/config/parameters/1 | {"name": "mu", "auxdata": [1.0]} | a normfactor has no auxdata
/measurements/0/config/parameters/1 | {"name": "mu", "unit": 1} | unknown field
"#;

fn assert_changed_refused(pointer: &str, value: Value, words: &str) {
    let mut workspace = all_modifiers();
    *workspace.pointer_mut(pointer).unwrap() = value;
    assert_refused(read(&workspace), words);
}

fn assert_all_refused(within: &str, cases: &str) {
    for case in cases.trim().lines() {
        let [pointer, value, words] = case.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("{case}");
        };
        let value = serde_json::from_str(value).unwrap();
        assert_changed_refused(&format!("{within}{pointer}"), value, words);
    }
}

#[test]
fn hostile_modifiers_are_named() {
    assert_all_refused("/channels/0/samples/1/modifiers/", MODIFIERS);
    let again = json!([{"name": "fake_rate", "type": "shapesys", "data": [1.0, 1.0, 1.0]}]);
    let words = "shapesys `fake_rate`: the name stands for a shapesys elsewhere";
    assert_changed_refused("/channels/1/samples/1/modifiers", again, words);
}

#[test]
fn hostile_documents_are_refused() {
    assert_all_refused("", DOCUMENTS);
    let options = ImportOptions {
        measurement: Some("other".into()),
        ..ImportOptions::default()
    };
    let text = all_modifiers().to_string();
    assert_refused(import(text.as_bytes(), &options), "no measurement `other`");
    let twice = r#"{"version": "1.0.0", "version": "1.0.0"}"#;
    for text in ["", "[", "{}", "null", twice] {
        let refused = import(text.as_bytes(), &ImportOptions::default());
        assert_refused(refused, "this is no pyhf workspace");
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
    let with = |change: fn(&mut Limits)| {
        let mut options = ImportOptions::default();
        change(&mut options.limits);
        options
    };
    let few = with(|limits| limits.bytes = 100_000);
    assert_refused(
        import(Endless, &few),
        "the workspace: it has more than 100000 bytes;",
    );
    let text = all_modifiers().to_string();
    let bins = import(text.as_bytes(), &with(|limits| limits.bins = 2));
    assert_refused(bins, "3 bins in a channel");
    let parameters = import(text.as_bytes(), &with(|limits| limits.parameters = 10));
    assert_refused(parameters, "parameters, at most 10");
    let channels = import(text.as_bytes(), &with(|limits| limits.channels = 1));
    assert_refused(channels, "2 channels, at most 1");
    let numbers = import(text.as_bytes(), &with(|limits| limits.numbers = 15));
    assert_refused(numbers, "numbers in modifiers, at most 15");
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_documents_are_bounded_by_what_they_unpack_to() {
    let text = all_modifiers().to_string();
    let packed = compressed(text.as_bytes());
    assert_eq!(
        workspace::read(packed.as_slice(), &Limits::default()).unwrap(),
        text.as_bytes()
    );
    assert!(import(packed.as_slice(), &ImportOptions::default()).is_ok());
    let mut options = ImportOptions::default();
    options.limits.bytes = 100_000;
    let bomb = compressed(&vec![b' '; 10_000_000]);
    assert!(bomb.len() < 20_000);
    let refused = import(bomb.as_slice(), &options);
    assert_refused(
        refused,
        "the workspace: it has more than 100000 bytes unpacked;",
    );
    for damaged in [
        &packed[..packed.len() / 2],
        &packed[..2],
        &[0x1f, 0x8b, 0, 0, 0],
    ] {
        let refused = import(damaged, &ImportOptions::default());
        assert_refused(refused, "the workspace: it cannot be read");
    }
    for short in [&b""[..], b"{"] {
        let refused = import(short, &ImportOptions::default());
        assert_refused(refused, "this is no pyhf workspace");
    }
}

#[test]
fn a_missing_signal_is_named_with_the_way_out() {
    let mut workspace = all_modifiers();
    workspace["measurements"][0]["config"]["poi"] = json!("mu_SIG");
    let text = workspace.to_string();
    let with = |poi: Poi| {
        let options = ImportOptions {
            poi,
            ..ImportOptions::default()
        };
        import(text.as_bytes(), &options)
    };
    let words = "the workspace has no signal: parameter of interest `mu_SIG` of measurement \
                 `main` is in no sample; add a patch, or --poi none; samples are scaled by `mu`";
    assert_refused(with(Poi::Measured), words);
    assert_eq!(with(Poi::None).unwrap().interest, None);
    let named = with(Poi::Named("mu".into())).unwrap();
    let place = named.interest.unwrap();
    assert_eq!(named.model.parameters[place].name, "mu");
    let words = "parameter of interest `nu` is in no sample; samples are scaled by `mu`";
    assert_refused(with(Poi::Named("nu".into())), words);
    assert_refused(with(Poi::Named("mc".into())), "`mc` is one for each bin");
}

#[test]
fn what_is_odd_is_noted_or_refused_by_bin() {
    let mut workspace = all_modifiers();
    let data = workspace.pointer_mut("/observations/0/data").unwrap();
    *data = json!([215.0, 9.999e-5, 4.5]);
    let settings = workspace.pointer_mut("/measurements/0/config/parameters/1");
    *settings.unwrap() =
        json!({"name": "mu", "inits": [9.0], "bounds": [[0.0, 8.0]], "fixed": true});
    let jes = json!({"name": "idle", "type": "normsys", "data": {"lo": 1.0, "hi": 1.0}});
    let modifiers = workspace.pointer_mut("/channels/1/samples/1/modifiers");
    *modifiers.unwrap() = json!([jes]);
    let found = read(&workspace).unwrap();
    assert_eq!(
        found.notes,
        [
            "counts that are no whole numbers are taken as they are: channel `CR`, bin 1: \
             0.00009999, and 1 more",
            "parameter `mu` is fixed at 9, outside of its bounds 0 to 8",
            "parameters that no expected count depends on: `idle`",
        ]
    );
    let mut empty = all_modifiers();
    for sample in 0..3 {
        let data = empty.pointer_mut(&format!("/channels/0/samples/{sample}/data/1"));
        *data.unwrap() = json!(0.0);
    }
    // the variation of a sample lifts it
    assert!(read(&empty).is_ok());
    let shape = empty.pointer_mut("/channels/0/samples/1/modifiers/2/data");
    *shape.unwrap() = json!({"lo_data": [38.0, 0.0], "hi_data": [43.0, 0.0]});
    let words = "channel `SR`, bin 1: 38 events are observed where no sample has any";
    assert_refused(read(&empty), words);
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
    let odd = json!([null, -1, 0.0, 1e-308, 1e308, [], {}, "mc"]);
    let odd = odd.as_array().unwrap();
    let mut accepted = 0;
    for place in &found {
        for value in odd {
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
