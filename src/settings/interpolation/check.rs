//! Values of an interpolation that depend on each other and on the rest of the file.

use super::{FlowVariable, InterpolationConfig, PredictedPart, REBUILT, Transform};
use crate::settings::ranges::{Checked, ensure, ensure_known};
use crate::settings::raw::Config;
use sideband_networks::FlowStep;
use std::collections::HashSet;

impl InterpolationConfig {
    /// Names of the regions that are predicted.
    #[must_use]
    pub fn predicted<'a>(&'a self, config: &'a Config) -> Vec<&'a str> {
        if self.regions.is_empty() {
            let all = config.regions.keys().map(String::as_str);
            all.filter(|name| *name != config.training.region).collect()
        } else {
            self.regions.iter().map(String::as_str).collect()
        }
    }

    /// One name means one thing in observed and in sampled events.
    fn check_names(&self, config: &Config) -> Checked {
        let define = &config.data.define;
        for (name, text) in &self.derived {
            let path = format!("interpolation.derived.{name}");
            ensure(
                !self.is_of_plane(name) && !self.variables.iter().any(|v| v.name == *name),
                &path,
                name,
                "a name that sampled events do not have yet; it is one of the plane, the category, \
                 the variables or the candidates",
            )?;
            let allowed = format!(
                "the same as data.define.{name}, or another name: observed events have the one, \
                 sampled events the other"
            );
            let is_one = define.get(name).is_none_or(|other| other == text);
            ensure(is_one, &path, text, allowed)?;
        }
        for FlowVariable {
            name, expression, ..
        } in &self.variables
        {
            let other = expression.as_ref().filter(|e| e.trim() != name);
            if let (Some(expression), Some(text)) = (other, define.get(name)) {
                let path = format!("data.define.{name}");
                let allowed = format!(
                    "another name: the variable `{name}` of the interpolation is {expression}"
                );
                ensure(false, &path, text, allowed)?;
            }
        }
        let rebuilt = define
            .iter()
            .find(|(name, _)| REBUILT.contains(&name.as_str()));
        if let (Some((name, text)), Some(_)) = (rebuilt, &self.candidates) {
            let allowed = "another name: in sampled events it is rebuilt from the candidates";
            ensure(false, &format!("data.define.{name}"), text, allowed)?;
        }
        Ok(())
    }

    /// Checks what depends on more than one key.
    pub(in crate::settings) fn check(&self, config: &Config) -> Checked {
        for (i, hole) in self.plane.holes.iter().enumerate() {
            let path = format!("interpolation.plane.holes[{i}]");
            let is_new = !self.plane.holes[..i].contains(hole);
            ensure(is_new, &path, hole, "each hole once")?;
        }
        self.check_names(config)?;
        let mut seen = HashSet::new();
        for (i, variable) in self.variables.iter().enumerate() {
            let path = format!("interpolation.variables[{i}].name");
            let name = variable.name.as_str();
            ensure(seen.insert(name), &path, name, "each variable once")?;
            ensure(
                !self.is_of_plane(name)
                    && !["weight", "nominal", "spread", "point", "plane_bin"].contains(&name)
                    && !name.starts_with("in_")
                    && !name.starts_with("member_"),
                &path,
                name,
                "a name that neither the plane, the category, the candidates nor the prediction \
                 has; give the variable another one",
            )?;
            let path = format!("interpolation.variables[{i}].transform");
            let fine = match variable.transform {
                Transform::Identity => true,
                Transform::Log { above } => above.is_finite(),
                Transform::LogBelow { below } => below.is_finite(),
                Transform::Logit { low, high } => low < high && low.is_finite() && high.is_finite(),
            };
            let allowed = "finite ends, the lower below the higher";
            ensure(fine, &path, variable.transform, allowed)?;
        }
        let draws = self.posterior_draws;
        let allowed = "0, or at least 2: one draw has no spread";
        ensure(draws != 1, "interpolation.posterior_draws", 1, allowed)?;
        let key = "interpolation.regions";
        for region in &self.regions {
            ensure_known(key, region, "names under [regions]", config.regions.keys())?;
        }
        let region = &config.training.region;
        ensure(
            self.predict == PredictedPart::Box
                || !self.predicted(config).contains(&region.as_str()),
            key,
            region,
            "regions in the holes; `predict = \"box\"` predicts the training region too",
        )?;
        let sequence = &self.flow.sequence;
        let steps = sequence.len() * self.flow.repeat;
        ensure(
            (1..=1000).contains(&steps) && sequence.contains(&FlowStep::Coupling),
            "interpolation.flow.sequence",
            sequence,
            "1 to 1000 steps in all, with a coupling among them",
        )
    }
}
