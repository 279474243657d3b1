//! The rows that training reads, once on the device, what makes network inputs of them,
//! and which of them are batches and which are held out.

use crate::device::Compute;
use burn::tensor::{Int, Tensor};
use sideband_numerics::random::Key;

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
pub(super) struct DeviceScaling {
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
            let flat = list.iter().flat_map(|s| pick(s).iter().copied());
            compute.tensor(flat.collect(), [list.len(), 1, columns])
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
pub struct Table(TablePlace);

enum TablePlace {
    Host(HostTable),
    Device(Box<Tensor<2>>),
}

pub(super) struct HostTable {
    values: Vec<f32>,
    columns: usize,
}

impl Table {
    /// Copies row-major features `[N, D]` to the device. Panics if they are not whole
    /// rows: the caller made the matrix.
    pub fn new(compute: &Compute, features: Vec<f32>, columns: usize) -> Self {
        assert!(features.len().is_multiple_of(columns), "rows are whole");
        if compute.has_host_kernels() {
            let values = features;
            return Self(TablePlace::Host(HostTable { values, columns }));
        }
        let rows = features.len() / columns;
        let tensor = compute.tensor(features, [rows, columns]);
        Self(TablePlace::Device(Box::new(tensor)))
    }

    pub(super) fn host(&self) -> &HostTable {
        match &self.0 {
            TablePlace::Host(table) => table,
            TablePlace::Device(_) => unreachable!("a stack's table is made for its device"),
        }
    }

    pub(super) fn tensor(&self) -> &Tensor<2> {
        match &self.0 {
            TablePlace::Device(x) => x,
            TablePlace::Host(_) => unreachable!("a stack's table is made for its device"),
        }
    }
}

impl HostTable {
    /// Standardised rows into `x` `[rows, stride]`, with ones behind the features.
    pub(super) fn gather(
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
pub(super) fn gather(table: &Tensor<2>, rows: Tensor<1, Int>, members: usize) -> Tensor<3> {
    let batch = rows.dims()[0] / members.max(1);
    let columns = table.dims()[1];
    let picked = table.clone().select(0, rows);
    picked.reshape([members, batch, columns])
}

/// Which rows each member sees in `S` consecutive steps, and with what weight.
///
/// A batch of `B` rows is `B/2` of the source followed by `B/2` of the target.
/// Everything here is a member's own, in the order of the stack's rows.
#[derive(Clone, Debug)]
pub struct Batches {
    /// Number of steps, `S`.
    pub steps: usize,
    /// Rows of the table, `[S, E, B]`.
    pub rows: Vec<i32>,
    /// Coefficient of each row in its batch's loss, `[S, E, B]`.
    pub coefficients: Vec<f32>,
    /// Learning rate of each member, `[E]`.
    pub learning_rates: Vec<f64>,
    /// Key of each member's dropout masks, `[E]`; not read without dropout.
    pub dropout_keys: Vec<Key>,
    /// A member's number of steps before these, `[E]`: counts its masks.
    pub first_steps: Vec<u64>,
}

impl Batches {
    /// Appends the dropout mask of a member, step and layer, `units` values (`B W`)
    /// of 0 or 1/(1-p).
    pub(crate) fn dropout_mask(
        &self,
        [member, step, layer]: [usize; 3],
        units: usize,
        probability: f64,
        mask: &mut Vec<f32>,
    ) {
        // 16 bits a unit, four units a draw
        let threshold = (probability * 65_536.0).round() as u64;
        let keep = (1.0 / (1.0 - probability)) as f32;
        let number = self.first_steps[member] + step as u64;
        let key = self.dropout_keys[member].with(number).with(layer as u64);
        let first = mask.len();
        mask.resize(first + units, keep);
        let mut words = [0; 256];
        for (block, mask) in mask[first..].chunks_mut(4 * words.len()).enumerate() {
            let words = &mut words[..mask.len().div_ceil(4)];
            key.fill(256 * block as u64, words);
            for (mask, word) in mask.chunks_mut(4).zip(words) {
                for (lane, mask) in mask.iter_mut().enumerate() {
                    let dropped = (*word >> (16 * lane)) & 0xFFFF < threshold;
                    *mask = if dropped { 0.0 } else { keep };
                }
            }
        }
    }
}

/// Rows of one chunk: a chunk of 50-unit layers stays in a CPU's cache.
pub const EVALUATION_CHUNK: usize = 2048;

/// Rows on which a loss is evaluated, where they are used: summed so that a member's
/// number does not depend on its neighbours.
pub struct EvaluationRows(pub(super) Rows);

pub(super) enum Rows {
    /// Lists and standardisations, one for all members or one a member.
    Host(Vec<(Vec<Weighted>, InputScaling)>),
    Tensors(Vec<Chunk>),
}

/// A row of the table, its coefficient in the loss, and its sign (+1 source, -1
/// target).
type Weighted = (u32, f32, f32);

/// Rows of a fixed number, those behind the last one with coefficient 0: the device
/// sums a chunk, the host adds the chunks in f64.
pub(super) struct Chunk {
    /// `[1, chunk, D]` when all members share the rows; else gathered.
    shared: Option<Tensor<3>>,
    rows: Tensor<1, Int>,
    scaling: DeviceScaling,
    pub(super) half_signs: Tensor<3>,
    pub(super) coefficients: Tensor<3>,
    members: usize,
}

impl Chunk {
    pub(super) fn features(&self, table: &Tensor<2>) -> Tensor<3> {
        if let Some(x) = &self.shared {
            return x.clone();
        }
        let rows = gather(table, self.rows.clone(), self.members);
        self.scaling.apply(rows)
    }
}

impl EvaluationRows {
    /// `lists`: one for all members, or one a member: rows of the table, each
    /// with its coefficient in the loss and its sign (+1 source, -1 target).
    /// `scalings`: of the members, one a list.
    pub fn new(
        compute: &Compute,
        table: &Table,
        lists: &[Vec<(u32, f32, f32)>],
        scalings: &[InputScaling],
    ) -> Self {
        if compute.has_host_kernels() {
            let scalings = scalings.iter().cloned();
            return Self(Rows::Host(lists.iter().cloned().zip(scalings).collect()));
        }
        let chunks = chunks(compute, table.tensor(), lists, scalings);
        Self(Rows::Tensors(chunks))
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
    let chunk = |chunk: usize| {
        let places = chunk * EVALUATION_CHUNK..(chunk + 1) * EVALUATION_CHUNK;
        let of_list = |list: &Vec<Weighted>| -> Vec<Weighted> {
            let row = |i| list.get(i).copied().unwrap_or((0, 0.0, 1.0));
            places.clone().map(row).collect()
        };
        let weighted: Vec<Weighted> = lists.iter().flat_map(of_list).collect();
        let rows = compute.index(weighted.iter().map(|(row, ..)| *row as i32).collect());
        let column = |pick: fn(&Weighted) -> f32| {
            let values = weighted.iter().map(pick).collect();
            compute.tensor(values, [members, EVALUATION_CHUNK, 1])
        };
        Chunk {
            shared: (members == 1).then(|| scaling.apply(gather(table, rows.clone(), 1))),
            scaling: scaling.clone(),
            rows,
            half_signs: column(|(_, _, sign)| 0.5 * sign),
            coefficients: column(|(_, coefficient, _)| *coefficient),
            members,
        }
    };
    (0..longest.div_ceil(EVALUATION_CHUNK)).map(chunk).collect()
}
