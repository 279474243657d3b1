//! The expected number of events of a process, with its derivatives:
//!
//! `v(theta) = f(theta) nu prod_k G_k(alpha_k)`,
//!
//! a coefficient, the nominal rate and the relative responses of the rate to the
//! nuisance parameters.

use crate::error::{Error, ensure};
use crate::{Coefficient, Interpolation, Jet};
use serde::{Deserialize, Serialize};

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
    ) -> Result<Self, Error> {
        ensure(nominal.is_finite(), || {
            format!("the nominal rate is {nominal}; it must be finite")
        })?;
        for response in &responses {
            let RateResponse { low, high, .. } = response;
            ensure(
                response.is_usable(*low) && response.is_usable(*high),
                || {
                    format!(
                        "the response to parameter {} is {low} at -1 and {high} at +1, relative to \
                     nominal; both must be finite, and positive unless the interpolation is a sum",
                        response.parameter
                    )
                },
            )?;
        }
        Ok(Self {
            coefficient,
            nominal,
            responses,
        })
    }

    /// `f`.
    pub fn coefficient(&self) -> &Coefficient {
        &self.coefficient
    }

    /// `G_k`.
    pub fn responses(&self) -> &[RateResponse] {
        &self.responses
    }

    /// Parameters along which its slope may jump at zero.
    pub(crate) fn kinks(&self) -> impl Iterator<Item = usize> {
        let kinked = |response: &&RateResponse| response.interpolation.has_kink();
        let kinked = self.responses.iter().filter(kinked).map(|r| r.parameter);
        kinked.chain(self.coefficient.kinks())
    }

    /// The largest place of a parameter that it uses, if it uses any.
    pub fn last_parameter(&self) -> Option<usize> {
        let responses = self.responses.iter().map(|response| response.parameter);
        responses
            .chain(self.coefficient.places().iter().copied())
            .max()
    }

    /// The expected number of events at a point `[n]`. Not finite outside the
    /// coefficient's domain; may be negative, as that of an interference.
    pub fn value(&self, at: &[f64]) -> f64 {
        let responses = self.responses.iter();
        let factors = responses.map(|response| response.jet(at)[0]);
        factors.fold(self.nominal * self.coefficient.value(at), |v, g| v * g)
    }

    /// The value and its derivatives at a point `[n]`; the second ones if they are wanted.
    pub fn jet(&self, at: &[f64], second: bool) -> Jet {
        let (n, places) = (at.len(), self.coefficient.places());
        let local = self.coefficient.jet(at);
        let mut all = Jet::constant(self.nominal * local.value, n, if second { 2 } else { 1 });
        for (a, place) in places.iter().enumerate() {
            all.gradient[*place] = self.nominal * local.gradient[a];
            for (b, other) in places.iter().enumerate().filter(|_| second) {
                all.hessian[place * n + other] = self.nominal * local.hessian[a * places.len() + b];
            }
        }
        for response in &self.responses {
            all.multiply(response.parameter, response.jet(at));
        }
        all
    }
}

impl RateResponse {
    /// The relative rate at a point `[n]`, with its derivatives in the parameter.
    pub(crate) fn jet(&self, at: &[f64]) -> [f64; 3] {
        let alpha = at[self.parameter];
        self.interpolation.relative(alpha, self.low, self.high)
    }

    /// Whether a side can be interpolated.
    pub(crate) fn is_usable(&self, side: f64) -> bool {
        side.is_finite() && (side > 0.0 || !self.interpolation.is_factor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{assert_derivatives, assert_near, assert_refused};

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
        assert_near(rate().value(&at), expected, 1e-12);
    }

    #[test]
    fn derivatives_agree_with_differences() {
        let rate = rate();
        for alpha in [-1.7, -0.6, 0.4, 2.2] {
            let at = [1.3, 0.7, alpha, 0.5 * alpha];
            let (exact, first) = (rate.jet(&at, true), rate.jet(&at, false));
            assert_eq!((first.value, first.gradient), (exact.value, exact.gradient));
            assert_near(rate.value(&at), exact.value, 1e-12);
            assert_derivatives(|at| rate.jet(at, true), &at, 1e-4, [1e-9, 1e-8], &[]);
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
        let one = Coefficient::parse("1", &["a"]).unwrap();
        let new = |nominal, code| Rate::new(one.clone(), nominal, vec![response(code)]);
        assert_refused(new(1.0, Interpolation::Code4), "is -0.1 at -1 and 1");
        assert!(new(1.0, Interpolation::Code4p).is_ok());
        let nominal = new(f64::NAN, Interpolation::Code4p);
        assert_refused(nominal, "the nominal rate is NaN");
    }
}
