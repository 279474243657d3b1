//! Some f32 side by side: arithmetic, exp and ln in SIMD registers.
//!
//! The width is that of the processor the program runs on, found at run time
//! (`pulp`). Every operation is the correctly rounded one of each lane, none is
//! contracted to a fused multiply-add, and exp and ln are the polynomials below
//! rather than the system's: the numbers are the same bits at every width, on
//! every processor, and beside whatever neighbours. A NaN stays a NaN.
//!
//! exp and ln: argument reduction and minimax polynomials of Cephes' `expf` and
//! `logf` (S. L. Moshier, 1989), within one unit in the last place.

use pulp::Simd;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// One SIMD register of f32.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes<S: Simd> {
    simd: S,
    register: S::f32s,
}

/// The lanes where something holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mask<S: Simd> {
    simd: S,
    register: S::m32s,
}

impl<S: Simd> Mask<S> {
    /// `yes` where it holds, `no` elsewhere.
    #[inline(always)]
    pub(super) fn choose(self, yes: Lanes<S>, no: Lanes<S>) -> Lanes<S> {
        let (yes, no) = (yes.register, no.register);
        Lanes::new(self.simd, self.simd.select_f32s(self.register, yes, no))
    }
}

/// 1.5 * 2^23: adding it rounds to an integer, held in the low mantissa bits.
const ROUND: f32 = 12_582_912.0;

/// 2^23: an integer below it, put in its mantissa, is added to it.
const TWO_23: f32 = 8_388_608.0;

/// ln 2 in two parts; the first times any exponent is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// Bits of the mantissa, and the exponent of 1.
const MANTISSA: u32 = 23;
const BIAS: u32 = 127;

impl<S: Simd> Lanes<S> {
    #[inline(always)]
    pub(super) fn new(simd: S, register: S::f32s) -> Self {
        Self { simd, register }
    }

    /// The same number in each lane.
    #[inline(always)]
    pub(super) fn splat(simd: S, value: f32) -> Self {
        Self::new(simd, simd.splat_f32s(value))
    }

    /// The first lanes from `values`, 0 in the rest.
    #[inline(always)]
    pub(super) fn load(simd: S, values: &[f32]) -> Self {
        Self::new(simd, simd.partial_load_f32s(values))
    }

    /// As many of the first lanes as `out` holds.
    #[inline(always)]
    pub(super) fn store(self, out: &mut [f32]) {
        self.simd.partial_store_f32s(out, self.register);
    }

    #[inline(always)]
    pub(super) fn register(self) -> S::f32s {
        self.register
    }

    #[inline(always)]
    fn constant(self, value: f32) -> Self {
        Self::splat(self.simd, value)
    }

    #[inline(always)]
    pub(super) fn abs(self) -> Self {
        Self::new(self.simd, self.simd.abs_f32s(self.register))
    }

    #[inline(always)]
    pub(super) fn sqrt(self) -> Self {
        Self::new(self.simd, self.simd.sqrt_f32s(self.register))
    }

    #[inline(always)]
    pub(super) fn recip(self) -> Self {
        self.constant(1.0) / self
    }

    /// The larger; where one is NaN, `self`.
    #[inline(always)]
    pub(super) fn max(self, other: Self) -> Self {
        other.above(self).choose(other, self)
    }

    #[inline(always)]
    pub(super) fn at_least(self, other: Self) -> Mask<S> {
        let simd = self.simd;
        let register = simd.greater_than_or_equal_f32s(self.register, other.register);
        Mask { simd, register }
    }

    #[inline(always)]
    pub(super) fn is_not_negative(self) -> Mask<S> {
        self.at_least(self.constant(0.0))
    }

    #[inline(always)]
    pub(super) fn above(self, other: Self) -> Mask<S> {
        let simd = self.simd;
        let register = simd.greater_than_f32s(self.register, other.register);
        Mask { simd, register }
    }

