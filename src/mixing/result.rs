//! The numbers of a mixing, and where they lie.

use super::summary::SetsSummary;
use crate::error::{Error, Result};
use crate::files::formats::MIXING;
use crate::files::from_text;
use crate::rundir::RunDirectory;
use crate::statistics::{Auc, Chi2};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sideband_likelihood::mixing::{BiasStage, Nuisance, ReplicaLaw, SetHistograms, VarianceStage};

/// Name of the file.
pub(super) const RESULT: &str = "mixing.json";
/// Version of the file.
pub(super) const FORMAT: u32 = MIXING.written;
/// Backgrounds and their variations.
pub(super) const TEMPLATES: &str = "templates.json";

/// The whole of `mixing.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MixingResult {
    /// Version of the file.
    pub format: u32,
    /// `mix`.
    pub method: String,
    /// Name of the experiment.
    pub experiment: String,
    /// The configuration without paths and words, a line a key.
    pub settings: Vec<String>,
    /// The sets.
    pub sets: SetsSummary,
    /// chi2 of the shapes of the target and the mean of the sets in the region that is trained in,
    /// by distribution.
    pub likeness: IndexMap<String, Chi2>,
    /// AUC of a fresh classifier of the first set against the target there: 0.5 if nothing tells
    /// them apart. None without one, or with too few events.
    #[serde(default)]
    pub auc: Option<Auc>,
    /// Uncertainties by name.
    pub uncertainties: IndexMap<String, UncertaintyResult>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// The three uncertainties of one observable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UncertaintyResult {
    /// Region whose events were counted.
    pub region: String,
    /// Axis label of the observable.
    pub label: String,
    /// What the stages were made of.
    pub histograms: SetHistograms,
    /// The functions, `[orders][B]`.
    pub basis: Vec<Vec<f64>>,
    /// What the models vary by.
    pub variance: VarianceStage,
    /// What of it is that of the replicas of a model; none of one replica.
    #[serde(default)]
    pub law: Option<ReplicaLaw>,
    /// Whether models of the sets vary less than members of the data's own ensemble, whose spread
    /// was taken.
    pub is_widened: bool,
    /// What they are biased by.
    pub bias: BiasStage,
    /// Background of the data's own model, and its statistical variances.
    pub model: [Vec<f64>; 2],
    /// Variations with the bias as an uncertainty.
    pub nuisances: Vec<Nuisance>,
    /// The model with the bias taken away.
    pub corrected: Vec<f64>,
    /// Variations of that.
    pub corrected_nuisances: Vec<Nuisance>,
    /// Which of both are in the templates and the workspace.
    pub is_corrected: bool,
    /// Whether the signal that was fitted is one of the variations, and one-sided.
    pub spurious: Option<SpuriousUse>,
    /// Expected errors of the signal's strength, by what is left out; none without signal.
    pub strength_errors: Option<StrengthErrors>,
}

/// What became of the signal that was fitted to the mixed data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpuriousUse {
    /// Whether it is significant, and a variation.
    pub is_found: bool,
    /// Whether strength - error and strength + error are on one side of zero.
    pub is_one_sided: bool,
}

/// Expected errors of the signal's strength; none where a fit gave none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StrengthErrors {
    /// With all variations, the bias as an uncertainty.
    pub all: Option<f64>,
    /// Without the variance.
    pub without_variance: Option<f64>,
    /// Without the bias.
    pub without_bias: Option<f64>,
    /// Without the spurious signal.
    pub without_spurious: Option<f64>,
    /// Statistics alone.
    pub statistics: Option<f64>,
    /// With all variations, the bias taken away.
    pub corrected: Option<f64>,
}

impl UncertaintyResult {
    /// The variations that are used.
    pub(super) fn used(&self) -> &[Nuisance] {
        match self.is_corrected {
            true => &self.corrected_nuisances,
            false => &self.nuisances,
        }
    }

    /// The background that is used.
    pub(super) fn background(&self) -> &[f64] {
        match self.is_corrected {
            true => &self.corrected,
            false => &self.model[0],
        }
    }
}

/// Reads the result of a run, if there is one.
pub(crate) fn read_result(root: &RunDirectory) -> Result<Option<MixingResult>> {
    let path = root.join(RESULT);
    if !path.is_file() {
        return Ok(None);
    }
    let wrong = |reason: String| {
        let reason = format!("not readable: {reason}; run the mixing again");
        Error::data_at(path.display(), reason)
    };
    let result: MixingResult = from_text(&root.read(&path)?).map_err(wrong)?;
    MIXING.check(result.format).map_err(wrong)?;
    Ok(Some(result))
}
