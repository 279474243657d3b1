use super::*;

/// A function, its start, its bounds, and where its minimum lies.
struct Case {
    name: &'static str,
    function: fn(&[f64], &mut [f64]) -> f64,
    start: &'static [f64],
    bounds: Option<(&'static [f64], &'static [f64])>,
    minimum: &'static [f64],
}

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

const CASES: [Case; 9] = [
    Case {
        name: "inside",
        function: bowl,
        start: &[9.0, -9.0, 4.0],
        bounds: None,
        minimum: &[0.0, 1.0, 2.0],
    },
    Case {
        name: "one bound, half open",
        function: bowl,
        start: &[9.0, -9.0],
        bounds: Some((&[2.0, -INF], &[INF, INF])),
        minimum: &[2.0, 0.75],
    },
    Case {
        name: "corner",
        function: bowl,
        start: &[3.0, 3.0],
        bounds: Some((&[1.0, 2.0], &[4.0, 4.0])),
        minimum: &[1.0, 2.0],
    },
    Case {
        name: "fixed parameter",
        function: bowl,
        start: &[7.0, 5.0],
        bounds: Some((&[-4.0, 5.0], &[4.0, 5.0])),
        minimum: &[-1.0, 5.0],
    },
    Case {
        name: "start outside of the bounds",
        function: bowl,
        start: &[100.0, -100.0],
        bounds: Some((&[-1.0, -1.0], &[3.0, 3.0])),
        minimum: &[0.0, 1.0],
    },
    Case {
        name: "valley",
        function: rosenbrock,
        start: &[-1.2, 1.0, -1.2, 1.0, -1.2, 1.0],
        bounds: None,
        minimum: &[1.0; 6],
    },
    Case {
        name: "valley, cut off",
        function: rosenbrock,
        start: &[-1.2, 1.0],
        bounds: Some((&[-2.0, -2.0], &[0.5, 2.0])),
        minimum: &[0.5, 0.25],
    },
    Case {
        name: "beside a wall",
        function: beside_a_wall,
        start: &[3.0],
        bounds: None,
        minimum: &[1e-3],
    },
    Case {
        name: "beside a wall of the gradient",
        function: beside_a_gradient_wall,
        start: &[3.0],
        bounds: None,
        minimum: &[1e-3],
    },
];

fn settings() -> MinimiseSettings {
    MinimiseSettings {
        gradient_tolerance: 1e-7,
        ..MinimiseSettings::default()
    }
}

#[test]
fn minima_are_found_and_known_as_such() {
    for case in CASES {
        let bounds = case.bounds.map_or_else(
            || Bounds::none(case.start.len()),
            |(lower, upper)| Bounds::new(lower.to_vec(), upper.to_vec()).unwrap(),
        );
        let mut walls = 0;
        let function = |x: &[f64], g: &mut [f64]| {
            let value = (case.function)(x, g);
            walls += u32::from(!(value.is_finite() && g[0].is_finite()));
            for (x, (lower, upper)) in x.iter().zip(bounds.lower().iter().zip(bounds.upper())) {
                assert!(lower <= x && x <= upper);
            }
            value
        };
        let found = minimise(function, case.start, &bounds, &settings()).unwrap();
        assert_eq!(
            found.outcome,
            Outcome::Converged,
            "{}: {found:?}",
            case.name
        );
        assert!(found.projected_gradient <= 1e-7, "{}", case.name);
        for (x, expected) in found.point.iter().zip(case.minimum) {
            assert!((x - expected).abs() < 1e-6, "{}: {found:?}", case.name);
        }
        // the cases beside a wall do meet it
        assert_eq!(walls > 0, case.name.contains("wall"), "{}", case.name);
        let mut gradient = vec![0.0; case.start.len()];
        let value = (case.function)(&found.point, &mut gradient);
        assert_eq!(found.value, value, "{}", case.name);
        assert_eq!(
            found.projected_gradient,
            bounds.projected_gradient(&found.point, &gradient)
        );
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
    let ask = |starts: &[Vec<f64>], settings: &MinimiseSettings| {
        minimise_from(bowl, starts, &Bounds::none(2), settings).map(|all| all.converged())
    };
    let one = vec![vec![0.0, 0.0]];
    assert_eq!(ask(&one, &settings()), Ok(1));
    assert_eq!(ask(&[], &settings()), Err(MinimiseError::NoStart));
    assert!(matches!(
        ask(&[vec![0.0]], &settings()),
        Err(MinimiseError::Length {
            found: 1,
            expected: 2,
            ..
        })
    ));
    assert!(matches!(
        ask(&[vec![0.0; 2], vec![0.0, f64::NAN]], &settings()),
        Err(MinimiseError::Start {
            start: 1,
            index: 1,
            ..
        })
    ));
    for tolerance in [0.0, -1.0, f64::NAN, INF] {
        let settings = MinimiseSettings {
            gradient_tolerance: tolerance,
            ..settings()
        };
        assert!(matches!(
            ask(&one, &settings),
            Err(MinimiseError::Setting {
                name: "gradient_tolerance",
                ..
            })
        ));
    }
    let forgetful = MinimiseSettings {
        memory: 0,
        ..settings()
    };
    assert!(matches!(
        ask(&one, &forgetful),
        Err(MinimiseError::Setting { name: "memory", .. })
    ));
    assert!(matches!(
        Bounds::new(vec![0.0], vec![]),
        Err(MinimiseError::Length { .. })
    ));
    for (lower, upper) in [(1.0, 0.0), (f64::NAN, 1.0), (INF, INF), (-INF, -INF)] {
        assert!(matches!(
            Bounds::new(vec![lower], vec![upper]),
            Err(MinimiseError::Bounds { index: 0, .. })
        ));
    }
}
