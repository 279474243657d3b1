//! Losses of rows and their derivatives by the network's output.

use crate::host::Buffer;
use crate::host::simd::F;
use crate::objective::Objective;
use pulp::{Arch, Simd, WithSimd};

/// Above this, e^x is no f32.
const OVERFLOW: f32 = 88.72;

/// Sum of `coefficient * loss(q)` over the rows of a block; replaces `q` `[rows]` by
/// the derivative. The first `sources` rows are source, the others target.
pub(super) fn gradient(
    arch: Arch,
    objective: Objective,
    sources: usize,
    coefficients: &[f32],
    q: &mut Buffer,
) -> f64 {
    let rows = coefficients.len();
    let q = &mut q.get(rows)[..rows];
    let (source, target) = q.split_at_mut(sources);
    let (by_source, by_target) = coefficients.split_at(sources);
    let of = |q, coefficients, half_sign| {
        arch.dispatch(Rows {
            objective,
            half_sign,
            coefficients,
            q,
        })
    };
    of(source, by_source, 0.5) + of(target, by_target, -0.5)
}

/// Rows of one class.
struct Rows<'a> {
    objective: Objective,
    half_sign: f32,
    coefficients: &'a [f32],
    q: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let half_sign = F::splat(simd, self.half_sign);
        match self.objective {
            Objective::Exponential => self.each(simd, |q| {
                let x = q * half_sign;
                let infinite = F::splat(simd, f32::INFINITY);
                let value = x.gt(F::splat(simd, OVERFLOW)).select(infinite, x.exp());
                (value, value * half_sign)
            }),
            Objective::CrossEntropy => self.each(simd, |q| {
                let sign = half_sign + half_sign;
                let (value, slope) = (q * sign).softplus();
                (value, slope * sign)
            }),
            Objective::Likelihood => self.each(simd, |q| (-q, F::splat(simd, -1.0))),
        }
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn each<S: Simd>(self, simd: S, loss: impl Fn(F<S>) -> (F<S>, F<S>)) -> f64 {
        const LANES: usize = 16;
        let mut sum = 0.0;
        let coefficients = self.coefficients.chunks(LANES);
        for (coefficients, q) in coefficients.zip(self.q.chunks_mut(LANES)) {
            let (mut c, mut x) = ([0.0; LANES], [0.0; LANES]);
            c[..q.len()].copy_from_slice(coefficients);
            x[..q.len()].copy_from_slice(q);
            for first in (0..LANES).step_by(S::F32_LANES) {
                let coefficient = F::load(simd, &c[first..]);
                let (value, slope) = loss(F::load(simd, &x[first..]));
                (coefficient * value).store(&mut c[first..]);
                (coefficient * slope).store(&mut x[first..]);
            }
            sum += c[..q.len()].iter().copied().map(f64::from).sum::<f64>();
            q.copy_from_slice(&x[..q.len()]);
        }
        sum
    }
}
