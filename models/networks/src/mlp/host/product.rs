//! The three matrix products of a layer, by `gemm`: the kernels that burn's own CPU
//! backend computes with. A member's weights are read where they lie, without padding
//! and without copies.

use gemm::{Parallelism, gemm};

/// A matrix, row by row or turned.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// `values` are whole rows of length `stride`, of which the first `columns` count.
    pub(super) fn new(values: &'a [f32], columns: usize, stride: usize) -> Self {
        assert!(columns <= stride && stride > 0 && values.len().is_multiple_of(stride));
        Self {
            values,
            rows: values.len() / stride,
            columns,
            row_stride: stride,
            column_stride: 1,
        }
    }

    fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The columns from `first` on, as many as asked for.
    fn columns_from(self, first: usize, columns: usize) -> Self {
        assert!(first + columns <= self.columns);
        Self {
            values: &self.values[(first * self.column_stride).min(self.values.len())..],
            columns,
            ..self
        }
    }
}

/// What happens to the values that are there already.
#[derive(Clone, Copy, PartialEq)]
enum Held {
    Replaced,
    Added,
}

/// `to = input weight`, one value a column of `weight` in every row of `to`.
pub(super) fn forward(input: View, weight: View, to: &mut [f32], stride: usize) {
    multiply(input, weight, to, stride, Held::Replaced);
}

/// `to = by_result weight^T`.
pub(super) fn input_gradient(by_result: View, weight: View, to: &mut [f32], stride: usize) {
    multiply(by_result, weight.transposed(), to, stride, Held::Replaced);
}

/// `to += input^T by_result`, for as many columns of `input` from `first` on as
/// `to` has rows.
pub(super) fn add_weight_gradient(input: View, first: usize, by_result: View, to: &mut [f32]) {
    let columns = by_result.columns;
    let rows = to.len() / columns.max(1);
    let input = input.columns_from(first, rows).transposed();
    multiply(input, by_result, to, columns, Held::Added);
}

#[expect(
    unsafe_code,
    reason = "gemm takes pointers; every index is checked before"
)]
fn multiply(a: View, b: View, to: &mut [f32], stride: usize, held: Held) {
    let last = |rows: usize, row_stride: usize, columns: usize, column_stride: usize| {
        let last = |count: usize, stride: usize| count.saturating_sub(1).checked_mul(stride);
        last(rows, row_stride)?.checked_add(last(columns, column_stride)?)
    };
    let inside = |m: &View| {
        let last = last(m.rows, m.row_stride, m.columns, m.column_stride);
        last.is_some_and(|last| last < m.values.len())
    };
    if a.rows == 0 || b.columns == 0 || a.columns == 0 {
        return;
    }
    assert!(a.columns == b.rows && b.columns <= stride && inside(&a) && inside(&b));
    assert!(last(a.rows, stride, b.columns, 1).is_some_and(|last| last < to.len()));
    // SAFETY: the asserts above keep row * row_stride + column * column_stride below the
    // length of each of the three slices for all rows and columns that are passed;
    // `to` is borrowed mutably, so it overlaps neither factor. Strides are below the
    // slices' lengths and so fit an isize.
    unsafe {
        gemm(
            a.rows,
            b.columns,
            a.columns,
            to.as_mut_ptr(),
            1,
            stride as isize,
            held == Held::Added,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
