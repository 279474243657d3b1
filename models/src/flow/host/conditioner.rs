//! The conditioner of a coupling: a residual network on one tile of events.
//!
//! `h = [x_I, c] W + b`; every block adds `t sigmoid(c W_c + b_c)` to h with
//! `t = dropout(relu(relu(h) W_1 + b_1)) W_2 + b_2` (no gate without a context);
//! `theta = h W_out + b_out`. This is nflows' `ResidualNet` (0.14).
//!
//! The gradient of a tile starts from its own forward pass: that is done again
//! right before, because fetching a whole batch's activations from outside the
//! cache takes longer than computing them.

use super::epilogue::{Adding, Dropping, Entering, Gating, Plain};
use super::epilogue::{ThroughDropping, ThroughEntry, ThroughGate};
use super::matmul::{Accumulate, ColumnSum, Dense, Factor, Start};
use super::tile::{self, Buffer, PAD, TILE, Transpose};
use pulp::Arch;

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

/// Memory for one tile, and for the sums over tiles.
#[derive(Default)]
pub(super) struct Work {
    /// The network's input, `[I + C, TILE]`.
    pub(super) inputs: Buffer,
    /// Its output, later the gradient by it, `[outputs, TILE]`.
    pub(super) theta: Buffer,
    /// Gradient by the passed features, `[I, TILE]`.
    pub(super) by_passed: Buffer,
    // from here to the blocks `[TILE, padded H]`
    hidden: Buffer,
    by_hidden: Buffer,
    by_inner: Buffer,
    by_update: Buffer,
    by_gate: Buffer,
    /// `hidden` or `by_hidden` transposed.
    turned: Buffer,
    /// relu(h) before every block.
    entries: Vec<Buffer>,
    blocks: Vec<Inner>,
    /// Gradients of the parameters, in the places of the padded copy.
    sums: Buffer,
    /// Gradient of the output's bias, `[outputs, TILE]`.
    output_bias: Buffer,
}

/// Activations inside a block.
#[derive(Default)]
struct Inner {
    mask: Buffer,
    dropped: Buffer,
    update: Buffer,
    gate: Buffer,
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

