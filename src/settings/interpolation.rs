//! `[interpolation]`: the mass plane, what the flow learns in it, and how the
//! prediction is made.

use super::check::{Checked, ensure, name, within};
use super::raw::Config;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_networks::FlowStep;
use sideband_processes::{Hole, PlaneSettings};
use std::collections::HashSet;

/// What is made of the two candidates as four-vectors with the azimuth of the
/// first at 0.
pub(crate) const REBUILT: [&str; 7] = [
    "m_hh",
    "pt_hh",
    "log_pt_hh",
    "deta_hh",
    "dr_hh",
    "phi_h1",
    "phi_h2",
];

/// `[interpolation]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InterpolationConfig {
    /// The plane whose density a Gaussian process interpolates.
    pub plane: MassPlaneConfig,
    /// Categories, each with a Gaussian process of its own; the flow gets them
    /// as context.
    #[serde(default)]
    pub category: Option<CategoryConfig>,
    /// Features whose density the flow learns, given the plane and category.
    pub variables: Vec<FlowVariable>,
    /// Columns that follow from the features and the plane: name = expression.
    #[serde(default)]
    pub derived: IndexMap<String, String>,
    /// Columns of the two candidates, from which `m_hh`, `pt_hh`, `log_pt_hh`,
    /// `deta_hh` and `dr_hh` are rebuilt as four-vectors.
    #[serde(default)]
    pub candidates: Option<CandidatesConfig>,
    /// Shape of the flow.
    #[serde(default)]
    pub flow: FlowSettings,
    /// Points drawn from each category's Gaussian process.
    #[serde(default = "default_samples")]
    pub samples: usize,
    /// Draws from the posterior of each Gaussian process, which become its error.
    #[serde(default = "default_draws")]
    pub posterior_draws: usize,
    /// Which part of the plane is predicted.
    #[serde(default)]
    pub predict: PredictedPart,
    /// Regions that are predicted; all but the training region if empty.
    #[serde(default)]
    pub regions: Vec<String>,
}

fn default_samples() -> usize {
    100_000
}
fn default_draws() -> usize {
    50
}

/// `[interpolation.plane]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MassPlaneConfig {
    /// Horizontal axis: a column or expression.
    pub x: String,
    /// Vertical axis: a column or expression.
    pub y: String,
    /// Lowest and highest value, horizontally.
    pub x_range: [f64; 2],
    /// Lowest and highest value, vertically.
    pub y_range: [f64; 2],
    /// Bins along each axis.
    #[serde(default = "default_bins")]
    pub bins: usize,
    /// Parts that are cut out of the fit and of the training; they may overlap. Every
    /// event and bin of the box lies in one of them or in the training region.
    pub holes: Vec<Hole>,
    /// How the Gaussian process is fitted.
    #[serde(default)]
    pub fit: PlaneSettings,
    /// Axis labels.
    #[serde(default)]
    pub labels: Option<[String; 2]>,
}

fn default_bins() -> usize {
    25
}

/// `[interpolation.category]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryConfig {
    /// Its column.
    pub column: String,
    /// Its values.
    pub values: Vec<f64>,
}

/// One entry of `interpolation.variables`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowVariable {
    /// Name of the column in the prediction.
    pub name: String,
    /// Expression over columns; the name if absent.
    #[serde(default)]
    pub expression: Option<String>,
    /// What makes it fit for a flow; it is standardised after that.
    #[serde(default)]
    pub transform: Transform,
    /// Axis label; the name if absent.
    #[serde(default)]
    pub label: Option<String>,
}

/// An invertible map of one variable, with its Jacobian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Transform {
    /// As it is.
    #[default]
    Identity,
    /// log(x - above), for x above that.
    Log {
        /// Lower end.
        #[serde(default)]
        above: f64,
    },
    /// log(below - x), for x below that: π for angles.
    LogBelow {
        /// Upper end.
        below: f64,
    },
    /// log((x - low) / (high - x)), for x between the two.
    Logit {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
}

/// `[interpolation.candidates]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CandidatesConfig {
    /// Transverse momenta.
    pub pt: [String; 2],
    /// Pseudorapidities.
    pub eta: [String; 2],
    /// Masses.
    pub mass: [String; 2],
    /// Angle between the two in the transverse plane.
    pub dphi: String,
}

