//! `method = "limit"`: a fit of histograms alone, whose backgrounds may be runs.
//!
//! Parameters, systematic uncertainties and observed events are those of a measurement, and what
//! is fitted is one: [`Limit::measurement`].

mod check;
mod cross_section;

use super::defaults::{count, is_default};
use super::measurement::{
    Aggregate, CalibrationMethod, ChannelConfig, ColumnsConfig, CorrelationConfig,
    LikelihoodConfig, LimitConfig, Measurement, NotPositiveConfig, ObservedConfig, ParameterConfig,
    ProcessConfig, SystematicConfig,
};
use super::raw::{
    DeviceConfig, EnsembleConfig, ExecutorConfig, ExperimentConfig, FeaturesConfig, ModelConfig,
    OneOrMany, RegionConfig, ReportConfig, Scalar, ScaleConfig, TrainingConfig,
};
use super::runs::{
    ControlRegionConfig, NonclosureConfig, NormalisationConfig, PlaneErrorConfig, RetrainingConfig,
    SampleMixingConfig,
};
use super::words::words;
use crate::error::{Context, Kind, Result};
use cross_section::CrossSectionConfig;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// What the names of the regions that channels make begin with.
pub(crate) const CHANNEL_REGION: &str = "channels.";

/// A fit of histograms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What is done, and under which seed.
    pub experiment: ExperimentConfig,
    /// Columns that all samples have.
    #[serde(default)]
    pub data: ColumnsConfig,
    /// Regions by name.
    pub regions: IndexMap<String, RegionConfig>,
    /// Parameters by name: those of interest and norm factors.
    pub parameters: IndexMap<String, ParameterConfig>,
    /// Processes by name: simulated events, or the prediction of a run.
    pub samples: IndexMap<String, LimitSampleConfig>,
    /// Systematic uncertainties by name; each is a nuisance parameter of that name,
    /// measured as 0 +- 1.
    #[serde(default)]
    pub systematics: IndexMap<String, SystematicConfig>,
    /// Histograms by name.
    pub channels: IndexMap<String, LimitChannelConfig>,
    /// The events that are measured; without them those that are expected without signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<ObservedConfig>,
    /// How the likelihood is looked at.
    pub measurement: LimitLikelihoodConfig,
    /// Figures and the report.
    #[serde(default)]
    pub report: ReportConfig,
}

/// `[samples.NAME]` of a limit: of simulated events, by `path`, or of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitSampleConfig {
    /// Parquet, Arrow IPC or ROOT files, from the folder of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<OneOrMany>,
    /// A finished run, from the folder of the configuration, in place of files: its prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Which ensemble of the run's matrix: a value an axis.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub point: IndexMap<String, Scalar>,
    /// Which events are used; an expression over columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<String>,
    /// Event weight; an expression over columns. The sum of weights in a channel is the
    /// rate there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Integer columns that name an event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub id: Vec<String>,
    /// Tells apart samples whose ids merely collide.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// f(parameters): what the nominal rate is multiplied with.
    #[serde(default = "one")]
    pub coefficient: String,
    /// Factor on the sum of weights, above 0, as in a measurement; of a run a number.
    #[serde(default)]
    pub scale: ScaleConfig,
    /// How the process is called in plots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether the finite number of its events is an error of the bins; no of a signal and
    /// yes of all others if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistical: Option<bool>,
    /// What its retrained networks differ by; of a run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retraining: Option<RetrainingConfig>,
    /// What its Gaussian processes are known to; of an interpolated run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plane: Option<PlaneErrorConfig>,
    /// The counting error of what its prediction is normalised to; of a run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<NormalisationConfig>,
    /// The same background learned in another control region; of a run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_region: Option<ControlRegionConfig>,
    /// What a run whose target is known leaves; of a run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonclosure: Option<NonclosureConfig>,
    /// What synthetic data sets say of its error, in place of its retraining and normalisation; of
    /// a run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixing: Option<SampleMixingConfig>,
}

fn one() -> String {
    "1".to_owned()
}

