//! The plan of an interpolation: the configuration checked against the data.

use super::super::events::{Sample, Wanted, has_column};
use super::super::plan::{PlanError, PlanOptions, check_selections, region_index, scaling};
use super::super::variables::{self, Variable};
use super::coverage::{self, unlisted};
use super::events::{EventColumns, missing_candidate};
use crate::events::{BUILTINS, memory};
use crate::settings::{Blinding, Config, InterpolationConfig, PredictedPart, SampleRole};
use crate::training::{
    ClassRows, FeatureScaling, Inputs, SplitSettings, Streams, Task, TrainingSample,
    TrainingSettings,
};
use sideband_networks::{FlowConfig, NetworkConfig};
use sideband_numerics::expression::written;
use sideband_processes::{Hole, PlaneGrid, ProcessError};
use std::path::Path;
use std::sync::Arc;

/// An interpolation that fits its data, with the data.
#[derive(Clone, Debug)]
pub(crate) struct InterpolationPlan {
    /// Name of the ensemble.
    pub ensemble: String,
    pub config: Config,
    /// What may be looked at.
    pub blinding: Blinding,
    /// The events: those of the training region and of the predicted ones.
    pub target: Sample,
    /// Features and context, and their standardisation.
    pub scaling: FeatureScaling,
    /// Distributions to compare.
    pub variables: Vec<Variable>,
    /// How members are trained.
    pub settings: TrainingSettings,
    /// Events of the training region.
    pub sample: TrainingSample,
    /// Streams of the ensemble.
    pub streams: Streams,
    /// Bins of the plane.
    pub grid: PlaneGrid,
    /// What sampled events consist of.
    pub(super) columns: EventColumns,
}

/// Names of the columns that the plan reads for itself.
pub(super) const X: &str = "interpolation:x";
pub(super) const Y: &str = "interpolation:y";
pub(super) const CATEGORY: &str = "interpolation:category";

pub(super) fn wrong(key: &str, reason: impl Into<String>) -> PlanError {
    PlanError::Interpolation {
        key: format!("interpolation.{key}"),
        reason: reason.into(),
    }
}

impl InterpolationPlan {
    pub(crate) fn new(
        ensemble: &str,
        config: Config,
        base: &Path,
        options: PlanOptions,
    ) -> Result<Self, PlanError> {
        let interpolation = interpolation(&config);
        if let Some((key, name)) = missing_candidate(interpolation) {
            let reason = format!(
                "`{name}` is neither of the plane nor a variable, so samples do not have it"
            );
            return Err(wrong(&format!("candidates.{key}"), reason));
        }
        let plane = &interpolation.plane;
        let grid = PlaneGrid::new(plane.x_range, plane.y_range, [plane.bins; 2])
            .map_err(|e: ProcessError| wrong("plane", e.to_string()))?;
        for (i, hole) in plane.holes.iter().enumerate() {
            hole.check(&grid)
                .map_err(|e| wrong(&format!("plane.holes[{i}]"), e.to_string()))?;
        }
        check_room(interpolation)?;
        check_expressions(&config, interpolation, base)?;
        coverage::check_regions(&config, interpolation, base)?;
        let inputs = inputs(interpolation);
        let report = variables::columns(&config);
        let drawn: Vec<(String, String)> = report
            .iter()
            .filter(|(name, _)| !name.contains(':'))
            .cloned()
            .collect();
        let blinding = Blinding::new(&config.regions, options.unblind);
        let columns = EventColumns::new(&config, interpolation, &blinding, &drawn)
            .map_err(|(key, source)| PlanError::data(key, source))?;
        let mut wanted = Wanted {
            features: inputs.clone(),
            columns: report,
            // the whole box, whatever the regions select in it
            flags: vec![
                (X.to_owned(), in_box(interpolation)),
                (Y.to_owned(), in_box_and_holes(interpolation)),
            ],
            exact: interpolation.variables.len() + 2,
            ..Wanted::default()
        };
        wanted.columns.push((X.to_owned(), plane.x.clone()));
        wanted.columns.push((Y.to_owned(), plane.y.clone()));
        if let Some(category) = &interpolation.category {
            let column = (CATEGORY.to_owned(), written(&category.column));
            wanted.columns.push(column);
        }
        let target = Sample::load(
            ("target", "data.target"),
            &config,
            &config.data.target,
            &wanted,
            base,
            (&blinding, SampleRole::Data),
        )?;
        check_selections(&config, &[&target], &blinding)?;
        let region = region_index(&config, &config.training.region);
        check_plane(interpolation, &grid)?;
        let settings = settings(&config, interpolation);
        let streams = Streams::new(config.experiment.seed, ensemble);
        let flags = [region, config.regions.len(), config.regions.len() + 1];
        check_training_events(&config, interpolation, &target, flags)?;
        check_predicted_events(&config, interpolation, &target)?;
        coverage::check_events(&config, interpolation, base, &target, flags)?;
        coverage::check_bins(&config, interpolation, &grid)?;
        let scaling = scaling(&config, &inputs, region, &settings, streams, &[&target])?;
        let variables = variables::variables(&config, &[], &target)?;
        let sample = training_sample(region, &target)?;
        let sum: f64 = sample.classes()[0].weights.iter().sum();
        if sum <= 0.0 {
            let role = "target";
            return Err(PlanError::NoWeight { role, sum });
        }
        if let Some(row) = target
            .in_region(region)
            .find(|i| target.table.weights[*i] < 0.0)
        {
            let weight = target.table.weights[row];
            let reason = format!(
                "an event weighs {weight}; a density needs weights of 0 and more. Drop the \
                 weights, or merge samples so that none is negative"
            );
            let key = "data.target.weight".to_owned();
            return Err(PlanError::Interpolation { key, reason });
        }
        Ok(Self {
            ensemble: ensemble.to_owned(),
            blinding,
            target,
            scaling,
            variables,
            settings,
            sample,
            streams,
            grid,
            columns,
            config,
        })
    }

