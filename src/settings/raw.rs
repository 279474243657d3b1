//! The configuration as written: one struct a table, defaults where a default
//! makes sense.

use super::comparison::ComparisonConfig;
use super::defaults::{count, is_default, max_loss, number};
use super::interpolation::InterpolationConfig;
use super::{HtcondorSettings, Normalise, Schedule, SlurmSettings, Split};
use crate::error::Result;
use crate::events::{ColumnInfo, Jets, OnMissing, Resolver};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_networks::{Activation, Kernels, Objective, OptimizerConfig};

/// What a path begins with that is meant from the run directory.
pub(crate) const RUN_PREFIX: &str = "run:";

/// One experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is done, and under which seed.
    pub experiment: ExperimentConfig,
    /// Axes along which the rest of the file varies: every combination of their
    /// values is an ensemble; `${axis}` stands for the value.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub matrix: IndexMap<String, Vec<AxisValue>>,
    /// What computes.
    #[serde(default)]
    pub device: DeviceConfig,
    /// Where members are trained, and how often they are saved.
    #[serde(default)]
    pub executor: ExecutorConfig,
    /// Event samples.
    pub data: DataConfig,
    /// Regions by name.
    pub regions: IndexMap<String, RegionConfig>,
    /// Inputs of the networks.
    #[serde(default)]
    pub features: FeaturesConfig,
    /// Shape of a network.
    #[serde(default)]
    pub model: ModelConfig,
    /// Mass plane and flow of `method = "interpolate"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpolation: Option<InterpolationConfig>,
    /// How a member is trained.
    pub training: TrainingConfig,
    /// Members and how they are combined.
    #[serde(default)]
    pub ensemble: EnsembleConfig,
    /// Diagnostics, plots and the report.
    #[serde(default)]
    pub report: ReportConfig,
    /// Regions and methods of a matrix side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<ComparisonConfig>,
}

/// `[experiment]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentConfig {
    /// Name of the experiment: letters, digits, `-`, `_` and `.`; also the name
    /// of the run directory under `runs/`.
    pub name: String,
    /// Seed of every random number.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// What is learned.
    pub method: Method,
    /// One line on what this is, shown in the report.
    #[serde(default)]
    pub description: String,
}

fn default_seed() -> u64 {
    1
}

/// What is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Reweight the source to the target with the exponential loss.
    Reweight,
    /// Density ratio target / source with binary cross-entropy.
    Ratio,
    /// The target itself, interpolated into a hole of the mass plane: Gaussian
    /// process and conditional flow.
    Interpolate,
    /// A measurement with many ratios; its file has tables of its own.
    Measure,
    /// A fit of histograms alone, whose backgrounds may be runs; its file has tables of its
    /// own.
    Limit,
}

impl Method {
    /// The loss that the method minimises.
    #[must_use]
    pub fn objective(self) -> Objective {
        match self {
            Self::Reweight => Objective::Exponential,
            Self::Ratio | Self::Measure | Self::Limit => Objective::CrossEntropy,
            Self::Interpolate => Objective::Likelihood,
        }
    }
}

/// `[device]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceConfig {
    /// `cpu`, `ndarray`, `wgpu`, `wgpu:N`, `wgpu:cpu`, `cuda` or `cuda:N`; or
    /// several with commas between them: `cuda:0,cuda:1`.
    pub name: String,
    /// Training threads of each CPU, at most 1024; 0 = as many as the machine has.
    pub threads: usize,
    /// Members that one thread trains at once, as one stack; 0 = what suits the device.
    pub stack: usize,
    /// Memory of a GPU, MiB, from which the size of a stack is chosen; 0 = not
    /// known: stacks of 128, halved whenever memory runs out.
    pub memory_mib: u64,
    /// Fused operations where the device has them, or burn's alone. Numbers
    /// differ by rounding.
    pub kernels: Kernels,
}

