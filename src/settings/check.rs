//! Values that no run could use, found before any file is opened.

use super::parse::{missing, not_allowed};
use super::raw::{Bins, Config, Method, PlaneConfig, VariableConfig};
use crate::error::{Context, Kind, Result};
use crate::settings::{Schedule, Split};
use sideband_networks::OptimizerConfig;
use sideband_numerics::Edges;
use std::collections::HashSet;
use std::fmt::{Debug, Display};
use std::ops::RangeInclusive;

pub(super) type Checked = Result<()>;

pub(super) fn ensure(fine: bool, path: &str, found: impl Debug, allowed: &str) -> Checked {
    if fine {
        return Ok(());
    }
    Err(not_allowed(path, format!("{found:?}"), allowed))
}

/// A value between two others, or that many things.
pub(super) fn within<T: PartialOrd + Display + Debug>(
    path: &str,
    value: T,
    range: RangeInclusive<T>,
    things: &str,
) -> Checked {
    let allowed = format!("{} to {}{things}", range.start(), range.end());
    ensure(range.contains(&value), path, value, &allowed)
}

/// Names become files and columns: no path leaves the run directory.
pub(super) fn name(path: &str, name: &str) -> Checked {
    let fine = !name.is_empty()
        && name.len() <= 64
        && !name.starts_with(['.', '-'])
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    ensure(
        fine,
        path,
        name,
        "1 to 64 letters, digits, `-`, `_` and `.`, not starting with `.` or `-`",
    )
}

/// Largest number of threads: more are a slip of the pen.
pub(crate) const THREADS: usize = 1024;

impl Config {
    /// Checks all values that can be checked without data.
    ///
    /// # Errors
    /// The first value that is not allowed.
    pub fn check(&self) -> Checked {
        name("experiment.name", &self.experiment.name)?;
        self.check_method()?;
        self.check_data()?;
        self.check_model()?;
        self.check_training()?;
        self.check_optimizer()?;
        let e = &self.ensemble;
        within("ensemble.members", e.members, 1..=100_000, "")?;
        ensure(
            e.minimum > 0.0 && e.minimum <= 1.0,
            "ensemble.minimum",
            e.minimum,
            "a fraction above 0 and at most 1",
        )?;
        self.check_executor()?;
        self.check_report()
    }

    /// What one method needs and the other does not.
    fn check_method(&self) -> Checked {
        if self.experiment.method == Method::Interpolate {
            let Some(interpolation) = &self.interpolation else {
                return Err(missing("top level", "interpolation"));
            };
            ensure(
                self.data.stream.is_none(),
                "data.stream",
                "a table",
                "nothing with `method = \"interpolate\"`, whose events are held in memory",
            )?;
            ensure(
                self.training.split == Split::Shared,
                "training.split",
                self.training.split,
                "\"shared\" with `method = \"interpolate\"`: samples belong to no fold",
            )?;
            return interpolation.check(self);
        }
        if self.data.source.is_none() {
            return Err(missing("data", "source"));
        }
        let count = self.features.inputs.len()
            + self.features.one_hot.values().map(Vec::len).sum::<usize>();
        within("features.inputs", count, 1..=10_000, " inputs")
    }

    fn check_executor(&self) -> Checked {
        let names: Vec<&str> = self.device.names().collect();
        ensure(
            names.len() <= 64 && names.iter().all(|n| !n.is_empty()),
            "device.name",
            &self.device.name,
            "1 to 64 devices with commas between them",
        )?;
        ensure(
            self.device.kinds().len() == 1,
            "device.name",
            &self.device.name,
            "devices of one kind: members of different kinds are not equal to the bit",
        )?;
        ensure(
            self.device.threads <= THREADS,
            "device.threads",
            self.device.threads,
            &format!("0 to {THREADS}; 0 = as many as the machine has"),
        )?;
        let e = &self.executor;
        for (key, seconds, least) in [
            ("checkpoint_seconds", e.checkpoint_seconds, 0.0),
            ("stale_seconds", e.stale_seconds, 2.0),
            ("poll_seconds", e.poll_seconds, 0.1),
        ] {
            ensure(
                (least..=1e6).contains(&seconds),
                &format!("executor.{key}"),
                seconds,
                &format!("{least} to 1000000"),
            )?;
        }
        within("executor.members", e.members, 0..=100_000, "")?;
        for checked in [e.slurm.check(), e.htcondor.check()] {
            checked.key(Kind::Config, "executor")?;
        }
        within("executor.resubmissions", e.resubmissions, 0..=1000, "")
    }