    /// The method's part of the configuration.
    #[must_use]
    pub(crate) fn interpolation(&self) -> &InterpolationConfig {
        interpolation(&self.config)
    }

    /// What is trained.
    #[must_use]
    pub(crate) fn task(&self) -> Task<'_> {
        Task {
            sample: &self.sample,
            settings: &self.settings,
            seed: self.config.experiment.seed,
            ensemble: &self.ensemble,
            features: &self.scaling,
            stream: None,
        }
    }

    pub(super) fn training_region(&self) -> usize {
        region_index(&self.config, &self.config.training.region)
    }

    /// Plane coordinates of an event.
    pub(super) fn masses(&self, row: usize) -> [f64; 2] {
        masses(&self.target, row)
    }

    /// Category of an event, by its place in the list.
    pub(super) fn category(&self, row: usize) -> Option<usize> {
        category(self.interpolation(), &self.target, row)
    }

    /// Whether an event lies in the box, and what the regions select of it aside.
    pub(super) fn in_box(&self, row: usize) -> bool {
        self.target.table.flags[row] >> self.config.regions.len() & 1 == 1
    }

    /// Whether a point is cut out of fit and training.
    pub(super) fn in_hole(&self, [x, y]: [f64; 2]) -> bool {
        let mut holes = self.interpolation().plane.holes.iter();
        holes.any(|hole| hole.contains(x, y))
    }

    /// Whether everything in the holes may be looked at.
    pub(super) fn shows_holes(&self) -> bool {
        !self.blinding.is_closed()
    }

    /// Context `[C]` of a point, as the networks read it.
    pub(super) fn context(&self, masses: [f64; 2], category: usize) -> Vec<f32> {
        let mut context = vec![masses[0] as f32, masses[1] as f32];
        let count = self.interpolation().categories().len();
        if count > 1 {
            context.extend((0..count).map(|k| f32::from(u8::from(k == category))));
        }
        context
    }
}

pub(super) fn interpolation(config: &Config) -> &InterpolationConfig {
    let part = config.interpolation.as_ref();
    part.expect("the method's check asks for it")
}

