//! `method = "mix"`: synthetic data sets by hemisphere mixing, and the uncertainties of a
//! background model that come from them. The file is that of an ensemble with `[mixing]`; what is
//! trained is an ensemble of the data and one of each set.

mod check;
mod ensembles;

pub(crate) use ensembles::{DATA, Sets, UNCERTAINTY};

use super::defaults::{count, is_default, number};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_likelihood::mixing;

/// `[mixing]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixingConfig {
    /// How the background models learn.
    #[serde(default)]
    pub method: ModelMethod,
    /// Number of sets.
    #[serde(default = "count::<15>")]
    pub sets: usize,
    /// Pairs of neighbours that an event may give.
    #[serde(default = "count::<1>")]
    pub pairs: usize,
    /// Whose hemispheres are replaced.
    #[serde(default)]
    pub queries: Queries,
    /// What shapes the queries.
    #[serde(default)]
    pub fidelity: Fidelity,
    /// Tagged jets of an event; a source event's hardest others are taken for tagged until there
    /// are so many.
    #[serde(default = "count::<4>")]
    pub tags: usize,
    /// Selected, tagged and other jets of a hemisphere above which it is not told apart.
    #[serde(default = "caps")]
    pub caps: [usize; 3],
    /// Hemispheres that a pool needs.
    #[serde(default = "count::<100>")]
    pub pool_minimum: usize,
    /// Mirrors hemispheres along the beam where that brings them nearer.
    #[serde(default = "yes")]
    pub flip_z: bool,
    /// Whether hemispheres of hidden target events may enter the library, where they are never
    /// put together again.
    #[serde(default)]
    pub library_blind: LibraryBlind,
    /// Columns that mixed events have from the event whose hemispheres were replaced: a year.
    #[serde(default)]
    pub event_columns: Vec<String>,
    /// Goes on where more than a fifth of the weight cannot be mixed.
    #[serde(default)]
    pub allow_unmixable: bool,
    /// Errors of the mixed data, whose events share parents.
    #[serde(default)]
    pub errors: ParentErrors,
    /// Groups of parents that are left out in turn.
    #[serde(default = "count::<10>")]
    pub groups: usize,
    /// Members of the classifier that tells mixed data from the target in the training region; 0:
    /// none.
    #[serde(default = "number::<10>")]
    pub classifier_members: u32,
    /// Uncertainties by name, all of one set of trainings.
    #[serde(default)]
    pub uncertainties: IndexMap<String, UncertaintyConfig>,
}

/// `[mixing.uncertainties.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UncertaintyConfig {
    /// Region whose events are counted.
    pub region: String,
    /// What is histogrammed: an expression over columns.
    pub observable: String,
    /// Its axis label; the observable if absent.
    #[serde(default)]
    pub label: Option<String>,
    /// Edges of the bins; events beyond them are left out.
    pub bins: Vec<f64>,
    /// Simulated signal of strength one, for the spurious signal; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<SignalConfig>,
    /// How the spread over the models is estimated.
    #[serde(default)]
    pub estimator: Estimator,
    /// By what the order of the variance is chosen.
    #[serde(default)]
    pub test: OrderTest,
    /// Highest order of the functions.
    #[serde(default = "count::<5>")]
    pub max_order: usize,
    /// p-value above which a fit is good, and pulls are uncorrelated.
    #[serde(default = "p_value")]
    pub p_value: f64,
    /// Probability of the F test below which one more order gains nothing.
    #[serde(default = "f_probability")]
    pub f_probability: f64,
    /// What is done with the bias.
    #[serde(default)]
    pub bias: BiasUse,
}

/// `[mixing.uncertainties.NAME.signal]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalConfig {
    /// Parquet, Arrow IPC or ROOT files: a path or a glob, from the folder of the configuration.
    pub path: String,
    /// Which events are used; an expression over columns.
    #[serde(default)]
    pub selection: Option<String>,
    /// Event weight; an expression over columns. 1 if absent.
    #[serde(default)]
    pub weight: Option<String>,
    /// Factor on all weights, above 0.
    #[serde(default = "one")]
    pub scale: f64,
}

