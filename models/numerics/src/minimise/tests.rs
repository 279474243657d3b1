use super::*;

/// Name, function, start, bounds (none if empty), and where the minimum lies.
type Case = (
    &'static str,
    fn(&[f64], &mut [f64]) -> f64,
    &'static [f64],
    [&'static [f64]; 2],
    &'static [f64],
);

const INF: f64 = f64::INFINITY;

fn bowl(x: &[f64], g: &mut [f64]) -> f64 {
    // sum_i (i + 1) (x_i - i)^2, with a term that couples neighbours
    let n = x.len();
    let d: Vec<f64> = (0..n).map(|i| x[i] - i as f64).collect();
    let mut value = 0.0;
    g.fill(0.0);
    for i in 0..n {
        let scale = (i + 1) as f64;
        value += scale * d[i] * d[i];
        g[i] += 2.0 * scale * d[i];
        if i + 1 < n {
            value += 0.5 * d[i] * d[i + 1];
            g[i] += 0.5 * d[i + 1];
            g[i + 1] += 0.5 * d[i];
        }
    }
    value
}

fn rosenbrock(x: &[f64], g: &mut [f64]) -> f64 {
    g.fill(0.0);
    let mut value = 0.0;
    for i in 0..x.len() - 1 {
        let (a, b) = (1.0 - x[i], x[i + 1] - x[i] * x[i]);
        value += a * a + 100.0 * b * b;
        g[i] += -2.0 * a - 400.0 * x[i] * b;
        g[i + 1] += 200.0 * b;
    }
    value
}

/// Finite for positive x only; its minimum is 1e-3.
fn beside_a_wall(x: &[f64], g: &mut [f64]) -> f64 {
    g[0] = 1.0 - 1e-3 / x[0];
    x[0] - 1e-3 * x[0].ln()
}

/// The same with a finite value and a gradient that is none.
fn beside_a_gradient_wall(x: &[f64], g: &mut [f64]) -> f64 {
    if x[0] > 0.0 {
        beside_a_wall(x, g)
    } else {
        g[0] = f64::INFINITY;
        0.0
    }
}

const FREE: [&[f64]; 2] = [&[], &[]];

fn settings() -> MinimiseSettings {
    MinimiseSettings {
        gradient_tolerance: 1e-7,
        ..MinimiseSettings::default()
    }
}

#[test]
fn minima_are_found_and_known_as_such() {
    let half_open: [&[f64]; 2] = [&[2.0, -INF], &[INF, INF]];
    let corner: [&[f64]; 2] = [&[1.0, 2.0], &[4.0, 4.0]];
    let fixed: [&[f64]; 2] = [&[-4.0, 5.0], &[4.0, 5.0]];
    let around: [&[f64]; 2] = [&[-1.0, -1.0], &[3.0, 3.0]];
    let valley: &[f64] = &[-1.2, 1.0, -1.2, 1.0, -1.2, 1.0];
    let cut: [&[f64]; 2] = [&[-2.0, -2.0], &[0.5, 2.0]];
    let (wall, gradient_wall) = (beside_a_wall, beside_a_gradient_wall);
    let cases: [Case; 9] = [
        ("inside", bowl, &[9.0, -9.0, 4.0], FREE, &[0.0, 1.0, 2.0]),
        ("half open", bowl, &[9.0, -9.0], half_open, &[2.0, 0.75]),
        ("corner", bowl, &[3.0, 3.0], corner, &[1.0, 2.0]),
        ("fixed", bowl, &[7.0, 5.0], fixed, &[-1.0, 5.0]),
        ("from outside", bowl, &[100.0, -100.0], around, &[0.0, 1.0]),
        ("valley", rosenbrock, valley, FREE, &[1.0; 6]),
        ("cut off", rosenbrock, &valley[..2], cut, &[0.5, 0.25]),
        ("beside a wall", wall, &[3.0], FREE, &[1e-3]),
        ("wall of the gradient", gradient_wall, &[3.0], FREE, &[1e-3]),
    ];
    for (name, of, start, [lower, upper], minimum) in cases {
        let bounds = match lower {
            [] => Bounds::none(start.len()),
            _ => Bounds::new(lower.to_vec(), upper.to_vec()).unwrap(),
        };
        let mut walls = 0;
        let function = |x: &[f64], g: &mut [f64]| {
            let value = of(x, g);
            walls += u32::from(!(value.is_finite() && g[0].is_finite()));
            for (x, (lower, upper)) in x.iter().zip(bounds.lower().iter().zip(bounds.upper())) {
                assert!(lower <= x && x <= upper);
            }
            value
        };
        let found = minimise(function, start, &bounds, &settings()).unwrap();
        assert_eq!(found.outcome, Outcome::Converged, "{name}: {found:?}");
        assert!(found.projected_gradient <= 1e-7, "{name}");
        for (x, expected) in found.point.iter().zip(minimum) {
            assert!((x - expected).abs() < 1e-6, "{name}: {found:?}");
        }
        // the cases beside a wall do meet it
        assert_eq!(walls > 0, name.contains("wall"), "{name}");
        let mut gradient = vec![0.0; start.len()];
        assert_eq!(found.value, of(&found.point, &mut gradient), "{name}");
        let projected = bounds.projected_gradient(&found.point, &gradient);
        assert_eq!(found.projected_gradient, projected);
    }
}

#[test]
fn the_same_twice() {
    let run = || minimise(rosenbrock, &[-1.2, 1.0, 0.3], &Bounds::none(3), &settings()).unwrap();
    assert_eq!(run(), run());
}

#[test]
fn what_is_not_a_minimum_is_not_called_one() {
    // down to a wall, behind which the function would go on falling
    let cliff = |x: &[f64], g: &mut [f64]| {
        g[0] = 1.0;
        if x[0] < 1.0 { f64::NAN } else { x[0] }
    };
    let found = minimise(cliff, &[5.0], &Bounds::none(1), &settings()).unwrap();
    assert_eq!(found.outcome, Outcome::Stalled);
    assert!((1.0..1.001).contains(&found.point[0]), "{found:?}");
    assert_eq!(found.projected_gradient, 1.0);

    // a gradient of the wrong sign
    let wrong = |x: &[f64], g: &mut [f64]| {
        g[0] = -2.0 * x[0];
        x[0] * x[0]
    };
    let found = minimise(wrong, &[5.0], &Bounds::none(1), &settings()).unwrap();
    assert_eq!(found.outcome, Outcome::Stalled);
    assert_eq!(found.point, [5.0]);

    let short = MinimiseSettings {
        max_iterations: 3,
        ..settings()
    };
    let found = minimise(rosenbrock, &[-1.2, 1.0], &Bounds::none(2), &short).unwrap();
    assert_eq!(found.outcome, Outcome::IterationLimit);
    assert_eq!(found.iterations, 3);
    assert!(found.value < 24.2, "{found:?}");
}

#[test]
fn a_start_that_is_a_wall_is_an_outcome() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let found = minimise(|_, _| bad, &[1.0], &Bounds::none(1), &settings()).unwrap();
        assert_eq!(found.outcome, Outcome::StartNotFinite);
        assert!(found.value.is_nan());
        assert_eq!((found.point, found.evaluations), (vec![1.0], 1));
    }
    let starts = [vec![-1.0], vec![2.0], vec![-3.0]];
    let all = minimise_from(beside_a_wall, &starts, &Bounds::none(1), &settings()).unwrap();
    assert_eq!(all.converged(), 1);
    assert_eq!(all.best(), &all.minima[1]);
    let none = minimise_from(beside_a_wall, &starts[..1], &Bounds::none(1), &settings()).unwrap();
    assert_eq!(none.best().outcome, Outcome::StartNotFinite);
}