/// Transformed variables, then the context: the plane, and one column a
/// category if there are several.
fn inputs(interpolation: &InterpolationConfig) -> Vec<(String, String)> {
    let variables = interpolation.variables.iter().map(|v| {
        let text = v.expression.as_ref().unwrap_or(&v.name);
        let text = v.transform.expression(text);
        (text.clone(), text)
    });
    let plane = [&interpolation.plane.x, &interpolation.plane.y];
    let plane = plane.map(|text| (text.clone(), text.clone()));
    let categories = interpolation
        .category
        .iter()
        .filter(|category| category.values.len() > 1)
        .flat_map(|category| {
            let column = &category.column;
            let text = move |value: &f64| format!("{} == {value:?}", written(column));
            category.values.iter().map(text)
        })
        .map(|text| (text.clone(), text));
    variables.chain(plane).chain(categories).collect()
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

fn settings(config: &Config, interpolation: &InterpolationConfig) -> TrainingSettings {
    let t = &config.training;
    let flow = &interpolation.flow;
    let categories = interpolation.categories().len();
    let one_hot = if categories > 1 { categories } else { 0 };
    let sequence = flow.sequence.iter().copied();
    let network = FlowConfig {
        features: interpolation.variables.len(),
        context: 2 + one_hot,
        steps: std::iter::repeat_n(sequence, flow.repeat)
            .flatten()
            .collect(),
        bins: flow.bins,
        bound: flow.bound,
        hidden: flow.hidden,
        blocks: flow.blocks,
        dropout: flow.dropout,
    };
    TrainingSettings {
        network: NetworkConfig::Flow(network),
        objective: config.experiment.method.objective(),
        normalise: t.normalise,
        optimizer: t.optimizer,
        learning_rate: t.learning_rate,
        schedule: t.schedule,
        gradient_clip: t.gradient_clip,
        l2: t.l2,
        batch: t.batch,
        epochs: t.epochs,
        patience: t.patience,
        retries: t.retries,
        bootstrap: config.ensemble.bootstrap,
        split: SplitSettings {
            split: t.split,
            held_out: t.held_out,
            validation: t.validation,
            folds: t.folds,
        },
    }
}

fn masses(target: &Sample, row: usize) -> [f64; 2] {
    [X, Y].map(|name| {
        let column = target.column(name);
        column.map_or(f64::NAN, |values| values[row])
    })
}

pub(super) fn category(
    interpolation: &InterpolationConfig,
    target: &Sample,
    row: usize,
) -> Option<usize> {
    let Some(values) = target.column(CATEGORY) else {
        return Some(0);
    };
    let value = values[row];
    let mut known = interpolation.categories().iter();
    known.position(|v| *v == value)
}

/// A variable that is a column of the data too must be that column, and a derived
/// column must stand for one: selections act on both.
fn check_expressions(
    config: &Config,
    interpolation: &InterpolationConfig,
    base: &Path,
) -> Result<(), PlanError> {
    for (i, variable) in interpolation.variables.iter().enumerate() {
        let other = variable
            .expression
            .as_ref()
            .filter(|e| **e != variable.name);
        if other.is_some() && has_column(&config.data.target, base, &variable.name)? {
            let reason = format!(
                "`{}` is a column of the data and means something else there; give the variable \
                 another name",
                variable.name
            );
            return Err(wrong(&format!("variables[{i}].name"), reason));
        }
    }
    for name in interpolation.derived.keys() {
        let is_builtin = BUILTINS.iter().any(|builtin| builtin.name == name);
        if is_builtin && !has_column(&config.data.target, base, name)? {
            let reason = format!(
                "`{name}` is no column of the data, where it is computed as the built-in column of \
                 this name; give the derived column another name"
            );
            return Err(wrong(&format!("derived.{name}"), reason));
        }
    }
    Ok(())
}

/// The part of the plane that is predicted, as an expression.
pub(super) fn predicted_part(interpolation: &InterpolationConfig) -> String {
    match interpolation.predict {
        PredictedPart::Box => in_box(interpolation),
        PredictedPart::Holes => in_box_and_holes(interpolation),
    }
}

fn in_box_and_holes(interpolation: &InterpolationConfig) -> String {
    format!(
        "{} && ({})",
        in_box(interpolation),
        holes_text(interpolation)
    )
}

/// The holes together, as an expression.
pub(super) fn holes_text(interpolation: &InterpolationConfig) -> String {
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
    let holes: Vec<String> = holes.collect();
    holes.join(" || ")
}

/// Whether the plane can be fitted at all: settings, and bins that are left.
fn check_plane(interpolation: &InterpolationConfig, grid: &PlaneGrid) -> Result<(), PlanError> {
    let plane = &interpolation.plane;
    let hidden: Vec<bool> = (0..grid.bins())
        .map(|bin| {
            let rectangle = grid.rectangle(bin);
            plane.holes.iter().any(|hole| hole.overlaps(&rectangle))
        })
        .collect();
    if hidden.iter().filter(|h| !**h).count() < 2 {
        let reason = "they touch all bins of the plane but one at most, so that nothing is left to \
                      fit; make them smaller, the box larger or the bins finer";
        return Err(wrong("plane.holes", reason));
    }
    if plane.fit.starts == 0 || plane.fit.starts > 1000 {
        return Err(wrong(
            "plane.fit.starts",
            "found 0 or too many; allowed is 1 to 1000",
        ));
    }
    if let Some([low, high]) = plane.fit.length_scales
        && !(low > 0.0 && low < high && high.is_finite())
    {
        let reason = format!("found [{low}, {high}]; allowed are two rising numbers above 0");
        return Err(wrong("plane.fit.length_scales", reason));
    }
    Ok(())
}

/// Whether all training events lie in the box, outside the holes, in a known
/// category, and whether every category has some.
fn check_training_events(
    config: &Config,
    interpolation: &InterpolationConfig,
    target: &Sample,
    [region, box_flag, hole_flag]: [usize; 3],
) -> Result<(), PlanError> {
    let training = &config.training.region;
    let mut counts = vec![0u64; interpolation.categories().len()];
    let (mut outside, mut inside, mut unknown) = (0u64, 0u64, 0u64);
    for row in target.trained(region) {
        let has = |flag: usize| target.table.flags[row] >> flag & 1 == 1;
        if !has(box_flag) {
            outside += 1;
        } else if has(hole_flag) {
            inside += 1;
        } else {
            match category(interpolation, target, row) {
                Some(k) => counts[k] += 1,
                None => unknown += 1,
            }
        }
    }
    let plane = &interpolation.plane;
    if outside > 0 {
        let reason = format!(
            "{outside} events of the training region `{training}` lie outside the box \
             {:?} x {:?}; cut them from its selection or widen the box",
            plane.x_range, plane.y_range
        );
        return Err(wrong("plane.x_range", reason));
    }
    if inside > 0 {
        let reason = format!(
            "{inside} events of the training region `{training}` lie in a hole; \
             exclude the holes from its selection: what is interpolated must not be trained on"
        );
        return Err(wrong("plane.holes", reason));
    }
    if unknown > 0 {
        let name = format!("`{training}`");
        let reason = unlisted("the training region", &name, &format!("{unknown} "));
        return Err(wrong("category.values", reason));
    }
    if let Some(k) = counts.iter().position(|n| *n == 0) {
        let reason = format!(
            "no event of the training region `{training}` has the value {}",
            interpolation.categories()[k]
        );
        return Err(wrong("category.values", reason));
    }
    Ok(())
}

/// Bytes of a drawn point and of what a member makes of it.
const SAMPLE_BYTES: usize = 128;

/// Whether there is room for the samples that are asked for.
fn check_room(interpolation: &InterpolationConfig) -> Result<(), PlanError> {
    let all = interpolation
        .samples
        .saturating_mul(interpolation.categories().len());
    memory::room_for(all, SAMPLE_BYTES).map_err(|_| {
        wrong(
            "samples",
            format!("there is no memory for {all} samples; lower it"),
        )
    })
}

/// Whether all events of predicted regions that may be read have a listed category,
/// those without a value too.
fn check_predicted_events(
    config: &Config,
    interpolation: &InterpolationConfig,
    target: &Sample,
) -> Result<(), PlanError> {
    for name in interpolation.predicted(config) {
        let rows = target.in_region(region_index(config, name));
        let unknown = rows.filter(|row| category(interpolation, target, *row).is_none());
        let unknown = unknown.count() as u64;
        if unknown > 0 {
            let unknown = format!("{unknown} ");
            return Err(wrong("category.values", unlisted("region", name, &unknown)));
        }
    }
    Ok(())
}

fn training_sample(region: usize, target: &Sample) -> Result<TrainingSample, PlanError> {
    let bytes = 4 * target.table.n_features + 4 + 2 * 8 + 4 * 8;
    memory::room_for(target.table.len(), bytes)
        .map_err(|e| PlanError::data("data.target".to_owned(), e))?;
    let mut inputs = Inputs::new(Vec::new(), target.table.n_features);
    let mut class = ClassRows::default();
    for row in target.trained(region) {
        class.rows.push(inputs.push(target.features(row)) as u32);
        class.weights.push(target.table.weights[row]);
        class.keys.push(target.table.ids.key(row));
    }
    if class.len() > i32::MAX as usize {
        return Err(PlanError::TooMany(class.len()));
    }
    Ok(TrainingSample::density(Arc::new(inputs), class))
}
