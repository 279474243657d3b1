//! From templates as they were described to those that are evaluated.

use super::super::template::{Factor, Modifier, Template};
use super::sample::{BinFactor, BinFactorKind, PerBin, Response, Sample, Scaling, Variation};
use crate::Interpolation;
use crate::interpolation::Ends;
use std::collections::{BTreeMap, BTreeSet};

/// Places in the channel are given while templates are compiled.
pub(super) struct Compiler {
    places: BTreeMap<usize, usize>,
    pub(super) interpolations: Vec<(usize, Interpolation)>,
    known: BTreeMap<(usize, &'static str), usize>,
}

impl Compiler {
    pub(super) fn new(places: BTreeMap<usize, usize>) -> Self {
        Self {
            places,
            interpolations: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    fn interpolation(&mut self, parameter: usize, code: Interpolation) -> usize {
        let next = self.interpolations.len();
        let found = *self.known.entry((parameter, code.name())).or_insert(next);
        if found == next {
            self.interpolations.push((parameter, code));
        }
        found
    }

    pub(super) fn sample(&mut self, template: &Template) -> Sample {
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
    pub(super) fn used(&self, all: &mut BTreeSet<usize>) {
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
