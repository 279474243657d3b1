//! Models that an analysis builds, as workspaces.

use super::super::*;
use super::{all_modifiers, read};
use crate::histogram::{Factor, HistogramChannel, HistogramModel, Modifier, Template};
use crate::support::assert_refused;
use crate::{Coefficient, Interpolation, Parameter, Role};
use serde_json::{Value, json};

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
    assert_refused(export(&free, "m"), "`mu - sqrt(mu)` of mu is no normfactor");
}

#[test]
fn a_multiple_of_a_parameter_is_its_normfactor_at_fixed_values_of_others() {
    let mut model = with_coefficient("mu", false, Interpolation::Code4p);
    let other = Parameter::interest("kl", 1.0, (-5.0, 5.0));
    model.parameters.push(other);
    let template = model.channels[0].templates()[0].clone();
    let channel = |text: &str| {
        let names = ["mu", "a", "b[0]", "b[1]", "kl"];
        let coefficient = Coefficient::parse(text, &names).unwrap();
        let template = Template {
            factors: vec![Factor::Coefficient(coefficient)],
            ..template.clone()
        };
        vec![HistogramChannel::new("SR", vec![template], vec![5.0, 8.0], 5).unwrap()]
    };
    model.channels = channel("mu * (3 - kl)/2");
    let words = "`mu * (3 - kl)/2` of mu and kl is no normfactor";
    assert_refused(export(&model, "m"), words);
    // 2 mu
    model.fixed = vec![(4, -1.0)];
    let (workspace, _) = export(&model, "m").unwrap();
    let sample = &workspace["channels"][0]["samples"][0];
    assert_eq!(sample["data"], json!([8.0, 18.0]));
    assert_eq!(sample["modifiers"][0]["name"], "mu");
    assert_eq!(sample["modifiers"][0]["type"], "normfactor");
    let high = &sample["modifiers"][1]["data"]["hi_data"];
    assert_eq!(*high, json!([9.0, 16.0]));
    let read_back = read_with(&workspace, Interpolation::Code4p);
    let mut names = read_back.parameters.iter();
    let place = names.position(|p| p.name == "mu").unwrap();
    for mu in [0.0, 0.7, 2.5] {
        let mut at = read_back.nominal();
        at[place] = mu;
        let expected = model.channels[0].expected(&[mu, 0.0, 1.0, 1.0, -1.0]);
        assert_eq!(read_back.channels[0].expected(&at), expected);
    }
    model.channels = channel("mu + kl");
    assert_refused(export(&model, "m"), "is no normfactor");
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
    let words = "parameter `a`: interpolation Code4";
    assert_refused(export(&multiplied, "m"), words);
    type Change = (fn(&mut HistogramModel), &'static str);
    let changes: [Change; 4] = [
        (
            |model| model.parameters[1].constraint.as_mut().unwrap().width = 2.0,
            "constraint of width 1",
        ),
        (
            |model| model.parameters[3].name = "other".into(),
            "`other` belongs to a bin",
        ),
        (
            |model| model.parameters[3].constraint = Parameter::nuisance("").constraint,
            "`b[1]` is not constrained as the other bins",
        ),
        (
            |model| model.parameters[0].bounds.1 = f64::INFINITY,
            "`mu` has no finite bounds",
        ),
    ];
    for (change, words) in changes {
        let mut model = with_coefficient("mu", false, Interpolation::Code4p);
        change(&mut model);
        assert_refused(export(&model, "m"), words);
    }
    let mut workspace = all_modifiers();
    let lost = workspace.pointer_mut("/channels/1/samples/2/modifiers/1");
    *lost.unwrap() = json!({"name": "own", "type": "staterror", "data": [0.1, 0.1, 0.0]});
    let model = read(&workspace).unwrap().model;
    assert_refused(export(&model, "m"), "is a staterror of several channels");
}
