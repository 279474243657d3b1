//! The background interpolated into a hole of the mass plane:
//! p(x, m1, m2) = p(x | m1, m2, category) p(m1, m2).
//!
//! ```text
//! events outside the holes -> Gaussian process of (m1, m2), one a category
//!                          -> flows of x given (m1, m2, category), an ensemble
//! drawn points in the holes -> flows -> transforms inverted -> four-vectors
//!                          -> events with weights -> histograms, samples.parquet
//! ```
//!
//! A sample weighs n_obs(outside) / n_samples(outside) of its category, wherever it
//! is; the yield of a region is the sum of what falls into it.

mod checks;
mod figures;
mod measure;
mod points;
mod sampled;
mod transform;

use super::plan::{Plan, report_columns};
use super::sample::Wanted;
use crate::error::{Error, Result};
use crate::events::{ColumnInfo, Compiled, Resolver};
use crate::settings::{Blinding, Config, InterpolationConfig, PredictedPart, REBUILT};
pub(super) use measure::predict;
use sideband_networks::{FlowConfig, NetworkConfig};
use sideband_numerics::expression::written;
use sideband_processes::{Hole, PlaneGrid};
use std::fmt::Display;
use std::path::Path;

/// Names of the columns that the plan reads for itself.
const X: &str = "interpolation:x";
const Y: &str = "interpolation:y";
const CATEGORY: &str = "interpolation:category";

fn wrong(key: &str, reason: impl Display) -> Error {
    Error::config_at(format!("interpolation.{key}"), reason)
}

/// The plane, and what events sampled in it consist of.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    grid: PlaneGrid,
    /// Columns of a sampled event, in the order of the values: plane, category, features,
    /// rebuilt.
    names: Vec<String>,
    /// Selection of each predicted region, with its number.
    regions: Vec<(usize, Compiled)>,
    /// Each plotted variable.
    variables: Vec<Compiled>,
    /// Selections of blind regions whose observed events are hidden, where other regions
    /// are predicted too.
    hidden: Vec<Compiled>,
    /// Predicted regions that are not blind, a bit each in the order of `regions`.
    open: u64,
}

impl Plane {
    /// Of a configuration that holds whatever its events are.
    ///
    /// # Errors
    /// The key and what does not fit, such as an expression over columns that no sampled
    /// event has.
    pub(super) fn new(config: &Config, blinding: &Blinding, base: &Path) -> Result<Self> {
        let interpolation = settings(config);
        let names = names(interpolation);
        if let Some(candidates) = &interpolation.candidates {
            let pairs = [
                ("pt", candidates.pt.as_slice()),
                ("eta", &candidates.eta),
                ("mass", &candidates.mass),
                ("dphi", std::slice::from_ref(&candidates.dphi)),
            ];
            for (key, columns) in pairs {
                if let Some(name) = columns.iter().find(|name| !names.contains(name)) {
                    let reason = format!(
                        "`{name}` is neither of the plane nor a variable, so samples do not have it"
                    );
                    return Err(wrong(&format!("candidates.{key}"), reason));
                }
            }
        }
        let plane = &interpolation.plane;
        let grid = PlaneGrid::new(plane.x_range, plane.y_range, [plane.bins; 2]);
        let grid = grid.map_err(|e| wrong("plane", e))?;
        for (i, hole) in plane.holes.iter().enumerate() {
            let checked = hole.check(&grid);
            checked.map_err(|e| wrong(&format!("plane.holes[{i}]"), e))?;
        }
        checks::before_reading(config, base)?;
        let definitions = config.data.define.iter().chain(&interpolation.derived);
        let resolver = resolver(&names, definitions);
        let resolver = resolver.map_err(|e| e.at_key("interpolation.derived"))?;
        let compile = |key: &str, text: &str| {
            let compiled = resolver.compile(text);
            compiled.map_err(|e| e.at_key(format!("{key} (in the sampled events)")))
        };
        let region = |name: &str| {
            let selection = &config.regions[name].selection;
            compile(&format!("regions.{name}.selection"), selection)
        };
        let mut made = Self {
            grid,
            regions: Vec::new(),
            variables: Vec::new(),
            hidden: Vec::new(),
            open: 0,
            names,
        };
        for (bit, name) in interpolation.predicted(config).into_iter().enumerate() {
            let index = super::plan::region_index(config, name);
            made.regions.push((index, region(name)?));
            made.open |= u64::from(blinding.shows(index)) << bit;
        }
        let report = report_columns(config);
        for (name, text) in report.iter().filter(|(name, _)| !name.contains(':')) {
            made.variables
                .push(compile(&format!("report, {name}"), text)?);
        }
        for name in blinding.hidden_regions().filter(|_| made.open != 0) {
            made.hidden.push(region(name)?);
        }
        Ok(made)
    }
}

