//! The member axis: layers, parameters, optimizer and training step of a stack.

pub(crate) mod batch_norm;
mod batches;
mod evaluate;
mod host;
mod layout;
mod linear;
mod optimizer;
mod predict;
mod table;
mod tensors;
mod training;

pub use batches::Batches;
pub use evaluate::{EVALUATION_CHUNK, EvaluationRows};
pub use layout::{Initial, Layout, ParameterSpec};
pub use optimizer::{Clock, OptimizerConfig};
pub use predict::Predictor;
pub use table::{InputScaling, Table};
pub use training::{MemberState, Row, Stack, StackConfig};

pub(crate) use linear::linear;
pub(crate) use tensors::download;
