//! From the results of the ensembles to variations of the background.

use super::result::{SpuriousUse, StrengthErrors, UncertaintyResult};
use super::summary::SetsSummary;
use crate::error::{Context, Error, Kind, Result};
use crate::report::EnsembleEnd;
use crate::results::VariableMetrics;
use crate::settings::{BiasUse, Config, DATA, Sets, Split, UNCERTAINTY, UncertaintyConfig};
use indexmap::IndexMap;
use sideband_likelihood::mixing::{
    Fitted, Nuisance, Scale, SetHistograms, basis, bias, corrected, corrected_model, nuisances,
    replica_law, residual_signal, variance,
};

/// The component of a prediction's error that its replicas have in common.
const NORMALISATION: &str = "normalisation";

/// What uncertainties are made of.
pub(super) struct Study<'a> {
    /// The file as it was written.
    pub config: &'a Config,
    /// Signals of strength one, by the names of the uncertainties.
    pub signals: &'a IndexMap<String, Vec<f64>>,
    pub summary: &'a SetsSummary,
    /// How the training of the data's ensemble and that of every set ended.
    pub ends: &'a [EnsembleEnd],
}

impl Study<'_> {
    /// All uncertainties by name.
    pub(super) fn conclude(&self) -> Result<IndexMap<String, UncertaintyResult>> {
        let mixing = self.config.mixing.iter();
        let all = mixing.flat_map(|mixing| &mixing.uncertainties);
        all.map(|(name, of)| {
            let key = format!("mixing.uncertainties.{name}");
            let result = self.one(name, of).map_err(|e| e.at_key(key))?;
            Ok((name.clone(), result))
        })
        .collect()
    }

    fn one(&self, name: &str, of: &UncertaintyConfig) -> Result<UncertaintyResult> {
        let data = self.model(DATA, name, of)?;
        let of_sets = (0..self.summary.sets.len())
            .map(|set| self.model(&Sets::ensemble(set), name, of))
            .collect::<Result<Vec<_>>>()?;
        let models = of_sets.iter().map(|model| inner(model));
        let (models, model_variances) = models.map(|[m, v]| (m, v)).unzip();
        let mixed = self.summary.histograms.get(name);
        let mixed = mixed.ok_or_else(|| Error::internal("the sets have no such histogram"))?;
        let bins = of.bins.len() - 1;
        let histograms = SetHistograms {
            edges: of.bins.clone(),
            models,
            model_variances,
            data: mixed.mean.clone(),
            data_variances: mixed.variances().to_vec(),
            top: vec![0.0; bins],
            top_variances: vec![0.0; bins],
            signal: self.signals.get(name).cloned(),
        };
        let of_members = of_sets.iter().map(|model| of_members(model)).collect();
        self.stages(of, data, histograms, of_members)
    }

    fn stages(
        &self,
        of: &UncertaintyConfig,
        data: &VariableMetrics,
        histograms: SetHistograms,
        of_members: Vec<Vec<Vec<f64>>>,
    ) -> Result<UncertaintyResult> {
        let settings = of.stages();
        histograms.check(of.max_order).of(Kind::Data)?;
        let [average, _] = histograms.average();
        let functions = basis(&histograms.edges, &average, of.max_order, Scale::Range);
        let mut varied = variance(&histograms, &functions, &settings).of(Kind::Fit)?;
        let replicas = replicas(self.config);
        let law = (replicas > 1).then(|| {
            let order = varied.chosen();
            replica_law(&histograms, &functions, order, &of_members, replicas).of(Kind::Fit)
        });
        let law = law.transpose()?;
        // sets that take nearly every event share their statistics
        let is_shared = self.summary.expected > 1.0;
        let is_widened = is_shared
            && varied
                .widen(&histograms, &functions, &covariance(data))
                .of(Kind::Fit)?;
        let biased = bias(&histograms, &functions, &varied, &settings).of(Kind::Fit)?;
        let mut all = nuisances(&functions, &varied, &biased);
        let mut left = corrected(&functions, &varied, &biased);
        let model = inner(data);
        let mut spurious = None;
        if let (Some(found), Some(signal)) = (&biased.chosen().spurious, &histograms.signal) {
            let orders = biased.chosen().coefficients.len();
            let residual = residual_signal(&functions, &average, signal, orders);
            let (nuisance, is_one_sided) = found.nuisance(&residual);
            let is_found = found.f_probability >= of.f_probability;
            if is_found {
                all.push(nuisance.clone());
                left.push(nuisance);
            }
            spurious = Some(SpuriousUse {
                is_found,
                is_one_sided,
            });
        }
        let used = match of.bias {
            BiasUse::Uncertainty => &all,
            BiasUse::Correct => &left,
        };
        let checked: Result<(), _> = used.iter().try_for_each(Nuisance::check);
        checked.of(Kind::Data)?;
        let without_bias = corrected_model(&model[0], &functions, &biased);
        let strength_errors = histograms.signal.as_ref().map(|signal| -> Result<_> {
            let plain = fitted(&of.region, &model[0], signal, &all)?;
            let error = |without: &[&str]| plain.strength_error(without).of(Kind::Fit);
            let taken_away = fitted(&of.region, &without_bias, signal, &left)?;
            Ok(StrengthErrors {
                all: error(&[])?,
                without_variance: error(&["variance"])?,
                without_bias: error(&["bias"])?,
                without_spurious: error(&["spurious"])?,
                statistics: error(&["variance", "bias", "spurious"])?,
                corrected: taken_away.strength_error(&[]).of(Kind::Fit)?,
            })
        });
        Ok(UncertaintyResult {
            region: of.region.clone(),
            label: of.axis_label().to_owned(),
            basis: functions,
            variance: varied,
            law,
            is_widened,
            bias: biased,
            nuisances: all,
            corrected: without_bias,
            corrected_nuisances: left,
            is_corrected: of.bias == BiasUse::Correct,
            spurious,
            strength_errors: strength_errors.transpose()?,
            model,
            histograms,
        })
    }

    /// The distribution of the observable in the result of an ensemble.
    fn model(
        &self,
        ensemble: &str,
        name: &str,
        of: &UncertaintyConfig,
    ) -> Result<&VariableMetrics> {
        let end = self.ends.iter().find(|end| end.name == ensemble);
        let metrics = end.and_then(|end| end.metrics.as_ref());
        let region = metrics.and_then(|metrics| metrics.regions.get(&of.region));
        let found = region.and_then(|r| r.variables.get(&format!("{UNCERTAINTY}{name}")));
        found.ok_or_else(|| {
            let why = end.and_then(|end| end.error.as_ref());
            let why = why.map_or_else(String::new, |error| format!(": {error}"));
            let text = format!("the ensemble {ensemble} has no prediction of it{why}");
            Error::new(Kind::NoResult, text)
        })
    }
}

