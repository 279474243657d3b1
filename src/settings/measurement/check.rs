//! Values of a measurement that no run could use and that depend on each other.

use super::{
    Coordinate, FINITE_SAMPLE, FINITE_SAMPLE_POINTS, InterpolationCode, Measurement, TestStatistic,
    ToyEvents,
};
use crate::settings::check::{check_jets, ensure_shared};
use crate::settings::ranges::{Checked, check_ranges, ensure, ensure_known, ensure_name};
use std::collections::BTreeSet;

/// What a systematic uncertainty may be in a scan.
const NUISANCE_BOUNDS: [f64; 2] = [-10.0, 10.0];

fn is_within([low, high]: [f64; 2], range: [f64; 2]) -> bool {
    range[0] < range[1] && range[0] >= low && range[1] <= high
}

impl Measurement {
    /// Checks all values that can be checked without data.
    pub(in crate::settings) fn check(&self) -> Checked {
        ensure_name("experiment.name", &self.experiment.name)?;
        self.check_names()?;
        check_ranges(self)?;
        check_jets(self.data.jets.as_ref())?;
        self.check_parameters()?;
        self.check_runs_in_channels()?;
        self.check_samples()?;
        self.check_systematics()?;
        self.check_likelihood()?;
        self.check_correlations()?;
        self.check_limit()?;
        self.check_contours()?;
        self.check_toys()?;
        self.check_generated()
    }

    /// The same of what histograms alone have.
    pub(in crate::settings) fn check_histograms(&self) -> Checked {
        self.check_names()?;
        self.check_parameters()?;
        self.check_systematics()?;
        self.check_fixed()?;
        self.check_correlations()?;
        self.check_limit()
    }

    fn check_names(&self) -> Checked {
        let lists = [
            ("parameters", self.parameters.keys().collect::<Vec<_>>()),
            ("samples", self.samples.keys().collect()),
            ("systematics", self.systematics.keys().collect()),
            ("channels", self.channels.keys().collect()),
        ];
        for (table, key) in lists
            .iter()
            .flat_map(|(t, keys)| keys.iter().map(move |k| (t, k)))
        {
            let fine = key.len() <= 48
                && key.starts_with(|c: char| c.is_ascii_alphabetic())
                && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let allowed = "a name of at most 48 letters, digits and `_` that starts with a letter";
            ensure(fine, &format!("{table}.{key}"), key, allowed)?;
        }
        ensure(
            !self.parameters.contains_key(FINITE_SAMPLE),
            "parameters.finite_sample",
            FINITE_SAMPLE,
            "another name: this one is taken",
        )?;
        for key in self.systematics.keys() {
            ensure(
                !self.parameters.contains_key(key) && key != FINITE_SAMPLE,
                &format!("systematics.{key}"),
                key,
                "a name that no entry of [parameters] has, and not `finite_sample`",
            )?;
        }
        Ok(())
    }

    fn check_parameters(&self) -> Checked {
        for (key, p) in &self.parameters {
            let at = |inner: &str| format!("parameters.{key}.{inner}");
            let [low, high] = p.bounds;
            let is_inside = |x: f64| (low..=high).contains(&x);
            let allowed = format!("a number within the bounds, {low} to {high}");
            ensure(is_inside(p.nominal), &at("nominal"), p.nominal, allowed)?;
            if p.fit == Coordinate::Sqrt {
                ensure(
                    low >= 0.0,
                    &at("bounds"),
                    p.bounds,
                    "a lower bound of at least 0 with `fit = \"sqrt\"`, whose domain begins there",
                )?;
                ensure(
                    p.constraint.is_none(),
                    &at("constraint"),
                    "a constraint",
                    "none with `fit = \"sqrt\"`",
                )?;
            }
            let Some([centre, width]) = p.constraint else {
                continue;
            };
            ensure(
                centre.is_finite() && width.is_finite() && width > 0.0,
                &at("constraint"),
                [centre, width],
                "a result and an error above 0",
            )?;
            let allowed = format!(
                "a result within the bounds, {low} to {high}: no value that the fit may take \
                 agrees with {centre}"
            );
            ensure(
                is_inside(centre),
                &at("constraint"),
                [centre, width],
                allowed,
            )?;
        }
        for key in &self.measurement.interest {
            let known = self.parameters.keys();
            ensure_known(
                "measurement.interest",
                key,
                "names under [parameters]",
                known,
            )?;
        }
        Ok(())
    }

