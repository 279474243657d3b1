//! What the run of a background tells of its own error: retrained networks, and the counting error
//! of what it is normalised to.

use super::super::plan::VariedPlan;
use super::super::result::BackgroundResult;
use super::{Added, Background, Growing, Replicas};
use crate::backgrounds::{components, interquartile};
use crate::closure::moments;
use crate::error::{Error, Result};
use crate::report::numbers::percent;
use crate::settings::{RetrainingMode, RetrainingSpread};
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
            if asked.is_some() {
                return Err(Error::data_at(format!("{}.retraining", of.place()), text));
            }
            self.note(
                of,
                &format!("{text}: the error of the retraining is not there"),
            );
            return Ok(vec![0.0; bins]);
        }
        let both = of.found.nominal.iter().zip(&of.found.variances);
        let known = both.map(|(h, v)| h.max(0.0).sqrt().max(v.sqrt()));
        // an empty bin has no replica's events either
        let known: Vec<f64> = known.map(|x| if x > 0.0 { x } else { 1.0 }).collect();
        let is_one = config.spread == RetrainingSpread::Iqr;
        let found = match is_one {
            true => interquartile(&of.found.replicas, bins),
            false => components(&of.found.replicas, &known, config.keep, config.at_most),
        };
        let found = found.ok_or_else(|| {
            let text = "the covariance of its replicas cannot be taken apart";
            Error::data_at(format!("{}.retraining", of.place()), text)
        })?;
        let sums: Vec<f64> = of
            .found
            .replicas
            .chunks_exact(bins)
            .map(|row| row.iter().sum())
            .collect();
        let (mean, variance) = moments(&sums);
        result.spread = variance.sqrt() / mean;
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
        for (k, shift) in found.shifts.iter().enumerate() {
            let number = k + 1;
            let [name, words] = match is_one {
                true => ["", ""].map(str::to_owned),
                false => [format!("_{number}"), format!(" {number}")],
            };
            let added = Added {
                parameter: format!("{}_retraining{name}", of.name),
                group: group.clone(),
                label: format!("{}, retraining{words}", of.label()),
            };
            if self.added.contains(&added.parameter) {
                // trainings are independent of each other
                let name = &added.parameter;
                let text = format!("`{name}` is the name of another sample's parameter");
                return Err(Error::config_at(of.place(), text));
            }
            self.push_shift(of, added, shift)?;
        }
        let is_left = found.left.iter().any(|x| *x > 0.0);
        let without = self
            .measurement
            .channels
            .iter()
            .filter(|(_, c)| !c.statistical);
        let without: Vec<&str> = without.map(|(name, _)| name.as_str()).collect();
        if is_left && !without.is_empty() {
            let text = format!(
                "what its components leave of the retraining is in no error of {}, which are not \
                 `statistical`",
                without.join(", ")
            );
            self.note(of, &text);
        }
        Ok(found.left)
    }

    /// Keeps the replicas if limits with each of them are asked for. `components`: parameters
    /// that are made of them, the first of all.
    pub(super) fn keep_replicas(
        &mut self,
        of: &mut Background<'_>,
        is_statistical: bool,
        components: usize,
    ) {
        let mode = of.config.retraining.as_ref().map(|r| r.mode);
        if mode != Some(RetrainingMode::Replicas) {
            return;
        }
        let bins = of.found.nominal.len();
        self.replicas.push(Replicas {
            sample: of.name.to_owned(),
            contents: std::mem::take(&mut of.found.replicas),
            variances: match is_statistical {
                true => of.found.variances.clone(),
                false => vec![0.0; bins],
            },
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
        let bins = of.found.nominal.len();
        let far = (0..bins).find(|b| {
            let rows = of.found.replicas.chunks_exact(bins);
            let mean = rows.map(|row| row[*b]).sum::<f64>() / replicas as f64;
            (mean - of.found.nominal[*b]).abs() > of.found.variances[*b].sqrt()
        });
        if let Some(b) = far {
            let text = format!(
                "the mean of its replicas is more than a statistical error away from the nominal \
                 content, first in {}",
                of.bin(b)
            );
            self.note(of, &text);
        }
    }

    /// A parameter for the counting error of what it is normalised to.
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
        let (name, group) = (config.parameter, config.group);
        let added = Added {
            parameter: name.unwrap_or_else(|| format!("{}_normalisation", of.name)),
            group: group.unwrap_or_else(|| "Background normalisation".to_owned()),
            label: format!("{}, normalisation", of.label()),
        };
        self.push(
            of,
            added,
            VariedPlan::of_rates([1.0 - relative, 1.0 + relative]),
        )
    }
}
