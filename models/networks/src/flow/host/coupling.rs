//! The coupling: every other feature is mapped by a spline whose theta the
//! conditioner computes from the remaining features and the context.
//!
//! Source: Durkan et al., arXiv:1906.04032, section 3.

use super::conditioner::{Conditioner, Shape, Work};
use super::spline::{Backward, Map, Spline};
use super::tile::TILE;
use crate::flow::FlowConfig;
use pulp::Arch;

/// One coupling.
#[derive(Clone, Debug)]
pub(super) struct Coupling {
    transformed: Vec<usize>,
    passed: Vec<usize>,
    spline: Spline,
    pub(super) conditioner: Conditioner,
}

/// What a coupling reads: its parameters, their padded copy, and the dropout
/// masks `[events, H]` of each block for the tile's events.
pub(super) struct Given<'a, M> {
    pub(super) parameters: &'a [f32],
    pub(super) padded: &'a [f32],
    /// `[C, TILE]`.
    pub(super) context: &'a [f32],
    pub(super) mask: M,
}

impl Coupling {
    /// The coupling with a number among the couplings of a flow.
    pub(super) fn new(config: &FlowConfig, number: usize) -> Self {
        let (transformed, passed): (Vec<_>, Vec<_>) =
            (0..config.features).partition(|feature| feature % 2 == number % 2);
        let spline = Spline {
            bins: config.bins,
            bound: config.bound,
            scale: (config.hidden as f64).sqrt().recip(),
        };
        let conditioner = Conditioner::new(Shape {
            passed: passed.len(),
            context: config.context,
            hidden: config.hidden,
            blocks: config.blocks,
            outputs: transformed.len() * spline.parameters(),
        });
        Self {
            transformed,
            passed,
            spline,
            conditioner,
        }
    }

    /// Theta of the tile `x` `[D, TILE]`.
    fn condition<'m, M>(&self, arch: Arch, given: &Given<M>, x: &[f32], work: &mut Work)
    where
        M: Fn(usize) -> Option<&'m [f32]>,
    {
        let rows = self.passed.len() * TILE;
        let inputs = work.inputs.get(rows + given.context.len());
        let (passed, context) = inputs.split_at_mut(rows);
        for (feature, to) in self.passed.iter().zip(passed.chunks_exact_mut(TILE)) {
            to.copy_from_slice(&x[feature * TILE..(feature + 1) * TILE]);
        }
        context.copy_from_slice(given.context);
        self.conditioner
            .forward(arch, given.parameters, given.padded, &given.mask, work);
    }

    /// Maps the tile `x` `[D, TILE]` in place and adds to `log_det` `[TILE]`; the
    /// inverse where `INVERSE`.
    pub(super) fn map<'m, M, const INVERSE: bool>(
        &self,
        arch: Arch,
        given: &Given<M>,
        x: &mut [f32],
        log_det: &mut [f32],
        work: &mut Work,
    ) where
        M: Fn(usize) -> Option<&'m [f32]>,
    {
        self.condition(arch, given, x, work);
        arch.dispatch(Map::<INVERSE> {
            spline: self.spline,
            transformed: &self.transformed,
            theta: work.theta.get(self.conditioner.shape().outputs * TILE),
            x,
            log_det,
        });
    }

    /// Replaces the gradient by the mapped tile by that by the tile `x`, and adds
    /// that by the parameters to the sums in `work`.
    pub(super) fn backward<'m, M>(
        &self,
        arch: Arch,
        given: &Given<M>,
        x: &[f32],
        by_log_det: &[f32],
        gradient: &mut [f32],
        work: &mut Work,
    ) where
        M: Fn(usize) -> Option<&'m [f32]>,
    {
        self.condition(arch, given, x, work);
        arch.dispatch(Backward {
            spline: self.spline,
            transformed: &self.transformed,
            theta: work.theta.get(self.conditioner.shape().outputs * TILE),
            x,
            gradient,
            by_log_det,
        });
        self.conditioner
            .backward(arch, given.padded, &given.mask, work);
        let by_passed = work.by_passed.held(self.passed.len() * TILE);
        for (feature, from) in self.passed.iter().zip(by_passed.chunks_exact(TILE)) {
            let to = &mut gradient[feature * TILE..(feature + 1) * TILE];
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        }
    }
}
