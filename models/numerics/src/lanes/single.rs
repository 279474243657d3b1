//! Lanes of f32 and the elementary functions on them.
//!
//! `exp` and `ln` follow the reductions and polynomials of Cephes (Moshier,
//! `expf.c` and `logf.c`); their relative error is below 1.5 x 2^-23 on their
//! domain. They divide by [`F::recip`] and not by `/`, which rounds once: the divider would
//! take longer than the rest of the function.

use super::Simd;

/// Lanes of the widest register.
pub const WIDEST: usize = 16;
/// 2^23 + 2^22: adding it rounds a small number to an integer, which is then in
/// the low bits of the sum.
const ROUND: f32 = 12_582_912.0;
/// Below this the exponential leaves the normal numbers.
const EXP_FLOOR: f32 = -87.0;
/// ln 2 in two parts, the first with few bits so that its product with an
/// exponent is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

registers! {
    f32: f32s, m32s;
    splat_f32s, as_simd_f32s, as_mut_simd_f32s, and_m32s, select_f32s;
    mul_add_e_f32s, max_f32s, min_f32s, neg_f32s;
    abs = abs_f32s, sqrt = sqrt_f32s;
    ge = greater_than_or_equal_f32s, gt = greater_than_f32s, le = less_than_or_equal_f32s, eq = equal_f32s;
    Add add = add_f32s, Sub sub = sub_f32s, Mul mul = mul_f32s, Div div = div_f32s;
}

impl<S: Simd> F<S> {
    #[inline(always)]
    fn bits(self) -> S::u32s {
        self.0.transmute_u32s_f32s(self.1)
    }

    #[inline(always)]
    fn from_bits(simd: S, bits: S::u32s) -> Self {
        Self(simd, simd.transmute_f32s_u32s(bits))
    }

    /// Polynomial by Horner's rule, highest power first.
    #[inline(always)]
    fn polynomial<const N: usize>(self, coefficients: [f32; N]) -> Self {
        let mut value = self.constant(coefficients[0]);
        for coefficient in &coefficients[1..] {
            value = value.mul_add(self, self.constant(*coefficient));
        }
        value
    }

    /// 1/x of a positive normal number up to 2^124, relative error below 1.5 x
    /// 2^-23: the exponent negated in integers (5% off), then a step of second
    /// and a step of third order.
    #[inline(always)]
    pub fn recip(self) -> Self {
        let simd = self.0;
        let one = self.constant(1.0);
        let bits = simd.sub_u32s(simd.splat_u32s(0x7EF3_1000), self.bits());
        let guess = Self::from_bits(simd, bits);
        let error = (-self).mul_add(guess, one);
        let guess = guess.mul_add(error, guess);
        let error = (-self).mul_add(guess, one);
        guess.mul_add(error.mul_add(error, error), guess)
    }

    /// e^x for x up to 88; x below -87 counts as -87.
    #[inline(always)]
    pub fn exp(self) -> Self {
        let simd = self.0;
        // this order of the arguments keeps a NaN
        let x = self.constant(EXP_FLOOR).max(self);
        let (shifted, r) = x.reduced();
        let tail = r.polynomial([
            1.987_569_1e-4,
            1.398_199_9e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            0.5,
        ]);
        let value = (r * r).mul_add(tail, r) + self.constant(1.0);
        let exponent = simd.wrapping_dyn_shl_u32s(shifted.bits(), simd.splat_u32s(23));
        Self::from_bits(simd, simd.add_u32s(value.bits(), exponent))
    }

