//! The fully connected network on the host, written out: forward pass, loss and
//! gradient by hand.
//!
//! A member's parameters hold each layer's weight `[in, out]` with its bias right
//! behind it, which is the matrix `[in + 1, out]` that acts on inputs with a last
//! column of one. So a layer is one product forwards, one for its input's gradient
//! and one for its parameters' gradient, and no pass over the memory besides
//! these but the activation's.
//!
//! Rows are taken in blocks of a few hundred, whose activations stay in the second-level
//! cache from the first layer to the last and back. A block knows nothing of the
//! others until the parameters' gradients are summed, in the order of the blocks:
//! the blocks of a pass run on all threads of the caller's pool, and the numbers do
//! not depend on how many those are. Batch norm mixes rows, so with it the batch
//! is one block.

mod activation;
mod block;
mod loss;
mod norm;
mod product;
#[cfg(test)]
mod tests;

use crate::activation::Activation;
use crate::host::Batch;
use crate::mlp::MlpConfig;
use block::{Block, Dropout, Pass};
use product::Matrix;
use pulp::Arch;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a block, and of one of a network whose weights fill the second-level
/// cache by themselves: each block reads and packs all of them.
const BLOCK: usize = 256;
const WIDE_BLOCK: usize = 512;
/// Parameters of a wide layer.
const WIDE: usize = 1 << 18;
/// Blocks that are in memory at once: enough to share between threads.
const BLOCKS: usize = 8;
/// Rows of a weight matrix whose gradient is one piece of work.
const PIECE: usize = 512;

/// A network as the places of its parameters; see [`MlpConfig`].
#[derive(Clone, Debug)]
pub(crate) struct HostMlp {
    /// The instruction set, the widest of this machine.
    arch: Arch,
    activation: Activation,
    batch_norm: bool,
    /// Rows of a block.
    block: usize,
    hidden: Vec<Layer>,
    output: Layer,
}

/// A linear layer with what follows it.
#[derive(Clone, Debug)]
struct Layer {
    inputs: usize,
    width: usize,
    /// Weight and bias, `[inputs + 1, width]`.
    weight: Range<usize>,
    /// Gain and shift of its batch norm `[2, width]`, or empty.
    norm: Range<usize>,
    /// Running mean and variance `[2, width]`, or empty.
    statistics: Range<usize>,
}

/// Memory that a thread keeps between calls, for networks of any shape.
#[derive(Default)]
pub(crate) struct Scratch {
    blocks: Vec<Block>,
}

impl Scratch {
    fn reserve(&mut self, blocks: usize) -> &mut [Block] {
        if self.blocks.len() < blocks {
            self.blocks.resize_with(blocks, Block::default);
        }
        &mut self.blocks[..blocks]
    }
}

impl HostMlp {
    /// The network of a configuration.
    pub(crate) fn new(config: &MlpConfig) -> Self {
        let (mut parameters, mut statistics) = (0, 0);
        let advance = |place: &mut usize, len: usize| {
            *place += len;
            *place - len..*place
        };
        let mut inputs = config.inputs;
        let mut layer = |width: usize, normalised: bool| {
            let moments = if normalised { 2 * width } else { 0 };
            let layer = Layer {
                inputs,
                width,
                weight: advance(&mut parameters, (inputs + 1) * width),
                norm: advance(&mut parameters, moments),
                statistics: advance(&mut statistics, moments),
            };
            inputs = width;
            layer
        };
        let hidden = config.hidden.iter();
        let hidden = hidden.map(|width| layer(*width, config.batch_norm));
        let hidden: Vec<Layer> = hidden.collect();
        let output = layer(1, false);
        let wide = hidden.iter().any(|layer| layer.weight.len() > WIDE);
        Self {
            arch: Arch::new(),
            activation: config.activation,
            batch_norm: config.batch_norm,
            block: if wide { WIDE_BLOCK } else { BLOCK },
            hidden,
            output,
        }
    }

    /// Number of values in a row of inputs, `D + 1`.
    pub(crate) fn row(&self) -> usize {
        self.hidden.first().unwrap_or(&self.output).inputs + 1
    }

