//! Templates as described: what is checked and compiled into a channel.

use crate::{Coefficient, Interpolation, Rate, RateResponse};

use super::HistogramError;

/// The contribution of one process to a channel.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its name, unique in the channel.
    pub name: String,
    /// Expected events in each bin at the nominal point; may be negative, as for
    /// interference, where the sum of all templates is not.
    pub nominal: Vec<f64>,
    /// What scales all bins alike.
    pub factors: Vec<Factor>,
    /// What acts bin by bin.
    pub modifiers: Vec<Modifier>,
}

/// A factor common to all bins of a template. Parameters are places in the model.
#[derive(Clone, Debug)]
pub enum Factor {
    /// The parameter itself: `normfactor`, `lumi`.
    Parameter(usize),
    /// A function of parameters: the coefficient of a process in a mixture.
    Coefficient(Coefficient),
    /// A response of the rate to a nuisance parameter, relative to nominal:
    /// `normsys`, with codes 1 and 4 in HistFactory.
    Response(RateResponse),
}

impl Factor {
    /// The factors of a rate but for its nominal value, which the template holds.
    #[must_use]
    pub fn of_rate(rate: &Rate) -> Vec<Self> {
        let coefficient = Self::Coefficient(rate.coefficient().clone());
        let responses = rate.responses().iter().copied().map(Self::Response);
        std::iter::once(coefficient).chain(responses).collect()
    }
}

/// What changes single bins of a template. Parameters are places in the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Modifier {
    /// Templates at -1 and +1 of a nuisance parameter: `histosys`. Codes 0, 2 and
    /// 4p interpolate differences to nominal and add them; codes 1 and 4
    /// interpolate ratios to nominal and multiply, as an unbinned channel does.
    Shape {
        /// The nuisance parameter.
        parameter: usize,
        /// Bins at -1.
        low: Vec<f64>,
        /// Bins at +1.
        high: Vec<f64>,
        /// How to interpolate.
        code: Interpolation,
    },
    /// A parameter of its own for each bin, which multiplies it: `staterror`,
    /// `shapesys`, `shapefactor`.
    PerBin {
        /// One parameter a bin.
        parameters: Vec<usize>,
    },
}

/// Largest content of a bin: beyond it sums and logarithms of factorials overflow.
const LARGEST: f64 = 1e100;

/// Where in a channel an error is.
pub(super) struct Place<'a> {
    pub(super) channel: &'a str,
    pub(super) place: String,
    pub(super) bins: usize,
    pub(super) parameters: usize,
}

impl Place<'_> {
    pub(super) fn length(&self, values: usize) -> Result<(), HistogramError> {
        if values == self.bins {
            return Ok(());
        }
        Err(HistogramError::Length {
            channel: self.channel.to_owned(),
            place: self.place.clone(),
            found: values,
            expected: self.bins,
        })
    }

    pub(super) fn value(
        &self,
        bin: usize,
        value: f64,
        fits: bool,
        expected: &'static str,
    ) -> Result<(), HistogramError> {
        if fits {
            return Ok(());
        }
        Err(HistogramError::Value {
            channel: self.channel.to_owned(),
            place: self.place.clone(),
            bin,
            value,
            expected,
        })
    }

    /// Checks the length, and that all values are finite and of sensible size.
    pub(super) fn finite(&self, values: &[f64]) -> Result<(), HistogramError> {
        self.length(values.len())?;
        for (bin, value) in values.iter().enumerate() {
            self.value(
                bin,
                *value,
                value.abs() <= LARGEST,
                "a number within +-1e100",
            )?;
        }
        Ok(())
    }

    pub(super) fn parameter(&self, parameter: usize) -> Result<(), HistogramError> {
        if parameter < self.parameters {
            return Ok(());
        }
        Err(HistogramError::Parameter {
            channel: self.channel.to_owned(),
            place: self.place.clone(),
            parameter,
            parameters: self.parameters,
        })
    }
}

impl Template {
    /// Parameters along which its slope may jump at zero.
    pub(super) fn kinks(&self) -> impl Iterator<Item = usize> {
        let of_factors = self.factors.iter().filter_map(|factor| match factor {
            Factor::Response(r) if r.interpolation.has_kink() => Some(r.parameter),
            _ => None,
        });
        let of_bins = self.modifiers.iter().filter_map(|modifier| match modifier {
            Modifier::Shape {
                parameter, code, ..
            } if code.has_kink() => Some(*parameter),
            _ => None,
        });
        of_factors.chain(of_bins)
    }

    /// Checks all but what the sum of templates must fulfil.
    pub(super) fn check(
        &self,
        channel: &str,
        bins: usize,
        parameters: usize,
    ) -> Result<(), HistogramError> {
        let place = |what: &str| Place {
            channel,
            place: format!("sample `{}`{what}", self.name),
            bins,
            parameters,
        };
        place("").finite(&self.nominal)?;
        for factor in &self.factors {
            factor.check(&place(", a factor"))?;
        }
        for modifier in &self.modifiers {
            match modifier {
                Modifier::Shape { parameter, .. } => {
                    let place = place(&format!(", variation by parameter {parameter}"));
                    modifier.check(&self.nominal, &place)?;
                }
                Modifier::PerBin { .. } => {
                    modifier.check(&self.nominal, &place(", parameters of the bins"))?;
                }
            }
        }
        Ok(())
    }
}

impl Factor {
    fn check(&self, place: &Place<'_>) -> Result<(), HistogramError> {
        match self {
            Self::Parameter(parameter) => place.parameter(*parameter),
            Self::Coefficient(f) => f.places().iter().try_for_each(|p| place.parameter(*p)),
            Self::Response(response) => {
                place.parameter(response.parameter)?;
                let factor = response.interpolation.is_factor();
                let fits = |x: f64| x.is_finite() && (x > 0.0 || !factor);
                place.value(0, response.low, fits(response.low), "a positive factor")?;
                place.value(0, response.high, fits(response.high), "a positive factor")
            }
        }
    }
}

impl Modifier {
    fn check(&self, nominal: &[f64], place: &Place<'_>) -> Result<(), HistogramError> {
        match self {
            Self::PerBin { parameters } => {
                place.length(parameters.len())?;
                parameters.iter().try_for_each(|p| place.parameter(*p))
            }
            Self::Shape {
                parameter,
                low,
                high,
                code,
            } => {
                place.parameter(*parameter)?;
                place.finite(low)?;
                place.finite(high)?;
                if !code.is_factor() {
                    return Ok(());
                }
                for (bin, nominal) in nominal.iter().enumerate() {
                    for side in [low[bin], high[bin]] {
                        let fits = side / nominal > 0.0 || (side == 0.0 && *nominal == 0.0);
                        let needed = "of the sign of the nominal bin, as codes 1 and 4 need";
                        place.value(bin, side, fits, needed)?;
                    }
                }
                Ok(())
            }
        }
    }
}