    #[inline(always)]
    pub(super) fn equals(self, value: f32) -> Mask<S> {
        let simd = self.simd;
        let register = simd.equal_f32s(self.register, simd.splat_f32s(value));
        Mask { simd, register }
    }

    #[inline(always)]
    fn bits(self) -> S::u32s {
        self.simd.transmute_u32s_f32s(self.register)
    }

    #[inline(always)]
    fn from_bits(simd: S, bits: S::u32s) -> Self {
        Self::new(simd, simd.transmute_f32s_u32s(bits))
    }

    /// exp(x) for x <= 0; below -87 that of -87, which is 2e-38.
    #[inline(always)]
    pub(super) fn exp_of_negative(self) -> Self {
        let simd = self.simd;
        // max in this order keeps a NaN
        let x = self.max(self.constant(-87.0));
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = x - n * LN_2_HIGH - n * LN_2_LOW;
        let mut p = self.constant(1.987_569_1e-4);
        for coefficient in [
            1.398_2e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            5e-1,
        ] {
            p = p * r + coefficient;
        }
        let exponent = simd.add_u32s(shifted.bits(), simd.splat_u32s(BIAS));
        let exponent = simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(MANTISSA));
        (p * (r * r) + r + 1.0) * Self::from_bits(simd, exponent)
    }

    /// ln(x) for normal positive x; NaN for NaN and infinity.
    #[inline(always)]
    pub(super) fn ln(self) -> Self {
        let simd = self.simd;
        let mantissa = simd.splat_u32s(MANTISSA);
        // x = m 2^k with m in [sqrt(1/2), sqrt(2))
        let from_lowest = 1f32.to_bits() - std::f32::consts::FRAC_1_SQRT_2.to_bits();
        let biased = simd.add_u32s(self.bits(), simd.splat_u32s(from_lowest));
        let biased = simd.wrapping_dyn_shr_u32s(biased, mantissa);
        let k = simd.or_u32s(biased, simd.splat_u32s(TWO_23.to_bits()));
        let k = Self::from_bits(simd, k) - (TWO_23 + BIAS as f32);
        let exponent = simd.sub_u32s(biased, simd.splat_u32s(BIAS));
        let exponent = simd.wrapping_dyn_shl_u32s(exponent, mantissa);
        let m = Self::from_bits(simd, simd.sub_u32s(self.bits(), exponent));
        let f = m - 1.0;
        let mut p = self.constant(7.037_684e-2);
        for coefficient in [
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_7e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ] {
            p = p * f + coefficient;
        }
        let f2 = f * f;
        let p = p * f * f2 + k * LN_2_LOW - f2 * 0.5;
        // taking the bits apart made a number of NaN and infinity: 0 x tells
        f + p + k * LN_2_HIGH + self * 0.0
    }

    /// softplus(x) = ln(1 + exp(x)), and its derivative, without overflow.
    #[inline(always)]
    pub(super) fn softplus(self) -> (Self, Self) {
        let one = self.constant(1.0);
        let e = (-self.abs()).exp_of_negative();
        let sum = e + 1.0;
        // what 1 + e rounded away comes back to first order
        let ln_1p = sum.ln() + (e - (sum - 1.0)) / sum;
        let derivative = self.is_not_negative().choose(one, e) / sum;
        (self.max(self.constant(0.0)) + ln_1p, derivative)
    }
}

macro_rules! operator {
    ($trait:ident, $name:ident, $operation:ident) => {
        impl<S: Simd> $trait for Lanes<S> {
            type Output = Self;

            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                let (a, b) = (self.register, other.register);
                Self::new(self.simd, self.simd.$operation(a, b))
            }
        }

        impl<S: Simd> $trait<f32> for Lanes<S> {
            type Output = Self;

            #[inline(always)]
            fn $name(self, other: f32) -> Self {
                $trait::$name(self, self.constant(other))
            }
        }
    };
}

operator!(Add, add, add_f32s);
operator!(Sub, sub, sub_f32s);
operator!(Mul, mul, mul_f32s);
operator!(Div, div, div_f32s);

