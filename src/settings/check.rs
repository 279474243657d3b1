//! Values of a configuration that no run could use and that depend on each other, found
//! before any file is opened.

use super::ranges::missing;
use super::ranges::{Checked, check_ranges, ensure, ensure_known, ensure_name};
use super::raw::{Bins, Config, JetsConfig, Method, Quantity, RankBy};
use super::training::{Schedule, Split};
use crate::error::{Context, Kind};
use sideband_networks::OptimizerConfig;
use sideband_numerics::Edges;
use std::collections::HashSet;

/// Largest number of threads: more are a slip of the pen.
pub(crate) const THREADS: usize = 1024;

/// All members leave the same events out, for this reason.
pub(super) fn ensure_shared(split: Split, reason: &str) -> Checked {
    let allowed = format!("\"shared\"{reason}");
    ensure(split == Split::Shared, "training.split", split, allowed)
}

/// Jets of which nothing is made change nothing.
pub(super) fn check_jets(jets: Option<&JetsConfig>) -> Checked {
    match jets.is_some_and(|jets| jets.candidates.is_none()) {
        true => Err(missing("data.jets", "candidates")),
        false => Ok(()),
    }
}

impl Config {
    /// Checks all values that can be checked without data.
    ///
    /// # Errors
    /// The first value that is not allowed.
    pub fn check(&self) -> Checked {
        check_ranges(self)?;
        self.check_method()?;
        self.check_data()?;
        self.check_training()?;
        self.check_executor()?;
        self.check_report()
    }

    /// What one method needs and the other does not.
    fn check_method(&self) -> Checked {
        if self.experiment.method == Method::Interpolate {
            let Some(interpolation) = &self.interpolation else {
                return Err(missing("top level", "interpolation"));
            };
            let in_memory =
                "nothing with `method = \"interpolate\"`, whose events are held in memory";
            ensure(
                self.data.stream.is_none(),
                "data.stream",
                "a table",
                in_memory,
            )?;
            let reason = " with `method = \"interpolate\"`: samples belong to no fold";
            ensure_shared(self.training.split, reason)?;
            return interpolation.check(self);
        }
        if self.data.source.is_none() {
            return Err(missing("data", "source"));
        }
        let one_hot = self.features.one_hot.values().map(Vec::len);
        let count = self.features.inputs.len() + one_hot.sum::<usize>();
        let fine = (1..=10_000).contains(&count);
        ensure(fine, "features.inputs", count, "1 to 10000 inputs")
    }

    fn check_executor(&self) -> Checked {
        let device = &self.device;
        let names: Vec<&str> = device.names().collect();
        ensure(
            names.len() <= 64 && names.iter().all(|n| !n.is_empty()),
            "device.name",
            &device.name,
            "1 to 64 devices with commas between them",
        )?;
        ensure(
            device.kinds().len() == 1,
            "device.name",
            &device.name,
            "devices of one kind: members of different kinds are not equal to the bit",
        )?;
        let allowed = format!("0 to {THREADS}; 0 = as many as the machine has");
        let threads = device.threads;
        ensure(threads <= THREADS, "device.threads", threads, allowed)?;
        let batch = [self.executor.slurm.check(), self.executor.htcondor.check()];
        batch
            .into_iter()
            .collect::<Checked>()
            .key(Kind::Config, "executor")
    }

