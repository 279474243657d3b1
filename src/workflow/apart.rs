//! Whether a fresh classifier tells two samples apart as they are, without any ensemble of them.

use super::Workbench;
use super::classifier::{ClassifierClass, closure_auc, trainings};
use super::ensemble::threads;
use super::plan::Plan;
use crate::error::Result;
use crate::rundir::Progress;
use crate::settings::{Config, Places};
use crate::statistics::Auc;
use crate::training::Interrupt;
use sideband_networks::Compute;

/// Its streams are none of an ensemble's.
const NAME: &str = "apart";

/// AUC of source against target, of the events of the training region that are not hidden. None
/// if it was interrupted, or a class is too small. It is computed on the CPU.
pub(crate) fn told_apart(
    config: &Config,
    places: &Places,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Option<Auc>> {
    let stage = progress.stage("reading", 0);
    let plan = Plan::new(NAME, places.config(config)?, false, Vec::new())?;
    drop(stage);
    let compute = Compute::open("cpu")?;
    let say = |text: &str| progress.say(text);
    let bench = Workbench {
        compute: &compute,
        threads: threads(config),
        interrupt,
        say: &say,
        progress,
        of: "",
    };
    let stage = bench.stage("classifying", trainings(&plan));
    let region = plan.training_region();
    let [source, target] = [plan.source(), plan.target()];
    let [of_source, of_target] =
        [source, target].map(|sample| sample.trained(region).collect::<Vec<usize>>());
    let of_source = ClassifierClass::new(source, &of_source, &source.table.weights);
    let of_target = ClassifierClass::new(target, &of_target, &target.table.weights);
    closure_auc(&plan, (bench, &stage), NAME, &of_source, &of_target)
}
