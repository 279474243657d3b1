//! Every figure with ordinary values, whose drawing must stay as it is, and with inputs
//! nobody would draw on purpose: each must come out as a picture that renders, or as an
//! error, and never as a panic.

use resvg::usvg::roxmltree;
use sideband_numerics::random::fnv1a;
use std::path::PathBuf;

use super::examples::*;
use super::*;

/// Values that break careless axes, logarithms and ratios.
pub(super) const ODD: [f64; 12] = [
    0.0,
    1.0,
    -1.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1e300,
    -1e300,
    f64::MAX,
    1e-300,
    5e-324,
    123_456.789,
];

/// The SVG is well formed and holds no number that SVG does not know. (To
/// rasterise each would take minutes and show no more.)
fn must_render(name: &str, figure: Result<Figure, PlotError>) {
    let Ok(Figure { svg, .. }) = figure else {
        return;
    };
    for number in ["NaN", "\"inf", " inf", "-inf"] {
        assert!(!svg.contains(number), "{name}: {number} in {svg}");
    }
    assert!(roxmltree::Document::parse(&svg).is_ok(), "{name}: {svg}");
}

/// Lists of odd values: all alike, mixed, and all pairs.
fn odd_lists(length: usize) -> Vec<Vec<f64>> {
    let mut lists: Vec<Vec<f64>> = ODD.iter().map(|value| vec![*value; length]).collect();
    lists.push((0..length).map(|index| ODD[index % ODD.len()]).collect());
    if length == 2 {
        let pairs = ODD.iter().flat_map(|a| ODD.map(|b| vec![*a, b]));
        lists.extend(pairs);
    }
    lists
}

#[test]
fn every_figure_is_among_the_examples() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plot/figures");
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|file| file.unwrap().path().with_extension(""));
    let name = |file: PathBuf| {
        file.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let mut names: Vec<String> = files.filter_map(name).collect();
    names.sort();
    assert_eq!(names, FIGURES.map(|(name, ..)| name));
}

#[test]
fn odd_values_give_a_picture_or_an_error() {
    for (name, lengths, variants, is_total, draw) in FIGURES {
        for values in lengths.iter().flat_map(|n| odd_lists(*n)) {
            for variant in 0..variants {
                let drawn = draw(&values, variant);
                let name = format!("{name} of {values:?}, variant {variant}");
                assert!(drawn.is_ok() || !is_total, "{name}: {drawn:?}");
                must_render(&name, drawn);
            }
        }
    }
}

#[test]
fn odd_edges_give_a_picture_or_an_error() {
    let ends = [
        [-f64::MAX, f64::MAX],
        [0.0, 5e-324],
        [1.0, 1.0 + f64::EPSILON],
        [1e-300, 1e300],
    ];
    for edges in ends {
        let mut figure = distribution(&[1.0], 0);
        figure.edges = edges.to_vec();
        must_render("distribution", figure.draw());
    }
    for (nx, ny) in [(1, 1), (1, 300), (301, 2)] {
        let values = vec![vec![1.0; ny]; nx];
        let plane = MassPlane {
            x_edges: edges(nx),
            y_edges: edges(ny),
            observed: values.clone(),
            fitted: (0..nx)
                .map(|i| (0..ny).map(|j| (i + j) % 2 == 0).collect())
                .collect(),
            predicted: values,
            error: vec![vec![f64::NAN; ny]; nx],
            pull: vec![vec![f64::INFINITY; ny]; nx],
            ..mass_plane(&[1.0; 3], 0)
        };
        assert!(plane.draw().is_ok(), "{nx} {ny}");
        must_render("mass plane", plane.draw());
    }
}

