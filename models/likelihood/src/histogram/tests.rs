//! Derivatives against differences, products that vanish, refusals.

use super::*;
use crate::{Coefficient, Interpolation, RateResponse, Term};

const PARAMETERS: usize = 9;
/// Places of the parameters of [`channel`].
const MU: usize = 0;
const NORM: usize = 1;
const BOTH: usize = 2;
const SHAPE: usize = 3;
const RATIO: usize = 4;
const GAMMA: [usize; 3] = [5, 6, 7];
const TAU: usize = 8;

fn shape(parameter: usize, low: [f64; 3], high: [f64; 3], code: Interpolation) -> Modifier {
    Modifier::Shape {
        parameter,
        low: low.to_vec(),
        high: high.to_vec(),
        code,
    }
}

fn response(parameter: usize, low: f64, high: f64, interpolation: Interpolation) -> Factor {
    Factor::Response(RateResponse {
        parameter,
        low,
        high,
        interpolation,
    })
}

fn coefficient(text: &str) -> Coefficient {
    let names = [
        "mu", "norm", "both", "shape", "ratio", "g0", "g1", "g2", "tau",
    ];
    Coefficient::parse(text, &names).unwrap()
}

/// Every modifier, parameters shared between factor and shape and between
/// samples, a bin without background, a negative template, an empty count.
fn channel() -> HistogramChannel {
    let signal = Template {
        name: "signal".into(),
        nominal: vec![4.0, 9.0, 2.0],
        factors: vec![
            Factor::Parameter(MU),
            response(BOTH, 0.9, 1.2, Interpolation::Code4),
        ],
        modifiers: vec![
            shape(
                BOTH,
                [3.5, 9.5, 2.2],
                [4.8, 8.0, 1.7],
                Interpolation::Code4p,
            ),
            shape(
                RATIO,
                [3.0, 9.9, 2.0],
                [5.0, 8.0, 2.3],
                Interpolation::Code4,
            ),
        ],
    };
    let background = Template {
        name: "background".into(),
        nominal: vec![50.0, 0.0, 31.0],
        factors: vec![
            Factor::Parameter(NORM),
            Factor::Parameter(NORM),
            response(SHAPE, 0.8, 1.25, Interpolation::Code1),
        ],
        modifiers: vec![
            shape(
                SHAPE,
                [44.0, 1.0, 31.0],
                [58.0, 0.5, 29.0],
                Interpolation::Code0,
            ),
            shape(
                RATIO,
                [48.0, 0.0, 33.0],
                [51.0, 0.0, 30.0],
                Interpolation::Code1,
            ),
            Modifier::PerBin {
                parameters: GAMMA.to_vec(),
            },
            Modifier::PerBin {
                parameters: vec![TAU; 3],
            },
        ],
    };
    let interference = Template {
        name: "interference".into(),
        nominal: vec![-2.0, 1.0, -0.5],
        factors: vec![
            Factor::Coefficient(coefficient("norm * mu + tau * (1 - mu)^2 * mu")),
            Factor::Parameter(TAU),
        ],
        modifiers: vec![
            shape(
                SHAPE,
                [-2.2, 1.1, -0.4],
                [-1.7, 0.8, -0.6],
                Interpolation::Code2,
            ),
            Modifier::PerBin {
                parameters: GAMMA.to_vec(),
            },
        ],
    };
    let templates = vec![signal, background, interference];
    HistogramChannel::new("SR", templates, vec![60.0, 7.0, 0.0], PARAMETERS).unwrap()
}

const POINTS: [[f64; PARAMETERS]; 3] = [
    [0.7, 1.1, 0.3, -0.4, 0.6, 0.9, 1.1, 1.05, 0.95],
    [1.4, 0.8, -1.6, 1.7, -1.3, 1.2, 0.8, 0.9, 1.3],
    // a normalisation of zero: the product must not be divided by it
    [0.0, 1.0, 0.2, 0.5, -0.2, 1.0, 1.0, 1.0, 1.0],
];

