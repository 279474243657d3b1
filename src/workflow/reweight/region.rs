//! The numbers of a region: its yields and distributions, with their errors.

use super::sums::{ReweightedRegion, ReweightedVariable, SourceSums};
use crate::results::{VariableMetrics, YieldMetrics, yield_test};
use crate::statistics::{EnsembleHistogram, WeightSummary};
use crate::workflow::metrics::{
    Component, Correlations, add, compare, observed, relative_spread, yields,
};
use crate::workflow::normalisation::Normalisation;
use crate::workflow::plan::Variable;
use crate::workflow::sample::Sample;

/// Share of the target's yield in the training region above which a region's own events
/// fix its prediction: out of fold, all of them do.
const FIXED: f64 = 0.5;

/// How a region hangs together with the training region.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Overlap {
    /// No event is in both.
    None,
    /// Some events are in both.
    Some,
    /// The region's own events fix the normalisation.
    Fixed,
}

/// The events of a region that enter its numbers.
pub(super) struct RegionRows<'a> {
    all: &'a SourceSums<'a>,
    normalisation: &'a Normalisation,
    pub(super) source: Vec<usize>,
    /// None where they are blind.
    pub(super) target: Option<Vec<usize>>,
    overlap: Overlap,
}

impl SourceSums<'_> {
    /// The events of a region, and how they hang together with the training region's.
    pub(super) fn rows<'s>(
        &'s self,
        region: usize,
        shown: bool,
        normalisation: &'s Normalisation,
    ) -> RegionRows<'s> {
        let rows = |sample: &Sample| -> Vec<usize> {
            let all = sample.in_region(region);
            all.filter(|i| self.enters(sample, *i)).collect()
        };
        let (source, target) = (self.plan.source(), self.plan.target());
        let (of_source, of_target) = (rows(source), shown.then(|| rows(target)));
        let shared = of_source.iter().filter(|i| source.is_in(**i, self.trained));
        let weight: f64 = shared.clone().map(|i| self.nominal[*i]).sum();
        let mut observed = of_target.iter().flatten();
        let is_apart = shared.count() == 0 && !observed.any(|i| target.is_in(*i, self.trained));
        RegionRows {
            overlap: match is_apart {
                true => Overlap::None,
                false if weight > FIXED * normalisation.target => Overlap::Fixed,
                false => Overlap::Some,
            },
            source: of_source,
            target: of_target,
            all: self,
            normalisation,
        }
    }
}

impl RegionRows<'_> {
    pub(super) fn yields(&self, sums: &ReweightedRegion, weights: &WeightSummary) -> YieldMetrics {
        let (all, normalisation) = (self.all, self.normalisation);
        let (source, target) = (all.plan.source(), all.plan.target());
        let squares = |sample: &Sample, rows: &[usize], weights: &[f64]| -> f64 {
            let shared = rows.iter().filter(|i| sample.is_in(**i, all.trained));
            shared.map(|i| weights[*i].powi(2)).sum()
        };
        let of_target = &target.table.weights;
        let found = self.target.as_ref();
        let shared = squares(source, &self.source, &all.nominal) * normalisation.shares[0]
            + found.map_or(0.0, |rows| squares(target, rows, of_target)) * normalisation.shares[1];
        let found = found.map(|rows| WeightSummary::of(rows.iter().map(|i| of_target[*i])));
        let nominal = [weights.sum];
        let correlation = match self.overlap {
            Overlap::Some => normalisation.correlation(&nominal, &[shared])[0][0],
            Overlap::None | Overlap::Fixed => 0.0,
        };
        let components = self.components(&sums.total, &nominal);
        let before = WeightSummary::of(self.source.iter().map(|i| all.before(*i)));
        let mut yields = YieldMetrics {
            before: Some(before.sum),
            before_stat: Some(before.error),
            raw_relative_spread: relative_spread(&sums.raw),
            is_fixed: self.overlap == Overlap::Fixed,
            ..yields(found, [weights.sum, weights.error], &components)
        };
        let unit = normalisation.target_variance / normalisation.target;
        yield_test(&mut yields, correlation, unit);
        yields
    }

    /// Members and normalisation. Replicas that are resampled are each brought to their
    /// own resampling of the source, where the region has no events of it.
    fn components(&self, members: &EnsembleHistogram, nominal: &[f64]) -> [Component; 2] {
        let factors = self.normalisation.factors.as_ref();
        let factors = factors.filter(|_| self.overlap == Overlap::None);
        let scaled = factors.map(|factors| members.scaled(factors));
        let members = scaled.unwrap_or_else(|| members.clone());
        let of_counts = self.normalisation.component(nominal, factors.is_some());
        [Component::draws("members", members), of_counts]
    }

    pub(super) fn variable(
        &self,
        variable: &Variable,
        sums: &ReweightedVariable,
    ) -> VariableMetrics {
        let (all, normalisation) = (self.all, self.normalisation);
        let (plan, target) = (all.plan, all.plan.target());
        let found = self.target.as_ref();
        let found = found.map(|rows| observed(plan, variable, rows));
        let (before, after) = (&sums.before.values, &sums.after.values);
        let mut of_before = normalisation.before(before).covariance(before);
        let mut of_after = None;
        if self.overlap == Overlap::Some {
            let shared = self.target.iter().flatten().copied();
            let shared: Vec<usize> = shared.filter(|i| target.is_in(*i, all.trained)).collect();
            let observed = observed(plan, variable, &shared).variances;
            let [source, target] = normalisation.shares;
            let correlation = |nominal: &[f64], of_source: &[f64]| {
                let pairs = observed.iter().zip(of_source);
                let together: Vec<f64> = pairs.map(|(o, s)| target * o + source * s).collect();
                normalisation.correlation(nominal, &together)
            };
            add(&mut of_before, &correlation(before, &sums.shared[0]));
            of_after = Some(correlation(after, &sums.shared[1]));
        }
        let correlations = Correlations {
            before: Some(of_before),
            after: of_after,
        };
        let components = self.components(&sums.members, after);
        let (before, after) = (Some(&sums.before), &sums.after);
        compare(variable, before, after, &components, found, &correlations)
    }
}