    fn check_data(&self) -> Checked {
        for (role, sample) in self.data.samples() {
            let own = |name: &&String| {
                let region = name.strip_prefix("in_");
                ["weight", "nominal", "spread", "median"].contains(&name.as_str())
                    || name.starts_with("member_")
                    || region.is_some_and(|region| self.regions.contains_key(region))
            };
            if let Some(name) = sample.id.iter().find(own) {
                ensure(
                    false,
                    &format!("data.{role}.id"),
                    name,
                    "columns that are not called like one of the prediction's own: weight, \
                     nominal, spread, median, member_..., in_REGION",
                )?;
            }
        }
        if let Some(stream) = &self.data.stream {
            for (key, value, least) in [
                ("window", stream.window, self.training.batch / 2),
                ("sample", stream.sample, 1000),
                ("read_ahead", stream.read_ahead, 1 << 13),
            ] {
                let fine = (least..=1 << 30).contains(&value);
                let allowed = format!("{least} to {}", 1 << 30);
                ensure(fine, &format!("data.stream.{key}"), value, allowed)?;
            }
            let reason = " with [data.stream]: all members read the same events";
            ensure_shared(self.training.split, reason)?;
        }
        check_jets(self.data.jets.as_ref())?;
        for key in self.data.define.keys() {
            let fine = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !key.starts_with(|c: char| c.is_ascii_digit())
                && !key.is_empty();
            let allowed = "names of letters, digits and `_`, not starting with a digit";
            ensure(fine, "data.define", key, allowed)?;
        }
        for key in self.regions.keys() {
            ensure_name("regions", key)?;
        }
        let region = &self.training.region;
        let known = self.regions.keys();
        ensure_known("training.region", region, "a name under [regions]", known)?;
        ensure(
            !self.regions[region].blind,
            &format!("regions.{region}.blind"),
            true,
            "false in the region that is trained on, which needs the target's events",
        )?;
        let mut seen = HashSet::new();
        let again = self
            .features
            .inputs
            .iter()
            .find(|input| !seen.insert(*input));
        match again {
            Some(input) => ensure(false, "features.inputs", input, "each input once"),
            None => Ok(()),
        }
    }

    fn check_training(&self) -> Checked {
        let t = &self.training;
        ensure(
            t.batch >= 4 && t.batch <= 1 << 20 && t.batch.is_multiple_of(2),
            "training.batch",
            t.batch,
            "an even number from 4 to 1048576 (half of each class)",
        )?;
        let key = "training.held_out";
        let is_part = (0.0..0.9).contains(&t.held_out);
        match t.split {
            Split::Shared | Split::Member => {
                ensure(is_part, key, t.held_out, "0, or a fraction below 0.9")?;
            }
            Split::Folds => ensure(
                t.folds >= 2 && t.folds <= self.ensemble.members && t.folds <= 1000,
                "training.folds",
                t.folds,
                "2 to 1000, and not more than ensemble.members",
            )?,
        }
        let unit = 0.0..=1.0;
        let path = "training.schedule";
        match t.schedule {
            Schedule::Constant | Schedule::Exponential { .. } => {}
            Schedule::Cosine { epochs, floor } => ensure(
                epochs >= 1 && unit.contains(&floor),
                path,
                (epochs, floor),
                "epochs of at least 1 and floor in [0, 1]",
            )?,
            Schedule::Plateau {
                factor,
                patience,
                floor,
            } => ensure(
                factor > 0.0 && factor < 1.0 && patience >= 1 && unit.contains(&floor),
                path,
                (factor, patience, floor),
                "factor in (0, 1), patience of at least 1 and floor in [0, 1]",
            )?,
        }
        let (OptimizerConfig::Adam { beta1, beta2, .. }
        | OptimizerConfig::Nadam { beta1, beta2, .. }
        | OptimizerConfig::Adamw { beta1, beta2, .. }) = t.optimizer;
        let fine = [beta1, beta2].iter().all(|beta| (0.0..1.0).contains(beta));
        let allowed = "beta1 and beta2 in [0, 1)";
        ensure(fine, "training.optimizer", (beta1, beta2), allowed)
    }

