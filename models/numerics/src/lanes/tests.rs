//! The functions of both widths against f64 of the library, on every instruction set.

use super::{Simd, WithSimd, double, instruction_sets, single};

#[derive(Clone, Copy, Debug)]
enum Function {
    Exp,
    Ln,
    Recip,
    Sigmoid,
    Softplus,
    SoftplusSlope,
}

/// Replaces numbers by their function.
struct Single<'a>(Function, &'a mut [f32]);
struct Double<'a>(Function, &'a mut [f64]);

impl WithSimd for Single<'_> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        for x in self.1.chunks_exact_mut(S::F32_LANES) {
            let value = single::F::load(simd, x);
            let value = match self.0 {
                Function::Exp => value.exp(),
                Function::Ln => value.ln(),
                Function::Recip => value.recip(),
                Function::Sigmoid => value.sigmoid(),
                Function::Softplus => value.softplus().0,
                Function::SoftplusSlope => value.softplus().1,
            };
            value.store(x);
        }
    }
}

impl WithSimd for Double<'_> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        for x in self.1.chunks_exact_mut(S::F64_LANES) {
            let value = double::F::load(simd, x);
            let value = match self.0 {
                Function::Exp => value.exp(),
                Function::Ln => value.ln(),
                other => panic!("{other:?} is of f32"),
            };
            value.store(x);
        }
    }
}

/// One result for each instruction set.
fn in_single(function: Function, x: &[f32]) -> Vec<Vec<f32>> {
    let of = |arch: super::Arch| {
        let mut x = x.to_vec();
        arch.dispatch(Single(function, &mut x));
        x
    };
    instruction_sets().into_iter().map(of).collect()
}

fn in_double(function: Function, x: &[f64]) -> Vec<Vec<f64>> {
    let of = |arch: super::Arch| {
        let mut x = x.to_vec();
        arch.dispatch(Double(function, &mut x));
        x
    };
    instruction_sets().into_iter().map(of).collect()
}

/// `n` numbers from `from` to `to`, dense in the bits of f32.
fn bits(from: f32, to: f32, n: usize) -> Vec<f32> {
    let (from, to) = (from.to_bits(), to.to_bits());
    let step = f64::from(to - from) / (n - 1) as f64;
    let bits = (0..n).map(|i| from + (i as f64 * step) as u32);
    bits.map(f32::from_bits).collect()
}

#[test]
fn functions_of_f32_agree_with_f64() {
    let n = 1 << 18;
    let positive = bits(1e-30, 80.0, n / 2);
    let negative = positive.iter().map(|x| -x);
    let both: Vec<f32> = positive.iter().copied().chain(negative).collect();
    let normal = bits(f32::MIN_POSITIVE, 4e37, n);
    let sigmoid = |x: f64| double::softplus(x).1;
    let softplus = |x: f64| double::softplus(x).0;
    type Exact<'a> = &'a dyn Fn(f64) -> f64;
    // largest error in units of eps = 2^-23 times the exact value
    let cases: [(Function, &[f32], Exact, f64); 6] = [
        (Function::Exp, &both, &f64::exp, 1.5),
        (Function::Ln, &normal, &f64::ln, 1.5),
        (Function::Recip, &normal, &f64::recip, 1.5),
        (Function::Sigmoid, &both, &sigmoid, 3.0),
        (Function::Softplus, &both, &softplus, 4.0),
        (Function::SoftplusSlope, &both, &sigmoid, 3.0),
    ];
    for (function, x, exact, tolerance) in cases {
        for found in in_single(function, x) {
            let errors = x.iter().zip(&found).map(|(x, value)| {
                let exact = exact(f64::from(*x));
                (f64::from(*value) - exact).abs() / exact.abs() / f64::from(f32::EPSILON)
            });
            let worst = errors.zip(x).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            assert!(worst.0 <= tolerance, "{function:?}: {worst:?}");
        }
    }
}

#[test]
fn exponential_and_logarithm_of_f64_are_those_of_the_library() {
    let x: Vec<f64> = (0..80_000)
        .map(|i| -700.0 + 0.0175 * f64::from(i))
        .collect();
    let small: Vec<f64> = (0..80_000).map(|i| 1e-5 * f64::from(i - 40_000)).collect();
    for x in [x, small] {
        for found in in_double(Function::Exp, &x) {
            for (x, found) in x.iter().zip(found) {
                let ratio = found / x.exp() - 1.0;
                assert!(ratio.abs() < 1e-15, "exp {x}: {ratio}");
            }
        }
        let of: Vec<f64> = x.iter().map(|x| x.exp()).collect();
        for found in in_double(Function::Ln, &of) {
            for (of, found) in of.iter().zip(found) {
                let far = (found - of.ln()).abs();
                assert!(far <= 4e-16 * of.ln().abs().max(0.01), "ln {of}: {far}");
            }
        }
    }
}

#[test]
fn exponential_of_very_negative_f32_is_tiny_and_nan_stays() {
    let x = [-1e30, -200.0, f32::NEG_INFINITY, f32::NAN].repeat(4);
    for out in in_single(Function::Exp, &x) {
        assert!(out[..3].iter().all(|v| (0.0..2e-38).contains(v)), "{out:?}");
        assert!(out[3].is_nan());
    }
}

#[test]
fn ends_of_the_domain_of_f64() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let x = [nan, inf, -inf, 709.0, -1000.0, 0.0, -0.0, 708.5];
    for found in in_double(Function::Exp, &x) {
        assert!(found[0].is_nan());
        assert_eq!((found[1], found[3], found[7]), (inf, inf, inf));
        assert!(found[2] < 1e-300 && found[4] < 1e-300);
        assert_eq!((found[5], found[6]), (1.0, 1.0));
    }
    let x = [nan, inf, -inf, 0.0, -0.0, -1.0, 1.0, 1e-310];
    for found in in_double(Function::Ln, &x) {
        assert!(found[..6].iter().all(|x| x.is_nan()), "{found:?}");
        assert!(found[7].is_nan());
        assert_eq!(found[6], 0.0);
    }
}
