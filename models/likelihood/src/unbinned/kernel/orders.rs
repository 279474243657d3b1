//! What a chunk adds to the sums of first and second derivatives.

use super::{Point, Scratch, column, column_mut};
use crate::unbinned::layout::Layout;
use crate::unbinned::sample::LANES;
use crate::unbinned::simd::F;
use crate::unbinned::sums::Sums;
use pulp::Simd;

/// Adds the first derivatives; leaves `w phi' P_j` in the place of `P_j`.
#[inline(always)]
pub(super) fn first_order<S: Simd>(
    simd: S,
    layout: &Layout,
    places: &Sums,
    scratch: &mut Scratch,
    sums: &mut [f64],
) {
    let products = scratch.products.chunks_exact_mut(LANES).enumerate();
    for (j, product) in products {
        let product = S::as_mut_simd_f64s(product).0;
        let first = S::as_simd_f64s(&scratch.first).0;
        let mut sum = F::splat(simd, 0.0);
        for (product, first) in product.iter_mut().zip(first) {
            let weighted = F::of(simd, *product) * F::of(simd, *first);
            sum = sum + weighted;
            *product = weighted.lanes();
        }
        let to = &mut S::as_mut_simd_f64s(places.row(sums, places.rate(j))).0[0];
        *to = (F::of(simd, *to) + sum).lanes();
        for k in layout.processes[j].clone() {
            let slope = column::<S>(&scratch.slopes, k);
            dot::<S>(simd, product, slope, places.row(sums, places.response(k)));
        }
    }
}

/// Adds the second derivatives.
#[inline(always)]
pub(super) fn second_order<S: Simd>(
    simd: S,
    point: &Point<'_>,
    places: &Sums,
    scratch: &mut Scratch,
    sums: &mut [f64],
) {
    density_gradient(simd, point, scratch);
    let second = S::as_simd_f64s(&scratch.second).0;
    for a in 0..point.layout.dimension() {
        let row = column::<S>(&scratch.gradient, a);
        let scaled = column_mut::<S>(&mut scratch.scaled, a, true);
        for ((to, row), second) in scaled.iter_mut().zip(row).zip(second) {
            *to = (F::of(simd, *row) * F::of(simd, *second)).lanes();
        }
        for b in 0..=a {
            let other = column::<S>(&scratch.gradient, b);
            dot::<S>(simd, scaled, other, places.row(sums, places.outer(a, b)));
        }
    }
    for j in 0..point.layout.processes.len() {
        within_process(simd, point.layout, j, places, scratch, sums);
    }
}

/// The gradient of `q` by rates and slots.
#[inline(always)]
fn density_gradient<S: Simd>(simd: S, point: &Point<'_>, scratch: &mut Scratch) {
    let processes = point.layout.processes.len();
    let (rates, slots) = scratch.gradient.split_at_mut(processes * LANES);
    rates.copy_from_slice(&scratch.products);
    slots.fill(0.0);
    for (j, responses) in point.layout.processes.iter().enumerate() {
        let rate = F::splat(simd, point.rates[j]);
        let product = column::<S>(&scratch.products, j);
        for k in responses.clone() {
            let slope = column::<S>(&scratch.slopes, k);
            let to = column_mut::<S>(slots, point.layout.responses[k].slot, true);
            for ((to, slope), product) in to.iter_mut().zip(slope).zip(product) {
                let by_rate = F::of(simd, *product) * F::of(simd, *slope);
                *to = by_rate.mul_add(rate, F::of(simd, *to)).lanes();
            }
        }
    }
}

/// The second derivatives of `P_j` by the parameters of its responses.
#[inline(always)]
fn within_process<S: Simd>(
    simd: S,
    layout: &Layout,
    process: usize,
    places: &Sums,
    scratch: &mut Scratch,
    sums: &mut [f64],
) {
    let responses = layout.processes[process].clone();
    let product = column::<S>(&scratch.products, process);
    let first = S::as_simd_f64s(&scratch.first).0;
    for k in responses.clone() {
        let slope = column::<S>(&scratch.slopes, k);
        let curvature = column::<S>(&scratch.curvatures, k);
        let weighted = S::as_mut_simd_f64s(&mut scratch.weighted).0;
        let mut diagonal = F::splat(simd, 0.0);
        for (lane, to) in weighted.iter_mut().enumerate() {
            let weight = F::of(simd, product[lane]) * F::of(simd, first[lane]);
            diagonal = weight.mul_add(F::of(simd, curvature[lane]), diagonal);
            *to = (weight * F::of(simd, slope[lane])).lanes();
        }
        let to = &mut S::as_mut_simd_f64s(places.row(sums, places.within(process, k, k))).0[0];
        *to = (F::of(simd, *to) + diagonal).lanes();
        for l in responses.start..k {
            let other = column::<S>(&scratch.slopes, l);
            dot::<S>(
                simd,
                weighted,
                other,
                places.row(sums, places.within(process, k, l)),
            );
        }
    }
}

/// Adds the products of two columns to a row of sums.
#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[S::f64s], b: &[S::f64s], row: &mut [f64]) {
    let to = &mut S::as_mut_simd_f64s(row).0[0];
    let mut sum = F::of(simd, *to);
    for (a, b) in a.iter().zip(b) {
        sum = F::of(simd, *a).mul_add(F::of(simd, *b), sum);
    }
    *to = sum.lanes();
}
