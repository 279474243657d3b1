//! What the models of the sets vary by.

use super::covariance::{propagated, slopes};
use super::least_squares::{LeastSquares, dot};
use super::sets::{Estimator, OrderTest, SetHistograms, StageSettings};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF as _, Normal};

/// The fits of all models with the functions up to one order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VarianceOrder {
    /// The order.
    pub order: usize,
    /// Coefficients of every model, `[M][order + 1]`.
    pub coefficients: Vec<Vec<f64>>,
    /// Their errors.
    pub errors: Vec<Vec<f64>>,
    /// Pulls of every model, `[M][B]`.
    pub pulls: Vec<Vec<f64>>,
    /// Of all models. It is no test: models and mean share events.
    pub chi2: f64,
    /// Its degrees of freedom.
    pub ndf: usize,
    /// Pearson's correlation of neighbouring pulls.
    pub correlation: f64,
    /// The published probability of it, which is not calibrated.
    pub p_value: Option<f64>,
    /// The calibrated test.
    pub white: WhiteTest,
    /// Mean of each coefficient over the models, `[order + 1]`.
    pub mean: Vec<f64>,
    /// Its standard deviation over them.
    pub spread: Vec<f64>,
    /// |mean| + spread.
    pub size: Vec<f64>,
}

impl VarianceOrder {
    /// Mean of each coefficient over the models, and its spread as an estimator has it.
    fn moments(coefficients: &[Vec<f64>], estimator: Estimator) -> [Vec<f64>; 2] {
        let n = coefficients.len() as f64;
        let of = |k: usize| {
            let values = || coefficients.iter().map(|list| list[k]);
            let mean = values().sum::<f64>() / n;
            let squares: f64 = values().map(|c| (c - mean).powi(2)).sum();
            let spread = match estimator {
                Estimator::Unbiased => (squares / (n - 1.0)).sqrt(),
                Estimator::Published => (squares / n).sqrt() * n / (n - 1.0),
            };
            (mean, spread)
        };
        let orders = 0..coefficients.first().map_or(0, Vec::len);
        let (mean, spread) = orders.map(of).unzip();
        [mean, spread]
    }

    /// The spread of each coefficient over the models themselves, however wide it was made.
    pub(super) fn spreads(&self) -> Vec<f64> {
        let [_, spread] = Self::moments(&self.coefficients, Estimator::Unbiased);
        spread
    }

    /// |mean| + spread as an estimator has it, whichever was taken and however wide it was made.
    pub fn sizes(&self, estimator: Estimator) -> Vec<f64> {
        let [mean, spread] = Self::moments(&self.coefficients, estimator);
        mean.iter().zip(spread).map(|(m, s)| m.abs() + s).collect()
    }
}

/// Whether neighbouring pulls are more alike than a fit leaves those of white noise: the statistic
/// of Durbin and Watson, over all models, against its mean and variance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhiteTest {
    /// The statistic.
    pub correlation: f64,
    /// Its mean for white noise.
    pub expected: f64,
    /// How many standard deviations it is above that.
    pub z: f64,
    /// Probability of a larger one.
    pub p_value: f64,
}

/// The variance, order by order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VarianceStage {
    /// Orders 0 and up.
    pub orders: Vec<VarianceOrder>,
    /// The order that is taken.
    pub selected: usize,
    /// Whether the pulls are uncorrelated there; else they are least so.
    pub is_decorrelated: bool,
}

impl VarianceStage {
    /// The order that is taken.
    pub fn chosen(&self) -> &VarianceOrder {
        &self.orders[self.selected]
    }

    /// Takes, where it is larger, the spread that a covariance of one model between bins, `[B][B]`,
    /// gives the coefficients: where sets share their events, what models vary by is less than
    /// what those of other events would. Whether a coefficient of the order that is taken is wider.
    ///
    /// # Errors
    /// If functions cannot be told apart in the bins.
    pub fn widen(
        &mut self,
        sets: &SetHistograms,
        basis: &[Vec<f64>],
        covariance: &[Vec<f64>],
    ) -> Result<bool, Error> {
        let mut is_wider = false;
        for found in &mut self.orders {
            let slopes = slopes(sets, &basis[..=found.order])?;
            for (k, slopes) in slopes.iter().enumerate() {
                let spread = propagated(slopes, covariance).sqrt();
                if spread > found.spread[k] {
                    is_wider |= found.order == self.selected;
                    found.spread[k] = spread;
                    found.size[k] = found.mean[k].abs() + spread;
                }
            }
        }
        Ok(is_wider)
    }
}

/// Fits every model to the mean of all.
///
/// # Errors
/// If functions cannot be told apart in the bins.
pub fn variance(
    sets: &SetHistograms,
    basis: &[Vec<f64>],
    settings: &StageSettings,
) -> Result<VarianceStage, Error> {
    let orders = (0..=settings.max_order).map(|order| one(sets, basis, order, settings.estimator));
    let orders = orders.collect::<Result<Vec<_>, _>>()?;
    let p_value = |o: &VarianceOrder| match settings.test {
        OrderTest::Published => o.p_value,
        OrderTest::White => Some(o.white.p_value),
    };
    let far = |o: &VarianceOrder| match settings.test {
        OrderTest::Published => o.correlation.abs(),
        OrderTest::White => o.white.z,
    };
    let good = |o: &&VarianceOrder| p_value(o).is_some_and(|p| p > settings.p_value);
    let found = orders.iter().find(good).map(|o| o.order);
    let least = orders.iter().min_by(|a, b| far(a).total_cmp(&far(b)));
    Ok(VarianceStage {
        selected: found.or(least.map(|o| o.order)).unwrap_or(0),
        is_decorrelated: found.is_some(),
        orders,
    })
}

