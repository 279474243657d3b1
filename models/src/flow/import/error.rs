//! What can be wrong with tensors that should be a flow.

use thiserror::Error;

/// Why tensors are not a flow that can be read.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ImportError {
    /// The bound is not a positive number.
    #[error("spline bound {0}: expected the tail_bound of the nflows transform, a number above 0")]
    Bound(f64),
    /// No coupling, hence no size of a conditioner.
    #[error(
        "no coupling among the tensors: expected names as \
         _transform._transforms.2.transform_net.initial_layer.weight"
    )]
    NoCoupling,
    /// A name appears twice.
    #[error("{0} appears twice: pass every tensor of the state_dict once")]
    Duplicate(String),
    /// A tensor that belongs to something else.
    #[error(
        "{0} is not part of a batch norm, permutation, LULinear or rational-quadratic coupling \
         with a ResidualNet without batch norm: only these can be read"
    )]
    Unknown(String),
    /// A tensor is missing.
    #[error("{0} is missing: export the whole state_dict, buffers included")]
    Missing(String),
    /// A shape does not fit the others.
    #[error("{name} has shape {found:?}: expected {expected}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// What the other tensors imply.
        expected: String,
    },
    /// Shape and number of values contradict each other.
    #[error("{name} has {found} values: its shape {shape:?} stands for another number")]
    Length {
        /// The tensor.
        name: String,
        /// Number of values.
        found: usize,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A value that no trained flow has.
    #[error("{name} holds {value}: expected {expected}")]
    Value {
        /// The tensor.
        name: String,
        /// The value.
        value: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// A permutation does not name every feature once.
    #[error("{name} is not a permutation of 0..{features}")]
    Permutation {
        /// The tensor.
        name: String,
        /// `D`.
        features: usize,
    },
    /// A coupling does not transform every other feature.
    #[error(
        "{name}: expected the features {expected:?}; only alternating masks can be read, \
         with the even features transformed first"
    )]
    Mask {
        /// The tensor.
        name: String,
        /// What coupling number and D imply.
        expected: Vec<usize>,
    },
    /// A permutation that no LULinear follows.
    #[error("{0} is not followed by an LULinear: only both together are one step")]
    LonePermutation(String),
}
