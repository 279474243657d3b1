//! The conditioner's forward pass and its gradient, on one tile of events.
//!
//! The gradient starts from the tile's own forward pass, done again right before
//! it: keeping the activations of a batch of 1024 instead, 8 MB outside the
//! second-level cache, was measured to be as fast for 32 hidden units and slower
//! for 64.

use super::epilogue::{Adding, Dropping, Entering, Gating, Plain};
use super::epilogue::{ThroughDropping, ThroughEntry, ThroughGate};
use super::{Conditioner, Matrix, Shape};
use crate::flow::host::matmul::{Accumulate, ColumnSum, Dense, Factor, Start};
use crate::flow::host::tile::{TILE, Transpose};
use crate::host::Buffer;
use pulp::Arch;

/// Memory for one tile, and for the sums over tiles.
#[derive(Default)]
pub(in crate::flow::host) struct Work {
    /// The network's input, `[I + C, TILE]`.
    pub(in crate::flow::host) inputs: Buffer,
    /// Its output, later the gradient by it, `[outputs, TILE]`.
    pub(in crate::flow::host) theta: Buffer,
    /// Gradient by the passed features, `[I, TILE]`.
    pub(in crate::flow::host) by_passed: Buffer,
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
    pub(super) sums: Buffer,
    /// Gradient of the output's bias, `[outputs, TILE]`.
    pub(super) output_bias: Buffer,
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
    /// Theta of a tile from `work.inputs`. `mask(b)`: the dropout masks
    /// `[events, H]` of the tile's events in block b, if there is dropout.
    pub(in crate::flow::host) fn forward<'m>(
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
            let rows = mask(b);
            let mask = match rows {
                Some(rows) if !self.covers(rows) => {
                    Some(pad_rows(rows, hidden, width, inner.mask.get(cells)))
                }
                rows => rows,
            };
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
    pub(in crate::flow::host) fn backward<'m>(
        &self,
        arch: Arch,
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
                    mask: mask(b).map(|rows| match self.covers(rows) {
                        true => rows,
                        false => inner.mask.held(cells),
                    }),
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
