//! Runs that grow: more members, and the members of other runs.

use super::campaign::{Ended, run};
use super::pipeline::{RunError, RunOptions};
use crate::rundir::{DirectoryError, RunDirectory, State};
use crate::settings::{EnsembleSpec, Experiment};
use crate::training::{Interrupt, Member, MemberFile, TrainError};
use std::collections::BTreeSet;

/// Adds members to a run and brings it to its result; those that are there stay
/// as they are. The run keeps its configuration until the new one holds. An
/// extension that has no result yet may be taken back.
///
/// # Errors
/// [`RunError::Shrink`] if the number is smaller than that of the result that is
/// there; else as [`run`].
pub(crate) fn extend(
    root: &RunDirectory,
    members: u32,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Ended, RunError> {
    let old = root.experiment()?;
    for (spec, directory) in old.ensembles.iter().zip(root.ensembles(&old)) {
        let there = spec.config.ensemble.members;
        let has_result = directory
            .manifest()?
            .is_some_and(|m| matches!(m.state, State::Complete | State::Partial));
        // as many as there are: it was stopped before, and goes on
        if members < there && (has_result || directory.count_members(members) < members.into()) {
            return Err(RunError::Shrink {
                there,
                asked: members,
            });
        }
    }
    run(&old.with_members(members)?, options, interrupt)
}

/// What came of a merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Members that were taken over.
    pub taken: u32,
    /// Members that both had, and that are equal.
    pub equal: u32,
    /// Members that both had and that differ: those of the run itself stay.
    pub different: u32,
    /// Members that nobody has.
    pub missing: u32,
}

/// Takes over the members of other runs of the same plan. All of them are checked
/// before the first is copied, and all are copied before the first is in its place.
///
/// # Errors
/// [`RunError::Merge`] if another is not of the same plan or data; nothing of any
/// is taken over then.
pub(crate) fn merge(root: &RunDirectory, others: &[RunDirectory]) -> Result<Merged, RunError> {
    let experiment = root.experiment()?;
    root.check_links()?;
    let mut merged = Merged::default();
    let mut pairs = Vec::new();
    for other in others {
        pairs.extend(matching(root, &experiment, other)?);
    }
    let mut staged = Vec::new();
    let mut taken = BTreeSet::new();
    for pair in &pairs {
        for number in 0..pair.spec.config.ensemble.members {
            let Some(member) = pair.member(number)? else {
                continue;
            };
            let place = pair.own.member(number);
            match Member::read(&place) {
                Ok(there) if there == member => merged.equal += 1,
                Ok(_) => merged.different += 1,
                // another of the others has it as well
                Err(_) if taken.contains(&place) => {}
                Err(_) => {
                    staged.push(member.stage(&place).map_err(TrainError::from)?);
                    taken.insert(place);
                    merged.taken += 1;
                }
            }
        }
    }
    for file in staged {
        let path = file.path().to_owned();
        file.commit()
            .map_err(|source| DirectoryError::Io { path, source })?;
    }
    for (spec, own) in experiment.ensembles.iter().zip(root.ensembles(&experiment)) {
        let members = spec.config.ensemble.members;
        merged.missing += members - own.count_members(members) as u32;
    }
    Ok(merged)
}

/// An ensemble that two runs have.
struct Pair {
    spec: EnsembleSpec,
    own: RunDirectory,
    from: RunDirectory,
    /// A member of the run itself, if there is one.
    model: Option<MemberFile>,
}

impl Pair {
    fn refuse(&self, reason: String) -> RunError {
        RunError::Merge {
            path: self.from.path().to_owned(),
            reason,
        }
    }

    /// Whether both are of the same plan and the same data.
    fn check(&self) -> Result<(), RunError> {
        let refuse = |e: DirectoryError| self.refuse(e.to_string());
        self.from
            .compare_config(&self.spec.config)
            .map_err(refuse)?;
        let without = |run: &RunDirectory| {
            self.refuse(format!(
                "{} has no manifest.json, so that nobody knows what data it was made from; run \
                 its configuration again",
                run.path().display()
            ))
        };
        let manifest = self.from.manifest()?.ok_or_else(|| without(&self.from))?;
        self.own.manifest()?.ok_or_else(|| without(&self.own))?;
        self.own.same_inputs(&manifest.inputs).map_err(refuse)?;
        for number in 0..self.spec.config.ensemble.members {
            self.member(number)?;
        }
        Ok(())
    }

    /// An intact member of the other run.
    fn member(&self, number: u32) -> Result<Option<Member>, RunError> {
        let path = self.from.member(number);
        let Ok(member) = Member::read(&path) else {
            return Ok(None);
        };
        let (about, config) = (&member.about, &self.spec.config);
        let fits = about.member == number
            && about.ensemble == self.spec.name
            && about.seed == config.experiment.seed
            && about.objective == config.experiment.method.objective()
            && self.model.as_ref().is_none_or(|own| {
                about.network == own.network && about.features.is_same(&own.features)
            });
        if fits {
            return Ok(Some(member));
        }
        Err(self.refuse(format!(
            "{} is not a member of this plan and these data",
            path.display()
        )))
    }
}

/// The ensembles that a run has in common with another.
fn matching(
    root: &RunDirectory,
    experiment: &Experiment,
    other: &RunDirectory,
) -> Result<Vec<Pair>, RunError> {
    let theirs = other.experiment()?;
    let mut pairs = Vec::new();
    for (spec, own) in experiment.ensembles.iter().zip(root.ensembles(experiment)) {
        let place = theirs.ensembles.iter().position(|e| e.name == spec.name);
        let Some(place) = place else { continue };
        let members = 0..spec.config.ensemble.members;
        let model = members
            .map(|n| Member::read(&own.member(n)))
            .find_map(Result::ok);
        let pair = Pair {
            spec: spec.clone(),
            own,
            from: other.ensembles(&theirs).swap_remove(place),
            model: model.map(|member| member.about),
        };
        pair.check()?;
        pairs.push(pair);
    }
    if pairs.is_empty() {
        return Err(RunError::Merge {
            path: other.path().to_owned(),
            reason: "it has none of the ensembles".to_owned(),
        });
    }
    Ok(pairs)
}