    fn check_data(&self) -> Checked {
        check_max_loss(self.data.max_loss)?;
        for (role, sample) in self.data.samples() {
            let list = sample.path.to_list();
            let path = format!("data.{role}.path");
            ensure(!list.is_empty(), &path, &list, "at least one path")?;
            let own = |name: &&String| {
                let is_region = name.strip_prefix("in_");
                let is_region = is_region.is_some_and(|region| self.regions.contains_key(region));
                ["weight", "nominal", "spread", "median"].contains(&name.as_str())
                    || name.starts_with("member_")
                    || is_region
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
                ensure(
                    (least..=1 << 30).contains(&value),
                    &format!("data.stream.{key}"),
                    value,
                    &format!("{least} to {}", 1 << 30),
                )?;
            }
            ensure(
                self.training.split == Split::Shared,
                "training.split",
                self.training.split,
                "\"shared\" with [data.stream]: all members read the same events",
            )?;
        }
        for key in self.data.define.keys() {
            let fine = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !key.starts_with(|c: char| c.is_ascii_digit())
                && !key.is_empty();
            ensure(
                fine,
                "data.define",
                key,
                "names of letters, digits and `_`, not starting with a digit",
            )?;
        }
        within("regions", self.regions.len(), 1..=32, " regions")?;
        for key in self.regions.keys() {
            name("regions", key)?;
        }
        let region = &self.training.region;
        let known: Vec<&String> = self.regions.keys().collect();
        ensure(
            self.regions.contains_key(region),
            "training.region",
            region,
            &format!("a name under [regions]: {known:?}"),
        )?;
        ensure(
            !self.regions[region].blind,
            &format!("regions.{region}.blind"),
            true,
            "false in the region that is trained on, which needs the target's events",
        )?;
        let mut seen = HashSet::new();
        for input in &self.features.inputs {
            ensure(
                seen.insert(input),
                "features.inputs",
                input,
                "each input once",
            )?;
        }
        for (column, values) in &self.features.one_hot {
            ensure(
                !values.is_empty() && values.iter().all(|v| v.is_finite()),
                &format!("features.one_hot.{column}"),
                values,
                "a list of finite values",
            )?;
        }
        Ok(())
    }

    fn check_model(&self) -> Checked {
        let m = &self.model;
        ensure(
            m.hidden.len() <= 64 && m.hidden.iter().all(|w| (1..=16_384).contains(w)),
            "model.hidden",
            &m.hidden,
            "at most 64 layers of 1 to 16384 units",
        )?;
        within("model.dropout", m.dropout, 0.0..=0.95, "")
    }

    fn check_training(&self) -> Checked {
        let t = &self.training;
        ensure(
            t.batch >= 4 && t.batch <= 1 << 20 && t.batch.is_multiple_of(2),
            "training.batch",
            t.batch,
            "an even number from 4 to 1048576 (half of each class)",
        )?;
        within("training.epochs", t.epochs, 1..=100_000, "")?;
        ensure(
            t.patience >= 1,
            "training.patience",
            t.patience,
            "at least 1",
        )?;
        within("training.retries", t.retries, 0..=100, "")?;
        ensure(
            t.validation > 0.0 && t.validation < 0.9,
            "training.validation",
            t.validation,
            "a fraction above 0 and below 0.9",
        )?;
        match t.split {
            // an interpolation is tested where it was not trained at all
            Split::Shared if self.experiment.method == Method::Interpolate => ensure(
                (0.0..0.9).contains(&t.held_out),
                "training.held_out",
                t.held_out,
                "0, or a fraction below 0.9",
            )?,
            Split::Shared | Split::Member => ensure(
                t.held_out > 0.0 && t.held_out < 0.9,
                "training.held_out",
                t.held_out,
                "a fraction above 0 and below 0.9",
            )?,
            Split::Folds => ensure(
                t.folds >= 2 && t.folds <= self.ensemble.members && t.folds <= 1000,
                "training.folds",
                t.folds,
                "2 to 1000, and not more than ensemble.members",
            )?,
        }
        ensure(
            t.learning_rate > 0.0 && t.learning_rate <= 10.0,
            "training.learning_rate",
            t.learning_rate,
            "above 0 and at most 10",
        )?;
        ensure(
            t.l2 >= 0.0 && t.l2.is_finite(),
            "training.l2",
            t.l2,
            "0 or a positive number",
        )?;
        if let Some(clip) = t.gradient_clip {
            ensure(
                clip > 0.0 && clip.is_finite(),
                "training.gradient_clip",
                clip,
                "a positive number",
            )?;
        }
        let path = "training.schedule";
        match t.schedule {
            Schedule::Constant => Ok(()),
            Schedule::Exponential { decay } => {
                ensure(decay > 0.0 && decay <= 1.0, path, decay, "decay in (0, 1]")
            }
            Schedule::Cosine { epochs, floor } => ensure(
                epochs >= 1 && (0.0..=1.0).contains(&floor),
                path,
                (epochs, floor),
                "epochs of at least 1 and floor in [0, 1]",
            ),
            Schedule::Plateau {
                factor,
                patience,
                floor,
            } => ensure(
                factor > 0.0 && factor < 1.0 && patience >= 1 && (0.0..=1.0).contains(&floor),
                path,
                (factor, patience, floor),
                "factor in (0, 1), patience of at least 1 and floor in [0, 1]",
            ),
        }
    }

