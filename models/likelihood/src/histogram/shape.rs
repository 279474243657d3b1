//! Templates compiled for evaluation.

use crate::{Interpolation, Jet, RateResponse};

use super::jet::LocalJet;
use super::{Factor, Modifier, Template};

/// The factor common to all bins, `F`, of its own parameters.
pub(super) struct Scale {
    /// The parameters, as places in the model.
    pub(super) parameters: Vec<usize>,
    /// Each factor with the places, among these, of its parameters.
    factors: Vec<(Vec<usize>, Factor)>,
}

impl Scale {
    pub(super) fn new(factors: &[Factor]) -> Self {
        let mut parameters = Vec::new();
        let mut compile = |factor: &Factor| {
            let used = match factor {
                Factor::Parameter(parameter) => vec![*parameter],
                Factor::Response(response) => vec![response.parameter],
                Factor::Coefficient(coefficient) => coefficient.places().to_vec(),
            };
            let places = used.iter().map(|p| local(&mut parameters, *p)).collect();
            (places, factor.clone())
        };
        let factors = factors.iter().map(&mut compile).collect();
        Self {
            parameters,
            factors,
        }
    }

    pub(super) fn value(&self, at: &[f64]) -> f64 {
        let one = |(_, factor): &(Vec<usize>, Factor)| match factor {
            Factor::Parameter(parameter) => at[*parameter],
            Factor::Response(response) => response_jet(response, at)[0],
            Factor::Coefficient(coefficient) => coefficient.value(at),
        };
        self.factors.iter().map(one).product()
    }

    pub(super) fn jet(&self, at: &[f64], second: bool, jet: &mut LocalJet) {
        jet.reset(1.0, self.parameters.len(), second);
        for (places, factor) in &self.factors {
            match factor {
                Factor::Parameter(parameter) => jet.multiply(places[0], [at[*parameter], 1.0, 0.0]),
                Factor::Response(response) => jet.multiply(places[0], response_jet(response, at)),
                Factor::Coefficient(f) => jet.multiply_by(places, &f.derivatives(at)),
            }
        }
    }
}

fn response_jet(response: &RateResponse, at: &[f64]) -> Jet {
    let alpha = at[response.parameter];
    response
        .interpolation
        .relative(alpha, response.low, response.high)
}

/// Bins at -1 and +1 against nominal: differences or ratios, by the code.
struct Variation {
    local: usize,
    code: Interpolation,
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Variation {
    fn new(local: usize, code: Interpolation, nominal: &[f64], sides: [&[f64]; 2]) -> Self {
        let against = |side: &f64, nominal: &f64| match code.is_factor() {
            true if *nominal == 0.0 => 1.0,
            true => side / nominal,
            false => side - nominal,
        };
        let both = sides.map(|side| {
            side.iter()
                .zip(nominal)
                .map(|(s, n)| against(s, n))
                .collect()
        });
        let [low, high] = both;
        Self {
            local,
            code,
            low,
            high,
        }
    }

    fn jet(&self, at: f64, bin: usize) -> Jet {
        if self.code.is_factor() {
            self.code.relative(at, self.low[bin], self.high[bin])
        } else {
            self.code.term(at, self.low[bin], self.high[bin])
        }
    }
}

/// Content of the bins without the common factor, `S_b`.
///
/// Its parameters in bin `b` are those common to all bins, then those of the bin.
pub(super) struct Shape {
    nominal: Vec<f64>,
    /// The common parameters, as places in the model.
    pub(super) parameters: Vec<usize>,
    terms: Vec<Variation>,
    factors: Vec<Variation>,
    per_bin: Vec<Vec<usize>>,
}

impl Shape {
    pub(super) fn new(template: &Template) -> Self {
        let mut shape = Self {
            nominal: template.nominal.clone(),
            parameters: Vec::new(),
            terms: Vec::new(),
            factors: Vec::new(),
            per_bin: vec![Vec::new(); template.nominal.len()],
        };
        for modifier in &template.modifiers {
            match modifier {
                Modifier::PerBin { parameters } => {
                    for (own, parameter) in shape.per_bin.iter_mut().zip(parameters) {
                        own.push(*parameter);
                    }
                }
                Modifier::Shape {
                    parameter,
                    low,
                    high,
                    code,
                } => {
                    let local = local(&mut shape.parameters, *parameter);
                    let sides = [low.as_slice(), high.as_slice()];
                    let variation = Variation::new(local, *code, &template.nominal, sides);
                    if code.is_factor() {
                        shape.factors.push(variation);
                    } else {
                        shape.terms.push(variation);
                    }
                }
            }
        }
        shape
    }

    /// Parameters of one bin alone, as places in the model.
    pub(super) fn own(&self, bin: usize) -> &[usize] {
        &self.per_bin[bin]
    }

    pub(super) fn value(&self, at: &[f64], bin: usize) -> f64 {
        let jet = |v: &Variation| v.jet(at[self.parameters[v.local]], bin)[0];
        let sum = self.nominal[bin] + self.terms.iter().map(jet).sum::<f64>();
        let own: f64 = self.per_bin[bin].iter().map(|p| at[*p]).product();
        sum * self.factors.iter().map(jet).product::<f64>() * own
    }

    pub(super) fn jet(&self, at: &[f64], bin: usize, second: bool, jet: &mut LocalJet) {
        let common = self.parameters.len();
        let own = &self.per_bin[bin];
        jet.reset(self.nominal[bin], common + own.len(), second);
        for v in &self.terms {
            jet.add(v.local, v.jet(at[self.parameters[v.local]], bin));
        }
        for v in &self.factors {
            jet.multiply(v.local, v.jet(at[self.parameters[v.local]], bin));
        }
        for (k, parameter) in own.iter().enumerate() {
            jet.multiply(common + k, [at[*parameter], 1.0, 0.0]);
        }
    }
}

/// Place of a parameter in a list that has each once.
fn local(list: &mut Vec<usize>, parameter: usize) -> usize {
    list.iter()
        .position(|p| *p == parameter)
        .unwrap_or_else(|| {
            list.push(parameter);
            list.len() - 1
        })
}
