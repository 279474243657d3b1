use super::*;
use crate::support::{assert_derivatives, assert_near};

const NAMES: [&str; 3] = ["mu", "xs", "kappa"];

fn parse(text: &str) -> Coefficient {
    Coefficient::parse(text, &NAMES).unwrap()
}

/// Derivatives in the parameters that are used, against differences.
fn assert_slopes(coefficient: &Coefficient, at: [f64; 3]) {
    let jet = |local: &[f64]| {
        let mut at = at;
        for (place, x) in coefficient.places().iter().zip(local) {
            at[*place] = *x;
        }
        coefficient.jet(&at)
    };
    let local = coefficient.local(&at);
    assert_eq!(jet(&local).value, coefficient.value(&at));
    assert_derivatives(jet, &local, 1e-4, [1e-7; 2], &[]);
}

#[test]
fn derivatives_agree_with_differences() {
    for text in [
        "mu - sqrt(mu)",
        "1 - sqrt(mu)",
        "mu*xs",
        "-mu^2 + 3*xs^3/mu - 2/(mu*kappa)",
        "mu^xs + 2^mu^0.5 + abs(mu - 2)*xs",
        "log(mu) + log10(xs) + log2(mu*xs) + exp(-mu*xs)",
        "sin(mu) + cos(xs) + tan(mu/3) + asin(mu/4) + acos(xs/3) + atan(mu*xs)",
        "sinh(mu) + cosh(xs) + tanh(mu*xs) + asinh(mu*kappa)",
        "min(mu, xs)*kappa + max(mu, xs^2)",
    ] {
        assert_slopes(&parse(text), [1.3, 0.7, 0.4]);
    }
}

#[test]
fn values_are_those_of_the_expression() {
    for text in [
        "-mu^2",
        "2^3^mu",
        "mu - xs - kappa",
        "mu/xs/kappa",
        "2",
        "max(mu, 3)",
    ] {
        let coefficient = parse(text);
        let expression = Expression::parse(text).unwrap();
        let at = [1.3, 0.7, 0.4];
        let of = |name: &String| at[NAMES.iter().position(|known| known == name).unwrap()];
        let values: Vec<f64> = expression.variables().iter().map(of).collect();
        assert_eq!(coefficient.value(&at), expression.eval(&values), "{text}");
    }
}

#[test]
fn integer_powers_have_derivatives_at_zero() {
    let at = [0.0; 3];
    assert_eq!(parse("mu^2").jet(&at).hessian, [2.0]);
    assert_eq!(parse("3*mu^1").jet(&at).gradient, [3.0]);
    assert_eq!(parse("mu^0").jet(&at).gradient, [0.0]);
}

#[test]
fn outside_the_domain_the_value_is_not_finite() {
    assert!(parse("sqrt(mu)").value(&[-0.1, 1.0, 0.0]).is_nan());
    assert!(parse("xs/mu").value(&[0.0, 1.0, 0.0]).is_infinite());
    let slope = parse("1 - sqrt(mu)").jet(&[0.0; 3]).gradient;
    assert_eq!(slope, [f64::NEG_INFINITY]);
}

#[test]
fn squared_parameter_has_finite_derivatives_at_zero() {
    for (text, expected, curvature) in [
        ("mu - sqrt(mu)", -1.0, 2.0),
        ("sqrt( (mu) )", 1.0, 0.0),
        ("1 - sqrt(mu)", -1.0, 0.0),
        ("xs*mu", 0.0, 2.0),
    ] {
        let squared = parse(text).with_square(0);
        assert_slopes(&squared, [1.3, 1.0, 0.0]);
        let at_zero = squared.jet(&[0.0, 1.0, 0.0]);
        let own = squared
            .places()
            .iter()
            .position(|place| *place == 0)
            .unwrap();
        let n = squared.places().len();
        assert_eq!(at_zero.gradient[own], expected, "{text}");
        assert_eq!(at_zero.hessian[own * n + own], curvature, "{text}");
        let same = (parse(text).value(&[1.69, 1.0, 0.0]) - squared.value(&[1.3, 1.0, 0.0])).abs();
        assert!(same < 1e-15, "{text}");
    }
}

#[test]
fn roots_of_products_are_products_of_roots() {
    let two = 2.0_f64.sqrt();
    for (text, slope) in [
        ("sqrt(2*mu)", two),
        ("sqrt(mu*2)", two),
        ("sqrt(2*(mu*4/2))", 2.0),
        ("sqrt(mu/2)", 1.0 / two),
        ("xs*sqrt(mu*xs)", 8.0),
        ("sqrt(mu/xs)", 0.5),
        ("mu^0.5", 1.0),
        ("(2*mu)^(1/2) + mu^1.5 + (4*mu)^(3/2)", two),
        ("(xs*mu)^1.5", 0.0),
    ] {
        let squared = parse(text).with_square(0);
        let place = squared.places().iter().position(|place| *place == 0);
        let own = place.unwrap();
        let n = squared.places().len();
        for kappa in [0.0, 1.3] {
            let jet = squared.jet(&[kappa, 4.0, 0.0]);
            assert_near(
                jet.value,
                parse(text).value(&[kappa * kappa, 4.0, 0.0]),
                1e-12,
            );
            if kappa == 0.0 {
                assert_near(jet.gradient[own], slope, 1e-12);
                assert!(jet.hessian[own * n + own].is_finite(), "{text}");
            }
        }
        assert_slopes(&squared, [1.3, 4.0, 0.0]);
        assert_slopes(&squared, [-0.6, 4.0, 0.0]);
    }
    // what is not a root of one factor stays as it is
    for text in [
        "sqrt(mu + mu)",
        "sqrt(mu*mu)",
        "sqrt(mu*(1 + mu))",
        "mu^0.75",
        "sqrt(1/mu)",
    ] {
        let squared = parse(text).with_square(0);
        assert_near(
            squared.value(&[1.3, 0.0, 0.0]),
            parse(text).value(&[1.69, 0.0, 0.0]),
            1e-12,
        );
        let at_zero = squared.jet(&[0.0, 0.0, 0.0]);
        let all = at_zero.gradient.iter().chain(&at_zero.hessian);
        let all = all.chain([&at_zero.value]);
        assert!(!all.copied().all(f64::is_finite), "{text}");
    }
}

