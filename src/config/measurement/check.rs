//! Values of a measurement that no run could use.

use super::{Coordinate, FINITE_SAMPLE, Measurement, ToyEvents};
use crate::config::check::{Checked, ensure, name};
use crate::ensemble::Split;

impl Measurement {
    /// Checks all values that can be checked without data.
    pub(in crate::config) fn check(&self) -> Checked {
        self.check_names()?;
        self.check_parameters()?;
        self.check_samples()?;
        self.check_systematics()?;
        self.check_likelihood()
    }

    fn check_names(&self) -> Checked {
        name("experiment.name", &self.experiment.name)?;
        let plain = |table: &str, key: &String| {
            let fine = key.len() <= 48
                && key.starts_with(|c: char| c.is_ascii_alphabetic())
                && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            ensure(
                fine,
                &format!("{table}.{key}"),
                key,
                "a name of at most 48 letters, digits and `_` that starts with a letter",
            )
        };
        for key in self.parameters.keys() {
            plain("parameters", key)?;
        }
        ensure(
            !self.parameters.contains_key(FINITE_SAMPLE),
            "parameters.finite_sample",
            FINITE_SAMPLE,
            "another name: this one is taken",
        )?;
        for key in self.samples.keys() {
            plain("samples", key)?;
        }
        for key in self.systematics.keys() {
            plain("systematics", key)?;
            ensure(
                !self.parameters.contains_key(key) && key != FINITE_SAMPLE,
                &format!("systematics.{key}"),
                key,
                "a name that no entry of [parameters] has, and not `finite_sample`",
            )?;
        }
        for key in self.channels.keys() {
            plain("channels", key)?;
        }
        Ok(())
    }

    fn check_parameters(&self) -> Checked {
        for (key, p) in &self.parameters {
            let at = |inner: &str| format!("parameters.{key}.{inner}");
            let [low, high] = p.bounds;
            ensure(
                low.is_finite() && high.is_finite() && low < high,
                &at("bounds"),
                p.bounds,
                "two finite numbers, the lower one first",
            )?;
            ensure(
                (low..=high).contains(&p.nominal),
                &at("nominal"),
                p.nominal,
                &format!("a number within the bounds, {low} to {high}"),
            )?;
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
            if let Some([centre, width]) = p.constraint {
                ensure(
                    centre.is_finite() && width.is_finite() && width > 0.0,
                    &at("constraint"),
                    [centre, width],
                    "a result and an error above 0",
                )?;
            }
        }
        let interest = &self.measurement.interest;
        ensure(
            (1..=2).contains(&interest.len()),
            "measurement.interest",
            interest,
            "one or two parameters",
        )?;
        ensure(
            interest.len() < 2 || interest[0] != interest[1],
            "measurement.interest",
            interest,
            "every parameter once",
        )?;
        for key in interest {
            let known: Vec<&String> = self.parameters.keys().collect();
            ensure(
                self.parameters.contains_key(key),
                "measurement.interest",
                key,
                &format!("names under [parameters]: {known:?}"),
            )?;
        }
        Ok(())
    }

    fn check_samples(&self) -> Checked {
        ensure(
            (2..=1000).contains(&self.samples.len()),
            "samples",
            self.samples.len(),
            "2 to 1000 processes",
        )?;
        for (key, p) in &self.samples {
            ensure(
                !p.id.is_empty(),
                &format!("samples.{key}.id"),
                &p.id,
                "the integer columns that name an event: reference and process have events in \
                 common, and all ratios leave the same events out",
            )?;
            ensure(
                p.scale.is_finite() && p.scale > 0.0,
                &format!("samples.{key}.scale"),
                p.scale,
                "a factor above 0",
            )?;
        }
        let known: Vec<&String> = self.samples.keys().collect();
        let reference = &self.measurement.reference;
        ensure(
            !reference.is_empty(),
            "measurement.reference",
            reference,
            &format!("at least one of the samples {known:?}"),
        )?;
        for (i, key) in reference.iter().enumerate() {
            ensure(
                self.samples.contains_key(key) && !reference[..i].contains(key),
                "measurement.reference",
                key,
                &format!("samples, each once: {known:?}"),
            )?;
            let (one, other) = (&self.samples[&reference[0]], &self.samples[key]);
            for (inner, same) in [
                ("weight", one.weight == other.weight),
                ("selection", one.selection == other.selection),
                ("id", one.id == other.id),
                ("namespace", one.namespace == other.namespace),
            ] {
                ensure(
                    same,
                    &format!("samples.{key}.{inner}"),
                    "another one",
                    &format!(
                        "that of samples.{}: the samples of the reference are read as one",
                        reference[0]
                    ),
                )?;
            }
        }
        Ok(())
    }