impl DeviceConfig {
    /// The devices by name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.name.split(',').map(str::trim)
    }

    /// The kinds of devices, each once: `cpu`, `cuda`.
    #[must_use]
    pub fn kinds(&self) -> Vec<String> {
        let kind = |name: &str| name.split(':').next().unwrap_or(name).to_owned();
        let mut kinds: Vec<String> = self.names().map(kind).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

impl Default for DeviceConfig {
    fn default() -> Self {
        Self {
            name: "cpu".to_owned(),
            threads: 0,
            stack: 0,
            memory_mib: 0,
            kernels: Kernels::Fused,
        }
    }
}

/// `[executor]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExecutorConfig {
    /// Where members are trained.
    pub kind: ExecutorKind,
    /// Members that are claimed, and in a batch system submitted, together;
    /// 0 = 4 on a CPU, 32 on a GPU, 10 in a batch system.
    pub block: usize,
    /// Seconds between two checkpoints of a member in training.
    pub checkpoint_seconds: f64,
    /// Epochs between two checkpoints; 0 = by time alone.
    pub checkpoint_epochs: u32,
    /// Seconds after which a worker that gives no sign is taken for dead.
    pub stale_seconds: f64,
    /// Seconds between two looks at the queue of a batch system.
    pub poll_seconds: f64,
    /// How often a lost task is submitted again.
    pub resubmissions: u32,
    /// What a Slurm job asks for.
    pub slurm: SlurmSettings,
    /// What an HTCondor job asks for.
    pub htcondor: HtcondorSettings,
}

impl Default for ExecutorConfig {
    fn default() -> Self {
        Self {
            kind: ExecutorKind::Local,
            block: 0,
            checkpoint_seconds: 60.0,
            checkpoint_epochs: 0,
            stale_seconds: 120.0,
            poll_seconds: 10.0,
            resubmissions: 3,
            slurm: SlurmSettings::default(),
            htcondor: HtcondorSettings::default(),
        }
    }
}

/// Where members are trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecutorKind {
    /// In this process, on all listed devices.
    #[default]
    Local,
    /// In a Slurm job array, a task a block.
    Slurm,
    /// In an HTCondor cluster, a process a block.
    Htcondor,
}

/// A value of an axis of the matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a number, a text, true or false, or a table with a `name` and such values or \
                 lists of them"
)]
pub enum AxisValue {
    /// A value that is its own name.
    Scalar(Scalar),
    /// A name and what goes with it.
    Named {
        /// The name.
        name: String,
        /// What `${axis.key}` stands for.
        #[serde(flatten)]
        fields: IndexMap<String, FieldValue>,
    },
}

/// What goes with the name of a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a number, a text, true or false, or a list of them"
)]
pub enum FieldValue {
    /// One value.
    One(Scalar),
    /// A list, such as the widths of layers.
    List(Vec<Scalar>),
}

/// A single value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number, a text, true or false")]
pub enum Scalar {
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// On or off.
    Switch(bool),
    /// A text.
    Text(String),
}

/// `[data]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Sample whose events are reweighted (2b); an interpolation needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SampleConfig>,
    /// Sample that is to be predicted (4b).
    pub target: SampleConfig,
    /// Derived columns: name = expression.
    #[serde(default)]
    pub define: IndexMap<String, String>,
    /// The jets of an event, and what is made of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jets: Option<JetsConfig>,
    /// What to do with events whose feature is missing, NaN or infinite, whose one-hot value
    /// is not listed, or whose observable in a channel has no value.
    #[serde(default)]
    pub on_missing: MissingPolicy,
    /// Largest share of a sample's events that may be missing somewhere unasked: a
    /// selection without a value, a plotted variable without one.
    #[serde(default = "max_loss")]
    pub max_loss: f64,
    /// Reads the events while training, with a shuffle in windows: for data
    /// larger than memory. Without it they are all held in memory.
    #[serde(default)]
    pub stream: Option<StreamConfig>,
}

