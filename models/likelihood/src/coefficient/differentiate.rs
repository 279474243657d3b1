//! Value, gradient and Hessian of a tree, forward from the leaves.

use super::tree::Tree;
use crate::{Derivatives, Jet};
use sideband_numerics::expression::{Binary, Unary};

impl Derivatives {
    fn constant(n: usize, value: f64) -> Self {
        Self {
            value,
            gradient: vec![0.0; n],
            hessian: vec![0.0; n * n],
        }
    }

    /// A function of this one: `f(u)` from `f`, `f'` and `f''` at `u`.
    fn chain(mut self, [value, first, second]: Jet) -> Self {
        let n = self.gradient.len();
        for (entry, h) in self.hessian.iter_mut().enumerate() {
            let (a, b) = (self.gradient[entry / n], self.gradient[entry % n]);
            *h = product(first, *h) + product(second, a * b);
        }
        for g in &mut self.gradient {
            *g = product(first, *g);
        }
        self.value = value;
        self
    }

    fn plus(mut self, factor: f64, other: &Self) -> Self {
        self.value += factor * other.value;
        let own = self.gradient.iter_mut().chain(&mut self.hessian);
        for (x, y) in own.zip(other.gradient.iter().chain(&other.hessian)) {
            *x += factor * y;
        }
        self
    }

    fn times(mut self, other: &Self) -> Self {
        let n = self.gradient.len();
        for (entry, h) in self.hessian.iter_mut().enumerate() {
            let (a, b) = (entry / n, entry % n);
            *h = product(*h, other.value)
                + product(other.hessian[entry], self.value)
                + (self.gradient[a] * other.gradient[b] + self.gradient[b] * other.gradient[a]);
        }
        for (x, y) in self.gradient.iter_mut().zip(&other.gradient) {
            *x = product(*x, other.value) + product(*y, self.value);
        }
        self.value *= other.value;
        self
    }

    fn is_constant(&self) -> bool {
        let mut derivatives = self.gradient.iter().chain(&self.hessian);
        derivatives.all(|x| *x == 0.0)
    }

    fn power(self, exponent: &Self) -> Self {
        if exponent.is_constant() {
            let jet = power(self.value, exponent.value);
            return self.chain(jet);
        }
        let log = jet(Unary::Log, self.value);
        let log_of_power = self.chain(log).times(exponent);
        let exp = jet(Unary::Exp, log_of_power.value);
        log_of_power.chain(exp)
    }
}

impl Tree {
    /// The value for the variables `at`.
    pub(super) fn value(&self, at: &[f64]) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Variable(variable) => at[*variable],
            Self::Unary(function, of) => jet(*function, of.value(at))[0],
            Self::Binary(function, left, right) => {
                binary(*function, left.value(at), right.value(at))
            }
            Self::Spline(spline, of) => spline.jet(of.value(at))[0],
        }
    }

    /// Value, gradient and Hessian in the variables `at`.
    pub(super) fn derivatives(&self, at: &[f64]) -> Derivatives {
        let n = at.len();
        match self {
            Self::Number(value) => Derivatives::constant(n, *value),
            Self::Variable(variable) => {
                let mut derivatives = Derivatives::constant(n, at[*variable]);
                derivatives.gradient[*variable] = 1.0;
                derivatives
            }
            Self::Unary(function, of) => {
                let of = of.derivatives(at);
                let jet = jet(*function, of.value);
                of.chain(jet)
            }
            Self::Binary(function, left, right) => {
                derivatives(*function, left.derivatives(at), right.derivatives(at))
            }
            Self::Spline(spline, of) => {
                let of = of.derivatives(at);
                let jet = spline.jet(of.value);
                of.chain(jet)
            }
        }
    }
}

/// A function with its first and second derivative.
fn jet(function: Unary, x: f64) -> Jet {
    use std::f64::consts::{LN_2, LN_10};
    let log = |base: f64| [x.ln() / base, 1.0 / (x * base), -1.0 / (x * x * base)];
    match function {
        Unary::Negative => [-x, -1.0, 0.0],
        Unary::Log => log(1.0),
        Unary::Log10 => log(LN_10),
        Unary::Log2 => log(LN_2),
        Unary::Exp => [x.exp(); 3],
        Unary::Sqrt => {
            let root = x.sqrt();
            [root, 0.5 / root, -0.25 / (root * x)]
        }
        Unary::Abs => [x.abs(), x.signum(), 0.0],
        Unary::Sin => [x.sin(), x.cos(), -x.sin()],
        Unary::Cos => [x.cos(), -x.sin(), -x.cos()],
        Unary::Tan => {
            let (tan, slope) = (x.tan(), 1.0 + x.tan() * x.tan());
            [tan, slope, 2.0 * tan * slope]
        }
        Unary::Asin | Unary::Acos => {
            let rest = 1.0 - x * x;
            let slope = 1.0 / rest.sqrt();
            let curvature = x * slope / rest;
            match function {
                Unary::Asin => [x.asin(), slope, curvature],
                _ => [x.acos(), -slope, -curvature],
            }
        }
        Unary::Atan => {
            let slope = 1.0 / (1.0 + x * x);
            [x.atan(), slope, -2.0 * x * slope * slope]
        }
        Unary::Sinh => [x.sinh(), x.cosh(), x.sinh()],
        Unary::Cosh => [x.cosh(), x.sinh(), x.cosh()],
        Unary::Tanh => {
            let tanh = x.tanh();
            let slope = 1.0 - tanh * tanh;
            [tanh, slope, -2.0 * tanh * slope]
        }
        Unary::Asinh => {
            let slope = 1.0 / (1.0 + x * x).sqrt();
            [x.asinh(), slope, -x * slope * slope * slope]
        }
        // Not in a tree: see `Value for Tree`.
        Unary::Not | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Sign => [f64::NAN; 3],
    }
}

/// A function of two arguments.
fn binary(function: Binary, a: f64, b: f64) -> f64 {
    match function {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        Binary::Power => a.powf(b),
        Binary::Min if a <= b => a,
        Binary::Max if a >= b => a,
        Binary::Min | Binary::Max => b,
        // Not in a tree: see `Value for Tree`.
        _ => f64::NAN,
    }
}

/// A function of two arguments with its derivatives.
fn derivatives(function: Binary, a: Derivatives, b: Derivatives) -> Derivatives {
    match function {
        Binary::Add => a.plus(1.0, &b),
        Binary::Subtract => a.plus(-1.0, &b),
        Binary::Multiply => a.times(&b),
        Binary::Divide => {
            let inverse = power(b.value, -1.0);
            a.times(&b.chain(inverse))
        }
        Binary::Power => a.power(&b),
        Binary::Min if a.value <= b.value => a,
        Binary::Max if a.value >= b.value => a,
        Binary::Min | Binary::Max => b,
        // Not in a tree: see `Value for Tree`.
        _ => Derivatives::constant(a.gradient.len(), f64::NAN),
    }
}

/// `x^n` with its derivatives in `x`.
fn power(x: f64, n: f64) -> Jet {
    let term = |factor: f64, n: f64| {
        if factor == 0.0 {
            0.0
        } else {
            factor * x.powf(n)
        }
    };
    [x.powf(n), term(n, n - 1.0), term(n * (n - 1.0), n - 2.0)]
}

/// `a b`, where nothing times infinity is nothing: the derivative of what does not
/// depend on a parameter stays zero where an outer function has no finite slope.
fn product(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 0.0 } else { a * b }
}
