//! The templates of a channel as they are evaluated.
//!
//! A published workspace has a hundred nuisance parameters a sample, most of which vary the
//! rate and hardly a bin. Here is what varies something alone: parameters have places in the
//! channel, a bin knows the variations that change it, second derivatives of what is added
//! are diagonal, and what depends on a nuisance parameter alone is computed once a point.

mod compiler;
mod derivatives;
mod point;
mod sample;

pub(super) use point::Order;

use super::template::Template;
use crate::Interpolation;
use crate::interpolation::InterpolationAt;
use compiler::Compiler;
use derivatives::Triangle;
use point::{Point, SampleAt};
use sample::Sample;
use std::collections::BTreeSet;

/// All templates of a channel. Parameters are places among [`Compiled::parameters`].
pub(super) struct Compiled {
    bins: usize,
    /// What any bin depends on, as ascending places in the model.
    parameters: Vec<usize>,
    /// Each parameter and code that interpolate, once.
    interpolations: Vec<(usize, Interpolation)>,
    samples: Vec<Sample>,
}

impl Compiled {
    /// Templates that were checked, of as many bins.
    pub(super) fn new(templates: &[Template]) -> Self {
        let mut parameters = BTreeSet::new();
        for template in templates {
            template.used(&mut parameters);
        }
        let parameters: Vec<usize> = parameters.into_iter().collect();
        let places = parameters.iter().enumerate().map(|(i, k)| (*k, i));
        let mut compiler = Compiler::new(places.collect());
        Self {
            bins: templates.first().map_or(0, |t| t.nominal.len()),
            samples: templates.iter().map(|t| compiler.sample(t)).collect(),
            interpolations: compiler.interpolations,
            parameters,
        }
    }

    /// What the bins depend on, as ascending places in the model.
    pub(super) fn parameters(&self) -> &[usize] {
        &self.parameters
    }

    /// Starts an evaluation at a point of the model, `[n]`.
    pub(super) fn at<'a>(&'a self, at: &'a [f64], order: Order) -> Evaluation<'a> {
        let interpolations = self.interpolations.iter();
        let interpolations: Vec<InterpolationAt> = interpolations
            .map(|(place, code)| InterpolationAt::new(*code, at[self.parameters[*place]]))
            .collect();
        let point = Point {
            at,
            parameters: &self.parameters,
            interpolations,
        };
        let samples = self.samples.iter().map(|s| s.at(&point, order));
        let u = self.parameters.len();
        Evaluation {
            samples: samples.collect(),
            row: vec![0.0; u],
            gradient: vec![0.0; u],
            hessian: Triangle::new(if order == Order::Second { u } else { 0 }),
            compiled: self,
            point,
            order,
        }
    }

    /// Contents of the templates at a point, `[templates, bins]`.
    pub(super) fn contributions(&self, at: &[f64]) -> Vec<Vec<f64>> {
        let mut evaluation = self.at(at, Order::Value);
        let mut all = vec![vec![0.0; self.bins]; self.samples.len()];
        for bin in 0..self.bins {
            evaluation.bin(bin);
            for (contents, sample) in all.iter_mut().zip(&evaluation.samples) {
                contents[bin] = sample.scale.value * sample.content;
            }
        }
        all
    }
}

/// An evaluation at one point, bin after bin.
pub(super) struct Evaluation<'a> {
    compiled: &'a Compiled,
    point: Point<'a>,
    order: Order,
    samples: Vec<SampleAt>,
    /// The derivatives of one bin's expected count.
    row: Vec<f64>,
    gradient: Vec<f64>,
    hessian: Triangle,
}

impl Evaluation<'_> {
    /// The expected count of a bin.
    pub(super) fn bin(&mut self, bin: usize) -> f64 {
        let mut lambda = 0.0;
        for (sample, here) in self.compiled.samples.iter().zip(&mut self.samples) {
            sample.bin(bin, &self.point, here);
            lambda += here.scale.value * here.content;
        }
        lambda
    }

    /// Adds `f` of the expected count of the bin that was evaluated last, given by its first
    /// and second derivative in that count.
    pub(super) fn add(&mut self, bin: usize, first: f64, second: f64) {
        for (sample, here) in self.compiled.samples.iter().zip(&mut self.samples) {
            here.weighted += first * here.content;
            let mut slopes = std::mem::take(&mut here.weighted_slopes);
            sample.slopes(bin, here, |slot, slope| slopes[slot] += first * slope);
            here.weighted_slopes = slopes;
            if self.order < Order::Second {
                continue;
            }
            let factor = here.scale.value;
            sample.curve_of_bin(bin, first * factor, here, &mut self.hessian);
            if second == 0.0 {
                continue;
            }
            for (place, slope) in &here.scale.slopes {
                self.row[*place] += slope * here.content;
            }
            let row = &mut self.row;
            sample.slopes(bin, here, |slot, slope| {
                row[sample.shape[slot]] += factor * slope;
            });
        }
        if self.order == Order::Second && second != 0.0 {
            self.hessian.add_square(second, &self.row);
            self.row.fill(0.0);
        }
    }

    /// Adds what the sums over bins make of the gradient to that of the model, `[n]`.
    pub(super) fn add_gradient(&mut self, to: &mut [f64]) {
        for (sample, here) in self.compiled.samples.iter().zip(&self.samples) {
            for (place, slope) in &here.scale.slopes {
                self.gradient[*place] += slope * here.weighted;
            }
            for (place, slope) in sample.shape.iter().zip(&here.weighted_slopes) {
                self.gradient[*place] += here.scale.value * slope;
            }
        }
        for (parameter, slope) in self.compiled.parameters.iter().zip(&self.gradient) {
            to[*parameter] += slope;
        }
    }

    /// Adds the second derivatives to those of the model, `[n, n]`.
    pub(super) fn add_hessian(&mut self, to: &mut [f64], n: usize) {
        for (sample, here) in self.compiled.samples.iter().zip(&self.samples) {
            sample.curve_of_scale(here.weighted, &here.scale, &mut self.hessian);
            for (p, a) in &here.scale.slopes {
                for (q, b) in sample.shape.iter().zip(&here.weighted_slopes) {
                    self.hessian.add_cross(*p, *q, a * b);
                }
            }
        }
        let parameters = &self.compiled.parameters;
        for (i, p) in parameters.iter().enumerate() {
            let row = &self.hessian.values[i * parameters.len()..];
            to[p * n + p] += row[i];
            for (j, q) in parameters.iter().enumerate().skip(i + 1) {
                to[p * n + q] += row[j];
                to[q * n + p] += row[j];
            }
        }
    }
}
