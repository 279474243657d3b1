//! Derivatives against differences, products that vanish, refusals.

use super::*;
use crate::support::{assert_derivatives, assert_near, assert_refused, jet_of_term};
use crate::{Coefficient, Interpolation, RateResponse};

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

fn template(
    name: &str,
    nominal: &[f64],
    factors: Vec<Factor>,
    modifiers: Vec<Modifier>,
) -> Template {
    Template {
        name: name.into(),
        nominal: nominal.to_vec(),
        factors,
        modifiers,
    }
}

/// Every modifier, parameters shared between factor and shape and between
/// samples, a bin without background, a negative template, an empty count.
fn channel() -> HistogramChannel {
    use Interpolation::*;
    let signal = template(
        "signal",
        &[4.0, 9.0, 2.0],
        vec![Factor::Parameter(MU), response(BOTH, 0.9, 1.2, Code4)],
        vec![
            shape(BOTH, [3.5, 9.5, 2.2], [4.8, 8.0, 1.7], Code4p),
            shape(RATIO, [3.0, 9.9, 2.0], [5.0, 8.0, 2.3], Code4),
        ],
    );
    let per_bin = |parameters: [usize; 3]| Modifier::PerBin {
        parameters: parameters.to_vec(),
    };
    let background = template(
        "background",
        &[50.0, 0.0, 31.0],
        vec![
            Factor::Parameter(NORM),
            Factor::Parameter(NORM),
            response(SHAPE, 0.8, 1.25, Code1),
        ],
        vec![
            shape(SHAPE, [44.0, 1.0, 31.0], [58.0, 0.5, 29.0], Code0),
            shape(RATIO, [48.0, 0.0, 33.0], [51.0, 0.0, 30.0], Code1),
            per_bin(GAMMA),
            per_bin([TAU; 3]),
        ],
    );
    let interference = template(
        "interference",
        &[-2.0, 1.0, -0.5],
        vec![
            Factor::Coefficient(coefficient("norm * mu + tau * (1 - mu)^2 * mu")),
            Factor::Parameter(TAU),
        ],
        vec![
            shape(SHAPE, [-2.2, 1.1, -0.4], [-1.7, 0.8, -0.6], Code2),
            per_bin(GAMMA),
        ],
    );
    let templates = vec![signal, background, interference];
    HistogramChannel::new("SR", templates, vec![60.0, 7.0, 0.0], PARAMETERS).unwrap()
}

const POINTS: [[f64; PARAMETERS]; 3] = [
    [0.7, 1.1, 0.3, -0.4, 0.6, 0.9, 1.1, 1.05, 0.95],
    [1.4, 0.8, -1.6, 1.7, -1.3, 1.2, 0.8, 0.9, 1.3],
    // a normalisation of zero: the product must not be divided by it
    [0.0, 1.0, 0.2, 0.5, -0.2, 1.0, 1.0, 1.0, 1.0],
];

#[test]
fn derivatives_agree_with_differences() {
    let channel = channel();
    for at in POINTS {
        assert_derivatives(|at| jet_of_term(&channel, at), &at, 1e-4, [1e-8; 2], &[]);
    }
    let constraint = PoissonConstraint {
        parameter: TAU,
        tau: 40.0,
        observed: 37.0,
    };
    let jet = |at: &[f64]| jet_of_term(&constraint, at);
    assert_derivatives(jet, &POINTS[1], 1e-4, [1e-8; 2], &[]);
}

#[test]
fn gradient_and_hessian_add() {
    let channel = channel();
    let (mut gradient, mut hessian) = (vec![1.0; PARAMETERS], vec![2.0; PARAMETERS.pow(2)]);
    channel.hessian(&POINTS[0], &mut gradient, &mut hessian);
    let alone = jet_of_term(&channel, &POINTS[0]);
    let pairs = gradient.iter().map(|x| x - 1.0).zip(&alone.gradient);
    for (a, b) in pairs.chain(hessian.iter().map(|x| x - 2.0).zip(&alone.hessian)) {
        assert_near(a, b, 1e-12 * b.abs().max(1.0));
    }
}

