//! The plane of an interpolation, what is read of the events, and what is checked before
//! that.

use crate::error::{Error, Result};
use crate::events::{BUILTINS, ColumnInfo, Compiled, Resolver, memory};
use crate::settings::{Blinding, Config, InterpolationConfig, PredictedPart, REBUILT};
use crate::workflow::sample::{
    Wanted, blind_overlap, count, has_column, region_index, report_columns,
};
use sideband_numerics::expression::{Shape, written};
use sideband_processes::{Hole, PlaneGrid};
use std::fmt::Display;

/// Names of the columns that the plan reads for itself.
pub(super) const X: &str = "interpolation:x";
pub(super) const Y: &str = "interpolation:y";
pub(super) const CATEGORY: &str = "interpolation:category";

pub(super) fn wrong(key: &str, reason: impl Display) -> Error {
    Error::config_at(format!("interpolation.{key}"), reason)
}

/// Bytes of a drawn point and of what a member makes of it.
const SAMPLE_BYTES: usize = 128;

/// The plane, and what events sampled in it consist of.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(super) grid: PlaneGrid,
    /// Columns of a sampled event, in the order of the values: plane, category, features,
    /// rebuilt.
    pub(super) names: Vec<String>,
    /// Selection of each predicted region, with its number.
    pub(super) regions: Vec<(usize, Compiled)>,
    /// Each plotted variable.
    pub(super) variables: Vec<Compiled>,
    /// Selections of blind regions whose observed events are hidden, where other regions
    /// are predicted too.
    pub(super) hidden: Vec<Compiled>,
    /// Predicted regions that are not blind, a bit each in the order of `regions`.
    pub(super) open: u64,
}