/// How background models learn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelMethod {
    /// Density ratio target / source with binary cross-entropy.
    #[default]
    Ratio,
    /// Weights with the exponential loss.
    Reweight,
}

/// Whose hemispheres are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Queries {
    /// Those of the source.
    #[default]
    Source,
    /// Those of the target itself.
    Target,
}

/// What shapes the queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// Nothing: they are taken by their weights.
    #[default]
    Plain,
    /// The ratio target / source of a first ensemble, out of fold: they are taken by their weights
    /// times it.
    Ratio,
}

/// Whether hemispheres of hidden target events may enter the library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LibraryBlind {
    /// They may not.
    #[default]
    Exclude,
    /// They may; nothing counts or plots them.
    Include,
}

/// Errors of the mixed data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParentErrors {
    /// By leaving out groups of parents in turn.
    #[default]
    Parents,
    /// As if all events were independent: as published.
    Independent,
}

/// How the spread of a coefficient over the models is estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// Squares over M - 1.
    #[default]
    Unbiased,
    /// Squares over M, times M / (M - 1).
    Published,
}

/// By what the order of the variance is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderTest {
    /// Pearson's correlation of neighbouring pulls, which is not calibrated.
    #[default]
    Published,
    /// The same against what a fit leaves of white noise.
    White,
}

/// What is done with the bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BiasUse {
    /// It becomes an uncertainty.
    #[default]
    Uncertainty,
    /// It is taken away, and its error becomes one.
    Correct,
}

impl UncertaintyConfig {
    /// How orders are chosen.
    #[must_use]
    pub(crate) fn stages(&self) -> mixing::StageSettings {
        mixing::StageSettings {
            max_order: self.max_order,
            p_value: self.p_value,
            f_probability: self.f_probability,
            estimator: match self.estimator {
                Estimator::Unbiased => mixing::Estimator::Unbiased,
                Estimator::Published => mixing::Estimator::Published,
            },
            test: match self.test {
                OrderTest::Published => mixing::OrderTest::Published,
                OrderTest::White => mixing::OrderTest::White,
            },
        }
    }

    /// How the observable is called on an axis.
    #[must_use]
    pub(crate) fn axis_label(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.observable)
    }
}

impl MixingConfig {
    /// Whether nothing but the stages' own settings is another one: mixed events and their
    /// histograms are the same then.
    #[must_use]
    pub(crate) fn without_stages(&self) -> Self {
        let mut other = Self {
            classifier_members: 0,
            ..self.clone()
        };
        for of in other.uncertainties.values_mut() {
            *of = UncertaintyConfig {
                region: of.region.clone(),
                observable: of.observable.clone(),
                label: None,
                bins: of.bins.clone(),
                signal: None,
                estimator: Estimator::default(),
                test: OrderTest::default(),
                max_order: 0,
                p_value: 0.0,
                f_probability: 0.0,
                bias: BiasUse::default(),
            };
        }
        other
    }

    /// What sets depend on, and no histogram of them.
    #[must_use]
    pub(crate) fn of_sets(&self) -> Self {
        Self {
            uncertainties: IndexMap::new(),
            errors: ParentErrors::default(),
            groups: 0,
            classifier_members: 0,
            method: ModelMethod::default(),
            ..self.clone()
        }
    }

    /// Whether errors come from groups of parents.
    #[must_use]
    pub(crate) fn has_parent_errors(&self) -> bool {
        is_default(&self.errors)
    }
}

fn one() -> f64 {
    1.0
}
fn caps() -> [usize; 3] {
    [4, 4, 2]
}
fn yes() -> bool {
    true
}
fn p_value() -> f64 {
    0.05
}
fn f_probability() -> f64 {
    0.95
}