    fn check_report(&self) -> Checked {
        if let Some(RankBy::Auc { region } | RankBy::Chi2 { region, .. }) = &self.report.rank_by {
            let (key, known) = ("report.rank_by.region", self.regions.keys());
            ensure_known(key, region, "a name under [regions]", known)?;
        }
        if let Some(RankBy::Chi2 {
            variable: Some(name),
            ..
        }) = &self.report.rank_by
        {
            let variables = self.report.variables.iter().map(|variable| &variable.name);
            let known = self.features.inputs.iter().chain(variables);
            let what = "an input or a name under [[report.variables]]";
            ensure_known("report.rank_by.variable", name, what, known)?;
        }
        let quantities = [
            ("report.luminosity", &self.report.luminosity),
            ("report.com", &self.report.com),
        ];
        for (key, quantity) in quantities {
            if let Some(Quantity::Number(number)) = quantity {
                let fine = number.is_finite() && *number > 0.0;
                ensure(fine, key, number, "a number above 0, or a text")?;
            }
        }
        let mut seen = HashSet::new();
        for (i, plane) in self.report.planes.iter().enumerate() {
            let path = format!("report.planes[{i}]");
            let (is_new, key) = (seen.insert(&plane.name), format!("{path}.name"));
            ensure(is_new, &key, &plane.name, "a name of its own")?;
            for (key, [low, high]) in [("x_range", plane.x_range), ("y_range", plane.y_range)] {
                let bins = Edges::uniform(plane.bins, low, high);
                let words = "a range in which every bin has two finite ends that differ";
                ensure(bins.is_ok(), &format!("{path}.{key}"), [low, high], words)?;
            }
        }
        let mut seen = HashSet::new();
        for (i, variable) in self.report.variables.iter().enumerate() {
            let path = format!("report.variables[{i}]");
            let is_new = seen.insert(&variable.name);
            ensure(
                is_new && !self.features.inputs.contains(&variable.name),
                &format!("{path}.name"),
                &variable.name,
                "a name of its own; inputs are plotted anyway",
            )?;
            let path = format!("{path}.bins");
            match &variable.bins {
                Bins::Number(n) => {
                    ensure((1..=1000).contains(n), &path, n, "1 to 1000 bins")?;
                }
                Bins::Edges(edges) => {
                    let count = edges.len();
                    ensure(count <= 1001, &path, count, "at most 1001 edges")?;
                    Edges::new(edges.clone()).key(Kind::Config, path)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::{SMALL, parse};

    #[test]
    fn values_out_of_range_are_refused_with_their_path() {
        for (settings, key) in [
            ("=../x|=\"\"", "experiment.name"),
            ("=0", "ensemble.members"),
            ("=0.0", "ensemble.minimum"),
            ("=7", "training.batch"),
            ("=0", "training.epochs"),
            ("=0.0", "training.validation"),
            ("=1.5", "training.held_out"),
            ("=sr", "training.region"),
            ("=0.0|=nan", "training.learning_rate"),
            ("=-1.0", "training.l2"),
            ("=0.0", "training.gradient_clip"),
            ("={kind='exponential', decay=2.0}", "training.schedule"),
            ("={kind='adam', beta1=1.0}", "training.optimizer"),
            ("=[0]", "model.hidden"),
            ("=1.0", "model.dropout"),
            ("=true", "regions.cr.blind"),
            ("=[]|=['x','x']", "features.inputs"),
            ("=0", "report.bins"),
            ("=0|=-1.5|=inf", "report.luminosity"),
            ("={'a b'='1'}", "data.define"),
            ("={}|={pt='pts'}", "data.jets"),
            ("={candidates='min_dr', max=3}", "data.jets.max"),
        ] {
            for value in settings.split('|') {
                let error = parse(SMALL, &[&format!("{key}{value}")]).unwrap_err();
                let text = error.to_string();
                assert!(text.starts_with(&format!("`{key}`: ")), "{value}: {text}");
            }
        }
        for (ranges, key) in [
            ("x_range=[-1e308, 1e308], y_range=[0, 1]", "[0].x_range"),
            (
                "x_range=[0, 1], y_range=[1, 1.0000000000000002]",
                "[0].y_range",
            ),
            ("x_range=[0, 1], y_range=[0, 1]", "[1].name"),
        ] {
            let plane = format!("{{name='p', x='a', y='b', {ranges}}}");
            let setting = format!("report.planes=[{plane}, {plane}]");
            let text = parse(SMALL, &[&setting]).unwrap_err().to_string();
            assert!(
                text.starts_with(&format!("`report.planes{key}`: ")),
                "{text}"
            );
        }
        let edges = "report.variables=[{name='m', bins=[1.0, 0.0]}]";
        let text = parse(SMALL, &[edges]).unwrap_err().to_string();
        assert!(text.contains("report.variables[0].bins"), "{text}");
        for fine in ["training.split=\"folds\"\n", "training.folds=1"] {
            parse(SMALL, &[fine]).unwrap();
        }
    }
}
