//! A golden flow of nflows 0.14: two steps of batch norm, permutation and LU, coupling
//! with one block and a context. Its `state_dict` as a member's rows.

use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;

pub(crate) const CONFIG: &str = r#"{
    "features": 6, "context": 5, "bins": 4, "bound": 3.0, "hidden": 16, "blocks": 1, "dropout": 0.0,
    "steps": ["batch_norm", "linear", "coupling", "batch_norm", "linear", "coupling"]
}"#;

/// Shapes and values by their names in nflows.
pub(crate) type State = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

pub(crate) fn state(bytes: &[u8]) -> State {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let read = |(name, view): (&str, safetensors::tensor::TensorView)| {
        let words = view.data().chunks_exact(8).map(|w| w.try_into().unwrap());
        let values = match view.dtype() {
            Dtype::F64 => words.map(f64::from_le_bytes).collect(),
            Dtype::I64 => words.map(|w| i64::from_le_bytes(w) as f64).collect(),
            other => panic!("{other:?}"),
        };
        (name.to_owned(), (view.shape().to_vec(), values))
    };
    file.iter().map(read).collect()
}

/// Parameters `[P]` and statistics `[S]`; `PyTorch` keeps a weight as `[out, in]`, rows here
/// are `[in, out]`.
pub(crate) fn rows(state: &State) -> (Vec<f32>, Vec<f32>) {
    let values = |at: usize, name: &str| -> Vec<f32> {
        let (shape, values) = &state[&format!("_transform._transforms.{at}.{name}")];
        match shape[..] {
            [outputs, inputs] => (0..inputs * outputs)
                .map(|i| values[i % outputs * inputs + i / outputs] as f32)
                .collect(),
            _ => values.iter().map(|v| *v as f32).collect(),
        }
    };
    let (mut parameters, mut statistics) = (Vec::new(), Vec::new());
    for first in [0, 3] {
        for name in ["unconstrained_weight", "bias"] {
            parameters.extend(values(first, name));
        }
        for name in ["running_mean", "running_var"] {
            statistics.extend(values(first, name));
        }
        for name in [
            "lower_entries",
            "upper_entries",
            "unconstrained_upper_diag",
            "bias",
        ] {
            parameters.extend(values(first + 1, &format!("_transforms.1.{name}")));
        }
        statistics.extend(values(first + 1, "_transforms.0._permutation"));
        for layer in [
            "initial_layer",
            "blocks.0.linear_layers.0",
            "blocks.0.linear_layers.1",
            "blocks.0.context_layer",
            "final_layer",
        ] {
            for part in ["weight", "bias"] {
                parameters.extend(values(first + 2, &format!("transform_net.{layer}.{part}")));
            }
        }
    }
    (parameters, statistics)
}
