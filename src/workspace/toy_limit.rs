//! CLs and limits by pseudo-experiments, beside the asymptotic ones.

use crate::error::{Error, Result};
use crate::report::numbers::{number, with_error};
use serde::{Deserialize, Serialize};
use sideband_likelihood::Error as NoLimit;
use sideband_likelihood::fit::FitSettings;
use sideband_likelihood::histogram::HistogramModel;
use sideband_likelihood::toys::{MOST_TOYS, ToyCLs, ToyRatio, ToySettings, ToyValue, toy_limits};
use sideband_numerics::evenly;

/// Tested values, of the asymptotic limits: from the lower one of the observed and the median
/// expected one to the higher one.
const FACTORS: (f64, f64) = (0.5, 1.6);
/// Number of values that are tested.
const POINTS: usize = 8;
/// Most values that may be tested.
const MOST_POINTS: usize = 1000;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ToyRequest {
    pub(crate) seed: u64,
    /// Toys of each hypothesis and value, at most.
    pub(crate) toys: u64,
    /// Error of the observed CLs at which no more are thrown.
    pub(crate) precision: Option<f64>,
    /// Tested values, rising; none for some about the asymptotic limits.
    pub(crate) points: Option<Vec<f64>>,
}

/// A number that was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// Null where no toy is beyond.
    pub(crate) value: Option<f64>,
    pub(crate) error: Option<f64>,
    /// An upper limit at 95 %, where no toy with the signal is beyond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) below: Option<f64>,
}

impl Counted {
    /// With its error, or what it is below.
    pub(crate) fn words(self) -> String {
        match (self.value.zip(self.error), self.below) {
            (Some((value, error)), _) => with_error(value, error),
            (None, Some(most)) => format!("below {}", number(most)),
            (None, None) => "–".to_owned(),
        }
    }
}

/// CLs by toys at one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(non_snake_case, reason = "these are the names that pyhf gives them")]
pub(crate) struct ToyPoint {
    pub(crate) poi: f64,
    pub(crate) CLs_obs: Option<Counted>,
    pub(crate) CLs_exp: [Counted; 5],
    /// Toys with a fit, with and without the signal.
    pub(crate) toys: [u64; 2],
    /// Toys without a fit.
    pub(crate) failed: u64,
}

/// Limits by toys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ToyRecord {
    #[serde(flatten)]
    pub(crate) asked: ToyRequest,
    pub(crate) observed: Option<Counted>,
    pub(crate) expected: [Option<Counted>; 5],
    pub(crate) tests: Vec<ToyPoint>,
}

impl ToyRequest {
    /// Refuses what cannot be asked for.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(precision) = self.precision.filter(|p| !(*p > 0.0 && p.is_finite())) {
            return Err(Error::usage(format!(
                "--precision {precision}: an error of CLs is above 0"
            )));
        }
        if !(1..=MOST_TOYS).contains(&self.toys) {
            return Err(Error::usage(format!(
                "--toys {}: 1 to {MOST_TOYS} are possible",
                self.toys
            )));
        }
        let Some(points) = &self.points else {
            return Ok(());
        };
        let rises = points.windows(2).all(|pair| pair[0] < pair[1]);
        let is_positive = points.iter().all(|x| *x > 0.0 && x.is_finite());
        if !rises || !is_positive || !(2..=MOST_POINTS).contains(&points.len()) {
            return Err(Error::usage(format!(
                "--points: 2 to {MOST_POINTS} rising values above 0 are needed"
            )));
        }
        Ok(())
    }

    /// Toys of all tests, at most.
    pub(crate) fn most(&self) -> u64 {
        let tests = self.points.as_ref().map_or(POINTS, Vec::len);
        2 * tests as u64 * self.toys
    }

    /// Values that are tested: as given, or about the observed and the median expected limit, up
    /// to a bound.
    pub(crate) fn values(&self, about: [Option<f64>; 2], bound: f64) -> Option<Vec<f64>> {
        if let Some(points) = &self.points {
            return Some(points.clone());
        }
        let ends = about.into_iter().flatten();
        let (low, high) = ends.fold((f64::INFINITY, 0.0_f64), |(low, high), x| {
            (low.min(x), high.max(x))
        });
        let range = [FACTORS.0 * low, (FACTORS.1 * high).min(bound)];
        (high > 0.0).then(|| evenly(range, POINTS).collect())
    }
}

/// Limits by toys, and what is missing of them.
pub(crate) struct ToyLimits {
    pub(crate) record: ToyRecord,
    /// Why the limit of the data is none, or the median expected one where data are hidden: that is
    /// no result.
    pub(crate) lost: Vec<String>,
    /// Why others are none, which may well lie beyond the tested values.
    pub(crate) noted: Vec<String>,
}

/// Limits by toys at some values.
pub(crate) fn limits_by_toys(
    (model, interest, has_observed): (&HistogramModel, usize, bool),
    (values, level): (&[f64], f64),
    fits: &FitSettings,
    asked: &ToyRequest,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<ToyLimits, NoLimit> {
    let settings = ToySettings {
        seed: asked.seed,
        toys: asked.toys,
        precision: asked.precision,
    };
    let found = toy_limits(model, interest, (values, level), fits, &settings, progress)?;
    let (mut lost, mut noted) = (Vec::new(), Vec::new());
    let mut limit = |which: &str, is_needed: bool, found: Result<ToyValue, NoLimit>| match found {
        Ok(ToyValue { value, error }) => Some(Counted {
            value: Some(value),
            error: Some(error),
            below: None,
        }),
        Err(error) => {
            let missing = if is_needed { &mut lost } else { &mut noted };
            missing.push(format!("{which} limit by toys: {error}"));
            None
        }
    };
    let observed = match has_observed {
        true => limit("the observed", true, found.observed),
        false => None,
    };
    let mut sigma = -3;
    let expected = found.expected.map(|found| {
        sigma += 1;
        let is_needed = !has_observed && sigma == 0;
        limit(&format!("the expected ({sigma:+} sigma)"), is_needed, found)
    });
    let record = ToyRecord {
        asked: asked.clone(),
        observed,
        expected,
        tests: found
            .points
            .iter()
            .map(|p| point(p, has_observed))
            .collect(),
    };
    Ok(ToyLimits {
        record,
        lost,
        noted,
    })
}

fn point(found: &ToyCLs, has_observed: bool) -> ToyPoint {
    ToyPoint {
        poi: found.mu,
        CLs_obs: has_observed.then(|| counted(found.observed)),
        CLs_exp: found.expected.map(counted),
        toys: [found.with_signal.toys, found.without.toys],
        failed: found.failed,
    }
}

fn counted(ratio: ToyRatio) -> Counted {
    match ratio {
        ToyRatio::Value { value, error } => Counted {
            value: Some(value),
            error: Some(error),
            below: None,
        },
        ToyRatio::Below(most) => Counted {
            below: Some(most),
            ..Counted::default()
        },
        ToyRatio::Unknown => Counted::default(),
    }
}
