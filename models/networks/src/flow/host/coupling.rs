//! The coupling: every other feature is mapped by a spline whose theta the
//! conditioner computes from the remaining features and the context.
//!
//! The conditioner is a residual network on one tile of events:
//! `h = [x_I, c] W + b`; every block adds `t sigmoid(c W_c + b_c)` to h with
//! `t = dropout(relu(relu(h) W_1 + b_1)) W_2 + b_2` (no gate without a context);
//! `theta = h W_out + b_out`. This is nflows' `ResidualNet` (0.14).
//!
//! The gradient starts from the tile's own forward pass, done again right before
//! it: keeping the activations of a batch of 1024 instead, 8 MB outside the
//! second-level cache, was measured to be as fast for 32 hidden units and slower
//! for 64.
//!
//! Source: Durkan et al., arXiv:1906.04032, section 3.

use super::matmul::{Accumulate, ColumnSum, Dense, Epilogue, Factor, Start};
use super::matmul::{Adding, Dropping, Gating, Through, ThroughGate};
use super::spline::{Backward, HostSpline, Map};
use super::tile::{self, PAD, TILE, Transpose};
use crate::buffer::Buffer;
use crate::flow::FlowConfig;
use sideband_numerics::lanes::Arch;

/// A matrix `[rows, H]`, or a bias with one row.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    /// Where it begins in the parameters.
    place: usize,
    /// Where it begins in the padded copy, `[rows, padded H]`.
    padded: usize,
    rows: usize,
}

#[derive(Clone, Copy, Debug)]
struct Layer {
    weight: Matrix,
    bias: Matrix,
    /// The weight transposed, in the padded copy, where it is needed.
    turned: Matrix,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    first: Layer,
    second: Layer,
    /// No rows without a context.
    gate: Layer,
}

/// One coupling, as the places of its parameters.
pub(super) struct Coupling {
    transformed: Vec<usize>,
    passed: Vec<usize>,
    /// Context variables, `C`.
    context: usize,
    /// `H`, and padded to whole registers.
    hidden: usize,
    width: usize,
    /// Values of theta, `T (3K - 1)`.
    outputs: usize,
    spline: HostSpline,
    input: Layer,
    blocks: Vec<Block>,
    /// The output's weight, `[H, outputs]` in the parameters and transposed,
    /// `[outputs, padded H]`, in the padded copy; and the place of its bias.
    output: Matrix,
    output_bias: usize,
    /// Number of parameters, and length of the padded copy.
    pub(super) parameters: usize,
    pub(super) padded: usize,
}

pub(super) struct Given<'a, M> {
    pub(super) arch: Arch,
    pub(super) parameters: &'a [f32],
    pub(super) padded: &'a [f32],
    /// `[C, TILE]`.
    pub(super) context: &'a [f32],
    /// `mask(b)`: the dropout masks `[events, H]` of the tile's events in block b, if
    /// there is dropout.
    pub(super) mask: M,
}

/// Memory for one tile, and for the sums over tiles.
#[derive(Default)]
pub(super) struct Work {
    /// The network's input, `[I + C, TILE]`.
    inputs: Buffer,
    /// Its output, later the gradient by it, `[outputs, TILE]`.
    theta: Buffer,
    /// Gradient by the passed features, `[I, TILE]`.
    by_passed: Buffer,
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

#[derive(Default)]
struct Inner {
    mask: Buffer,
    dropped: Buffer,
    update: Buffer,
    gate: Buffer,
}

impl Coupling {
    /// The coupling with a number among the couplings of a flow.
    pub(super) fn new(config: &FlowConfig, number: usize) -> Self {
        let [transformed, passed] = config.division(number);
        let spline = HostSpline {
            bins: config.bins,
            bound: config.bound,
            scale: (config.hidden as f64).sqrt().recip(),
        };
        let (hidden, context) = (config.hidden, config.context);
        let width = hidden.next_multiple_of(PAD);
        let outputs = transformed.len() * spline.parameters();
        let (mut place, mut padded) = (0, 0);
        let mut matrix = |rows: usize| {
            let matrix = Matrix {
                place,
                padded,
                rows,
            };
            place += rows * hidden;
            padded += rows * width;
            matrix
        };
        let mut layer = |inputs: usize, biases: usize| {
            let weight = matrix(inputs);
            Layer {
                weight,
                bias: matrix(biases),
                turned: weight,
            }
        };
        let input = layer(passed.len() + context, 1);
        let block = |_| Block {
            first: layer(hidden, 1),
            second: layer(hidden, 1),
            gate: layer(context, usize::from(context > 0)),
        };
        let mut blocks: Vec<Block> = (0..config.blocks).map(block).collect();
        let mut turned = |place: usize, rows: usize| {
            padded += rows * width;
            Matrix {
                place,
                padded: padded - rows * width,
                rows,
            }
        };
        for layer in blocks
            .iter_mut()
            .flat_map(|b| [&mut b.first, &mut b.second])
        {
            layer.turned = turned(layer.weight.place, hidden);
        }
        let output = turned(place, outputs);
        let output_bias = place + hidden * outputs;
        Self {
            transformed,
            passed,
            context,
            hidden,
            width,
            outputs,
            spline,
            input,
            blocks,
            output,
            output_bias,
            parameters: output_bias + outputs,
            padded,
        }
    }