    fn check_samples(&self) -> Checked {
        for (key, p) in self.samples.iter().filter(|(_, p)| !p.is_run()) {
            ensure(
                !p.id.is_empty(),
                &format!("samples.{key}.id"),
                &p.id,
                "the integer columns that name an event: reference and process have events in \
                 common, and all ratios leave the same events out",
            )?;
        }
        let simulated = self.samples.iter().filter(|(_, p)| !p.is_run());
        let known: Vec<&String> = simulated.map(|(key, _)| key).collect();
        let reference = &self.measurement.reference;
        let allowed = format!("at least one of the samples {known:?}");
        ensure(
            !reference.is_empty(),
            "measurement.reference",
            reference,
            allowed,
        )?;
        for (i, key) in reference.iter().enumerate() {
            let fine = self.samples.contains_key(key) && !reference[..i].contains(key);
            let allowed = format!("samples, each once: {known:?}");
            ensure(fine, "measurement.reference", key, allowed)?;
            let (one, other) = (&self.samples[&reference[0]], &self.samples[key]);
            for (inner, same) in [
                ("weight", one.weight == other.weight),
                ("selection", one.selection == other.selection),
                ("id", one.id == other.id),
                ("namespace", one.namespace == other.namespace),
            ] {
                let first = &reference[0];
                let allowed = format!(
                    "that of samples.{first}: the samples of the reference are read as one"
                );
                ensure(
                    same,
                    &format!("samples.{key}.{inner}"),
                    "another one",
                    allowed,
                )?;
            }
        }
        Ok(())
    }

    fn check_systematics(&self) -> Checked {
        for (key, s) in &self.systematics {
            let path = format!("systematics.{key}");
            let at = |inner: &str| format!("systematics.{key}.{inner}");
            ensure(
                !s.samples.is_empty() || !s.rates.is_empty(),
                &path,
                "neither",
                "varied `samples` or `rates` of at least one process",
            )?;
            for process in s.samples.keys().chain(s.rates.keys()) {
                let known = self.samples.keys();
                ensure_known(&path, process, "processes under [samples]", known)?;
            }
            for (process, varied) in &s.samples {
                for (side, own) in [("up", &varied.up), ("down", &varied.down)] {
                    ensure(
                        own.path.is_some() || own.weight.is_some(),
                        &at(&format!("samples.{process}.{side}")),
                        "neither",
                        "a `path` or a `weight` other than the nominal one",
                    )?;
                }
                ensure(
                    varied.up != varied.down,
                    &at(&format!("samples.{process}")),
                    "the same twice",
                    "different samples up and down",
                )?;
            }
            // settings that change nothing
            let has_density = s.shape && !s.samples.is_empty();
            ensure(
                s.shape || !s.samples.is_empty(),
                &at("shape"),
                s.shape,
                "left out where there are no varied `samples`: rates have no shape",
            )?;
            ensure(
                has_density || s.density_interpolation == InterpolationCode::default(),
                &at("density_interpolation"),
                s.density_interpolation,
                "left out where no density changes, which takes varied `samples` and \
                 `shape = true`; `interpolation` is that of rates",
            )?;
            for process in s.samples.keys().filter(|_| !s.shape) {
                let allowed = format!(
                    "none, or `shape = true`: the rate of {process} is that of \
                     systematics.{key}.rates, and nothing would be left of the samples"
                );
                let path = at(&format!("samples.{process}"));
                ensure(
                    !s.rates.contains_key(process),
                    &path,
                    "varied samples",
                    allowed,
                )?;
            }
        }
        Ok(())
    }

    /// Checks the likelihood and how it is looked at.
    fn check_likelihood(&self) -> Checked {
        ensure_shared(
            self.training.split,
            ": all ratios leave the same events out",
        )?;
        ensure(
            self.training.held_out > 0.0,
            "training.held_out",
            self.training.held_out,
            "a fraction above 0: the likelihood is made of events that no network has seen",
        )?;
        let ensure_region = |path: &str, region: &str| {
            ensure_known(path, region, "a name under [regions]", self.regions.keys())
        };
        ensure_region("training.region", &self.training.region)?;
        let m = &self.measurement;
        let members = m.finite_sample_members;
        ensure(
            members != 1 && members <= 10_000,
            "measurement.finite_sample_members",
            members,
            "0, or 2 to 10000",
        )?;
        ensure(
            members == 0 || (self.ensemble.bootstrap && self.ensemble.members > 1),
            "measurement.finite_sample_members",
            members,
            "0 unless `ensemble.bootstrap` is on and there are at least two members: the error \
             is the difference of two variances",
        )?;
        self.check_fixed()?;
        for (key, range) in &m.scan_range {
            let path = format!("measurement.scan_range.{key}");
            let of_interest = format!("a parameter of interest: {:?}", m.interest);
            ensure(m.interest.contains(key), &path, range, of_interest)?;
            let bounds = self.parameters.get(key).map_or([0.0; 2], |p| p.bounds);
            let allowed =
                format!("a range within the parameter's bounds {bounds:?}, the lower end first");
            ensure(is_within(bounds, *range), &path, range, allowed)?;
        }
        for (key, channel) in &self.channels {
            ensure_region(&format!("channels.{key}.region"), &channel.region)?;
        }
        ensure(
            members > 0 || m.finite_sample_points == FINITE_SAMPLE_POINTS,
            "measurement.finite_sample_points",
            m.finite_sample_points,
            "left out without `finite_sample_members`, whose error they would be points of",
        )
    }

