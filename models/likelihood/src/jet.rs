//! A function of several parameters with its derivatives at one point, by the rules of
//! sum, product and chain.

/// Value, gradient `[n]` and symmetric Hessian `[n, n]`, row-major; derivatives that are not
/// wanted are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Jet {
    /// The value.
    pub value: f64,
    /// First derivatives.
    pub gradient: Vec<f64>,
    /// Second derivatives.
    pub hessian: Vec<f64>,
}

impl Jet {
    /// A constant of `n` parameters with its derivatives up to an order.
    pub(crate) fn constant(value: f64, n: usize, order: usize) -> Self {
        let zeros = |length: usize, from: usize| vec![0.0; if order >= from { length } else { 0 }];
        Self {
            value,
            gradient: zeros(n, 1),
            hessian: zeros(n * n, 2),
        }
    }

    /// Becomes such a constant, with the gradient at least.
    pub(crate) fn reset(&mut self, value: f64, n: usize, second: bool) {
        self.value = value;
        self.gradient.clear();
        self.gradient.resize(n, 0.0);
        self.hessian.clear();
        self.hessian.resize(if second { n * n } else { 0 }, 0.0);
    }

    /// Multiplies by `u`, a function of parameter `i`, given with two derivatives.
    #[inline(always)]
    pub(crate) fn multiply(&mut self, i: usize, [value, slope, curvature]: [f64; 3]) {
        self.multiply_by(&[i], value, &[slope], &[curvature]);
    }

    /// Multiplies by a function of the parameters `places`, each once: its value, gradient
    /// and Hessian.
    #[inline(always)]
    pub(crate) fn multiply_by(
        &mut self,
        places: &[usize],
        value: f64,
        gradient: &[f64],
        hessian: &[f64],
    ) {
        let n = self.gradient.len();
        if !self.hessian.is_empty() {
            self.hessian.iter_mut().for_each(|h| *h *= value);
            for (a, i) in places.iter().enumerate() {
                for j in 0..n {
                    // at j = i both lines count: 2 f' u'
                    let cross = self.gradient[j] * gradient[a];
                    self.hessian[i * n + j] += cross;
                    self.hessian[j * n + i] += cross;
                }
                for (b, j) in places.iter().enumerate() {
                    self.hessian[i * n + j] += self.value * hessian[a * places.len() + b];
                }
            }
        }
        self.gradient.iter_mut().for_each(|g| *g *= value);
        for (i, slope) in places.iter().zip(gradient) {
            self.gradient[*i] += self.value * slope;
        }
        self.value *= value;
    }

    /// A function of this one: `f(u)` from `f`, `f'` and `f''` at `u`.
    pub(crate) fn chain(mut self, [value, first, second]: [f64; 3]) -> Self {
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

    /// Adds a multiple of another function.
    pub(crate) fn add_scaled(&mut self, factor: f64, other: &Self) {
        self.value += factor * other.value;
        let own = self.gradient.iter_mut().chain(&mut self.hessian);
        for (x, y) in own.zip(other.gradient.iter().chain(&other.hessian)) {
            *x += factor * y;
        }
    }

    /// The product with another function of the same parameters.
    pub(crate) fn times(mut self, other: &Self) -> Self {
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
}

/// `a b`, where nothing times infinity is nothing: the derivative of what does not
/// depend on a parameter stays zero where an outer function has no finite slope.
fn product(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 0.0 } else { a * b }
}