impl<S: Simd> Neg for Lanes<S> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self::new(self.simd, self.simd.neg_f32s(self.register))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, Scalar, WithSimd};

    #[derive(Clone, Copy, Debug)]
    enum Function {
        Exp,
        Ln,
        Softplus,
        SoftplusDerivative,
    }

    struct Apply<'a>(Function, &'a [f32], &'a mut [f32]);

    impl WithSimd for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(function, x, out) = self;
            for (x, out) in x.chunks(S::F32_LANES).zip(out.chunks_mut(S::F32_LANES)) {
                let x = Lanes::load(simd, x);
                let y = match function {
                    Function::Exp => x.exp_of_negative(),
                    Function::Ln => x.ln(),
                    Function::Softplus => x.softplus().0,
                    Function::SoftplusDerivative => x.softplus().1,
                };
                y.store(out);
            }
        }
    }

    fn apply(function: Function, x: &[f32]) -> Vec<f32> {
        let mut wide = vec![0.0; x.len()];
        Arch::new().dispatch(Apply(function, x, &mut wide));
        let mut narrow = vec![0.0; x.len()];
        Apply(function, x, &mut narrow).with_simd(Scalar::new());
        let bits = |numbers: &[f32]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&wide), bits(&narrow), "{function:?}");
        wide
    }

    /// Largest error in units of the last place of the exact result.
    fn check(function: Function, x: &[f32], exact: impl Fn(f64) -> f64, most: f64) {
        for (x, y) in x.iter().zip(apply(function, x)) {
            let exact = exact(f64::from(*x));
            let size = (exact.abs() as f32).max(f32::MIN_POSITIVE);
            let last_place = f64::from(f32::from_bits(size.to_bits() + 1) - size);
            let error = (f64::from(y) - exact).abs() / last_place;
            assert!(error <= most, "{function:?} {x}: {y}, not {exact}");
        }
    }

    #[test]
    fn functions_are_exact_to_the_last_places_at_every_width() {
        let count = 100_003;
        let between = |low: f64, high: f64| -> Vec<f32> {
            (0..count)
                .map(|i| (low + (high - low) * f64::from(i) / f64::from(count)) as f32)
                .collect()
        };
        for x in [between(-87.0, 0.0), between(-1.0, 0.0), vec![0.0, -0.0]] {
            check(Function::Exp, &x, f64::exp, 1.0);
        }
        let powers: Vec<f32> = between(-80.0, 80.0).iter().map(|x| x.exp()).collect();
        for x in [powers, between(0.5, 2.0), between(0.999, 1.001), vec![1.0]] {
            check(Function::Ln, &x, f64::ln, 1.0);
        }
        let x = between(-80.0, 80.0);
        check(
            Function::Softplus,
            &x,
            |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
            2.0,
        );
        check(
            Function::SoftplusDerivative,
            &x,
            |x| 1.0 / (1.0 + (-x).exp()),
            3.0,
        );
    }

    #[test]
    fn the_ends_are_finite_and_a_nan_stays() {
        let ends = [-1e4, -1e30, f32::MIN, -87.5];
        for y in apply(Function::Exp, &ends) {
            assert!((0.0..2e-38).contains(&y), "{y}");
        }
        assert_eq!(apply(Function::Softplus, &[1e4, 1e30]), [1e4, 1e30]);
        assert_eq!(apply(Function::SoftplusDerivative, &[1e30]), [1.0]);
        assert!(apply(Function::Softplus, &[-1e30])[0] < 2e-38);
        for function in [
            Function::Exp,
            Function::Ln,
            Function::Softplus,
            Function::SoftplusDerivative,
        ] {
            let odd = f32::from_bits(f32::NAN.to_bits() | 1);
            for y in apply(function, &[f32::NAN, -f32::NAN, odd]) {
                assert!(y.is_nan(), "{function:?}");
            }
        }
    }
}
