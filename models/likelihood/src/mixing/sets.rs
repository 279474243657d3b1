//! What the stages take.

use crate::error::{Error, ensure};
use serde::{Deserialize, Serialize};

/// Fewest sets.
const SETS: usize = 3;
/// Bins above the highest order, at least.
const SPARE: usize = 3;
/// Fewest events that the mean model has in a bin.
const FEWEST: f64 = 5.0;

/// How the spread of a coefficient over the models is estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// Squares over M - 1.
    #[default]
    Unbiased,
    /// Squares over M, times M / (M - 1): as published.
    Published,
}

/// By what the order of the variance is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderTest {
    /// Pearson's correlation of neighbouring pulls, which is not calibrated: as published.
    #[default]
    Published,
    /// The same against what a fit leaves of white noise.
    White,
}

/// How orders are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageSettings {
    /// Highest order.
    pub max_order: usize,
    /// p-value above which a fit is good, and pulls are uncorrelated.
    pub p_value: f64,
    /// Probability of the F test below which one more order gains nothing.
    pub f_probability: f64,
    /// The spread of coefficients.
    pub estimator: Estimator,
    /// The choice of the variance's order.
    pub test: OrderTest,
}

impl Default for StageSettings {
    fn default() -> Self {
        Self {
            max_order: 5,
            p_value: 0.05,
            f_probability: 0.95,
            estimator: Estimator::default(),
            test: OrderTest::default(),
        }
    }
}

/// Histograms of M sets in B bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetHistograms {
    /// `[B + 1]`, rising.
    pub edges: Vec<f64>,
    /// Background of every set's model, `[M][B]`.
    pub models: Vec<Vec<f64>>,
    /// Its statistical variances.
    pub model_variances: Vec<Vec<f64>>,
    /// Mean of the sets' mixed data, `[B]`.
    pub data: Vec<f64>,
    /// Its variances.
    pub data_variances: Vec<f64>,
    /// Mean of what mixed data have and no model describes, `[B]`: simulated tops.
    pub top: Vec<f64>,
    /// Its variances.
    pub top_variances: Vec<f64>,
    /// Signal of strength one, if there is any.
    pub signal: Option<Vec<f64>>,
}

impl SetHistograms {
    /// Number of bins.
    pub fn bins(&self) -> usize {
        self.edges.len().saturating_sub(1)
    }

    /// Mean of the models, and the mean of their variances: models share their events.
    pub fn average(&self) -> [Vec<f64>; 2] {
        let count = self.models.len() as f64;
        let mean = |of: &[Vec<f64>]| {
            let bins = 0..self.bins();
            bins.map(|b| of.iter().map(|m| m[b]).sum::<f64>() / count)
                .collect()
        };
        [mean(&self.models), mean(&self.model_variances)]
    }

    /// What stands for the errors of small counts, a variance.
    pub(super) fn floor(&self) -> f64 {
        (2.0 / self.models.len() as f64).powi(2)
    }

    /// Checks lengths and contents.
    ///
    /// # Errors
    /// With the bin, and what to change.
    pub fn check(&self, max_order: usize) -> Result<(), Error> {
        let (bins, sets) = (self.bins(), self.models.len());
        ensure(sets >= SETS, || {
            format!("{sets} sets; at least {SETS} are needed")
        })?;
        let rising = self.edges.windows(2).all(|two| two[0] < two[1]);
        ensure(rising && self.edges.iter().all(|e| e.is_finite()), || {
            "edges have to be finite and rise".to_owned()
        })?;
        ensure(bins >= max_order + SPARE, || {
            let most = bins.saturating_sub(SPARE);
            format!("{bins} bins allow at most order {most}; take more bins, or a lower max_order")
        })?;
        let others = [
            &self.data,
            &self.data_variances,
            &self.top,
            &self.top_variances,
        ];
        let all = self.models.iter().chain(&self.model_variances);
        for list in all.chain(others).chain(&self.signal) {
            let fine = list.len() == bins && list.iter().all(|x| x.is_finite());
            ensure(fine, || {
                format!("a histogram has not {bins} finite contents")
            })?;
        }
        ensure(self.model_variances.len() == sets, || {
            "models and their variances differ in number".to_owned()
        })?;
        self.check_contents(max_order)?;
        let sum = self.signal.as_ref().map(|s| s.iter().sum::<f64>());
        ensure(sum.is_none_or(|sum| sum > 0.0), || {
            "the signal has no events in the bins".to_owned()
        })
    }

    /// Checks that the models have events in every bin, and the mixed data some.
    fn check_contents(&self, max_order: usize) -> Result<(), Error> {
        let [average, _] = self.average();
        let has_some = |h: f64, d: f64| h >= FEWEST && d > 0.0;
        let contents = |b: usize| (average[b], self.data[b] + self.top[b]);
        let is_poor = |b: &usize| {
            let (h, d) = contents(*b);
            !has_some(h, d)
        };
        let Some(bin) = (0..self.bins()).find(is_poor) else {
            return Ok(());
        };
        // bins are joined, from the first on, until they have some
        let mut edges = vec![self.edges[0]];
        let mut sum = (0.0, 0.0);
        for b in 0..self.bins() {
            let (h, d) = contents(b);
            sum = (sum.0 + h, sum.1 + d);
            if has_some(sum.0, sum.1) {
                edges.push(self.edges[b + 1]);
                sum = (0.0, 0.0);
            }
        }
        let joined = edges.len() - 1;
        if let Some(last) = edges.last_mut().filter(|_| joined > 0) {
            *last = self.edges[self.bins()];
        }
        let advice = match joined.checked_sub(SPARE) {
            Some(order) => format!(
                "the bins {edges:?} would do, with max_order = {} at most",
                order.min(max_order)
            ),
            None => format!("joined, {joined} would be left, which is too few for any order"),
        };
        Err(Error::new(format!(
            "bin {} ({} to {}) has {:.3} of the mean model, where at least {FEWEST} are needed, and \
             {:.3} of the mean of the mixed data, where some are; {advice}",
            bin + 1,
            self.edges[bin],
            self.edges[bin + 1],
            average[bin],
            self.data[bin]
        )))
    }
}
