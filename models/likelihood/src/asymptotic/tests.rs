//! The reference numbers of pyhf, closed forms, Asimov data, refusals.

use serde::Deserialize;
use serde_json::Value;

use super::cls::{above, log_cls};
use super::curve::descent;
use super::*;
use crate::fit::{End, Group, ImpactSettings, State, fit, impacts, minos};
use crate::histogram::{Factor, HistogramChannel, Modifier, PoissonConstraint, Template};
use crate::support::{assert_near, assert_refused};
use crate::workspace::{ImportOptions, import};
use crate::{Coefficient, Interpolation, Parameter, RateResponse, Role, Term};
use std::sync::Arc;

#[derive(Deserialize)]
struct Golden {
    workspace: Value,
    results: Results,
}

#[derive(Deserialize)]
struct Results {
    codes_default_code4_code4p: Reference,
    codes_code4_code0: Reference,
}

#[derive(Deserialize)]
struct Reference {
    par_names: Vec<String>,
    evaluations: Vec<Evaluation>,
    bestfit: Vec<f64>,
    twice_nll_min: f64,
    t_mu: Curve,
    cls: Levels,
    upper_limit_95: GoldenLimits,
}

#[derive(Deserialize)]
struct Evaluation {
    pars: Vec<f64>,
    expected_data: Vec<f64>,
    nll: f64,
}

#[derive(Deserialize)]
struct Curve {
    mu: Vec<f64>,
    value: Vec<f64>,
}

#[derive(Deserialize)]
struct Levels {
    mu: Vec<f64>,
    observed: Vec<f64>,
    expected_bands: Vec<[f64; 5]>,
}

#[derive(Deserialize)]
struct GoldenLimits {
    observed: f64,
    expected: [f64; 5],
}

/// Made by pyhf 0.7.6, see the file.
fn golden() -> Golden {
    serde_json::from_str(include_str!("../../tests/data/golden/pyhf_3bin.json")).unwrap()
}

/// Both choices of interpolation of the shapes, with pyhf's numbers.
fn cases() -> Vec<(HistogramModel, Reference)> {
    let Golden { workspace, results } = golden();
    let text = workspace.to_string();
    let read = |shapes| {
        let options = ImportOptions {
            shapes,
            ..ImportOptions::default()
        };
        import(text.as_bytes(), &options).unwrap().model
    };
    vec![
        (
            read(Interpolation::Code4p),
            results.codes_default_code4_code4p,
        ),
        (read(Interpolation::Code0), results.codes_code4_code0),
    ]
}

/// A point in the model's order from one in pyhf's.
fn reorder(model: &HistogramModel, names: &[String], values: &[f64]) -> Vec<f64> {
    let place = |name: &str| names.iter().position(|n| n == name).unwrap();
    model
        .parameters
        .iter()
        .map(|p| values[place(&p.name)])
        .collect()
}

fn place(model: &HistogramModel, name: &str) -> usize {
    model
        .parameters
        .iter()
        .position(|p| p.name == name)
        .unwrap()
}

/// `t_mu`.
fn t(tests: &Asymptotics, mu: f64) -> Result<f64, Error> {
    let mut curve = tests.observed.curve(tests.interest, &tests.settings)?;
    Ok(curve.t(mu)?[0])
}

/// The observed limit at 95 %, and the expected ones.
fn limits(tests: &Asymptotics, statistic: UpperStatistic) -> Vec<f64> {
    let found = tests.limits(0.95, statistic).unwrap();
    let all = std::iter::once(found.observed).chain(found.expected);
    all.map(Result::unwrap).collect()
}

#[test]
fn likelihood_is_that_of_pyhf() {
    for (model, reference) in cases() {
        assert_eq!(reference.par_names.len(), model.parameters.len());
        for evaluation in &reference.evaluations {
            let at = reorder(&model, &reference.par_names, &evaluation.pars);
            let nll = model.negative_log_pdf(&at);
            assert_near(nll / evaluation.nll, 1.0, 1e-12);
            let expected = model.channels[0].expected(&at);
            for (found, expected) in expected.iter().zip(&evaluation.expected_data) {
                assert_near(found / expected, 1.0, 1e-12);
            }
        }
    }
}

