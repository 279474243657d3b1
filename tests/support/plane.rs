//! Events of a mass plane, and a configuration that interpolates them.

use super::{Columns, Numbers};
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use std::sync::Arc;

/// Events of the sample.
pub const EVENTS: usize = 800;

/// The configuration of [`super::Workplace::interpolation`]: a hole in the middle
/// of the box, well under a second.
pub const CONFIG: &str = r#"
[experiment]
name = "small"
method = "interpolate"
seed = 7

[device]
threads = 1

[data.target]
path = "plane.parquet"
weight = "weight"
id = ["event"]

[data.define]
x_hh = "sqrt(((m1 - 124) / (0.1 * m1))^2 + ((m2 - 117) / (0.1 * m2))^2)"

[regions.sr]
selection = "x_hh < 1.6"

[regions.outside]
selection = "x_hh >= 1.6 && min(m1, m2) >= 80 && max(m1, m2) < 180"

[interpolation]
samples = 500
posterior_draws = 5

[interpolation.plane]
x = "m1"
y = "m2"
x_range = [80.0, 180.0]
y_range = [80.0, 180.0]
bins = 8
holes = [{ kind = "x_hh", centre = [124.0, 117.0], below = 1.6 }]

[interpolation.category]
column = "year"
values = [2016, 2017]

[[interpolation.variables]]
name = "pt"
transform = { kind = "log" }

[[interpolation.variables]]
name = "eta"

[interpolation.flow]
repeat = 1
hidden = 8

[training]
region = "outside"
batch = 64
epochs = 2
held_out = 0.0

[ensemble]
members = 2

[report]
variables = [{ name = "eta", bins = 4 }]
"#;

/// `event`, `m1` and `m2` in [60, 200), `pt` above 0, `eta`, `year` 2016 or 2017,
/// `kind` 0, 1 or 2, which no sampled event has, and `weight`.
pub fn sample(seed: u64) -> Columns {
    let mut numbers = Numbers::new(seed);
    let mut columns: [Vec<f64>; 5] = Default::default();
    let mut year = Vec::new();
    for _ in 0..EVENTS {
        columns[0].push(60.0 + 140.0 * numbers.uniform());
        columns[1].push(60.0 + 140.0 * numbers.uniform());
        columns[2].push(100.0 * (0.5 * numbers.normal()).exp());
        columns[3].push(numbers.normal());
        year.push(2016 + (numbers.bits() % 2) as i64);
        columns[4].push(0.5 + numbers.uniform());
    }
    let event: Vec<i64> = (0..EVENTS as i64).collect();
    let kind: Vec<i64> = event.iter().map(|i| i % 3).collect();
    let whole = [("event", event), ("year", year), ("kind", kind)].map(|(name, values)| {
        (
            name.to_owned(),
            Arc::new(Int64Array::from(values)) as ArrayRef,
        )
    });
    let names = ["m1", "m2", "pt", "eta", "weight"];
    let real = names.into_iter().zip(columns);
    let real = real.map(|(name, values)| {
        let values: ArrayRef = Arc::new(Float64Array::from(values));
        (name.to_owned(), values)
    });
    whole.into_iter().chain(real).collect()
}
