//! What a kind of network brings: its layout, and what computes it by hand on the host
//! ([`HostNetwork`]) and by tensor operations elsewhere ([`DeviceNetwork`]).

use crate::layout::{Layout, Row};
use crate::objective::Objective;
use burn::tensor::Tensor;
use std::any::Any;

/// What a network's shape says.
pub(crate) trait Kind {
    fn columns(&self) -> usize;
    fn checked_size(&self) -> Option<usize>;
    fn dropout(&self) -> f64;

    fn layouts(&self) -> [Layout; 2];

    /// Number of values that one event leaves in memory in a training step.
    fn activations(&self) -> usize;

    /// Widths of the layers on which dropout acts, in the order of the masks.
    fn dropout_widths(&self) -> Vec<usize>;
}

/// A network that computes its training step and its output by hand.
pub(crate) trait HostNetwork: Send + Sync {
    /// Number of values in a row of inputs: the columns of the table, and behind
    /// them ones up to this number.
    fn stride(&self) -> usize;

    /// One training batch of one member: L = sum over rows of `coefficient * loss`.
    /// Writes dL/d parameters into `gradient` `[P]` and the new running statistics
    /// into the member's row; returns L.
    fn gradient(
        &self,
        scratch: &mut Scratch,
        member: &mut Row,
        batch: &Batch,
        gradient: &mut [f32],
    ) -> f32;

    /// Output of rows `x` `[n, stride]` into `output` `[n]`: log r(x), or log p(x|c) of
    /// a flow. With running statistics and without dropout.
    fn output(&self, scratch: &mut Scratch, member: &Row, x: &[f32], output: &mut [f32]);
}

#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    /// Inputs `[B, stride]`; the first half is source.
    pub(crate) x: &'a [f32],
    /// Coefficient of each row in the loss, `[B]`; the division by the batch is in it.
    pub(crate) coefficients: &'a [f32],
    /// A mask `[B, W]` of 0 or 1/(1 - dropout) for every layer with dropout, one after
    /// the other; empty without dropout.
    pub(crate) masks: &'a [f32],
    /// Loss of a row; a flow's is its likelihood.
    pub(crate) objective: Objective,
}

/// Memory that a thread keeps between calls, for a network of any kind and shape.
#[derive(Default)]
pub(crate) struct Scratch(Option<Box<dyn Any + Send>>);

impl Scratch {
    /// As one kind has it; made anew if another kind had it.
    pub(crate) fn of<T: Any + Default + Send>(&mut self) -> &mut T {
        let held = self.0.take().and_then(|held| held.downcast::<T>().ok());
        let held = self.0.insert(held.unwrap_or_default());
        held.downcast_mut().expect("it is of this type")
    }
}

/// A network that is computed by tensor operations, all members at once.
pub(crate) trait DeviceNetwork: Send + Sync {
    /// Output `[E, B, 1]` of rows `x` `[1 or E, B, D]`: in training with the batch's
    /// statistics and with dropout, without it with running statistics.
    fn forward(
        &self,
        members: &Unpacked,
        x: Tensor<3>,
        training: Option<&mut Training>,
    ) -> Tensor<3>;
}

/// Members' parameters and running statistics, one tensor `[E, rows, cols]` each.
#[derive(Clone, Debug)]
pub(crate) struct Unpacked {
    pub(crate) parameters: Vec<Tensor<3>>,
    pub(crate) statistics: Vec<Tensor<3>>,
}

/// What a forward pass needs and leaves in training.
pub(crate) struct Training<'a> {
    /// A scaled dropout mask `[E, B, W]` a layer with dropout, or none.
    pub(crate) masks: &'a [Tensor<3>],
    /// New running statistics, in the layout's order, each `[E, 1, W]`.
    pub(crate) statistics: Vec<Tensor<3>>,
}

/// The stacked linear layer, `x W + b` for every member. `x`: `[1 or E, B, in]`,
/// `weight`: `[E, in, out]`, `bias`: `[E, 1, out]`; result `[E, B, out]`.
pub(crate) fn linear(x: Tensor<3>, weight: Tensor<3>, bias: Tensor<3>) -> Tensor<3> {
    x.matmul(weight) + bias
}
