//! What pseudo-experiments at one point say of a fit: coverage of its intervals, bias
//! and pulls.

use super::ToyRecord;
use crate::Error;
use crate::neyman::{Proportion, Statistic, ToySet};
use serde::Serialize;

/// Confidence level of the errors of counted coverages.
const ERROR_LEVEL: f64 = 0.6827;

/// Mean and standard deviation of a sample, with their standard errors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Number of values.
    pub count: usize,
    /// Mean.
    pub mean: f64,
    /// Its standard error, `width / sqrt(count)`.
    pub mean_error: f64,
    /// Standard deviation.
    pub width: f64,
    /// Its standard error, from the fourth moment: valid for tails of any weight.
    pub width_error: f64,
    /// Median.
    pub median: f64,
}

impl Spread {
    /// The spread of `values`; not a number where there are fewer than two.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let moment = |k: i32| values.iter().map(|v| (v - mean).powi(k)).sum::<f64>();
        let variance = moment(2) / (n - 1.0);
        let width = variance.sqrt();
        let kurtosis = moment(4) / n / (variance * variance);
        let middle = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
        let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
        Self {
            count: values.len(),
            mean,
            mean_error: width / n.sqrt(),
            width,
            width_error: 0.5 * width * ((kurtosis - 1.0) / n).sqrt(),
            median: 0.5 * (middle(low) + middle(high)),
        }
    }
}

/// Coverage of the interval of one confidence level: the share of toys whose interval
/// holds the true value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// The confidence level.
    pub level: f64,
    /// The critical value of `t` at the true value.
    pub critical: f64,
    /// What was counted.
    pub counted: Proportion,
    /// `(counted - level)` in binomial standard deviations at `level`.
    pub pull: f64,
}

/// What the toys at one point say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PointReport {
    /// True values, `[n]`.
    pub truth: Vec<f64>,
    /// Toys whose fits converged.
    pub toys: usize,
    /// Toys whose fits did not: they count for nothing below.
    pub failed: usize,
    /// Fitted value of each parameter, `[n]`.
    pub fitted: Vec<Spread>,
    /// `(mean fitted - true) / standard deviation of the fitted values`, `[n]`.
    pub relative_bias: Vec<f64>,
    /// `(fitted - true) / error`, `[n]`, of toys whose fit has an error.
    pub pulls: Vec<Spread>,
    /// Share of toys whose parameter of interest has no error: fitted at a bound.
    pub at_bound: f64,
    /// Coverage with the quantiles of the asymptotic distribution, by level.
    pub asymptotic: Vec<Coverage>,
}

impl PointReport {
    /// The report of the toys of one point, all of the same truth.
    ///
    /// # Errors
    /// For a level outside (0, 1), or if no fit converged.
    pub fn new(records: &[ToyRecord], levels: &[f64]) -> Result<Self, Error> {
        let good: Vec<&ToyRecord> = records.iter().filter(|r| r.converged).collect();
        let truth = records.first().map(|r| r.truth.clone()).unwrap_or_default();
        let all = 0..truth.len();
        let fitted: Vec<Spread> = all
            .clone()
            .map(|k| Spread::of(good.iter().map(|r| r.fitted[k]).collect()))
            .collect();
        let bias = fitted.iter().zip(&truth);
        let pulls = |k: usize| Spread::of(good.iter().filter_map(|r| r.pull(k)).collect());
        let bound = good.iter().filter(|r| r.errors.first() == Some(&0.0));
        let asymptotic = levels.iter().map(|level| {
            let critical = Statistic::TwoSided.asymptotic(*level)?;
            coverage(records, *level, critical)
        });
        Ok(Self {
            toys: good.len(),
            failed: records.len() - good.len(),
            relative_bias: bias.map(|(f, at)| (f.mean - at) / f.width).collect(),
            fitted,
            pulls: all.map(pulls).collect(),
            at_bound: bound.count() as f64 / good.len() as f64,
            asymptotic: asymptotic.collect::<Result<_, _>>()?,
            truth,
        })
    }
}

/// The share of converged toys with `t <= critical`.
///
/// # Errors
/// For a level outside (0, 1), or if no fit converged.
pub fn coverage(records: &[ToyRecord], level: f64, critical: f64) -> Result<Coverage, Error> {
    let good = records.iter().filter(|r| r.converged);
    let inside = good.clone().filter(|r| r.t <= critical).count() as u64;
    let counted = Proportion::wilson(inside, good.count() as u64, ERROR_LEVEL)?;
    Ok(Coverage {
        level,
        critical,
        counted,
        pull: counted.pull(level),
    })
}

/// The test statistics of the toys thrown at `mu`, for a belt.
pub fn toy_set(mu: f64, records: &[ToyRecord]) -> ToySet {
    let good = records.iter().filter(|r| r.converged);
    let t: Vec<f64> = good.map(|r| r.t).collect();
    ToySet {
        mu,
        failed: records.len() - t.len(),
        t,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::assert_near;
    use sideband_numerics::random::Key;

    /// Gaussian toys: `mu` is fitted with the right error times `error`.
    fn gaussian(n: u64, error: f64) -> Vec<ToyRecord> {
        let key = Key::from_seed(1);
        let toy = |number| {
            let [a, b] = key.with(number).stream().normal_pair();
            ToyRecord {
                point: 0,
                toy: number,
                events: 1,
                converged: number % 100 != 7,
                t: (a / error).powi(2),
                truth: vec![2.0, 1.0],
                fitted: vec![2.0 + 0.3 * a, 1.0 + b],
                errors: vec![if number % 10 == 0 { 0.0 } else { 0.3 * error }, 1.0],
            }
        };
        (0..n).map(toy).collect()
    }

    #[test]
    fn right_errors_cover_and_pull() {
        let report = PointReport::new(&gaussian(20_000, 1.0), &[0.6827, 0.9545]).unwrap();
        assert_eq!((report.toys, report.failed), (19_800, 200));
        for coverage in &report.asymptotic {
            assert!(coverage.pull.abs() < 3.0, "{coverage:?}");
        }
        for (pull, relative_bias) in report.pulls.iter().zip(&report.relative_bias) {
            assert!(pull.mean.abs() < 4.0 * pull.mean_error);
            assert_near(pull.width, 1.0, 4.0 * pull.width_error);
            // of a normal distribution: 1 / sqrt(2 n)
            let normal = (0.5 / pull.count as f64).sqrt();
            assert_near(pull.width_error / normal, 1.0, 0.1);
            assert!(relative_bias.abs() < 4.0 / 140.0);
        }
        assert_near(report.fitted[0].median, 2.0, 0.02);
        assert_near(report.at_bound, 2000.0 / 19_800.0, 1e-12);
        assert_eq!(report.pulls[0].count, 17_800);
    }

    #[test]
    fn errors_that_are_too_small_are_seen() {
        let records = gaussian(5000, 0.8);
        let report = PointReport::new(&records, &[0.6827]).unwrap();
        // P(|z| < 0.8) = 0.576
        let found = report.asymptotic[0].counted.value;
        assert_near(found, 0.576, 4.0 * 0.007);
        assert!(report.asymptotic[0].pull < -10.0);
        let set = toy_set(2.0, &records);
        assert_eq!((set.t.len(), set.failed), (4950, 50));
        assert!(PointReport::new(&records, &[1.2]).is_err());
        assert!(PointReport::new(&[], &[0.6827]).is_err());
    }
}
