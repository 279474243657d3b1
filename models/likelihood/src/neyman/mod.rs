//! Neyman construction from pseudo-experiments (toys), and coverage.
//!
//! For each value of the parameter of interest on a grid the toys thrown at it
//! give the distribution of a test statistic `t_mu`; its quantile `c(mu)` is the
//! largest value accepted. The confidence set of an observation is
//! `{mu : t_obs(mu) <= c(mu)}`, which may be several intervals. With the
//! likelihood ratio as `t_mu` this is the ordering of Feldman and Cousins,
//! Phys. Rev. D 57 (1998) 3873; with the profile likelihood ratio, its usual
//! extension to nuisance parameters.
//!
//! How toys are made does not matter here: numbers in, numbers out.

mod belt;
mod confidence_set;
mod proportion;
mod quantile;
#[cfg(test)]
mod tests;

pub use belt::{Belt, BeltPoint, CriticalValue, Statistic, ToySet};
pub use confidence_set::{ConfidenceSet, Edge, EdgeKind, Interval};
pub use proportion::Proportion;
pub use quantile::ToyQuantile;

use thiserror::Error;

/// A construction that cannot be made.
#[derive(Debug, Error, Clone, PartialEq)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum NeymanError {
    /// A probability that is none, or that leaves nothing.
    #[error("probability {0} is not between 0 and 1; give a confidence level such as 0.6827")]
    Probability(f64),
    /// More successes than trials, or no trial.
    #[error("{successes} of {trials} is no proportion; at least one trial is needed")]
    Proportion { successes: u64, trials: u64 },
    /// Too few toys for a quantile and its error.
    #[error(
        "{toys} toys at mu = {mu} cannot give the {probability} quantile; throw at least {needed}"
    )]
    TooFewToys {
        mu: f64,
        toys: usize,
        probability: f64,
        needed: usize,
    },
    /// A test statistic that is no number.
    #[error(
        "toy {toy} at mu = {mu} has t = {value}; count a failed fit in `failed` and leave its t out"
    )]
    ToyNotFinite { mu: f64, toy: usize, value: f64 },
    /// A grid that is no grid.
    #[error("{what}: {problem}; at least two finite values in increasing order are needed")]
    Grid {
        /// The belt or the observed curve.
        what: &'static str,
        problem: String,
    },
    /// An observed value that is no number.
    #[error("the observed curve is {value} at mu = {mu}; leave points of failed fits out")]
    CurveNotFinite { mu: f64, value: f64 },
    /// The belt does not hold this confidence level.
    #[error("the belt has no confidence level {wanted}; it has {held:?}")]
    NoSuchLevel { wanted: f64, held: Vec<f64> },
    /// Belt and observed curve have no common range.
    #[error(
        "the belt covers mu = {} to {}, the observed curve {} to {}; they do not overlap",
        .belt.0, .belt.1, .curve.0, .curve.1
    )]
    NoOverlap { belt: (f64, f64), curve: (f64, f64) },
}

/// Checks that a probability lies strictly between 0 and 1.
fn check_probability(probability: f64) -> Result<(), NeymanError> {
    if probability > 0.0 && probability < 1.0 {
        Ok(())
    } else {
        Err(NeymanError::Probability(probability))
    }
}

/// Checks that the values of a grid are finite, increasing and at least two.
fn check_grid(what: &'static str, grid: impl Iterator<Item = f64>) -> Result<(), NeymanError> {
    let grid: Vec<f64> = grid.collect();
    let problem = |problem: String| Err(NeymanError::Grid { what, problem });
    if grid.len() < 2 {
        return problem(format!("{} values", grid.len()));
    }
    if let Some(bad) = grid.iter().find(|mu| !mu.is_finite()) {
        return problem(format!("mu = {bad}"));
    }
    match grid.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => problem(format!("mu = {} is followed by {}", pair[0], pair[1])),
        None => Ok(()),
    }
}
