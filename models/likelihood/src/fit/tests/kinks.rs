//! Best fits where the slope of the likelihood jumps: the interpolations `code0` and
//! `code1` at zero. What is lowest is found by looking into every part between the kinks.

use super::best_fit;
use super::likelihoods::{Counts, Expected};
use crate::fit::{End, FitSettings, State, fit, minos};
use crate::{Interpolation, Likelihood as _, Model, Parameter};
use sideband_numerics::random::Key;
use std::sync::Arc;

const BINS: usize = 4;
const SIGNAL: [f64; BINS] = [2.0, 6.0, 9.0, 4.0];
const BACKGROUND: [f64; BINS] = [60.0, 45.0, 30.0, 20.0];

/// Counts of `mu s + b f(a0) + h(a1) + h(a2)`: a factor of code 1, terms of code 0.
#[derive(Clone)]
struct Bent {
    counts: [f64; BINS],
    /// Values of the factor at -1 and +1.
    rates: [f64; 2],
    /// Terms at -1 and +1.
    shapes: [[[f64; BINS]; 2]; 2],
}

impl Bent {
    /// Counts and effects of a seed; many effects have the same sign at both ends.
    fn random(number: u64) -> Self {
        let mut random = Key::from_seed(7).with(number).stream();
        let mut next = |low: f64, high: f64| low + (high - low) * random.uniform();
        let rates = [next(0.8, 1.15), next(0.9, 1.2)];
        let shapes = [(); 2].map(|()| [(); 2].map(|()| BACKGROUND.map(|b| b * next(-0.15, 0.15))));
        let counts = BACKGROUND.map(|b| (b + b.sqrt() * next(-1.5, 2.5)).round());
        Self {
            counts,
            rates,
            shapes,
        }
    }

    fn model(self, bounds: [(f64, f64); 3]) -> Model {
        let mut parameters = vec![Parameter::interest("mu", 1.0, (0.0, 20.0))];
        for (k, bounds) in bounds.into_iter().enumerate() {
            let mut parameter = Parameter::nuisance(&format!("a{k}"));
            parameter.bounds = bounds;
            parameter.nominal = 0.5 * (bounds.0 + bounds.1);
            parameters.push(parameter);
        }
        let counts = self.counts.to_vec();
        let expected = move |bin: usize, at: &[f64]| -> Expected<4> {
            let [low, high] = self.rates;
            let factor = Interpolation::Code1.relative(at[1], low, high);
            let terms = [0, 1].map(|k| {
                let [down, up] = self.shapes[k].map(|side| side[bin]);
                Interpolation::Code0.term(at[k + 2], down, up)
            });
            let (s, b) = (SIGNAL[bin], BACKGROUND[bin]);
            let mut second = [[0.0; 4]; 4];
            second[1][1] = b * factor[2];
            (
                at[0] * s + b * factor[0] + terms[0][0] + terms[1][0],
                [s, b * factor[1], terms[0][1], terms[1][1]],
                second,
            )
        };
        let term = Counts {
            counts,
            expected,
            kinks: vec![1, 2, 3],
        };
        Model::new(parameters, vec![Arc::new(term)])
    }
}

const BOTH: (f64, f64) = (-5.0, 5.0);
/// Just below zero.
const BELOW: f64 = -1e-300;

/// The lowest value of all parts, `mu` at a value if one is given.
fn lowest_part(bent: &Bent, mu: Option<f64>) -> f64 {
    let parts = (0..8).map(|part: usize| {
        let side = |k: usize| {
            if part >> k & 1 == 0 {
                (0.0, 5.0)
            } else {
                (-5.0, BELOW)
            }
        };
        let model = bent.clone().model([side(0), side(1), side(2)]);
        let settings = FitSettings::default();
        let settings = match mu {
            Some(mu) => settings.with_fixed(0, mu),
            None => settings,
        };
        fit(&model, &settings).unwrap().nll
    });
    parts.fold(f64::INFINITY, f64::min)
}

#[test]
fn the_end_is_a_minimum_whatever_kinks_it_is_on() {
    let (mut on_kinks, mut lowest) = (0, 0);
    for number in 0..150 {
        let bent = Bent::random(number);
        let model = bent.clone().model([BOTH; 3]);
        let found = best_fit(&model);
        assert!(found.is_converged(), "{number}: {:?}", found.failure);
        for k in 1..4 {
            let is_on = found.states[k] == State::AtKink;
            assert_eq!(is_on, found.point[k] == 0.0, "{number}: {found:?}");
            assert!(!is_on || found.error(k).is_none());
            on_kinks += usize::from(is_on);
        }
        let mut random = Key::from_seed(8).with(number).stream();
        for _ in 0..200 {
            let size = 10f64.powf(-3.0 - 3.0 * random.uniform());
            let moved = found
                .point
                .iter()
                .map(|x| x + size * (random.uniform() - 0.5));
            let mut moved: Vec<f64> = moved.collect();
            moved[0] = moved[0].max(0.0);
            let there = model.value(&moved);
            assert!(there > found.nll - 1e-10, "{number}: {} {there}", found.nll);
        }
        // a likelihood with kinks may have several minima
        lowest += usize::from(found.nll < lowest_part(&bent, None) + 1e-8);
    }
    assert!(on_kinks > 30, "{on_kinks}");
    assert!(lowest > 120, "{lowest}");
}

#[test]
fn errors_beside_a_kink_are_those_of_the_profile() {
    let (mut ends, mut agree) = (0, 0);
    for number in 0..60 {
        let bent = Bent::random(number);
        let model = bent.clone().model([BOTH; 3]);
        let found = best_fit(&model);
        let has_kink = found.states.contains(&State::AtKink);
        if !has_kink || found.states[0] != State::Free {
            continue;
        }
        let sides = minos(&model, &FitSettings::default(), &found, 0, 1.0).unwrap();
        for end in [&sides.lower, &sides.upper] {
            if let End::Crossing(mu) = end {
                let t = 2.0 * (lowest_part(&bent, Some(*mu)) - found.nll);
                ends += 1;
                agree += usize::from((t - 1.0).abs() < 1e-3);
            }
        }
    }
    assert!(ends > 20 && agree * 10 >= ends * 9, "{agree} of {ends}");
}