/// `[interpolation.flow]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlowSettings {
    /// Steps that are repeated, from features to noise.
    pub sequence: Vec<FlowStep>,
    /// How often.
    pub repeat: usize,
    /// Bins of a spline, `K`.
    pub bins: usize,
    /// Splines act within plus or minus this many standard deviations.
    pub bound: f64,
    /// Width of the conditioner.
    pub hidden: usize,
    /// Residual blocks of the conditioner.
    pub blocks: usize,
    /// Probability to drop a hidden unit of a block in training.
    pub dropout: f64,
}

impl Default for FlowSettings {
    fn default() -> Self {
        Self {
            sequence: vec![FlowStep::BatchNorm, FlowStep::Linear, FlowStep::Coupling],
            repeat: 10,
            bins: 4,
            bound: 3.0,
            hidden: 32,
            blocks: 1,
            dropout: 0.1,
        }
    }
}

/// Which part of the plane is predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PredictedPart {
    /// The holes.
    #[default]
    Holes,
    /// The whole box.
    Box,
}

impl InterpolationConfig {
    /// Names of the regions that are predicted.
    #[must_use]
    pub fn predicted<'a>(&'a self, config: &'a Config) -> Vec<&'a str> {
        if self.regions.is_empty() {
            let all = config.regions.keys().map(String::as_str);
            all.filter(|name| *name != config.training.region).collect()
        } else {
            self.regions.iter().map(String::as_str).collect()
        }
    }

    /// Resets what no member depends on.
    pub(crate) fn forget_what_comes_after_training(&mut self) {
        self.samples = default_samples();
        self.posterior_draws = default_draws();
        self.predict = PredictedPart::default();
        self.regions.clear();
        self.derived.clear();
        self.candidates = None;
        self.plane.bins = default_bins();
        self.plane.fit = PlaneSettings::default();
        self.plane.labels = None;
        for variable in &mut self.variables {
            variable.label = None;
        }
    }

    /// Whether samples have a column of this name already.
    fn is_taken(&self, name: &str) -> bool {
        let own = ["weight", "nominal", "spread", "point", "plane_bin"];
        let category = self.category.as_ref().map(|c| c.column.as_str());
        let rebuilt = self.candidates.is_some() && REBUILT.contains(&name);
        [self.plane.x.as_str(), self.plane.y.as_str()].contains(&name)
            || category == Some(name)
            || rebuilt
            || own.contains(&name)
            || name.starts_with("in_")
            || name.starts_with("member_")
    }

    /// Values of the category; a single 0 without one.
    #[must_use]
    pub fn categories(&self) -> &[f64] {
        self.category.as_ref().map_or(&[0.0], |c| &c.values)
    }

    /// Whether a sampled event has a column of this name before any is derived.
    fn is_sampled(&self, name: &str) -> bool {
        let category = self.category.as_ref().map(|c| c.column.as_str());
        [self.plane.x.as_str(), self.plane.y.as_str()].contains(&name)
            || category == Some(name)
            || self.variables.iter().any(|variable| variable.name == name)
            || self.candidates.is_some() && REBUILT.contains(&name)
    }

    /// One name means one thing in observed and in sampled events.
    fn check_names(&self, config: &Config) -> Checked {
        let define = &config.data.define;
        for (name, text) in &self.derived {
            let path = format!("interpolation.derived.{name}");
            ensure(
                !self.is_sampled(name),
                &path,
                name,
                "a name that sampled events do not have yet; it is one of the plane, the category, \
                 the variables or the candidates",
            )?;
            let elsewhere = define.get(name).filter(|other| *other != text);
            ensure(
                elsewhere.is_none(),
                &path,
                text,
                &format!(
                    "the same as data.define.{name}, or another name: observed events have the \
                     one, sampled events the other"
                ),
            )?;
        }
        for variable in &self.variables {
            let other = variable
                .expression
                .as_ref()
                .filter(|e| e.trim() != variable.name);
            if let (Some(expression), true) = (other, define.contains_key(&variable.name)) {
                let path = format!("data.define.{}", variable.name);
                let allowed = format!(
                    "another name: the variable `{}` of the interpolation is {expression}",
                    variable.name
                );
                ensure(false, &path, &define[&variable.name], &allowed)?;
            }
        }
        let rebuilt = define.keys().find(|name| REBUILT.contains(&name.as_str()));
        if let (Some(name), Some(_)) = (rebuilt, &self.candidates) {
            let path = format!("data.define.{name}");
            let allowed = "another name: in sampled events it is rebuilt from the candidates";
            ensure(false, &path, &define[name], allowed)?;
        }
        Ok(())
    }