#[test]
fn fit_cls_and_limits_are_those_of_pyhf() {
    for (model, reference) in cases() {
        let mu = place(&model, "mu");
        let tests = Asymptotics::new(&model, mu, 0.0, &FitSettings::default()).unwrap();
        let best = &tests.observed.best.point;
        let expected = reorder(&model, &reference.par_names, &reference.bestfit);
        for (found, expected) in best.iter().zip(&expected) {
            assert_near(found, expected, 1e-5);
        }
        let minimum = 2.0 * model.negative_log_pdf(best);
        assert_near(minimum, reference.twice_nll_min, 1e-8);
        for (mu, expected) in reference.t_mu.mu.iter().zip(&reference.t_mu.value) {
            let found = t(&tests, *mu).unwrap();
            assert_near(found, expected, 1e-5);
        }
        for (i, mu) in reference.cls.mu.iter().enumerate() {
            let found = tests.cls(*mu, UpperStatistic::QTilde).unwrap();
            let observed = reference.cls.observed[i];
            assert_near(found.observed, observed, 1e-5);
            for (found, expected) in found.expected.iter().zip(reference.cls.expected_bands[i]) {
                assert_near(found, expected, 1e-5);
            }
        }
        let limits = limits(&tests, UpperStatistic::QTilde);
        let expected = &reference.upper_limit_95;
        let expected = [&[expected.observed][..], &expected.expected].concat();
        for (found, expected) in limits.iter().zip(expected) {
            assert_near(found, expected, 1e-5);
        }
    }
}

#[test]
fn asimov_data_return_their_own_parameters() {
    for (model, _) in cases() {
        let mut at: Vec<f64> = model.parameters.iter().map(|p| p.nominal + 0.1).collect();
        let mu = place(&model, "mu");
        at[mu] = 1.7;
        let asimov = model.asimov(&at).unwrap();
        let fit = fit(&asimov.likelihood(), &FitSettings::default()).unwrap();
        fit.checked().unwrap();
        for (found, expected) in fit.point.iter().zip(&at) {
            assert_near(found, expected, 1e-5);
        }
        assert!(fit.nll.abs() < 1e-9, "{}", fit.nll);
    }
}

/// One bin of signal `mu s` over a known background.
fn counting(observed: f64, s: f64, b: f64, bounds: (f64, f64)) -> HistogramModel {
    let template = |name: &str, content, factors| Template {
        name: name.into(),
        nominal: vec![content],
        factors,
        modifiers: vec![],
    };
    let templates = vec![
        template("signal", s, vec![Factor::Parameter(0)]),
        template("background", b, vec![]),
    ];
    HistogramModel {
        parameters: vec![Parameter::interest("mu", 1.0, bounds)],
        fixed: vec![],
        channels: vec![HistogramChannel::new("SR", templates, vec![observed], 1).unwrap()],
        constraints: vec![],
    }
}

#[test]
fn counting_experiment_is_the_closed_form() {
    // equation 97: median significance sqrt(2 ((s + b) ln(1 + s / b) - s))
    let (n, s, b) = (130.0_f64, 20.0_f64, 100.0_f64);
    let model = counting(n, s, b, (-3.0, 20.0));
    let tests = Asymptotics::new(&model, 0, 1.0, &FitSettings::default()).unwrap();
    let q0 = 2.0 * (n * (n / b).ln() - (n - b));
    assert_near(t(&tests, 0.0).unwrap(), q0, 1e-9);
    let mut curve = tests.asimov.curve(0, &tests.settings).unwrap();
    assert_near(
        curve.t(0.0).unwrap()[0],
        2.0 * ((s + b) * (1.0 + s / b).ln() - s),
        1e-9,
    );
    assert_near(tests.observed.best.point[0], 1.5, 1e-7);
    let mut curve = tests.observed.curve(0, &tests.settings).unwrap();
    assert_eq!(curve.q(1.0), Ok([0.0; 2]));
    let found = discovery(&model, 0, 1.0, &FitSettings::default()).unwrap();
    assert_near(found.q0, q0, 1e-9);
    assert_near(found.significance, q0.sqrt(), 1e-9);
    assert_near(found.p_value, above(q0.sqrt()), 1e-12);
    let median = (2.0 * ((s + b) * (1.0 + s / b).ln() - s)).sqrt();
    for (found, sigma) in found.expected.iter().zip([-2.0, -1.0, 0.0, 1.0, 2.0]) {
        assert_near(found, (median + sigma).max(0.0), 1e-9);
    }
}

