//! Derivatives of a product, and where second ones are added up.

/// A product of functions of one parameter each, by the product rule: any of them may
/// vanish.
#[derive(Default)]
pub(super) struct Product {
    /// Value, first and second derivative of each factor.
    jets: Vec<[f64; 3]>,
    /// Products of the values before each, and of all.
    before: Vec<f64>,
    /// Products of the values from each on.
    from: Vec<f64>,
}

impl Product {
    pub(super) fn clear(&mut self) {
        self.jets.clear();
    }

    pub(super) fn push(&mut self, jet: [f64; 3]) {
        self.jets.push(jet);
    }

    /// The product; afterwards the products without one or two of the factors can be had.
    pub(super) fn multiply(&mut self) -> f64 {
        self.before.clear();
        let mut product = 1.0;
        for [value, ..] in &self.jets {
            self.before.push(product);
            product *= value;
        }
        self.from.clear();
        self.from.resize(self.jets.len() + 1, 1.0);
        for (i, [value, ..]) in self.jets.iter().enumerate().rev() {
            self.from[i] = value * self.from[i + 1];
        }
        product
    }

    fn without(&self, i: usize) -> f64 {
        self.before[i] * self.from[i + 1]
    }

    /// Derivative by the parameter of a factor.
    pub(super) fn slope(&self, i: usize) -> f64 {
        self.jets[i][1] * self.without(i)
    }

    /// Second derivatives: places of two factors, and the derivative by both parameters.
    pub(super) fn curve(&self, mut visit: impl FnMut(usize, usize, f64)) {
        for (i, [_, first, second]) in self.jets.iter().enumerate() {
            visit(i, i, second * self.without(i));
            let mut between = first * self.before[i];
            for (j, [value, slope, _]) in self.jets.iter().enumerate().skip(i + 1) {
                visit(i, j, between * slope * self.from[j + 1]);
                between *= value;
            }
        }
    }
}

/// The upper triangle of a symmetric matrix, row-major in a square.
pub(super) struct Triangle {
    n: usize,
    pub(super) values: Vec<f64>,
}

impl Triangle {
    pub(super) fn new(n: usize) -> Self {
        Self {
            n,
            values: vec![0.0; n * n],
        }
    }

    /// Adds to the element of `p` and `q`.
    pub(super) fn add(&mut self, p: usize, q: usize, x: f64) {
        let (low, high) = if p < q { (p, q) } else { (q, p) };
        self.values[low * self.n + high] += x;
    }

    /// Adds a derivative by `p` and `q` of different factors, which counts twice where both
    /// are one parameter.
    pub(super) fn add_cross(&mut self, p: usize, q: usize, x: f64) {
        self.add(p, q, if p == q { 2.0 * x } else { x });
    }

    /// Adds `scale * row row^T`.
    pub(super) fn add_square(&mut self, scale: f64, row: &[f64]) {
        for (i, x) in row.iter().enumerate() {
            if *x != 0.0 {
                let x = scale * x;
                let to = &mut self.values[i * self.n + i..(i + 1) * self.n];
                for (h, y) in to.iter_mut().zip(&row[i..]) {
                    *h += x * y;
                }
            }
        }
    }
}