    fn check_systematics(&self) -> Checked {
        for (key, s) in &self.systematics {
            let at = format!("systematics.{key}");
            ensure(
                !s.samples.is_empty() || !s.rates.is_empty(),
                &at,
                "neither",
                "varied `samples` or `rates` of at least one process",
            )?;
            for process in s.samples.keys().chain(s.rates.keys()) {
                let known: Vec<&String> = self.samples.keys().collect();
                ensure(
                    self.samples.contains_key(process),
                    &at,
                    process,
                    &format!("processes under [samples]: {known:?}"),
                )?;
            }
            for (process, varied) in &s.samples {
                for (side, own) in [("up", &varied.up), ("down", &varied.down)] {
                    ensure(
                        own.path.is_some() || own.weight.is_some(),
                        &format!("{at}.samples.{process}.{side}"),
                        "neither",
                        "a `path` or a `weight` other than the nominal one",
                    )?;
                }
                ensure(
                    varied.up != varied.down,
                    &format!("{at}.samples.{process}"),
                    "the same twice",
                    "different samples up and down",
                )?;
            }
            for (process, factors) in &s.rates {
                ensure(
                    factors.iter().all(|f| f.is_finite() && *f > 0.0),
                    &format!("{at}.rates.{process}"),
                    factors,
                    "two factors above 0, at -1 and at +1: rates do not turn negative",
                )?;
            }
        }
        Ok(())
    }

    fn check_likelihood(&self) -> Checked {
        ensure(
            self.training.split == Split::Shared,
            "training.split",
            self.training.split,
            "\"shared\": all ratios leave the same events out",
        )?;
        let known: Vec<&String> = self.regions.keys().collect();
        ensure(
            self.regions.contains_key(&self.training.region),
            "training.region",
            &self.training.region,
            &format!("a name under [regions]: {known:?}"),
        )?;
        let m = &self.measurement;
        ensure(
            (3..=2001).contains(&m.scan_points),
            "measurement.scan_points",
            m.scan_points,
            "3 to 2001",
        )?;
        ensure(
            m.finite_sample_members != 1 && m.finite_sample_members <= 10_000,
            "measurement.finite_sample_members",
            m.finite_sample_members,
            "0, or 2 to 10000",
        )?;
        ensure(
            m.finite_sample_members == 0 || (self.ensemble.bootstrap && self.ensemble.members > 1),
            "measurement.finite_sample_members",
            m.finite_sample_members,
            "0 unless `ensemble.bootstrap` is on and there are at least two members: the error \
             is the difference of two variances",
        )?;
        let edges = |path: String, bins: &[f64]| {
            let fine = bins.len() >= 2
                && bins.len() <= 10_001
                && bins.iter().all(|e| e.is_finite())
                && bins.windows(2).all(|w| w[0] < w[1]);
            ensure(fine, &path, bins, "at least two finite edges, increasing")
        };
        if let Some(h) = &m.histogram {
            edges("measurement.histogram.bins".to_owned(), &h.bins)?;
        }
        for key in &m.fixed {
            let known: Vec<&String> = self
                .parameters
                .keys()
                .chain(self.systematics.keys())
                .collect();
            ensure(
                !m.interest.contains(key)
                    && (known.contains(&key)
                        || (key == FINITE_SAMPLE && m.finite_sample_members > 0)),
                "measurement.fixed",
                key,
                &format!("parameters that are not measured, of {known:?}"),
            )?;
        }
        for (key, range) in &m.scan_range {
            let bounds = self.parameters.get(key).map_or([0.0; 2], |p| p.bounds);
            let inside = range[0] < bounds[1] && range[1] > bounds[0];
            ensure(
                m.interest.contains(key) && range[0] < range[1] && inside,
                &format!("measurement.scan_range.{key}"),
                range,
                "a range within the bounds of one of the parameters of interest, the lower end \
                 first",
            )?;
        }
        for (key, channel) in &self.channels {
            edges(format!("channels.{key}.bins"), &channel.bins)?;
            let known: Vec<&String> = self.regions.keys().collect();
            ensure(
                self.regions.contains_key(&channel.region),
                &format!("channels.{key}.region"),
                &channel.region,
                &format!("a name under [regions]: {known:?}"),
            )?;
        }
        if let Some(toys) = &self.toys {
            let interest = &self.parameters[&m.interest[0]];
            let [low, high] = interest.bounds;
            let fine = !toys.grid.is_empty()
                && toys.grid.len() <= 10_000
                && toys.grid.iter().all(|x| (low..=high).contains(x))
                && toys.grid.windows(2).all(|w| w[0] < w[1]);
            ensure(
                fine,
                "toys.grid",
                &toys.grid,
                &format!(
                    "increasing values of {} within its bounds, {low} to {high}",
                    m.interest[0]
                ),
            )?;
            ensure(
                (50..=10_000_000).contains(&toys.number),
                "toys.number",
                toys.number,
                "50 to 10000000",
            )?;
            ensure(
                toys.events == ToyEvents::Simulated || self.is_known_truth(),
                "toys.events",
                toys.events,
                "\"simulated\" unless samples, weights, inputs and region are those of [generate] as \
                 they are: only then the truth is known",
            )?;
        }
        if let Some(toys) = &self.toys {
            ensure(
                toys.events == ToyEvents::Truth || (toys.nuisance.is_empty() && !toys.exact),
                "toys",
                "nuisance or exact",
                "neither with simulated events, which are thrown at the profiled parameters",
            )?;
        }
        if let Some(generate) = &self.generate {
            ensure(
                (1000..=100_000_000).contains(&generate.events),
                "generate.events",
                generate.events,
                "1000 to 100000000",
            )?;
        }
        Ok(())
    }
}
