//! Several measurements as one: parameters of one name are one parameter.

use crate::asymptotic::DataSet;
use crate::error::Error;
use crate::{Likelihood as _, Model, Parameter, Role, Term};
use std::sync::Arc;

/// Data sets with common parameters, each with its own channels.
pub struct Combination<D> {
    parts: Vec<D>,
    parameters: Vec<Parameter>,
    /// Places in the combination of the parameters of each part.
    places: Vec<Arc<[usize]>>,
}

impl<D: DataSet> Combination<D> {
    /// Combines parts, each with a name that errors call it by. A parameter of several parts
    /// starts where it does in the first; the bounds of one that is of interest are the widest.
    ///
    /// # Errors
    /// If parameters of one name have other constraints, roles or, unless they are of interest,
    /// bounds, or auxiliary measurements are correlated in several parts.
    pub fn new(parts: Vec<(String, D)>) -> Result<Self, Error> {
        let mut parameters: Vec<Parameter> = Vec::new();
        // the part that each is from
        let mut from: Vec<usize> = Vec::new();
        let mut places = Vec::with_capacity(parts.len());
        let mut correlated = None;
        for (number, (name, part)) in parts.iter().enumerate() {
            let likelihood = part.likelihood();
            if likelihood.prior().is_some()
                && let Some(other) = correlated.replace(number)
            {
                let other: &String = &parts[other].0;
                return Err(Error::new(format!(
                    "auxiliary measurements are correlated in {other} and in {name}; one part of \
                     a combination may have correlations"
                )));
            }
            let mut own = Vec::new();
            for parameter in likelihood.parameters() {
                let known = parameters.iter().position(|p| p.name == parameter.name);
                let Some(known) = known else {
                    own.push(parameters.len());
                    parameters.push(parameter.clone());
                    from.push(number);
                    continue;
                };
                let held = &mut parameters[known];
                check_same(held, parameter, [&parts[from[known]].0, name])?;
                let (low, high) = parameter.bounds;
                held.bounds = (held.bounds.0.min(low), held.bounds.1.max(high));
                own.push(known);
            }
            places.push(own.into());
        }
        Ok(Self {
            parts: parts.into_iter().map(|(_, part)| part).collect(),
            parameters,
            places,
        })
    }

    /// The parameters.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The parts.
    pub fn parts(&self) -> &[D] {
        &self.parts
    }

    /// Places in the combination of the parameters of a part.
    pub fn places(&self, part: usize) -> &[usize] {
        &self.places[part]
    }
}

/// Refuses parameters of one name that are none.
fn check_same(one: &Parameter, other: &Parameter, parts: [&String; 2]) -> Result<(), Error> {
    let [a, b] = parts;
    let differs = |what: &str| {
        let name = &one.name;
        Error::new(format!(
            "parameter `{name}` has another {what} in {a} than in {b}; make them the same, or \
             give one another name"
        ))
    };
    if one.constraint != other.constraint {
        return Err(differs("constraint"));
    }
    if one.role != other.role {
        return Err(differs("role"));
    }
    if one.role == Role::Nuisance && one.bounds != other.bounds {
        return Err(differs("range of bounds"));
    }
    Ok(())
}

impl<D: DataSet> DataSet for Combination<D> {
    type Error = D::Error;

    fn likelihood(&self) -> Model {
        let mut terms: Vec<Arc<dyn Term>> = Vec::new();
        let mut prior = None;
        for (part, places) in self.parts.iter().zip(&self.places) {
            let likelihood = part.likelihood();
            let gathered = likelihood.terms().iter().map(|term| {
                let (term, places) = (Arc::clone(term), Arc::clone(places));
                Arc::new(Gathered { term, places }) as Arc<dyn Term>
            });
            terms.extend(gathered);
            if let Some(own) = likelihood.prior() {
                prior = Some(Arc::new(own.elsewhere(places)));
            }
        }
        Model::new(self.parameters.clone(), terms).with_prior(prior)
    }