    /// Theta of a tile from `work.inputs`. `mask(b)`: the dropout masks
    /// `[events, H]` of the tile's events in block b, if there is dropout.
    pub(super) fn forward<'m>(
        &self,
        arch: Arch,
        parameters: &[f32],
        padded: &[f32],
        mask: impl Fn(usize) -> Option<&'m [f32]>,
        work: &mut Work,
    ) {
        let Shape {
            passed,
            context,
            hidden,
            outputs,
            ..
        } = self.shape;
        let width = self.width;
        let cells = TILE * width;
        work.entries.resize_with(self.blocks.len(), Buffer::default);
        work.blocks.resize_with(self.blocks.len(), Inner::default);
        let inputs = work.inputs.held((passed + context) * TILE);
        arch.dispatch(Dense {
            input: Factor::by_term(inputs, TILE),
            terms: passed + context,
            weight: self.rows(padded, self.input),
            bias: self.rows(padded, self.input_bias),
            columns: width,
            epilogue: Entering {
                hidden: work.hidden.get(cells),
                entry: work.entries.first_mut().map(|entry| entry.get(cells)),
            },
        });
        for (b, block) in self.blocks.iter().enumerate() {
            let inner = &mut work.blocks[b];
            let mask = mask(b).map(|rows| pad_rows(rows, hidden, width, inner.mask.get(cells)));
            arch.dispatch(Dense {
                input: Factor::by_row(work.entries[b].held(cells), width),
                terms: hidden,
                weight: self.rows(padded, block.first),
                bias: self.rows(padded, block.first_bias),
                columns: width,
                epilogue: Dropping {
                    mask,
                    to: inner.dropped.get(cells),
                },
            });
            if context > 0 {
                arch.dispatch(Dense {
                    input: Factor::by_term(&inputs[passed * TILE..], TILE),
                    terms: context,
                    weight: self.rows(padded, block.gate),
                    bias: self.rows(padded, block.gate_bias),
                    columns: width,
                    epilogue: Gating(inner.gate.get(cells)),
                });
            }
            arch.dispatch(Dense {
                input: Factor::by_row(inner.dropped.held(cells), width),
                terms: hidden,
                weight: self.rows(padded, block.second),
                bias: self.rows(padded, block.second_bias),
                columns: width,
                epilogue: Adding {
                    gate: (context > 0).then(|| inner.gate.held(cells)),
                    update: inner.update.get(cells),
                    hidden: work.hidden.get(cells),
                    entry: work.entries.get_mut(b + 1).map(|entry| entry.get(cells)),
                },
            });
        }
        arch.dispatch(Transpose {
            from: work.hidden.held(cells),
            to: work.turned.get(cells),
            columns: width,
        });
        arch.dispatch(Accumulate {
            factor: Factor::by_term(&parameters[self.output..self.output_bias], outputs),
            terms: hidden,
            lanes: work.turned.held(cells),
            columns: TILE,
            rows: outputs,
            start: Start::Rows(&parameters[self.output_bias..][..outputs]),
            to: work.theta.get(outputs * TILE),
        });
    }

    /// Adds the gradients of a tile to the sums and leaves that by the passed
    /// features in `work.by_passed`. `work` is as [`forward`](Self::forward)
    /// left it, but for `theta`, which is the gradient by theta.
    pub(super) fn backward(&self, arch: Arch, padded: &[f32], masked: bool, work: &mut Work) {
        let Shape {
            passed,
            context,
            hidden,
            outputs,
            ..
        } = self.shape;
        let width = self.width;
        let cells = TILE * width;
        let inputs = work.inputs.held((passed + context) * TILE);
        let theta = work.theta.held(outputs * TILE);
        let sums = work.sums.get(self.padded);
        // adds A^T B to the gradient of a weight, and the sum of B to its bias'
        let mut accumulate =
            |factor: Factor, lanes: &[f32], weight: usize, rows: usize, bias: Option<Matrix>| {
                arch.dispatch(Accumulate {
                    factor,
                    terms: TILE,
                    lanes,
                    columns: width,
                    rows,
                    start: Start::Held,
                    to: &mut sums[weight..weight + rows * width],
                });
                if let Some(bias) = bias {
                    arch.dispatch(ColumnSum {
                        from: lanes,
                        columns: width,
                        to: &mut sums[bias.padded..bias.padded + width],
                    });
                }
            };
        let hidden_lanes = work.hidden.held(cells);
        accumulate(
            Factor::by_row(theta, TILE),
            hidden_lanes,
            self.output_turned,
            outputs,
            None,
        );
        let output_bias = work.output_bias.get(outputs * TILE);
        for (sum, value) in output_bias.iter_mut().zip(theta) {
            *sum += value;
        }
        arch.dispatch(Dense {
            input: Factor::by_term(theta, TILE),
            terms: outputs,
            weight: &padded[self.output_turned..][..outputs * width],
            bias: &[],
            columns: width,
            epilogue: Plain(work.by_hidden.get(cells)),
        });
        for (b, block) in self.blocks.iter().enumerate().rev() {
            let inner = &work.blocks[b];
            if context > 0 {
                arch.dispatch(ThroughGate {
                    by_hidden: work.by_hidden.held(cells),
                    update: inner.update.held(cells),
                    gate: inner.gate.held(cells),
                    by_update: work.by_update.get(cells),
                    by_gate: work.by_gate.get(cells),
                    columns: width,
                });
                let by_gate = work.by_gate.held(cells);
                let factor = Factor::by_row(&inputs[passed * TILE..], TILE);
                let bias = Some(block.gate_bias);
                accumulate(factor, by_gate, block.gate.padded, context, bias);
            }
            let by_update = match context {
                0 => work.by_hidden.held(cells),
                _ => work.by_update.held(cells),
            };
            let dropped = inner.dropped.held(cells);
            let (weight, bias) = (block.second.padded, Some(block.second_bias));
            accumulate(
                Factor::by_term(dropped, width),
                by_update,
                weight,
                hidden,
                bias,
            );
            arch.dispatch(Dense {
                input: Factor::by_row(by_update, width),
                terms: hidden,
                weight: &padded[block.second_turned..][..hidden * width],
                bias: &[],
                columns: width,
                epilogue: ThroughDropping {
                    dropped,
                    mask: masked.then(|| inner.mask.held(cells)),
                    to: work.by_inner.get(cells),
                },
            });
            let by_inner = work.by_inner.held(cells);
            let entry = work.entries[b].held(cells);
            let (weight, bias) = (block.first.padded, Some(block.first_bias));
            accumulate(
                Factor::by_term(entry, width),
                by_inner,
                weight,
                hidden,
                bias,
            );
            arch.dispatch(Dense {
                input: Factor::by_row(by_inner, width),
                terms: hidden,
                weight: &padded[block.first_turned..][..hidden * width],
                bias: &[],
                columns: width,
                epilogue: ThroughEntry {
                    entry,
                    by_hidden: work.by_hidden.get(cells),
                },
            });
        }
        let by_hidden = work.by_hidden.held(cells);
        let (weight, bias) = (self.input.padded, Some(self.input_bias));
        accumulate(
            Factor::by_row(inputs, TILE),
            by_hidden,
            weight,
            passed + context,
            bias,
        );
        arch.dispatch(Transpose {
            from: by_hidden,
            to: work.turned.get(cells),
            columns: width,
        });
        arch.dispatch(Accumulate {
            factor: Factor::by_row(self.rows(padded, self.input), width),
            terms: hidden,
            lanes: work.turned.held(cells),
            columns: TILE,
            rows: passed,
            start: Start::Zero,
            to: work.by_passed.get(passed * TILE),
        });
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

/// Copies rows of H into rows of the padded width; zero beyond the last row.
fn pad_rows<'a>(rows: &[f32], h: usize, width: usize, to: &'a mut [f32]) -> &'a [f32] {
    let mut from = rows.chunks_exact(h);
    for to in to.chunks_exact_mut(width) {
        match from.next() {
            Some(row) => to[..h].copy_from_slice(row),
            None => to.fill(0.0),
        }
    }
    to
}
