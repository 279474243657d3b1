//! Lanes of f64, their exponential and logarithm.

use super::Simd;
use pulp::bytemuck;

/// Lanes of the widest register.
pub const WIDEST: usize = 8;
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

registers! {
    f64: f64s, m64s;
    splat_f64s, as_simd_f64s, as_mut_simd_f64s, and_m64s, select_f64s;
    mul_add_e_f64s, max_f64s, min_f64s, neg_f64s;
    abs = abs_f64s, sqrt = sqrt_f64s;
    ge = greater_than_or_equal_f64s, gt = greater_than_f64s, le = less_than_or_equal_f64s, eq = equal_f64s;
    Add add = add_f64s, Sub sub = sub_f64s, Mul mul = mul_f64s, Div div = div_f64s;
}

impl<S: Simd> F<S> {
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
    pub fn exp(self) -> Self {
        let x = self.le(self.constant(EXP_FLOOR));
        let x = x.select(self.constant(EXP_FLOOR), self);
        let (shifted, r) = x.reduced();
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
    pub fn ln(self) -> Self {
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

/// ln(1 + e^theta) and its derivative, of one number by the library.
pub fn softplus(theta: f64) -> (f64, f64) {
    let value = theta.max(0.0) + (-theta.abs()).exp().ln_1p();
    (value, (1.0 + (-theta).exp()).recip())
}
