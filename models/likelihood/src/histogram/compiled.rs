//! The templates of a channel as they are evaluated.
//!
//! A published workspace has a hundred nuisance parameters a sample, most of which vary the
//! rate and hardly a bin. Here is what varies something alone: parameters have places in the
//! channel, a bin knows the variations that change it, second derivatives of what is added
//! are diagonal, and what depends on a nuisance parameter alone is computed once a point.

use super::template::{Factor, Modifier, Template};
use crate::interpolation::{Ends, InterpolationAt};
use crate::{Coefficient, Interpolation, Jet};
use std::collections::{BTreeMap, BTreeSet};

/// All templates of a channel. Parameters are places among [`Compiled::parameters`].
pub(super) struct Compiled {
    bins: usize,
    /// What any bin depends on, as ascending places in the model.
    parameters: Vec<usize>,
    /// Each parameter and code that interpolate, once.
    interpolations: Vec<(usize, Interpolation)>,
    samples: Vec<Sample>,
}

/// One template: `F S_b G_b` in bin `b`.
struct Sample {
    nominal: Vec<f64>,
    /// `F`: parameters and coefficients, then responses of the rate.
    scalings: Vec<Scaling>,
    /// Parameters of the scalings, each once.
    scaled_by: Vec<usize>,
    responses: Vec<Response>,
    /// What is added in `S_b`.
    variations: PerBin<Variation>,
    /// The factors of `G_b`.
    factors: PerBin<BinFactor>,
    /// Parameters of all `S_b` and `G_b`, ascending.
    shape: Vec<usize>,
}

/// A parameter, or a coefficient of parameters: places in [`Sample::scaled_by`].
enum Scaling {
    Parameter(usize),
    Coefficient(Coefficient, Vec<usize>),
}

struct Response {
    parameter: usize,
    interpolation: usize,
    ends: Ends,
}

/// A variation of one bin; `slot` is a place in [`Sample::shape`].
struct Variation {
    slot: usize,
    interpolation: usize,
    down: f64,
    up: f64,
}

/// A factor of one bin; `slot` is a place in [`Sample::shape`].
struct BinFactor {
    slot: usize,
    kind: BinFactorKind,
}

enum BinFactorKind {
    Parameter,
    Response { interpolation: usize, ends: Ends },
}

/// A list for every bin.
struct PerBin<T> {
    ends: Vec<usize>,
    all: Vec<T>,
}

impl<T> PerBin<T> {
    fn new(lists: Vec<Vec<T>>) -> Self {
        let mut ends = Vec::with_capacity(lists.len());
        let mut all = Vec::new();
        for list in lists {
            all.extend(list);
            ends.push(all.len());
        }
        Self { ends, all }
    }

    fn of(&self, bin: usize) -> &[T] {
        let start = bin.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start..self.ends[bin]]
    }
}

/// Places in the channel are given while templates are compiled.
struct Compiler {
    places: BTreeMap<usize, usize>,
    interpolations: Vec<(usize, Interpolation)>,
    known: BTreeMap<(usize, &'static str), usize>,
}

impl Compiler {
    fn interpolation(&mut self, parameter: usize, code: Interpolation) -> usize {
        let next = self.interpolations.len();
        let found = *self.known.entry((parameter, code.name())).or_insert(next);
        if found == next {
            self.interpolations.push((parameter, code));
        }
        found
    }

