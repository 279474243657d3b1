//! One block of rows on its way through the layers and back.

use super::activation::{Activate, Bend, BendBack, Multiply, below_zero};
use super::norm::Norm;
use super::product::{self, Matrix};
use super::{HostMlp, Layer};
use crate::host::Buffer;
use std::ops::Range;

/// A block's memory. Buffers of a hidden layer are `[rows, width + 1]`: its last
/// column is the one that multiplies the next layer's bias.
#[derive(Default)]
pub(super) struct Block {
    /// Which rows of the batch these are.
    pub(super) rows: Range<usize>,
    /// Results of the hidden layers.
    values: Vec<Buffer>,
    /// Derivatives of the activations, unless their values tell them; after the
    /// backward pass the gradients by what went into them.
    slopes: Vec<Buffer>,
    /// Batch norms of the hidden layers, if there are any.
    pub(super) norms: Vec<Norm>,
    /// The network's output `[rows]`; after the loss its gradient by it.
    pub(super) output: Buffer,
    /// Gradient by a layer's input.
    by_input: Buffer,
    /// Sum of the rows' losses.
    pub(super) loss: f64,
}

/// Dropout masks of a batch.
pub(super) struct Dropout<'a> {
    /// `[B, W]` of every hidden layer, one after the other, or empty.
    pub(super) masks: &'a [f32],
    pub(super) batch: usize,
}

/// Why a block is evaluated.
pub(super) enum Pass<'a> {
    /// For a gradient: batch statistics and dropout.
    Training(Dropout<'a>),
    /// For the output: running statistics.
    Evaluation,
}

impl Block {
    /// Result of a hidden layer with its column of one.
    pub(super) fn value(&self, layer: &Layer, number: usize) -> Matrix<'_> {
        let stride = layer.width + 1;
        let values = self.values[number].held(self.rows.len() * stride);
        Matrix::new(values, stride, stride)
    }

    /// Gradient by the result of a layer's product.
    pub(super) fn by_result(&self, layer: &Layer, number: usize) -> Matrix<'_> {
        let rows = self.rows.len();
        match self.slopes.get(number) {
            Some(slopes) => {
                let stride = layer.width + 1;
                Matrix::new(slopes.held(rows * stride), layer.width, stride)
            }
            None => Matrix::new(self.output.held(rows), 1, 1),
        }
    }

    fn reserve(&mut self, layers: usize) {
        self.values.resize_with(layers, Buffer::default);
        self.slopes.resize_with(layers, Buffer::default);
        self.norms.resize_with(layers, Norm::default);
    }
}

/// Length of a buffer of whole registers.
fn whole(len: usize) -> usize {
    len.next_multiple_of(16)
}

impl HostMlp {
    /// Fills the block's `values`, `slopes` and `output`. `x`: `[rows, D + 1]`.
    pub(super) fn forward(
        &self,
        block: &mut Block,
        parameters: &[f32],
        statistics: &[f32],
        x: &[f32],
        pass: &Pass,
    ) {
        let rows = block.rows.len();
        block.reserve(self.hidden.len());
        let mut place = 0;
        for (number, layer) in self.hidden.iter().enumerate() {
            let stride = layer.width + 1;
            let len = rows * stride;
            let (before, after) = block.values.split_at_mut(number);
            let input = match before.last() {
                Some(before) => before.held(rows * (layer.inputs + 1)),
                None => x,
            };
            let input = Matrix::new(input, layer.inputs + 1, layer.inputs + 1);
            let value = after[0].get(whole(len));
            let weight = Matrix::new(&parameters[layer.weight.clone()], layer.width, layer.width);
            product::forward(input, weight, &mut value[..len], stride);
            if self.batch_norm {
                let norm = &mut block.norms[number];
                let affine = &parameters[layer.norm.clone()];
                let running = &statistics[layer.statistics.clone()];
                match pass {
                    Pass::Training(_) => norm.train(affine, running, &mut value[..len], rows),
                    Pass::Evaluation => norm.evaluate(affine, running, &mut value[..len]),
                }
            }
            match self.bend(pass) {
                Some(below) => self.arch.dispatch(Bend { below, value }),
                None => {
                    let slope = block.slopes[number].get(whole(len));
                    self.arch.dispatch(Activate {
                        activation: self.activation,
                        value: &mut *value,
                        slope: &mut *slope,
                    });
                    if let Pass::Training(dropout) = pass {
                        place += dropout.apply(place, layer.width, &block.rows, value, slope);
                    }
                }
            }
            let value = block.values[number].get(whole(len));
            for row in value[..len].chunks_exact_mut(stride) {
                row[layer.width] = 1.0;
            }
        }
        let input = match block.values.last() {
            Some(value) => value.held(rows * (self.output.inputs + 1)),
            None => x,
        };
        let input = Matrix::new(input, self.output.inputs + 1, self.output.inputs + 1);
        let weight = Matrix::new(&parameters[self.output.weight.clone()], 1, 1);
        product::forward(input, weight, &mut block.output.get(whole(rows))[..rows], 1);
    }