/// `[data.jets]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JetsConfig {
    /// pT of the jets in GeV: a list, as a column or an expression, as the others are.
    pub pt: String,
    /// Their pseudorapidities, an expression.
    pub eta: String,
    /// Their azimuths in radians, an expression.
    pub phi: String,
    /// Their masses in GeV, an expression.
    pub mass: String,
    /// Whether they are tagged, an expression.
    pub tagged: String,
    /// Which of the list are jets of the event, an expression; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selected: Option<String>,
    /// Jets of an event, by falling pT, that are anything but counted.
    pub max: usize,
    /// How Higgs candidates are made of them: built-in columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<CandidateRule>,
}

impl Default for JetsConfig {
    fn default() -> Self {
        let [pt, eta, phi, mass, tagged] =
            ["jet_pt", "jet_eta", "jet_phi", "jet_m", "jet_tag"].map(str::to_owned);
        Self {
            pt,
            eta,
            phi,
            mass,
            tagged,
            selected: None,
            max: 8,
            candidates: None,
        }
    }
}

impl From<&JetsConfig> for Jets {
    fn from(jets: &JetsConfig) -> Self {
        let JetsConfig {
            pt,
            eta,
            phi,
            mass,
            tagged,
            selected,
            max,
            candidates: _,
        } = jets.clone();
        Self {
            pt,
            eta,
            phi,
            mass,
            tagged,
            selected,
            most: max,
        }
    }
}

/// How Higgs candidates are made of jets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CandidateRule {
    /// Of the four leading tagged jets, filled up with the leading others: the pairing whose
    /// pair of higher pT has the smallest dR.
    MinDr,
}

/// `[data.stream]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StreamConfig {
    /// Events of each class that are shuffled together, and held by each
    /// training thread.
    pub window: usize,
    /// Events of each class that stay in memory if all in the files are
    /// selected, and in that proportion else, drawn at random: they validate, and
    /// the diagnostics are made of them.
    pub sample: usize,
    /// Events that are read ahead of the training, for each thread and class.
    pub read_ahead: usize,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            window: 1 << 18,
            sample: 200_000,
            read_ahead: 1 << 17,
        }
    }
}

/// What to do with events whose feature is missing, NaN or infinite, whose one-hot value
/// is not listed, or whose observable in a channel has no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingPolicy {
    /// Stop and say which.
    #[default]
    Error,
    /// Leave them out and report how many.
    Drop,
}

impl From<MissingPolicy> for OnMissing {
    fn from(policy: MissingPolicy) -> Self {
        match policy {
            MissingPolicy::Error => Self::Error,
            MissingPolicy::Drop => Self::Drop,
        }
    }
}

/// `[data.source]`, `[data.target]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleConfig {
    /// Parquet, Arrow IPC or ROOT files: a path, a glob, or a list of them, from the folder
    /// of the configuration. Of a ROOT file with several trees it says which:
    /// `events.root:Events`.
    pub path: OneOrMany,
    /// Which events are used; an expression over columns.
    #[serde(default)]
    pub selection: Option<String>,
    /// Event weight; an expression over columns. 1 if absent.
    #[serde(default)]
    pub weight: Option<String>,
    /// Factor on all weights, above 0: a number, or an expression over constants and sums of
    /// columns of another tree of the ROOT files, `xsec * lumi / sum(Runs.genEventSumw)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<ScaleConfig>,
    /// Integer columns that name an event. If absent, the file's place in the
    /// sorted list and the row in it.
    #[serde(default)]
    pub id: Vec<String>,
    /// Tells apart samples whose ids merely collide. Samples that share events
    /// have the same namespace.
    #[serde(default)]
    pub namespace: String,
    /// How the sample is called in plots.
    #[serde(default)]
    pub label: Option<String>,
}

/// A factor on the weights of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number or a text")]
pub enum ScaleConfig {
    /// A number.
    Number(f64),
    /// An expression over constants and sums of columns of another tree of the files.
    Text(String),
}

