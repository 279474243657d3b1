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
//!
//! A network that learns the ratio of two normal densities:
//!
//! ```
//! use sideband_networks::{Activation, Batches, Compute, InputScaling, MemberState, MlpConfig};
//! use sideband_networks::{Network, Objective, Predictor, Stack, StackConfig, Table};
//! use sideband_numerics::random::Key;
//!
//! let compute = Compute::open("cpu")?;
//! let network = Network::new(MlpConfig::new(1, &[8], Activation::Silu));
//! let config = StackConfig::new(network.config().clone(), Objective::CrossEntropy);
//! // 1000 rows of the source around 0, and as many of the target around 1
//! let key = Key::from_seed(1);
//! let feature = |row: u64| key.normal(row) as f32 + if row < 1000 { 0.0 } else { 1.0 };
//! let table = Table::new(&compute, (0..2000).map(feature).collect(), 1);
//! let inputs = InputScaling::identity(1);
//! let start = MemberState::start(network.initial(key));
//! let mut stack = Stack::new(&compute, config, &[start], &[inputs.clone()]);
//! // 300 steps of 32 rows each
//! let row = |i: u64| (key.with(1).at(i) % 1000 + if i % 64 < 32 { 0 } else { 1000 }) as i32;
//! stack.train(
//!     &table,
//!     &Batches {
//!         steps: 300,
//!         rows: (0..300 * 64).map(row).collect(),
//!         coefficients: vec![1.0 / 32.0; 300 * 64],
//!         learning_rates: vec![1e-2],
//!         dropout_keys: vec![key],
//!         first_steps: vec![0],
//!     },
//! );
//! let predictor = Predictor::new(&compute, &network, &inputs, &[stack.state(0).row]);
//! // the logarithm of the ratio is x - 1/2
//! for (log_r, x) in predictor.output(&[0.0, 0.5, 1.0]).iter().zip([0.0, 0.5, 1.0]) {
//!     assert!((log_r - (x - 0.5)).abs() < 0.3, "{x} {log_r}");
//! }
//! # Ok::<(), sideband_networks::DeviceError>(())
//! ```

mod buffer;
mod device;
mod flow;
mod kind;
mod layout;
mod mlp;
mod network;
mod objective;
mod spline;
mod stack;

pub use device::{Compute, DeviceError, DeviceInfo, Kernels, backends, cpu_kernel, list_devices};
pub use flow::{FlowConfig, FlowSampler, FlowStep};
pub use layout::{Initial, Layout, ParameterSpec, Row};
pub use mlp::{Activation, MlpConfig};
pub use network::{Network, NetworkConfig};
pub use objective::Objective;
pub use stack::{
    Batches, Clock, EVALUATION_CHUNK, EvaluationRows, InputScaling, MemberState, OptimizerConfig,
    Predictor, Stack, StackConfig, Table,
};
