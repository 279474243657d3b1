//! Best fits on bounds, and what a likelihood does not depend on. Reference numbers: best
//! fits and MINOS errors by iminuit 2.33, crossings of the profile by scipy 1 (`brentq` on
//! a grid of 4001 values).

use super::likelihoods::{Analytic, Linear, flat};
use crate::fit::{
    End, Fit, FitSettings, ImpactSettings, ScanSettings, Search, Shift, State, confidence_set, fit,
    impacts, minos, reach, scan,
};
use crate::{Model, Parameter, Term};
use std::sync::Arc;

/// Counts in three bins of `signal + b exp(0.08 a)` with a unit constraint on `a`, where
/// the signal is `x s`, or `x^2 s + x i` in the root of a signal strength.
struct Bins {
    signal: [f64; 3],
    interference: Option<[f64; 3]>,
    counts: [f64; 3],
}

const BACKGROUND: [f64; 3] = [60.0, 40.0, 20.0];

impl Term for Bins {
    fn value(&self, at: &[f64]) -> f64 {
        self.hessian(at, &mut [0.0; 2], &mut [0.0; 4])
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        self.hessian(at, gradient, &mut [0.0; 4])
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let (x, a) = (at[0], at[1]);
        let mut value = 0.0;
        for bin in 0..3 {
            let (s, n) = (self.signal[bin], self.counts[bin]);
            let [signal, slope, bend] = match self.interference {
                None => [x * s, s, 0.0],
                Some(i) => [x * x * s + x * i[bin], 2.0 * x * s + i[bin], 2.0 * s],
            };
            let background = BACKGROUND[bin] * (0.08 * a).exp();
            let rate = signal + background;
            if rate <= 0.0 {
                return f64::NAN;
            }
            let first = [slope, 0.08 * background];
            let second = [bend, 0.0, 0.0, 0.08 * 0.08 * background];
            value += rate - n * rate.ln();
            for j in 0..2 {
                gradient[j] += (1.0 - n / rate) * first[j];
                for k in 0..2 {
                    hessian[2 * j + k] += (1.0 - n / rate) * second[2 * j + k]
                        + n * first[j] * first[k] / (rate * rate);
                }
            }
        }
        value
    }
}

struct Case {
    signal: [f64; 3],
    interference: Option<[f64; 3]>,
    counts: [f64; 3],
    upper: f64,
    best: f64,
    state: State,
    /// Ends where t is 1 and 4.
    one: &'static [f64],
    four: &'static [f64],
    /// MINOS errors where the best fit is not a bound on that side.
    minos: [Option<f64>; 2],
}

const WEAK: [f64; 3] = [8.0, 14.0, 6.0];
const STRONG: [f64; 3] = [40.0, 70.0, 30.0];
const WEAK_BETWEEN: Option<[f64; 3]> = Some([-6.0, -9.0, -3.0]);
const STRONG_BETWEEN: Option<[f64; 3]> = Some([-60.0, -90.0, -40.0]);

const CASES: [Case; 8] = [
    Case {
        signal: WEAK,
        interference: None,
        counts: [45.0, 30.0, 14.0],
        upper: 5.0,
        best: 0.0,
        state: State::AtLower,
        one: &[0.0, 0.09937319],
        four: &[0.0, 0.35366012],
        minos: [None, Some(0.0993732857)],
    },
    Case {
        signal: WEAK,
        interference: None,
        counts: [62.0, 45.0, 21.0],
        upper: 5.0,
        best: 0.30429312,
        state: State::Free,
        one: &[0.0, 0.77606937],
        four: &[0.0, 1.26465417],
        minos: [None, Some(0.4717965603)],
    },
    Case {
        signal: WEAK,
        interference: None,
        counts: [110.0, 130.0, 70.0],
        upper: 2.0,
        best: 2.0,
        state: State::AtUpper,
        one: &[1.95905231, 2.0],
        four: &[1.83828071, 2.0],
        minos: [Some(-0.0408975620), None],
    },
    Case {
        signal: WEAK,
        interference: WEAK_BETWEEN,
        counts: [66.0, 47.0, 24.0],
        upper: 2.0,
        best: 1.11215255,
        state: State::Free,
        one: &[0.72187353, 1.37464407],
        four: &[0.0, 1.59103025],
        minos: [Some(-0.3901100575), Some(0.2626602553)],
    },
    Case {
        signal: WEAK,
        interference: WEAK_BETWEEN,
        counts: [60.0, 41.0, 20.0],
        upper: 2.0,
        best: 0.0,
        state: State::AtLower,
        one: &[0.0, 1.07852601],
        four: &[0.0, 1.34499612],
        minos: [None, Some(1.0785211652)],
    },
    Case {
        signal: WEAK,
        interference: WEAK_BETWEEN,
        counts: [140.0, 150.0, 70.0],
        upper: 2.0,
        best: 2.0,
        state: State::AtUpper,
        one: &[1.98729972, 2.0],
        four: &[1.94919365, 2.0],
        minos: [Some(-0.0126877269), None],
    },
    // the second interval is far from the best fit on its bound
    Case {
        signal: STRONG,
        interference: STRONG_BETWEEN,
        counts: [62.0, 42.0, 21.0],
        upper: 2.0,
        best: 0.0,
        state: State::AtLower,
        one: &[0.0, 0.05109637],
        four: &[0.0, 0.12721294, 1.21276658, 1.43196296],
        minos: [None, Some(0.0510962217)],
    },
    Case {
        signal: STRONG,
        interference: STRONG_BETWEEN,
        counts: [59.0, 38.5, 19.5],
        upper: 2.0,
        best: 0.01582434,
        state: State::Free,
        one: &[0.0, 0.08875509],
        four: &[0.0, 0.17077829, 1.1615219, 1.39767419],
        minos: [None, Some(0.0729319919)],
    },
];