    fn matrices(&self) -> impl Iterator<Item = Matrix> {
        let blocks = self.blocks.iter().flat_map(|b| [b.first, b.second, b.gate]);
        let layers = [self.input].into_iter().chain(blocks);
        layers.flat_map(|layer| [layer.weight, layer.bias])
    }

    /// Copies the parameters into `padded`, rows of H padded with zeros, and
    /// transposed ones behind them. `padded` is zero at first.
    pub(super) fn pack(&self, parameters: &[f32], padded: &mut [f32]) {
        let h = self.hidden;
        for matrix in self.matrices() {
            let from = parameters[matrix.place..].chunks_exact(h);
            let to = padded[matrix.padded..].chunks_exact_mut(self.width);
            for (from, to) in from.zip(to).take(matrix.rows) {
                to[..h].copy_from_slice(from);
            }
        }
        let turned = self.blocks.iter().flat_map(|b| [b.first, b.second]);
        let turned = turned.map(|layer| layer.turned).chain([self.output]);
        for Matrix {
            place,
            padded: to,
            rows: columns,
        } in turned
        {
            for row in 0..h {
                let from = &parameters[place + row * columns..][..columns];
                for (column, value) in from.iter().enumerate() {
                    padded[to + column * self.width + row] = *value;
                }
            }
        }
    }