#[test]
fn limit_is_where_cls_is_one_in_twenty() {
    for (statistic, bounds) in [
        (UpperStatistic::QTilde, (0.0, f64::INFINITY)),
        (UpperStatistic::QTilde, (0.0, 50.0)),
        (UpperStatistic::Q, (-4.0, 50.0)),
    ] {
        // fewer events than background: mu-hat is negative or at its bound
        let model = counting(88.0, 20.0, 100.0, bounds);
        let tests = Asymptotics::new(&model, 0, 0.0, &FitSettings::default()).unwrap();
        let limits = limits(&tests, statistic);
        let at = |mu| tests.cls(mu, statistic).unwrap();
        assert_near(at(limits[0]).observed, 0.05, 1e-6);
        for (band, mu) in limits[1..].iter().enumerate() {
            assert_near(at(*mu).expected[band], 0.05, 1e-6);
        }
        assert!(limits[0] < limits[3], "{limits:?}");
    }
}

#[test]
fn below_zero_nothing_is_excluded() {
    // as many as expected, more, and so few that the best fit is below the tested values
    for observed in [100.0, 130.0, 70.0] {
        let model = counting(observed, 20.0, 100.0, (-4.0, 50.0));
        let tests = Asymptotics::new(&model, 0, 0.0, &FitSettings::default()).unwrap();
        for mu in [-1.2, -0.5, -1e-9, 0.0] {
            let cls = tests.cls(mu, UpperStatistic::Q).unwrap();
            for cls in cls.expected.into_iter().chain([cls.observed]) {
                assert_near(cls, 1.0, 1e-3);
            }
        }
        let above = tests.cls(0.5, UpperStatistic::Q).unwrap();
        // the best fit of 130 events is 1.5
        assert_eq!(above.observed < 0.999, observed < 130.0);
        assert!(observed < 130.0 || above.observed == 1.0);
        assert!(above.expected[2] < 0.999);
    }
    // the other statistic divides by what is none there
    let cls = CLs::new(0.0, Some(1e-9), 0.0, UpperStatistic::QTilde);
    assert_near(cls.observed, 1.0, 1e-12);
}

/// Counts of `s f(mu)` over a known background.
fn by_coefficient(f: &str, observed: f64, bounds: (f64, f64)) -> HistogramModel {
    let mut model = counting(observed, 20.0, 100.0, bounds);
    model.parameters[0].nominal = 0.1;
    let mut templates = model.channels[0].templates().to_vec();
    templates[0].factors = vec![Factor::Coefficient(Coefficient::parse(f, &["mu"]).unwrap())];
    model.channels[0] = HistogramChannel::new("SR", templates, vec![observed], 1).unwrap();
    model
}

#[test]
fn a_minimum_at_the_kink_of_a_coefficient_is_a_minimum() {
    // fewer events than background: the rate rises on both sides of 0
    for f in ["abs(mu)", "max(mu, -2*mu)", "2*abs(mu) - min(mu, 0)"] {
        let model = by_coefficient(f, 90.0, (-2.0, 3.0)).likelihood();
        let best = fit(&model, &FitSettings::default()).unwrap();
        best.checked().unwrap();
        assert_eq!(best.states, [State::AtKink], "{f}: {best:?}");
        assert!(
            best.point[0].abs() < 1e-12 && best.error(0).is_none(),
            "{f}"
        );
        let sides = minos(&model, &FitSettings::default(), &best, 0, 1.0).unwrap();
        for end in [&sides.lower, &sides.upper] {
            let End::Crossing(mu) = end else {
                panic!("{f}: {end:?}");
            };
            assert_near(2.0 * (model.value(&[*mu]) - best.nll), 1.0, 1e-3);
        }
    }
}

#[test]
fn a_root_that_is_fitted_is_finite_at_zero() {
    // interference, the square of a root that starts at 0 and, with few events, ends there
    for (f, observed, is_zero) in [
        ("mu - sqrt(mu)", 98.0, false),
        ("3*mu - sqrt(mu)", 98.0, false),
        ("mu + sqrt(mu)", 140.0, false),
        ("mu + sqrt(mu)", 90.0, true),
        ("mu", 90.0, true),
        ("mu", 140.0, false),
    ] {
        let mut model = by_coefficient(f, observed, (0.0, 3.0));
        model.parameters[0].nominal = 0.0;
        let mut templates = model.channels[0].templates().to_vec();
        let root = Coefficient::parse(f, &["mu"]).unwrap().with_square(0);
        templates[0].factors = vec![Factor::Coefficient(root)];
        model.channels[0] = HistogramChannel::new("SR", templates, vec![observed], 1).unwrap();
        let model = model.likelihood();
        let mut gradient = [f64::NAN];
        let value = model.gradient(&[0.0], &mut gradient);
        assert!(value.is_finite() && gradient[0].is_finite(), "{f}");
        let best = fit(&model, &FitSettings::default()).unwrap();
        best.checked().unwrap();
        assert_eq!(best.point[0] == 0.0, is_zero, "{f} of {observed}: {best:?}");
        let sides = minos(&model, &FitSettings::default(), &best, 0, 1.0).unwrap();
        let End::Crossing(above) = sides.upper else {
            panic!("{f} of {observed}: {:?}", sides.upper);
        };
        assert_near(2.0 * (model.value(&[above]) - best.nll), 1.0, 1e-3);
        assert!(sides.lower.value().is_some_and(f64::is_finite), "{f}");
    }
}

