//! `[interpolation]`: the mass plane, what the flow learns in it, and how the
//! prediction is made.

mod check;

use super::defaults::count;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_networks::FlowStep;
use sideband_processes::{Hole, PlaneSettings};

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
}
