//! The rows that training reads, once on the device.

use crate::device::Compute;
use burn::tensor::{Int, Tensor, TensorData};

/// Standardised features of all rows, `[N, D]`, on the device.
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
