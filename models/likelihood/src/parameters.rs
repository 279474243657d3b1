//! Parameters of a likelihood.

use serde::{Deserialize, Serialize};

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What is measured.
    Interest,
    /// What is profiled.
    Nuisance,
}

/// A Gaussian auxiliary measurement of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// Its outcome, `a0`.
    pub centre: f64,
    /// Its standard deviation, `delta > 0`.
    pub width: f64,
}

impl Constraint {
    /// `((a - a0) / delta)^2 / 2` with its first and second derivative.
    #[must_use]
    pub fn penalty(&self, at: f64) -> [f64; 3] {
        let precision = 1.0 / (self.width * self.width);
        let away = at - self.centre;
        [0.5 * away * away * precision, away * precision, precision]
    }
}

/// A parameter as the fit sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its nominal value, where fits start.
    pub nominal: f64,
    /// Lowest and highest value that a fit may take; infinite where there is no limit.
    pub bounds: (f64, f64),
    /// Its auxiliary measurement.
    pub constraint: Option<Constraint>,
}

impl Parameter {
    /// A parameter of interest.
    #[must_use]
    pub fn interest(name: &str, nominal: f64, bounds: (f64, f64)) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::Interest,
            nominal,
            bounds,
            constraint: None,
        }
    }

    /// A nuisance parameter in units of its own error: nominal 0, measured as
    /// 0 +- 1, free within +-10.
    #[must_use]
    pub fn nuisance(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::Nuisance,
            nominal: 0.0,
            bounds: (-10.0, 10.0),
            constraint: Some(Constraint {
                centre: 0.0,
                width: 1.0,
            }),
        }
    }
}