#[test]
fn the_limit_is_the_largest_value_where_cls_falls() {
    // 84 events at 1, where the first descent of CLs ends before; 12 at 3; 96 at 4
    let f = "mu*((mu - 3)^2 + 0.2)";
    for bounds in [(0.0, 6.0), (0.0, f64::INFINITY)] {
        let model = by_coefficient(f, 95.0, bounds);
        let tests = Asymptotics::new(&model, 0, 0.0, &FitSettings::default()).unwrap();
        let at = |mu| tests.cls(mu, UpperStatistic::QTilde).unwrap();
        assert!(at(1.0).observed < 0.05 && at(3.0).observed > 0.05);
        let limits = limits(&tests, UpperStatistic::QTilde);
        assert_near(at(limits[0]).observed, 0.05, 1e-6);
        for (k, limit) in limits.iter().enumerate().filter(|(k, _)| *k != 1) {
            assert!(*limit > 3.0, "{limits:?}");
            let of = |mu| match k {
                0 => at(mu).observed,
                _ => at(mu).expected[k - 1],
            };
            assert!((1..9).all(|i| of(limit + 0.25 * f64::from(i)) < 0.05));
        }
    }
    // it does not fall within the bounds any more
    let model = by_coefficient(f, 95.0, (0.0, 3.1));
    let tests = Asymptotics::new(&model, 0, 0.0, &FitSettings::default()).unwrap();
    let found = tests.limits(0.95, UpperStatistic::QTilde).unwrap();
    assert_refused(
        found.observed,
        "the observed upper limit lies above mu = 3.1",
    );
}

#[test]
fn cls_is_a_number_where_both_probabilities_are_none() {
    let cls = |q: f64, asimov: f64| CLs::new(1.0, Some(q), asimov, UpperStatistic::QTilde).observed;
    // data 60 standard deviations below what is expected without signal
    let deep = cls(160.0_f64.powi(2), 1e-4);
    assert!(deep.is_finite() && deep >= 0.0, "{deep}");
    let (one, other) = (cls(9.0, 0.01), cls(9.2, 0.01));
    assert!(one > other && other > 0.0, "{one} {other}");
    // it joins the quotient of probabilities
    let z = 37.0_f64;
    let direct = above(z + 0.5) / above(z);
    let by_logarithms = (-0.5 * 0.5 * (2.0 * z + 0.5)).exp() * z / (z + 0.5);
    assert_near(direct / by_logarithms, 1.0, 1e-3);
}

#[test]
fn what_cannot_be_tested_is_refused() {
    let model = counting(130.0, 20.0, 100.0, (0.0, 2.0));
    let tests = Asymptotics::new(&model, 0, 0.0, &FitSettings::default()).unwrap();
    // what can be had is there: data fluctuate upwards, most of what is expected is below
    let parts = tests.limits(0.95, UpperStatistic::QTilde).unwrap();
    assert_refused(parts.observed, "the observed upper limit lies above mu = 2");
    let below: Vec<f64> = parts.expected.into_iter().filter_map(Result::ok).collect();
    assert!(below.len() >= 3 && below.is_sorted(), "{below:?}");
    let level = tests.limits(0.3, UpperStatistic::QTilde);
    assert_refused(level, "confidence level 0.3 is not between 0.5 and 1");
    assert_refused(t(&tests, 3.0), "mu = 3");
}

