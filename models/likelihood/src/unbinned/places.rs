//! Where the sums over events lie, with their derivatives.

use super::sample::Layout;
use sideband_numerics::lanes::double::WIDEST;

/// Partial sums that are kept beside each other: the lanes of the widest register.
pub(super) const ROW: usize = WIDEST;

/// The places of the sums: rows of [`ROW`] partial sums.
pub(super) struct Sums {
    processes: usize,
    responses: usize,
    /// Per process the first row of its second derivatives, and its first response.
    within: Vec<(usize, usize)>,
    rows: usize,
}

impl Sums {
    pub(super) fn new(layout: &Layout) -> Self {
        let (processes, responses) = (layout.processes.len(), layout.responses.len());
        let dimension = layout.dimension();
        let mut rows = 1 + processes + responses + triangle(dimension);
        let mut within = Vec::with_capacity(processes);
        for range in &layout.processes {
            within.push((rows, range.start));
            rows += triangle(range.len());
        }
        Self {
            processes,
            responses,
            within,
            rows,
        }
    }

    /// The number of rows for derivatives up to `order`.
    pub(super) fn rows(&self, order: usize) -> usize {
        match order {
            0 => 1,
            1 => 1 + self.processes + self.responses,
            _ => self.rows,
        }
    }

    #[inline(always)]
    pub(super) fn row<'a>(&self, sums: &'a mut [f64], row: usize) -> &'a mut [f64] {
        &mut sums[row * ROW..(row + 1) * ROW]
    }

    /// First derivative by a rate.
    #[inline(always)]
    pub(super) fn rate(&self, process: usize) -> usize {
        1 + process
    }

    /// First derivative by the parameter of a response, for a rate of 1.
    #[inline(always)]
    pub(super) fn response(&self, response: usize) -> usize {
        1 + self.processes + response
    }

    /// `w phi'' q_a q_b`, `a >= b`.
    #[inline(always)]
    pub(super) fn outer(&self, a: usize, b: usize) -> usize {
        1 + self.processes + self.responses + triangle(a) + b
    }

    /// Second derivative by the parameters of two responses `k >= l` of a process, for
    /// a rate of 1.
    #[inline(always)]
    pub(super) fn within(&self, process: usize, k: usize, l: usize) -> usize {
        let (row, first) = self.within[process];
        row + triangle(k - first) + (l - first)
    }
}

/// Entries of a triangle with its diagonal.
const fn triangle(n: usize) -> usize {
    n * (n + 1) / 2
}