    /// One training batch of one member: L = sum over rows of
    /// `coefficient * loss(q)`. Writes dL/d parameters into `gradient` `[P]` and the
    /// new running statistics into `statistics` `[S]`; returns L.
    pub(crate) fn gradient(
        &self,
        scratch: &mut Scratch,
        parameters: &[f32],
        statistics: &mut [f32],
        batch: &Batch,
        gradient: &mut [f32],
    ) -> f32 {
        let rows = batch.coefficients.len();
        let size = if self.batch_norm { rows } else { self.block };
        let blocks = rows.div_ceil(size.max(1));
        gradient.fill(0.0);
        let mut loss = 0.0;
        for first in (0..blocks).step_by(BLOCKS) {
            let count = BLOCKS.min(blocks - first);
            let group = scratch.reserve(count);
            for (i, block) in group.iter_mut().enumerate() {
                let start = (first + i) * size;
                block.rows = start..rows.min(start + size);
            }
            let old: &[f32] = statistics;
            for_each(group, |block| {
                self.train_block(block, parameters, old, batch)
            });
            self.add_gradients(group, batch.x, gradient);
            loss += group.iter().map(|block| block.loss).sum::<f64>();
            for (number, layer) in self.hidden.iter().enumerate().filter(|_| self.batch_norm) {
                let norm = &group[0].norms[number];
                statistics[layer.statistics.clone()].copy_from_slice(&norm.running);
                gradient[layer.norm.clone()].copy_from_slice(&norm.gradient);
            }
        }
        loss as f32
    }

    /// Forward and backward through one block, all but the parameters' gradients.
    fn train_block(
        &self,
        block: &mut Block,
        parameters: &[f32],
        statistics: &[f32],
        batch: &Batch,
    ) {
        let dropout = Dropout {
            masks: batch.masks,
            batch: batch.coefficients.len(),
        };
        let x = &batch.x[block.rows.start * self.row()..block.rows.end * self.row()];
        let pass = Pass::Training(dropout);
        self.forward(block, parameters, statistics, x, &pass);
        let half = batch.coefficients.len() / 2;
        block.loss = loss::gradient(
            self.arch,
            batch.objective,
            half.clamp(block.rows.start, block.rows.end) - block.rows.start,
            &batch.coefficients[block.rows.clone()],
            &mut block.output,
        );
        self.backward(block, parameters, &pass);
    }

    /// Adds the gradients of all weights, the sum over the rows of `block`s: input
    /// transposed times the gradient by the layer's result.
    fn add_gradients(&self, blocks: &[Block], x: &[f32], gradient: &mut [f32]) {
        struct Piece<'a> {
            layer: usize,
            first: usize,
            to: &'a mut [f32],
        }
        let mut pieces = Vec::with_capacity(self.hidden.len() + 1);
        let mut rest = gradient;
        for (number, layer) in self.layers().enumerate() {
            let (weight, behind) = rest.split_at_mut(layer.weight.len());
            rest = &mut behind[layer.norm.len()..];
            let parts = weight.chunks_mut(PIECE * layer.width.max(1)).enumerate();
            pieces.extend(parts.map(|(part, to)| Piece {
                layer: number,
                first: part * PIECE,
                to,
            }));
        }
        for_each(&mut pieces, |piece| {
            let layer = self.layers().nth(piece.layer).expect("it is one of them");
            for block in blocks {
                let input = self.input(block, piece.layer, x);
                let by_result = block.by_result(layer, piece.layer);
                product::add_weight_gradient(input, piece.first, by_result, piece.to);
            }
        });
    }

    /// All layers, the output's last.
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.hidden.iter().chain([&self.output])
    }

    /// What a layer was given in a block, with its column of one.
    fn input<'a>(&self, block: &'a Block, layer: usize, x: &'a [f32]) -> Matrix<'a> {
        match layer {
            0 => {
                let x = &x[block.rows.start * self.row()..block.rows.end * self.row()];
                Matrix::new(x, self.row(), self.row())
            }
            layer => block.value(&self.hidden[layer - 1], layer - 1),
        }
    }

    /// Output of rows `x` `[n, D + 1]` into `output` `[n]`, with running statistics
    /// and without dropout.
    pub(crate) fn output(
        &self,
        scratch: &mut Scratch,
        parameters: &[f32],
        statistics: &[f32],
        x: &[f32],
        output: &mut [f32],
    ) {
        let blocks = x.chunks(self.block * self.row());
        let mut chunks = blocks.zip(output.chunks_mut(self.block)).peekable();
        while chunks.peek().is_some() {
            let mut group: Vec<_> = chunks.by_ref().take(BLOCKS).collect();
            let blocks = scratch.reserve(group.len());
            let mut work: Vec<_> = blocks.iter_mut().zip(&mut group).collect();
            for_each(&mut work, |(block, (x, output))| {
                block.rows = 0..output.len();
                self.forward(block, parameters, statistics, x, &Pass::Evaluation);
                output.copy_from_slice(block.output.held(output.len()));
            });
        }
    }
}

/// On all threads of the present pool, or on this one if it is alone.
fn for_each<T: Send>(items: &mut [T], work: impl Fn(&mut T) + Sync + Send) {
    if items.len() > 1 && rayon::current_num_threads() > 1 {
        items.par_iter_mut().for_each(work);
    } else {
        items.iter_mut().for_each(work);
    }
}
