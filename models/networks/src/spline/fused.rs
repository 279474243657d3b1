//! The spline as one operation of the backend, with its own gradient.
//!
//! burn differentiates what it knows; an operation it does not know brings its
//! derivative along ([`Spline`] for [`Autodiff`]). A node of the graph has one
//! output, so the values and the log-derivatives are packed, `[2, E, B, T]`;
//! the gradient has two and needs no node. Nothing is kept for the gradient but
//! the operands: computing the bin again is cheaper than storing it.

use super::form::{Direction, SplineConfig};
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Shape, Tensor};

/// See [`super::Implementation::apply`]. f32 only.
pub(super) fn apply(
    config: &SplineConfig,
    direction: Direction,
    x: Tensor<3>,
    theta: Tensor<3>,
) -> (Tensor<3>, Tensor<3>) {
    let shape = x.dims();
    let packed =
        <Dispatch as Spline>::spline(x.into_dispatch(), theta.into_dispatch(), *config, direction);
    let packed = Tensor::<4>::from_dispatch(packed);
    let part = |index| packed.clone().narrow(0, index, 1).reshape(shape);
    (part(0), part(1))
}

/// The shape of the packed result: values, then log-derivatives.
pub(super) fn packed(x: &Shape) -> Shape {
    [2, x[0], x[1], x[2]].into()
}

/// A backend that evaluates the spline in one operation.
#[backend_extension(Cube, Fusion, Autodiff)]
pub(super) trait Spline: Backend {
    /// `x` `[E, B, T]`, `theta` `[E, B, T (3K - 1)]`; result `[2, E, B, T]`.
    #[fusion(dtype = x, shape = packed(x))]
    fn spline(
        x: FloatTensor<Self>,
        theta: FloatTensor<Self>,
        config: SplineConfig,
        direction: Direction,
    ) -> FloatTensor<Self>;
}

/// A backend that evaluates the gradient of [`Spline::spline`].
#[backend_extension(Cube, Fusion)]
pub(super) trait SplineGradient: Backend {
    /// From the gradient `[2, E, B, T]` at the result to those at `x` and `theta`.
    #[fusion(meta = |x, theta, _gradient, _config, _direction| (x.clone(), theta.clone()))]
    fn spline_gradient(
        x: FloatTensor<Self>,
        theta: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        config: SplineConfig,
        direction: Direction,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl<B: Spline + SplineGradient, C: CheckpointStrategy> Spline for Autodiff<B, C> {
    fn spline(
        x: FloatTensor<Self>,
        theta: FloatTensor<Self>,
        config: SplineConfig,
        direction: Direction,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct SplineBackward;

        impl<B: SplineGradient> Backward<B, 2> for SplineBackward {
            type State = (FloatTensor<B>, FloatTensor<B>, SplineConfig, Direction);

            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let [x_node, theta_node] = ops.parents;
                let gradient = gradients.consume::<B>(&ops.node);
                let (x, theta, config, direction) = ops.state;
                let (for_x, for_theta) = B::spline_gradient(x, theta, gradient, config, direction);
                if let Some(node) = x_node {
                    gradients.register::<B>(node.id, for_x);
                }
                if let Some(node) = theta_node {
                    gradients.register::<B>(node.id, for_theta);
                }
            }
        }

        let nodes = [x.node(), theta.node()];
        let backward = SplineBackward.prepare::<C>(nodes);
        match backward.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (x, theta) = (x.primitive().clone(), theta.primitive().clone());
                let out = B::spline(x.clone(), theta.clone(), config, direction);
                prepared.finish((x, theta, config, direction), out)
            }
            OpsKind::UnTracked(prepared) => {
                let (x, theta) = (x.into_primitive(), theta.into_primitive());
                prepared.finish(B::spline(x, theta, config, direction))
            }
        }
    }
}
