//! What computes, and where members are trained: `[device]`, `[executor]`.

use crate::settings::{HtcondorSettings, SlurmSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_networks::Kernels;

/// `[device]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceConfig {
    /// `cpu`, `ndarray`, `wgpu`, `wgpu:N`, `wgpu:cpu`, `cuda` or `cuda:N`; or
    /// several with commas between them: `cuda:0,cuda:1`.
    pub name: String,
    /// Training threads of each CPU, at most 1024; 0 = as many as the machine has.
    pub threads: usize,
    /// Members that one thread trains at once, as one stack; 0 = what suits the device.
    pub stack: usize,
    /// Memory of a GPU, MiB, from which the size of a stack is chosen; 0 = not
    /// known: stacks of 128, halved whenever memory runs out.
    pub memory_mib: u64,
    /// Fused operations where the device has them, or burn's alone. Numbers
    /// differ by rounding.
    pub kernels: Kernels,
}

impl DeviceConfig {
    /// The devices by name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.name.split(',').map(str::trim)
    }

    /// The kinds of devices, each once: `cpu`, `cuda`.
    #[must_use]
    pub fn kinds(&self) -> Vec<String> {
        let kind = |name: &str| name.split(':').next().unwrap_or(name).to_owned();
        let mut kinds: Vec<String> = self.names().map(kind).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

impl Default for DeviceConfig {
    fn default() -> Self {
        Self {
            name: "cpu".to_owned(),
            threads: 0,
            stack: 0,
            memory_mib: 0,
            kernels: Kernels::Fused,
        }
    }
}

/// `[executor]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExecutorConfig {
    /// Where members are trained.
    pub kind: ExecutorKind,
    /// Members that are claimed, and in a batch system submitted, together;
    /// 0 = 4 on a CPU, 32 on a GPU, 10 in a batch system.
    pub block: usize,
    /// Seconds between two checkpoints of a member in training.
    pub checkpoint_seconds: f64,
    /// Epochs between two checkpoints; 0 = by time alone.
    pub checkpoint_epochs: u32,
    /// Seconds after which a worker that gives no sign is taken for dead.
    pub stale_seconds: f64,
    /// Seconds between two looks at the queue of a batch system.
    pub poll_seconds: f64,
    /// How often a lost task is submitted again.
    pub resubmissions: u32,
    /// What a Slurm job asks for.
    pub slurm: SlurmSettings,
    /// What an HTCondor job asks for.
    pub htcondor: HtcondorSettings,
}

impl Default for ExecutorConfig {
    fn default() -> Self {
        Self {
            kind: ExecutorKind::Local,
            block: 0,
            checkpoint_seconds: 60.0,
            checkpoint_epochs: 0,
            stale_seconds: 120.0,
            poll_seconds: 10.0,
            resubmissions: 3,
            slurm: SlurmSettings::default(),
            htcondor: HtcondorSettings::default(),
        }
    }
}

/// Where members are trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecutorKind {
    /// In this process, on all listed devices.
    #[default]
    Local,
    /// In a Slurm job array, a task a block.
    Slurm,
    /// In an HTCondor cluster, a process a block.
    Htcondor,
}
