//! What the run of a background tells of its own error: retrained networks, the mass plane of an
//! interpolation, and the counting error of what it is normalised to.

use super::super::plan::VariedPlan;
use super::super::result::{BackgroundResult, PlaneErrorResult};
use super::{Added, Background, Growing, Replicas};
use crate::backgrounds::{RunHistograms, components, interquartile};
use crate::error::{Error, Result};
use crate::report::numbers::percent;
use crate::settings::{RetrainingMode, RetrainingSpread};
use crate::statistics::moments;
use crate::workflow::FinishedRun;

/// Replicas below which the trace of their covariance is a guess.
const FEW_REPLICAS: usize = 20;
/// Relative error of a yield above which it is none.
const UNKNOWN: f64 = 0.9;

impl Growing<'_> {
    /// Parameters for what retrained networks differ by; the variance of every bin that is in
    /// none of them.
    pub(super) fn add_retraining(
        &mut self,
        of: &mut Background<'_>,
        run: &FinishedRun,
        result: &mut BackgroundResult,
    ) -> Result<Vec<f64>> {
        let asked = of.config.retraining.clone();
        let config = asked.clone().unwrap_or_default();
        let bins = of.found.nominal.len();
        let replicas = run.replicas();
        if replicas < 2 {
            let text = format!(
                "{} has {replicas} replica, which differs from none",
                run.name()
            );
            if asked.is_some() || run.is_sampled() {
                return Err(Error::data_at(format!("{}.retraining", of.place()), text));
            }
            self.note(
                of,
                &format!("{text}: the error of the retraining is not there"),
            );
            return Ok(vec![0.0; bins]);
        }
        let known = known_errors(&of.found);
        let is_one = config.spread == RetrainingSpread::Iqr;
        let found = match is_one {
            true => interquartile(&of.found.replicas, bins),
            false => components(&of.found.replicas, &known, config.keep, config.at_most),
        };
        let found = found.ok_or_else(|| {
            let text = "the covariance of its replicas cannot be taken apart";
            Error::data_at(format!("{}.retraining", of.place()), text)
        })?;
        result.spread = spread(&of.found.replicas, bins);
        result.components = found.shifts.len();
        result.share = found.share;
        result.lost_correlation = found.lost_correlation;
        self.note_replicas(of, run);
        let group = config
            .group
            .unwrap_or_else(|| format!("NN retraining ({replicas} x)"));
        if is_one {
            self.note(
                of,
                "its retraining is one parameter of interquartile ranges: that bins are fully \
                 correlated is assumed, which the covariance would tell",
            );
        }
        self.push_components(
            of,
            ["retraining", "retraining", &group],
            &found.shifts,
            is_one,
        )?;
        self.note_left(of, &found.left, "retraining");
        Ok(found.left)
    }

    /// The same for the Gaussian processes of an interpolation, in as many draws as it has;
    /// nothing of another run.
    pub(super) fn add_plane(
        &mut self,
        of: &mut Background<'_>,
        result: &mut BackgroundResult,
    ) -> Result<Vec<f64>> {
        let bins = of.found.nominal.len();
        if of.found.plane.is_empty() {
            return Ok(vec![0.0; bins]);
        }
        let config = of.config.plane.clone().unwrap_or_default();
        let known = known_errors(&of.found);
        let found = components(&of.found.plane, &known, config.keep, config.at_most);
        let found = found.ok_or_else(|| {
            let text = "the covariance of its draws cannot be taken apart";
            Error::data_at(format!("{}.plane", of.place()), text)
        })?;
        result.plane = Some(PlaneErrorResult {
            spread: spread(&of.found.plane, bins),
            components: found.shifts.len(),
            share: found.share,
            lost_correlation: found.lost_correlation,
        });
        let draws = of.found.plane.len() / bins.max(1);
        if draws < FEW_REPLICAS {
            let error = percent((2.0 / (draws - 1) as f64).sqrt());
            let text = format!(
                "{draws} draws of its Gaussian process know their own covariance to {error} only: \
                 run it with more interpolation.posterior_draws"
            );
            self.note(of, &text);
        }
        self.note_far(of, &of.found.plane, "draws of its Gaussian process");
        let group = config.group.unwrap_or_else(|| "Mass plane".to_owned());
        self.push_components(of, ["plane", "mass plane", &group], &found.shifts, false)?;
        self.note_left(of, &found.left, "mass plane");
        Ok(found.left)
    }

    /// Adds a parameter a component: its name, its label and its group. `is_one`: there is one,
    /// which has no number.
    fn push_components(
        &mut self,
        of: &mut Background<'_>,
        [name, label, group]: [&str; 3],
        shifts: &[Vec<f64>],
        is_one: bool,
    ) -> Result<()> {
        for (k, shift) in shifts.iter().enumerate() {
            let number = k + 1;
            let [end, words] = match is_one {
                true => ["", ""].map(str::to_owned),
                false => [format!("_{number}"), format!(" {number}")],
            };
            let added = Added {
                parameter: format!("{}_{name}{end}", of.name),
                group: group.to_owned(),
                label: format!("{}, {label}{words}", of.label()),
            };
            if self.added.contains(&added.parameter) {
                // those of two runs are independent of each other
                let name = &added.parameter;
                let text = format!("`{name}` is the name of another sample's parameter");
                return Err(Error::config_at(of.place(), text));
            }
            self.push_shift(of, added, shift)?;
        }
        Ok(())
    }

    /// Says where what components leave is in no error.
    fn note_left(&mut self, of: &Background<'_>, left: &[f64], what: &str) {
        let channels = self.measurement.channels.iter();
        let without = channels.filter(|(_, c)| !c.statistical);
        let without: Vec<&str> = without.map(|(name, _)| name.as_str()).collect();
        if left.iter().any(|x| *x > 0.0) && !without.is_empty() {
            let text = format!(
                "what its components leave of the {what} is in no error of {}, which are not \
                 `statistical`",
                without.join(", ")
            );
            self.note(of, &text);
        }
    }

    /// Keeps the replicas if limits with each of them are asked for. `of_plane`: variances that
    /// the parameters of the mass plane leave; `components`: parameters that are made of replicas,
    /// the first of all.
    pub(super) fn keep_replicas(
        &mut self,
        of: &mut Background<'_>,
        (is_statistical, of_plane): (bool, &[f64]),
        components: usize,
    ) {
        let mode = of.config.retraining.as_ref().map(|r| r.mode);
        if mode != Some(RetrainingMode::Replicas) {
            return;
        }
        let both = of.found.variances.iter().zip(of_plane);
        let both = both.map(|(own, left)| if is_statistical { own + left } else { *left });
        let variances = both.collect();
        self.replicas.push(Replicas {
            sample: of.name.to_owned(),
            contents: std::mem::take(&mut of.found.replicas),
            variances,
            retraining: of.parameters[..components].to_vec(),
        });
    }

    fn note_replicas(&mut self, of: &Background<'_>, run: &FinishedRun) {
        let replicas = run.replicas();
        if replicas < FEW_REPLICAS {
            let error = (2.0 / (replicas - 1) as f64).sqrt();
            let text = format!(
                "{replicas} replicas know their own covariance to {} only",
                percent(error)
            );
            self.note(of, &text);
        }
        if !run.is_bootstrapped() {
            self.note(
                of,
                "its members were not bootstrapped: the retraining has initial weights and order \
                 alone, and not the finite number of training events",
            );
        }
        self.note_far(of, &of.found.replicas, "replicas");
    }

    /// Says where the mean of draws is far from what is predicted.
    fn note_far(&mut self, of: &Background<'_>, draws: &[f64], what: &str) {
        let bins = of.found.nominal.len();
        let count = draws.len() / bins.max(1);
        let far = (0..bins).find(|b| {
            let rows = draws.chunks_exact(bins);
            let mean = rows.map(|row| row[*b]).sum::<f64>() / count as f64;
            (mean - of.found.nominal[*b]).abs() > of.found.variances[*b].sqrt()
        });
        if let Some(b) = far {
            let text = format!(
                "the mean of its {what} is more than a statistical error away from the nominal \
                 content, first in {}",
                of.bin(b)
            );
            self.note(of, &text);
        }
    }

    /// A parameter for the counting error of what it is normalised to; of an interpolation one a
    /// category.
    pub(super) fn add_normalisation(
        &mut self,
        of: &mut Background<'_>,
        run: &FinishedRun,
    ) -> Result<()> {
        let relative = of.found.normalisation;
        if relative > UNKNOWN {
            let text = format!(
                "what {} is normalised to is known to {} only",
                run.name(),
                percent(relative)
            );
            return Err(Error::data_at(of.place(), text));
        }
        if relative == 0.0 {
            return Ok(());
        }
        let config = of.config.normalisation.clone().unwrap_or_default();
        let name = config.parameter;
        let name = name.unwrap_or_else(|| format!("{}_normalisation", of.name));
        let group = config.group;
        let group = group.unwrap_or_else(|| "Background normalisation".to_owned());
        let categories = run.categories();
        if categories.len() > 1 {
            let shifts = std::mem::take(&mut of.found.categories);
            for (value, shift) in categories.iter().zip(&shifts) {
                // a category without events in channels has no error there
                if shift.iter().any(|x| *x != 0.0) {
                    let added = Added {
                        parameter: format!("{name}_{}", word(*value)),
                        group: group.clone(),
                        label: format!("{}, normalisation, {value}", of.label()),
                    };
                    self.push_shift(of, added, shift)?;
                }
            }
            return Ok(());
        }
        let added = Added {
            parameter: name,
            group,
            label: format!("{}, normalisation", of.label()),
        };
        self.push(
            of,
            added,
            VariedPlan::of_rates([1.0 - relative, 1.0 + relative]),
        )
    }
}

