//! `[interpolation]`: the mass plane, what the flow learns in it, and how the
//! prediction is made.

use super::ranges::{Checked, ensure, ensure_known};
use super::raw::{Config, count};
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
    #[serde(default = "count::<100_000>")]
    pub samples: usize,
    /// Draws from the posterior of each Gaussian process, which become its error.
    #[serde(default = "count::<50>")]
    pub posterior_draws: usize,
    /// Which part of the plane is predicted.
    #[serde(default)]
    pub predict: PredictedPart,
    /// Regions that are predicted; all but the training region if empty.
    #[serde(default)]
    pub regions: Vec<String>,
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
    #[serde(default = "count::<25>")]
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

    /// Values of the category; a single 0 without one.
    #[must_use]
    pub fn categories(&self) -> &[f64] {
        self.category.as_ref().map_or(&[0.0], |c| &c.values)
    }

    /// Whether a sampled event has a column of this name that is no variable's.
    fn is_of_plane(&self, name: &str) -> bool {
        let category = self.category.as_ref().map(|c| c.column.as_str());
        [self.plane.x.as_str(), self.plane.y.as_str()].contains(&name)
            || category == Some(name)
            || self.candidates.is_some() && REBUILT.contains(&name)
    }

    /// One name means one thing in observed and in sampled events.
    fn check_names(&self, config: &Config) -> Checked {
        let define = &config.data.define;
        for (name, text) in &self.derived {
            let path = format!("interpolation.derived.{name}");
            ensure(
                !self.is_of_plane(name) && !self.variables.iter().any(|v| v.name == *name),
                &path,
                name,
                "a name that sampled events do not have yet; it is one of the plane, the category, \
                 the variables or the candidates",
            )?;
            let allowed = format!(
                "the same as data.define.{name}, or another name: observed events have the one, \
                 sampled events the other"
            );
            let is_one = define.get(name).is_none_or(|other| other == text);
            ensure(is_one, &path, text, allowed)?;
        }
        for FlowVariable {
            name, expression, ..
        } in &self.variables
        {
            let other = expression.as_ref().filter(|e| e.trim() != name);
            if let (Some(expression), Some(text)) = (other, define.get(name)) {
                let path = format!("data.define.{name}");
                let allowed = format!(
                    "another name: the variable `{name}` of the interpolation is {expression}"
                );
                ensure(false, &path, text, allowed)?;
            }
        }
        let rebuilt = define
            .iter()
            .find(|(name, _)| REBUILT.contains(&name.as_str()));
        if let (Some((name, text)), Some(_)) = (rebuilt, &self.candidates) {
            let allowed = "another name: in sampled events it is rebuilt from the candidates";
            ensure(false, &format!("data.define.{name}"), text, allowed)?;
        }
        Ok(())
    }

    /// Checks what depends on more than one key.
    pub(super) fn check(&self, config: &Config) -> Checked {
        for (i, hole) in self.plane.holes.iter().enumerate() {
            let path = format!("interpolation.plane.holes[{i}]");
            let is_new = !self.plane.holes[..i].contains(hole);
            ensure(is_new, &path, hole, "each hole once")?;
        }
        self.check_names(config)?;
        let mut seen = HashSet::new();
        for (i, variable) in self.variables.iter().enumerate() {
            let path = format!("interpolation.variables[{i}].name");
            let name = variable.name.as_str();
            ensure(seen.insert(name), &path, name, "each variable once")?;
            ensure(
                !self.is_of_plane(name)
                    && !["weight", "nominal", "spread", "point", "plane_bin"].contains(&name)
                    && !name.starts_with("in_")
                    && !name.starts_with("member_"),
                &path,
                name,
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
        let draws = self.posterior_draws;
        let allowed = "0, or at least 2: one draw has no spread";
        ensure(draws != 1, "interpolation.posterior_draws", 1, allowed)?;
        let key = "interpolation.regions";
        for region in &self.regions {
            ensure_known(key, region, "names under [regions]", config.regions.keys())?;
        }
        let region = &config.training.region;
        ensure(
            self.predict == PredictedPart::Box
                || !self.predicted(config).contains(&region.as_str()),
            key,
            region,
            "regions in the holes; `predict = \"box\"` predicts the training region too",
        )?;
        let sequence = &self.flow.sequence;
        let steps = sequence.len() * self.flow.repeat;
        ensure(
            (1..=1000).contains(&steps) && sequence.contains(&FlowStep::Coupling),
            "interpolation.flow.sequence",
            sequence,
            "1 to 1000 steps in all, with a coupling among them",
        )
    }
}