/// `[channels.NAME]` of a limit
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitChannelConfig {
    /// Region whose events are counted.
    pub region: String,
    /// Which of them; an expression over columns. All if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<String>,
    /// Parts of the channel with a histogram each: a list of names and selections, or edges
    /// by expression, of which every cell is a part `NAME_0_1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Categories>,
    /// Expression that is histogrammed.
    pub observable: String,
    /// Bin edges. Values beyond them count in the end bins.
    pub bins: Vec<f64>,
    /// Parameters for the finite number of events, one a bin.
    #[serde(default = "yes")]
    pub statistical: bool,
    /// How the observable is called in plots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

fn yes() -> bool {
    true
}

/// Parts of a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a list of tables with a `name` and a `selection`, or a table of edges by \
                 expression"
)]
pub enum Categories {
    /// By name.
    Named(Vec<PartConfig>),
    /// The cells of edges of expressions, each from its lower to below its upper edge.
    Edges(IndexMap<String, Vec<f64>>),
}

/// One part of a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartConfig {
    /// Its name, behind that of the channel.
    pub name: String,
    /// Which events of the channel; an expression over columns.
    pub selection: String,
}

/// `[measurement]` of a limit
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitLikelihoodConfig {
    /// Parameters that are measured; the others are profiled.
    pub interest: Vec<String>,
    /// Parameters and systematic uncertainties that no fit moves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<String>,
    /// Correlations of auxiliary measurements, by pairs; the others are independent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub correlations: Vec<CorrelationConfig>,
    /// The CLs upper limit, by asymptotic formulae.
    #[serde(default)]
    pub limit: LimitConfig,
    /// The upper limit by pseudo-experiments, beside that by asymptotic formulae.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toys: Option<LimitToysConfig>,
    /// Profiles of parameters of interest, and limits at values of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scans: Vec<ScanConfig>,
    /// Rows of the table of impacts beside those of `group`: names of parameters, `*` for any
    /// characters.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub groups: IndexMap<String, Vec<String>>,
}

/// `[measurement.toys]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitToysConfig {
    /// Pseudo-experiments with the signal, and as many without, at each value, at most.
    pub number: u64,
    /// No more are thrown at a value once the error of the CLs of the data is below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// Values of the limited parameter, rising; eight about the asymptotic limits if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<f64>,
}

/// `[[measurement.scans]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanConfig {
    /// A parameter of interest, or one that is fixed, with `limit = true`.
    pub parameter: String,
    /// Its values. If absent, as far as t is of interest, and with `limit` its bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// Points.
    #[serde(default = "count::<41>")]
    pub points: usize,
    /// The upper limit at each value, in place of the profile.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limit: bool,
    /// The theory's cross-section along the parameter, with `limit` alone: limits are said on it,
    /// too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_section: Option<CrossSectionConfig>,
}

/// A part of a channel, of which there is one histogram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChannelPart {
    pub name: String,
    /// Which events of the channel; all if absent.
    pub selection: Option<String>,
}

impl LimitChannelConfig {
    /// Its parts; itself if it has none.
    pub(crate) fn parts(&self, name: &str) -> Vec<ChannelPart> {
        match &self.categories {
            None => vec![ChannelPart {
                name: name.to_owned(),
                selection: None,
            }],
            Some(Categories::Named(list)) => {
                let part = |category: &PartConfig| ChannelPart {
                    name: format!("{name}_{}", category.name),
                    selection: Some(category.selection.clone()),
                };
                list.iter().map(part).collect()
            }
            Some(Categories::Edges(axes)) => cells(name, axes),
        }
    }
}

/// The cells of edges of expressions, the last one fastest.
fn cells(name: &str, axes: &IndexMap<String, Vec<f64>>) -> Vec<ChannelPart> {
    let mut cells = vec![(name.to_owned(), Vec::new())];
    for (expression, edges) in axes {
        let below = |(name, texts): &(String, Vec<String>)| {
            let cut = |(place, edge): (usize, &[f64])| {
                let text = format!(
                    "({expression}) >= {:?} && ({expression}) < {:?}",
                    edge[0], edge[1]
                );
                let mut texts = texts.clone();
                texts.push(text);
                (format!("{name}_{place}"), texts)
            };
            edges.windows(2).enumerate().map(cut).collect::<Vec<_>>()
        };
        cells = cells.iter().flat_map(below).collect();
    }
    let part = |(name, texts): (String, Vec<String>)| ChannelPart {
        name,
        selection: Some(texts.join(" && ")),
    };
    cells.into_iter().map(part).collect()
}

