//! A template at a point of the model, bin after bin.

use super::derivatives::{Product, Triangle};
use super::sample::{BinFactor, BinFactorKind, Sample, Scaling};
use crate::Jet;
use crate::interpolation::InterpolationAt;

/// Up to which derivative something is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(in crate::histogram) enum Order {
    Value,
    First,
    Second,
}

pub(super) struct Point<'a> {
    pub(super) at: &'a [f64],
    pub(super) parameters: &'a [usize],
    pub(super) interpolations: Vec<InterpolationAt>,
}

impl Point<'_> {
    fn value(&self, place: usize) -> f64 {
        self.at[self.parameters[place]]
    }
}

/// `F` at a point.
pub(super) struct Scale {
    pub(super) value: f64,
    /// Parameters with the derivatives of `F`; a parameter may be there twice.
    pub(super) slopes: Vec<(usize, f64)>,
    /// The product of parameters and coefficients, in [`Sample::scaled_by`].
    scaling: Jet,
    responses: Product,
    /// The product of the responses.
    response: f64,
}

/// A template at a point, and in the bin that is evaluated.
pub(super) struct SampleAt {
    pub(super) scale: Scale,
    /// `S_b G_b`.
    pub(super) content: f64,
    sum: f64,
    product: f64,
    /// Derivatives of the variations of the bin.
    variations: Vec<[f64; 2]>,
    factors: Product,
    /// `sum_b c_b S_b G_b` with the weights `c_b` of the bins, and its derivatives by the
    /// parameters of the shape.
    pub(super) weighted: f64,
    pub(super) weighted_slopes: Vec<f64>,
}

impl Sample {
    pub(super) fn at(&self, point: &Point<'_>, order: Order) -> SampleAt {
        SampleAt {
            scale: self.scale(point, order),
            content: 0.0,
            sum: 0.0,
            product: 1.0,
            variations: Vec::new(),
            factors: Product::default(),
            weighted: 0.0,
            weighted_slopes: vec![0.0; self.shape.len()],
        }
    }

    fn scale(&self, point: &Point<'_>, order: Order) -> Scale {
        let mut jet = Jet::default();
        jet.reset(1.0, self.scaled_by.len(), order == Order::Second);
        for scaling in &self.scalings {
            match scaling {
                Scaling::Parameter(own) => {
                    jet.multiply(*own, [point.value(self.scaled_by[*own]), 1.0, 0.0]);
                }
                Scaling::Coefficient(f, _) if order == Order::Value => {
                    jet.value *= f.value(point.at);
                }
                Scaling::Coefficient(f, own) => {
                    let u = f.jet(point.at);
                    jet.multiply_by(own, u.value, &u.gradient, &u.hessian);
                }
            }
        }
        let mut responses = Product::default();
        for response in &self.responses {
            let at = &point.interpolations[response.interpolation];
            responses.push(at.relative(&response.ends));
        }
        let response = responses.multiply();
        let mut slopes = Vec::new();
        if order > Order::Value {
            let of_scalings = self.scaled_by.iter().zip(&jet.gradient);
            slopes.extend(of_scalings.map(|(place, slope)| (*place, slope * response)));
            let of_responses = self.responses.iter().enumerate();
            slopes.extend(of_responses.map(|(i, r)| (r.parameter, jet.value * responses.slope(i))));
        }
        Scale {
            value: jet.value * response,
            slopes,
            scaling: jet,
            responses,
            response,
        }
    }

    /// Adds `weight` times the second derivatives of `F`.
    pub(super) fn curve_of_scale(&self, weight: f64, scale: &Scale, hessian: &mut Triangle) {
        let jet = &scale.scaling;
        let m = self.scaled_by.len();
        for (i, p) in self.scaled_by.iter().enumerate() {
            for (j, q) in self.scaled_by.iter().enumerate().skip(i) {
                hessian.add(*p, *q, weight * scale.response * jet.hessian[i * m + j]);
            }
            for (k, response) in self.responses.iter().enumerate() {
                let slope = jet.gradient[i] * scale.responses.slope(k);
                hessian.add_cross(*p, response.parameter, weight * slope);
            }
        }
        let weight = weight * jet.value;
        if weight == 0.0 {
            return;
        }
        scale.responses.curve(|i, j, x| {
            let [p, q] = [i, j].map(|k| self.responses[k].parameter);
            if i == j {
                hessian.add(p, p, weight * x);
            } else {
                hessian.add_cross(p, q, weight * x);
            }
        });
    }

    /// Evaluates a bin.
    pub(super) fn bin(&self, bin: usize, point: &Point<'_>, here: &mut SampleAt) {
        here.variations.clear();
        here.sum = self.nominal[bin];
        for variation in self.variations.of(bin) {
            let at = &point.interpolations[variation.interpolation];
            let [value, first, second] = at.term(variation.down, variation.up);
            here.sum += value;
            here.variations.push([first, second]);
        }
        here.factors.clear();
        for factor in self.factors.of(bin) {
            here.factors.push(match &factor.kind {
                BinFactorKind::Parameter => [point.value(self.shape[factor.slot]), 1.0, 0.0],
                BinFactorKind::Response {
                    interpolation,
                    ends,
                } => point.interpolations[*interpolation].relative(ends),
            });
        }
        here.product = here.factors.multiply();
        here.content = here.sum * here.product;
    }

    /// Places in [`Sample::shape`] with the derivatives of `S_b G_b`; one may be there twice.
    pub(super) fn slopes(&self, bin: usize, here: &SampleAt, mut visit: impl FnMut(usize, f64)) {
        for (variation, [first, _]) in self.variations.of(bin).iter().zip(&here.variations) {
            visit(variation.slot, first * here.product);
        }
        for (i, factor) in self.factors.of(bin).iter().enumerate() {
            visit(factor.slot, here.sum * here.factors.slope(i));
        }
    }

    /// Adds `weight` times the second derivatives of `S_b G_b`.
    pub(super) fn curve_of_bin(
        &self,
        bin: usize,
        weight: f64,
        here: &SampleAt,
        hessian: &mut Triangle,
    ) {
        let factors = self.factors.of(bin);
        let place = |factor: &BinFactor| self.shape[factor.slot];
        let variations = self.variations.of(bin).iter().zip(&here.variations);
        for (variation, [first, second]) in variations {
            let p = self.shape[variation.slot];
            hessian.add(p, p, weight * second * here.product);
            for (i, factor) in factors.iter().enumerate() {
                let slope = weight * first * here.factors.slope(i);
                hessian.add_cross(p, place(factor), slope);
            }
        }
        let weight = weight * here.sum;
        here.factors.curve(|i, j, x| {
            let (p, q) = (place(&factors[i]), place(&factors[j]));
            if i == j {
                hessian.add(p, p, weight * x);
            } else {
                hessian.add_cross(p, q, weight * x);
            }
        });
    }
}