    pub(super) fn check(&self, config: &Config) -> Checked {
        self.plane.check()?;
        self.check_names(config)?;
        let count = self.variables.len();
        ensure(
            (2..=256).contains(&count),
            "interpolation.variables",
            count,
            "2 to 256 variables: a coupling transforms some of them given the others",
        )?;
        let mut seen = HashSet::new();
        for (i, variable) in self.variables.iter().enumerate() {
            let path = format!("interpolation.variables[{i}].name");
            name(&path, &variable.name)?;
            ensure(
                seen.insert(&variable.name),
                &path,
                &variable.name,
                "each variable once",
            )?;
            let taken = self.is_taken(&variable.name);
            ensure(
                !taken,
                &path,
                &variable.name,
                "a name that neither the plane, the category, the candidates nor the prediction \
                 has; give the variable another one",
            )?;
            let path = format!("interpolation.variables[{i}].transform");
            let fine = match variable.transform {
                Transform::Identity => true,
                Transform::Log { above } => above.is_finite(),
                Transform::LogBelow { below } => below.is_finite(),
                Transform::Logit { low, high } => low < high && low.is_finite() && high.is_finite(),
            };
            let allowed = "finite ends, the lower below the higher";
            ensure(fine, &path, variable.transform, allowed)?;
        }
        if let Some(category) = &self.category {
            let values = &category.values;
            let distinct: HashSet<u64> = values.iter().map(|v| v.to_bits()).collect();
            ensure(
                (1..=100).contains(&values.len())
                    && distinct.len() == values.len()
                    && values.iter().all(|v| v.is_finite()),
                "interpolation.category.values",
                values,
                "1 to 100 different finite values",
            )?;
        }
        ensure(
            self.posterior_draws != 1,
            "interpolation.posterior_draws",
            1,
            "0, or at least 2: one draw has no spread",
        )?;
        for (name, allowed, found) in [
            ("samples", 100..=100_000_000, self.samples),
            ("posterior_draws", 0..=10_000, self.posterior_draws),
        ] {
            let path = format!("interpolation.{name}");
            let text = format!("{} to {}", allowed.start(), allowed.end());
            ensure(allowed.contains(&found), &path, found, &text)?;
        }
        for region in &self.regions {
            let known: Vec<&String> = config.regions.keys().collect();
            ensure(
                config.regions.contains_key(region),
                "interpolation.regions",
                region,
                &format!("names under [regions]: {known:?}"),
            )?;
        }
        ensure(
            self.predict == PredictedPart::Box
                || !self
                    .predicted(config)
                    .contains(&config.training.region.as_str()),
            "interpolation.regions",
            &config.training.region,
            "regions in the holes; `predict = \"box\"` predicts the training region too",
        )?;
        self.flow.check()
    }
}

impl MassPlaneConfig {
    fn check(&self) -> Checked {
        for (axis, range) in [("x_range", self.x_range), ("y_range", self.y_range)] {
            ensure(
                range[0] < range[1] && range.iter().all(|v| v.is_finite()),
                &format!("interpolation.plane.{axis}"),
                range,
                "a lower and a higher finite number",
            )?;
        }
        ensure(
            (2..=60).contains(&self.bins),
            "interpolation.plane.bins",
            self.bins,
            "2 to 60: the Gaussian process inverts a matrix of bins^2 rows",
        )?;
        within(
            "interpolation.plane.holes",
            self.holes.len(),
            1..=16,
            " holes",
        )?;
        for (i, hole) in self.holes.iter().enumerate() {
            ensure(
                !self.holes[..i].contains(hole),
                &format!("interpolation.plane.holes[{i}]"),
                hole,
                "each hole once",
            )?;
        }
        Ok(())
    }
}

impl FlowSettings {
    fn check(&self) -> Checked {
        let path = |key: &str| format!("interpolation.flow.{key}");
        within(&path("repeat"), self.repeat, 1..=1000, "")?;
        let steps = self.sequence.len() * self.repeat;
        ensure(
            (1..=1000).contains(&steps) && self.sequence.contains(&FlowStep::Coupling),
            &path("sequence"),
            &self.sequence,
            "1 to 1000 steps in all, with a coupling among them",
        )?;
        within(&path("bins"), self.bins, 2..=256, " bins")?;
        ensure(
            self.bound > 0.0 && self.bound <= 1000.0,
            &path("bound"),
            self.bound,
            "above 0 and at most 1000",
        )?;
        within(&path("hidden"), self.hidden, 1..=4096, "")?;
        within(&path("blocks"), self.blocks, 0..=64, "")?;
        within(&path("dropout"), self.dropout, 0.0..=0.95, "")
    }
}
