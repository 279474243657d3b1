//! Fourier functions averaged over bins, made orthogonal.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Contents of a function below this share of its largest are 0.
const ZERO: f64 = 1e-12;

/// How large a basis function is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Highest less lowest content is one, but for the constant, which is one.
    #[default]
    Range,
    /// The mean of its square, with the weights, is one.
    Norm,
}

/// 1, sin pi u, cos pi u, sin 2 pi u, ..., averaged over each bin, where u goes from 0 to 1.
pub(super) fn raw(edges: &[f64], max_order: usize) -> Vec<Vec<f64>> {
    let (low, high) = (edges[0], edges[edges.len() - 1]);
    let u: Vec<f64> = edges.iter().map(|e| (e - low) / (high - low)).collect();
    let function = |order: usize| {
        let w = PI * order.div_ceil(2) as f64;
        let average = |two: &[f64]| {
            let (a, b) = (two[0], two[1]);
            match order {
                0 => 1.0,
                _ if order % 2 == 1 => ((w * a).cos() - (w * b).cos()) / (w * (b - a)),
                _ => ((w * b).sin() - (w * a).sin()) / (w * (b - a)),
            }
        };
        u.windows(2).map(average).collect()
    };
    (0..=max_order).map(function).collect()
}

/// The functions of orders 0 to `max_order`, `[max_order + 1][B]`: orthogonal with the weights
/// `average`, which are above 0, and positive in the last bin in which they are not 0.
pub fn basis(edges: &[f64], average: &[f64], max_order: usize, scale: Scale) -> Vec<Vec<f64>> {
    let product = |one: &[f64], other: &[f64]| -> f64 {
        let both = one.iter().zip(other).zip(average);
        both.map(|((a, b), h)| a * b * h).sum()
    };
    let mut functions = raw(edges, max_order);
    for k in 1..functions.len() {
        let (done, rest) = functions.split_at_mut(k);
        let last = &done[k - 1];
        let norm = product(last, last);
        for function in rest {
            let share = product(function, last) / norm;
            let both = function.iter_mut().zip(last);
            both.for_each(|(f, l)| *f -= share * l);
        }
    }
    for (order, function) in functions.iter_mut().enumerate() {
        let largest = function.iter().fold(0.0_f64, |most, f| most.max(f.abs()));
        let seen = function.iter().rev().find(|f| f.abs() > ZERO * largest);
        let sign = seen.map_or(1.0, |f| f.signum());
        let size = match scale {
            Scale::Range if order == 0 => 1.0,
            Scale::Range => {
                let high = function.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
                let low = function.iter().fold(f64::INFINITY, |a, b| a.min(*b));
                high - low
            }
            Scale::Norm => (product(function, function) / average.iter().sum::<f64>()).sqrt(),
        };
        function.iter_mut().for_each(|f| *f *= sign / size);
    }
    functions
}
