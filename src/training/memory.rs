//! How much memory and arithmetic training takes, and how many members of a stack that
//! makes.
//!
//! The model counts what lies on the device: the matrix of inputs once, and for
//! each member its parameters eight times (parameters, gradient, two moments,
//! best, and three temporaries of the packed update), its activations forward
//! and backward, and the rows and coefficients of the steps that are prepared at
//! once; where events are read while training, a window of each class. `sideband
//! plan` measures what it says on the machine at hand.

use super::task::{Resources, Task};
use crate::error::{Error, Result};
use sideband_networks::{Compute, Network};

/// Members of a stack on a CPU, one thread a stack: larger ones fall out of
/// cache (measured, benches/RESULTS.md).
const CPU_STACK: usize = 1;
/// Most members of a stack on a GPU, if the device's memory is not known to bear
/// fewer.
const GPU_STACK: usize = 128;
/// Floating-point operations of a step beyond which a larger stack gains nothing on a
/// GPU: 44 launches of some 10 us are 0.4 ms, this is 5 ms at 20 TFLOP/s. Counted, not
/// measured. A hundred networks of 50 units stay far below; of 5 x 1000 units five are
/// enough.
const ENOUGH: f64 = 1e11;
/// Share of a device's memory that is planned with.
const SHARE: f64 = 0.8;
const PARAMETER_COPIES: u64 = 8;
/// Steps whose batches are prepared at once, at most.
const PREPARED_STEPS: u64 = 64;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MemoryModel {
    /// On the device, whatever the number of members.
    pub fixed: u64,
    /// On the device, a member of a stack.
    pub member: u64,
    /// In the program's memory, a member of a stack: its order of rows and
    /// their coefficients.
    pub host_member: u64,
    /// Floating-point operations of a member's training step: three products a weight.
    pub arithmetic: f64,
}

impl MemoryModel {
    pub(crate) fn new(task: &Task<'_>) -> Self {
        let (sample, settings) = (task.sample, task.settings);
        let network = Network::new(settings.network.clone());
        let batch = settings.batch as u64;
        let parameters = (network.parameters().len() + 2 * network.statistics().len()) as u64;
        Self {
            fixed: 4 * sample.inputs().as_slice().len() as u64
                + task
                    .stream
                    .map_or(0, |source| source.window_bytes(settings)),
            member: 4
                * (PARAMETER_COPIES * parameters
                    + network.activations() as u64 * batch
                    + 2 * PREPARED_STEPS * batch),
            host_member: match task.stream {
                None => 4 * 3 * sample.len() as u64,
                Some(source) => 4 * 2 * source.window as u64,
            },
            arithmetic: 6.0 * network.parameters().len() as f64 * batch as f64,
        }
    }

    /// Bytes on the device with so many members at once.
    pub(crate) fn device_bytes(&self, members: usize) -> u64 {
        self.fixed + members as u64 * self.member
    }

    /// Whether a member fits into the program's memory, where a CPU trains it. The memory is
    /// given back at once.
    pub(super) fn check_host(&self) -> Result<()> {
        let mut probe: Vec<u8> = Vec::new();
        let bytes = usize::try_from(self.member).unwrap_or(usize::MAX);
        probe.try_reserve_exact(bytes).map_err(|e| {
            Error::config(format!(
                "a member in training takes {} MiB, for which there is no memory ({e}); make the \
                 network's layers or training.batch smaller",
                self.member >> 20
            ))
        })
    }

    /// Most members that fit into a device's memory, at least one.
    pub(crate) fn members_in(&self, bytes: u64) -> usize {
        let free = ((bytes as f64 * SHARE) as u64).saturating_sub(self.fixed);
        usize::try_from(free / self.member.max(1))
            .unwrap_or(usize::MAX)
            .max(1)
    }

    /// Members of a stack that keep a GPU busy; more would only wait for each other.
    fn worthwhile(&self) -> usize {
        ((ENOUGH / self.arithmetic).ceil() as usize).clamp(1, GPU_STACK)
    }
}

/// Members of a stack on a device.
pub(super) fn slots(resources: &Resources<'_>, tasks: &[Task<'_>], compute: &Compute) -> usize {
    tasks.first().map_or(1, |task| {
        let (model, memory) = (MemoryModel::new(task), resources.device_memory);
        stack_size(resources.stack, compute.is_cpu(), memory, model)
    })
}

/// Members of a stack: what the configuration asks for, or what suits the
/// device and fits into it.
pub(crate) fn stack_size(
    asked: usize,
    is_cpu: bool,
    memory: Option<u64>,
    model: MemoryModel,
) -> usize {
    match (asked, is_cpu) {
        (0, true) => CPU_STACK,
        (0, false) => {
            let fitting = memory.map_or(GPU_STACK, |bytes| model.members_in(bytes));
            fitting.min(model.worthwhile())
        }
        (asked, _) => asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_fits_into_the_device() {
        let model = MemoryModel {
            fixed: 1000,
            member: 100,
            host_member: 0,
            arithmetic: 1e7,
        };
        assert_eq!(model.device_bytes(3), 1300);
        // 0.8 of 2500 is 2000: ten members beside the data
        assert_eq!(model.members_in(2500), 10);
        assert_eq!(model.members_in(10), 1);
        assert_eq!(stack_size(0, false, Some(2500), model), 10);
        assert_eq!(stack_size(0, false, None, model), GPU_STACK);
        assert_eq!(stack_size(7, false, Some(10), model), 7);
        assert_eq!(stack_size(0, true, Some(10), model), CPU_STACK);
        // 5 x 1000 units, batch 1024
        let wide = MemoryModel {
            arithmetic: 6.0 * 4.0e6 * 1024.0,
            ..model
        };
        assert_eq!(stack_size(0, false, None, wide), 5);
    }

    #[test]
    fn a_member_beyond_all_memory_is_refused() {
        let model = |member| MemoryModel {
            fixed: 0,
            member,
            host_member: 0,
            arithmetic: 0.0,
        };
        assert!(model(1 << 20).check_host().is_ok());
        for member in [1 << 62, u64::MAX] {
            let text = model(member).check_host().unwrap_err().to_string();
            let words = format!("a member in training takes {} MiB", member >> 20);
            assert!(text.starts_with(&words), "{text}");
        }
    }
}
