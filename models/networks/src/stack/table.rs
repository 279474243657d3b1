//! The rows that training reads, once on the device, and what makes network
//! inputs of them.

use crate::device::Compute;
use burn::tensor::{Int, Tensor, TensorData};
use std::sync::Arc;

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

    /// Standardises a row `[D]` into the front of `to`, and puts ones behind it.
    pub(crate) fn apply(&self, row: &[f32], to: &mut [f32]) {
        let (features, ones) = to.split_at_mut(row.len());
        let scaling = self.shift.iter().zip(&self.factor);
        for ((to, x), (shift, factor)) in features.iter_mut().zip(row).zip(scaling) {
            *to = (x - shift) * factor;
        }
        ones.fill(1.0);
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

/// Features of all rows as they were read, `[N, D]`, where they are used.
#[derive(Clone, Debug)]
pub struct Table {
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Host(HostTable),
    Device(Box<Tensor<2>>),
}

/// A table in the host's memory.
#[derive(Clone, Debug)]
pub(crate) struct HostTable {
    values: Arc<Vec<f32>>,
    columns: usize,
}

impl Table {
    /// Copies row-major features `[N, D]` to the device.
    ///
    /// # Panics
    /// If `features` does not hold whole rows: the caller made the matrix.
    #[must_use]
    pub fn new(compute: &Compute, features: Vec<f32>, columns: usize) -> Self {
        assert!(features.len().is_multiple_of(columns), "rows are whole");
        let place = if compute.has_host_kernels() {
            Place::Host(HostTable {
                values: Arc::new(features),
                columns,
            })
        } else {
            let rows = features.len() / columns;
            let data = TensorData::new(features, [rows, columns]);
            Place::Device(Box::new(Tensor::from_data(data, compute.device())))
        };
        Self { place }
    }

    /// Number of rows, `N`.
    #[must_use]
    pub fn rows(&self) -> usize {
        match &self.place {
            Place::Host(table) => table.values.len() / table.columns,
            Place::Device(x) => x.dims()[0],
        }
    }

    /// Number of features, `D`.
    #[must_use]
    pub fn columns(&self) -> usize {
        match &self.place {
            Place::Host(table) => table.columns,
            Place::Device(x) => x.dims()[1],
        }
    }

    pub(super) fn host(&self) -> &HostTable {
        match &self.place {
            Place::Host(table) => table,
            Place::Device(_) => unreachable!("a stack's table is made for its device"),
        }
    }

    pub(super) fn tensor(&self) -> &Tensor<2> {
        match &self.place {
            Place::Device(x) => x,
            Place::Host(_) => unreachable!("a stack's table is made for its device"),
        }
    }
}

impl HostTable {
    /// Standardised rows into `x` `[rows, stride]`, with ones behind the features.
    pub(crate) fn gather(
        &self,
        rows: impl ExactSizeIterator<Item = usize>,
        inputs: &InputScaling,
        stride: usize,
        x: &mut Vec<f32>,
    ) {
        x.resize(rows.len() * stride, 0.0);
        for (row, x) in rows.zip(x.chunks_exact_mut(stride)) {
            let values = &self.values[row * self.columns..(row + 1) * self.columns];
            inputs.apply(values, x);
        }
    }
}

/// Rows of `table` `[N, D]` by number: `[members * batch]` -> `[members, batch, D]`.
pub(crate) fn gather(table: &Tensor<2>, rows: Tensor<1, Int>, members: usize) -> Tensor<3> {
    let batch = rows.dims()[0] / members.max(1);
    let columns = table.dims()[1];
    table
        .clone()
        .select(0, rows)
        .reshape([members, batch, columns])
}