impl Limit {
    /// Whether a sample depends on what is measured.
    pub(crate) fn is_signal(&self, name: &str) -> bool {
        let Some(sample) = self.samples.get(name) else {
            return false;
        };
        let names = words(&sample.coefficient);
        let mut interest = self.measurement.interest.iter();
        interest.any(|name| names.contains(name))
    }

    /// Whether the finite number of a sample's events is an error of the bins.
    pub(crate) fn is_statistical(&self, name: &str) -> bool {
        let own = self.samples.get(name).and_then(|s| s.statistical);
        own.unwrap_or_else(|| !self.is_signal(name))
    }

    /// The same as a measurement without networks: every part of a channel is one in a region
    /// of its own, and runs have no files.
    ///
    /// # Errors
    /// Never of a configuration that was checked.
    pub(crate) fn measurement(&self) -> Result<Measurement> {
        let mut regions = self.regions.clone();
        let mut channels = IndexMap::new();
        let mut labels = IndexMap::new();
        for (name, channel) in &self.channels {
            let Some(region) = self.regions.get(&channel.region) else {
                continue;
            };
            if let Some(label) = &channel.label {
                labels.insert(channel.observable.clone(), label.clone());
            }
            let own = [Some(&region.selection), channel.selection.as_ref()];
            let mut add = |name: &str, part: Option<&String>| {
                let texts = own.into_iter().chain([part]).flatten();
                let texts: Vec<String> = texts.map(|text| format!("({text})")).collect();
                let place = format!("{CHANNEL_REGION}{name}");
                let made = RegionConfig {
                    selection: texts.join(" && "),
                    blind: region.blind,
                    label: None,
                };
                regions.insert(place.clone(), made);
                place
            };
            if channel.categories.is_some() {
                // what lies in none of its parts is counted
                add(name, None);
            }
            for part in channel.parts(name) {
                let region = add(&part.name, part.selection.as_ref());
                let channel = ChannelConfig {
                    region,
                    observable: channel.observable.clone(),
                    bins: channel.bins.clone(),
                    statistical: channel.statistical,
                };
                channels.insert(part.name, channel);
            }
        }
        let process = |(name, s): (&String, &LimitSampleConfig)| {
            let process = ProcessConfig {
                path: s.path.clone().unwrap_or(OneOrMany::Many(Vec::new())),
                run: s.run.clone(),
                point: s.point.clone(),
                selection: s.selection.clone(),
                weight: s.weight.clone(),
                id: s.id.clone(),
                namespace: s.namespace.clone(),
                coefficient: s.coefficient.clone(),
                scale: s.scale.clone(),
                label: s.label.clone(),
                statistical: Some(self.is_statistical(name)),
                retraining: s.retraining.clone(),
                plane: s.plane.clone(),
                normalisation: s.normalisation.clone(),
                control_region: s.control_region.clone(),
                nonclosure: s.nonclosure.clone(),
                mixing: s.mixing.clone(),
            };
            (name.clone(), process)
        };
        let m = &self.measurement;
        let profile = |scan: &&ScanConfig| !scan.limit;
        let profiles = || m.scans.iter().filter(profile);
        let ranges = profiles().filter_map(|s| Some((s.parameter.clone(), s.range?)));
        let points = profiles().map(|s| s.points).max();
        Ok(Measurement {
            experiment: self.experiment.clone(),
            device: DeviceConfig::default(),
            executor: ExecutorConfig::default(),
            generate: None,
            data: self.data.clone(),
            training: untrained(channels.first().map(|(_, c): (&String, _)| &c.region))?,
            regions,
            parameters: self.parameters.clone(),
            samples: self.samples.iter().map(process).collect(),
            systematics: self.systematics.clone(),
            channels,
            observed: self.observed.clone(),
            features: FeaturesConfig {
                labels,
                ..FeaturesConfig::default()
            },
            model: ModelConfig::default(),
            ensemble: EnsembleConfig::default(),
            measurement: LikelihoodConfig {
                interest: m.interest.clone(),
                reference: Vec::new(),
                aggregate: Aggregate::default(),
                calibration: CalibrationMethod::default(),
                not_positive: NotPositiveConfig::default(),
                renormalise: false,
                finite_sample_members: 0,
                finite_sample_points: 1,
                fixed: m.fixed.clone(),
                stream_above: usize::MAX,
                correlations: m.correlations.clone(),
                scan_points: points.unwrap_or(41),
                scan_range: ranges.collect(),
                histogram: None,
                limit: Some(m.limit.clone()),
                contours: Vec::new(),
            },
            toys: None,
            report: self.report.clone(),
        })
    }
}

