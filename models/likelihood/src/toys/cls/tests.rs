use super::limits::crossing;
use super::*;
use crate::Parameter;
use crate::histogram::{Factor, HistogramChannel, Template};
use crate::support::{assert_near, assert_refused};

/// One bin of `mu s` over a known background.
fn counting(observed: f64, s: f64, b: f64) -> HistogramModel {
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
        parameters: vec![Parameter::interest("mu", 1.0, (0.0, 20.0))],
        fixed: vec![],
        channels: vec![HistogramChannel::new("SR", templates, vec![observed], 1).unwrap()],
        constraints: vec![],
    }
}

const SETTINGS: ToySettings = ToySettings {
    seed: 3,
    toys: 4000,
    precision: None,
};

/// Probability of at most `n` events.
fn at_most(n: u32, mean: f64) -> f64 {
    let mut term = (-mean).exp();
    let mut sum = term;
    for k in 1..=n {
        term *= mean / f64::from(k);
        sum += term;
    }
    sum
}

fn run(model: &HistogramModel, mu: f64, settings: &ToySettings) -> ToyCLs {
    let fits = FitSettings::default();
    toy_cls(model, 0, (mu, 0), &fits, settings, &|_| ()).unwrap()
}

#[test]
fn cls_of_a_count_is_the_ratio_of_poisson_probabilities() {
    // q falls with the count up to mu s + b
    let model = counting(3.0, 2.0, 3.5);
    let found = run(&model, 2.0, &SETTINGS);
    let ToyRatio::Value { value, error } = found.observed else {
        panic!("{found:?}");
    };
    let expected = at_most(3, 7.5) / at_most(3, 3.5);
    assert!(error < 0.01 && error > 1e-3, "{error}");
    assert_near(value, expected, 4.0 * error);
    assert_eq!((found.with_signal.toys, found.failed), (4000, 0));
    // the median of the toys without signal is a count of 3
    let ToyRatio::Value { value: median, .. } = found.expected[2] else {
        panic!("{found:?}");
    };
    assert_near(median, value, 1e-12);
}

#[test]
fn a_best_fit_above_excludes_nothing() {
    let found = run(&counting(9.0, 2.0, 3.5), 1.0, &SETTINGS);
    assert_eq!(found.q, 0.0);
    let ToyRatio::Value { value, error } = found.observed else {
        panic!("{found:?}");
    };
    assert_eq!((value, error), (1.0, 0.0));
}

#[test]
fn no_toy_beyond_is_an_upper_limit() {
    let few = ToySettings {
        toys: 100,
        ..SETTINGS
    };
    let found = run(&counting(0.0, 12.0, 1.0), 2.0, &few);
    let ToyRatio::Below(most) = found.observed else {
        panic!("{found:?}");
    };
    let none = found.without.beyond as f64 / 100.0;
    assert_near(most, (1.0 - 0.05_f64.powf(0.01)) / none, 1e-12);
    let none = ToyTail {
        beyond: 0,
        toys: 50,
    };
    assert_eq!(ToyRatio::of(none, none), ToyRatio::Unknown);
}

#[test]
fn toys_stop_at_a_precision_and_are_the_same_on_any_number_of_threads() {
    let model = counting(3.0, 2.0, 3.5);
    let precise = ToySettings {
        precision: Some(0.02),
        ..SETTINGS
    };
    let pool = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| run(&model, 2.0, &precise))
    };
    let found = pool(1);
    assert_eq!(found, pool(3));
    let toys = found.with_signal.toys;
    assert!(toys < 4000 && toys.is_multiple_of(200), "{toys}");
    let ToyRatio::Value { error, .. } = found.observed else {
        panic!("{found:?}");
    };
    assert!(error <= 0.02);
    // toys are functions of seed, point and number
    let fits = FitSettings::default();
    let test = ToyTest::new(&model, 0, (2.0, 5), &fits, 3).unwrap();
    let same = ToyTest::new(&model, 0, (2.0, 5), &fits, 3).unwrap();
    let other = ToyTest::new(&model, 0, (2.0, 6), &fits, 3).unwrap();
    let toys = |test: &ToyTest<'_>| -> Vec<Option<f64>> {
        (0..20)
            .map(|n| test.statistic(Hypothesis::Without, n))
            .collect()
    };
    assert_eq!(toys(&test), toys(&same));
    assert_ne!(toys(&test), toys(&other));
}