fn fitted(case: &Case) -> (Model, FitSettings, Fit) {
    let parameters = vec![
        Parameter::interest("x", 1.0, (0.0, case.upper)),
        Parameter::nuisance("a"),
    ];
    let bins = Bins {
        signal: case.signal,
        interference: case.interference,
        counts: case.counts,
    };
    let model = Model::new(parameters, vec![Arc::new(bins)]);
    let settings = FitSettings {
        searches: vec![Search {
            parameter: 0,
            points: 9,
        }],
        ..FitSettings::default()
    };
    let best = fit(&model, &settings).unwrap();
    (model, settings, best)
}

#[test]
fn intervals_and_errors_at_bounds_are_those_of_minos_and_of_the_profile() {
    for (number, case) in CASES.iter().enumerate() {
        let (model, settings, best) = fitted(case);
        assert_eq!(best.states[0], case.state, "{number}: {best:?}");
        assert!(
            (best.point[0] - case.best).abs() < 1e-5,
            "{number}: {best:?}"
        );
        assert_eq!(best.error(0).is_some(), case.state == State::Free);
        let range = reach(&model, &settings, &best, 0, (9.0, 4.0)).unwrap();
        let last = case.four[case.four.len() - 1];
        assert!(
            range[0] <= case.four[0] && last <= range[1] && range[0] < range[1],
            "{number}: {range:?}"
        );
        let steps = 40;
        let step = (range[1] - range[0]) / f64::from(steps);
        let asked = ScanSettings {
            parameter: 0,
            grid: (0..=steps)
                .map(|i| (range[0] + step * f64::from(i)).min(range[1]))
                .collect(),
            thorough: false,
        };
        let curve = scan(&model, &settings, &best, &asked).unwrap();
        for (level, expected) in [(1.0, case.one), (4.0, case.four)] {
            let set = confidence_set(&model, &settings, &curve, level).unwrap();
            let ends: Vec<f64> = set
                .intervals
                .iter()
                .flatten()
                .filter_map(End::value)
                .collect();
            assert_eq!(ends.len(), expected.len(), "{number}: {set:?}");
            for (end, expected) in ends.iter().zip(expected) {
                assert!((end - expected).abs() < 2e-5, "{number}: {end} {expected}");
            }
        }
        let found = minos(&model, &settings, &best, 0, 1.0).unwrap();
        for (end, expected) in [&found.lower, &found.upper].into_iter().zip(case.minos) {
            let distance = match end {
                End::Crossing(x) => Some(x - best.point[0]),
                End::Bound(_) | End::NotFound { .. } => None,
            };
            assert_eq!(distance.is_some(), expected.is_some(), "{number}: {end:?}");
            let off = distance.zip(expected).map_or(0.0, |(d, e)| d / e - 1.0);
            // MINOS looks for its crossings to about 1e-3
            assert!(off.abs() < 3e-3, "{number}: {distance:?} {expected:?}");
        }
    }
}

#[test]
fn a_short_scan_has_the_same_intervals() {
    let (model, settings, best) = fitted(&CASES[0]);
    let asked = ScanSettings {
        parameter: 0,
        grid: vec![0.0, 0.01, 0.02],
        thorough: false,
    };
    let curve = scan(&model, &settings, &best, &asked).unwrap();
    let set = confidence_set(&model, &settings, &curve, 4.0).unwrap();
    let [[End::Bound(low), End::Crossing(high)]] = &set.intervals[..] else {
        unreachable!("{set:?}")
    };
    assert!(*low == 0.0 && (high - 0.35366012).abs() < 2e-5);
}

#[test]
fn impacts_on_a_parameter_on_its_bound_are_by_refit_and_one_sided() {
    let (model, settings, best) = fitted(&CASES[4]);
    let asked = ImpactSettings {
        interest: vec![0],
        refit: true,
        ..ImpactSettings::default()
    };
    let found = impacts(&model, &settings, &best, &asked).unwrap();
    let of = &found.impacts[0];
    assert_eq!((of.error, of.statistical), (None, None));
    let impact = &of.ranking[0];
    assert!(impact.post_fit.is_none() && impact.pre_fit.is_none());
    let shifts = impact.post_fit_refit.clone().unwrap();
    for shift in shifts {
        assert!(matches!(shift, Shift::By(x) if x >= 0.0), "{shift:?}");
    }
}