#[test]
fn falls_are_found_where_newtons_method_crawls_or_misses() {
    type Function = fn(f64) -> [f64; 2];
    let cases: [(Function, f64, f64); 5] = [
        (|x| [1e-9 - x.powi(9), -9.0 * x.powi(8)], 4.0, 0.1),
        (|x| [0.5 - x, -1.0], 1e-6, 0.5),
        // flat at first, then a wall of infinity
        (
            |x| [if x < 2.0 { 1.0 } else { f64::NEG_INFINITY }, f64::NAN],
            0.1,
            2.0,
        ),
        // a slope of the wrong sign
        (|x| [1.0 - x * x, 2.0 * x], 0.3, 1.0),
        // a kink
        (
            |x| {
                if x < 1.0 {
                    [2.0 - x, -1.0]
                } else {
                    [1.0 - 40.0 * (x - 1.0), -40.0]
                }
            },
            9.0,
            1.025,
        ),
    ];
    for (f, first, expected) in cases {
        let found = descent("the", (0.0, 10.0), first, |x| Ok(f(x))).unwrap();
        assert_near(found, expected, 1e-8);
    }
    let beyond = descent("the", (0.0, 0.4), 0.1, |x| Ok([0.5 - x, -1.0]));
    assert_refused(beyond, "the upper limit lies above mu = 0.4");
    // values that cannot be had are stepped back from
    let wall = |x: f64| {
        ensure(x < 3.0, || "a wall".to_owned())?;
        Ok([2.5 - x, -1.0])
    };
    assert_near(descent("the", (0.0, 99.0), 50.0, wall).unwrap(), 2.5, 1e-8);
    let never = |_: f64| Err(Error::new("no fit"));
    assert_refused(descent("the", (0.0, 9.0), 1.0, never), "no fit");
}

#[test]
fn the_slope_of_cls_is_that_of_its_logarithm() {
    let (q, asimov) = (
        |mu: f64| 2.1 * mu.powi(2) + 0.3 * mu,
        |mu: f64| 1.7 * mu.powi(2),
    );
    for statistic in [UpperStatistic::Q, UpperStatistic::QTilde] {
        for mu in [0.3, 1.0, 2.5] {
            let at = |mu: f64| {
                let (dq, da) = (4.2 * mu + 0.3, 3.4 * mu);
                log_cls([q(mu), dq], [asimov(mu), da], statistic)
            };
            let slope = (at(mu + 1e-5)[0] - at(mu - 1e-5)[0]) / 2e-5;
            assert_near(at(mu)[1], slope, 1e-8 * slope.abs().max(1.0));
            let cls = CLs::new(mu, Some(q(mu)), asimov(mu), statistic).observed;
            assert_near(at(mu)[0], cls.ln(), 1e-12);
        }
    }
}

#[test]
fn an_upper_bound_is_widened_and_that_is_said() {
    // mu-hat is 1.5, or the bound where that lies below
    for bound in [1.0, 2.0, 5.0] {
        let model = counting(130.0, 20.0, 100.0, (0.0, bound));
        let wide = counting(130.0, 20.0, 100.0, (0.0, 1e3));
        let tests = |model| Asymptotics::new(model, 0, 0.0, &FitSettings::default()).unwrap();
        let found = tests(&model)
            .limits_with(&LimitSettings::default())
            .unwrap();
        let expected = limits(&tests(&wide), UpperStatistic::QTilde);
        for (found, expected) in found.all().zip(&expected) {
            assert_near(found.as_ref().unwrap(), expected, 1e-6);
        }
        assert_eq!(found.bound_widened, (bound < 3.0).then_some(10.0 * bound));
    }
    // no signal at all: no bound is wide enough
    let model = counting(100.0, 1e-9, 100.0, (0.0, 1.0));
    let tests = Asymptotics::new(&model, 0, 0.0, &FitSettings::default()).unwrap();
    let found = tests.limits_with(&LimitSettings::default()).unwrap();
    assert_refused(
        found.observed,
        "the observed upper limit lies above mu = 1000000",
    );
    assert_eq!(found.bound_widened, Some(1e6));
}

#[test]
fn limits_within_the_bounds_stand_where_a_wider_bound_has_no_fit() {
    let model = counting(130.0, 20.0, 100.0, (0.0, 1.0));
    let tests = Asymptotics::new(&model, 0, 0.0, &FitSettings::default()).unwrap();
    let asked = LimitSettings::default();
    let within = tests.within_bounds(&asked, [true; 6]);
    // the lower bands are below the bound, the observed limit and the upper ones are not
    let beyond = within.beyond_bounds();
    assert!(beyond[0] && beyond[5] && !beyond[1], "{within:?}");
    let before: Vec<Option<f64>> = within.all().map(|limit| limit.clone().ok()).collect();
    let found = Asymptotics::beyond_bound(within, &asked, 1.0, |_| Err(Error::new("no fit")));
    for ((limit, before), is_beyond) in found.all().zip(before).zip(beyond) {
        match limit {
            Ok(limit) => assert_eq!(Some(*limit), before),
            Err(why) => {
                assert!(is_beyond);
                let why = why.to_string();
                assert!(why.contains("upper limit lies above mu = 1,"), "{why}");
                assert!(why.ends_with("(with 10 it is not known: no fit)"), "{why}");
            }
        }
    }
    assert_eq!(found.bound_widened, None);
}