impl Default for ScaleConfig {
    fn default() -> Self {
        Self::Number(1.0)
    }
}

/// One text or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl OneOrMany {
    /// As a list.
    #[must_use]
    pub fn to_list(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text.clone()],
            Self::Many(list) => list.clone(),
        }
    }
}

/// `[regions.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionConfig {
    /// Which events are in the region; an expression over columns.
    pub selection: String,
    /// Keeps the target's events of this region out of counts, plots and files.
    #[serde(default)]
    pub blind: bool,
    /// How the region is called in plots.
    #[serde(default)]
    pub label: Option<String>,
}

impl Config {
    /// How a region is called in plots.
    #[must_use]
    pub(crate) fn region_label<'a>(&'a self, name: &'a str) -> &'a str {
        let own = self.regions.get(name).and_then(|r| r.label.as_deref());
        own.unwrap_or(name)
    }

    /// The axis label of a distribution, and whether its event axis is logarithmic.
    #[must_use]
    pub(crate) fn axis<'a>(&'a self, name: &'a str) -> (&'a str, bool) {
        let mut variables = self.report.variables.iter();
        match variables.find(|variable| variable.name == name) {
            Some(variable) => (variable.label.as_deref().unwrap_or(name), variable.log),
            None => (
                self.features.labels.get(name).map_or(name, String::as_str),
                false,
            ),
        }
    }
}

impl DataConfig {
    /// What names mean in files with these columns: defined ones, and those that are built in.
    ///
    /// # Errors
    /// If a definition is none.
    pub(crate) fn resolver(&self, columns: &[ColumnInfo]) -> Result<Resolver> {
        let resolver = Resolver::with_jets(columns, self.jets().as_ref(), &self.define);
        resolver.map_err(|e| e.at_key("data.define"))
    }

    /// The jets of which built-in columns are made, if there are any.
    pub(crate) fn jets(&self) -> Option<Jets> {
        let jets = self.jets.as_ref();
        jets.filter(|jets| jets.candidates.is_some())
            .map(Jets::from)
    }

    /// The samples that there are, with their roles.
    pub fn samples(&self) -> impl Iterator<Item = (&'static str, &SampleConfig)> {
        let source = self.source.iter().map(|sample| ("source", sample));
        source.chain([("target", &self.target)])
    }

    /// The same to be changed.
    pub(super) fn samples_mut(&mut self) -> impl Iterator<Item = &mut SampleConfig> {
        self.source.iter_mut().chain([&mut self.target])
    }

    /// How the source is called in plots.
    #[must_use]
    pub fn source_label(&self) -> &str {
        let label = self.source.as_ref().and_then(|s| s.label.as_deref());
        label.unwrap_or("source")
    }

    /// How the target is called in plots.
    #[must_use]
    pub fn target_label(&self) -> &str {
        self.target.label.as_deref().unwrap_or("target")
    }
}

/// `[features]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeaturesConfig {
    /// Inputs: columns or expressions over columns.
    pub inputs: Vec<String>,
    /// Columns that become one input for each of the listed values.
    #[serde(default)]
    pub one_hot: IndexMap<String, Vec<f64>>,
    /// Axis labels of inputs in plots.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
}

/// `[model]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Activation after every hidden layer.
    pub activation: Activation,
    /// Probability to drop a hidden unit in training; 0 = off.
    pub dropout: f64,
    /// Batch normalisation before every activation.
    pub batch_norm: bool,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            hidden: vec![50, 50, 50],
            activation: Activation::Relu,
            dropout: 0.0,
            batch_norm: false,
        }
    }
}