    fn check_optimizer(&self) -> Checked {
        let path = "training.optimizer";
        let (beta1, beta2, epsilon, decay) = match self.training.optimizer {
            OptimizerConfig::Adam {
                beta1,
                beta2,
                epsilon,
            }
            | OptimizerConfig::Nadam {
                beta1,
                beta2,
                epsilon,
            } => (beta1, beta2, epsilon, 0.0),
            OptimizerConfig::Adamw {
                beta1,
                beta2,
                epsilon,
                weight_decay,
            } => (beta1, beta2, epsilon, weight_decay),
        };
        let unit = 0.0..1.0;
        ensure(
            unit.contains(&beta1) && unit.contains(&beta2),
            path,
            (beta1, beta2),
            "beta1 and beta2 in [0, 1)",
        )?;
        ensure(
            epsilon > 0.0 && epsilon < 1.0,
            path,
            epsilon,
            "epsilon in (0, 1)",
        )?;
        ensure(
            (0.0..=100.0).contains(&decay),
            path,
            decay,
            "weight_decay from 0 to 100",
        )
    }

    fn check_report(&self) -> Checked {
        let r = &self.report;
        within("report.bins", r.bins, 1..=1000, "")?;
        ensure(
            r.p_value > 0.0 && r.p_value < 1.0,
            "report.p_value",
            r.p_value,
            "above 0 and below 1",
        )?;
        within(
            "report.classifier_members",
            r.classifier_members,
            0..=1000,
            "",
        )?;
        let mut seen = HashSet::new();
        for (i, variable) in r.variables.iter().enumerate() {
            check_variable(i, variable)?;
            ensure(
                seen.insert(&variable.name) && !self.features.inputs.contains(&variable.name),
                &format!("report.variables[{i}].name"),
                &variable.name,
                "a name of its own; inputs are plotted anyway",
            )?;
        }
        for (i, plane) in r.planes.iter().enumerate() {
            check_plane(i, plane)?;
        }
        Ok(())
    }
}

fn check_variable(index: usize, variable: &VariableConfig) -> Checked {
    let path = format!("report.variables[{index}]");
    name(&format!("{path}.name"), &variable.name)?;
    let path = format!("{path}.bins");
    match &variable.bins {
        Bins::Number(n) => within(&path, *n, 1..=1000, " bins"),
        Bins::Edges(edges) => {
            ensure(
                edges.len() <= 1001,
                &path,
                edges.len(),
                "at most 1001 edges",
            )?;
            let edges = Edges::new(edges.clone());
            edges.map(|_| ()).key(Kind::Config, path)
        }
    }
}

fn check_plane(index: usize, plane: &PlaneConfig) -> Checked {
    let path = format!("report.planes[{index}]");
    name(&format!("{path}.name"), &plane.name)?;
    within(&format!("{path}.bins"), plane.bins, 1..=200, "")?;
    for (axis, range) in [("x_range", plane.x_range), ("y_range", plane.y_range)] {
        ensure(
            range[0] < range[1] && range.iter().all(|v| v.is_finite()),
            &format!("{path}.{axis}"),
            range,
            "a lower and a higher finite number",
        )?;
    }
    Ok(())
}

/// `data.max_loss` is a share.
pub(in crate::settings) fn check_max_loss(share: f64) -> Checked {
    ensure(
        (0.0..=1.0).contains(&share),
        "data.max_loss",
        share,
        "a share from 0 to 1",
    )
}

#[cfg(test)]
mod tests {
    use super::super::parse::{parse, tests::SMALL};

    #[test]
    fn values_out_of_range_are_refused_with_their_path() {
        for (setting, path) in [
            ("experiment.name=../x", "experiment.name"),
            ("experiment.name=\"\"", "experiment.name"),
            ("ensemble.members=0", "ensemble.members"),
            ("ensemble.minimum=0.0", "ensemble.minimum"),
            ("training.batch=7", "training.batch"),
            ("training.epochs=0", "training.epochs"),
            ("training.validation=0.0", "training.validation"),
            ("training.held_out=1.5", "training.held_out"),
            ("training.region=sr", "training.region"),
            ("training.learning_rate=0.0", "training.learning_rate"),
            ("training.learning_rate=nan", "training.learning_rate"),
            ("training.l2=-1.0", "training.l2"),
            ("training.gradient_clip=0.0", "training.gradient_clip"),
            ("training.split=\"folds\"\n", "fine"),
            ("training.folds=1", "fine"),
            (
                "training.schedule={kind='exponential', decay=2.0}",
                "training.schedule",
            ),
            (
                "training.optimizer={kind='adam', beta1=1.0}",
                "training.optimizer",
            ),
            ("model.hidden=[0]", "model.hidden"),
            ("model.dropout=1.0", "model.dropout"),
            ("regions.cr.blind=true", "regions.cr.blind"),
            ("features.inputs=[]", "features.inputs"),
            ("features.inputs=['x','x']", "features.inputs"),
            ("report.bins=0", "report.bins"),
            (
                "report.variables=[{name='m', bins=[1.0, 0.0]}]",
                "report.variables[0].bins",
            ),
            ("data.define={'a b'='1'}", "data.define"),
        ] {
            let result = parse(SMALL, &[setting.to_owned()]);
            let text = result.map_or_else(|e| e.to_string(), |_| "fine".to_owned());
            assert!(text.contains(path), "{setting}: {text}");
        }
    }
}
