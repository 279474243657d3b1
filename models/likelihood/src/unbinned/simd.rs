//! Lanes of f64 with operators, exponential and logarithm.
//!
//! A kernel is written once over [`F`] and compiled for every instruction set of
//! [`pulp::Arch`]; the set is chosen at run time. A lane's result does not depend
//! on its neighbours.

use pulp::{Simd, bytemuck};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// One register of f64 lanes.
#[derive(Clone, Copy)]
pub(super) struct F<S: Simd>(S, S::f64s);

/// One register of truth values.
#[derive(Clone, Copy)]
pub(super) struct M<S: Simd>(S, S::m64s);

/// 2^52 + 2^51: adding it rounds a small number to an integer, which is then in the
/// low bits of the sum.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// Below this the exponential leaves the normal numbers, above its negative the
/// finite ones.
const EXP_FLOOR: f64 = -708.0;
/// ln 2 in two parts, the first with trailing zeros so that its product with an
/// exponent is exact.
const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Bits of sqrt(1/2).
const HALF_ROOT: u64 = 0x3FE6_A09E_667F_3BCD;
/// Bits of 1.
const ONE: u64 = 0x3FF0_0000_0000_0000;

impl<S: Simd> F<S> {
    #[inline(always)]
    pub(super) fn splat(simd: S, value: f64) -> Self {
        Self(simd, simd.splat_f64s(value))
    }

    #[inline(always)]
    pub(super) fn of(simd: S, lanes: S::f64s) -> Self {
        Self(simd, lanes)
    }

    #[inline(always)]
    pub(super) fn lanes(self) -> S::f64s {
        self.1
    }

    /// `self * factor + term`, rounded once where the machine can.
    #[inline(always)]
    pub(super) fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(self.0, self.0.mul_add_e_f64s(self.1, factor.1, term.1))
    }

    #[inline(always)]
    pub(super) fn abs(self) -> Self {
        Self(self.0, self.0.abs_f64s(self.1))
    }

    #[inline(always)]
    pub(super) fn ge(self, other: Self) -> M<S> {
        M(self.0, self.0.greater_than_or_equal_f64s(self.1, other.1))
    }

    #[inline(always)]
    pub(super) fn le(self, other: Self) -> M<S> {
        M(self.0, self.0.less_than_or_equal_f64s(self.1, other.1))
    }

    #[inline(always)]
    pub(super) fn constant(self, value: f64) -> Self {
        Self::splat(self.0, value)
    }

    /// `f` of the bits of every lane, and of those of `other`.
    #[inline(always)]
    fn with_bits(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        let mut bits = self.0.transmute_u64s_f64s(self.1);
        let other = self.0.transmute_u64s_f64s(other.1);
        let lanes: &mut [u64] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut bits));
        let others: &[u64] = bytemuck::cast_slice(std::slice::from_ref(&other));
        for (lane, other) in lanes.iter_mut().zip(others) {
            *lane = f(*lane, *other);
        }
        Self(self.0, self.0.transmute_f64s_u64s(bits))
    }

    /// Polynomial, highest power first, its even and its odd part by Horner's rule.
    #[inline(always)]
    fn polynomial<const N: usize>(self, coefficients: [f64; N]) -> Self {
        let square = self * self;
        let mut parts = [self.constant(0.0); 2];
        for (n, coefficient) in coefficients.iter().enumerate() {
            let part = &mut parts[(N - 1 - n) % 2];
            *part = part.mul_add(square, self.constant(*coefficient));
        }
        parts[1].mul_add(self, parts[0])
    }

    /// e^x, with a relative error of a few 2^-53. Above 708 infinite, below -708
    /// that of -708; NaN of NaN.
    ///
    /// `x = n ln 2 + r`, and for e^r with |r| < 0.35 the Taylor polynomial of order
    /// 13, whose remainder is below 2^-57.
    #[inline(always)]
    pub(super) fn exp(self) -> Self {
        let x = self.le(self.constant(EXP_FLOOR));
        let x = x.select(self.constant(EXP_FLOOR), self);
        let shifted = x.mul_add(
            self.constant(std::f64::consts::LOG2_E),
            self.constant(ROUND),
        );
        let n = shifted - self.constant(ROUND);
        let r = n.mul_add(self.constant(-LN_2_HIGH), x);
        let r = n.mul_add(self.constant(-LN_2_LOW), r);
        let value = r.polynomial([
            1.0 / 6_227_020_800.0,
            1.0 / 479_001_600.0,
            1.0 / 39_916_800.0,
            1.0 / 3_628_800.0,
            1.0 / 362_880.0,
            1.0 / 40_320.0,
            1.0 / 5_040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
            1.0,
            1.0,
        ]);
        let value = value.with_bits(shifted, |value, n| value.wrapping_add(n << 52));
        let over = self.ge(self.constant(-EXP_FLOOR));
        over.select(self.constant(f64::INFINITY), value)
    }

    /// ln x, with an error of a few 2^-53 of the larger of 1 and |ln x|; NaN unless x
    /// is a positive normal number.
    ///
    /// `x = 2^e m` with m in [sqrt(1/2), sqrt 2), and `ln m = 2 artanh z`,
    /// `z = (m - 1)/(m + 1)`, whose series in z^2 < 0.03 is cut at a remainder below
    /// 2^-55.
    #[inline(always)]
    pub(super) fn ln(self) -> Self {
        // the exponent as an integer in the low bits of 2^52
        let e = self.with_bits(self, |bits, _| {
            (bits.wrapping_add(ONE - HALF_ROOT) >> 52) | 0x4330_0000_0000_0000
        });
        let e = e - self.constant(4_503_599_627_370_496.0 + 1023.0);
        let m = self.with_bits(self, |bits, _| {
            let shifted = bits.wrapping_add(ONE - HALF_ROOT);
            (shifted & 0x000F_FFFF_FFFF_FFFF).wrapping_add(HALF_ROOT)
        });
        let f = m - self.constant(1.0);
        let z = f / (m + self.constant(1.0));
        let y = z * z;
        let series = y.polynomial([
            2.0 / 21.0,
            2.0 / 19.0,
            2.0 / 17.0,
            2.0 / 15.0,
            2.0 / 13.0,
            2.0 / 11.0,
            2.0 / 9.0,
            2.0 / 7.0,
            2.0 / 5.0,
            2.0 / 3.0,
        ]);
        // ln m = f - z f + z^3 series, so that small values keep their digits
        let low = (z * y).mul_add(series, e * self.constant(LN_2_LOW));
        let low = (-z).mul_add(f, low) + f;
        let value = e.mul_add(self.constant(LN_2_HIGH), low);
        let normal = self.ge(self.constant(f64::MIN_POSITIVE));
        let value = normal.select(value, self.constant(f64::NAN));
        let finite = self.le(self.constant(f64::MAX));
        finite.select(value, self.constant(f64::NAN))
    }
}

