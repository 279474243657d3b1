//! Flows trained with nflows: its names and shapes to a member's rows.
//!
//! Read is the `state_dict` of an nflows 0.14 `Flow` over a standard normal whose
//! transform is made of `BatchNorm`, a permutation and `LULinear`, and
//! `PiecewiseRationalQuadraticCouplingTransform` with linear tails, alternating
//! masks (the even features first) and `ResidualNet` conditioners. The spline's
//! bound is not in the `state_dict`, and neither are dropout (set to zero here)
//! and nflows' minimal sizes, which must be its defaults.
//!
//! PyTorch keeps a linear layer's weight as `[out, in]`; rows here are `[in, out]`.

mod error;
#[cfg(test)]
mod tests;

use super::{FlowConfig, FlowStep};
pub use error::ImportError;
use std::collections::BTreeMap;

/// A flow that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Its shape.
    pub config: FlowConfig,
    /// One member's parameters, `[P]`.
    pub parameters: Vec<f32>,
    /// Its running statistics and permutations, `[S]`.
    pub statistics: Vec<f32>,
}

/// A tensor and its full name.
struct Tensor {
    name: String,
    shape: Vec<usize>,
    values: Vec<f64>,
}

/// The tensors of one transform by the last part of their names.
struct Transform {
    path: String,
    tensors: BTreeMap<String, Tensor>,
}

/// Sizes that all couplings share.
#[derive(Clone, Copy, PartialEq)]
struct Sizes {
    context: usize,
    hidden: usize,
    bins: usize,
    blocks: usize,
}

/// Reads the tensors `(name, shape, values)` of an nflows `state_dict`; `bound`
/// is the couplings' `tail_bound`.
///
/// # Errors
/// If the tensors are not those of a flow as described above.
pub fn from_nflows(
    tensors: impl IntoIterator<Item = (String, Vec<usize>, Vec<f64>)>,
    bound: f64,
) -> Result<Imported, ImportError> {
    if !(bound > 0.0 && bound.is_finite()) {
        return Err(ImportError::Bound(bound));
    }
    let mut reading = Reading::default();
    let mut permutation: Option<(String, Vec<f32>)> = None;
    for mut transform in transforms(tensors)? {
        let has = |name: &str| transform.tensors.contains_key(name);
        if has("_permutation") {
            if let Some((name, _)) = permutation {
                return Err(ImportError::LonePermutation(name));
            }
            let name = format!("{}_permutation", transform.path);
            permutation = Some((name, reading.permutation(&mut transform)?));
        } else if has("lower_entries") {
            let permutation = permutation.take().map(|(_, values)| values);
            reading.linear(&mut transform, permutation)?;
        } else if let Some((name, _)) = permutation {
            return Err(ImportError::LonePermutation(name));
        } else if has("running_mean") {
            reading.batch_norm(&mut transform)?;
        } else if has("transform_net.initial_layer.weight") {
            reading.coupling(&mut transform)?;
        }
        if let Some(tensor) = transform.tensors.into_values().next() {
            return Err(ImportError::Unknown(tensor.name));
        }
    }
    if let Some((name, _)) = permutation {
        return Err(ImportError::LonePermutation(name));
    }
    let sizes = reading.sizes.ok_or(ImportError::NoCoupling)?;
    Ok(Imported {
        config: FlowConfig {
            features: reading.features.unwrap_or(0),
            context: sizes.context,
            steps: reading.steps,
            bins: sizes.bins,
            bound,
            hidden: sizes.hidden,
            blocks: sizes.blocks,
            dropout: 0.0,
        },
        parameters: reading.parameters,
        statistics: reading.statistics,
    })
}

/// Sorts the tensors into transforms, in the order in which they are applied.
fn transforms(
    tensors: impl IntoIterator<Item = (String, Vec<usize>, Vec<f64>)>,
) -> Result<Vec<Transform>, ImportError> {
    let mut found: BTreeMap<Vec<usize>, Transform> = BTreeMap::new();
    for (name, shape, values) in tensors {
        let count = shape.iter().try_fold(1usize, |n, len| n.checked_mul(*len));
        if count != Some(values.len()) {
            let found = values.len();
            return Err(ImportError::Length { name, found, shape });
        }
        if let Some(value) = values.iter().find(|v| !(**v as f32).is_finite()) {
            let value = *value;
            let expected = "finite numbers within the range of f32";
            return Err(ImportError::Value {
                name,
                value,
                expected,
            });
        }
        // the base distribution's constant
        if name == "_distribution._log_z" {
            continue;
        }
        let Some(mut leaf) = name.strip_prefix("_transform.") else {
            return Err(ImportError::Unknown(name));
        };
        // nested composites, each "_transforms.<number>."
        let mut path = Vec::new();
        while let Some(rest) = leaf.strip_prefix("_transforms.") {
            let Some((number, rest)) = rest.split_once('.') else {
                return Err(ImportError::Unknown(name));
            };
            let Ok(number) = number.parse() else {
                return Err(ImportError::Unknown(name));
            };
            path.push(number);
            leaf = rest;
        }
        let leaf = leaf.to_owned();
        let transform = found.entry(path).or_insert_with(|| Transform {
            path: name[..name.len() - leaf.len()].to_owned(),
            tensors: BTreeMap::new(),
        });
        let tensor = Tensor {
            name,
            shape,
            values,
        };
        if let Some(twice) = transform.tensors.insert(leaf, tensor) {
            return Err(ImportError::Duplicate(twice.name));
        }
    }
    Ok(found.into_values().collect())
}

