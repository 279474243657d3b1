//! The channel as a term of a likelihood: from derivatives by rates and slots to
//! derivatives by the parameters.

use super::channel::{Process, UnbinnedChannel};
use super::kernel::Transform;
use super::sums::Weighted;
use crate::{Derivatives, Term};

impl Term for UnbinnedChannel {
    fn kinks(&self) -> Vec<usize> {
        let of_rates = self.processes.iter().flat_map(|p| p.rate.kinks());
        of_rates.chain(self.sample.layout.kinks()).collect()
    }

    fn value(&self, at: &[f64]) -> f64 {
        let rates = self.rates(at);
        self.in_rates::<0>(&rates, at).value
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        let rates = RateGradients::new(&self.processes, at);
        let all = self.in_rates::<1>(&rates.values, at);
        rates.add_gradient(&all.gradient, self.sample.parameters(), gradient);
        all.value
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let processes = self.processes.iter();
        let rates: Vec<Derivatives> = processes.map(|p| p.rate.derivatives(at)).collect();
        let values: Vec<f64> = rates.iter().map(|rate| rate.value).collect();
        let all = self.in_rates::<2>(&values, at);
        add_second_order(&rates, &all, self.sample.parameters(), gradient, hessian);
        all.value
    }
}

impl UnbinnedChannel {
    /// The term and its derivatives by `[v_1.., alpha_1..]`.
    fn in_rates<const ORDER: usize>(&self, rates: &[f64], at: &[f64]) -> Weighted {
        let mut all = Weighted::over::<ORDER>(&self.sample, self.transform, rates, at);
        all.negate();
        if self.renormalised
            && let Some(reference) = &self.reference
        {
            let integral = Weighted::over::<ORDER>(reference, Transform::Identity, rates, at);
            all.add(
                self.total_weight,
                &integral.log_of_integral(reference, rates),
            );
        }
        all.add_total_rate(rates);
        all
    }
}

impl Weighted {
    pub(super) fn negate(&mut self) {
        self.value = -self.value;
        let derivatives = self.gradient.iter_mut().chain(&mut self.hessian);
        derivatives.for_each(|x| *x = -*x);
    }

    pub(super) fn add(&mut self, factor: f64, other: &Self) {
        self.value += factor * other.value;
        let own = self.gradient.iter_mut().chain(&mut self.hessian);
        for (x, y) in own.zip(other.gradient.iter().chain(&other.hessian)) {
            *x += factor * y;
        }
    }

    /// Adds `v = sum_j v_j`. Where it is not positive nothing is defined.
    pub(super) fn add_total_rate(&mut self, rates: &[f64]) {
        let total: f64 = rates.iter().sum();
        self.value += if total > 0.0 { total } else { f64::NAN };
        for slope in self.gradient.iter_mut().take(rates.len()) {
            *slope += 1.0;
        }
    }
}

/// Adds gradient and Hessian by the parameters, from those by rates and slots.
pub(super) fn add_second_order(
    rates: &[Derivatives],
    inner: &Weighted,
    slots: &[usize],
    gradient: &mut [f64],
    hessian: &mut [f64],
) {
    let firsts = RateGradients::of(rates);
    firsts.add_gradient(&inner.gradient, slots, gradient);
    firsts.add_hessian(&inner.hessian, slots, hessian);
    for (rate, slope) in rates.iter().zip(&inner.gradient) {
        for (to, second) in hessian.iter_mut().zip(&rate.hessian) {
            *to += slope * second;
        }
    }
}

/// Values and gradients of the rates.
pub(super) struct RateGradients {
    pub(super) values: Vec<f64>,
    /// `[J, n]`.
    gradients: Vec<f64>,
}

impl RateGradients {
    pub(super) fn new(processes: &[Process], at: &[f64]) -> Self {
        let mut gradients = vec![0.0; processes.len() * at.len()];
        let rows = gradients.chunks_exact_mut(at.len().max(1));
        let values = processes.iter().zip(rows);
        let values = values.map(|(process, row)| process.rate.gradient(at, row));
        let values = values.collect();
        Self { values, gradients }
    }

    fn of(rates: &[Derivatives]) -> Self {
        let gradients = rates.iter().flat_map(|rate| &rate.gradient);
        Self {
            values: rates.iter().map(|rate| rate.value).collect(),
            gradients: gradients.copied().collect(),
        }
    }

    /// Adds what `[v_1.., alpha_1..]` contribute; `slots` are the places of the
    /// `alpha`.
    pub(super) fn add_gradient(&self, inner: &[f64], slots: &[usize], gradient: &mut [f64]) {
        let (by_rate, by_slot) = inner.split_at(self.values.len());
        let rows = self.gradients.chunks_exact(gradient.len().max(1));
        for (slope, row) in by_rate.iter().zip(rows) {
            for (to, x) in gradient.iter_mut().zip(row) {
                *to += slope * x;
            }
        }
        for (slope, place) in by_slot.iter().zip(slots) {
            gradient[*place] += slope;
        }
    }

    /// Adds `J^T F J`, where `F` is the Hessian `[M, M]` by rates and slots and `J`
    /// are their derivatives by the parameters.
    fn add_hessian(&self, inner: &[f64], slots: &[usize], hessian: &mut [f64]) {
        let dimension = self.values.len() + slots.len();
        let n = self.gradients.len() / self.values.len();
        // F J, a row at a time; F is symmetric
        let mut rows = vec![0.0; dimension * n];
        for (row, inner) in rows.chunks_exact_mut(n).zip(inner.chunks_exact(dimension)) {
            self.add_gradient(inner, slots, row);
        }
        // of J^T (F J) the lower triangle, and its mirror
        let mut product = vec![0.0; n];
        for a in 0..n {
            let inner: Vec<f64> = rows.chunks_exact(n).map(|row| row[a]).collect();
            product.fill(0.0);
            self.add_gradient(&inner, slots, &mut product);
            for (b, x) in product[..=a].iter().enumerate() {
                hessian[a * n + b] += x;
                if a != b {
                    hessian[b * n + a] += x;
                }
            }
        }
    }
}