#[test]
fn the_deeper_of_two_valleys_wins() {
    // x^4 - 2 x^2 + x/4: minima near +1 and, deeper, near -1
    let valleys = |x: &[f64], g: &mut [f64]| {
        g[0] = 4.0 * x[0].powi(3) - 4.0 * x[0] + 0.25;
        x[0].powi(4) - 2.0 * x[0].powi(2) + 0.25 * x[0]
    };
    let starts = [vec![0.9], vec![1.2], vec![-0.8]];
    let all = minimise_from(valleys, &starts, &Bounds::none(1), &settings()).unwrap();
    assert_eq!(all.converged(), 3);
    assert_eq!(all.best(), &all.minima[2]);
    assert!(all.minima[0].point[0] > 0.9 && all.best().point[0] < -1.0);
}

#[test]
fn unusable_questions_are_refused() {
    let ask = |starts: &[&[f64]], gradient_tolerance: f64, memory: usize| {
        let settings = MinimiseSettings {
            gradient_tolerance,
            memory,
            ..settings()
        };
        let starts: Vec<Vec<f64>> = starts.iter().map(|start| start.to_vec()).collect();
        let ends = minimise_from(bowl, &starts, &Bounds::none(2), &settings);
        ends.map(|all| all.converged())
            .map_err(|error| error.to_string())
    };
    let one: &[&[f64]] = &[&[0.0, 0.0]];
    assert_eq!(ask(one, 1e-7, 10), Ok(1));
    let nan: &[f64] = &[0.0, f64::NAN];
    let too_short = "a start has 1 values; the function has 2 parameters";
    let no_number = "start 1, parameter 1: NaN is not a finite number";
    let mut cases = vec![
        (ask(&[], 1e-7, 10), "no start; at least one is needed"),
        (ask(&[&[0.0]], 1e-7, 10), too_short),
        (ask(&[&[0.0; 2], nan], 1e-7, 10), no_number),
        (ask(one, 1e-7, 0), "memory is 0; at least 1 is needed"),
    ];
    for tolerance in [0.0, -1.0, f64::NAN, INF] {
        cases.push((ask(one, tolerance, 10), "gradient_tolerance is"));
    }
    let bounds = |lower: &[f64], upper: &[f64]| {
        let bounds = Bounds::new(lower.to_vec(), upper.to_vec());
        bounds.map(|b| b.len()).map_err(|error| error.to_string())
    };
    cases.push((bounds(&[0.0], &[]), "upper bounds has 0 values"));
    for (lower, upper) in [(1.0, 0.0), (f64::NAN, 1.0), (INF, INF), (-INF, -INF)] {
        cases.push((bounds(&[lower], &[upper]), "parameter 0: bounds"));
    }
    for (found, message) in cases {
        assert!(found.unwrap_err().starts_with(message), "{message}");
    }
}