    fn check_fixed(&self) -> Checked {
        let m = &self.measurement;
        for key in &m.fixed {
            let known: Vec<&String> = self
                .parameters
                .keys()
                .chain(self.systematics.keys())
                .collect();
            let is_one =
                known.contains(&key) || (key == FINITE_SAMPLE && m.finite_sample_members > 0);
            let allowed = format!("parameters that are not measured, of {known:?}");
            ensure(
                is_one && !m.interest.contains(key),
                "measurement.fixed",
                key,
                allowed,
            )?;
        }
        Ok(())
    }

    fn check_generated(&self) -> Checked {
        let observed = self.generate.iter().filter_map(|g| g.observed.as_ref());
        for (name, value) in observed.flatten() {
            let bounds = self
                .parameters
                .get(name)
                .map_or(NUISANCE_BOUNDS, |p| p.bounds);
            let [low, high] = bounds;
            let allowed = format!("a value within the bounds of the parameter, {low} to {high}");
            let path = format!("generate.observed.{name}");
            ensure((low..=high).contains(value), &path, value, allowed)?;
        }
        Ok(())
    }

    fn check_toys(&self) -> Checked {
        let Some(toys) = &self.toys else {
            return Ok(());
        };
        let first = &self.measurement.interest[0];
        let [low, high] = self.parameters[first].bounds;
        let fine = !toys.grid.is_empty()
            && toys.grid.len() <= 10_000
            && toys.grid.iter().all(|x| (low..=high).contains(x))
            && toys.grid.is_sorted_by(|one, next| one < next);
        let allowed = format!("increasing values of {first} within its bounds, {low} to {high}");
        ensure(fine, "toys.grid", &toys.grid, allowed)?;
        ensure(
            toys.events == ToyEvents::Simulated || self.is_known_truth(),
            "toys.events",
            toys.events,
            "\"simulated\" unless samples, weights, inputs and region are those of [generate] as \
             they are: only then the truth is known",
        )?;
        ensure(
            toys.events == ToyEvents::Truth || (toys.nuisance.is_empty() && !toys.exact),
            "toys",
            "nuisance or exact",
            "neither with simulated events, which are thrown at the profiled parameters",
        )
    }

    fn check_correlations(&self) -> Checked {
        let measured = self
            .parameters
            .iter()
            .filter(|(_, p)| p.constraint.is_some());
        let measured = measured.map(|(name, _)| name);
        let known: Vec<&String> = measured.chain(self.systematics.keys()).collect();
        let mut pairs = BTreeSet::new();
        for (number, pair) in self.measurement.correlations.iter().enumerate() {
            let [one, other] = &pair.parameters;
            let is_new = pairs.insert([one.min(other), one.max(other)]);
            ensure(
                one != other && known.contains(&one) && known.contains(&other) && is_new,
                &format!("measurement.correlations.{number}.parameters"),
                &pair.parameters,
                format!("two different ones of {known:?}, every pair once"),
            )?;
        }
        Ok(())
    }

    fn check_limit(&self) -> Checked {
        let Some(limit) = &self.measurement.limit else {
            return Ok(());
        };
        let interest = &self.measurement.interest;
        let poi = limit.poi.as_ref().unwrap_or(&interest[0]);
        let allowed = format!("a parameter of interest, of {interest:?}");
        ensure(
            interest.contains(poi),
            "measurement.limit.poi",
            poi,
            allowed,
        )?;
        let [low, high] = self.parameters[poi].bounds;
        let (found, fits, allowed) = match limit.test_stat {
            TestStatistic::Qtilde => {
                let allowed = format!("\"q\" unless the bounds of {poi} begin at 0");
                ("qtilde", low == 0.0, allowed)
            }
            TestStatistic::Q => {
                let allowed =
                    format!("\"qtilde\" unless the bounds of {poi} hold 0 and go below it");
                ("q", low < 0.0 && high > 0.0, allowed)
            }
        };
        ensure(fits, "measurement.limit.test_stat", found, allowed)
    }

    fn check_contours(&self) -> Checked {
        let m = &self.measurement;
        let all = self.parameters.keys().chain(self.systematics.keys());
        let known: Vec<&String> = all.filter(|name| !m.fixed.contains(name)).collect();
        for (number, contour) in m.contours.iter().enumerate() {
            let at = |key: &str| format!("measurement.contours.{number}.{key}");
            let [one, other] = &contour.parameters;
            ensure(
                one != other && known.contains(&one) && known.contains(&other),
                &at("parameters"),
                &contour.parameters,
                format!("two different ones of {known:?}"),
            )?;
            for (name, range) in &contour.range {
                let bounds = self
                    .parameters
                    .get(name)
                    .map_or(NUISANCE_BOUNDS, |p| p.bounds);
                let [low, high] = bounds;
                let allowed = format!(
                    "a range of one of the two parameters within its bounds, {low} to {high}"
                );
                let fine = contour.parameters.contains(name) && is_within(bounds, *range);
                ensure(fine, &at(&format!("range.{name}")), range, allowed)?;
            }
        }
        Ok(())
    }
}
