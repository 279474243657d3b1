//! What the import accepts and what it says to everything else. That the numbers
//! are right is tested with the flow on the host.
#![allow(clippy::unwrap_used)]

use super::{ImportError, from_nflows};
use crate::flow::{Flow, FlowStep};

type Named = (String, Vec<usize>, Vec<f64>);

const COUPLING: &str = "_transform._transforms.2.";

/// A flow with D = 3, C = 2, H = 4, K = 2, one block and two couplings.
fn state() -> Vec<Named> {
    let mut tensors = Vec::new();
    let mut add = |name: String, shape: &[usize], value: f64| {
        let len = shape.iter().product();
        tensors.push((name, shape.to_vec(), vec![value; len]));
    };
    for (layer, [transformed, passed]) in [[2, 1], [1, 2]].into_iter().enumerate() {
        let at = |i: usize, name: &str| format!("_transform._transforms.{}.{name}", 3 * layer + i);
        for name in [
            "unconstrained_weight",
            "bias",
            "running_mean",
            "running_var",
        ] {
            add(at(0, name), &[3], 0.5);
        }
        add(at(1, "_transforms.0._permutation"), &[3], 0.0);
        for name in [
            "lower_entries",
            "upper_entries",
            "unconstrained_upper_diag",
            "bias",
        ] {
            add(at(1, &format!("_transforms.1.{name}")), &[3], 0.5);
        }
        add(at(2, "transform_features"), &[transformed], 0.0);
        add(at(2, "identity_features"), &[passed], 0.0);
        let mut dense = |name: &str, inputs: usize, outputs: usize| {
            add(
                at(2, &format!("transform_net.{name}.weight")),
                &[outputs, inputs],
                0.5,
            );
            add(
                at(2, &format!("transform_net.{name}.bias")),
                &[outputs],
                0.5,
            );
        };
        dense("initial_layer", passed + 2, 4);
        dense("blocks.0.linear_layers.0", 4, 4);
        dense("blocks.0.linear_layers.1", 4, 4);
        dense("blocks.0.context_layer", 2, 4);
        dense("final_layer", 4, transformed * 5);
    }
    for (name, _, values) in &mut tensors {
        if name.ends_with("_permutation") {
            values.copy_from_slice(&[2.0, 0.0, 1.0]);
        }
        let odd = name.contains("transforms.5");
        if name.ends_with("_features") {
            let even = name.ends_with("transform_features") != odd;
            *values = if even { vec![0.0, 2.0] } else { vec![1.0] };
        }
    }
    tensors
}

/// The error after a change of the tensor with this name.
fn broken(name: &str, change: impl FnOnce(&mut Named)) -> ImportError {
    let mut tensors = state();
    change(tensors.iter_mut().find(|(n, ..)| n == name).unwrap());
    from_nflows(tensors, 3.0).unwrap_err()
}

#[test]
fn sizes_and_steps_are_inferred() {
    let found = from_nflows(state(), 3.0).unwrap();
    let config = &found.config;
    let sizes = [
        config.features,
        config.context,
        config.bins,
        config.hidden,
        config.blocks,
    ];
    assert_eq!(sizes, [3, 2, 2, 4, 1]);
    let round = [FlowStep::BatchNorm, FlowStep::Linear, FlowStep::Coupling];
    assert_eq!(config.steps, [round, round].concat());
    let places = Flow::new(config.clone());
    assert_eq!(found.parameters.len(), places.parameters().len());
    assert_eq!(found.statistics.len(), places.statistics().len());
    assert_eq!(found.statistics[6..9], [2.0, 0.0, 1.0]);
    // the order of the tensors does not matter, nor that of "10" and "9"
    let mut shifted: Vec<Named> = state().into_iter().rev().collect();
    for (name, ..) in &mut shifted {
        for layer in (0..6).rev() {
            let old = format!("_transform._transforms.{layer}.");
            if let Some(rest) = name.strip_prefix(&old) {
                *name = format!("_transform._transforms.{}.{rest}", layer + 6);
                break;
            }
        }
    }
    assert_eq!(from_nflows(shifted, 3.0).unwrap(), found);
}

#[test]
fn weights_are_transposed() {
    let name = format!("{COUPLING}transform_net.initial_layer.weight");
    let mut tensors = state();
    let (_, _, values) = tensors.iter_mut().find(|(n, ..)| *n == name).unwrap();
    // [hidden 4, inputs 3]
    *values = (0..12).map(f64::from).collect();
    let found = from_nflows(tensors, 3.0).unwrap();
    // behind the batch norm (6) and the linear step (12)
    let expected = [0., 3., 6., 9., 1., 4., 7., 10., 2., 5., 8., 11.];
    assert_eq!(found.parameters[18..30], expected);
}

