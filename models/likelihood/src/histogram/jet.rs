//! A function of a few parameters with its derivatives at one point.

use crate::Derivatives;

/// Value, gradient `[m]` and, if wanted, Hessian `[m, m]`, row-major.
#[derive(Clone, Debug, Default)]
pub(super) struct LocalJet {
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
    /// Empty if second derivatives are not wanted.
    pub(super) hessian: Vec<f64>,
}

impl LocalJet {
    /// Becomes a constant, as a function of `m` parameters.
    pub(super) fn reset(&mut self, constant: f64, m: usize, second: bool) {
        self.value = constant;
        self.gradient.clear();
        self.gradient.resize(m, 0.0);
        self.hessian.clear();
        self.hessian.resize(if second { m * m } else { 0 }, 0.0);
    }

    /// Adds `u`, a function of parameter `i`, given with two derivatives.
    pub(super) fn add(&mut self, i: usize, u: [f64; 3]) {
        let m = self.gradient.len();
        self.value += u[0];
        self.gradient[i] += u[1];
        if let Some(diagonal) = self.hessian.get_mut(i * m + i) {
            *diagonal += u[2];
        }
    }

    /// Multiplies by `u`, a function of parameter `i`, given with two derivatives.
    pub(super) fn multiply(&mut self, i: usize, u: [f64; 3]) {
        let m = self.gradient.len();
        if !self.hessian.is_empty() {
            self.hessian.iter_mut().for_each(|h| *h *= u[0]);
            for j in 0..m {
                // at j = i both lines count: 2 f' u'
                let cross = self.gradient[j] * u[1];
                self.hessian[i * m + j] += cross;
                self.hessian[j * m + i] += cross;
            }
            self.hessian[i * m + i] += self.value * u[2];
        }
        self.gradient.iter_mut().for_each(|g| *g *= u[0]);
        self.gradient[i] += self.value * u[1];
        self.value *= u[0];
    }

    /// Multiplies by a function `u` of the parameters `places`, each once.
    pub(super) fn multiply_by(&mut self, places: &[usize], u: &Derivatives) {
        let m = self.gradient.len();
        if !self.hessian.is_empty() {
            self.hessian.iter_mut().for_each(|h| *h *= u.value);
            for (a, i) in places.iter().enumerate() {
                for j in 0..m {
                    let cross = self.gradient[j] * u.gradient[a];
                    self.hessian[i * m + j] += cross;
                    self.hessian[j * m + i] += cross;
                }
                for (b, j) in places.iter().enumerate() {
                    self.hessian[i * m + j] += self.value * u.hessian[a * places.len() + b];
                }
            }
        }
        self.gradient.iter_mut().for_each(|g| *g *= u.value);
        for (a, i) in places.iter().enumerate() {
            self.gradient[*i] += self.value * u.gradient[a];
        }
        self.value *= u.value;
    }
}
