//! What the mean of the mixed data and that of the models differ by.

use super::least_squares::LeastSquares;
use super::sets::{SetHistograms, StageSettings};
use super::variance::VarianceStage;
use crate::error::{Error, ensure};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF as _, FisherSnedecor};

/// A smaller gain in chi2 is none.
const GAIN: f64 = 1e-9;

/// The fit with free coefficients up to one order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BiasOrder {
    /// The highest order that is free; -1: none.
    pub order: i32,
    /// Coefficients of all orders up to this one and to that of the variance, whose own above
    /// this one are constrained.
    pub coefficients: Vec<f64>,
    /// Their errors.
    pub errors: Vec<f64>,
    /// How many of them are constrained.
    pub constrained: usize,
    /// chi2 of bins and constraints.
    pub chi2: f64,
    /// Its degrees of freedom.
    pub ndf: usize,
    /// Probability of a larger chi2.
    pub p_value: f64,
    /// F of the gain over the order before.
    pub f: Option<f64>,
    /// Probability of a smaller F.
    pub f_probability: Option<f64>,
    /// Pulls, `[B]`.
    pub pulls: Vec<f64>,
    /// sqrt(coefficient^2 + error^2).
    pub bias: Vec<f64>,
    /// Sizes of the variance; 0 above its order.
    pub variance: Vec<f64>,
    /// Both in quadrature.
    pub total: Vec<f64>,
    /// The signal fitted beside them, if there is a signal.
    #[serde(default)]
    pub spurious: Option<SpuriousSignal>,
}

/// The signal fitted to mixed data, which have none, with all coefficients constrained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpuriousSignal {
    /// Coefficients without signal.
    pub without: Vec<f64>,
    /// chi2 without signal.
    pub chi2_without: f64,
    /// Its degrees of freedom.
    pub ndf_without: usize,
    /// Coefficients with it.
    pub coefficients: Vec<f64>,
    /// Fitted strength.
    pub strength: f64,
    /// Its error.
    pub error: f64,
    /// chi2 with signal.
    pub chi2: f64,
    /// Its degrees of freedom.
    pub ndf: usize,
    /// F of the gain.
    pub f: f64,
    /// Probability of a smaller F.
    pub f_probability: f64,
}

/// The bias, order by order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BiasStage {
    /// Errors of the bins, `[B]`.
    pub errors: Vec<f64>,
    /// Orders -1 and up.
    pub orders: Vec<BiasOrder>,
    /// The order that is taken.
    pub selected: i32,
    /// Whether it fulfils both conditions; else it is the highest.
    pub is_satisfied: bool,
}

impl BiasStage {
    /// The order that is taken.
    pub fn chosen(&self) -> &BiasOrder {
        &self.orders[(self.selected + 1) as usize]
    }
}

/// Fits the mean of the mixed data with the mean of the models.
///
/// # Errors
/// If a size of the variance is 0, or functions cannot be told apart in the bins.
pub fn bias(
    sets: &SetHistograms,
    basis: &[Vec<f64>],
    variance: &VarianceStage,
    settings: &StageSettings,
) -> Result<BiasStage, Error> {
    let fits = Fits::new(sets, basis, &variance.chosen().size)?;
    let orders = (-1..=settings.max_order as i32).map(|order| fits.order(order));
    let mut orders = orders.collect::<Result<Vec<_>, _>>()?;
    for k in 1..orders.len() {
        let before = (orders[k - 1].chi2, orders[k - 1].ndf);
        let (f, probability) = f_test(before, (orders[k].chi2, orders[k].ndf));
        (orders[k].f, orders[k].f_probability) = (Some(f), Some(probability));
    }
    let is_good = |two: &&[BiasOrder]| {
        let gain = two[1].f_probability.unwrap_or(1.0);
        two[0].p_value > settings.p_value && gain < settings.f_probability
    };
    let found = orders.windows(2).find(is_good).map(|two| two[0].order);
    Ok(BiasStage {
        errors: fits.errors,
        selected: found.unwrap_or(settings.max_order as i32),
        is_satisfied: found.is_some(),
        orders,
    })
}

/// What all orders share.
struct Fits<'a> {
    sizes: &'a [f64],
    /// Columns of the basis times the mean model, over the errors.
    columns: Vec<Vec<f64>>,
    /// What is left of the data, over the errors.
    y: Vec<f64>,
    /// The signal over the errors.
    signal: Option<Vec<f64>>,
    errors: Vec<f64>,
}