/// Largest difference between exact derivatives and differences of fourth order,
/// relative to the larger of 1 and the derivative: first, second.
fn largest_difference(term: &dyn Term, at: &[f64]) -> (f64, f64) {
    const STEP: f64 = 1e-4;
    let n = at.len();
    let (mut gradient, mut hessian) = (vec![0.0; n], vec![0.0; n * n]);
    let value = term.hessian(at, &mut gradient, &mut hessian);
    assert!((value - term.value(at)).abs() <= 1e-12 * value.abs().max(1.0));
    let mut largest = (0.0_f64, 0.0_f64);
    for i in 0..n {
        let all = [-2.0, -1.0, 1.0, 2.0].map(|steps| {
            let mut point = at.to_vec();
            point[i] += steps * STEP;
            let mut slope = vec![0.0; n];
            let value = term.gradient(&point, &mut slope);
            (value, slope)
        });
        let away = |exact: f64, of: &dyn Fn(usize) -> f64| {
            let slope = (of(0) - 8.0 * of(1) + 8.0 * of(2) - of(3)) / (12.0 * STEP);
            (slope - exact).abs() / exact.abs().max(1.0)
        };
        largest.0 = largest.0.max(away(gradient[i], &|k| all[k].0));
        for j in 0..n {
            let second = away(hessian[i * n + j], &|k| all[k].1[j]);
            largest.1 = largest.1.max(second);
        }
    }
    largest
}

#[test]
fn derivatives_agree_with_differences() {
    let channel = channel();
    for at in POINTS {
        let (first, second) = largest_difference(&channel, &at);
        assert!(first < 1e-8 && second < 1e-8, "{at:?}: {first} {second}");
    }
    let constraint = PoissonConstraint {
        parameter: TAU,
        tau: 40.0,
        observed: 37.0,
    };
    let (first, second) = largest_difference(&constraint, &POINTS[1]);
    assert!(first < 1e-8 && second < 1e-8, "{first} {second}");
}

#[test]
fn hessian_is_symmetric_and_adds() {
    let channel = channel();
    let (mut gradient, mut hessian) = (vec![1.0; PARAMETERS], vec![2.0; PARAMETERS.pow(2)]);
    channel.hessian(&POINTS[0], &mut gradient, &mut hessian);
    for i in 0..PARAMETERS {
        for j in 0..PARAMETERS {
            let (a, b) = (hessian[i * PARAMETERS + j], hessian[j * PARAMETERS + i]);
            assert!((a - b).abs() < 1e-10 * a.abs().max(1.0));
        }
    }
    let mut other = vec![0.0; PARAMETERS];
    channel.gradient(&POINTS[0], &mut other);
    for (a, b) in gradient.iter().zip(other) {
        assert!((a - 1.0 - b).abs() < 1e-12 * b.abs().max(1.0));
    }
}

