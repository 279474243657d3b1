//! Best fits on bounds, and what a likelihood does not depend on. Reference numbers: best
//! fits and MINOS errors by iminuit 2.33, crossings of the profile by scipy 1 (`brentq` on
//! a grid of 4001 values).

use super::likelihoods::{Analytic, Counts, Expected, Linear, flat};
use super::{best_fit, grid, impacts_on_first, scanned, searched};
use crate::fit::{End, Fit, FitSettings, State, confidence_set, fit, minos, reach};
use crate::support::assert_near;
use crate::{Model, Parameter};
use std::sync::Arc;

const BACKGROUND: [f64; 3] = [60.0, 40.0, 20.0];

/// Counts in three bins of `signal + b exp(0.08 a)` with a unit constraint on `a`, where
/// the signal is `x s`, or `x^2 s + x i` in the root of a signal strength.
fn bins(
    signal: [f64; 3],
    interference: Option<[f64; 3]>,
    counts: [f64; 3],
    x: Parameter,
    a: Parameter,
) -> Model {
    let expected = move |bin: usize, at: &[f64]| -> Expected<2> {
        let (x, s) = (at[0], signal[bin]);
        let [signal, slope, bend] = match interference {
            None => [x * s, s, 0.0],
            Some(i) => [x * x * s + x * i[bin], 2.0 * x * s + i[bin], 2.0 * s],
        };
        let background = BACKGROUND[bin] * (0.08 * at[1]).exp();
        let second = [[bend, 0.0], [0.0, 0.08 * 0.08 * background]];
        (signal + background, [slope, 0.08 * background], second)
    };
    let term = Counts {
        counts: counts.to_vec(),
        expected,
        kinks: Vec::new(),
    };
    Model::new(vec![x, a], vec![Arc::new(term)])
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

/// Signal and interference.
type Shape = ([f64; 3], Option<[f64; 3]>);

const ALONE: Shape = ([8.0, 14.0, 6.0], None);
const WEAK: Shape = ([8.0, 14.0, 6.0], Some([-6.0, -9.0, -3.0]));
const STRONG: Shape = ([40.0, 70.0, 30.0], Some([-60.0, -90.0, -40.0]));

const fn case(
    (signal, interference): Shape,
    counts: [f64; 3],
    upper: f64,
    (best, state): (f64, State),
    [one, four]: [&'static [f64]; 2],
    minos: [Option<f64>; 2],
) -> Case {
    Case {
        signal,
        interference,
        counts,
        upper,
        best,
        state,
        one,
        four,
        minos,
    }
}

const CASES: [Case; 8] = [
    case(
        ALONE,
        [45.0, 30.0, 14.0],
        5.0,
        (0.0, State::AtLower),
        [&[0.0, 0.09937319], &[0.0, 0.35366012]],
        [None, Some(0.0993732857)],
    ),
    case(
        ALONE,
        [62.0, 45.0, 21.0],
        5.0,
        (0.30429312, State::Free),
        [&[0.0, 0.77606937], &[0.0, 1.26465417]],
        [None, Some(0.4717965603)],
    ),
    case(
        ALONE,
        [110.0, 130.0, 70.0],
        2.0,
        (2.0, State::AtUpper),
        [&[1.95905231, 2.0], &[1.83828071, 2.0]],
        [Some(-0.0408975620), None],
    ),
    case(
        WEAK,
        [66.0, 47.0, 24.0],
        2.0,
        (1.11215255, State::Free),
        [&[0.72187353, 1.37464407], &[0.0, 1.59103025]],
        [Some(-0.3901100575), Some(0.2626602553)],
    ),
    case(
        WEAK,
        [60.0, 41.0, 20.0],
        2.0,
        (0.0, State::AtLower),
        [&[0.0, 1.07852601], &[0.0, 1.34499612]],
        [None, Some(1.0785211652)],
    ),
    case(
        WEAK,
        [140.0, 150.0, 70.0],
        2.0,
        (2.0, State::AtUpper),
        [&[1.98729972, 2.0], &[1.94919365, 2.0]],
        [Some(-0.0126877269), None],
    ),
    // the second interval is far from the best fit on its bound
    case(
        STRONG,
        [62.0, 42.0, 21.0],
        2.0,
        (0.0, State::AtLower),
        [
            &[0.0, 0.05109637],
            &[0.0, 0.12721294, 1.21276658, 1.43196296],
        ],
        [None, Some(0.0510962217)],
    ),
    case(
        STRONG,
        [59.0, 38.5, 19.5],
        2.0,
        (0.01582434, State::Free),
        [
            &[0.0, 0.08875509],
            &[0.0, 0.17077829, 1.1615219, 1.39767419],
        ],
        [None, Some(0.0729319919)],
    ),
];

/// With bounds on the nuisance parameter, if any are given.
fn fitted(case: &Case, bounds: Option<(f64, f64)>) -> (Model, FitSettings, Fit) {
    let x = Parameter::interest("x", 1.0, (0.0, case.upper));
    let mut a = Parameter::nuisance("a");
    a.bounds = bounds.unwrap_or(a.bounds);
    let model = bins(case.signal, case.interference, case.counts, x, a);
    let settings = searched(9);
    let best = fit(&model, &settings).unwrap();
    (model, settings, best)
}

#[test]
fn intervals_and_errors_at_bounds_are_those_of_minos_and_of_the_profile() {
    for (number, case) in CASES.iter().enumerate() {
        let (model, settings, best) = fitted(case, None);
        assert_eq!(best.states[0], case.state, "{number}: {best:?}");
        assert_near(best.point[0], case.best, 1e-5);
        assert_eq!(best.error(0).is_some(), case.state == State::Free);
        let range = reach(&model, &settings, &best, 0, (9.0, 4.0)).unwrap();
        let last = case.four[case.four.len() - 1];
        assert!(
            range[0] <= case.four[0] && last <= range[1] && range[0] < range[1],
            "{number}: {range:?}"
        );
        let curve = scanned(&model, &settings, &best, grid(range, 41));
        for (level, expected) in [(1.0, case.one), (4.0, case.four)] {
            let set = confidence_set(&model, &settings, &curve, level).unwrap();
            let ends = set.intervals.iter().flatten();
            let ends: Vec<f64> = ends.filter_map(End::value).collect();
            assert_eq!(ends.len(), expected.len(), "{number}: {set:?}");
            for (end, expected) in ends.iter().zip(expected) {
                assert_near(end, expected, 2e-5);
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
    let (model, settings, best) = fitted(&CASES[0], None);
    let curve = scanned(&model, &settings, &best, vec![0.0, 0.01, 0.02]);
    let set = confidence_set(&model, &settings, &curve, 4.0).unwrap();
    let [[End::Bound(low), End::Crossing(high)]] = &set.intervals[..] else {
        unreachable!("{set:?}")
    };
    assert!(*low == 0.0 && (high - 0.35366012).abs() < 2e-5);
}

#[test]
fn impacts_on_a_parameter_on_its_bound_are_by_refit_and_one_sided() {
    let (model, settings, best) = fitted(&CASES[4], None);
    let of = impacts_on_first(&model, &settings, &best);
    assert_eq!((of.error, of.statistical), (None, None));
    let impact = &of.ranking[0];
    assert!(impact.post_fit.is_none() && impact.pre_fit.is_none());
    assert!(impact.refit.iter().all(|x| x.unwrap() >= 0.0), "{impact:?}");
}

#[test]
fn a_nuisance_parameter_on_its_bound_moves_inwards() {
    // the fit would have it at a few tenths
    let (model, settings, best) = fitted(&CASES[3], Some((-10.0, -0.2)));
    assert_eq!(best.states[1], State::AtUpper, "{best:?}");
    assert_eq!(best.error(1), None);
    let impact = &impacts_on_first(&model, &settings, &best).ranking[0];
    let [up, down] = impact.refit;
    // less background, more signal
    assert!(up.is_none() && down.unwrap() > 0.0, "{impact:?}");
    assert!(impact.post_fit.is_none());
}

#[test]
fn what_a_likelihood_does_not_depend_on_is_named_and_has_no_error() {
    let likelihood = Analytic::new(flat, &[0.0, 0.0])
        .bounded(0, -50.0, 50.0)
        .bounded(1, -50.0, 50.0);
    let found = best_fit(&likelihood);
    assert!(found.is_converged());
    assert_eq!(found.flat.len(), 1, "{found:?}");
    assert_eq!(found.flat[0].parameters, [0, 1]);
    assert_eq!(found.states, [State::Unmeasured; 2]);
    assert_eq!((found.error(0), found.error(1)), (None, None));
    assert_near(found.point[0] + found.point[1], 2.0, 1e-6);
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
    let found = best_fit(&partly([(-9.0, 9.0); 4]));
    let mut flat: Vec<Vec<usize>> = found.flat.iter().map(|f| f.parameters.clone()).collect();
    flat.sort();
    assert_eq!(flat, [vec![0, 1], vec![3]]);
    assert_near(found.error(2).unwrap(), 0.2, 1e-9);
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
    let (settings, best) = (FitSettings::default(), best_fit(&model));
    let range = reach(&model, &settings, &best, 3, (9.0, 4.0)).unwrap();
    assert_eq!(range, [-9.0, 9.0]);
}

#[test]
fn a_root_does_not_stay_at_zero_where_the_likelihood_falls() {
    // counts above the background: mu = 0 is a saddle in x = sqrt(mu), with slope zero
    let x = Parameter::interest("x", 0.0, (0.0, 3.0));
    let counts = [75.0, 60.0, 30.0];
    let model = bins(ALONE.0, Some([0.0; 3]), counts, x, Parameter::nuisance("a"));
    let found = best_fit(&model);
    assert!(found.is_converged() && found.point[0] > 0.5, "{found:?}");
    assert_eq!(found.states[0], State::Free);
}
