//! The rows that training reads, once on the device, and what makes network
//! inputs of them.

use crate::device::Compute;
use burn::tensor::{Int, Tensor, TensorData};

/// A member's standardisation of its inputs: `(x - shift) * factor`, a feature
/// each. It acts on the device, so that ensembles with different means and
/// widths share one table.
#[derive(Clone, Debug, PartialEq)]
pub struct InputScaling {
    /// Subtracted, `[D]`.
    pub shift: Vec<f32>,
    /// Multiplies after that, `[D]`.
    pub factor: Vec<f32>,
}

impl InputScaling {
    /// Inputs as they are.
    #[must_use]
    pub fn identity(columns: usize) -> Self {
        Self {
            shift: vec![0.0; columns],
            factor: vec![1.0; columns],
        }
    }
}

/// Standardisations on the device, `[1 or E, 1, D]`.
#[derive(Clone, Debug)]
pub(crate) struct DeviceScaling {
    shift: Tensor<3>,
    factor: Tensor<3>,
}

impl DeviceScaling {
    /// One for all where all are equal.
    pub(crate) fn new(compute: &Compute, scalings: &[InputScaling]) -> Self {
        let common = scalings.windows(2).all(|pair| pair[0] == pair[1]);
        let list = if common { &scalings[..1] } else { scalings };
        let columns = list[0].shift.len();
        let pack = |pick: fn(&InputScaling) -> &Vec<f32>| {
            let flat: Vec<f32> = list.iter().flat_map(|s| pick(s).iter().copied()).collect();
            Tensor::from_data(
                TensorData::new(flat, [list.len(), 1, columns]),
                compute.device(),
            )
        };
        Self {
            shift: pack(|s| &s.shift),
            factor: pack(|s| &s.factor),
        }
    }

    /// `x`: `[1 or E, B, D]`.
    pub(crate) fn apply(&self, x: Tensor<3>) -> Tensor<3> {
        (x - self.shift.clone()) * self.factor.clone()
    }
}

/// Features of all rows as they were read, `[N, D]`, on the device.
#[derive(Clone, Debug)]
pub struct Table {
    x: Tensor<2>,
}

impl Table {
    /// Copies row-major features `[N, D]` to the device.
    ///
    /// # Panics
    /// If `features` does not hold whole rows: the caller made the matrix.
    #[must_use]
    pub fn new(compute: &Compute, features: Vec<f32>, columns: usize) -> Self {
        let rows = features.len() / columns;
        Self {
            x: Tensor::from_data(TensorData::new(features, [rows, columns]), compute.device()),
        }
    }

    /// Number of rows, `N`.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.x.dims()[0]
    }

    /// Number of features, `D`.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.x.dims()[1]
    }

    /// Rows by number: `[members * batch]` -> `[members, batch, D]`.
    pub(crate) fn gather(&self, rows: Tensor<1, Int>, members: usize) -> Tensor<3> {
        let batch = rows.dims()[0] / members.max(1);
        self.x
            .clone()
            .select(0, rows)
            .reshape([members, batch, self.columns()])
    }
}
