//! What depends on which settings, and so what may change in a run without harm: the one
//! place that says it.

use super::interpolation::PredictedPart;
use super::limit::Limit;
use super::measurement::{LikelihoodConfig, Measurement, SystematicConfig};
use super::raw::{
    Config, DeviceConfig, EnsembleConfig, ExecutorConfig, Method, OneOrMany, ReportConfig,
};
use super::words::words;
use indexmap::IndexMap;
use serde::Serialize;
use sideband_processes::PlaneSettings;
use toml::{Table, Value};

/// What depends on a configuration, each on a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdentityOf {
    /// The numbers of a member. Without where files lie, which are compared by their contents,
    /// threads, blocks, description and report; regions that
    /// are only looked at, definitions that nothing here uses, how many members there are and
    /// how they are combined. A line a key.
    Member,
    /// The stack and the matrix of inputs that ensembles share: files, inputs, network,
    /// optimizer and batch. Not the selections, weights and regions, and not the number of
    /// epochs or the learning rate.
    Family,
    /// The result of an ensemble: without where and how it is computed, and what its figures
    /// look like.
    Result,
    /// The numbers of a result: [`IdentityOf::Result`] without what its page and figures take
    /// from the configuration when they are drawn. Kept in the manifest, a line a key.
    Numbers,
    /// How the page and the figures of a result look. Kept in `plots/report.toml`.
    Report,
}

impl Config {
    /// The part of the configuration that something depends on, as a text: equal texts are
    /// equal numbers.
    #[must_use]
    pub(crate) fn identity(&self, of: IdentityOf) -> String {
        let mut config = self.clone();
        match of {
            IdentityOf::Member => {
                config.keep_what_members_depend_on();
                flat("", &Table::try_from(config).unwrap_or_default())
            }
            IdentityOf::Family => config.family(),
            IdentityOf::Result => {
                config.keep_what_results_depend_on();
                toml_text(&config)
            }
            IdentityOf::Numbers => {
                config.keep_what_results_depend_on();
                config.forget_words();
                flat("", &Table::try_from(config).unwrap_or_default())
            }
            IdentityOf::Report => {
                let regions: Vec<_> = config.regions.values().map(|r| &r.label).collect();
                let labels = (
                    config.data.source_label(),
                    config.data.target_label(),
                    &config.features.labels,
                    regions,
                    &config.experiment.description,
                );
                let prediction = config.interpolation.as_ref();
                let prediction =
                    prediction.map_or_else(String::new, |i| format!("\n{}", toml_text(i)));
                let report = ReportConfig {
                    rank_by: None,
                    ..config.report.clone()
                };
                format!("{}{prediction}\n# {labels:?}\n", toml_text(&report))
            }
        }
    }

    /// [`IdentityOf::Numbers`], line by line.
    #[must_use]
    pub(crate) fn numbers(&self) -> Vec<String> {
        lines(&self.identity(IdentityOf::Numbers))
    }

    fn keep_what_results_depend_on(&mut self) {
        self.forget_where_files_lie();
        self.report.rank_by = None;
        self.device = DeviceConfig::default();
        self.executor = ExecutorConfig::default();
        self.report.forget_looks();
    }

    /// Forgets titles, labels and whether axes are logarithmic, but for those of an
    /// interpolation, which its figures' numbers have.
    fn forget_words(&mut self) {
        self.experiment.description.clear();
        self.report.forget_words();
        self.data
            .samples_mut()
            .for_each(|sample| sample.label = None);
        self.features.labels.clear();
        self.regions
            .values_mut()
            .for_each(|region| region.label = None);
        let mixing = self.mixing.iter_mut();
        mixing
            .flat_map(|mixing| mixing.uncertainties.values_mut())
            .for_each(|of| of.label = None);
    }

