//! Samples that are finished runs: what files have and runs have not, and the other way round.

use super::super::ranges::{Checked, ensure, ensure_known, ensure_name};
use super::super::raw::ScaleConfig;
use super::super::runs::{RetrainingConfig, RetrainingMode, RetrainingSpread};
use super::{FINITE_SAMPLE, Measurement, ProcessConfig};

/// Regions and histograms: a pass over a run's events tells apart no more.
pub(in crate::settings) const MOST_PARTS: usize = 56;

impl Measurement {
    /// Checks samples that are runs, and that no others have their tables.
    pub(in crate::settings) fn check_runs(&self) -> Checked {
        let taken = |name: &String| {
            self.parameters.contains_key(name)
                || self.systematics.contains_key(name)
                || name == FINITE_SAMPLE
        };
        for (key, sample) in &self.samples {
            let place = format!("samples.{key}");
            let has_files = !sample.path.to_list().is_empty();
            ensure(
                has_files != sample.is_run(),
                &place,
                if has_files { "both" } else { "neither" },
                "either `path`, files of simulated events, or `run`, a finished run",
            )?;
            check_kind(sample, &|inner: &str| format!("{place}.{inner}"))?;
            self.check_mixing(sample, &format!("{place}.mixing.uncertainties"))?;
            for (systematic, about) in &self.systematics {
                ensure(
                    !sample.is_run() || !about.samples.contains_key(key),
                    &format!("systematics.{systematic}.samples.{key}"),
                    "varied samples of a run",
                    "`rates`: a run is varied by its own tables, `samples.NAME.control_region` \
                     and its neighbours",
                )?;
            }
            for (table, name) in names(sample) {
                let path = format!("{place}.{table}.parameter");
                ensure_name(&path, name)?;
                let allowed = "a name that no parameter and no systematic uncertainty has";
                ensure(!taken(name), &path, name, allowed)?;
            }
        }
        Ok(())
    }

    /// Whether channels that a mixing's uncertainties are given are there.
    fn check_mixing(&self, sample: &ProcessConfig, place: &str) -> Checked {
        let mixing = sample.mixing.iter();
        for channel in mixing.flat_map(|mixing| mixing.uncertainties.keys()) {
            let what = "a name of a channel, or part of one";
            ensure_known(place, channel, what, self.channels.keys())?;
        }
        Ok(())
    }

    /// The same where there is a region without bins, whose density no run has.
    pub(super) fn check_runs_in_channels(&self) -> Checked {
        self.check_runs()?;
        let simulated = self.samples.values().filter(|s| !s.is_run()).count();
        let Some((key, _)) = self.samples.iter().find(|(_, s)| s.is_run()) else {
            return Ok(());
        };
        ensure(
            simulated > 1,
            "samples",
            simulated,
            "at least two processes of simulated events: a run has no density without bins",
        )?;
        let parts = self.regions.len() + self.channels.len();
        ensure(
            !self.channels.is_empty(),
            &format!("samples.{key}.run"),
            "a run",
            "histograms in [channels] for it: it has a prediction in bins and no density ratio, \
             which the region without bins would need",
        )?;
        let allowed = format!("at most {MOST_PARTS} regions and channels together with a run");
        ensure(parts <= MOST_PARTS, "channels", parts, allowed)?;
        for key in &self.measurement.reference {
            ensure(
                self.samples.get(key).is_none_or(|s| !s.is_run()),
                "measurement.reference",
                key,
                "samples of simulated events: a run has no density ratio",
            )?;
        }
        for (key, sample) in &self.samples {
            let mode = sample.retraining.as_ref().map(|r| r.mode);
            ensure(
                mode != Some(RetrainingMode::Replicas),
                &format!("samples.{key}.retraining.mode"),
                "replicas",
                "\"components\": limits with single replicas are those of `method = \"limit\"`",
            )?;
        }
        Ok(())
    }
}

/// Names of parameters that the tables of a sample give, by the table.
fn names(sample: &ProcessConfig) -> impl Iterator<Item = (&'static str, &String)> {
    let normalisation = sample.normalisation.as_ref();
    let region = sample.control_region.as_ref();
    let nonclosure = sample.nonclosure.as_ref();
    let all = [
        (
            "normalisation",
            normalisation.and_then(|n| n.parameter.as_ref()),
        ),
        ("control_region", region.and_then(|c| c.parameter.as_ref())),
        ("nonclosure", nonclosure.and_then(|n| n.parameter.as_ref())),
    ];
    let named = all.into_iter();
    named.filter_map(|(table, name)| Some((table, name?)))
}

/// What files have and runs have not, and the other way round.
fn check_kind(sample: &ProcessConfig, at: &dyn Fn(&str) -> String) -> Checked {
    if sample.is_run() {
        let of_files = [
            ("weight", sample.weight.is_some()),
            ("id", !sample.id.is_empty()),
            ("namespace", !sample.namespace.is_empty()),
        ];
        for (key, is_there) in of_files {
            let allowed = "left out: events, weights and ids are those of the run";
            ensure(!is_there, &at(key), "a value", allowed)?;
        }
        ensure(
            matches!(sample.scale, ScaleConfig::Number(_)),
            &at("scale"),
            &sample.scale,
            "a number: a run has no files of its own to sum over",
        )?;
        if let Some(retraining) = &sample.retraining {
            let known = RetrainingConfig::default();
            let is_default =
                |r: &RetrainingConfig| (r.keep, r.at_most) == (known.keep, known.at_most);
            ensure(
                retraining.spread == RetrainingSpread::Covariance || is_default(retraining),
                &at("retraining"),
                "keep or at_most",
                "neither with `spread = \"iqr\"`, which has one parameter",
            )?;
        }
        let in_variance = [
            ("retraining", sample.retraining.is_some()),
            ("normalisation", sample.normalisation.is_some()),
        ];
        for (key, is_there) in in_variance {
            let allowed = "left out beside `mixing`, whose variance has it: it would count twice";
            let is_twice = is_there && sample.mixing.is_some();
            ensure(!is_twice, &at(key), "a table", allowed)?;
        }
        let smooth = sample.nonclosure.as_ref().map(|n| n.smooth);
        return ensure(
            smooth.is_none_or(|bins| bins % 2 == 1),
            &at("nonclosure.smooth"),
            smooth,
            "an odd number of bins",
        );
    }
    let of_runs = [
        ("point", !sample.point.is_empty()),
        ("retraining", sample.retraining.is_some()),
        ("plane", sample.plane.is_some()),
        ("normalisation", sample.normalisation.is_some()),
        ("control_region", sample.control_region.is_some()),
        ("nonclosure", sample.nonclosure.is_some()),
        ("mixing", sample.mixing.is_some()),
    ];
    for (key, is_there) in of_runs {
        let allowed = "left out of simulated events: only a `run` has it";
        ensure(!is_there, &at(key), "a value", allowed)?;
    }
    Ok(())
}