/// `[training]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Region whose events are trained on.
    pub region: String,
    /// Rows of a batch, half of each class.
    #[serde(default = "count::<1024>")]
    pub batch: usize,
    /// Largest number of epochs; an epoch is one pass over the larger class.
    #[serde(default = "number::<200>")]
    pub epochs: u32,
    /// Epochs without improvement on the validation fold after which a member
    /// stops.
    #[serde(default = "number::<15>")]
    pub patience: u32,
    /// Fraction of events that decides when to stop.
    #[serde(default = "default_fraction")]
    pub validation: f64,
    /// Fraction of events that no member sees, kept for the diagnostics of the training
    /// region; 0 = none, which are left out then.
    #[serde(default = "default_fraction")]
    pub held_out: f64,
    /// How events are divided into folds.
    #[serde(default)]
    pub split: Split,
    /// Number of folds with `split = "folds"`.
    #[serde(default = "number::<5>")]
    pub folds: u32,
    /// What the two sums of the loss are divided by.
    #[serde(default)]
    pub normalise: Normalise,
    /// Optimizer and its constants.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Initial learning rate.
    #[serde(default = "default_learning_rate")]
    pub learning_rate: f64,
    /// Change of the learning rate.
    #[serde(default)]
    pub schedule: Schedule,
    /// Largest norm of a member's gradient.
    #[serde(default)]
    pub gradient_clip: Option<f64>,
    /// L2 penalty beta of the loss (beta sum w^2), on weights.
    #[serde(default)]
    pub l2: f64,
    /// Further attempts of a member that diverges, each from a new stream.
    #[serde(default = "number::<1>")]
    pub retries: u32,
}

impl TrainingConfig {
    /// Whether events are kept from training, to test the training region with.
    #[must_use]
    pub(crate) fn holds_out(&self) -> bool {
        self.split == Split::Folds || self.held_out > 0.0
    }
}

fn default_fraction() -> f64 {
    0.2
}
fn default_learning_rate() -> f64 {
    1e-3
}

/// `[ensemble]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnsembleConfig {
    /// Number of members.
    pub members: u32,
    /// Poisson(1) weight for every event in every member.
    pub bootstrap: bool,
    /// What the nominal weight of an event is.
    pub combine: Combine,
    /// Fraction of members that must succeed for a result.
    pub minimum: f64,
}

impl Default for EnsembleConfig {
    fn default() -> Self {
        Self {
            members: 100,
            bootstrap: true,
            combine: Combine::Mean,
            minimum: 0.9,
        }
    }
}

/// How members make the nominal weight of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Mean of the members' weights: histograms of it are the means of the
    /// members' histograms.
    #[default]
    Mean,
    /// Median of the members' weights.
    Median,
}

/// `[report]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Title of the report; the experiment's name if absent.
    pub title: Option<String>,
    /// Words on the data, put on every plot.
    pub data_label: String,
    /// Whose the figures are, in bold above each; "Sideband" if absent.
    pub experiment: Option<String>,
    /// In italics beside it: "Private Work", "Preliminary".
    pub status: Option<String>,
    /// Integrated luminosity, at the right above each figure: a number in fb^-1, or a text.
    pub luminosity: Option<Quantity>,
    /// Centre-of-mass energy beside it: a number in TeV, or a text.
    pub com: Option<Quantity>,
    /// Events per unit of the variable in place of events a bin.
    #[serde(skip_serializing_if = "is_default")]
    pub density: bool,
    /// How predictions are drawn.
    #[serde(skip_serializing_if = "is_default")]
    pub style: HistogramStyle,
    /// Distributions beside those of the inputs.
    pub variables: Vec<VariableConfig>,
    /// Bins of the inputs' distributions.
    pub bins: usize,
    /// Two-dimensional distributions.
    pub planes: Vec<PlaneConfig>,
    /// Members of the classifier that tells reweighted source from target (the
    /// AUC); 0 = no AUC.
    pub classifier_members: u32,
    /// Significance below which a distribution counts as not closed.
    pub p_value: f64,
    /// What the ensembles of a matrix are ranked by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_by: Option<RankBy>,
}

