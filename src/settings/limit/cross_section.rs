//! The theory's cross-section along a parameter of the signal.

use crate::error::{Context, Kind, Result};
use crate::settings::ranges::{Checked, ensure, not_allowed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_likelihood::Coefficient;

/// `measurement.scans.cross_section`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrossSectionConfig {
    /// The cross-section in fb that a signal of strength one has; an expression over the scanned
    /// parameter.
    pub value: String,
    /// The lower end of its uncertainty, as `value`; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<String>,
    /// The upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<String>,
}

/// A cross-section as a function of a parameter.
pub(crate) struct CrossSection {
    value: Coefficient,
    ends: Option<[Coefficient; 2]>,
}

impl CrossSectionConfig {
    /// As a function. `key`: its table; `parameter`: the name of what it depends on.
    pub(crate) fn function(&self, key: &str, parameter: &str) -> Result<CrossSection> {
        let parse = |name: &str, text: &String| {
            Coefficient::parse(text, &[parameter]).key(Kind::Config, format!("{key}.{name}"))
        };
        let ends = match (&self.down, &self.up) {
            (Some(down), Some(up)) => Some([parse("down", down)?, parse("up", up)?]),
            _ => None,
        };
        Ok(CrossSection {
            value: parse("value", &self.value)?,
            ends,
        })
    }

    /// Whether it is one at values of the parameter.
    pub(super) fn check(
        &self,
        key: &str,
        parameter: &str,
        values: impl Iterator<Item = f64>,
    ) -> Checked {
        let is_pair = self.down.is_some() == self.up.is_some();
        ensure(is_pair, key, "one end", "both `down` and `up`, or neither")?;
        let function = self.function(key, parameter)?;
        for x in values {
            let (value, ends) = function.at(x);
            let [down, up] = ends.unwrap_or([value, value]);
            let all = [("value", value), ("down", down), ("up", up)];
            let is_wrong = |(_, found): &(&str, f64)| !(found.is_finite() && *found > 0.0);
            if let Some((name, found)) = all.into_iter().find(is_wrong) {
                return Err(not_allowed(
                    &format!("{key}.{name}"),
                    format!("{found} at {parameter} = {x}"),
                    "a cross-section, finite and above 0 at every value of the scan",
                ));
            }
            if down > value || up < value {
                return Err(not_allowed(
                    key,
                    format!("an end beyond the value at {parameter} = {x}"),
                    "`down` at most `value`, and `up` at least that",
                ));
            }
        }
        Ok(())
    }
}

impl CrossSection {
    /// In fb: the cross-section, and the ends of its uncertainty.
    pub(crate) fn at(&self, x: f64) -> (f64, Option<[f64; 2]>) {
        let of = |function: &Coefficient| function.value(&[x]);
        let ends = self.ends.as_ref();
        (of(&self.value), ends.map(|[down, up]| [of(down), of(up)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(value: &str, ends: Option<[&str; 2]>) -> CrossSectionConfig {
        CrossSectionConfig {
            value: value.to_owned(),
            down: ends.map(|[down, _]| down.to_owned()),
            up: ends.map(|[_, up]| up.to_owned()),
        }
    }

    #[test]
    fn a_cross_section_is_a_function_of_the_parameter() {
        let theory = config("70 - 50*kl + 11*kl^2", Some(["20", "100 + kl"]));
        let function = theory.function("cross_section", "kl").unwrap();
        assert_eq!(function.at(1.0), (31.0, Some([20.0, 101.0])));
        let function = config("2*kl", None)
            .function("cross_section", "kl")
            .unwrap();
        assert_eq!(function.at(3.0), (6.0, None));
    }

    #[test]
    fn cross_sections_are_finite_above_zero_and_within_their_ends() {
        let said = |value: &str, ends: Option<[&str; 2]>| {
            let values = [-1.0, 0.0, 2.0].into_iter();
            let checked = config(value, ends).check("cross_section", "kl", values);
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(said("31", None), Ok(()));
        assert_eq!(said("31", Some(["30", "31 + kl^2"])), Ok(()));
        for (value, ends, words) in [
            ("kl", None, "`cross_section.value`: found -1 at kl = -1"),
            ("1/kl^2", None, "`cross_section.value`: found inf at kl = 0"),
            (
                "5",
                Some(["kl", "6"]),
                "`cross_section.down`: found -1 at kl = -1",
            ),
            ("5", Some(["4", "6 - kl"]), "beyond the value at kl = 2"),
            ("5", Some(["6", "7"]), "beyond the value at kl = -1"),
            ("31 * kk", None, "there is no parameter `kk`"),
        ] {
            let error = said(value, ends).unwrap_err();
            assert!(error.contains(words), "{error}\n{words}");
        }
        let half = CrossSectionConfig {
            up: Some("40".to_owned()),
            ..config("31", None)
        };
        let error = half.check("cross_section", "kl", [0.0].into_iter());
        assert!(error.unwrap_err().to_string().contains("both `down`"));
    }
}
