//! The loss of held-out rows, summed so that a member's number does not depend
//! on its neighbours.
//!
//! Rows are padded with coefficient 0 to chunks of fixed length; the device
//! sums a chunk, the host adds the chunks in f64.

use super::table::{DeviceScaling, InputScaling, Table};
use crate::device::Compute;
use burn::tensor::{Int, Tensor, TensorData};

/// Rows of one chunk: a chunk of 50-unit layers stays in a CPU's cache.
pub const EVALUATION_CHUNK: usize = 2048;

/// Rows on which a loss is evaluated, on the device.
#[derive(Clone, Debug)]
pub struct EvaluationRows {
    pub(super) chunks: Vec<Chunk>,
}

#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// `[1 or E, chunk, D]` when all members share the rows; else gathered.
    shared: Option<Tensor<3>>,
    rows: Tensor<1, Int>,
    scaling: DeviceScaling,
    /// `[1 or E, chunk, 1]`
    pub half_signs: Tensor<3>,
    /// `[1 or E, chunk, 1]`
    pub coefficients: Tensor<3>,
    members: usize,
}

impl Chunk {
    pub(super) fn features(&self, table: &Table) -> Tensor<3> {
        match &self.shared {
            Some(x) => x.clone(),
            None => self
                .scaling
                .apply(table.gather(self.rows.clone(), self.members)),
        }
    }
}

impl EvaluationRows {
    /// `lists`: one for all members, or one a member: rows of the table, each
    /// with its coefficient in the loss and its sign (+1 source, -1 target).
    /// `scalings`: of the members, one a list.
    #[must_use]
    pub fn new(
        compute: &Compute,
        table: &Table,
        lists: &[Vec<(u32, f32, f32)>],
        scalings: &[InputScaling],
    ) -> Self {
        let members = lists.len();
        let scaling = DeviceScaling::new(compute, scalings);
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        let device = compute.device();
        let chunks = (0..longest.div_ceil(EVALUATION_CHUNK))
            .map(|chunk| {
                let size = members * EVALUATION_CHUNK;
                let mut rows = Vec::with_capacity(size);
                let mut half_signs = Vec::with_capacity(size);
                let mut coefficients = Vec::with_capacity(size);
                for list in lists {
                    for i in 0..EVALUATION_CHUNK {
                        let (row, coefficient, sign) = list
                            .get(chunk * EVALUATION_CHUNK + i)
                            .copied()
                            .unwrap_or((0, 0.0, 1.0));
                        rows.push(row as i32);
                        coefficients.push(coefficient);
                        half_signs.push(0.5 * sign);
                    }
                }
                let shape = [members, EVALUATION_CHUNK, 1];
                let rows = Tensor::from_data(TensorData::new(rows, [size]), device);
                Chunk {
                    shared: (members == 1).then(|| scaling.apply(table.gather(rows.clone(), 1))),
                    scaling: scaling.clone(),
                    rows,
                    half_signs: Tensor::from_data(TensorData::new(half_signs, shape), device),
                    coefficients: Tensor::from_data(TensorData::new(coefficients, shape), device),
                    members,
                }
            })
            .collect();
        Self { chunks }
    }
}