/// What each bin is known to.
fn known_errors(found: &RunHistograms) -> Vec<f64> {
    let both = found.nominal.iter().zip(&found.variances);
    let known = both.map(|(h, v)| h.max(0.0).sqrt().max(v.sqrt()));
    // an empty bin has no events of a draw either
    known.map(|x| if x > 0.0 { x } else { 1.0 }).collect()
}

/// Relative standard deviation of the sums of draws, `[draws, bins]`.
fn spread(draws: &[f64], bins: usize) -> f64 {
    let sums = draws.chunks_exact(bins).map(|row| row.iter().sum());
    let (mean, variance) = moments(&sums.collect::<Vec<f64>>());
    variance.sqrt() / mean
}

/// The value of a category as a part of a name.
fn word(value: f64) -> String {
    let text = value.to_string();
    text.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_categories_are_parts_of_names() {
        for (value, name) in [(2017.0, "2017"), (-1.0, "_1"), (1.5, "1_5")] {
            assert_eq!(word(value), name);
        }
    }

    #[test]
    fn draws_are_told_by_their_sums() {
        // 10, 12 and 14
        let draws = [4.0, 6.0, 6.0, 6.0, 6.0, 8.0];
        assert!((spread(&draws, 2) - 2.0 / 12.0).abs() < 1e-12);
    }
}