#[test]
fn what_varies_nothing_is_nothing() {
    use Interpolation::*;
    let with = |factors: Vec<Factor>, modifiers: Vec<Modifier>| {
        let one = template("one", &[4.0, 9.0, 0.0], factors, modifiers);
        let other = template("other", &[1.0, 2.0, 3.0], vec![], vec![]);
        HistogramChannel::new("SR", vec![one, other], vec![5.0, 9.0, 4.0], PARAMETERS).unwrap()
    };
    let factors = || vec![Factor::Parameter(MU), response(BOTH, 0.9, 1.2, Code4)];
    let varied = || shape(SHAPE, [4.0, 8.0, 0.0], [4.0, 9.5, 0.0], Code4p);
    let plain = with(factors(), vec![varied()]);
    let mut more = factors();
    more.extend([Code0, Code1, Code2, Code4, Code4p].map(|code| response(TAU, 1.0, 1.0, code)));
    let same = |code| shape(RATIO, [4.0, 9.0, 0.0], [4.0, 9.0, 0.0], code);
    let padded = with(more, vec![same(Code4p), varied(), same(Code4), same(Code0)]);
    for at in POINTS {
        let (one, other) = (jet_of_term(&plain, &at), jet_of_term(&padded, &at));
        assert_eq!(one, other);
        let hessian = other.hessian.chunks(PARAMETERS);
        let depends: Vec<bool> = hessian.map(|row| row.iter().any(|h| *h != 0.0)).collect();
        assert!([MU, BOTH, SHAPE].iter().all(|k| depends[*k]) || at[MU] == 0.0);
        assert!(!depends[TAU] && !depends[RATIO]);
    }
    // the description is whole, as it is exported
    assert_eq!(padded.templates()[0].factors.len(), 7);
    assert_eq!(padded.templates()[0].modifiers.len(), 4);
}

#[test]
fn a_parameter_is_linear_where_it_is_one_factor() {
    let channel = channel();
    let linear: Vec<usize> = (0..PARAMETERS)
        .filter(|k| channel.is_linear_in(*k))
        .collect();
    // factors of bins, squares, and all that interpolates or is in a coefficient are not
    assert_eq!(linear, [0; 0]);
    let scaled = template("s", &[2.0], vec![Factor::Parameter(MU)], vec![]);
    let by_name = template(
        "t",
        &[1.0],
        vec![
            Factor::Coefficient(coefficient("mu * (1 + ratio^2) / 3")),
            Factor::Parameter(NORM),
            Factor::Parameter(NORM),
        ],
        vec![],
    );
    let channel =
        HistogramChannel::new("SR", vec![scaled, by_name], vec![3.0], PARAMETERS).unwrap();
    assert!(channel.is_linear_in(MU) && channel.is_linear_in(TAU));
    assert!(!channel.is_linear_in(NORM) && !channel.is_linear_in(RATIO));
}

#[test]
fn the_bin_that_is_impossible_is_named() {
    let template = template("s", &[2.0, 0.0], vec![Factor::Parameter(0)], vec![]);
    let channel = HistogramChannel::new("SR", vec![template], vec![0.0, 3.0], 1).unwrap();
    let words = channel.impossible(&[1.0]);
    let expected = "channel `SR`, bin 1: 3 events are observed where 0 are expected";
    assert_eq!(words.as_deref(), Some(expected));
    assert!(
        channel
            .with_observed(vec![1.0, 0.0])
            .unwrap()
            .impossible(&[1.0])
            .is_none()
    );
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
        assert_near(lambda, expected, 1e-12 * expected.abs());
    }
    let alone = [signal, background, interference];
    for (found, expected) in found.contributions(&at).iter().zip(alone) {
        for (found, expected) in found.iter().zip(expected) {
            assert_near(found, expected, 1e-12 * expected.abs());
        }
    }
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
    assert_near(found, direct, 1e-11);
}

#[test]
fn impossible_means_are_infinite_and_empty_bins_are_not() {
    let template = template("s", &[2.0], vec![Factor::Parameter(0)], vec![]);
    let build = |n| HistogramChannel::new("SR", vec![template.clone()], vec![n], 1);
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
    type Change = fn(&mut Vec<Template>, &mut Vec<f64>);
    let cases: [(Change, &str); 9] = [
        (|t, _| t.clear(), "no sample"),
        (|t, _| t[0].nominal.clear(), "no bin"),
        (|t, _| t[1].name = "signal".into(), "two samples `signal`"),
        (|_, n| n[1] = -1.0, "bin 1: -1 is not zero or positive"),
        (|_, n| n.push(1.0), "4 values; the channel has 3 bins"),
        (
            |t, _| t[1].nominal[2] = f64::NAN,
            "`background`, bin 2: NaN",
        ),
        (|t, _| t[0].factors[0] = Factor::Parameter(9), "parameter 9"),
        (
            |t, _| t[0].factors[1] = response(0, 0.0, 1.0, Interpolation::Code4),
            "0 is not a positive factor",
        ),
        (
            |t, _| t[0].modifiers[1] = shape(4, [1.0, 1.0, -1.0], [1.0; 3], Interpolation::Code4),
            "sign of the nominal",
        ),
    ];
    let good = channel();
    for (change, words) in cases {
        let (mut templates, mut observed) = (good.templates().to_vec(), good.observed().to_vec());
        change(&mut templates, &mut observed);
        let refused = HistogramChannel::new("SR", templates, observed, PARAMETERS);
        assert_refused(refused, words);
    }
}