impl<S: Simd> M<S> {
    /// Lane by lane `yes` where true, `no` elsewhere.
    #[inline(always)]
    pub(super) fn select(self, yes: F<S>, no: F<S>) -> F<S> {
        F(self.0, self.0.select_f64s(self.1, yes.1, no.1))
    }
}

impl<S: Simd> Add for F<S> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0, self.0.add_f64s(self.1, other.1))
    }
}

impl<S: Simd> Sub for F<S> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(self.0, self.0.sub_f64s(self.1, other.1))
    }
}

impl<S: Simd> Mul for F<S> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(self.0, self.0.mul_f64s(self.1, other.1))
    }
}

impl<S: Simd> Div for F<S> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Self(self.0, self.0.div_f64s(self.1, other.1))
    }
}

impl<S: Simd> Neg for F<S> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(self.0, self.0.neg_f64s(self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd};

    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        Ln,
    }

    struct Apply<'a>(Function, &'a mut [f64]);

    impl WithSimd for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let (lanes, rest) = S::as_mut_simd_f64s(self.1);
            assert!(rest.is_empty());
            for lane in lanes {
                let x = F::of(simd, *lane);
                *lane = match self.0 {
                    Function::Exp => x.exp(),
                    Function::Ln => x.ln(),
                }
                .lanes();
            }
        }
    }

    /// On the machine's widest registers and on plain numbers.
    fn apply(function: Function, x: &[f64]) -> [Vec<f64>; 2] {
        let mut wide = x.to_vec();
        let mut plain = x.to_vec();
        Arch::new().dispatch(Apply(function, &mut wide));
        Apply(function, &mut plain).with_simd(pulp::Scalar::new());
        [wide, plain]
    }

    #[test]
    fn exponential_and_logarithm_are_those_of_the_library() {
        let x: Vec<f64> = (0..80_000)
            .map(|i| -700.0 + 0.0175 * f64::from(i))
            .collect();
        let small: Vec<f64> = (0..80_000).map(|i| 1e-5 * f64::from(i - 40_000)).collect();
        for x in [x, small] {
            for found in apply(Function::Exp, &x) {
                for (x, found) in x.iter().zip(found) {
                    let ratio = found / x.exp() - 1.0;
                    assert!(ratio.abs() < 1e-15, "exp {x}: {ratio}");
                }
            }
            let of: Vec<f64> = x.iter().map(|x| x.exp()).collect();
            for found in apply(Function::Ln, &of) {
                for (of, found) in of.iter().zip(found) {
                    let far = (found - of.ln()).abs();
                    assert!(far <= 4e-16 * of.ln().abs().max(0.01), "ln {of}: {far}");
                }
            }
        }
    }

    #[test]
    fn ends_of_the_domain() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        let x = [nan, inf, -inf, 709.0, -1000.0, 0.0, -0.0, 708.5];
        for found in apply(Function::Exp, &x) {
            assert!(found[0].is_nan());
            assert_eq!((found[1], found[3], found[7]), (inf, inf, inf));
            assert!(found[2] < 1e-300 && found[4] < 1e-300);
            assert_eq!((found[5], found[6]), (1.0, 1.0));
        }
        let x = [nan, inf, -inf, 0.0, -0.0, -1.0, 1.0, 1e-310];
        for found in apply(Function::Ln, &x) {
            assert!(found[..6].iter().all(|x| x.is_nan()), "{found:?}");
            assert!(found[7].is_nan());
            assert_eq!(found[6], 0.0);
        }
    }
}