    fn keep_what_members_depend_on(&mut self) {
        // which of several equal devices computes does not count, the kind does
        self.device = DeviceConfig {
            name: self.device.kinds().join(","),
            kernels: self.device.kernels,
            ..DeviceConfig::default()
        };
        self.executor = ExecutorConfig::default();
        self.forget_words();
        self.report = ReportConfig::default();
        self.ensemble = EnsembleConfig {
            bootstrap: self.ensemble.bootstrap,
            ..EnsembleConfig::default()
        };
        self.data.max_loss = 0.0;
        self.forget_where_files_lie();
        self.forget_what_comes_after_training();
        let training = &self.training.region;
        self.regions.retain(|name, _| name == training);
        self.forget_unused_definitions();
    }

    /// The files themselves are compared by their contents.
    fn forget_where_files_lie(&mut self) {
        let samples = self.data.samples_mut();
        samples.for_each(|sample| sample.path = OneOrMany::Many(Vec::new()));
        let mixing = self.mixing.iter_mut();
        let signals = mixing.flat_map(|mixing| mixing.uncertainties.values_mut());
        let signals = signals.filter_map(|of| of.signal.as_mut());
        signals.for_each(|signal| signal.path.clear());
    }

    fn family(mut self) -> String {
        for sample in self.data.samples_mut() {
            sample.selection = None;
            sample.weight = None;
            sample.scale = None;
            sample.label = None;
        }
        self.forget_what_comes_after_training();
        let (e, t) = (&self.experiment, &self.training);
        let own = (
            e.seed,
            e.method,
            t.batch,
            &t.optimizer,
            t.gradient_clip,
            t.l2,
        );
        let text = match &mut self.interpolation {
            // its network is the flow, and it reads the target alone
            Some(interpolation) if e.method == Method::Interpolate => {
                interpolation.plane.holes.clear();
                self.data.source = None;
                serde_json::to_string(&(own, &self.data, interpolation))
            }
            _ => serde_json::to_string(&(own, &self.data, &self.features, &self.model)),
        };
        text.unwrap_or_default()
    }

    /// Resets what no flow depends on.
    fn forget_what_comes_after_training(&mut self) {
        let Some(interpolation) = &mut self.interpolation else {
            return;
        };
        interpolation.samples = 0;
        interpolation.posterior_draws = 0;
        interpolation.predict = PredictedPart::default();
        interpolation.regions.clear();
        interpolation.derived.clear();
        interpolation.candidates = None;
        interpolation.plane.bins = 0;
        interpolation.plane.fit = PlaneSettings::default();
        interpolation.plane.labels = None;
        let variables = interpolation.variables.iter_mut();
        variables.for_each(|variable| variable.label = None);
    }

    /// Leaves the definitions whose names occur in the rest of the configuration, or
    /// in other definitions that stay.
    fn forget_unused_definitions(&mut self) {
        let mut open = std::mem::take(&mut self.data.define);
        let mut known = words(&toml_text(self));
        loop {
            let is_used = |name: &str| {
                // a name of other characters than words have may be anywhere
                known.contains(name) || words(name).len() != 1
            };
            let used = open.keys().find(|name| is_used(name)).cloned();
            let Some((name, text)) = used.and_then(|name| open.shift_remove_entry(&name)) else {
                return;
            };
            known.extend(words(&text));
            self.data.define.insert(name, text);
        }
    }
}

impl Measurement {
    /// The same wherever files and runs lie, which are compared by their contents.
    #[must_use]
    pub(crate) fn without_paths(&self) -> Self {
        let mut other = self.clone();
        let none = || OneOrMany::Many(Vec::new());
        for process in other.samples.values_mut() {
            process.path = none();
            forget_runs([
                Some(&mut process.run),
                process.control_region.as_mut().map(|c| &mut c.run),
                process.nonclosure.as_mut().map(|n| &mut n.run),
                process.mixing.as_mut().map(|m| &mut m.run),
            ]);
        }
        forget_paths(&mut other.systematics);
        if let Some(observed) = &mut other.observed {
            observed.path = none();
        }
        other
    }

