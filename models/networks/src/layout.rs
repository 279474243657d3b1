//! A member's packed row, and where each parameter lies in it.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use sideband_numerics::random::Key;
use std::ops::Range;

/// One parameter matrix of a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterSpec {
    /// Name, as in the member's file.
    pub name: String,
    /// Rows and columns; a bias has one row.
    pub shape: [usize; 2],
    /// Whether L2 and weight decay act on it (weights yes, biases no).
    pub decays: bool,
    /// Values before the first step.
    pub initial: Initial,
}

/// Values of a parameter before the first step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initial {
    /// One value for all.
    Constant(f32),
    /// Uniform in plus or minus this.
    Uniform(f32),
    /// A random order of 0, 1, ..., one less than there are values.
    Permutation,
}

impl ParameterSpec {
    /// Weight `[inputs, outputs]` and bias `[1, outputs]` of a linear layer.
    pub(crate) fn linear(name: &str, inputs: usize, outputs: usize) -> [Self; 2] {
        let spread = (inputs.max(1) as f32).sqrt().recip();
        let spec = |part: &str, rows, decays| Self {
            name: format!("{name}.{part}"),
            shape: [rows, outputs],
            decays,
            initial: Initial::Uniform(spread),
        };
        [spec("weight", inputs, true), spec("bias", 1, false)]
    }

    /// Gain and shift of a batch norm.
    pub(crate) fn batch_norm(name: &str, width: usize) -> [Self; 2] {
        [
            Self::constant(&format!("{name}.gain"), width, 1.0),
            Self::constant(&format!("{name}.shift"), width, 0.0),
        ]
    }

    /// Running mean and variance of a batch norm.
    pub(crate) fn running(name: &str, width: usize) -> [Self; 2] {
        [
            Self::constant(&format!("{name}.mean"), width, 0.0),
            Self::constant(&format!("{name}.variance"), width, 1.0),
        ]
    }

    /// A row of equal values, on which no decay acts.
    pub(crate) fn constant(name: &str, width: usize, value: f32) -> Self {
        Self::row(name, width, Initial::Constant(value))
    }

    /// A row of values on which no decay acts.
    pub(crate) fn row(name: &str, width: usize, initial: Initial) -> Self {
        Self {
            name: name.to_owned(),
            shape: [1, width],
            decays: false,
            initial,
        }
    }

    fn len(&self) -> usize {
        self.shape[0] * self.shape[1]
    }
}

/// A member outside a stack: its packed parameters and running statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Parameters, in the order of [`Network::parameters`](crate::Network::parameters).
    pub parameters: Vec<f32>,
    /// Running statistics, in the order of [`Network::statistics`](crate::Network::statistics).
    pub statistics: Vec<f32>,
}

/// All parameters of a member, one after the other in one row of length `P`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    specs: Vec<ParameterSpec>,
    len: usize,
}

impl Layout {
    pub(crate) fn new(specs: Vec<ParameterSpec>) -> Self {
        let len = specs.iter().map(ParameterSpec::len).sum();
        Self { specs, len }
    }

    /// Number of values a member, `P`.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The parameters in order, each with its place in the row.
    pub fn iter(&self) -> impl Iterator<Item = (&ParameterSpec, Range<usize>)> {
        self.specs.iter().scan(0, |start, spec| {
            let range = *start..*start + spec.len();
            *start = range.end;
            Some((spec, range))
        })
    }

    pub(crate) fn initial(&self, key: Key) -> Vec<f32> {
        let mut row = Vec::with_capacity(self.len);
        for (index, spec) in self.specs.iter().enumerate() {
            let key = key.with(index as u64);
            match spec.initial {
                Initial::Constant(value) => row.extend(std::iter::repeat_n(value, spec.len())),
                Initial::Uniform(spread) => {
                    let mut stream = key.stream();
                    let draw = |_| spread * (2.0 * stream.uniform() - 1.0) as f32;
                    row.extend((0..spec.len()).map(draw));
                }
                Initial::Permutation => {
                    let order = key.permutation(spec.len() as u32);
                    row.extend(order.into_iter().map(|k| k as f32));
                }
            }
        }
        row
    }

    /// 1 where L2 and weight decay act, 0 elsewhere.
    pub(crate) fn decay_mask(&self) -> Vec<f32> {
        let of = |spec: &ParameterSpec| {
            std::iter::repeat_n(f32::from(u8::from(spec.decays)), spec.len())
        };
        self.specs.iter().flat_map(of).collect()
    }

    /// One tensor `[E, rows, cols]` a parameter out of packed rows `[E, P]`.
    pub(crate) fn unpack(&self, packed: &Tensor<2>) -> Vec<Tensor<3>> {
        let part = |(spec, range): (&ParameterSpec, Range<usize>)| {
            let [rows, columns] = spec.shape;
            let part = packed.clone().narrow(1, range.start, range.len());
            part.reshape([packed.dims()[0], rows, columns])
        };
        self.iter().map(part).collect()
    }

    /// Packed rows `[E, P]` of one tensor `[E, rows, cols]` a parameter.
    pub(crate) fn pack(&self, tensors: Vec<Tensor<3>>) -> Tensor<2> {
        let row = |(tensor, spec): (Tensor<3>, &ParameterSpec)| {
            let members = tensor.dims()[0];
            tensor.reshape([members, spec.len()])
        };
        Tensor::cat(tensors.into_iter().zip(&self.specs).map(row).collect(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_follow_each_other_without_gap() {
        let mut specs = ParameterSpec::linear("a", 3, 4).to_vec();
        specs.extend(ParameterSpec::batch_norm("n", 4));
        let layout = Layout::new(specs);
        assert_eq!(layout.len(), 12 + 4 + 4 + 4);
        let mut next = 0;
        for (spec, range) in layout.iter() {
            assert_eq!((range.start, range.len()), (next, spec.len()));
            next = range.end;
        }
        let row = layout.initial(Key::from_seed(1));
        assert!(row[..16].iter().all(|w| w.abs() <= 3f32.sqrt().recip()));
        assert_eq!(row[16..20], [1.0; 4]);
        assert_eq!(layout.decay_mask()[..13].iter().sum::<f32>(), 12.0);
    }
}