#[test]
fn what_cannot_be_a_parameter_of_interest_is_refused_by_name() {
    let settings = FitSettings::default();
    let mut model = counting(130.0, 20.0, 100.0, (0.5, 2.0));
    let refused = |model: &HistogramModel, settings: &FitSettings, words: &str| {
        assert_refused(Asymptotics::new(model, 0, 0.0, settings).map(|_| ()), words);
    };
    refused(
        &model,
        &settings,
        "Asimov data at mu = 0 cannot be made: its bounds are [0.5, 2]",
    );
    model.parameters[0].bounds = (0.0, 2.0);
    refused(
        &model,
        &settings.with_fixed(0, 1.0),
        "parameter of interest `mu` is fixed",
    );
    model.parameters[0].constraint = Parameter::nuisance("mu").constraint;
    refused(
        &model,
        &settings,
        "parameter of interest `mu` has an auxiliary measurement",
    );
}

#[test]
fn a_signal_in_deficit_has_no_significance() {
    let model = counting(80.0, 20.0, 100.0, (-5.0, 20.0));
    let found = discovery(&model, 0, 1.0, &FitSettings::default()).unwrap();
    assert!(found.mu < -0.9);
    assert_eq!(
        (found.q0, found.significance, found.p_value),
        (0.0, 0.0, 0.5)
    );
    let refused = discovery(&model, 0, -1.0, &FitSettings::default());
    assert_refused(refused, "a signal of -1 is expected");
}

#[test]
fn a_start_without_signal_is_left_where_there_are_data() {
    let template = |name: &str, nominal: &[f64], factors| Template {
        name: name.into(),
        nominal: nominal.to_vec(),
        factors,
        modifiers: vec![],
    };
    let templates = vec![
        template("signal", &[20.0, 1.0], vec![Factor::Parameter(0)]),
        template("background", &[100.0, 0.0], vec![]),
    ];
    let channel = HistogramChannel::new("SR", templates, vec![110.0, 3.0], 1).unwrap();
    let mut model = counting(110.0, 20.0, 100.0, (0.0, 20.0));
    model.parameters[0].nominal = 0.0;
    model.channels[0] = channel;
    let best = fit(&model.likelihood(), &FitSettings::default()).unwrap();
    let mu = best.checked().unwrap().point[0];
    // 110 * 20 / (100 + 20 mu) + 3 / mu = 21
    assert_near(110.0 * 20.0 / (100.0 + 20.0 * mu) + 3.0 / mu, 21.0, 1e-6);
    let words = "channel `SR`, bin 1: 3 events are observed where 0 are expected";
    let without = FitSettings::default().with_fixed(0, 0.0);
    assert_refused(fit(&model.likelihood(), &without).unwrap().checked(), words);
    let tests = Asymptotics::new(&model, 0, 0.0, &FitSettings::default());
    assert_refused(tests.map(|_| ()), words);
}

/// A signal over a background whose rate is known to a fifth, and counted beside.
fn with_nuisance(observed: f64) -> HistogramModel {
    let mut model = counting(observed, 20.0, 100.0, (0.0, 20.0));
    let mut templates = model.channels[0].templates().to_vec();
    templates[1].factors.push(Factor::Response(RateResponse {
        parameter: 1,
        low: 0.8,
        high: 1.2,
        interpolation: Interpolation::Code4,
    }));
    model.parameters.push(Parameter::nuisance("rate"));
    model.parameters.push(Parameter::nuisance("nothing"));
    model.channels[0] = HistogramChannel::new("SR", templates, vec![observed], 3).unwrap();
    model
}

