//! The fully connected network on the host, written out: forward pass, loss and
//! gradient by hand.
//!
//! A member's parameters hold each layer's weight `[in, out]` with its bias right
//! behind it, which is the matrix `[in + 1, out]` that acts on inputs with a last
//! column of one. So a layer is one product forwards, one for its input's gradient
//! and one for its parameters' gradient, and no pass over the memory besides
//! these but the activation's.
//!
//! Rows are taken in tiles of a few hundred, whose activations stay in the second-level
//! cache from the first layer to the last and back. A tile knows nothing of the
//! others until the parameters' gradients are summed, in the order of the tiles:
//! the tiles of a pass run on all threads of the caller's pool, and the numbers do
//! not depend on how many those are. Batch norm mixes rows, so with it the batch
//! is one tile.

mod layer;
mod product;
#[cfg(test)]
mod tests;

use super::{Activation, MlpConfig};
use crate::buffer::Buffer;
use crate::kind::{self, Batch, HostNetwork};
use crate::layout::Row;
use layer::{Elements, Norm, below_zero};
use product::View;
use rayon::prelude::*;
use sideband_numerics::lanes::{dispatch, single::WIDEST};
use std::ops::Range;

/// Rows of a tile, and of one of a network whose weights fill the second-level
/// cache by themselves: each tile reads and packs all of them.
const TILE: usize = 256;
const WIDE_TILE: usize = 512;
/// Parameters of a wide layer.
const WIDE: usize = 1 << 18;
/// Tiles that are in memory at once: enough to share between threads.
const TILES: usize = 8;
/// Rows of a weight matrix whose gradient is one piece of work.
const PIECE: usize = 512;

/// A network as the places of its parameters; see [`MlpConfig`].
pub(crate) struct HostMlp {
    activation: Activation,
    batch_norm: bool,
    tile: usize,
    hidden: Vec<LinearLayer>,
    output: LinearLayer,
}

/// A linear layer with what follows it.
struct LinearLayer {
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
    tiles: Vec<Tile>,
}

impl Scratch {
    fn reserve(&mut self, tiles: usize) -> &mut [Tile] {
        if self.tiles.len() < tiles {
            self.tiles.resize_with(tiles, Tile::default);
        }
        &mut self.tiles[..tiles]
    }
}

/// A tile's memory. Buffers of a hidden layer are `[rows, width + 1]`: its last
/// column is the one that multiplies the next layer's bias.
#[derive(Default)]
struct Tile {
    /// Which rows of the batch these are.
    rows: Range<usize>,
    values: Vec<Buffer>,
    /// Derivatives of the activations, unless their values tell them; after the
    /// backward pass the gradients by what went into them.
    slopes: Vec<Buffer>,
    /// Batch norms of the hidden layers, if there are any.
    norms: Vec<Norm>,
    /// The network's output `[rows]`; after the loss its gradient by it.
    output: Buffer,
    by_input: Buffer,
    loss: f64,
}

impl Tile {
    /// Gradient by the result of a layer's product.
    fn by_result(&self, layer: &LinearLayer, number: usize) -> View<'_> {
        let (rows, stride) = (self.rows.len(), layer.width + 1);
        match self.slopes.get(number) {
            Some(slopes) => View::new(slopes.held(rows * stride), layer.width, stride),
            None => View::new(self.output.held(rows), 1, 1),
        }
    }
}

/// Length of a buffer of whole registers.
fn whole(len: usize) -> usize {
    len.next_multiple_of(WIDEST)
}

impl HostMlp {
    pub(crate) fn new(config: &MlpConfig) -> Self {
        let (mut parameters, mut statistics) = (0, 0);
        let advance = |place: &mut usize, len: usize| {
            *place += len;
            *place - len..*place
        };
        let mut inputs = config.inputs;
        let mut layer = |width: usize, normalised: bool| {
            let moments = if normalised { 2 * width } else { 0 };
            let layer = LinearLayer {
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
        let hidden: Vec<LinearLayer> = hidden.collect();
        let output = layer(1, false);
        let wide = hidden.iter().any(|layer| layer.weight.len() > WIDE);
        Self {
            activation: config.activation,
            batch_norm: config.batch_norm,
            tile: if wide { WIDE_TILE } else { TILE },
            hidden,
            output,
        }
    }

    fn layers(&self) -> impl Iterator<Item = &LinearLayer> {
        self.hidden.iter().chain([&self.output])
    }

    /// What a layer was given in a tile, with its column of one; `x`: that of the tile.
    fn input<'a>(&self, values: &'a [Buffer], rows: usize, x: &'a [f32]) -> View<'a> {
        let stride = self.layers().nth(values.len()).map_or(0, |l| l.inputs) + 1;
        let input = match values.last() {
            Some(before) => before.held(rows * stride),
            None => x,
        };
        View::new(input, stride, stride)
    }

    /// The rows of a tile in a batch.
    fn rows<'a>(&self, tile: &Tile, batch: &Batch<'a>) -> &'a [f32] {
        &batch.x[tile.rows.start * self.stride()..tile.rows.end * self.stride()]
    }

