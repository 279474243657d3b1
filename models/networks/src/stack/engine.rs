//! What all stacks have, whatever computes them: a configuration, members, steps.

use super::data::{Batches, InputScaling, Rows, Table};
use super::optimizer::{Clock, OptimizerConfig};
use crate::layout::Row;
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

impl StackConfig {
    /// Adam with its usual constants, no clipping and no penalty.
    pub fn new(network: impl Into<NetworkConfig>, objective: Objective) -> Self {
        Self {
            network: network.into(),
            objective,
            optimizer: OptimizerConfig::default(),
            gradient_clip: None,
            l2: 0.0,
        }
    }
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

/// What computes a stack; see [`Stack`](super::Stack).
pub(super) trait Engine: Send {
    fn members(&self) -> usize;
    fn train(&mut self, table: &Table, batches: &Batches, batch: usize);
    fn take_losses(&mut self, taken: &[bool]) -> Vec<f64>;
    fn largest_parameters(&self) -> Vec<f32>;
    fn evaluate(&self, members: &[usize], table: &Table, rows: &Rows) -> Vec<f64>;
    fn keep_best(&mut self, improved: &[bool]);
    fn best(&self, member: usize) -> Row;
    fn state(&self, member: usize) -> MemberState;
    fn replace(&mut self, member: usize, state: &MemberState, inputs: &InputScaling);
    fn retain(&mut self, keep: &[bool]);
}