    fn rows<'a>(&self, padded: &'a [f32], matrix: Matrix) -> &'a [f32] {
        &padded[matrix.padded..][..matrix.rows * self.width]
    }

    pub(super) fn begin(&self, work: &mut Work) {
        work.sums.zeros(self.padded);
        work.output_bias.zeros(self.outputs * TILE);
    }

    /// Writes the sums of a batch into the gradient, in the parameters' places.
    pub(super) fn finish(&self, work: &Work, gradient: &mut [f32]) {
        let (h, outputs) = (self.hidden, self.outputs);
        let sums = work.sums.held(self.padded);
        for matrix in self.matrices() {
            let to = gradient[matrix.place..].chunks_exact_mut(h);
            let from = sums[matrix.padded..].chunks_exact(self.width);
            for (from, to) in from.zip(to).take(matrix.rows) {
                to.copy_from_slice(&from[..h]);
            }
        }
        let (weight, bias) = gradient[self.output.place..self.parameters].split_at_mut(h * outputs);
        let turned = &sums[self.output.padded..];
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

    /// Theta of the tile `x` `[D, TILE]`.
    fn condition<'m, M>(&self, given: &Given<M>, x: &[f32], work: &mut Work)
    where
        M: Fn(usize) -> Option<&'m [f32]>,
    {
        let rows = self.passed.len() * TILE;
        let inputs = work.inputs.get(rows + given.context.len());
        let (passed, context) = inputs.split_at_mut(rows);
        for (feature, to) in self.passed.iter().zip(passed.chunks_exact_mut(TILE)) {
            to.copy_from_slice(&x[feature * TILE..(feature + 1) * TILE]);
        }
        context.copy_from_slice(given.context);
        self.forward(given, work);
    }

    /// Maps the tile `x` `[D, TILE]` in place and adds to `log_det` `[TILE]`; the
    /// inverse, which leaves `log_det` as it is, where `INVERSE`.
    pub(super) fn map<'m, M, const INVERSE: bool>(
        &self,
        given: &Given<M>,
        x: &mut [f32],
        log_det: &mut [f32],
        work: &mut Work,
    ) where
        M: Fn(usize) -> Option<&'m [f32]>,
    {
        self.condition(given, x, work);
        given.arch.dispatch(Map::<INVERSE> {
            spline: self.spline,
            transformed: &self.transformed,
            theta: work.theta.get(self.outputs * TILE),
            x,
            log_det,
        });
    }

    /// Replaces the gradient by the mapped tile by that by the tile `x`, and adds
    /// that by the parameters to the sums in `work`.
    pub(super) fn backward<'m, M>(
        &self,
        given: &Given<M>,
        x: &[f32],
        by_log_det: &[f32],
        gradient: &mut [f32],
        work: &mut Work,
    ) where
        M: Fn(usize) -> Option<&'m [f32]>,
    {
        self.condition(given, x, work);
        given.arch.dispatch(Backward {
            spline: self.spline,
            transformed: &self.transformed,
            theta: work.theta.get(self.outputs * TILE),
            x,
            gradient,
            by_log_det,
        });
        self.through(given, work);
        let by_passed = work.by_passed.held(self.passed.len() * TILE);
        for (feature, from) in self.passed.iter().zip(by_passed.chunks_exact(TILE)) {
            let to = &mut gradient[feature * TILE..(feature + 1) * TILE];
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        }
    }

    /// `[TILE, padded H]` of a layer's product, by an epilogue.
    fn dense<M, E: Epilogue>(&self, given: &Given<M>, layer: &Layer, input: Factor, epilogue: E) {
        given.arch.dispatch(Dense {
            input,
            terms: layer.weight.rows,
            weight: self.rows(given.padded, layer.weight),
            bias: self.rows(given.padded, layer.bias),
            columns: self.width,
            epilogue,
        });
    }

    /// The same with a transposed weight.
    fn turned<M, E: Epilogue>(&self, given: &Given<M>, weight: Matrix, input: Factor, epilogue: E) {
        given.arch.dispatch(Dense {
            input,
            terms: weight.rows,
            weight: self.rows(given.padded, weight),
            bias: &[],
            columns: self.width,
            epilogue,
        });
    }

    fn forward<'m, M>(&self, given: &Given<M>, work: &mut Work)
    where
        M: Fn(usize) -> Option<&'m [f32]>,
    {
        let (hidden, width, passed) = (self.hidden, self.width, self.passed.len());
        let cells = TILE * width;
        work.entries.resize_with(self.blocks.len(), Buffer::default);
        work.blocks.resize_with(self.blocks.len(), Inner::default);
        let inputs = work.inputs.held((passed + self.context) * TILE);
        let epilogue = Adding {
            gate: None,
            update: None,
            hidden: work.hidden.get(cells),
            entry: work.entries.first_mut().map(|entry| entry.get(cells)),
        };
        self.dense(given, &self.input, Factor::ByTerm(inputs, TILE), epilogue);
        for (b, block) in self.blocks.iter().enumerate() {
            let inner = &mut work.blocks[b];
            let rows = (given.mask)(b);
            let mask = match rows {
                Some(rows) if !self.covers(rows) => {
                    Some(pad_rows(rows, hidden, width, inner.mask.get(cells)))
                }
                rows => rows,
            };
            let to = inner.dropped.get(cells);
            let entry = Factor::ByRow(work.entries[b].held(cells), width);
            self.dense(given, &block.first, entry, Dropping { mask, to });
            if self.context > 0 {
                let context = Factor::ByTerm(&inputs[passed * TILE..], TILE);
                let to = inner.gate.get(cells);
                self.dense(given, &block.gate, context, Gating(to));
            }
            let dropped = Factor::ByRow(inner.dropped.held(cells), width);
            let epilogue = Adding {
                gate: (self.context > 0).then(|| inner.gate.held(cells)),
                update: Some(inner.update.get(cells)),
                hidden: work.hidden.get(cells),
                entry: work.entries.get_mut(b + 1).map(|entry| entry.get(cells)),
            };
            self.dense(given, &block.second, dropped, epilogue);
        }
        given.arch.dispatch(Transpose {
            from: work.hidden.held(cells),
            to: work.turned.get(cells),
            columns: width,
        });
        let weight = &given.parameters[self.output.place..self.output_bias];
        given.arch.dispatch(Accumulate {
            factor: Factor::ByTerm(weight, self.outputs),
            terms: hidden,
            lanes: work.turned.held(cells),
            columns: TILE,
            rows: self.outputs,
            start: Start::Rows(&given.parameters[self.output_bias..][..self.outputs]),
            to: work.theta.get(self.outputs * TILE),
        });
    }

    /// Adds the gradients of a tile to the sums and leaves that by the passed
    /// features in `work.by_passed`. `work` is as [`forward`](Self::forward)
    /// left it, but for `theta`, which is the gradient by theta.
    fn through<'m, M>(&self, given: &Given<M>, work: &mut Work)
    where
        M: Fn(usize) -> Option<&'m [f32]>,
    {
        let (hidden, width, passed) = (self.hidden, self.width, self.passed.len());
        let (context, outputs, arch) = (self.context, self.outputs, given.arch);
        let cells = TILE * width;
        let inputs = work.inputs.held((passed + context) * TILE);
        let theta = work.theta.held(outputs * TILE);
        let sums = work.sums.get(self.padded);
        // adds A^T B to the gradient of a weight, and the sum of B to its bias'
        let mut accumulate =
            |factor: Factor, lanes: &[f32], weight: Matrix, bias: Option<Matrix>| {
                arch.dispatch(Accumulate {
                    factor,
                    terms: TILE,
                    lanes,
                    columns: width,
                    rows: weight.rows,
                    start: Start::Held,
                    to: &mut sums[weight.padded..][..weight.rows * width],
                });
                if let Some(bias) = bias {
                    arch.dispatch(ColumnSum {
                        from: lanes,
                        columns: width,
                        to: &mut sums[bias.padded..bias.padded + width],
                    });
                }
            };
        let lanes = work.hidden.held(cells);
        accumulate(Factor::ByRow(theta, TILE), lanes, self.output, None);
        let output_bias = work.output_bias.get(outputs * TILE);
        for (sum, value) in output_bias.iter_mut().zip(theta) {
            *sum += value;
        }
        let epilogue = Through {
            mask: None,
            alive: None,
            added: false,
            to: work.by_hidden.get(cells),
        };
        let input = Factor::ByTerm(theta, TILE);
        self.turned(given, self.output, input, epilogue);
        for (b, block) in self.blocks.iter().enumerate().rev() {
            let inner = &work.blocks[b];
            let Block {
                first,
                second,
                gate,
            } = block;
            if context > 0 {
                arch.dispatch(ThroughGate {
                    by_hidden: work.by_hidden.held(cells),
                    update: inner.update.held(cells),
                    gate: inner.gate.held(cells),
                    by_update: work.by_update.get(cells),
                    by_gate: work.by_gate.get(cells),
                    columns: width,
                });
                let lanes = work.by_gate.held(cells);
                let factor = Factor::ByRow(&inputs[passed * TILE..], TILE);
                accumulate(factor, lanes, gate.weight, Some(gate.bias));
            }
            let by_update = match context {
                0 => work.by_hidden.held(cells),
                _ => work.by_update.held(cells),
            };
            let dropped = inner.dropped.held(cells);
            let factor = Factor::ByTerm(dropped, width);
            accumulate(factor, by_update, second.weight, Some(second.bias));
            let epilogue = Through {
                alive: Some(dropped),
                mask: (given.mask)(b).map(|rows| match self.covers(rows) {
                    true => rows,
                    false => inner.mask.held(cells),
                }),
                added: false,
                to: work.by_inner.get(cells),
            };
            let input = Factor::ByRow(by_update, width);
            self.turned(given, second.turned, input, epilogue);
            let by_inner = work.by_inner.held(cells);
            let entry = work.entries[b].held(cells);
            let factor = Factor::ByTerm(entry, width);
            accumulate(factor, by_inner, first.weight, Some(first.bias));
            let epilogue = Through {
                mask: None,
                alive: Some(entry),
                added: true,
                to: work.by_hidden.get(cells),
            };
            let input = Factor::ByRow(by_inner, width);
            self.turned(given, first.turned, input, epilogue);
        }
        let by_hidden = work.by_hidden.held(cells);
        let (weight, bias) = (self.input.weight, Some(self.input.bias));
        accumulate(Factor::ByRow(inputs, TILE), by_hidden, weight, bias);
        arch.dispatch(Transpose {
            from: by_hidden,
            to: work.turned.get(cells),
            columns: width,
        });
        arch.dispatch(Accumulate {
            factor: Factor::ByRow(self.rows(given.padded, weight), width),
            terms: hidden,
            lanes: work.turned.held(cells),
            columns: TILE,
            rows: passed,
            start: Start::Zero,
            to: work.by_passed.get(passed * TILE),
        });
    }

    /// Whether masks `[events, H]` need no padding.
    fn covers(&self, mask: &[f32]) -> bool {
        mask.len() == TILE * self.width
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
