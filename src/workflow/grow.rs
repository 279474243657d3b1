//! Runs that grow: more members, and the members of other runs.

use super::campaign::Ended;
use super::ensemble::{RunOptions, is_result};
use super::run::run;
use crate::error::{Error, OnFile, Result, counted};
use crate::rundir::RunDirectory;
use crate::settings::{EnsembleSpec, Experiment};
use crate::training::{Interrupt, Member, MemberFile};
use std::collections::BTreeSet;
use std::fmt::Display;

/// Adds members to a run and brings it to its result; those that are there stay
/// as they are. The run keeps its configuration until the new one holds. An
/// extension that has no result yet may be taken back.
///
/// # Errors
/// The number is smaller than that of the result that is there; else as [`run`].
pub(crate) fn extend(
    root: &RunDirectory,
    members: u32,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Ended> {
    let old = root.experiment()?;
    for (spec, directory) in old.ensembles.iter().zip(root.ensembles(&old)) {
        let there = spec.config.ensemble.members;
        let has_result = directory.manifest()?.is_some_and(|m| is_result(&m));
        // as many as there are: it was stopped before, and goes on
        if members < there && (has_result || directory.count_members(members) < members.into()) {
            return Err(Error::usage(format!(
                "the run has {} already, --members {members} would take some away; to have a \
                 result of fewer, run {} with --out {} --set ensemble.members={members}: the \
                 others are set aside, and taken back when the number grows",
                counted(there, "member"),
                root.join("config.toml").display(),
                root.path().display()
            )));
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
/// Another is not of the same plan or data; nothing of any is taken over then.
pub(crate) fn merge(root: &RunDirectory, others: &[RunDirectory]) -> Result<Merged> {
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
                    staged.push(member.stage(&place)?);
                    taken.insert(place);
                    merged.taken += 1;
                }
            }
        }
    }
    for file in staged {
        let path = file.path().to_owned();
        file.commit().on(path)?;
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

/// Runs that have nothing in common.
fn cannot_merge(other: &RunDirectory, reason: impl Display) -> Error {
    let path = other.path().display();
    Error::data(format!("{path} cannot be merged: {reason}"))
}

impl Pair {
    fn refuse(&self, reason: impl Display) -> Error {
        cannot_merge(&self.from, reason)
    }

    /// Whether both are of the same plan and the same data.
    fn check(&self) -> Result<()> {
        let refuse = |e: Error| self.refuse(e);
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
    fn member(&self, number: u32) -> Result<Option<Member>> {
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
) -> Result<Vec<Pair>> {
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
        return Err(cannot_merge(other, "it has none of the ensembles"));
    }
    Ok(pairs)
}