#[test]
fn at_a_kink_the_slope_is_that_just_above() {
    // slopes in mu, xs and kappa at a point on the kink, and the parameters that have it at 0
    for (text, at, slopes, kinks) in [
        ("abs(mu)", [0.0; 3], [1.0, 0.0, 0.0], &[0][..]),
        ("abs(-3*mu)*xs", [-0.0, 2.0, 0.0], [6.0, 0.0, 0.0], &[0]),
        ("1 - abs(mu)", [0.0; 3], [-1.0, 0.0, 0.0], &[0]),
        ("abs(1 - mu)", [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], &[]),
        ("max(mu, 0)", [0.0; 3], [1.0, 0.0, 0.0], &[0]),
        ("max(0, mu)", [0.0; 3], [1.0, 0.0, 0.0], &[0]),
        ("min(0, mu)", [0.0; 3], [0.0; 3], &[0]),
        ("max(kappa, -2*kappa)", [0.0; 3], [0.0, 0.0, 1.0], &[2]),
        ("max(mu, xs)", [0.5, 0.5, 0.0], [1.0, 1.0, 0.0], &[]),
        ("min(mu, xs)", [0.5, 0.5, 0.0], [0.0; 3], &[]),
        ("max(mu, 2)", [2.0, 0.0, 0.0], [1.0, 0.0, 0.0], &[]),
        ("abs(mu) + abs(mu + 1)", [0.0; 3], [2.0, 0.0, 0.0], &[0]),
    ] {
        let coefficient = parse(text);
        let gradient = coefficient.jet(&at).gradient;
        for (place, slope) in slopes.iter().enumerate() {
            let local = coefficient.places().iter().position(|p| *p == place);
            let found = local.map_or(0.0, |k| gradient[k]);
            assert_eq!(found, *slope, "{text} in {}", NAMES[place]);
            // so does the value just above
            let mut above = at;
            above[place] += 1e-6;
            let difference = (coefficient.value(&above) - coefficient.value(&at)) / 1e-6;
            assert_near(difference, *slope, 1e-5);
        }
        assert_eq!(coefficient.kinks().collect::<Vec<_>>(), kinks, "{text}");
    }
}

#[test]
fn complaints_name_the_place_and_the_nearest_parameter() {
    for (text, words) in [
        ("1 - sqrt(kapa)", "did you mean `kappa`?"),
        ("1 - sqrt(q)", "there are: mu, xs, kappa"),
        ("1 - sqrt(kapa)", "         ^^^^"),
        ("1 -", "a value is missing"),
        ("mu > 1", "`>` cannot be used here"),
        ("floor(mu)", "`floor` cannot be used here"),
        (
            "mu[0]",
            "`[0]` cannot be used here: a parameter is a number",
        ),
        (
            "max(mu) + 1",
            "`max` cannot be used here: a parameter is a number",
        ),
    ] {
        let message = Coefficient::parse(text, &NAMES).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_shifted_parameter_stands_for_the_parameter() {
    let nodes = [(0.0, 0.05), (0.8, 0.02), (1.5, 0.06), (3.0, 0.1)];
    let size = Arc::new(Spline::new(nodes.to_vec()).unwrap());
    // mu is moved by kappa times its size
    for (text, is_root) in [("mu - sqrt(mu)", true), ("mu*xs + 2", false), ("xs", false)] {
        let plain = match is_root {
            true => parse(text).with_square(0),
            false => parse(text),
        };
        let shifted = plain.clone().with_shift(0, 2, &size, None);
        for at in [[1.3, 0.9, -1.4], [0.4, 1.0, 0.0], [3.5, 0.2, 2.0]] {
            assert_slopes(&shifted, at);
            let moved = at[0] + at[2] * size.jet(at[0])[0];
            let expected = plain.value(&[moved, at[1], at[2]]);
            assert_near(shifted.value(&at), expected, 1e-14);
        }
    }
    // an argument that would leave the domain stays at its border
    let shifted = parse("sqrt(mu)").with_shift(0, 2, &size, Some(0.0));
    assert_eq!(shifted.value(&[0.01, 0.0, -9.0]), 0.0);
    assert!(shifted.value(&[0.01, 0.0, 1.0]) > 0.2);
}