/// The model that a signal is fitted with.
pub(super) fn fitted(
    channel: &str,
    background: &[f64],
    signal: &[f64],
    all: &[Nuisance],
) -> Result<Fitted> {
    Fitted::new(channel, background, signal, all).of(Kind::Likelihood)
}

/// Contents and variances of a prediction without the bins for what is beyond the edges.
fn inner(of: &VariableMetrics) -> [Vec<f64>; 2] {
    [&of.after.values, &of.after.variances].map(|all| all[1..all.len() - 1].to_vec())
}

/// Complete predictions that members of an ensemble make.
pub(super) fn replicas(config: &Config) -> usize {
    let members = config.ensemble.members;
    let all = match config.training.split {
        Split::Folds => members / config.training.folds,
        Split::Shared | Split::Member => members,
    };
    all as usize
}

/// The covariance of one replica of a prediction between the same bins: that of the prediction
/// without its normalisation, which all of them have in common.
fn of_members(of: &VariableMetrics) -> Vec<Vec<f64>> {
    let mut all = covariance(of);
    if let Some(common) = of.components.get(NORMALISATION) {
        let last = common.len().saturating_sub(1);
        let common = &common[1.min(last)..last];
        for (row, one) in all.iter_mut().zip(common) {
            let bins = row.iter_mut().zip(common);
            bins.for_each(|(entry, other)| *entry -= one * other);
        }
    }
    all
}

/// The covariance of a prediction between the same bins.
fn covariance(of: &VariableMetrics) -> Vec<Vec<f64>> {
    let last = of.covariance.len().saturating_sub(1);
    let rows = of.covariance.iter().take(last).skip(1);
    rows.map(|row| row[1..last].to_vec()).collect()
}
