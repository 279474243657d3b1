//! Values of a limit that no run could use and that depend on each other.

use super::{Categories, Limit};
use crate::error::{Context, Kind};
use crate::settings::check::check_jets;
use crate::settings::measurement::{Coordinate, MOST_PARTS, Measurement};
use crate::settings::ranges::{Checked, check_ranges, ensure, ensure_known, ensure_name};
use crate::settings::raw::ReportConfig;
use std::collections::BTreeSet;
use toml::Value;

impl Limit {
    /// Checks all values that can be checked without data.
    pub(in crate::settings) fn check(&self) -> Checked {
        ensure_name("experiment.name", &self.experiment.name)?;
        check_ranges(self)?;
        check_jets(self.data.jets.as_ref())?;
        self.check_channels()?;
        self.check_samples()?;
        let measurement = self.measurement()?;
        measurement.check_runs()?;
        self.check_signal()?;
        self.check_parameters(&measurement)?;
        measurement.check_histograms()?;
        self.check_scans()?;
        self.check_toys()?;
        self.check_report()
    }

    fn check_channels(&self) -> Checked {
        ensure(
            !self.channels.is_empty(),
            "channels",
            "none",
            "at least one channel",
        )?;
        let mut names = BTreeSet::new();
        let mut parts = self.regions.len();
        for (key, channel) in &self.channels {
            let at = |inner: &str| format!("channels.{key}.{inner}");
            let regions = self.regions.keys();
            let what = "a name under [regions]";
            ensure_known(&at("region"), &channel.region, what, regions)?;
            match &channel.categories {
                Some(Categories::Named(list)) => ensure(
                    !list.is_empty(),
                    &at("categories"),
                    list.len(),
                    "at least one part",
                )?,
                Some(Categories::Edges(axes)) => {
                    let allowed = "at least two finite edges, increasing, of at least one \
                                   expression";
                    let is_rising = |edges: &Vec<f64>| {
                        let finite = edges.iter().all(|x| x.is_finite());
                        edges.len() > 1 && finite && edges.is_sorted_by(|a, b| a < b)
                    };
                    let fine = !axes.is_empty() && axes.values().all(is_rising);
                    ensure(fine, &at("categories"), axes, allowed)?;
                    let cells = axes.values().map(|edges| edges.len() - 1);
                    let cells = cells.fold(1_usize, usize::saturating_mul);
                    let allowed = format!("at most {MOST_PARTS} parts");
                    ensure(cells <= MOST_PARTS, &at("categories"), cells, allowed)?;
                }
                None => {}
            }
            parts += usize::from(channel.categories.is_some());
            for part in channel.parts(key) {
                parts += 1;
                let allowed = "a name that no other channel or part of one has";
                ensure(
                    names.insert(part.name.clone()),
                    &at("categories"),
                    &part.name,
                    allowed,
                )?;
            }
        }
        ensure(
            parts <= MOST_PARTS,
            "channels",
            parts,
            format!("at most {MOST_PARTS} regions, channels and their parts together"),
        )
    }

    fn check_samples(&self) -> Checked {
        for (key, sample) in &self.samples {
            ensure(
                sample.path.is_some() != sample.run.is_some(),
                &format!("samples.{key}"),
                if sample.path.is_some() {
                    "both"
                } else {
                    "neither"
                },
                "either `path`, files of simulated events, or `run`, a finished run",
            )?;
        }
        Ok(())
    }

    fn check_signal(&self) -> Checked {
        let is_signal = |name: &String| self.is_signal(name);
        let allowed = format!(
            "a coefficient of at least one sample that depends on {:?}",
            self.measurement.interest
        );
        let any = self.samples.keys().any(is_signal);
        ensure(any, "samples", "no signal", allowed)
    }