    fn asimov(&self, point: &[f64]) -> Result<Self, D::Error> {
        let parts = self.parts.iter().zip(&self.places);
        let parts = parts.map(|(part, places)| part.asimov(&gather(point, places)));
        let parts: Vec<D> = parts.collect::<Result<_, _>>()?;
        let mut parameters = self.parameters.clone();
        for (part, places) in parts.iter().zip(&self.places) {
            for (own, place) in part.likelihood().parameters().iter().zip(&**places) {
                parameters[*place].constraint = own.constraint;
            }
        }
        Ok(Self {
            parts,
            parameters,
            places: self.places.clone(),
        })
    }
}

fn gather(point: &[f64], places: &[usize]) -> Vec<f64> {
    places.iter().map(|place| point[*place]).collect()
}

/// A term of a part, whose parameters are elsewhere.
struct Gathered {
    term: Arc<dyn Term>,
    places: Arc<[usize]>,
}

impl Gathered {
    /// The place in the part of a parameter of the combination.
    fn own(&self, parameter: usize) -> Option<usize> {
        self.places.iter().position(|place| *place == parameter)
    }
}

impl Term for Gathered {
    fn kinks(&self) -> Vec<usize> {
        let own = self.term.kinks().into_iter();
        own.map(|k| self.places[k]).collect()
    }

    fn is_linear_in(&self, parameter: usize) -> bool {
        self.own(parameter)
            .is_none_or(|own| self.term.is_linear_in(own))
    }

    fn impossible(&self, at: &[f64]) -> Option<String> {
        self.term.impossible(&gather(at, &self.places))
    }

    fn auxiliary_slope(&self, parameter: usize, at: &[f64]) -> Option<f64> {
        let own = self.own(parameter)?;
        self.term.auxiliary_slope(own, &gather(at, &self.places))
    }

