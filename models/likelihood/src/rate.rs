//! The expected number of events of a process, with its derivatives:
//!
//! `v(theta) = f(theta) nu prod_k G_k(alpha_k)`,
//!
//! a coefficient, the nominal rate and the relative responses of the rate to the
//! nuisance parameters.

use super::{Coefficient, Interpolation};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Value, gradient `[n]` and symmetric Hessian `[n, n]`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivatives {
    /// The value.
    pub value: f64,
    /// First derivatives, `[n]`.
    pub gradient: Vec<f64>,
    /// Second derivatives, `[n, n]`.
    pub hessian: Vec<f64>,
}

/// How a rate changes with a nuisance parameter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateResponse {
    /// The place of the parameter in the model.
    pub parameter: usize,
    /// The rate at `alpha = -1` relative to nominal.
    pub low: f64,
    /// The rate at `alpha = +1` relative to nominal.
    pub high: f64,
    /// The interpolation between them.
    pub interpolation: Interpolation,
}

/// The rate of a process as a function of the parameters.
#[derive(Clone, Debug)]
pub struct Rate {
    coefficient: Coefficient,
    nominal: f64,
    responses: Vec<RateResponse>,
}

/// A rate that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum RateError {
    /// The nominal rate is no number.
    #[error("the nominal rate is {0}; it must be finite")]
    Nominal(f64),
    /// A response is no number, or not positive where it must be.
    #[error(
        "the response to parameter {parameter} is {low} at -1 and {high} at +1, relative to \
         nominal; both must be finite, and positive unless the interpolation is a sum"
    )]
    Response {
        parameter: usize,
        low: f64,
        high: f64,
    },
}

impl Rate {
    /// A rate of `nominal` events where the coefficient is 1 and all nuisance
    /// parameters are 0.
    ///
    /// # Errors
    /// If a number is not finite, or a response that is interpolated as a factor
    /// (codes 1 and 4) is not positive.
    pub fn new(
        coefficient: Coefficient,
        nominal: f64,
        responses: Vec<RateResponse>,
    ) -> Result<Self, RateError> {
        if !nominal.is_finite() {
            return Err(RateError::Nominal(nominal));
        }
        for response in &responses {
            let factor = response.interpolation.is_factor();
            let usable = |x: f64| x.is_finite() && (x > 0.0 || !factor);
            if !usable(response.low) || !usable(response.high) {
                return Err(RateError::Response {
                    parameter: response.parameter,
                    low: response.low,
                    high: response.high,
                });
            }
        }
        Ok(Self {
            coefficient,
            nominal,
            responses,
        })
    }

    /// `f`.
    #[must_use]
    pub fn coefficient(&self) -> &Coefficient {
        &self.coefficient
    }

    /// `nu`.
    #[must_use]
    pub fn nominal(&self) -> f64 {
        self.nominal
    }

    /// `G_k`.
    #[must_use]
    pub fn responses(&self) -> &[RateResponse] {
        &self.responses
    }

    /// Parameters along which its slope may jump at zero.
    pub(super) fn kinks(&self) -> impl Iterator<Item = usize> {
        let kinked = |response: &&RateResponse| response.interpolation.has_kink();
        self.responses.iter().filter(kinked).map(|r| r.parameter)
    }

    /// The largest place of a parameter that it uses, if it uses any.
    #[must_use]
    pub fn last_parameter(&self) -> Option<usize> {
        let responses = self.responses.iter().map(|response| response.parameter);
        responses
            .chain(self.coefficient.places().iter().copied())
            .max()
    }

    /// The expected number of events at a point `[n]`. Not finite outside the
    /// coefficient's domain; may be negative, as that of an interference.
    #[must_use]
    pub fn value(&self, at: &[f64]) -> f64 {
        let responses = self.responses.iter();
        let factors = responses.map(|response| response.jet(at)[0]);
        factors.fold(self.nominal * self.coefficient.value(at), |v, g| v * g)
    }

