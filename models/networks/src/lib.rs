//! Stacked networks: the member axis comes first, and one network is `E = 1`.
//!
//! An ensemble of `E` small networks is trained as one set of operations over
//! parameters `[E, in, out]` and batches `[E, B, D]`. All parameters of a
//! member lie in one row of a packed tensor `[E, P]` (see [`Layout`]), so that
//! the optimizer, gradient clipping, the copy of the best weights, and leaving
//! or joining a stack are each a few operations, whatever the architecture.
//!
//! A member does not know its neighbours: no operation mixes rows, reductions
//! are a member's own, and every random number comes from a key of the member's
//! own ([`sideband_numerics::random`]).
//!
//! This crate knows burn and knows no file; the rest of Sideband hands it host
//! slices and gets host vectors back. Axes: `E` members, `B` batch, `D`
//! features, `N` rows, `P` parameters.

mod device;
mod flow;
mod lanes;
mod mlp;
mod network;
mod objective;
mod spline;
mod stack;

pub use device::{Compute, DeviceError, DeviceInfo, Kernels, cpu_kernel, list_devices};
pub use flow::{FlowConfig, FlowSampler, FlowStep};
pub use mlp::{Activation, MlpConfig};
pub use network::{Network, NetworkConfig};
pub use objective::Objective;
pub use stack::{
    Batches, Clock, EVALUATION_CHUNK, EvaluationRows, Initial, InputScaling, Layout, MemberState,
    OptimizerConfig, ParameterSpec, Predictor, Row, Stack, StackConfig, Table,
};
