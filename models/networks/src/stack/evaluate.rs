//! The loss of held-out rows, summed so that a member's number does not depend
//! on its neighbours.
//!
//! On a device rows are padded with coefficient 0 to chunks of fixed length; the
//! device sums a chunk, the host adds the chunks in f64.

use super::table::{DeviceScaling, InputScaling, Table, gather};
use crate::device::Compute;
use burn::tensor::{Int, Tensor, TensorData};

/// Rows of one chunk: a chunk of 50-unit layers stays in a CPU's cache.
pub const EVALUATION_CHUNK: usize = 2048;

/// Rows on which a loss is evaluated, where they are used.
#[derive(Clone, Debug)]
pub struct EvaluationRows {
    pub(super) rows: Rows,
}

#[derive(Clone, Debug)]
pub(super) enum Rows {
    Host(HostRows),
    Tensors(Vec<Chunk>),
}

/// A row of the table, its coefficient in the loss, and its sign (+1 source, -1
/// target).
type Weighted = (u32, f32, f32);

/// Rows of one list for all members, or of one a member.
#[derive(Clone, Debug)]
pub(super) struct HostRows {
    lists: Vec<Vec<Weighted>>,
    scalings: Vec<InputScaling>,
}

impl HostRows {
    /// Rows and standardisation of a member.
    pub(super) fn of(&self, member: usize) -> (&[Weighted], &InputScaling) {
        let own = member.min(self.lists.len() - 1);
        (&self.lists[own], &self.scalings[own])
    }
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
    pub(super) fn features(&self, table: &Tensor<2>) -> Tensor<3> {
        match &self.shared {
            Some(x) => x.clone(),
            None => self
                .scaling
                .apply(gather(table, self.rows.clone(), self.members)),
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
        let rows = if compute.has_host_kernels() {
            Rows::Host(HostRows {
                lists: lists.to_vec(),
                scalings: scalings.to_vec(),
            })
        } else {
            Rows::Tensors(chunks(compute, table.tensor(), lists, scalings))
        };
        Self { rows }
    }
}

fn chunks(
    compute: &Compute,
    table: &Tensor<2>,
    lists: &[Vec<Weighted>],
    scalings: &[InputScaling],
) -> Vec<Chunk> {
    let members = lists.len();
    let scaling = DeviceScaling::new(compute, scalings);
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let device = compute.device();
    (0..longest.div_ceil(EVALUATION_CHUNK))
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
                shared: (members == 1).then(|| scaling.apply(gather(table, rows.clone(), 1))),
                scaling: scaling.clone(),
                rows,
                half_signs: Tensor::from_data(TensorData::new(half_signs, shape), device),
                coefficients: Tensor::from_data(TensorData::new(coefficients, shape), device),
                members,
            }
        })
        .collect()
}