fn one(
    sets: &SetHistograms,
    basis: &[Vec<f64>],
    order: usize,
    estimator: Estimator,
) -> Result<VarianceOrder, Error> {
    let ([average, _], floor) = (sets.average(), sets.floor());
    let (count, bins) = (sets.models.len(), sets.bins());
    let mut fits = Vec::with_capacity(count);
    let mut white = White::default();
    for (model, variances) in sets.models.iter().zip(&sets.model_variances) {
        let errors: Vec<f64> = variances.iter().map(|v| (v + floor).sqrt()).collect();
        let column = |function: &Vec<f64>| {
            let rows = 0..bins;
            rows.map(|b| model[b] * function[b] / errors[b]).collect()
        };
        let columns: Vec<Vec<f64>> = basis[..=order].iter().map(column).collect();
        let y: Vec<f64> = (0..bins)
            .map(|b| (average[b] - model[b]) / errors[b])
            .collect();
        let fit = LeastSquares::new(&columns, &y)?;
        white.add(&columns, &fit);
        fits.push(fit);
    }
    let pairs = fits.iter().flat_map(|fit| fit.residuals.windows(2));
    let (first, second): (Vec<f64>, Vec<f64>) = pairs.map(|two| (two[0], two[1])).unzip();
    let correlation = pearson(&first, &second);
    let free = (count * (bins - 1)).saturating_sub(count * (order + 1));
    let coefficients: Vec<Vec<f64>> = fits.iter().map(|f| f.parameters.clone()).collect();
    let [mean, spread] = VarianceOrder::moments(&coefficients, estimator);
    let size = mean.iter().zip(&spread).map(|(m, s)| m.abs() + s).collect();
    Ok(VarianceOrder {
        order,
        chi2: fits.iter().map(|f| f.chi2).sum(),
        ndf: count * (bins - order - 1),
        correlation,
        p_value: probability(correlation, free),
        white: white.test(),
        mean,
        spread,
        size,
        errors: fits.iter().map(LeastSquares::errors).collect(),
        pulls: fits.iter().map(|f| f.residuals.clone()).collect(),
        coefficients,
    })
}

fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len() as f64;
    let (a, b) = (mean(x), mean(y));
    let [mut xx, mut yy, mut xy] = [0.0; 3];
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (x - a, y - b);
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    xy / (xx * yy).sqrt()
}

/// Probability of a correlation at least as large of `n` independent pairs.
fn probability(correlation: f64, n: usize) -> Option<f64> {
    if n <= 2 || !correlation.is_finite() {
        return None;
    }
    let half = n as f64 / 2.0 - 1.0;
    let distribution = Beta::new(half, half).ok()?;
    Some(2.0 * distribution.cdf((0.5 * (1.0 - correlation.abs())).max(0.0)))
}

/// Sums of the [`WhiteTest`] over the models, whose pulls are P z, with P = 1 - A (A^T A)^-1 A^T,
/// and whose products of neighbours are p^T L p, with 1/2 beside the diagonal of L.
#[derive(Default)]
struct White {
    products: f64,
    squares: f64,
    projections: Vec<Vec<Vec<f64>>>,
}

impl White {
    fn add(&mut self, columns: &[Vec<f64>], fit: &LeastSquares) {
        let pulls = &fit.residuals;
        self.products += pulls.windows(2).map(|two| two[0] * two[1]).sum::<f64>();
        self.squares += dot(pulls, pulls);
        let bins = 0..pulls.len();
        let at = |row: usize| columns.iter().map(|c| c[row]).collect();
        let rows: Vec<Vec<f64>> = bins.clone().map(at).collect();
        let times = |row: &Vec<f64>| fit.covariance.iter().map(|c| dot(c, row)).collect();
        let weighted: Vec<Vec<f64>> = rows.iter().map(times).collect();
        let entry = |i: usize, j: usize| f64::from(u8::from(i == j)) - dot(&rows[i], &weighted[j]);
        let row = |i: usize| bins.clone().map(|j| entry(i, j)).collect();
        self.projections.push(bins.clone().map(row).collect());
    }

    fn test(&self) -> WhiteTest {
        let trace = |p: &Vec<Vec<f64>>| (0..p.len()).map(|i| p[i][i]).sum::<f64>();
        let beside = |p: &Vec<Vec<f64>>| (1..p.len()).map(|i| p[i][i - 1]).sum::<f64>();
        let all: f64 = self.projections.iter().map(trace).sum();
        let expected = self.projections.iter().map(beside).sum::<f64>() / all;
        let variance: f64 = self.projections.iter().map(|p| spread(p, expected)).sum();
        let difference = self.products - expected * self.squares;
        let z = difference / (self.squares / all * variance.sqrt());
        WhiteTest {
            correlation: self.products / self.squares,
            expected,
            z,
            p_value: Normal::standard().sf(z),
        }
    }
}

/// `2 tr[(P (L - r))^2]`.
fn spread(projection: &[Vec<f64>], r: f64) -> f64 {
    let bins = projection.len();
    let entry = |i: usize, j: usize| {
        let at = |k: Option<usize>| k.and_then(|k| projection[i].get(k)).copied().unwrap_or(0.0);
        0.5 * (at(j.checked_sub(1)) + at(Some(j + 1))) - r * projection[i][j]
    };
    let row = |i: usize| (0..bins).map(|j| entry(i, j)).collect();
    let q: Vec<Vec<f64>> = (0..bins).map(row).collect();
    let products = (0..bins).flat_map(|i| (0..bins).map(move |j| (i, j)));
    2.0 * products.map(|(i, j)| q[i][j] * q[j][i]).sum::<f64>()
}