    /// ln x of a positive normal number.
    #[inline(always)]
    pub fn ln(self) -> Self {
        let simd = self.0;
        // x = 2^e m with m in [sqrt(1/2), sqrt 2)
        const HALF_ROOT: u32 = 0x3F35_04F3;
        let shifted = simd.add_u32s(self.bits(), simd.splat_u32s(0x3F80_0000 - HALF_ROOT));
        let exponent = simd.wrapping_dyn_shr_u32s(shifted, simd.splat_u32s(23));
        // an integer below 2^23 in the low bits of 2^23, as a float
        let exponent = simd.or_u32s(exponent, simd.splat_u32s(0x4B00_0000));
        let e = Self::from_bits(simd, exponent) - self.constant(8_388_608.0 + 127.0);
        let mantissa = simd.and_u32s(shifted, simd.splat_u32s(0x007F_FFFF));
        let mantissa = simd.add_u32s(mantissa, simd.splat_u32s(HALF_ROOT));
        let f = Self::from_bits(simd, mantissa) - self.constant(1.0);
        let tail = f.polynomial([
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ]);
        let square = f * f;
        let low = (tail * f).mul_add(square, e * self.constant(LN_2_LOW));
        let low = square.mul_add(self.constant(-0.5), low);
        e.mul_add(self.constant(LN_2_HIGH), f + low)
    }

    /// ln(1 + e^x) and its derivative 1/(1 + e^-x), each exact to a few units in
    /// the last place, also where they are small: with z = e/(2 + e) and
    /// e = e^-|x|, ln(1 + e) = 2 artanh(z).
    #[inline(always)]
    pub fn softplus(self) -> (Self, Self) {
        let (one, two, zero) = (self.constant(1.0), self.constant(2.0), self.constant(0.0));
        let e = (-self.abs()).exp();
        let z = e * (e + two).recip();
        let y = z * z;
        // 2 artanh(z)/z in z^2 on [0, 1/9], largest relative error 5e-9
        let series = y.polynomial([0.280_119_87, 0.280_018_05, 0.400_215_27, 0.666_664_2, 2.0]);
        let value = z.mul_add(series, zero.max(self));
        let larger = (e + one).recip();
        (value, self.ge(zero).select(larger, e * larger))
    }

    /// Distribution function and density of the standard normal distribution. The
    /// former has an absolute error below 2e-7 (Abramowitz and Stegun, 7.1.26).
    #[inline(always)]
    pub fn normal(self) -> (Self, Self) {
        let (one, zero) = (self.constant(1.0), self.constant(0.0));
        let size = self.abs();
        let exponential = (self * self * self.constant(-0.5)).exp();
        // 0.3275911 / sqrt 2
        let s = size.mul_add(self.constant(0.231_641_89), one).recip();
        let tail = s.polynomial([
            1.061_405_4,
            -1.453_152,
            1.421_413_7,
            -0.284_496_74,
            0.254_829_6,
            0.0,
        ]);
        let upper = self.constant(0.5) * tail * exponential;
        let probability = self.ge(zero).select(one - upper, upper);
        // 1 / sqrt(2 pi)
        (probability, exponential * self.constant(0.398_942_3))
    }

    /// tanh x: by its series near zero (Cephes, `tanhf.c`), where the exponential
    /// would cancel.
    #[inline(always)]
    pub fn tanh(self) -> Self {
        let (one, zero) = (self.constant(1.0), self.constant(0.0));
        let size = self.abs();
        let square = self * self;
        let series = square.polynomial([
            -5.704_988_7e-3,
            2.063_909e-2,
            -5.373_971_6e-2,
            1.333_144_2e-1,
            -3.333_328e-1,
        ]);
        let near = (series * square).mul_add(self, self);
        let e = (size * self.constant(-2.0)).exp();
        let far = (one - e) * (one + e).recip();
        let far = self.ge(zero).select(far, -far);
        // this order of the comparison keeps a NaN
        size.ge(self.constant(0.625)).select(far, near)
    }

    /// 1/(1 + e^-x).
    #[inline(always)]
    pub fn sigmoid(self) -> Self {
        let e = (-self.abs()).exp();
        let larger = (e + self.constant(1.0)).recip();
        self.ge(self.constant(0.0)).select(larger, e * larger)
    }
}