#[test]
fn a_nuisance_parameter_on_its_bound_moves_inwards() {
    let (mut model, settings, _) = fitted(&CASES[3]);
    let mut parameters = crate::Likelihood::parameters(&model).to_vec();
    // the fit would have it at a few tenths
    parameters[1].bounds = (-10.0, -0.2);
    model = model.with_parameters(parameters);
    let best = fit(&model, &settings).unwrap();
    assert_eq!(best.states[1], State::AtUpper, "{best:?}");
    let asked = ImpactSettings {
        interest: vec![0],
        refit: true,
        ..ImpactSettings::default()
    };
    let found = impacts(&model, &settings, &best, &asked).unwrap();
    assert_eq!(found.pulls[0].error, None);
    let impact = &found.impacts[0].ranking[0];
    let [up, down] = impact.post_fit_refit.clone().unwrap();
    assert_eq!(up, Shift::OutsideBounds);
    // less background, more signal
    assert!(matches!(down, Shift::By(x) if x > 0.0), "{down:?}");
    assert!(impact.post_fit.is_none());
}

#[test]
fn what_a_likelihood_does_not_depend_on_is_named_and_has_no_error() {
    let likelihood = Analytic::new(flat, &[0.0, 0.0])
        .bounded(0, -50.0, 50.0)
        .bounded(1, -50.0, 50.0);
    let found = fit(&likelihood, &FitSettings::default()).unwrap();
    assert!(found.is_converged());
    assert_eq!(found.flat.len(), 1, "{found:?}");
    assert_eq!(found.flat[0].parameters, [0, 1]);
    assert_eq!(found.states, [State::Unmeasured; 2]);
    assert_eq!((found.error(0), found.error(1)), (None, None));
    assert!((found.point[0] + found.point[1] - 2.0).abs() < 1e-6);
}

/// Measurements of `x0 + x1`, of `x2`, and of nothing that has to do with `x3`.
fn partly(bounds: [(f64, f64); 4]) -> Model {
    let names = ["x0", "x1", "x2", "x3"].into_iter().zip(bounds);
    let parameters = names.map(|(name, bounds)| Parameter::interest(name, 1.0, bounds));
    let rows = vec![vec![2.0, 2.0, 0.0, 0.0], vec![0.0, 0.0, 5.0, 0.0]];
    let linear = Linear {
        rows,
        outcomes: vec![6.0, 10.0],
    };
    Model::new(parameters.collect(), vec![Arc::new(linear)])
}

#[test]
fn the_others_keep_their_errors() {
    let found = fit(&partly([(-9.0, 9.0); 4]), &FitSettings::default()).unwrap();
    let mut flat: Vec<Vec<usize>> = found.flat.iter().map(|f| f.parameters.clone()).collect();
    flat.sort();
    assert_eq!(flat, [vec![0, 1], vec![3]]);
    assert!((found.error(2).unwrap() - 0.2).abs() < 1e-9, "{found:?}");
    for k in [0, 1, 3] {
        assert_eq!((found.error(k), found.states[k]), (None, State::Unmeasured));
    }
    // a bound that nothing pushes against measures nothing
    let bounds = [(1.0, 9.0), (-9.0, 9.0), (-9.0, 9.0), (1.0, 9.0)];
    let settings = FitSettings {
        starts: vec![vec![1.0, 2.0, 2.0, 1.0]],
        ..FitSettings::default()
    };
    let found = fit(&partly(bounds), &settings).unwrap();
    for k in [0, 1] {
        assert_eq!(found.states[k], State::Unmeasured, "{k}: {found:?}");
    }
    // of one that does nothing at its bound only the profile can tell
    assert_eq!((found.states[3], found.error(3)), (State::AtLower, None));
    assert!(found.error(2).is_some());
}

#[test]
fn a_profile_without_end_is_walked_to_its_bounds() {
    let model = partly([(-9.0, 9.0); 4]);
    let settings = FitSettings::default();
    let best = fit(&model, &settings).unwrap();
    let range = reach(&model, &settings, &best, 3, (9.0, 4.0)).unwrap();
    assert_eq!(range, [-9.0, 9.0]);
}

#[test]
fn a_root_does_not_stay_at_zero_where_the_likelihood_falls() {
    // counts above the background: mu = 0 is a saddle in x = sqrt(mu), with slope zero
    let mut parameters = vec![Parameter::interest("x", 0.0, (0.0, 3.0))];
    parameters.push(Parameter::nuisance("a"));
    let bins = Bins {
        signal: WEAK,
        interference: Some([0.0; 3]),
        counts: [75.0, 60.0, 30.0],
    };
    let model = Model::new(parameters, vec![Arc::new(bins)]);
    let found = fit(&model, &FitSettings::default()).unwrap();
    assert!(found.is_converged() && found.point[0] > 0.5, "{found:?}");
    assert_eq!(found.states[0], State::Free);
}