#[test]
fn what_cannot_be_read_is_named() {
    assert_eq!(
        from_nflows(state(), f64::NAN).unwrap_err().to_string()[..16],
        *"spline bound NaN"
    );
    assert_eq!(from_nflows(Vec::new(), 3.0), Err(ImportError::NoCoupling));
    let all = state();
    for missing in 0..all.len() {
        let mut tensors = state();
        let (name, ..) = tensors.remove(missing);
        if name.ends_with("_permutation") {
            continue;
        }
        let error = from_nflows(tensors, 3.0).unwrap_err();
        let own = matches!(&error, ImportError::Missing(found) if *found == name);
        // what tells the kind of a transform leaves the others unexplained
        let kind = ["running_mean", "lower_entries", "initial_layer.weight"];
        let telling = kind.iter().any(|kind| name.ends_with(kind))
            || name.contains("blocks.0.linear_layers.0.weight");
        assert!(own || telling, "{name}: {error}");
    }
    let mut twice = state();
    twice.push(all[0].clone());
    assert_eq!(
        from_nflows(twice, 3.0),
        Err(ImportError::Duplicate(all[0].0.clone()))
    );
    for foreign in [
        "_transform._transforms.2.transform_net.blocks.0.batch_norm_layers.0.weight",
        "_embedding_net.0.weight",
        "_transform._transforms.x.bias",
        "_transform._transforms.7",
    ] {
        let mut tensors = state();
        tensors.push((foreign.to_owned(), vec![1], vec![1.0]));
        assert_eq!(
            from_nflows(tensors, 3.0),
            Err(ImportError::Unknown(foreign.to_owned()))
        );
    }
    let mut constant = state();
    constant.push(("_distribution._log_z".to_owned(), vec![], vec![2.7]));
    assert!(from_nflows(constant, 3.0).is_ok());
}

#[test]
fn contradicting_tensors_are_named() {
    let bn = "_transform._transforms.0.running_var";
    let permutation = "_transform._transforms.1._transforms.0._permutation";
    let features = format!("{COUPLING}transform_features");
    let first = format!("{COUPLING}transform_net.initial_layer.weight");
    let last = format!("{COUPLING}transform_net.final_layer.bias");
    let is = |error: ImportError, kind: fn(&ImportError) -> bool| assert!(kind(&error), "{error}");
    is(broken(bn, |t| t.1 = vec![4]), |e| {
        matches!(e, ImportError::Length { .. })
    });
    is(broken(bn, |t| t.1 = vec![usize::MAX, usize::MAX]), |e| {
        matches!(e, ImportError::Length { .. })
    });
    is(broken(bn, |t| t.1 = vec![1, 3]), |e| {
        matches!(e, ImportError::Shape { .. })
    });
    is(broken(bn, |t| t.2[1] = -1e-3), |e| {
        matches!(e, ImportError::Value { .. })
    });
    for value in [f64::NAN, f64::INFINITY, 1e300] {
        is(broken(bn, |t| t.2[0] = value), |e| {
            matches!(e, ImportError::Value { .. })
        });
    }
    for values in [
        [0.0, 0.0, 1.0],
        [0.0, 1.0, 3.0],
        [0.0, 1.5, 1.0],
        [0.0, -1.0, 1.0],
    ] {
        is(broken(permutation, |t| t.2 = values.to_vec()), |e| {
            matches!(e, ImportError::Permutation { .. })
        });
    }
    is(broken(&features, |t| t.2 = vec![0.0, 1.0]), |e| {
        matches!(e, ImportError::Mask { .. })
    });
    is(
        broken(&features, |t| *t = (t.0.clone(), vec![1], vec![0.0])),
        |e| matches!(e, ImportError::Mask { .. }),
    );
    for shape in [vec![12], vec![0, 3], vec![6, 2], vec![12, 1]] {
        let len = shape.iter().product();
        is(
            broken(&first, |t| *t = (t.0.clone(), shape, vec![0.5; len])),
            |e| matches!(e, ImportError::Shape { .. }),
        );
    }
    for len in [0, 4, 8, 9, 11] {
        is(
            broken(&last, |t| *t = (t.0.clone(), vec![len], vec![0.5; len])),
            |e| matches!(e, ImportError::Shape { .. }),
        );
    }
    // the linear map without its permutation is one with the identity, but a
    // permutation without a linear map is nothing
    let flat: Vec<Named> = state()
        .into_iter()
        .filter(|(n, ..)| n != permutation)
        .collect();
    assert_eq!(
        from_nflows(flat, 3.0).unwrap().statistics[6..9],
        [0.0, 1.0, 2.0]
    );
    let lone = state()
        .into_iter()
        .filter(|(n, ..)| !n.contains(".1._transforms.1."));
    assert_eq!(
        from_nflows(lone, 3.0),
        Err(ImportError::LonePermutation(permutation.to_owned()))
    );
}