#[test]
fn limits_lie_where_the_exact_ones_are() {
    let model = counting(3.0, 2.0, 3.5);
    let fits = FitSettings::default();
    let values = [1.0, 1.8, 2.6, 3.4];
    let found = toy_limits(&model, 0, (&values, 0.95), &fits, &SETTINGS, &|_| ()).unwrap();
    let ToyValue { value, error } = found.observed.unwrap();
    let cls = |mu: f64| at_most(3, 2.0 * mu + 3.5) / at_most(3, 3.5);
    let mut exact = (1.0, 3.4);
    for _ in 0..50 {
        let middle = 0.5 * (exact.0 + exact.1);
        if cls(middle) > 0.05 {
            exact.0 = middle
        } else {
            exact.1 = middle
        }
    }
    assert!(error > 0.0 && error < 0.2, "{error}");
    // the logarithm of CLs bends a little between two values
    assert_near(value, exact.0, 4.0 * error + 0.02);
    assert_eq!(found.points.len(), 4);
    let short = toy_limits(&model, 0, (&[0.5, 0.6], 0.95), &fits, &SETTINGS, &|_| ());
    assert_refused(
        short.unwrap().observed,
        "does not fall to 0.0500 between mu = 0.5",
    );
}

#[test]
fn errors_of_a_crossing_are_those_of_both_values() {
    let at = |value: f64, error: f64| ToyRatio::Value { value, error };
    let curve = [
        (1.0, at(0.2, 0.02)),
        (2.0, at(0.02, 0.004)),
        (3.0, ToyRatio::Below(0.01)),
    ];
    let found = crossing(&curve, 0.05).unwrap();
    let crossed = |a: f64, b: f64| 1.0 + (a / 0.05).ln() / (a / b).ln();
    assert_near(found.value, crossed(0.2, 0.02), 1e-12);
    let moved = [crossed(0.2002, 0.02), crossed(0.2, 0.02002)];
    let slopes = [
        (moved[0] - found.value) * 100.0,
        (moved[1] - found.value) * 200.0,
    ];
    assert_near(found.error, slopes[0].hypot(slopes[1]), 1e-3 * found.error);
    let curve = [(1.0, at(0.2, 0.02)), (2.0, ToyRatio::Below(0.01))];
    assert_refused(
        crossing(&curve, 0.05),
        "between mu = 1 and mu = 2, where too few toys",
    );
}

#[test]
fn what_cannot_be_thrown_is_refused() {
    let model = counting(3.0, 2.0, 3.5);
    let fits = FitSettings::default();
    let refused = |mu: f64, settings: ToySettings, words: &str| {
        let found = toy_cls(&model, 0, (mu, 0), &fits, &settings, &|_| ());
        assert_refused(found, words);
    };
    refused(-1.0, SETTINGS, "a signal of -1 are asked for");
    refused(
        1.0,
        ToySettings {
            toys: 0,
            ..SETTINGS
        },
        "0 toys are asked for",
    );
    let precision = Some(0.0);
    refused(
        1.0,
        ToySettings {
            precision,
            ..SETTINGS
        },
        "a precision of CLs",
    );
    let falling = toy_limits(&model, 0, (&[2.0, 1.0], 0.95), &fits, &SETTINGS, &|_| ());
    assert_refused(falling, "a limit needs two rising values");
    let test = ToyTest::new(&model, 0, (1.0, 0), &fits, 1).unwrap();
    let mut toys = vec![Some(1.0); 97];
    toys.extend([None; 3]);
    assert_refused(
        test.evaluate(&toys, &toys),
        "6 of 200 toys at mu = 1 have no fit",
    );
}