/// Compiles expressions over these columns, whatever definitions have their names.
fn resolver<'a>(
    names: &[String],
    definitions: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<Resolver> {
    let column = |name: &String| ColumnInfo {
        name: name.clone(),
        type_name: "Float64".to_owned(),
        numeric: true,
    };
    let columns: Vec<ColumnInfo> = names.iter().map(column).collect();
    Resolver::new(
        &columns,
        definitions.filter(|(name, _)| !names.contains(name)),
    )
}

/// Names of the columns that a sampled event has.
fn names(interpolation: &InterpolationConfig) -> Vec<String> {
    let mut names = vec![interpolation.plane.x.clone(), interpolation.plane.y.clone()];
    names.extend(interpolation.category.iter().map(|c| c.column.clone()));
    names.extend(interpolation.variables.iter().map(|v| v.name.clone()));
    if interpolation.candidates.is_some() {
        let rebuilt = REBUILT.map(ToOwned::to_owned).into_iter();
        let new: Vec<String> = rebuilt.filter(|name| !names.contains(name)).collect();
        names.extend(new);
    }
    names
}

/// The method's part of the configuration.
fn settings(config: &Config) -> &InterpolationConfig {
    let part = config.interpolation.as_ref();
    part.expect("the method's check asks for it")
}

/// The network of a member.
pub(super) fn flow(interpolation: &InterpolationConfig) -> NetworkConfig {
    let flow = &interpolation.flow;
    let categories = interpolation.categories().len();
    let sequence = flow.sequence.iter().copied();
    let steps = std::iter::repeat_n(sequence, flow.repeat);
    NetworkConfig::Flow(FlowConfig {
        features: interpolation.variables.len(),
        context: 2 + if categories > 1 { categories } else { 0 },
        steps: steps.flatten().collect(),
        bins: flow.bins,
        bound: flow.bound,
        hidden: flow.hidden,
        blocks: flow.blocks,
        dropout: flow.dropout,
    })
}

/// What is read of the events. Features are the transformed variables, then the context:
/// the plane, and one column a category if there are several.
pub(super) fn wanted(config: &Config) -> Wanted {
    let interpolation = settings(config);
    let plane = &interpolation.plane;
    let mut features: Vec<String> = Vec::new();
    for v in &interpolation.variables {
        let text = v.expression.as_ref().unwrap_or(&v.name);
        features.push(v.transform.expression(text));
    }
    features.extend([plane.x.clone(), plane.y.clone()]);
    let mut columns = report_columns(config);
    columns.push((X.to_owned(), plane.x.clone()));
    columns.push((Y.to_owned(), plane.y.clone()));
    if let Some(category) = &interpolation.category {
        let column = written(&category.column);
        if category.values.len() > 1 {
            let values = category.values.iter();
            features.extend(values.map(|value| format!("{column} == {value:?}")));
        }
        columns.push((CATEGORY.to_owned(), column));
    }
    let (inside, holes) = (in_box(interpolation), in_holes(interpolation));
    Wanted {
        features: features
            .into_iter()
            .map(|text| (text.clone(), text))
            .collect(),
        columns,
        // the whole box, whatever the regions select in it
        flags: vec![
            (X.to_owned(), inside.clone()),
            (Y.to_owned(), format!("{inside} && ({holes})")),
        ],
        exact: interpolation.variables.len() + 2,
        ..Wanted::default()
    }
}

