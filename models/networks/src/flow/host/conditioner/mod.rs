//! The conditioner of a coupling: a residual network on one tile of events.
//!
//! `h = [x_I, c] W + b`; every block adds `t sigmoid(c W_c + b_c)` to h with
//! `t = dropout(relu(relu(h) W_1 + b_1)) W_2 + b_2` (no gate without a context);
//! `theta = h W_out + b_out`. This is nflows' `ResidualNet` (0.14).
//!
//! Here are its sizes and the places of its parameters; [`passes`] computes.

mod epilogue;
mod passes;

use super::tile::{self, PAD, TILE};
pub(super) use passes::Work;

/// Sizes of a conditioner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Features passed through, `I`.
    pub(super) passed: usize,
    /// Context variables, `C`.
    pub(super) context: usize,
    /// `H`.
    pub(super) hidden: usize,
    /// Residual blocks.
    pub(super) blocks: usize,
    /// Values of theta, `T (3K - 1)`.
    pub(super) outputs: usize,
}

/// A matrix `[rows, H]`, or a bias with one row.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    /// Where it begins in the parameters.
    place: usize,
    /// Where it begins in the padded copy, `[rows, padded H]`.
    padded: usize,
    rows: usize,
}

/// The parameters of one residual block.
#[derive(Clone, Copy, Debug)]
struct Block {
    first: Matrix,
    first_bias: Matrix,
    second: Matrix,
    second_bias: Matrix,
    /// Weight and bias of the gate; no rows without a context.
    gate: Matrix,
    gate_bias: Matrix,
    /// Where the padded copies of the transposed weights begin.
    first_turned: usize,
    second_turned: usize,
}

/// The network, as the places of its parameters.
#[derive(Clone, Debug)]
pub(super) struct Conditioner {
    shape: Shape,
    /// `H` padded to whole registers.
    width: usize,
    input: Matrix,
    input_bias: Matrix,
    blocks: Vec<Block>,
    /// `[H, outputs]` and `[outputs]` in the parameters.
    output: usize,
    output_bias: usize,
    /// The output's weight transposed, `[outputs, padded H]`, in the padded copy.
    output_turned: usize,
    parameters: usize,
    padded: usize,
}

impl Conditioner {
    pub(super) fn new(shape: Shape) -> Self {
        let width = shape.hidden.next_multiple_of(PAD);
        let (mut place, mut padded) = (0, 0);
        let mut matrix = |rows: usize| {
            let matrix = Matrix {
                place,
                padded,
                rows,
            };
            place += rows * shape.hidden;
            padded += rows * width;
            matrix
        };
        let input = matrix(shape.passed + shape.context);
        let input_bias = matrix(1);
        let gated = usize::from(shape.context > 0);
        let mut blocks: Vec<Block> = (0..shape.blocks)
            .map(|_| Block {
                first: matrix(shape.hidden),
                first_bias: matrix(1),
                second: matrix(shape.hidden),
                second_bias: matrix(1),
                gate: matrix(shape.context),
                gate_bias: matrix(gated),
                first_turned: 0,
                second_turned: 0,
            })
            .collect();
        let mut turned = |rows: usize| {
            padded += rows * width;
            padded - rows * width
        };
        for block in &mut blocks {
            block.first_turned = turned(shape.hidden);
            block.second_turned = turned(shape.hidden);
        }
        let output_turned = turned(shape.outputs);
        let output_bias = place + shape.hidden * shape.outputs;
        Self {
            shape,
            width,
            input,
            input_bias,
            blocks,
            output: place,
            output_bias,
            output_turned,
            parameters: output_bias + shape.outputs,
            padded,
        }
    }

    /// Number of parameters.
    pub(super) fn parameters(&self) -> usize {
        self.parameters
    }

    /// Length of the padded copy.
    pub(super) fn padded(&self) -> usize {
        self.padded
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    fn matrices(&self) -> impl Iterator<Item = Matrix> {
        let blocks = self.blocks.iter().flat_map(|b| {
            [
                b.first,
                b.first_bias,
                b.second,
                b.second_bias,
                b.gate,
                b.gate_bias,
            ]
        });
        [self.input, self.input_bias].into_iter().chain(blocks)
    }

    /// Copies the parameters into `padded`, rows of H padded with zeros, and
    /// transposed ones behind them. `padded` is zero at first.
    pub(super) fn pack(&self, parameters: &[f32], padded: &mut [f32]) {
        let h = self.shape.hidden;
        for matrix in self.matrices() {
            let from = parameters[matrix.place..].chunks_exact(h);
            let to = padded[matrix.padded..].chunks_exact_mut(self.width);
            for (from, to) in from.zip(to).take(matrix.rows) {
                to[..h].copy_from_slice(from);
            }
        }
        let mut turn = |place: usize, columns: usize, turned: usize| {
            for row in 0..h {
                let from = &parameters[place + row * columns..][..columns];
                for (column, value) in from.iter().enumerate() {
                    padded[turned + column * self.width + row] = *value;
                }
            }
        };
        for block in &self.blocks {
            turn(block.first.place, h, block.first_turned);
            turn(block.second.place, h, block.second_turned);
        }
        turn(self.output, self.shape.outputs, self.output_turned);
    }

    fn rows<'a>(&self, padded: &'a [f32], matrix: Matrix) -> &'a [f32] {
        &padded[matrix.padded..][..matrix.rows * self.width]
    }

    /// Begins the sums of a batch.
    pub(super) fn begin(&self, work: &mut Work) {
        work.sums.zeros(self.padded);
        work.output_bias.zeros(self.shape.outputs * TILE);
    }

    /// Writes the sums of a batch into the gradient, in the parameters' places.
    pub(super) fn finish(&self, work: &Work, gradient: &mut [f32]) {
        let (h, outputs) = (self.shape.hidden, self.shape.outputs);
        let sums = work.sums.held(self.padded);
        for matrix in self.matrices() {
            let to = gradient[matrix.place..].chunks_exact_mut(h);
            let from = sums[matrix.padded..].chunks_exact(self.width);
            for (from, to) in from.zip(to).take(matrix.rows) {
                to.copy_from_slice(&from[..h]);
            }
        }
        let (weight, bias) = gradient[self.output..self.parameters].split_at_mut(h * outputs);
        let turned = &sums[self.output_turned..];
        for (row, to) in weight.chunks_exact_mut(outputs.max(1)).enumerate() {
            for (column, value) in to.iter_mut().enumerate() {
                *value = turned[column * self.width + row];
            }
        }
        let lanes = work.output_bias.held(outputs * TILE).chunks_exact(TILE);
        for (value, lanes) in bias.iter_mut().zip(lanes) {
            *value = tile::sum(lanes);
        }
    }
}
