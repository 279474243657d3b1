//! Defaults of several tables.

/// A default number.
pub(super) fn count<const N: usize>() -> usize {
    N
}

/// The same.
pub(super) fn number<const N: u32>() -> u32 {
    N
}

/// The default of `data.max_loss`.
pub(super) fn max_loss() -> f64 {
    0.05
}

/// Whether a value is its default, so that it need not be written.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