/// Whether an event lies in the plane, as an expression.
pub(super) fn in_box(interpolation: &InterpolationConfig) -> String {
    let plane = &interpolation.plane;
    let side = |text: &str, [low, high]: [f64; 2]| {
        format!("({text}) >= ({low:?}) && ({text}) < ({high:?})")
    };
    let (x, y) = (side(&plane.x, plane.x_range), side(&plane.y, plane.y_range));
    format!("{x} && {y}")
}

/// The holes together, as an expression.
fn in_holes(interpolation: &InterpolationConfig) -> String {
    let plane = &interpolation.plane;
    let (x, y) = (&plane.x, &plane.y);
    let holes = plane.holes.iter().map(|hole| match *hole {
        Hole::XHh {
            centre: [a, b],
            resolution,
            below,
        } => format!(
            "(sqrt(((({x}) - ({a:?})) / ({resolution:?} * ({x})))^2 \
             + ((({y}) - ({b:?})) / ({resolution:?} * ({y})))^2) < {below:?})"
        ),
        Hole::Circle {
            centre: [a, b],
            radius,
        } => format!("(sqrt((({x}) - ({a:?}))^2 + (({y}) - ({b:?}))^2) < {radius:?})"),
        Hole::Box { m1, m2 } => format!(
            "(({x}) > ({:?}) && ({x}) < ({:?}) && ({y}) > ({:?}) && ({y}) < ({:?}))",
            m1[0], m1[1], m2[0], m2[1]
        ),
    });
    holes.collect::<Vec<String>>().join(" || ")
}

/// Bins that overlap a hole.
fn hidden_bins(interpolation: &InterpolationConfig, grid: &PlaneGrid) -> Vec<bool> {
    let holes = &interpolation.plane.holes;
    let touches = |bin| holes.iter().any(|hole| hole.overlaps(&grid.rectangle(bin)));
    (0..grid.bins()).map(touches).collect()
}

/// What a plan with a plane knows of its events.
impl Plan {
    fn interpolation(&self) -> &InterpolationConfig {
        settings(&self.config)
    }

    fn plane(&self) -> &Plane {
        let plane = self.plane.as_ref();
        plane.expect("the plan of an interpolation has one")
    }

    /// Plane coordinates of an event.
    fn masses(&self, row: usize) -> [f64; 2] {
        let column = |name| self.target().column(name);
        [X, Y].map(|name| column(name).map_or(f64::NAN, |values| values[row]))
    }

    /// Category of an event, by its place in the list.
    fn category(&self, row: usize) -> Option<usize> {
        let Some(values) = self.target().column(CATEGORY) else {
            return Some(0);
        };
        let mut known = self.interpolation().categories().iter();
        known.position(|v| *v == values[row])
    }

    /// Whether an event lies in the box, and what the regions select of it aside.
    fn is_in_box(&self, row: usize) -> bool {
        self.target().is_in(row, self.config.regions.len())
    }

    /// Whether an event lies in a hole of the box.
    fn is_in_hole(&self, row: usize) -> bool {
        self.target().is_in(row, self.config.regions.len() + 1)
    }

    /// Whether a point is cut out of fit and training.
    fn cuts_out(&self, [x, y]: [f64; 2]) -> bool {
        let mut holes = self.interpolation().plane.holes.iter();
        holes.any(|hole| hole.contains(x, y))
    }

    /// Whether a point is predicted.
    fn predicts(&self, [x, y]: [f64; 2]) -> bool {
        let is_whole = self.interpolation().predict == PredictedPart::Box;
        self.plane().grid.find(x, y).is_some() && (is_whole || self.cuts_out([x, y]))
    }

    /// Context `[C]` of a point, as the networks read it.
    fn context(&self, masses: [f64; 2], category: usize) -> Vec<f32> {
        let mut context = masses.map(|m| m as f32).to_vec();
        let count = self.interpolation().categories().len();
        if count > 1 {
            context.extend((0..count).map(|k| f32::from(u8::from(k == category))));
        }
        context
    }
}
