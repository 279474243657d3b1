//! A stack of members in training, whatever computes it.

use super::batches::Batches;
use super::evaluate::{EvaluationRows, Rows};
use super::host::HostStack;
use super::optimizer::{Clock, OptimizerConfig};
use super::table::{InputScaling, Table};
use super::tensors::TensorStack;
use crate::device::Compute;
use crate::network::NetworkConfig;
use crate::objective::Objective;

/// What all members of a stack have in common.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// Shape of a network.
    pub network: NetworkConfig,
    /// Loss that is minimised.
    pub objective: Objective,
    /// Optimizer and its constants.
    pub optimizer: OptimizerConfig,
    /// Largest norm of a member's gradient; larger ones are scaled down.
    pub gradient_clip: Option<f64>,
    /// L2 penalty `beta sum w^2` of the loss, on weights and not on biases.
    pub l2: f64,
}

/// A member outside a stack: its packed parameters and running statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Parameters, in the order of [`Network::parameters`](crate::Network::parameters).
    pub parameters: Vec<f32>,
    /// Running statistics, in the order of [`Network::statistics`](crate::Network::statistics).
    pub statistics: Vec<f32>,
}

/// A member at some point of its training: all that its next step depends on,
/// but for its data.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberState {
    /// Parameters and running statistics.
    pub row: Row,
    /// Those that are remembered as the best.
    pub best: Row,
    /// Running first moment of the gradient, `[P]`.
    pub first_moment: Vec<f32>,
    /// Running second moment of the gradient, `[P]`.
    pub second_moment: Vec<f32>,
    /// Sum of batch losses since they were last taken.
    pub loss: f32,
    /// The optimizer's clock.
    pub clock: Clock,
}

impl MemberState {
    /// A member before its first step.
    #[must_use]
    pub fn start(row: Row) -> Self {
        Self {
            first_moment: vec![0.0; row.parameters.len()],
            second_moment: vec![0.0; row.parameters.len()],
            best: row.clone(),
            row,
            loss: 0.0,
            clock: Clock::default(),
        }
    }
}

/// Members in training on one device.
///
/// On the CPU a network is computed by hand, one member after the other, since
/// small layers spend their time between tensor operations; elsewhere, and with
/// [`Kernels::Plain`](crate::Kernels), all members take part in each tensor
/// operation. The rule knows the device alone, so a member's numbers do not
/// depend on its neighbours.
#[derive(Debug)]
pub struct Stack {
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Host(Box<HostStack>),
    Tensors(Box<TensorStack>),
}

impl Stack {
    /// Puts members on the device, each with the standardisation of its inputs.
    ///
    /// # Panics
    /// If there is not one standardisation a member.
    #[must_use]
    pub fn new(
        compute: &Compute,
        config: StackConfig,
        members: &[MemberState],
        inputs: &[InputScaling],
    ) -> Self {
        assert_eq!(members.len(), inputs.len(), "one standardisation a member");
        let engine = if compute.has_host_kernels() {
            Engine::Host(Box::new(HostStack::new(config, members, inputs)))
        } else {
            Engine::Tensors(Box::new(TensorStack::new(compute, config, members, inputs)))
        };
        Self { engine }
    }

    /// Number of members, `E`.
    #[must_use]
    pub fn members(&self) -> usize {
        match &self.engine {
            Engine::Host(stack) => stack.members(),
            Engine::Tensors(stack) => stack.members(),
        }
    }

    /// Trains all members for `batches.steps` steps.
    ///
    /// # Panics
    /// If the batches are not those of this many members, the table is another
    /// device's, or the backend fails ([`Compute::guard`] turns the latter into an
    /// error).
    pub fn train(&mut self, table: &Table, batches: &Batches) {
        let members = self.members();
        let batch = batches.rows.len() / (batches.steps * members).max(1);
        assert_eq!(
            batches.rows.len(),
            batches.steps * members * batch,
            "batches are [S, E, B]"
        );
        match &mut self.engine {
            Engine::Host(stack) => stack.train(table.host(), batches, batch),
            Engine::Tensors(stack) => stack.train(table.tensor(), batches, batch),
        }
    }

    /// Sum of the batch losses of the members where `taken`, since they were
    /// last taken; the others' go on. `[E]`, 0 where not taken.
    #[must_use]
    pub fn take_losses(&mut self, taken: &[bool]) -> Vec<f64> {
        match &mut self.engine {
            Engine::Host(stack) => stack.take_losses(taken),
            Engine::Tensors(stack) => stack.take_losses(taken),
        }
    }

    /// Largest absolute parameter of each member, `[E]`.
    #[must_use]
    pub fn largest_parameters(&self) -> Vec<f32> {
        match &self.engine {
            Engine::Host(stack) => stack.largest_parameters(),
            Engine::Tensors(stack) => stack.largest_parameters(),
        }
    }

    /// Loss of the given members on rows of theirs, without dropout and with
    /// running statistics. `rows`: one list for all of them or one each.
    ///
    /// # Panics
    /// If the rows are another device's.
    #[must_use]
    pub fn evaluate(&self, members: &[usize], table: &Table, rows: &EvaluationRows) -> Vec<f64> {
        match (&self.engine, &rows.rows) {
            (Engine::Host(stack), Rows::Host(rows)) => stack.evaluate(members, table.host(), rows),
            (Engine::Tensors(stack), Rows::Tensors(chunks)) => {
                stack.evaluate(members, table.tensor(), chunks)
            }
            _ => unreachable!("rows are made for the device of their stack"),
        }
    }

    /// Remembers the present parameters of the members where `improved`.
    pub fn keep_best(&mut self, improved: &[bool]) {
        match &mut self.engine {
            Engine::Host(stack) => stack.keep_best(improved),
            Engine::Tensors(stack) => stack.keep_best(improved),
        }
    }

    /// The remembered parameters of one member.
    #[must_use]
    pub fn best(&self, member: usize) -> Row {
        match &self.engine {
            Engine::Host(stack) => stack.state(member).best.clone(),
            Engine::Tensors(stack) => stack.best(member),
        }
    }

    /// Where a member stands.
    #[must_use]
    pub fn state(&self, member: usize) -> MemberState {
        match &self.engine {
            Engine::Host(stack) => stack.state(member).clone(),
            Engine::Tensors(stack) => stack.state(member),
        }
    }

    /// Puts a member in the place of another.
    pub fn replace(&mut self, member: usize, state: &MemberState, inputs: &InputScaling) {
        match &mut self.engine {
            Engine::Host(stack) => stack.replace(member, state, inputs),
            Engine::Tensors(stack) => stack.replace(member, state, inputs),
        }
    }

    /// Lets the members leave for which `keep` is false.
    pub fn retain(&mut self, keep: &[bool]) {
        match &mut self.engine {
            Engine::Host(stack) => stack.retain(keep),
            Engine::Tensors(stack) => stack.retain(keep),
        }
    }
}