    fn sample(&mut self, template: &Template) -> Sample {
        let bins = template.nominal.len();
        let (mut scalings, mut responses) = (Vec::new(), Vec::new());
        let mut scaled_by = Vec::new();
        let mut own = |place: usize| {
            let known = scaled_by.iter().position(|p| *p == place);
            known.unwrap_or_else(|| {
                scaled_by.push(place);
                scaled_by.len() - 1
            })
        };
        for factor in &template.factors {
            match factor {
                Factor::Parameter(k) => scalings.push(Scaling::Parameter(own(self.places[k]))),
                Factor::Coefficient(f) => {
                    let places = f.places().iter().map(|k| own(self.places[k])).collect();
                    scalings.push(Scaling::Coefficient(f.clone(), places));
                }
                Factor::Response(response) => {
                    let ends = Ends::new(response.low, response.high);
                    if ends.is_nothing() {
                        continue;
                    }
                    let parameter = self.places[&response.parameter];
                    responses.push(Response {
                        parameter,
                        interpolation: self.interpolation(parameter, response.interpolation),
                        ends,
                    });
                }
            }
        }
        let mut shape = BTreeSet::new();
        template.each_of_bins(|_, parameter, _| {
            shape.insert(self.places[&parameter]);
        });
        let shape: Vec<usize> = shape.into_iter().collect();
        let mut variations: Vec<Vec<Variation>> = (0..bins).map(|_| Vec::new()).collect();
        let mut factors: Vec<Vec<BinFactor>> = (0..bins).map(|_| Vec::new()).collect();
        template.each_of_bins(|bin, parameter, what| {
            let place = self.places[&parameter];
            let slot = shape.partition_point(|p| *p < place);
            match what {
                OfBin::Parameter => factors[bin].push(BinFactor {
                    slot,
                    kind: BinFactorKind::Parameter,
                }),
                OfBin::Factor(code, ends) => factors[bin].push(BinFactor {
                    slot,
                    kind: BinFactorKind::Response {
                        interpolation: self.interpolation(place, code),
                        ends,
                    },
                }),
                OfBin::Term(code, [down, up]) => variations[bin].push(Variation {
                    slot,
                    interpolation: self.interpolation(place, code),
                    down,
                    up,
                }),
            }
        });
        Sample {
            nominal: template.nominal.clone(),
            scalings,
            scaled_by,
            responses,
            variations: PerBin::new(variations),
            factors: PerBin::new(factors),
            shape,
        }
    }
}

/// What a modifier does to one bin, if it does something.
enum OfBin {
    Parameter,
    Factor(Interpolation, Ends),
    Term(Interpolation, [f64; 2]),
}

impl Template {
    /// All that changes single bins: bin, parameter and what it does.
    fn each_of_bins(&self, mut visit: impl FnMut(usize, usize, OfBin)) {
        for modifier in &self.modifiers {
            match modifier {
                Modifier::PerBin { parameters } => {
                    for (bin, parameter) in parameters.iter().enumerate() {
                        visit(bin, *parameter, OfBin::Parameter);
                    }
                }
                Modifier::Shape {
                    parameter,
                    low,
                    high,
                    code,
                } => {
                    for (bin, nominal) in self.nominal.iter().enumerate() {
                        let sides = [low[bin], high[bin]];
                        if sides == [*nominal; 2] {
                            continue;
                        }
                        let what = if code.is_factor() {
                            let [low, high] = sides.map(|side| side / nominal);
                            OfBin::Factor(*code, Ends::new(low, high))
                        } else {
                            OfBin::Term(*code, sides.map(|side| side - nominal))
                        };
                        visit(bin, *parameter, what);
                    }
                }
            }
        }
    }

    /// Parameters that change something.
    fn used(&self, all: &mut BTreeSet<usize>) {
        for factor in &self.factors {
            match factor {
                Factor::Parameter(k) => {
                    all.insert(*k);
                }
                Factor::Coefficient(f) => all.extend(f.places()),
                Factor::Response(r) if [r.low, r.high] != [1.0; 2] => {
                    all.insert(r.parameter);
                }
                Factor::Response(_) => {}
            }
        }
        self.each_of_bins(|_, parameter, _| {
            all.insert(parameter);
        });
    }
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
        let mut compiler = Compiler {
            places: places.collect(),
            interpolations: Vec::new(),
            known: BTreeMap::new(),
        };
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

/// Up to which derivative something is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum Order {
    Value,
    First,
    Second,
}

struct Point<'a> {
    at: &'a [f64],
    parameters: &'a [usize],
    interpolations: Vec<InterpolationAt>,
}

impl Point<'_> {
    fn value(&self, place: usize) -> f64 {
        self.at[self.parameters[place]]
    }
}

/// A product of functions of one parameter each, by the product rule: any of them may
/// vanish.
#[derive(Default)]
struct Product {
    /// Value, first and second derivative of each factor.
    jets: Vec<[f64; 3]>,
    /// Products of the values before each, and of all.
    before: Vec<f64>,
    /// Products of the values from each on.
    from: Vec<f64>,
}

impl Product {
    fn clear(&mut self) {
        self.jets.clear();
    }