    /// The value; the gradient is written to `gradient`, `[n]`.
    pub fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        let coefficient = self.coefficient.derivatives(at);
        let mut value = self.nominal * coefficient.value;
        gradient.fill(0.0);
        for (place, slope) in self.coefficient.places().iter().zip(coefficient.gradient) {
            gradient[*place] = self.nominal * slope;
        }
        for response in &self.responses {
            let [factor, slope, _] = response.jet(at);
            gradient.iter_mut().for_each(|g| *g *= factor);
            gradient[response.parameter] += value * slope;
            value *= factor;
        }
        value
    }

    /// Value, gradient and Hessian at a point `[n]`.
    #[must_use]
    pub fn derivatives(&self, at: &[f64]) -> Derivatives {
        let n = at.len();
        let mut all = self.scaled_coefficient(at);
        for response in &self.responses {
            let [factor, slope, curvature] = response.jet(at);
            let k = response.parameter;
            all.hessian.iter_mut().for_each(|h| *h *= factor);
            for (a, g) in all.gradient.iter().enumerate() {
                all.hessian[a * n + k] += g * slope;
                all.hessian[k * n + a] += g * slope;
            }
            all.hessian[k * n + k] += all.value * curvature;
            all.gradient.iter_mut().for_each(|g| *g *= factor);
            all.gradient[k] += all.value * slope;
            all.value *= factor;
        }
        all
    }

    /// `nu f` with its derivatives in all parameters.
    fn scaled_coefficient(&self, at: &[f64]) -> Derivatives {
        let n = at.len();
        let local = self.coefficient.derivatives(at);
        let places = self.coefficient.places();
        let mut all = Derivatives {
            value: self.nominal * local.value,
            gradient: vec![0.0; n],
            hessian: vec![0.0; n * n],
        };
        for (a, place) in places.iter().enumerate() {
            all.gradient[*place] = self.nominal * local.gradient[a];
            for (b, other) in places.iter().enumerate() {
                all.hessian[place * n + other] = self.nominal * local.hessian[a * places.len() + b];
            }
        }
        all
    }
}

impl RateResponse {
    fn jet(&self, at: &[f64]) -> super::Jet {
        let alpha = at[self.parameter];
        self.interpolation.relative(alpha, self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate() -> Rate {
        let names = ["mu", "xs", "a", "b"];
        let response = |parameter, low, high, interpolation| RateResponse {
            parameter,
            low,
            high,
            interpolation,
        };
        let responses = vec![
            response(2, 0.9, 1.2, Interpolation::Code4),
            response(3, 0.8, 1.1, Interpolation::Code1),
            // a parameter of interest may change the rate as well
            response(1, 0.7, 1.3, Interpolation::Code0),
        ];
        let coefficient = Coefficient::parse("mu*xs - sqrt(mu)", &names).unwrap();
        Rate::new(coefficient, 50.0, responses).unwrap()
    }

    #[test]
    fn value_is_the_product() {
        let at = [1.44, 0.9, 1.0, -1.0];
        let expected = 50.0 * (1.44 * 0.9 - 1.2) * 1.2 * 0.8 * (1.0 + 0.9 * 0.3);
        assert!((rate().value(&at) - expected).abs() < 1e-12);
    }

    #[test]
    fn derivatives_agree_with_differences() {
        const STEP: f64 = 1e-5;
        let rate = rate();
        for alpha in [-1.7, -0.6, 0.4, 2.2] {
            let at = [1.3, 0.7, alpha, 0.5 * alpha];
            let exact = rate.derivatives(&at);
            let mut gradient = vec![f64::NAN; 4];
            assert_eq!(rate.gradient(&at, &mut gradient), exact.value);
            assert_eq!(gradient, exact.gradient);
            assert!((rate.value(&at) - exact.value).abs() < 1e-12);
            for k in 0..4 {
                let moved = |by: f64| {
                    let mut at = at;
                    at[k] += by;
                    rate.derivatives(&at)
                };
                let (below, above) = (moved(-STEP), moved(STEP));
                let slope = (above.value - below.value) / (2.0 * STEP);
                assert!((exact.gradient[k] - slope).abs() < 1e-7);
                for l in 0..4 {
                    let slope = (above.gradient[l] - below.gradient[l]) / (2.0 * STEP);
                    assert!((exact.hessian[k * 4 + l] - slope).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn a_response_that_is_not_positive_is_refused() {
        let response = |interpolation| RateResponse {
            parameter: 0,
            low: -0.1,
            high: 1.0,
            interpolation,
        };
        let new = |response| Rate::new(Coefficient::constant(1.0), 1.0, vec![response]);
        assert!(new(response(Interpolation::Code4)).is_err());
        assert!(new(response(Interpolation::Code4p)).is_ok());
        let nominal = Rate::new(Coefficient::constant(1.0), f64::NAN, vec![]);
        assert!(matches!(nominal, Err(RateError::Nominal(_))));
    }
}
