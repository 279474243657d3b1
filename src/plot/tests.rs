//! Every figure with ordinary values, whose drawing must stay as it is, and with inputs
//! nobody would draw on purpose: each must come out as a picture that renders, or as an
//! error, and never as a panic.

use resvg::usvg::roxmltree;

use super::examples::*;
use super::*;

/// Values that break careless axes, logarithms and ratios.
const ODD: [f64; 12] = [
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
    let Ok(Figure { svg }) = figure else { return };
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
fn odd_values_give_a_picture_or_an_error() {
    for figure in &FIGURES {
        for values in figure.lengths.iter().flat_map(|n| odd_lists(*n)) {
            for variant in 0..figure.variants {
                let drawn = (figure.draw)(&values, variant);
                let name = format!("{} of {values:?}, variant {variant}", figure.name);
                assert!(drawn.is_ok() || !figure.is_total, "{name}: {drawn:?}");
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

/// One line a drawing: figure, number of values, variant, FNV-1a of the SVG.
///
/// A change of a figure shows here. Where it is meant, `SIDEBAND_RENEW_FIGURES=1 cargo test
/// figures_are_drawn_as_before` writes the table anew.
#[test]
fn figures_are_drawn_as_before() {
    let digest = |text: &str| {
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let mut lines = String::new();
    for figure in &FIGURES {
        for length in figure.lengths {
            for variant in 0..figure.variants {
                let value = |i: usize| 0.2 + ((i * 7) % 11) as f64 / 8.0;
                let values: Vec<f64> = (0..*length).map(value).collect();
                let drawn = (figure.draw)(&values, variant);
                let text = drawn.map_or_else(|error| error.to_string(), |figure| figure.svg);
                let name = figure.name;
                lines += &format!("{name} {length} {variant} {:016x}\n", digest(&text));
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