impl Plane {
    /// Of a configuration that holds whatever its events are.
    ///
    /// # Errors
    /// The key and what does not fit, such as an expression over columns that no sampled
    /// event has.
    pub(in crate::workflow) fn new(config: &Config, blinding: &Blinding) -> Result<Self> {
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
        before_reading(config)?;
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
            let index = region_index(config, name);
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

/// Checks that need no events, or only count them.
fn before_reading(config: &Config) -> Result<()> {
    let interpolation = settings(config);
    let categories = interpolation.categories().len();
    let all = interpolation.samples.saturating_mul(categories);
    memory::room_for(all, SAMPLE_BYTES).map_err(|_| {
        let reason = format!("there is no memory for {all} samples; lower it");
        wrong("samples", reason)
    })?;
    check_expressions(config)?;
    check_regions(config)
}

/// A variable that is a column of the data too must be that column, and a derived
/// column must stand for one: selections act on both.
fn check_expressions(config: &Config) -> Result<()> {
    let interpolation = settings(config);
    let has_column = |name: &str| has_column(config, name);
    for (i, variable) in interpolation.variables.iter().enumerate() {
        let name = &variable.name;
        let other = variable.expression.as_ref().filter(|e| *e != name);
        if other.is_some() && has_column(name)? {
            let reason = format!(
                "`{name}` is a column of the data and means something else there; give the \
                 variable another name"
            );
            return Err(wrong(&format!("variables[{i}].name"), reason));
        }
    }
    for name in interpolation.derived.keys() {
        let is_builtin = BUILTINS.iter().any(|builtin| builtin.name == name);
        if is_builtin && !has_column(name)? {
            let reason = format!(
                "`{name}` is no column of the data, where it is computed as the built-in column of \
                 this name; give the derived column another name"
            );
            return Err(wrong(&format!("derived.{name}"), reason));
        }
    }
    Ok(())
}

/// Whether predicted regions keep to what is predicted and to the listed
/// categories, and blind ones out of the training region; events are counted and
/// not read, so that it holds for blind regions too.
///
/// # Errors
/// With the number of events; of blind ones it is not said how many.
fn check_regions(config: &Config) -> Result<()> {
    let interpolation = settings(config);
    let count = |texts: &[&str]| count(config, &config.data.target, texts);
    let training = &config.regions[&config.training.region].selection;
    for (name, region) in config.regions.iter().filter(|(_, r)| r.blind) {
        if count(&[&region.selection, training])? > 0 {
            return Err(blind_overlap(name, config, "target events"));
        }
    }
    let mut predicted = in_box(interpolation);
    if interpolation.predict == PredictedPart::Holes {
        predicted = format!("{predicted} && ({})", in_holes(interpolation));
    }
    let outside = format!("!({predicted})");
    let other = listed(interpolation).map(|text| format!("!({text})"));
    // one pass where all is well
    let either = match &other {
        Some(other) => format!("({outside}) || ({other})"),
        None => outside.clone(),
    };
    for name in interpolation.predicted(config) {
        let region = &config.regions[name];
        let selection = region.selection.as_str();
        let number = |events: u64| match region.blind {
            true => String::new(),
            false => format!("{events} "),
        };
        if count(&[selection, &either])? == 0 {
            continue;
        }
        let events = count(&[selection, &outside])?;
        if events > 0 {
            let reason = format!(
                "{}events of region {name} lie outside the predicted part of the plane; \
                 shrink the region, leave it out, or set interpolation.predict = \"box\"",
                number(events)
            );
            return Err(wrong("regions", reason));
        }
        let Some(other) = &other else { continue };
        let events = count(&[selection, other])?;
        if events > 0 {
            return Err(unlisted("region", name, &number(events)));
        }
    }
    Ok(())
}

/// Events whose category is not listed: how many, with a space behind it.
pub(super) fn unlisted(what: &str, name: &str, events: &str) -> Error {
    let reason = format!(
        "{events}events of {what} {name} have another category; list its value or exclude them"
    );
    wrong("category.values", reason)
}

/// Whether an event's category is listed, as an expression; none without categories.
pub(super) fn listed(interpolation: &InterpolationConfig) -> Option<String> {
    let category = interpolation.category.as_ref()?;
    let each = |value: &f64| format!("({}) == {value:?}", category.column);
    let each: Vec<String> = category.values.iter().map(each).collect();
    Some(each.join(" || "))
}

/// Compiles expressions over these columns, whatever definitions have their names.
pub(in crate::workflow) fn resolver<'a>(
    names: &[String],
    definitions: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<Resolver> {
    let column = |name: &String| ColumnInfo {
        name: name.clone(),
        type_name: "Float64".to_owned(),
        shape: Ok(Shape::NUMBER),
    };
    let columns: Vec<ColumnInfo> = names.iter().map(column).collect();
    Resolver::new(
        &columns,
        definitions.filter(|(name, _)| !names.contains(name)),
    )
}

/// Names of the columns that a sampled event has.
pub(in crate::workflow) fn names(interpolation: &InterpolationConfig) -> Vec<String> {
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
pub(super) fn settings(config: &Config) -> &InterpolationConfig {
    let part = config.interpolation.as_ref();
    part.expect("the method's check asks for it")
}

/// What is read of the events. Features are the transformed variables, then the context:
/// the plane, and one column a category if there are several.
pub(in crate::workflow) fn wanted(config: &Config) -> Wanted {
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
pub(in crate::workflow) fn in_box(interpolation: &InterpolationConfig) -> String {
    let plane = &interpolation.plane;
    let side = |text: &str, [low, high]: [f64; 2]| {
        format!("({text}) >= ({low:?}) && ({text}) < ({high:?})")
    };
    let (x, y) = (side(&plane.x, plane.x_range), side(&plane.y, plane.y_range));
    format!("{x} && {y}")
}

/// The holes together, as an expression.
pub(super) fn in_holes(interpolation: &InterpolationConfig) -> String {
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
pub(super) fn hidden_bins(interpolation: &InterpolationConfig, grid: &PlaneGrid) -> Vec<bool> {
    let holes = &interpolation.plane.holes;
    let touches = |bin| holes.iter().any(|hole| hole.overlaps(&grid.rectangle(bin)));
    (0..grid.bins()).map(touches).collect()
}