    /// Where derivatives are those of a [`Bend`], which the values tell: not with dropout,
    /// which scales both.
    fn bend(&self, pass: &Pass) -> Option<f32> {
        match pass {
            Pass::Training(dropout) if !dropout.masks.is_empty() => None,
            _ => below_zero(self.activation),
        }
    }

    /// From the gradient by the output to those by every layer's result. `pass`: the
    /// same as forward.
    pub(super) fn backward(&self, block: &mut Block, parameters: &[f32], pass: &Pass) {
        let rows = block.rows.len();
        for number in (0..self.hidden.len()).rev() {
            let layer = &self.hidden[number];
            let next = self.hidden.get(number + 1).unwrap_or(&self.output);
            let stride = layer.width + 1;
            let len = rows * stride;
            let (slopes, after) = block.slopes.split_at_mut(number + 1);
            let by_next = match after.first() {
                Some(after) => Matrix::new(
                    after.held(rows * (next.width + 1)),
                    next.width,
                    next.width + 1,
                ),
                None => Matrix::new(block.output.held(rows), 1, 1),
            };
            let weight = &parameters[next.weight.clone()][..next.inputs * next.width];
            let weight = Matrix::new(weight, next.width, next.width);
            let to = slopes[number].get(whole(len));
            if let Some(below) = self.bend(pass) {
                product::input_gradient(by_next, weight, &mut to[..len], stride);
                let value = block.values[number].held(whole(len));
                self.arch.dispatch(BendBack {
                    below,
                    value,
                    to: &mut *to,
                });
            } else {
                let by_value = block.by_input.get(whole(len));
                product::input_gradient(by_next, weight, &mut by_value[..len], stride);
                self.arch.dispatch(Multiply {
                    factor: by_value,
                    to: &mut *to,
                });
            }
            if self.batch_norm {
                let affine = &parameters[layer.norm.clone()];
                block.norms[number].backward(affine, &mut to[..len], rows);
            }
        }
    }
}

impl Dropout<'_> {
    /// Drops units of a layer; returns how many values its mask has. `place`:
    /// where the mask begins.
    fn apply(
        &self,
        place: usize,
        width: usize,
        rows: &Range<usize>,
        value: &mut [f32],
        slope: &mut [f32],
    ) -> usize {
        if self.masks.is_empty() {
            return 0;
        }
        let masks = &self.masks[place..place + self.batch * width];
        let masks = &masks[rows.start * width..rows.end * width];
        let stride = width + 1;
        let rows = value
            .chunks_exact_mut(stride)
            .zip(slope.chunks_exact_mut(stride));
        for (mask, (value, slope)) in masks.chunks_exact(width.max(1)).zip(rows) {
            for ((mask, value), slope) in mask.iter().zip(value).zip(slope) {
                *value *= mask;
                *slope *= mask;
            }
        }
        self.batch * width
    }
}