#[test]
fn prediction_is_the_formula() {
    let at = [1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    assert_eq!(channel().expected(&at), [52.0, 10.0, 32.5]);
    // up by one of every kind, each against the formula by hand
    let at = [2.0, 1.1, 1.0, 1.0, 1.0, 1.2, 0.9, 1.0, 0.5];
    let signal = [
        2.0 * 1.2 * (4.0 + 0.8) * (5.0 / 4.0),
        2.0 * 1.2 * (9.0 - 1.0) * (8.0 / 9.0),
        2.0 * 1.2 * (2.0 - 0.3) * (2.3 / 2.0),
    ];
    let scale = 1.1 * 1.1 * 1.25 * 0.5;
    let background = [
        scale * 1.2 * 58.0 * (51.0 / 50.0),
        scale * 0.9 * 0.5,
        scale * 29.0 * (30.0 / 31.0),
    ];
    let scale = 0.5 * (1.1 * 2.0 + 0.5 * 1.0 * 2.0);
    let interference = [scale * 1.2 * -1.7, scale * 0.9 * 0.8, scale * -0.6];
    let found = channel();
    for (bin, lambda) in found.expected(&at).iter().enumerate() {
        let expected = signal[bin] + background[bin] + interference[bin];
        assert!((lambda - expected).abs() < 1e-12 * expected.abs(), "{bin}");
    }
    let parts = found.contributions(&at);
    assert_eq!(parts[1].0, "background");
    assert!((parts[1].1[2] - background[2]).abs() < 1e-12);
}

#[test]
fn value_with_normalisation_is_minus_log_poisson() {
    let channel = channel();
    let expected = channel.expected(&POINTS[0]);
    let direct: f64 = expected
        .iter()
        .zip(channel.observed())
        .map(|(lambda, n)| {
            let factorial: f64 = (1..=*n as u32).map(|k| f64::from(k).ln()).sum();
            lambda - n * lambda.ln() + factorial
        })
        .sum();
    let found = channel.value(&POINTS[0]) + channel.normalisation();
    assert!((found - direct).abs() < 1e-11, "{found} {direct}");
}

#[test]
fn impossible_means_are_infinite_and_empty_bins_are_not() {
    let template = |name: &str, content: f64, parameter| Template {
        name: name.into(),
        nominal: vec![content],
        factors: vec![Factor::Parameter(parameter)],
        modifiers: vec![],
    };
    let build = |n| HistogramChannel::new("SR", vec![template("s", 2.0, 0)], vec![n], 1);
    let (empty, filled) = (build(0.0).unwrap(), build(1.0).unwrap());
    assert_eq!(empty.value(&[0.0]), 0.0);
    assert_eq!(filled.value(&[0.0]), f64::INFINITY);
    assert_eq!(empty.value(&[-1.0]), f64::INFINITY);
    let (mut gradient, mut hessian) = ([0.0], [0.0]);
    assert_eq!(empty.hessian(&[0.0], &mut gradient, &mut hessian), 0.0);
    assert_eq!((gradient[0], hessian[0]), (2.0, 0.0));
}

#[test]
fn asimov_data_are_their_own_optimum() {
    let channel = channel();
    let asimov = channel.with_observed(channel.expected(&POINTS[0])).unwrap();
    let mut gradient = vec![0.0; PARAMETERS];
    assert_eq!(asimov.gradient(&POINTS[0], &mut gradient), 0.0);
    assert!(gradient.iter().all(|g| *g == 0.0), "{gradient:?}");
}

#[test]
fn what_cannot_be_built_is_refused() {
    let good = channel();
    let build = |change: &dyn Fn(&mut Vec<Template>, &mut Vec<f64>)| {
        let (mut templates, mut observed) = (good.templates().to_vec(), good.observed().to_vec());
        change(&mut templates, &mut observed);
        let refused = HistogramChannel::new("SR", templates, observed, PARAMETERS);
        refused
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let expect = |message: String, words: &str| assert!(message.contains(words), "{message}");
    expect(build(&|t, _| t.clear()), "no sample");
    expect(build(&|t, _| t[0].nominal.clear()), "no bin");
    expect(
        build(&|t, _| t[1].name = "signal".into()),
        "two samples `signal`",
    );
    expect(
        build(&|_, n| n[1] = -1.0),
        "bin 1: -1 is not zero or positive",
    );
    expect(
        build(&|_, n| n.push(1.0)),
        "4 values; the channel has 3 bins",
    );
    expect(
        build(&|t, _| t[1].nominal[2] = f64::NAN),
        "`background`, bin 2: NaN",
    );
    expect(
        build(&|t, _| t[0].factors[0] = Factor::Parameter(9)),
        "parameter 9",
    );
    let response = response(0, 0.0, 1.0, Interpolation::Code4);
    expect(
        build(&|t, _| t[0].factors[1] = response.clone()),
        "0 is not a positive factor",
    );
    let shape = shape(4, [1.0, 1.0, -1.0], [1.0; 3], Interpolation::Code4);
    expect(
        build(&|t, _| t[0].modifiers[1] = shape.clone()),
        "sign of the nominal",
    );
}