#[test]
fn numbers_are_those_that_are_drawn() {
    let numbers = |figure: &Figure| -> serde_json::Value {
        serde_json::from_str(&figure.numbers).expect("valid JSON")
    };
    let values: Vec<f64> = (1..=60).map(f64::from).collect();
    for (name, lengths, variants, _, draw) in FIGURES {
        let length = lengths[lengths.len() - 1];
        for figure in (0..variants).filter_map(|variant| draw(&values[..length], variant).ok()) {
            let panels = numbers(&figure)["panels"].clone();
            let panels = panels.as_array().expect("a list");
            let is_full = |panel: &serde_json::Value| panel["drawn"][0].is_object();
            assert!(!panels.is_empty() && panels.iter().all(is_full), "{name}");
            let marks = panels
                .iter()
                .flat_map(|panel| panel["drawn"].as_array().expect("a list"));
            for mark in marks.filter(|mark| mark["what"] == "band") {
                let side = |side: &str| mark[side].as_array().cloned().unwrap_or_default();
                for (low, high) in side("low").iter().zip(&side("high")) {
                    let order = low.as_f64().zip(high.as_f64());
                    assert!(
                        order.is_none_or(|(low, high)| low <= high),
                        "{name}: {mark}"
                    );
                }
            }
            assert_eq!(figure.labelled(&ExperimentLabel::default()), figure);
        }
    }
    let mut figure = comparison(&[1.0, f64::NAN, 4.0], 0);
    figure.title_left = "title".to_owned();
    figure.observed.as_mut().expect("seen").label = "4b".to_owned();
    for (prediction, label) in figure.predictions.iter_mut().zip(["before", "after"]) {
        prediction.label = label.to_owned();
    }
    let numbers = numbers(&figure.draw().expect("a valid figure"));
    assert_eq!(numbers["heading"][0], "title");
    let drawn = |panel: usize, what: &str, label: &str| {
        let lists = numbers["panels"][panel]["drawn"]
            .as_array()
            .expect("a list");
        let mut found = lists
            .iter()
            .filter(|l| l["what"] == what && l["label"] == label);
        found
            .next()
            .cloned()
            .unwrap_or_else(|| panic!("{what} {label}: {lists:?}"))
    };
    let observed = drawn(0, "points", "4b");
    let expected = serde_json::json!([[0.0, 2.0], [1.0, 4.0], [1.0, 4.0]]);
    assert_eq!(
        serde_json::json!([observed["x"], observed["y"], observed["up"]]),
        expected
    );
    let after = drawn(0, "histogram", "after");
    assert_eq!(after["edges"], serde_json::json!([-0.5, 0.5, 1.5, 2.5]));
    assert_eq!(after["values"], serde_json::json!([1.0, "NaN", 4.0]));
    // the points of ratios have names as well
    let before = drawn(1, "points", "4b / before");
    assert_eq!(before["y"], serde_json::json!([0.1, "NaN", 0.4]));
    assert_eq!(drawn(1, "points", "4b / after")["y"][0], 1.0);
}

fn changed<T>(mut figure: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut figure);
    figure
}