/// The table of a training that never happens, in a region that is there.
fn untrained(region: Option<&String>) -> Result<TrainingConfig> {
    let region = region.cloned().unwrap_or_default();
    let table: Table = [("region".to_owned(), Value::String(region))]
        .into_iter()
        .collect();
    Value::Table(table).try_into().of(Kind::Internal)
}

#[cfg(test)]
mod tests {
    use super::super::parse_experiment;
    use super::*;

    const TEXT: &str = r#"
        experiment = { name = "t", method = "limit" }
        regions.sr = { selection = "x_hh < 1.6", blind = true }
        parameters.mu = { nominal = 1.0, bounds = [0.0, 20.0] }
        samples.signal = { path = "s.parquet", coefficient = "mu" }
        samples.multijet = { run = "runs/a", point = { year = 2018 } }
        channels.sr = { region = "sr", observable = "m_hh", bins = [0.0, 1.0] }
        measurement.interest = ["mu"]
    "#;

    fn limit(settings: &[&str]) -> Limit {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        let experiment = parse_experiment(TEXT, &settings).unwrap();
        experiment.limit.unwrap()
    }

    #[test]
    fn cells_of_edges_are_parts_of_a_channel() {
        let edges = "channels.sr.categories={ 'abs(d)' = [0, 0.5, 1], x = [0, 1.6] }";
        let parts = limit(&[edges]).channels["sr"].parts("sr");
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["sr_0_0", "sr_1_0"]);
        let expected = "(abs(d)) >= 0.5 && (abs(d)) < 1.0 && (x) >= 0.0 && (x) < 1.6";
        assert_eq!(parts[1].selection.as_deref(), Some(expected));
        let list = "channels.sr.categories=[{ name = 'low', selection = 'd < 1' }]";
        let parts = limit(&[list]).channels["sr"].parts("sr");
        assert_eq!(parts[0].name, "sr_low");
    }

    #[test]
    fn a_channel_is_a_region_of_its_own_and_as_blind_as_its_region() {
        let settings = [
            "channels.sr.selection=d < 1",
            "channels.sr.categories=[{ name = 'low', selection = 'x < 2' }]",
        ];
        let measurement = limit(&settings).measurement().unwrap();
        assert_eq!(measurement.channels["sr_low"].region, "channels.sr_low");
        let region = &measurement.regions["channels.sr_low"];
        assert_eq!(region.selection, "(x_hh < 1.6) && (d < 1) && (x < 2)");
        assert!(region.blind && measurement.regions.contains_key("channels.sr"));
        // simulated files and none of a run
        let paths = measurement.samples.values().map(|p| p.path.to_list().len());
        assert_eq!(paths.collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn signals_are_what_depends_on_the_parameter_of_interest() {
        let plain = limit(&[]);
        assert!(plain.is_signal("signal") && !plain.is_signal("multijet"));
        assert!(!plain.is_statistical("signal") && plain.is_statistical("multijet"));
        assert!(limit(&["samples.signal.statistical=true"]).is_statistical("signal"));
        let plain = plain.measurement().unwrap();
        assert_eq!(plain.samples["multijet"].point()["year"], "2018");
        let are = ["signal", "multijet"].map(|name| plain.is_statistical(name));
        assert_eq!(are, [false, true]);
    }
}