    /// What the result depends on, a line a key: all but where and how it is computed, and the
    /// words that its page takes from the configuration when it is drawn.
    #[must_use]
    pub(crate) fn numbers(&self) -> Vec<String> {
        let mut other = self.without_paths();
        other.device = DeviceConfig::default();
        other.executor = ExecutorConfig::default();
        other.forget_words();
        other.report.forget_looks();
        lines(&flat("", &Table::try_from(other).unwrap_or_default()))
    }

    /// Forgets titles and labels, but for those of runs: the labels of their parameters are made
    /// of them.
    fn forget_words(&mut self) {
        self.experiment.description.clear();
        self.report.forget_words();
        self.features.labels.clear();
        let regions = self.regions.values_mut().map(|r| &mut r.label);
        let parameters = self.parameters.values_mut().map(|p| &mut p.label);
        let simulated = self.samples.values_mut().filter(|p| !p.is_run());
        let processes = simulated.map(|p| &mut p.label);
        let systematics = self.systematics.values_mut().map(|s| &mut s.label);
        let labels = regions.chain(parameters).chain(processes);
        labels.chain(systematics).for_each(|label| *label = None);
    }

    /// What the likelihood and its toys depend on, as a text: all but the questions that are
    /// asked of it, and words.
    #[must_use]
    pub(crate) fn likelihood_identity(&self) -> String {
        let mut own = self.clone();
        own.forget_words();
        let likelihood = LikelihoodConfig {
            limit: None,
            contours: Vec::new(),
            ..own.measurement
        };
        let toys = own.toys.as_ref().map(|t| (t.events, &t.nuisance, t.exact));
        let parts = [
            serde_json::to_string(&(
                &own.parameters,
                &own.samples,
                &own.systematics,
                &own.channels,
            )),
            serde_json::to_string(&(
                &own.regions,
                &own.features,
                &likelihood,
                &own.training,
                toys,
            )),
            serde_json::to_string(&(
                &own.ensemble,
                &own.model,
                &own.observed,
                &own.generate,
                &own.data,
            )),
        ];
        parts.into_iter().flatten().collect()
    }
}

impl Limit {
    /// As [`Measurement::numbers`]: runs are compared by their contents too. Labels of samples
    /// that are runs stay: those of their parameters are made of them.
    #[must_use]
    pub(crate) fn numbers(&self) -> Vec<String> {
        let mut other = self.clone();
        let none = || OneOrMany::Many(Vec::new());
        for sample in other.samples.values_mut() {
            sample.path = sample.path.as_ref().map(|_| none());
            forget_runs([
                Some(&mut sample.run),
                sample.control_region.as_mut().map(|c| &mut c.run),
                sample.nonclosure.as_mut().map(|n| &mut n.run),
                sample.mixing.as_mut().map(|m| &mut m.run),
            ]);
        }
        forget_paths(&mut other.systematics);
        if let Some(observed) = &mut other.observed {
            observed.path = none();
        }
        other.experiment.description.clear();
        other.report.forget_words();
        other.report.forget_looks();
        let simulated = other.samples.values_mut().filter(|s| s.run.is_none());
        let simulated = simulated.map(|s| &mut s.label);
        let regions = other.regions.values_mut().map(|r| &mut r.label);
        let parameters = other.parameters.values_mut().map(|p| &mut p.label);
        let systematics = other.systematics.values_mut().map(|s| &mut s.label);
        let channels = other.channels.values_mut().map(|c| &mut c.label);
        let labels = simulated.chain(regions).chain(parameters);
        let labels = labels.chain(systematics).chain(channels);
        labels.for_each(|label| *label = None);
        lines(&flat("", &Table::try_from(other).unwrap_or_default()))
    }
}

/// Forgets where runs lie.
fn forget_runs(runs: [Option<&mut Option<String>>; 4]) {
    for run in runs.into_iter().flatten() {
        *run = run.as_ref().map(|_| String::new());
    }
}

