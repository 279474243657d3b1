//! What a finished mixing says of its background, for a fit of that elsewhere.

use super::result::{MixingResult, RESULT, UncertaintyResult, read_result};
use crate::error::{Error, OnFile, Result};
use crate::events::FileRecord;
use crate::rundir::RunDirectory;
use crate::settings::{Config, UncertaintyConfig, direct};
use sideband_likelihood::mixing::Nuisance;
use std::path::Path;

/// A finished run of `method = "mix"`.
pub(crate) struct FinishedMixing {
    name: String,
    config: Config,
    result: MixingResult,
    file: FileRecord,
}

/// What one uncertainty says of the background, bin by bin.
pub(crate) struct Variations<'a> {
    /// Background of the data's own model.
    pub model: &'a [f64],
    /// What it is multiplied with where its bias is taken away.
    pub correction: Option<Vec<f64>>,
    /// Its variations, relative to it.
    pub nuisances: &'a [Nuisance],
}

impl FinishedMixing {
    /// Opens a run.
    ///
    /// # Errors
    /// Also if it has no result of its own configuration.
    pub(crate) fn open(run: &Path) -> Result<Self> {
        let directory = RunDirectory::open(run)?;
        let wrong = |text: &str| Error::data(text).at(run.display());
        let Some(config) = directory.experiment()?.mixing else {
            return Err(wrong(
                "it is no run of `method = \"mix\"`, which alone has synthetic data sets",
            ));
        };
        let is_whole = |result: &MixingResult| {
            let mut all = config.mixing.iter().flat_map(|m| &m.uncertainties);
            let is_there = |(name, of): (&String, &UncertaintyConfig)| {
                let found = result.uncertainties.get(name);
                found.is_some_and(|found| has_bins(found, of.bins.len() - 1))
            };
            result.settings == config.numbers() && all.all(is_there)
        };
        let Some(result) = read_result(&directory)?.filter(is_whole) else {
            return Err(wrong(
                "it has no result of its configuration: run that again first",
            ));
        };
        let path = directory.join(RESULT);
        Ok(Self {
            name: direct(run).display().to_string(),
            file: FileRecord::of(&path).on(&path)?,
            config,
            result,
        })
    }

    /// The run in words.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file that has its numbers.
    pub(crate) fn file(&self) -> &FileRecord {
        &self.file
    }

    /// The uncertainty of an observable in bins with these edges: the one that is `named`, or the
    /// only one.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(crate) fn find(
        &self,
        observable: &str,
        edges: &[f64],
        named: Option<&str>,
    ) -> Result<&str, String> {
        let mixing = self.config.mixing.iter();
        let all: Vec<(&str, &UncertaintyConfig)> = mixing
            .flat_map(|mixing| &mixing.uncertainties)
            .map(|(name, of)| (name.as_str(), of))
            .collect();
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let run = &self.name;
        let is_alike =
            |of: &UncertaintyConfig| of.observable.trim() == observable.trim() && of.bins == edges;
        if let Some(named) = named {
            let found = all.iter().copied().find(|(name, _)| *name == named);
            let Some((name, of)) = found else {
                return Err(format!(
                    "`{named}` is no uncertainty of {run}, which has {names:?}"
                ));
            };
            return match is_alike(of) {
                true => Ok(name),
                false => Err(format!(
                    "the uncertainty `{name}` of {run} is of `{}` in the bins {:?}: take the \
                     same observable and bins",
                    of.observable, of.bins
                )),
            };
        }
        let mut alike = all.iter().copied().filter(|(_, of)| is_alike(of));
        match (alike.next(), alike.next()) {
            (Some((name, _)), None) => Ok(name),
            (Some((one, _)), Some((other, _))) => Err(format!(
                "`{one}` and `{other}` of {run} are both of its observable in its bins: say with \
                 `uncertainties` which is of its events"
            )),
            (None, _) => Err(format!(
                "no uncertainty of {run} is of `{observable}` in these bins, among {names:?}: add \
                 one to its configuration and run that again, which trains nothing anew"
            )),
        }
    }

    /// What an uncertainty says.
    pub(crate) fn variations(&self, name: &str) -> Option<Variations<'_>> {
        let of = self.result.uncertainties.get(name)?;
        let factor = |(corrected, model): (&f64, &f64)| match *model {
            0.0 => 1.0,
            model => corrected / model,
        };
        let factors = of.corrected.iter().zip(&of.model[0]).map(factor);
        Some(Variations {
            model: &of.model[0],
            correction: of.is_corrected.then(|| factors.collect()),
            nuisances: of.used(),
        })
    }
}

/// Whether all lists of a result that was read are of so many bins.
fn has_bins(of: &UncertaintyResult, bins: usize) -> bool {
    let lists = of.used().iter().flat_map(|n| [&n.down, &n.up]);
    let mut lists = lists.chain([&of.model[0], &of.corrected]);
    lists.all(|list| list.len() == bins)
}
