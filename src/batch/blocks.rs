//! The members of all ensembles, divided into blocks: what a worker claims, and
//! what a batch system gets as one task. A function of the configuration alone,
//! so that every process of a run has the same.

use crate::settings::{ExecutorKind, Experiment, IdentityOf};
use crate::training::Unit;

/// Members of a block in a batch system, if the configuration gives no number.
const BATCH_MEMBERS: usize = 10;
/// The same for a GPU.
const GPU_MEMBERS: usize = 32;
/// The same for a CPU.
const CPU_MEMBERS: usize = 4;

/// Members that are trained together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its number, from 0.
    pub number: u32,
    /// Which of the families it belongs to: ensembles that share data, inputs
    /// and shape, so that their members can share a stack.
    pub family: usize,
    /// Ensembles, by their place in the experiment, and members.
    pub units: Vec<Unit>,
}

/// Members of a block.
#[must_use]
pub(crate) fn block_members(experiment: &Experiment) -> usize {
    let common = experiment.common();
    let is_cpu = common
        .device
        .names()
        .all(|name| matches!(name, "cpu" | "ndarray"));
    match (common.executor.block, common.executor.kind) {
        (0, ExecutorKind::Local) if is_cpu => CPU_MEMBERS,
        (0, ExecutorKind::Local) => GPU_MEMBERS,
        (0, _) => BATCH_MEMBERS,
        (size, _) => size,
    }
}

/// All blocks of an experiment.
#[must_use]
pub(crate) fn blocks(experiment: &Experiment) -> Vec<Block> {
    let size = block_members(experiment);
    let mut families: Vec<(String, Vec<usize>)> = Vec::new();
    for (place, ensemble) in experiment.ensembles.iter().enumerate() {
        let key = ensemble.config.identity(IdentityOf::Family);
        match families.iter_mut().find(|(k, _)| *k == key) {
            Some((_, places)) => places.push(place),
            None => families.push((key, vec![place])),
        }
    }
    let mut list = Vec::new();
    for (family, (_, places)) in families.iter().enumerate() {
        let units: Vec<Unit> = places
            .iter()
            .flat_map(|task| {
                let members = 0..experiment.ensembles[*task].config.ensemble.members;
                members.map(|member| Unit {
                    task: *task,
                    member,
                })
            })
            .collect();
        list.extend(units.chunks(size).map(|units| (family, units.to_vec())));
    }
    (0..)
        .zip(list)
        .map(|(number, (family, units))| Block {
            number,
            family,
            units,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse_experiment;

    const TEXT: &str = r#"
        experiment = { name = "t", method = "reweight" }
        data = { source = { path = "${year}/a", weight = "${variation}" }, target = { path = "b" } }
        regions.cr = { selection = "x > ${cut}" }
        features = { inputs = ["x"] }
        training = { region = "cr" }
        ensemble.members = 5
        executor.block = 4
        [matrix]
        year = [1, 2]
        variation = ["up", "down"]
        cut = [0.5, 1.5]
    "#;

    #[test]
    fn ensembles_that_differ_in_selection_or_weight_share_a_family() {
        let experiment = parse_experiment(TEXT, &[]).unwrap();
        let blocks = blocks(&experiment);
        // two years, in each 4 ensembles of 5 members in blocks of 4
        assert_eq!(blocks.len(), 10);
        assert!(
            blocks
                .iter()
                .enumerate()
                .all(|(i, b)| b.number as usize == i)
        );
        assert_eq!(blocks[4].family, 0);
        assert_eq!(blocks[5].family, 1);
        let units: Vec<Unit> = blocks.iter().flat_map(|b| b.units.clone()).collect();
        assert_eq!(units.len(), 40);
        assert_eq!(blocks[1].units[0], Unit { task: 0, member: 4 });
        assert_eq!(blocks[1].units[1], Unit { task: 1, member: 0 });
        assert_eq!(blocks[5].units[0], Unit { task: 4, member: 0 });
    }

    #[test]
    fn another_network_is_another_family() {
        let text = TEXT.replace("regions.cr", "model.hidden = [\"${cut}\"]\nregions.cr");
        let text = text.replace("[0.5, 1.5]", "[5, 15]");
        let text = text.replace("[\"${cut}\"]", "[8, \"${cut}\"]");
        let experiment = parse_experiment(&text, &[]).unwrap();
        let families = blocks(&experiment).iter().map(|b| b.family).max();
        assert_eq!(families, Some(3));
    }
}