/// Forgets where the files of varied samples lie.
fn forget_paths(systematics: &mut IndexMap<String, SystematicConfig>) {
    let varied = systematics
        .values_mut()
        .flat_map(|s| s.samples.values_mut());
    for side in varied.flat_map(|varied| [&mut varied.up, &mut varied.down]) {
        side.path = side.path.as_ref().map(|_| OneOrMany::Many(Vec::new()));
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(ToOwned::to_owned).collect()
}

fn toml_text(settings: &impl Serialize) -> String {
    toml::to_string(settings).unwrap_or_default()
}

/// A table with a line for each key.
fn flat(prefix: &str, table: &Table) -> String {
    let line = |(key, value): (&String, &Value)| match value {
        Value::Table(inner) => flat(&format!("{prefix}{key}."), inner),
        other => format!("{prefix}{key} = {other}"),
    };
    let lines = table.iter().map(line).filter(|text| !text.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse::tests::parse;

    const TEXT: &str = r#"
        experiment = { name = "t", method = "reweight" }
        data.source.path = "a"
        data.target.path = "b"
        data.define = { spare = "x*2", used = "y+w" }
        regions.cr = { selection = "x > 1" }
        features = { inputs = ["x"] }
        training = { region = "cr" }
    "#;

    #[test]
    fn what_nothing_depends_on_may_change() {
        use IdentityOf::{Family, Member, Numbers, Report, Result};
        let identity = |of, settings: &[&str]| parse(TEXT, settings).unwrap().identity(of);
        for (setting, changed) in [
            (
                "regions.vr.selection=\"x > 2\"",
                &[Result, Numbers, Report][..],
            ),
            ("ensemble.combine=\"median\"", &[Result, Numbers]),
            ("ensemble.minimum=0.5", &[Result, Numbers]),
            ("ensemble.members=7", &[Result, Numbers]),
            ("data.define.another=\"z\"", &[Family, Result, Numbers]),
            ("data.define.spare=\"x*3\"", &[Family, Result, Numbers]),
            ("report.bins=3", &[Result, Numbers, Report]),
            ("report.p_value=0.2", &[Result, Numbers, Report]),
            ("report.data_label=\"d\"", &[Result, Report]),
            ("experiment.description=\"d\"", &[Result, Report]),
            ("features.labels={x='X'}", &[Family, Result, Report]),
            ("regions.cr.label=\"C\"", &[Result, Report]),
            ("data.source.label=\"s\"", &[Result, Report]),
            ("report.rank_by={kind='auc', region='cr'}", &[]),
            ("report.experiment=\"CMS\"", &[Report]),
            ("report.status=\"Private Work\"", &[Report]),
            ("report.luminosity=138", &[Report]),
            ("report.com=\"pp, 13 TeV\"", &[Report]),
            ("report.density=true", &[Report]),
            ("report.style=\"filled\"", &[Report]),
            ("executor.block=3", &[]),
            ("device.threads=3", &[]),
            ("regions.cr.selection=\"x > 2\"", &[Member, Result, Numbers]),
            ("ensemble.bootstrap=false", &[Member, Result, Numbers]),
            (
                "features.inputs=[\"x\", \"used\"]",
                &[Member, Family, Result, Numbers],
            ),
            // x is an input
            ("data.define.x=\"z\"", &[Member, Family, Result, Numbers]),
            ("training.epochs=3", &[Member, Result, Numbers]),
            ("training.batch=32", &[Member, Family, Result, Numbers]),
            ("data.source.path=\"c\"", &[Family]),
        ] {
            for of in [Member, Family, Result, Numbers, Report] {
                let is_changed = identity(of, &[setting]) != identity(of, &[]);
                assert_eq!(is_changed, changed.contains(&of), "{setting}: {of:?}");
            }
        }
        // used by one that is used
        let chain = |w: &str| {
            let w = format!("data.define.w=\"{w}\"");
            let settings = ["data.define.used=\"w\"", &w, "features.inputs=[\"used\"]"];
            identity(Member, &settings)
        };
        assert_ne!(chain("a"), chain("b"));
    }
}