/// What the ensembles of a matrix are ranked by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum RankBy {
    /// The loss on held-out events of the training region.
    HeldOutLoss,
    /// How far the AUC of the fresh classifier is from 0.5; takes `classifier_members`.
    Auc {
        /// The region.
        region: String,
    },
    /// The mean chi2 / ndf of distributions, with the statistical errors of both samples alone.
    Chi2 {
        /// The region.
        region: String,
        /// One distribution in place of all.
        #[serde(default)]
        variable: Option<String>,
    },
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self {
            title: None,
            data_label: String::new(),
            experiment: None,
            status: None,
            luminosity: None,
            com: None,
            density: false,
            style: HistogramStyle::default(),
            variables: Vec::new(),
            bins: 15,
            planes: Vec::new(),
            classifier_members: 10,
            p_value: 0.01,
            rank_by: None,
        }
    }
}

impl ReportConfig {
    /// Forgets titles, labels, and which axes are logarithmic.
    pub(super) fn forget_words(&mut self) {
        self.title = None;
        self.data_label.clear();
        for variable in &mut self.variables {
            variable.label = None;
            variable.log = false;
        }
        for plane in &mut self.planes {
            [plane.x_label, plane.y_label] = [None, None];
            plane.hh_borders = false;
        }
    }

    /// Forgets what changes neither numbers nor which figures there are.
    pub(super) fn forget_looks(&mut self) {
        self.experiment = None;
        self.status = None;
        self.luminosity = None;
        self.com = None;
        self.density = false;
        self.style = HistogramStyle::default();
    }
}

/// How predictions are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistogramStyle {
    /// As lines.
    #[default]
    Line,
    /// The prediction that is compared with the observation as an area; where several methods
    /// stand side by side, and would hide each other, as lines. Processes of a measurement's
    /// histograms, which add up, are stacked in any case.
    Filled,
}

/// A number in a unit that goes without saying, or a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number or a text")]
pub enum Quantity {
    /// A number.
    Number(f64),
    /// A text, taken as it stands.
    Text(String),
}

impl Quantity {
    /// The number with its unit, or the text.
    #[must_use]
    pub(crate) fn in_words(&self, unit: &str) -> String {
        match self {
            Self::Number(number) => format!("{number} {unit}"),
            Self::Text(text) => text.clone(),
        }
    }
}

/// One entry of `report.variables`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariableConfig {
    /// Name of the distribution in files and keys.
    pub name: String,
    /// Expression over columns; the name if absent.
    #[serde(default)]
    pub expression: Option<String>,
    /// Axis label; the name if absent.
    #[serde(default)]
    pub label: Option<String>,
    /// Bin edges, or a number of bins of equal content.
    pub bins: Bins,
    /// Logarithmic event axis.
    #[serde(default)]
    pub log: bool,
}

/// Bin edges, or a number of bins of equal content of the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a list of increasing edges or a number of bins")]
pub enum Bins {
    /// Number of bins.
    Number(usize),
    /// Edges.
    Edges(Vec<f64>),
}

/// One entry of `report.planes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaneConfig {
    /// Name in files and keys.
    pub name: String,
    /// Expression of the horizontal axis.
    pub x: String,
    /// Expression of the vertical axis.
    pub y: String,
    /// Lowest and highest value, horizontally.
    pub x_range: [f64; 2],
    /// Lowest and highest value, vertically.
    pub y_range: [f64; 2],
    /// Bins along each axis.
    #[serde(default = "count::<25>")]
    pub bins: usize,
    /// Axis labels.
    #[serde(default)]
    pub x_label: Option<String>,
    /// Axis labels.
    #[serde(default)]
    pub y_label: Option<String>,
    /// Draws the SR and CR borders of the HH -> 4b mass plane.
    #[serde(default)]
    pub hh_borders: bool,
}

impl PlaneConfig {
    /// Axis labels.
    #[must_use]
    pub(crate) fn labels(&self) -> [String; 2] {
        let label = |own: &Option<String>, text: &String| own.as_ref().unwrap_or(text).clone();
        [label(&self.x_label, &self.x), label(&self.y_label, &self.y)]
    }
}
