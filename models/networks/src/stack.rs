//! The member axis: a stack of members in training, whatever computes it.

mod data;
mod engine;
mod host;
mod optimizer;
mod predict;
mod tensors;

use crate::device::Compute;
use crate::layout::Row;
pub use data::{Batches, EVALUATION_CHUNK, EvaluationRows, InputScaling, Table};
use engine::Engine;
pub use engine::{MemberState, StackConfig};
use host::HostStack;
pub use optimizer::{Clock, OptimizerConfig};
pub use predict::Predictor;
use tensors::TensorStack;
pub(crate) use tensors::download;

/// Members in training on one device.
///
/// On the CPU a network is computed by hand, one member after the other, since
/// small layers spend their time between tensor operations; elsewhere, and with
/// [`Kernels::Plain`](crate::Kernels), all members take part in each tensor
/// operation. The rule knows the device alone, so a member's numbers do not
/// depend on its neighbours.
pub struct Stack(Box<dyn Engine>);

impl Stack {
    /// Puts members on the device, each with the standardisation of its inputs. Panics
    /// if there is not one a member.
    pub fn new(
        compute: &Compute,
        config: StackConfig,
        members: &[MemberState],
        inputs: &[InputScaling],
    ) -> Self {
        assert_eq!(members.len(), inputs.len(), "one standardisation a member");
        if compute.has_host_kernels() {
            return Self(Box::new(HostStack::new(config, members, inputs)));
        }
        Self(Box::new(TensorStack::new(compute, config, members, inputs)))
    }

    /// Number of members, `E`.
    pub fn members(&self) -> usize {
        self.0.members()
    }

    /// Trains all members for `batches.steps` steps. Panics if the batches are not those
    /// of this many members, the table is another device's, or the backend fails
    /// ([`Compute::guard`] turns the latter into an error).
    pub fn train(&mut self, table: &Table, batches: &Batches) {
        let members = self.members();
        let batch = batches.rows.len() / (batches.steps * members).max(1);
        let size = batches.steps * members * batch;
        assert_eq!(batches.rows.len(), size, "batches are [S, E, B]");
        self.0.train(table, batches, batch);
    }

    /// Sum of the batch losses of the members where `taken`, since they were
    /// last taken; the others' go on. `[E]`, 0 where not taken.
    pub fn take_losses(&mut self, taken: &[bool]) -> Vec<f64> {
        self.0.take_losses(taken)
    }

    /// Largest absolute parameter of each member, `[E]`.
    pub fn largest_parameters(&self) -> Vec<f32> {
        self.0.largest_parameters()
    }

    /// Loss of the given members on rows of theirs, without dropout and with
    /// running statistics. `rows`: one list for all of them or one each; panics if they
    /// are another device's.
    pub fn evaluate(&self, members: &[usize], table: &Table, rows: &EvaluationRows) -> Vec<f64> {
        self.0.evaluate(members, table, &rows.0)
    }

    /// Remembers the present parameters of the members where `improved`.
    pub fn keep_best(&mut self, improved: &[bool]) {
        self.0.keep_best(improved);
    }

    /// The remembered parameters of one member.
    pub fn best(&self, member: usize) -> Row {
        self.0.best(member)
    }

    /// Where a member stands.
    pub fn state(&self, member: usize) -> MemberState {
        self.0.state(member)
    }

    /// Puts a member in the place of another.
    pub fn replace(&mut self, member: usize, state: &MemberState, inputs: &InputScaling) {
        self.0.replace(member, state, inputs);
    }

    /// Lets the members leave for which `keep` is false.
    pub fn retain(&mut self, keep: &[bool]) {
        self.0.retain(keep);
    }
}