#[test]
fn what_is_wrong_is_said() {
    let one = [1.0; 12];
    let nan = [f64::NAN; 12];
    let t = changed(profile_contours(&one[..2]), |c| {
        c.t[1].pop();
    });
    let x = changed(profile_contours(&one[..2]), |c| c.x[1] = c.x[0]);
    let long = changed(matrix(&[1.0]), |m| m.values[0].push(2.0));
    let none = changed(comparison(&one, 2), |c| c.predictions.clear());
    let spread = changed(comparison(&one, 0), |c| {
        c.predictions[0].spread = Some(vec![])
    });
    let curve = changed(likelihood_curve(&one, 0), |c| c.reference = Some(3));
    let levels = changed(coverage(&one, 0), |c| c.levels.push(0.9));
    let short = changed(favour(&one, 0), |f| {
        f.values.pop();
    });
    let pair = changed(flow_steps(&one), |f| f.pairs = vec![(0, 3)]);
    let list = changed(flow_steps(&one), |f| {
        f.stages[1].values[1].pop();
    });
    let many = changed(methods(&one, 0), |m| {
        let again = (0..5).flat_map(|_| methods(&one, 0).predictions);
        m.predictions = again.take(5).collect();
    });
    let fitted = changed(mass_plane(&one[..3], 0), |p| {
        p.fitted[1].pop();
    });
    let row = changed(residuals(&one), |r| {
        r.rows[1].values.pop();
    });
    let few = changed(favour(&one, 0), |f| f.x.fill(9.0));
    let unfitted = likelihood_curve(&nan, 0);
    let members = losses(&one, 0);
    let rows = changed(impacts(&one, 0), |i| i.rows.clear());
    let groups = changed(calibration(&one), |c| c.groups.clear());
    let sides = changed(pulls(&one), |p| p.groups.clear());
    let series = changed(distribution(&one, 0), |d| d.series.clear());
    let names = changed(residuals(&one), |r| r.methods.clear());
    let parts = changed(stack(&one, 0), |s| s.contributions.clear());
    let total = changed(stack(&one, 0), |s| s.errors = Some(Vec::new()));
    for (drawn, message) in [
        (t.draw(), "column 1 of t: found 1 entries, expected 2"),
        (x.draw(), "edge 1 (0) is not above edge 0 (0)"),
        (long.draw(), "row 0 of the correlation matrix: found 2"),
        (none.draw(), "prediction or observation"),
        (spread.draw(), "found 0 entries, expected 12"),
        (curve.draw(), "number 3 is the reference: found 3"),
        (levels.draw(), "found 2 entries, expected 3"),
        (short.draw(), "log likelihood ratios: found 11"),
        (few.draw(), "bin with 10 events and a positive weight"),
        (pair.draw(), "pair within the 2 variables in each row"),
        (list.draw(), "found 11 entries, expected 12"),
        (many.draw(), "at most 4: found 5 entries, expected 4"),
        (fitted.draw(), "column 1 of fitted: found 2 entries"),
        (row.draw(), "found 1 entries, expected 2"),
        (belt(&nan).draw(), "finite quantile"),
        (cls_scan(&nan, 0).draw(), "pair of finite points"),
        (coverage(&nan, 0).draw(), "level with a finite point"),
        (unfitted.draw(), "curve with a finite point"),
        (t_distribution(&nan).draw(), "toy with a finite value"),
        (members.draw(), "loss curves: nothing to draw; give at"),
        (rows.draw(), "at least one nuisance parameter"),
        (groups.draw(), "at least one group"),
        (sides.draw(), "at least one group of pulls"),
        (series.draw(), "at least one series"),
        (names.draw(), "at least one method"),
        (parts.draw(), "at least one contribution"),
        (total.draw(), "errors of the total: found 0 entries"),
    ] {
        let error = drawn.expect_err(message).to_string();
        assert!(error.contains(message), "{error}\n{message}");
    }
}

/// One line a drawing: figure, number of values, variant, FNV-1a of the SVG.
///
/// A change of a figure shows here. Where it is meant, `SIDEBAND_RENEW_FIGURES=1 cargo test
/// figures_are_drawn_as_before` writes the table anew.
#[test]
fn figures_are_drawn_as_before() {
    let mut lines = String::new();
    for (name, lengths, variants, _, draw) in FIGURES {
        for length in lengths {
            for variant in 0..variants {
                let value = |i: usize| 0.2 + ((i * 7) % 11) as f64 / 8.0;
                let values: Vec<f64> = (0..*length).map(value).collect();
                let drawn = draw(&values, variant);
                let text = drawn.map_or_else(|error| error.to_string(), |figure| figure.svg);
                lines += &format!(
                    "{name} {length} {variant} {:016x}\n",
                    fnv1a(text.as_bytes())
                );
            }
        }
    }
    if std::env::var_os("SIDEBAND_RENEW_FIGURES").is_some() {
        let table = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plot/digests.txt");
        std::fs::write(table, &lines).expect("the table can be written");
        return;
    }
    let before: Vec<&str> = include_str!("digests.txt").lines().collect();
    let now: Vec<&str> = lines.lines().collect();
    let changed: Vec<_> = now.iter().filter(|line| !before.contains(line)).collect();
    assert!(changed.is_empty(), "drawn differently: {changed:#?}");
    assert_eq!(before.len(), now.len());
}