impl Transform {
    /// Takes a tensor out; its shape must be `expected`.
    fn take(&mut self, name: &str, expected: &[usize]) -> Result<Tensor, ImportError> {
        let tensor = self.take_any(name)?;
        if tensor.shape != expected {
            return Err(tensor.misshapen(format!("{expected:?}")));
        }
        Ok(tensor)
    }

    fn take_any(&mut self, name: &str) -> Result<Tensor, ImportError> {
        self.tensors
            .remove(name)
            .ok_or_else(|| ImportError::Missing(format!("{}{name}", self.path)))
    }
}

impl Tensor {
    fn misshapen(self, expected: String) -> ImportError {
        ImportError::Shape {
            name: self.name,
            found: self.shape,
            expected,
        }
    }

    fn floats(&self) -> impl Iterator<Item = f32> {
        self.values.iter().map(|value| *value as f32)
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reading {
    features: Option<usize>,
    sizes: Option<Sizes>,
    couplings: usize,
    steps: Vec<FlowStep>,
    parameters: Vec<f32>,
    statistics: Vec<f32>,
}

impl Reading {
    /// `D`: that of the transforms before, or else what this tensor's length is.
    fn features(&mut self, transform: &Transform, name: &str) -> Result<usize, ImportError> {
        let missing = || ImportError::Missing(format!("{}{name}", transform.path));
        let tensor = transform.tensors.get(name).ok_or_else(missing)?;
        Ok(*self.features.get_or_insert(tensor.values.len()))
    }

    fn permutation(&mut self, transform: &mut Transform) -> Result<Vec<f32>, ImportError> {
        let features = self.features(transform, "_permutation")?;
        let tensor = transform.take("_permutation", &[features])?;
        let mut seen = vec![false; features];
        for value in &tensor.values {
            // saturates for what is no index, and then does not compare equal
            let index = *value as usize;
            let place = seen.get_mut(index).filter(|_| index as f64 == *value);
            match place.map(|place| std::mem::replace(place, true)) {
                Some(false) => {}
                _ => {
                    let name = tensor.name;
                    return Err(ImportError::Permutation { name, features });
                }
            }
        }
        Ok(tensor.floats().collect())
    }

    fn batch_norm(&mut self, transform: &mut Transform) -> Result<(), ImportError> {
        let features = self.features(transform, "running_mean")?;
        for name in ["unconstrained_weight", "bias"] {
            let tensor = transform.take(name, &[features])?;
            self.parameters.extend(tensor.floats());
        }
        let mean = transform.take("running_mean", &[features])?;
        let variance = transform.take("running_var", &[features])?;
        if let Some(value) = variance.values.iter().copied().find(|value| *value < 0.0) {
            return Err(ImportError::Value {
                name: variance.name,
                value,
                expected: "variances, at least 0",
            });
        }
        self.statistics
            .extend(mean.floats().chain(variance.floats()));
        self.steps.push(FlowStep::BatchNorm);
        Ok(())
    }

    fn linear(
        &mut self,
        transform: &mut Transform,
        permutation: Option<Vec<f32>>,
    ) -> Result<(), ImportError> {
        let features = self.features(transform, "unconstrained_upper_diag")?;
        let triangle = features.saturating_mul(features.saturating_sub(1)) / 2;
        let names = ["lower_entries", "upper_entries"];
        for name in names {
            let tensor = transform.take(name, &[triangle])?;
            self.parameters.extend(tensor.floats());
        }
        for name in ["unconstrained_upper_diag", "bias"] {
            let tensor = transform.take(name, &[features])?;
            self.parameters.extend(tensor.floats());
        }
        let identity = || (0..features).map(|index| index as f32).collect();
        self.statistics.extend(permutation.unwrap_or_else(identity));
        self.steps.push(FlowStep::Linear);
        Ok(())
    }

    fn coupling(&mut self, transform: &mut Transform) -> Result<(), ImportError> {
        let transformed = transform.take_any("transform_features")?;
        let passed = transform.take_any("identity_features")?;
        let features = transformed.values.len().saturating_add(passed.values.len());
        let features = *self.features.get_or_insert(features);
        let parity = self.couplings % 2;
        let outputs = (features + 1 - parity) / 2;
        for (tensor, parity) in [(&transformed, parity), (&passed, 1 - parity)] {
            let expected: Vec<usize> = (parity..features).step_by(2).collect();
            let same = |(index, value): (&usize, &f64)| *index as f64 == *value;
            if tensor.shape.len() != 1
                || tensor.values.len() != expected.len()
                || !expected.iter().zip(&tensor.values).all(same)
            {
                let name = tensor.name.clone();
                return Err(ImportError::Mask { name, expected });
            }
        }

        let weight = transform.take_any("transform_net.initial_layer.weight")?;
        let sizes = match (self.sizes, weight.shape.as_slice()) {
            (Some(sizes), _) => sizes,
            (None, [hidden, inputs]) if *hidden > 0 && *inputs >= features - outputs => Sizes {
                context: inputs - (features - outputs),
                hidden: *hidden,
                bins: bins(transform, outputs)?,
                blocks: (0..)
                    .take_while(|b| transform.tensors.contains_key(&layer(*b, "0.weight")))
                    .count(),
            },
            _ => return Err(weight.misshapen("[hidden, identity features + context]".to_owned())),
        };
        self.sizes = Some(sizes);
        let Sizes {
            context,
            hidden: h,
            bins,
            blocks,
        } = sizes;
        let inputs = context.saturating_add(features - outputs);
        if weight.shape != [h, inputs] {
            return Err(weight.misshapen(format!("{:?} as the coupling before", [h, inputs])));
        }
        self.turned(&weight);
        self.rest(transform, "transform_net.initial_layer.bias", &[h])?;
        for block in 0..blocks {
            for half in 0..2 {
                self.weight(transform, &layer(block, &format!("{half}.weight")), [h, h])?;
                self.rest(transform, &layer(block, &format!("{half}.bias")), &[h])?;
            }
            if context > 0 {
                let gate = format!("transform_net.blocks.{block}.context_layer");
                self.weight(transform, &format!("{gate}.weight"), [h, context])?;
                self.rest(transform, &format!("{gate}.bias"), &[h])?;
            }
        }
        let width = outputs.saturating_mul(3 * bins - 1);
        self.weight(transform, "transform_net.final_layer.weight", [width, h])?;
        self.rest(transform, "transform_net.final_layer.bias", &[width])?;
        self.couplings += 1;
        self.steps.push(FlowStep::Coupling);
        Ok(())
    }

    fn weight(
        &mut self,
        transform: &mut Transform,
        name: &str,
        shape: [usize; 2],
    ) -> Result<(), ImportError> {
        let tensor = transform.take(name, &shape)?;
        self.turned(&tensor);
        Ok(())
    }

    /// Appends a weight `[out, in]` as `[in, out]`.
    fn turned(&mut self, tensor: &Tensor) {
        let [outputs, inputs] = [tensor.shape[0], tensor.shape[1]];
        for input in 0..inputs {
            let column = (0..outputs).map(|output| tensor.values[output * inputs + input] as f32);
            self.parameters.extend(column);
        }
    }

    fn rest(
        &mut self,
        transform: &mut Transform,
        name: &str,
        shape: &[usize],
    ) -> Result<(), ImportError> {
        let tensor = transform.take(name, shape)?;
        self.parameters.extend(tensor.floats());
        Ok(())
    }
}

fn layer(block: usize, rest: &str) -> String {
    format!("transform_net.blocks.{block}.linear_layers.{rest}")
}

/// Spline bins from the length of the last bias, `T (3K - 1)`.
fn bins(transform: &mut Transform, outputs: usize) -> Result<usize, ImportError> {
    let name = "transform_net.final_layer.bias";
    let len = match transform.tensors.get(name) {
        Some(tensor) => tensor.values.len(),
        None => return Err(ImportError::Missing(format!("{}{name}", transform.path))),
    };
    let each = len.checked_div(outputs).unwrap_or(0);
    if each < 5 || each % 3 != 2 || each * outputs != len {
        let expected = format!("[{outputs} x (3 bins - 1)] with at least 2 bins");
        return Err(transform.take_any(name)?.misshapen(expected));
    }
    Ok((each + 1) / 3)
}
