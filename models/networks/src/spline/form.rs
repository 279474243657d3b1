//! The form of a spline, and which way it is read.

/// Least width and least height of a bin, as a share of the whole interval.
pub(crate) const MIN_BIN: f64 = 1e-3;

/// Least derivative at an inner knot.
pub(crate) const MIN_DERIVATIVE: f64 = 1e-3;

/// The form of a spline; the parameters are tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SplineConfig {
    /// Bins, `K >= 2`.
    pub(crate) bins: usize,
    /// Half the interval, `B > 0`; the identity beyond.
    pub(crate) bound: f64,
    /// Divides the widths and heights before their softmax; `sqrt(H)` behind a
    /// conditioner of `H` hidden units keeps a fresh spline near the identity.
    pub(crate) scale: f64,
}

impl SplineConfig {
    /// Free parameters of a transformed value, `3K - 1`.
    pub(crate) fn parameters(&self) -> usize {
        3 * self.bins - 1
    }
}

/// Which way the spline is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the data to the latent value.
    Forward,
    /// From the latent value to the data.
    Inverse,
}
