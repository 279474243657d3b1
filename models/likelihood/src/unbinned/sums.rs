//! Sums over the events of a sample, in parallel and always in the same order.

use super::kernel::{Accumulate, Densities, Point, ResponseFactor, Scratch, Transform};
use super::places::{ROW, Sums};
use super::sample::{LANES, Layout, Logs, Sample, Stored};
use crate::Jet;
use rayon::prelude::*;
use sideband_numerics::lanes::dispatch;

/// Chunks of a block. A block is summed by one thread and the blocks are added in
/// their order, so that the result does not depend on the number of threads.
const BLOCK: usize = 16;
/// Events times responses below which one thread is faster than several.
const PARALLEL_FROM: usize = 1 << 17;

/// `sum_i w_i phi(q_i)` over the events of a sample for rates `[J]` at a point `[n]`, with
/// its derivatives by `[v_1.., alpha_1..]`, rates and slots.
pub(super) fn weighted<const ORDER: usize>(
    sample: &Sample,
    transform: Transform,
    rates: &[f64],
    at: &[f64],
) -> Jet {
    let layout = &*sample.layout;
    let point = point(layout, rates, at, ORDER == 0);
    let sums = match &sample.logs {
        Logs::Double(logs) => blocks::<_, ORDER>(sample, logs, &point, transform),
        Logs::Single(logs) => blocks::<_, ORDER>(sample, logs, &point, transform),
    };
    let places = Sums::new(layout);
    let (processes, dimension) = (layout.processes.len(), layout.dimension());
    let mut all = Jet::constant(sums[0], dimension, ORDER);
    if ORDER > 0 {
        for (j, responses) in layout.processes.iter().enumerate() {
            all.gradient[j] = sums[places.rate(j)];
            for k in responses.clone() {
                let slot = processes + layout.responses[k].slot;
                all.gradient[slot] += rates[j] * sums[places.response(k)];
            }
        }
    }
    if ORDER > 1 {
        all.hessian = hessian(layout, &places, rates, &sums);
    }
    all
}

fn hessian(layout: &Layout, places: &Sums, rates: &[f64], sums: &[f64]) -> Vec<f64> {
    let (processes, dimension) = (layout.processes.len(), layout.dimension());
    let mut all = vec![0.0; dimension * dimension];
    let mut add = |a: usize, b: usize, x: f64| {
        all[a * dimension + b] += x;
        if a != b {
            all[b * dimension + a] += x;
        }
    };
    for a in 0..dimension {
        for b in 0..=a {
            add(a, b, sums[places.outer(a, b)]);
        }
    }
    for (j, responses) in layout.processes.iter().enumerate() {
        let slot = |k: usize| processes + layout.responses[k].slot;
        for k in responses.clone() {
            add(j, slot(k), sums[places.response(k)]);
            for l in responses.start..=k {
                add(slot(k), slot(l), rates[j] * sums[places.within(j, k, l)]);
            }
        }
    }
    all
}

fn point<'a>(layout: &'a Layout, rates: &'a [f64], at: &[f64], value: bool) -> Point<'a> {
    let responses = layout.responses.iter();
    let factors = responses.map(|r| ResponseFactor::new(r, at[layout.slots[r.slot]], value));
    Point {
        layout,
        rates,
        factors: factors.collect(),
    }
}

/// Sums over blocks, added in their order: `[rows]`.
fn blocks<T: Stored, const ORDER: usize>(
    sample: &Sample,
    logs: &[T],
    point: &Point<'_>,
    transform: Transform,
) -> Vec<f64> {
    let layout = point.layout;
    let rows = Sums::new(layout).rows(ORDER);
    let (each, stride) = (sample.stride(), 2 * layout.responses.len() * LANES);
    let chunks = sample.densities.len() / each;
    let one = |scratch: &mut Scratch, (block, sums): (usize, &mut [f64])| {
        let (first, last) = (block * BLOCK, chunks.min((block + 1) * BLOCK));
        dispatch(Accumulate::<T, ORDER> {
            point,
            transform,
            densities: &sample.densities[first * each..last * each],
            logs: &logs[first * stride..last * stride],
            scratch,
            sums,
        });
    };
    let mut all = vec![0.0; chunks.div_ceil(BLOCK) * rows * ROW];
    if is_large(sample) {
        let blocks = all.par_chunks_mut(rows * ROW).enumerate();
        blocks.for_each_init(|| Scratch::new(layout, ORDER), one);
    } else {
        let mut scratch = Scratch::new(layout, ORDER);
        let blocks = all.chunks_mut(rows * ROW).enumerate();
        blocks.for_each(|block| one(&mut scratch, block));
    }
    add_blocks(&all, rows)
}

fn is_large(sample: &Sample) -> bool {
    sample.events * sample.layout.responses.len().max(1) >= PARALLEL_FROM
}

/// Adds blocks in their order, then the partial sums of each row.
fn add_blocks(all: &[f64], rows: usize) -> Vec<f64> {
    let mut total = vec![0.0; rows * ROW];
    for block in all.chunks_exact(rows * ROW) {
        for (total, x) in total.iter_mut().zip(block) {
            *total += x;
        }
    }
    total
        .chunks_exact(ROW)
        .map(|row| row.iter().sum())
        .collect()
}

/// The densities `q_i` of all events, `[N]`.
pub(super) fn densities(sample: &Sample, rates: &[f64], at: &[f64]) -> Vec<f64> {
    let layout = &*sample.layout;
    let point = &point(layout, rates, at, true);
    let mut q = match &sample.logs {
        Logs::Double(logs) => chunk_densities(sample, logs, point),
        Logs::Single(logs) => chunk_densities(sample, logs, point),
    };
    q.truncate(sample.events);
    q
}

fn chunk_densities<T: Stored>(sample: &Sample, logs: &[T], point: &Point<'_>) -> Vec<f64> {
    let (each, stride) = (sample.stride(), 2 * point.layout.responses.len() * LANES);
    let mut q = vec![0.0; sample.densities.len() / each * LANES];
    let chunks = q.par_chunks_mut(LANES).enumerate().with_min_len(BLOCK);
    chunks.for_each_init(
        || Scratch::new(point.layout, 0),
        |scratch, (chunk, to)| {
            dispatch(Densities {
                point,
                densities: &sample.densities[chunk * each..(chunk + 1) * each],
                logs: &logs[chunk * stride..(chunk + 1) * stride],
                scratch,
                to,
            });
        },
    );
    q
}