    fn value(&self, at: &[f64]) -> f64 {
        self.term.value(&gather(at, &self.places))
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        let mut own = vec![0.0; self.places.len()];
        let value = self.term.gradient(&gather(at, &self.places), &mut own);
        for (place, slope) in self.places.iter().zip(own) {
            gradient[*place] += slope;
        }
        value
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let (n, m) = (at.len(), self.places.len());
        let (mut first, mut second) = (vec![0.0; m], vec![0.0; m * m]);
        let point = gather(at, &self.places);
        let value = self.term.hessian(&point, &mut first, &mut second);
        for (i, p) in self.places.iter().enumerate() {
            gradient[*p] += first[i];
            for (j, q) in self.places.iter().enumerate() {
                hessian[p * n + q] += second[i * m + j];
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asymptotic::{Asymptotics, UpperStatistic};
    use crate::fit::{FitSettings, fit};
    use crate::histogram::{Factor, HistogramChannel, HistogramModel, Template};
    use crate::support::{assert_derivatives, assert_near, assert_refused, jet_of_likelihood};
    use crate::{Constraint, Interpolation, RateResponse};

    /// A bin with a signal and a background whose rate `names[1]` varies.
    fn part(name: &str, names: [&str; 2], observed: f64, swapped: bool) -> HistogramModel {
        let [mu, rate] = if swapped { [1, 0] } else { [0, 1] };
        let template = |name: &str, content, factors| Template {
            name: name.into(),
            nominal: vec![content],
            factors,
            modifiers: vec![],
        };
        let response = Factor::Response(RateResponse {
            parameter: rate,
            low: 0.9,
            high: 1.15,
            interpolation: Interpolation::Code4,
        });
        let templates = vec![
            template("signal", 8.0, vec![Factor::Parameter(mu)]),
            template("background", 50.0, vec![response]),
        ];
        let mut parameters = vec![
            Parameter::interest(names[0], 1.0, (0.0, 10.0)),
            Parameter::nuisance(names[1]),
        ];
        if swapped {
            parameters.swap(0, 1);
        }
        HistogramModel {
            parameters,
            fixed: vec![],
            channels: vec![HistogramChannel::new(name, templates, vec![observed], 2).unwrap()],
            constraints: vec![],
        }
    }

    fn combination(
        one: HistogramModel,
        other: HistogramModel,
    ) -> Result<Combination<HistogramModel>, Error> {
        Combination::new(vec![("one".into(), one), ("two".into(), other)])
    }

    #[test]
    fn a_combination_is_the_product_by_name() {
        let (one, other) = (
            part("A", ["mu", "a"], 61.0, false),
            part("B", ["mu", "b"], 55.0, true),
        );
        let (model_one, model_other) = (one.likelihood(), other.likelihood());
        let both = combination(one, other).unwrap();
        let names: Vec<&str> = both.parameters().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["mu", "a", "b"]);
        assert_eq!(both.places(1), [2, 0]);
        let model = both.likelihood();
        let at = [0.8, 0.4, -0.7];
        let sum = model_one.value(&at[..2]) + model_other.value(&[-0.7, 0.8]);
        assert_near(model.value(&at), sum, 1e-13);
        assert_derivatives(
            |at| jet_of_likelihood(&model, at),
            &at,
            1e-4,
            [1e-8; 2],
            &[],
        );
        assert!(model.is_linear_in(0) && !model.is_linear_in(2));
        // a shared constraint counts once
        let shared = combination(
            part("A", ["mu", "a"], 61.0, false),
            part("B", ["mu", "a"], 55.0, true),
        );
        let shared = shared.unwrap().likelihood();
        let sum = model_one.value(&at[..2]) + model_other.value(&[0.4, 0.8]) - 0.5 * 0.16;
        assert_near(shared.value(&at[..2]), sum, 1e-13);
    }

    #[test]
    fn asimov_data_of_a_combination_are_their_own_optimum() {
        let both = combination(
            part("A", ["mu", "a"], 61.0, false),
            part("B", ["mu", "b"], 55.0, true),
        );
        let both = both.unwrap();
        let at = [0.7, 0.3, -0.2];
        let asimov = both.asimov(&at).unwrap().likelihood();
        let best = fit(&asimov, &FitSettings::default()).unwrap();
        for (found, expected) in best.point.iter().zip(at) {
            assert_near(found, expected, 1e-5);
        }
        // two alike are better than one
        let limit = |tests: Asymptotics| {
            let limits = tests.limits(0.95, UpperStatistic::QTilde).unwrap();
            limits.expected[2].clone().unwrap()
        };
        let settings = FitSettings::default();
        let alone = part("A", ["mu", "a"], 61.0, false);
        let alone = limit(Asymptotics::new(&alone, 0, 0.0, &settings).unwrap());
        let combined = limit(Asymptotics::new(&both, 0, 0.0, &settings).unwrap());
        assert!(combined < 0.85 * alone, "{combined} {alone}");
    }

    #[test]
    fn parameters_that_are_not_the_same_are_refused_with_both_parts() {
        let one = || part("A", ["mu", "a"], 61.0, false);
        let changed = |change: fn(&mut Parameter)| {
            let mut other = part("B", ["mu", "a"], 55.0, false);
            change(&mut other.parameters[1]);
            combination(one(), other).map(|_| ())
        };
        let words = "parameter `a` has another constraint in one than in two";
        assert_refused(changed(|p| p.constraint = None), words);
        let narrow = |p: &mut Parameter| {
            p.constraint = Some(Constraint {
                centre: 0.0,
                width: 0.5,
            });
        };
        assert_refused(changed(narrow), words);
        assert_refused(changed(|p| p.role = Role::Interest), "another role in one");
        assert_refused(
            changed(|p| p.bounds = (-3.0, 3.0)),
            "another range of bounds",
        );
        let mut other = part("B", ["mu", "b"], 55.0, false);
        other.parameters[0].bounds = (-1.0, 4.0);
        let both = combination(one(), other).unwrap();
        assert_eq!(both.parameters()[0].bounds, (-1.0, 10.0));
    }
}