    fn check_parameters(&self, measurement: &Measurement) -> Checked {
        for (key, parameter) in &self.parameters {
            ensure(
                parameter.fit == Coordinate::Linear,
                &format!("parameters.{key}.fit"),
                parameter.fit,
                "\"linear\": counts depend on the parameter itself",
            )?;
        }
        let fixed = &measurement.measurement.fixed;
        for (key, parameter) in &self.parameters {
            let [low, high] = parameter.bounds;
            let is_limited = self.limited() == key;
            ensure(
                !is_limited || (low <= 0.0 && high > 0.0),
                &format!("parameters.{key}.bounds"),
                parameter.bounds,
                "bounds that hold 0, without signal, and go above it",
            )?;
            ensure(
                !(is_limited && fixed.contains(key)),
                "measurement.fixed",
                key,
                "parameters that are not limited",
            )?;
        }
        Ok(())
    }

    /// The parameter that is limited.
    pub(crate) fn limited(&self) -> &str {
        let m = &self.measurement;
        let first = m.interest.first().map_or("", String::as_str);
        m.limit.poi.as_deref().unwrap_or(first)
    }

    /// Toys are those of a workspace, with independent auxiliary measurements.
    fn check_toys(&self) -> Checked {
        if self.measurement.toys.is_none() {
            return Ok(());
        }
        ensure(
            self.measurement.correlations.is_empty(),
            "measurement.toys",
            "toys",
            "left out with `measurement.correlations`",
        )
    }

    fn check_scans(&self) -> Checked {
        let m = &self.measurement;
        let mut names = BTreeSet::new();
        for (number, scan) in m.scans.iter().enumerate() {
            let at = |key: &str| format!("measurement.scans.{number}.{key}");
            let name = &scan.parameter;
            let (fine, allowed) = match scan.limit {
                true => (
                    m.fixed.contains(name),
                    "one of measurement.fixed with `limit = true`",
                ),
                false => (
                    m.interest.contains(name),
                    "one of measurement.interest, or `limit = true`",
                ),
            };
            ensure(fine, &at("parameter"), name, allowed)?;
            let is_new = names.insert((name, scan.limit));
            ensure(is_new, &at("parameter"), name, "every parameter once")?;
            let bounds = self.parameters.get(name).map(|p| p.bounds);
            ensure(
                bounds.is_some(),
                &at("parameter"),
                name,
                "a name under [parameters]",
            )?;
            if let (Some([low, high]), Some([from, to])) = (bounds, scan.range) {
                let allowed = format!("a range within the parameter's bounds, {low} to {high}");
                let fine = low <= from && from < to && to <= high;
                ensure(fine, &at("range"), scan.range, allowed)?;
            }
            if let (Some(theory), Some([low, high])) = (&scan.cross_section, scan.range.or(bounds))
            {
                let allowed = "left out: limits along a parameter have it, `limit = true`";
                ensure(scan.limit, &at("cross_section"), "a table", allowed)?;
                let step = (high - low) / (scan.points - 1) as f64;
                let values = (0..scan.points).map(|k| low + step * k as f64);
                theory.check(&at("cross_section"), name, values)?;
            }
        }
        Ok(())
    }

    /// What the page of networks is made of changes nothing here.
    fn check_report(&self) -> Checked {
        let own = &self.report;
        let used = ReportConfig {
            title: own.title.clone(),
            data_label: own.data_label.clone(),
            experiment: own.experiment.clone(),
            status: own.status.clone(),
            luminosity: own.luminosity.clone(),
            com: own.com.clone(),
            density: own.density,
            style: own.style,
            ..ReportConfig::default()
        };
        let [own, used] = [own, &used].map(|r| Value::try_from(r).key(Kind::Config, "report"));
        let (own, used) = (own?, used?);
        let keys = own.as_table().into_iter().flatten();
        for (key, value) in keys {
            let allowed = "left out: it changes nothing without networks";
            let path = format!("report.{key}");
            ensure(used.get(key) == Some(value), &path, value, allowed)?;
        }
        Ok(())
    }
}
