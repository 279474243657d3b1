//! Values of a measurement that no run could use.

use super::{Coordinate, FINITE_SAMPLE, InterpolationCode, Measurement, SystematicConfig};
use crate::settings::check::{Checked, check_max_loss, ensure, name, within};

impl Measurement {
    /// Checks all values that can be checked without data.
    pub(in crate::settings) fn check(&self) -> Checked {
        self.check_names()?;
        check_max_loss(self.data.max_loss)?;
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
                ensure(
                    (low..=high).contains(&centre),
                    &at("constraint"),
                    [centre, width],
                    &format!(
                        "a result within the bounds, {low} to {high}: no value that the fit may \
                         take agrees with {centre}"
                    ),
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

    /// Refuses settings of a systematic uncertainty that change nothing.
    fn check_settings_of(&self, key: &str, s: &SystematicConfig) -> Checked {
        let at = |inner: &str| format!("systematics.{key}.{inner}");
        ensure(
            s.shape || !s.samples.is_empty(),
            &at("shape"),
            s.shape,
            "left out where there are no varied `samples`: rates have no shape",
        )?;
        let has_density = s.shape && !s.samples.is_empty();
        ensure(
            has_density || s.density_interpolation == InterpolationCode::default(),
            &at("density_interpolation"),
            s.density_interpolation,
            "left out where no density changes, which takes varied `samples` and `shape = true`; \
             `interpolation` is that of rates",
        )?;
        for process in s.samples.keys().filter(|_| !s.shape) {
            ensure(
                !s.rates.contains_key(process),
                &at(&format!("samples.{process}")),
                "varied samples",
                &format!(
                    "none, or `shape = true`: the rate of {process} is that of \
                     systematics.{key}.rates, and nothing would be left of the samples"
                ),
            )?;
        }
        Ok(())
    }

    fn check_samples(&self) -> Checked {
        within("samples", self.samples.len(), 2..=1000, " processes")?;
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
            self.check_settings_of(key, s)?;
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
}