    fn push(&mut self, jet: [f64; 3]) {
        self.jets.push(jet);
    }

    /// The product; afterwards the products without one or two of the factors can be had.
    fn multiply(&mut self) -> f64 {
        self.before.clear();
        let mut product = 1.0;
        for [value, ..] in &self.jets {
            self.before.push(product);
            product *= value;
        }
        self.from.clear();
        self.from.resize(self.jets.len() + 1, 1.0);
        for (i, [value, ..]) in self.jets.iter().enumerate().rev() {
            self.from[i] = value * self.from[i + 1];
        }
        product
    }

    fn without(&self, i: usize) -> f64 {
        self.before[i] * self.from[i + 1]
    }

    /// Derivative by the parameter of a factor.
    fn slope(&self, i: usize) -> f64 {
        self.jets[i][1] * self.without(i)
    }

    /// Second derivatives: places of two factors, and the derivative by both parameters.
    fn curve(&self, mut visit: impl FnMut(usize, usize, f64)) {
        for (i, [_, first, second]) in self.jets.iter().enumerate() {
            visit(i, i, second * self.without(i));
            let mut between = first * self.before[i];
            for (j, [value, slope, _]) in self.jets.iter().enumerate().skip(i + 1) {
                visit(i, j, between * slope * self.from[j + 1]);
                between *= value;
            }
        }
    }
}

/// The upper triangle of a symmetric matrix, row-major in a square.
struct Triangle {
    n: usize,
    values: Vec<f64>,
}

impl Triangle {
    fn new(n: usize) -> Self {
        Self {
            n,
            values: vec![0.0; n * n],
        }
    }

    /// Adds to the element of `p` and `q`.
    fn add(&mut self, p: usize, q: usize, x: f64) {
        let (low, high) = if p < q { (p, q) } else { (q, p) };
        self.values[low * self.n + high] += x;
    }

    /// Adds a derivative by `p` and `q` of different factors, which counts twice where both
    /// are one parameter.
    fn add_cross(&mut self, p: usize, q: usize, x: f64) {
        self.add(p, q, if p == q { 2.0 * x } else { x });
    }

    /// Adds `scale * row row^T`.
    fn add_square(&mut self, scale: f64, row: &[f64]) {
        for (i, x) in row.iter().enumerate() {
            if *x != 0.0 {
                let x = scale * x;
                let to = &mut self.values[i * self.n + i..(i + 1) * self.n];
                for (h, y) in to.iter_mut().zip(&row[i..]) {
                    *h += x * y;
                }
            }
        }
    }
}

/// `F` at a point.
struct Scale {
    value: f64,
    /// Parameters with the derivatives of `F`; a parameter may be there twice.
    slopes: Vec<(usize, f64)>,
    /// The product of parameters and coefficients, in [`Sample::scaled_by`].
    scaling: Jet,
    responses: Product,
    /// The product of the responses.
    response: f64,
}

/// A template at a point, and in the bin that is evaluated.
struct SampleAt {
    scale: Scale,
    /// `S_b G_b`.
    content: f64,
    sum: f64,
    product: f64,
    /// Derivatives of the variations of the bin.
    variations: Vec<[f64; 2]>,
    factors: Product,
    /// `sum_b c_b S_b G_b` with the weights `c_b` of the bins, and its derivatives by the
    /// parameters of the shape.
    weighted: f64,
    weighted_slopes: Vec<f64>,
}

impl Sample {
    fn at(&self, point: &Point<'_>, order: Order) -> SampleAt {
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
    fn curve_of_scale(&self, weight: f64, scale: &Scale, hessian: &mut Triangle) {
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
    fn bin(&self, bin: usize, point: &Point<'_>, here: &mut SampleAt) {
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
    fn slopes(&self, bin: usize, here: &SampleAt, mut visit: impl FnMut(usize, f64)) {
        for (variation, [first, _]) in self.variations.of(bin).iter().zip(&here.variations) {
            visit(variation.slot, first * here.product);
        }
        for (i, factor) in self.factors.of(bin).iter().enumerate() {
            visit(factor.slot, here.sum * here.factors.slope(i));
        }
    }

    /// Adds `weight` times the second derivatives of `S_b G_b`.
    fn curve_of_bin(&self, bin: usize, weight: f64, here: &SampleAt, hessian: &mut Triangle) {
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