#[test]
fn impacts_on_a_limit_need_no_error_of_mu() {
    let group = |name: &str, parameters: &[usize]| Group {
        name: name.to_owned(),
        parameters: parameters.to_vec(),
    };
    let groups = vec![
        group("rate", &[1]),
        group("nothing", &[2]),
        group("all", &[1, 2]),
    ];
    let asked = |kind| LimitImpactSettings {
        level: 0.95,
        kind,
        groups: groups.clone(),
    };
    // mu-hat is on its bound
    for observed in [85.0, 95.0] {
        let model = with_nuisance(observed);
        let settings = FitSettings::default();
        let found = limit_impacts(&model, 0, &settings, &asked(ImpactKind::Frozen)).unwrap();
        let tests = Asymptotics::new(&model, 0, 0.0, &settings).unwrap();
        assert_eq!(tests.best().states[0], State::AtLower);
        let expected = limits(&tests, UpperStatistic::QTilde)[3];
        assert_near(found.expected, expected, 1e-6);
        // frozen: a counting experiment over what the background is fitted to
        let b = 100.0 * Interpolation::Code4.relative(tests.made_at()[1], 0.8, 1.2)[0];
        let frozen = |b| {
            let alone = counting(b, 20.0, b, (0.0, 20.0));
            let tests = Asymptotics::new(&alone, 0, 0.0, &settings).unwrap();
            limits(&tests, UpperStatistic::QTilde)[3]
        };
        let relative = |limit: f64| 1.0 - limit / expected;
        for (k, expected) in [relative(frozen(b)), 0.0, relative(frozen(b))]
            .iter()
            .enumerate()
        {
            assert_near(found.groups[k].relative.unwrap(), expected, 1e-5);
        }
        let found = limit_impacts(&model, 0, &settings, &asked(ImpactKind::Removed)).unwrap();
        assert_near(
            found.groups[0].relative.unwrap(),
            relative(frozen(100.0)),
            1e-5,
        );
    }
    // a bound below the limit with all parameters, which is above 1
    let mut narrow = with_nuisance(95.0);
    narrow.parameters[0].bounds = (0.0, 1.0);
    for kind in [ImpactKind::Frozen, ImpactKind::Removed] {
        let find = |model: &HistogramModel| {
            limit_impacts(model, 0, &FitSettings::default(), &asked(kind)).unwrap()
        };
        let (found, wide) = (find(&narrow), find(&with_nuisance(95.0)));
        assert!(wide.expected > 1.0, "{}", wide.expected);
        assert_near(found.expected, wide.expected, 1e-6);
        assert_eq!(
            (found.bound_widened, wide.bound_widened),
            (Some(10.0), None)
        );
    }
    let mut wrong = asked(ImpactKind::Frozen);
    wrong.groups[0].parameters.push(0);
    let refused = limit_impacts(&with_nuisance(90.0), 0, &FitSettings::default(), &wrong);
    assert_refused(refused, "group `rate` has the parameter of interest `mu`");
}

#[test]
fn a_minimum_at_the_kink_of_code_0_is_a_minimum() {
    // fewer events than expected, and more expected on either side of 0
    let mut model = counting(95.0, 20.0, 100.0, (0.0, 10.0));
    let mut templates = model.channels[0].templates().to_vec();
    templates[1].factors.push(Factor::Response(RateResponse {
        parameter: 1,
        low: 1.1,
        high: 1.3,
        interpolation: Interpolation::Code0,
    }));
    model.parameters.push(Parameter::nuisance("scale"));
    model.channels[0] = HistogramChannel::new("SR", templates, vec![95.0], 2).unwrap();
    let tests = Asymptotics::new(&model, 0, 0.0, &FitSettings::default()).unwrap();
    let best = &tests.observed.best.point;
    assert!(best[1].abs() < 1e-12, "{best:?}");
    // the other parameter is as good as absent
    let t = t(&tests, 1.0).unwrap();
    let expected = 2.0 * (20.0 - 95.0 * 1.2_f64.ln());
    assert_near(t, expected, 1e-9);
}