    /// Forward and backward through one tile, all but the parameters' gradients.
    fn train_tile(&self, tile: &mut Tile, member: &Row, batch: &Batch) {
        self.forward(tile, member, self.rows(tile, batch), Some(batch));
        let half = batch.coefficients.len() / 2;
        tile.loss = layer::loss_gradient(
            batch.objective,
            half.clamp(tile.rows.start, tile.rows.end) - tile.rows.start,
            &batch.coefficients[tile.rows.clone()],
            &mut tile.output,
        );
        self.backward(tile, &member.parameters, batch);
    }

    /// Fills the tile's `values`, `slopes` and `output`. `x`: `[rows, D + 1]`; without a
    /// batch by running statistics and without dropout.
    fn forward(&self, tile: &mut Tile, member: &Row, x: &[f32], training: Option<&Batch>) {
        let (rows, layers) = (tile.rows.len(), self.hidden.len());
        tile.values.resize_with(layers, Buffer::default);
        tile.slopes.resize_with(layers, Buffer::default);
        tile.norms.resize_with(layers, Norm::default);
        let mut place = 0;
        for (number, layer) in self.hidden.iter().enumerate() {
            let stride = layer.width + 1;
            let len = rows * stride;
            let (before, after) = tile.values.split_at_mut(number);
            let input = self.input(before, rows, x);
            let value = after[0].get(whole(len));
            let weight = &member.parameters[layer.weight.clone()];
            let weight = View::new(weight, layer.width, layer.width);
            product::forward(input, weight, &mut value[..len], stride);
            if self.batch_norm {
                let norm = &mut tile.norms[number];
                let affine = &member.parameters[layer.norm.clone()];
                let running = &member.statistics[layer.statistics.clone()];
                match training {
                    Some(_) => norm.train(affine, running, &mut value[..len], rows),
                    None => norm.evaluate(affine, running, &mut value[..len]),
                }
            }
            if let Some(below) = self.bend(training) {
                let value = &mut *value;
                dispatch(Elements::Bend { below, value });
            } else {
                let slope = tile.slopes[number].get(whole(len));
                dispatch(Elements::Activate {
                    activation: self.activation,
                    value: &mut *value,
                    slope: &mut *slope,
                });
                if let Some(batch) = training.filter(|batch| !batch.masks.is_empty()) {
                    let cells = batch.coefficients.len() * layer.width;
                    let masks = &batch.masks[place..place + cells];
                    let own = tile.rows.start * layer.width..tile.rows.end * layer.width;
                    drop_units(&masks[own], layer.width, value, slope);
                    place += cells;
                }
            }
            for row in value[..len].chunks_exact_mut(stride) {
                row[layer.width] = 1.0;
            }
        }
        let input = self.input(&tile.values, rows, x);
        let weight = View::new(&member.parameters[self.output.weight.clone()], 1, 1);
        product::forward(input, weight, &mut tile.output.get(whole(rows))[..rows], 1);
    }

    /// Where derivatives are those of a [`Elements::Bend`], which the values tell: not with dropout,
    /// which scales both.
    fn bend(&self, training: Option<&Batch>) -> Option<f32> {
        match training {
            Some(batch) if !batch.masks.is_empty() => None,
            _ => below_zero(self.activation),
        }
    }

