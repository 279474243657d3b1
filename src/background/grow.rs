//! Runs that grow: more members, and the members of other runs.

use super::campaign::{Ended, run};
use super::pipeline::{RunError, RunOptions};
use crate::ensemble::{Interrupt, Member, TrainError};
use crate::run::RunDirectory;

/// Adds members to a run and brings it to its result; those that are there stay
/// as they are.
///
/// # Errors
/// [`RunError::Shrink`] if the number is smaller than the present one; else
/// as [`run`].
pub fn extend(
    root: &RunDirectory,
    members: u32,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Ended, RunError> {
    let old = root.experiment()?;
    let there = old.ensembles.iter().map(|e| e.config.ensemble.members);
    let there = there.max().unwrap_or(0);
    // as many as there are: it was stopped before, and goes on
    if members < there {
        return Err(RunError::Shrink {
            there,
            asked: members,
        });
    }
    let experiment = old.with_members(members)?;
    root.write_experiment(&experiment)?;
    run(&experiment, options, interrupt)
}

/// What came of a merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Members that were taken over.
    pub taken: u32,
    /// Members that both had, and that are equal.
    pub equal: u32,
    /// Members that both had and that differ: those of the run itself stay.
    pub different: u32,
    /// Members that nobody has.
    pub missing: u32,
}

/// Takes over the members of other runs of the same plan.
///
/// # Errors
/// [`RunError::Merge`] if another is not of the same plan or data; nothing of it
/// is taken over then.
pub fn merge(root: &RunDirectory, others: &[RunDirectory]) -> Result<Merged, RunError> {
    let experiment = root.experiment()?;
    let mut merged = Merged::default();
    for other in others {
        let refuse = |reason: String| RunError::Merge {
            path: other.path().to_owned(),
            reason,
        };
        let theirs = other.experiment()?;
        let mut pairs = Vec::new();
        for (spec, own) in experiment.ensembles.iter().zip(root.ensembles(&experiment)) {
            let place = theirs.ensembles.iter().position(|e| e.name == spec.name);
            let Some(place) = place else { continue };
            let from = other.ensembles(&theirs).swap_remove(place);
            let mut config = spec.config.clone();
            config.ensemble.members = theirs.ensembles[place].config.ensemble.members;
            from.compare_config(&config)
                .map_err(|e| refuse(e.to_string()))?;
            if let (Some(manifest), true) = (from.manifest()?, own.manifest()?.is_some()) {
                own.same_inputs(&manifest.inputs)
                    .map_err(|e| refuse(e.to_string()))?;
            }
            pairs.push((spec, own, from));
        }
        if pairs.is_empty() {
            return Err(refuse("it has none of the ensembles".to_owned()));
        }
        for (spec, own, from) in pairs {
            for number in 0..spec.config.ensemble.members {
                let Ok(member) = Member::read(&from.member(number)) else {
                    continue;
                };
                match Member::read(&own.member(number)) {
                    Ok(there) if there == member => merged.equal += 1,
                    Ok(_) => merged.different += 1,
                    Err(_) => {
                        member
                            .write(&own.member(number))
                            .map_err(TrainError::from)?;
                        merged.taken += 1;
                    }
                }
            }
        }
    }
    for (spec, own) in experiment.ensembles.iter().zip(root.ensembles(&experiment)) {
        let members = spec.config.ensemble.members;
        merged.missing += members - own.count_members(members) as u32;
    }
    Ok(merged)
}