impl<'a> Fits<'a> {
    fn new(sets: &SetHistograms, basis: &[Vec<f64>], sizes: &'a [f64]) -> Result<Self, Error> {
        ensure(sizes.iter().all(|size| *size > 0.0), || {
            "the models of all sets are equal: they vary by nothing".to_owned()
        })?;
        let ([average, variances], floor) = (sets.average(), sets.floor());
        let error = |b: usize| {
            (sets.data_variances[b] + sets.top_variances[b] + variances[b] + floor).sqrt()
        };
        let errors: Vec<f64> = (0..sets.bins()).map(error).collect();
        let over = |value: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let rows = errors.iter().enumerate();
            rows.map(|(b, error)| value(b) / error).collect()
        };
        let functions = basis.iter();
        Ok(Self {
            sizes,
            columns: functions.map(|f| over(&|b| average[b] * f[b])).collect(),
            y: over(&|b| sets.data[b] - average[b] - sets.top[b]),
            signal: sets.signal.as_ref().map(|s| over(&|b| s[b])),
            errors,
        })
    }

    /// Columns of the first functions, each with rows for constraints: of the width of each of
    /// `widths`, a place and a width each.
    fn constrained(&self, n: usize, widths: &[(usize, f64)]) -> Vec<Vec<f64>> {
        let columns = self.columns[..n].iter().enumerate();
        let column = |(k, column): (usize, &Vec<f64>)| {
            let rows = widths.iter().map(|(place, width)| match *place == k {
                true => width.recip(),
                false => 0.0,
            });
            column.iter().copied().chain(rows).collect()
        };
        columns.map(column).collect()
    }

    fn order(&self, order: i32) -> Result<BiasOrder, Error> {
        let free = (order + 1) as usize;
        let n = free.max(self.sizes.len());
        let widths: Vec<(usize, f64)> = (free..n).map(|k| (k, self.sizes[k])).collect();
        let y = with_zeros(&self.y, widths.len());
        let fit = LeastSquares::new(&self.constrained(n, &widths), &y)?;
        let (ndf, errors) = (y.len() - n, fit.errors());
        let both = fit.parameters.iter().zip(&errors);
        let bias: Vec<f64> = both.map(|(c, e)| c.hypot(*e)).collect();
        let size = |k: usize| self.sizes.get(k).copied().unwrap_or(0.0);
        let variance: Vec<f64> = (0..n).map(size).collect();
        let total = variance.iter().zip(&bias).map(|(v, b)| v.hypot(*b));
        let total: Vec<f64> = total.collect();
        let spurious = self.signal.as_ref().map(|s| self.spurious(s, &total));
        Ok(BiasOrder {
            order,
            constrained: widths.len(),
            chi2: fit.chi2,
            ndf,
            p_value: ChiSquared::new(ndf as f64).map_or(f64::NAN, |d| d.sf(fit.chi2)),
            f: None,
            f_probability: None,
            pulls: fit.residuals[..self.y.len()].to_vec(),
            coefficients: fit.parameters,
            errors,
            bias,
            variance,
            total,
            spurious: spurious.transpose()?,
        })
    }

    fn spurious(&self, signal: &[f64], total: &[f64]) -> Result<SpuriousSignal, Error> {
        let n = total.len();
        let widths: Vec<(usize, f64)> = total.iter().copied().enumerate().collect();
        let y = with_zeros(&self.y, n);
        let mut columns = self.constrained(n, &widths);
        let without = LeastSquares::new(&columns, &y)?;
        columns.push(with_zeros(signal, n));
        let fit = LeastSquares::new(&columns, &y)?;
        let ndf = y.len() - n;
        let (f, f_probability) = f_test((without.chi2, ndf), (fit.chi2, ndf - 1));
        Ok(SpuriousSignal {
            without: without.parameters,
            chi2_without: without.chi2,
            ndf_without: ndf,
            strength: fit.parameters[n],
            error: fit.covariance[n][n].sqrt(),
            coefficients: fit.parameters[..n].to_vec(),
            chi2: fit.chi2,
            ndf: ndf - 1,
            f,
            f_probability,
        })
    }
}

/// A list with zeros behind it.
fn with_zeros(list: &[f64], more: usize) -> Vec<f64> {
    let zeros = std::iter::repeat_n(0.0, more);
    list.iter().copied().chain(zeros).collect()
}

/// F of the gain of a fit over one before it, and the probability of a smaller one.
fn f_test(before: (f64, usize), after: (f64, usize)) -> (f64, f64) {
    let ((chi2_before, ndf_before), (chi2, ndf)) = (before, after);
    if chi2_before - chi2 <= GAIN {
        return (0.0, 0.0);
    }
    if chi2 <= 0.0 {
        return (f64::INFINITY, 1.0);
    }
    let [gained, left] = [(ndf_before - ndf) as f64, ndf as f64];
    let f = ((chi2_before - chi2) / gained) / (chi2 / left);
    let distribution = FisherSnedecor::new(gained, left);
    (f, distribution.map_or(f64::NAN, |d| d.cdf(f)))
}
