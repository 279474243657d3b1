//! Values of the likelihood and of what is asked of it that no run could use.

use super::{FINITE_SAMPLE, Measurement, TestStatistic, ToyEvents};
use crate::settings::Split;
use crate::settings::check::{Checked, ensure, within};

impl Measurement {
    /// Checks the likelihood, what is asked of it, and its pseudo-experiments.
    pub(super) fn check_likelihood(&self) -> Checked {
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
        within("measurement.scan_points", m.scan_points, 3..=2001, "")?;
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
        within(
            "measurement.finite_sample_points",
            m.finite_sample_points,
            1..=101,
            "",
        )?;
        ensure(
            m.stream_above > 0,
            "measurement.stream_above",
            m.stream_above,
            "at least 1",
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
            let path = format!("measurement.scan_range.{key}");
            let is_measured = m.interest.contains(key);
            let of_interest = format!("a parameter of interest: {:?}", m.interest);
            ensure(is_measured, &path, range, &of_interest)?;
            let bounds = self.parameters.get(key).map_or([0.0; 2], |p| p.bounds);
            let is_inside = range[0] >= bounds[0] && range[1] <= bounds[1];
            ensure(
                range[0] < range[1] && is_inside,
                &path,
                range,
                &format!("a range within the parameter's bounds {bounds:?}, the lower end first"),
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
        self.check_correlations()?;
        self.check_limit()?;
        self.check_contours()?;
        self.check_toys()?;
        ensure(
            m.finite_sample_members > 0
                || m.finite_sample_points == super::default_finite_sample_points(),
            "measurement.finite_sample_points",
            m.finite_sample_points,
            "left out without `finite_sample_members`, whose error they would be points of",
        )?;
        if let Some(generate) = &self.generate {
            for (name, value) in generate.observed.iter().flatten() {
                let bounds = self.parameters.get(name).map(|p| p.bounds);
                let [low, high] = bounds.unwrap_or([-10.0, 10.0]);
                ensure(
                    (low..=high).contains(value),
                    &format!("generate.observed.{name}"),
                    value,
                    &format!("a value within the bounds of the parameter, {low} to {high}"),
                )?;
            }
            within("generate.events", generate.events, 1000..=100_000_000, "")?;
        }
        Ok(())
    }

    fn check_toys(&self) -> Checked {
        let Some(toys) = &self.toys else {
            return Ok(());
        };
        let first = &self.measurement.interest[0];
        let interest = &self.parameters[first];
        let [low, high] = interest.bounds;
        let fine = !toys.grid.is_empty()
            && toys.grid.len() <= 10_000
            && toys.grid.iter().all(|x| (low..=high).contains(x))
            && toys.grid.windows(2).all(|w| w[0] < w[1]);
        ensure(
            fine,
            "toys.grid",
            &toys.grid,
            &format!("increasing values of {first} within its bounds, {low} to {high}"),
        )?;
        within("toys.number", toys.number, 50..=10_000_000, "")?;
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
        let m = &self.measurement;
        let measured = self
            .parameters
            .iter()
            .filter(|(_, p)| p.constraint.is_some());
        let known: Vec<&String> = measured
            .map(|(name, _)| name)
            .chain(self.systematics.keys())
            .collect();
        for (number, pair) in m.correlations.iter().enumerate() {
            let at = |key: &str| format!("measurement.correlations.{number}.{key}");
            let [one, other] = &pair.parameters;
            let same = |p: &[String; 2]| p.contains(one) && p.contains(other);
            let earlier = m.correlations[..number].iter();
            let is_new = !earlier.into_iter().any(|p| same(&p.parameters));
            ensure(
                one != other && known.contains(&one) && known.contains(&other) && is_new,
                &at("parameters"),
                &pair.parameters,
                &format!("two different ones of {known:?}, every pair once"),
            )?;
            ensure(
                pair.coefficient.abs() < 1.0,
                &at("coefficient"),
                pair.coefficient,
                "a number between -1 and 1, without the ends",
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
        ensure(
            interest.contains(poi),
            "measurement.limit.poi",
            poi,
            &format!("a parameter of interest, of {interest:?}"),
        )?;
        ensure(
            limit.confidence_level > 0.5 && limit.confidence_level < 1.0,
            "measurement.limit.confidence_level",
            limit.confidence_level,
            "a level between 0.5 and 1, such as 0.95",
        )?;
        let [low, high] = self.parameters[poi].bounds;
        let (found, fits, wanted) = match limit.test_stat {
            TestStatistic::Qtilde => {
                let wanted = format!("\"q\" unless the bounds of {poi} begin at 0");
                ("qtilde", low == 0.0, wanted)
            }
            TestStatistic::Q => {
                let wanted =
                    format!("\"qtilde\" unless the bounds of {poi} hold 0 and go below it");
                ("q", low < 0.0 && high > 0.0, wanted)
            }
        };
        ensure(fits, "measurement.limit.test_stat", found, &wanted)
    }

    fn check_contours(&self) -> Checked {
        let m = &self.measurement;
        for (number, contour) in m.contours.iter().enumerate() {
            let at = |key: &str| format!("measurement.contours.{number}.{key}");
            let known: Vec<&String> = self
                .parameters
                .keys()
                .chain(self.systematics.keys())
                .filter(|name| !m.fixed.contains(name))
                .collect();
            let [one, other] = &contour.parameters;
            ensure(
                one != other && known.contains(&one) && known.contains(&other),
                &at("parameters"),
                &contour.parameters,
                &format!("two different ones of {known:?}"),
            )?;
            let levels = &contour.confidence_levels;
            ensure(
                (1..=4).contains(&levels.len())
                    && levels.iter().all(|level| *level > 0.0 && *level < 1.0)
                    && levels.windows(2).all(|pair| pair[0] < pair[1]),
                &at("confidence_levels"),
                levels,
                "one to four levels between 0 and 1, rising",
            )?;
            within(&at("points"), contour.points, 5..=501, "")?;
            for (name, [low, high]) in &contour.range {
                let bounds = self
                    .parameters
                    .get(name)
                    .map_or([-10.0, 10.0], |p| p.bounds);
                ensure(
                    contour.parameters.contains(name)
                        && low < high
                        && *low >= bounds[0]
                        && *high <= bounds[1],
                    &at(&format!("range.{name}")),
                    [low, high],
                    &format!(
                        "a range of one of the two parameters within its bounds, {} to {}",
                        bounds[0], bounds[1]
                    ),
                )?;
            }
        }
        Ok(())
    }
}
