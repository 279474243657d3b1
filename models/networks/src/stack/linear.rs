//! The stacked linear layer.

use burn::tensor::Tensor;

/// `x W + b` for every member. `x`: `[1 or E, B, in]`, `weight`: `[E, in, out]`,
/// `bias`: `[E, 1, out]`; result `[E, B, out]`.
pub(crate) fn linear(x: Tensor<3>, weight: Tensor<3>, bias: Tensor<3>) -> Tensor<3> {
    x.matmul(weight) + bias
}