#[test]
fn shifts_are_those_of_the_best_fit_when_auxiliary_data_move() {
    let mut model = with_nuisance(130.0);
    let mut templates = model.channels[0].templates().to_vec();
    templates[1].modifiers.push(Modifier::PerBin {
        parameters: vec![3],
    });
    let mut gamma = Parameter::interest("gamma", 1.0, (1e-10, 10.0));
    gamma.role = Role::Nuisance;
    model.parameters.push(gamma);
    model.constraints.push(PoissonConstraint {
        parameter: 3,
        tau: 40.0,
        observed: 44.0,
    });
    model.channels[0] = HistogramChannel::new("SR", templates, vec![130.0], 4).unwrap();
    let settings = FitSettings::default();
    let mu = |model: &HistogramModel| fit(&model.likelihood(), &settings).unwrap().point[0];
    let asked = ImpactSettings {
        interest: vec![0],
        groups: vec![],
        refit: true,
    };
    let likelihood = model.likelihood();
    let best = fit(&likelihood, &settings).unwrap();
    let found = impacts(&likelihood, &settings, &best, &asked)
        .unwrap()
        .remove(0);
    let shifted = |k: usize| {
        let impact = found.ranking.iter().find(|impact| impact.parameter == k);
        impact.unwrap().shifted.unwrap()
    };
    let slope = |change: &dyn Fn(&mut HistogramModel, f64)| {
        let [down, up] = [-1e-2, 1e-2].map(|by| {
            let mut moved = model.clone();
            change(&mut moved, by);
            mu(&moved)
        });
        (up - down) / 2e-2
    };
    let centre = slope(&|model, by| {
        model.parameters[1].constraint.as_mut().unwrap().centre += by;
    });
    assert_near(shifted(1), centre, 1e-4);
    let count = slope(&|model, by| model.constraints[0].observed += by * 44.0_f64.sqrt());
    assert_near(shifted(3), count, 1e-4);
    assert!(centre < -0.5 && count < -0.3 && shifted(2) == 0.0);
}

/// `8 (a^2 - 1)^2 + 0.2 a (mu - 1) + (mu - 0.5)^2 / 2`: a minimum at `a = 1` that is the deeper
/// one below `mu = 1`, and one at `a = -1` that is above.
struct TwoMinima;

impl Term for TwoMinima {
    fn value(&self, at: &[f64]) -> f64 {
        self.gradient(at, &mut [0.0; 2])
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        self.hessian(at, gradient, &mut [0.0; 4])
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let (mu, a) = (at[0], at[1]);
        let well = a * a - 1.0;
        gradient[0] += 0.2 * a + mu - 0.5;
        gradient[1] += 32.0 * a * well + 0.2 * (mu - 1.0);
        let second = [1.0, 0.2, 0.2, 96.0 * a * a - 32.0];
        hessian.iter_mut().zip(second).for_each(|(h, s)| *h += s);
        8.0 * well * well + 0.2 * a * (mu - 1.0) + 0.5 * (mu - 0.5).powi(2)
    }

    fn is_linear_in(&self, _: usize) -> bool {
        true
    }
}

#[test]
fn a_limit_is_that_of_the_deepest_conditional_minimum() {
    let mut a = Parameter::interest("a", -0.9, (-3.0, 3.0));
    a.role = Role::Nuisance;
    let parameters = vec![Parameter::interest("mu", 0.5, (0.0, 10.0)), a];
    let model = Model::new(parameters, vec![Arc::new(TwoMinima)]);
    let settings = FitSettings {
        starts: vec![vec![0.5, 0.9]],
        ..FitSettings::default()
    };
    let fitted = Fitted::new("data", model, &settings).unwrap();
    assert_near(fitted.best.point[0], 0.3, 1e-2);
    // followed from the best fit alone, the limit is that of the minimum it lies in
    let mut path = fitted.curve(0, &settings).unwrap();
    let [q, _] = path.q(2.26).unwrap();
    assert_near(q, 3.84, 0.05);
    let mut search = Search::new([&fitted], 0, &settings).unwrap();
    let [_, _, median, _, _] = search.expected(0.05, [None, None, Some(0.3), None, None]);
    let median = median.unwrap();
    assert_near(median, 2.555, 0.02);
    let there = fit(&fitted.likelihood, &settings.with_fixed(0, median)).unwrap();
    let root = (2.0 * (there.nll - fitted.best.nll)).sqrt();
    assert_near(root, 1.959_963_98, 1e-6);
    // a best fit in the other minimum is left as soon as it is seen to be missed
    let alone = FitSettings::default();
    let missed = Fitted::new("data", fitted.likelihood.clone(), &alone).unwrap();
    assert_near(missed.best.point[0], 0.7, 1e-2);
    let mut curve = missed.curve(0, &settings).unwrap();
    assert!(curve.check(0.2).unwrap());
    let [t, _] = curve.t(0.2).unwrap();
    assert_eq!(curve.deeper_at, [0.2]);
    assert_near(curve.best_mu(), fitted.best.point[0], 1e-5);
    assert_near(t, 0.01, 1e-3);
}
