//! Templates as described, checked, and compiled for evaluation.

use crate::error::{Error, ensure};
use crate::{Coefficient, Interpolation, Rate, RateResponse};

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
pub(super) struct ChannelPlace {
    /// Channel, and sample with modifier, or the observation.
    pub(super) name: String,
    pub(super) bins: usize,
    pub(super) parameters: usize,
}

impl ChannelPlace {
    fn length(&self, values: usize) -> Result<(), Error> {
        let (name, bins) = (&self.name, self.bins);
        ensure(values == bins, || {
            format!("{name}: {values} values; the channel has {bins} bins")
        })
    }

    pub(super) fn value(
        &self,
        bin: usize,
        value: f64,
        fits: bool,
        expected: &str,
    ) -> Result<(), Error> {
        let name = &self.name;
        ensure(fits, || {
            format!("{name}, bin {bin}: {value} is not {expected}")
        })
    }

    /// Checks the length, and that all values are finite and of sensible size.
    pub(super) fn finite(&self, values: &[f64]) -> Result<(), Error> {
        self.length(values.len())?;
        let mut values = values.iter().enumerate();
        values.try_for_each(|(bin, x)| {
            self.value(bin, *x, x.abs() <= LARGEST, "a number within +-1e100")
        })
    }

    fn parameter(&self, parameter: usize) -> Result<(), Error> {
        let (name, all) = (&self.name, self.parameters);
        ensure(parameter < all, || {
            format!("{name}: parameter {parameter} of a model that has {all}")
        })
    }
}

impl Template {
    /// Whether it depends on a parameter by one factor that is the parameter, or that times a
    /// function of others, or not at all.
    pub(super) fn is_linear_in(&self, parameter: usize) -> bool {
        let is_itself = |factor: &Factor| match factor {
            Factor::Parameter(k) => *k == parameter,
            Factor::Coefficient(f) => f.has_factor(parameter),
            Factor::Response(_) => false,
        };
        let depends = |factor: &&Factor| match factor {
            Factor::Parameter(k) => *k == parameter,
            Factor::Coefficient(f) => f.places().contains(&parameter),
            Factor::Response(r) => r.parameter == parameter,
        };
        let mut factors = self.factors.iter().filter(depends);
        let is_scaled = factors.next().is_none_or(is_itself) && factors.next().is_none();
        let is_in = |modifier: &Modifier| match modifier {
            Modifier::Shape { parameter: k, .. } => *k == parameter,
            Modifier::PerBin { parameters } => parameters.contains(&parameter),
        };
        is_scaled && !self.modifiers.iter().any(is_in)
    }

    /// Parameters along which its slope may jump at zero.
    pub(super) fn kinks(&self) -> impl Iterator<Item = usize> {
        let of_factors = self.factors.iter().flat_map(|factor| match factor {
            Factor::Response(r) if r.interpolation.has_kink() => vec![r.parameter],
            Factor::Coefficient(f) => f.kinks().collect(),
            Factor::Response(_) | Factor::Parameter(_) => Vec::new(),
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
    pub(super) fn check(&self, channel: &str, bins: usize, parameters: usize) -> Result<(), Error> {
        let place = |what: &str| ChannelPlace {
            name: format!("channel `{channel}`, sample `{}`{what}", self.name),
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
    fn check(&self, place: &ChannelPlace) -> Result<(), Error> {
        match self {
            Self::Parameter(parameter) => place.parameter(*parameter),
            Self::Coefficient(f) => f.places().iter().try_for_each(|p| place.parameter(*p)),
            Self::Response(response) => {
                place.parameter(response.parameter)?;
                [response.low, response.high]
                    .into_iter()
                    .try_for_each(|x| place.value(0, x, response.is_usable(x), "a positive factor"))
            }
        }
    }
}

impl Modifier {
    fn check(&self, nominal: &[f64], place: &ChannelPlace) -> Result<(), Error> {
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
