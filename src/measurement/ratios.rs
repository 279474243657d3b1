//! Ensembles of ratios applied to events: one log r an event and ratio, with the
//! spread of its members.

use super::model::no_likelihood;
use crate::error::Result;
use crate::rundir::RunDirectory;
use crate::settings::Aggregate;
use crate::training::Member;
use crate::workflow::Applier;
use sideband_networks::{Compute, Network};

/// A trained ensemble that gives a ratio of densities.
pub(super) struct Ratio {
    members: Vec<Member>,
    /// What makes a ratio of densities of a ratio of yields.
    yields: f64,
    compute: Compute,
    threads: usize,
}

/// A ratio at some events.
#[derive(Clone, Debug, Default)]
pub(super) struct RatioColumn {
    /// log r, `[n]`.
    pub log: Vec<f64>,
    /// Relative standard deviation over members, `[n]`.
    pub spread: Vec<f32>,
    /// log r of each member, `[members][n]`; empty unless asked for.
    pub members: Vec<Vec<f32>>,
}

impl Ratio {
    /// Reads the usable members of an ensemble's directory. `yields`: sums of weights
    /// of its source and target.
    pub(super) fn open(
        directory: &RunDirectory,
        requested: u32,
        yields: [f64; 2],
        (compute, threads): (&Compute, usize),
    ) -> Result<Self> {
        let mut members = Vec::new();
        for number in 0..requested {
            let path = directory.member(number);
            let member = Member::read(&path)?;
            if member.about.outcome.is_usable() {
                members.push(member);
            }
        }
        if members.is_empty() {
            return Err(no_likelihood(format!(
                "no member of {} can be used",
                directory.path().display()
            )));
        }
        Ok(Self {
            members,
            yields: yields[0] / yields[1],
            compute: compute.clone(),
            threads,
        })
    }

    /// The members on the device. They live as long as one evaluation: a measurement has
    /// hundreds of ratios, and each would hold threads.
    fn applier(&self) -> Result<Applier> {
        let about = &self.members[0].about;
        let network = Network::new(about.network.clone());
        let (threads, scaling) = (self.threads, &about.features);
        Ok(Applier::new(
            &self.compute,
            threads,
            &network,
            scaling,
            &self.members,
        )?)
    }

    /// Number of members.
    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    /// The ratio at events, `[n, D]`.
    pub(super) fn at(
        &self,
        features: &[f32],
        aggregate: Aggregate,
        keep_members: bool,
    ) -> Result<RatioColumn> {
        let mut column = RatioColumn::default();
        if keep_members {
            column.members = vec![Vec::new(); self.members.len()];
        }
        let mut scratch = Vec::with_capacity(self.members.len());
        self.applier()?.for_each(features, |_, ratios| {
            let r = combine(ratios, aggregate, &mut scratch) * self.yields;
            column.log.push(r.ln());
            column.spread.push(relative_spread(ratios) as f32);
            for (member, ratio) in column.members.iter_mut().zip(ratios) {
                member.push((ratio * self.yields).ln() as f32);
            }
            Ok(())
        })?;
        Ok(column)
    }
}

/// One ratio of those of the members.
pub(super) fn combine(ratios: &[f64], aggregate: Aggregate, scratch: &mut Vec<f64>) -> f64 {
    let n = ratios.len() as f64;
    match aggregate {
        Aggregate::Mean => ratios.iter().sum::<f64>() / n,
        Aggregate::MeanLog => (ratios.iter().map(|r| r.ln()).sum::<f64>() / n).exp(),
        Aggregate::Median => {
            scratch.clear();
            scratch.extend_from_slice(ratios);
            scratch.sort_by(f64::total_cmp);
            let middle = scratch.len() / 2;
            if scratch.len() % 2 == 1 {
                scratch[middle]
            } else {
                0.5 * (scratch[middle - 1] + scratch[middle])
            }
        }
    }
}

fn relative_spread(ratios: &[f64]) -> f64 {
    if ratios.len() < 2 {
        return 0.0;
    }
    let n = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / n;
    let variance = ratios.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (n - 1.0);
    variance.sqrt() / mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_make_one_ratio() {
        let mut scratch = Vec::new();
        let mut of = |ratios: &[f64], how| combine(ratios, how, &mut scratch);
        assert_eq!(of(&[1.0, 4.0, 16.0], Aggregate::Mean), 7.0);
        assert!((of(&[1.0, 4.0, 16.0], Aggregate::MeanLog) - 4.0).abs() < 1e-12);
        assert_eq!(of(&[16.0, 1.0, 4.0], Aggregate::Median), 4.0);
        assert_eq!(of(&[1.0, 4.0, 16.0, 5.0], Aggregate::Median), 4.5);
        assert_eq!(relative_spread(&[2.0]), 0.0);
        assert!((relative_spread(&[1.0, 3.0]) - 0.5f64.sqrt()).abs() < 1e-12);
    }
}