    /// From the gradient by the output to those by every layer's result.
    fn backward(&self, tile: &mut Tile, parameters: &[f32], batch: &Batch) {
        let rows = tile.rows.len();
        for number in (0..self.hidden.len()).rev() {
            let layer = &self.hidden[number];
            let next = self.hidden.get(number + 1).unwrap_or(&self.output);
            let stride = layer.width + 1;
            let len = rows * stride;
            let (slopes, after) = tile.slopes.split_at_mut(number + 1);
            let by_next = match after.first() {
                Some(after) => {
                    let stride = next.width + 1;
                    View::new(after.held(rows * stride), next.width, stride)
                }
                None => View::new(tile.output.held(rows), 1, 1),
            };
            let weight = &parameters[next.weight.clone()][..next.inputs * next.width];
            let weight = View::new(weight, next.width, next.width);
            let to = slopes[number].get(whole(len));
            if let Some(below) = self.bend(Some(batch)) {
                product::input_gradient(by_next, weight, &mut to[..len], stride);
                let value = tile.values[number].held(whole(len));
                let to = &mut *to;
                dispatch(Elements::BendBack { below, value, to });
            } else {
                let factor = tile.by_input.get(whole(len));
                product::input_gradient(by_next, weight, &mut factor[..len], stride);
                let to = &mut *to;
                dispatch(Elements::Multiply { factor, to });
            }
            if self.batch_norm {
                let affine = &parameters[layer.norm.clone()];
                tile.norms[number].backward(affine, &mut to[..len], rows);
            }
        }
    }

    /// Adds the gradients of all weights, the sum over the rows of `tile`s: input
    /// transposed times the gradient by the layer's result.
    fn add_gradients(&self, tiles: &[Tile], batch: &Batch, gradient: &mut [f32]) {
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
            for tile in tiles {
                let before = &tile.values[..piece.layer];
                let input = self.input(before, tile.rows.len(), self.rows(tile, batch));
                let by_result = tile.by_result(layer, piece.layer);
                product::add_weight_gradient(input, piece.first, by_result, piece.to);
            }
        });
    }
}

impl HostNetwork for HostMlp {
    fn stride(&self) -> usize {
        self.hidden.first().unwrap_or(&self.output).inputs + 1
    }

    fn gradient(
        &self,
        scratch: &mut kind::Scratch,
        member: &mut Row,
        batch: &Batch,
        gradient: &mut [f32],
    ) -> f32 {
        let rows = batch.coefficients.len();
        let size = if self.batch_norm { rows } else { self.tile };
        let tiles = rows.div_ceil(size.max(1));
        gradient.fill(0.0);
        let mut loss = 0.0;
        for first in (0..tiles).step_by(TILES) {
            let count = TILES.min(tiles - first);
            let group = scratch.of::<Scratch>().reserve(count);
            for (i, tile) in group.iter_mut().enumerate() {
                let start = (first + i) * size;
                tile.rows = start..rows.min(start + size);
            }
            let old: &Row = member;
            for_each(group, |tile| self.train_tile(tile, old, batch));
            self.add_gradients(group, batch, gradient);
            loss += group.iter().map(|tile| tile.loss).sum::<f64>();
            for (number, layer) in self.hidden.iter().enumerate().filter(|_| self.batch_norm) {
                let norm = &group[0].norms[number];
                member.statistics[layer.statistics.clone()].copy_from_slice(&norm.running);
                gradient[layer.norm.clone()].copy_from_slice(&norm.gradient);
            }
        }
        loss as f32
    }

    fn output(&self, scratch: &mut kind::Scratch, member: &Row, x: &[f32], output: &mut [f32]) {
        let tiles = x.chunks(self.tile * self.stride());
        let mut chunks = tiles.zip(output.chunks_mut(self.tile)).peekable();
        while chunks.peek().is_some() {
            let mut group: Vec<_> = chunks.by_ref().take(TILES).collect();
            let tiles = scratch.of::<Scratch>().reserve(group.len());
            let mut work: Vec<_> = tiles.iter_mut().zip(&mut group).collect();
            for_each(&mut work, |(tile, (x, output))| {
                tile.rows = 0..output.len();
                self.forward(tile, member, x, None);
                output.copy_from_slice(tile.output.held(output.len()));
            });
        }
    }
}

/// Drops units of a layer, `mask` `[rows, width]`.
fn drop_units(mask: &[f32], width: usize, value: &mut [f32], slope: &mut [f32]) {
    let values = value.chunks_exact_mut(width + 1);
    let rows = values.zip(slope.chunks_exact_mut(width + 1));
    for (mask, (value, slope)) in mask.chunks_exact(width.max(1)).zip(rows) {
        for ((mask, value), slope) in mask.iter().zip(value).zip(slope) {
            *value *= mask;
            *slope *= mask;
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
