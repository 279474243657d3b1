//! Templates as described, checked, and compiled for evaluation.

use crate::error::{Error, ensure};
use crate::{Coefficient, Interpolation, Jet, Rate, RateResponse};

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

/// The factor common to all bins, `F`, of its own parameters.
pub(super) struct TemplateScale {
    /// The parameters, as places in the model.
    pub(super) parameters: Vec<usize>,
    /// Each factor with the places, among these, of its parameters.
    factors: Vec<(Vec<usize>, Factor)>,
}

impl TemplateScale {
    pub(super) fn new(factors: &[Factor]) -> Self {
        let mut parameters = Vec::new();
        let mut compile = |factor: &Factor| {
            let used = match factor {
                Factor::Parameter(parameter) => vec![*parameter],
                Factor::Response(response) => vec![response.parameter],
                Factor::Coefficient(coefficient) => coefficient.places().to_vec(),
            };
            let places = used.iter().map(|p| local(&mut parameters, *p)).collect();
            (places, factor.clone())
        };
        let factors = factors.iter().map(&mut compile).collect();
        Self {
            parameters,
            factors,
        }
    }

    pub(super) fn value(&self, at: &[f64]) -> f64 {
        let one = |(_, factor): &(Vec<usize>, Factor)| match factor {
            Factor::Parameter(parameter) => at[*parameter],
            Factor::Response(response) => response.jet(at)[0],
            Factor::Coefficient(coefficient) => coefficient.value(at),
        };
        self.factors.iter().map(one).product()
    }

    pub(super) fn jet(&self, at: &[f64], second: bool, jet: &mut Jet) {
        jet.reset(1.0, self.parameters.len(), second);
        for (places, factor) in &self.factors {
            match factor {
                Factor::Parameter(parameter) => jet.multiply(places[0], [at[*parameter], 1.0, 0.0]),
                Factor::Response(response) => jet.multiply(places[0], response.jet(at)),
                Factor::Coefficient(f) => {
                    let u = f.jet(at);
                    jet.multiply_by(places, u.value, &u.gradient, &u.hessian);
                }
            }
        }
    }
}

/// Bins at -1 and +1 against nominal: differences or ratios, by the code.
struct Variation {
    local: usize,
    code: Interpolation,
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Variation {
    fn new(local: usize, code: Interpolation, nominal: &[f64], sides: [&[f64]; 2]) -> Self {
        let against = |side: &f64, nominal: &f64| match code.is_factor() {
            true if *nominal == 0.0 => 1.0,
            true => side / nominal,
            false => side - nominal,
        };
        let all = |side: &[f64]| {
            side.iter()
                .zip(nominal)
                .map(|(s, n)| against(s, n))
                .collect()
        };
        let [low, high] = sides.map(all);
        Self {
            local,
            code,
            low,
            high,
        }
    }

    fn jet(&self, at: f64, bin: usize) -> [f64; 3] {
        if self.code.is_factor() {
            self.code.relative(at, self.low[bin], self.high[bin])
        } else {
            self.code.term(at, self.low[bin], self.high[bin])
        }
    }
}

/// Content of the bins without the common factor, `S_b`.
///
/// Its parameters in bin `b` are those common to all bins, then those of the bin.
pub(super) struct TemplateShape {
    nominal: Vec<f64>,
    /// The common parameters, as places in the model.
    pub(super) parameters: Vec<usize>,
    terms: Vec<Variation>,
    factors: Vec<Variation>,
    per_bin: Vec<Vec<usize>>,
}

impl TemplateShape {
    pub(super) fn new(template: &Template) -> Self {
        let mut shape = Self {
            nominal: template.nominal.clone(),
            parameters: Vec::new(),
            terms: Vec::new(),
            factors: Vec::new(),
            per_bin: vec![Vec::new(); template.nominal.len()],
        };
        for modifier in &template.modifiers {
            match modifier {
                Modifier::PerBin { parameters } => {
                    for (own, parameter) in shape.per_bin.iter_mut().zip(parameters) {
                        own.push(*parameter);
                    }
                }
                Modifier::Shape {
                    parameter,
                    low,
                    high,
                    code,
                } => {
                    let local = local(&mut shape.parameters, *parameter);
                    let sides = [low.as_slice(), high.as_slice()];
                    let variation = Variation::new(local, *code, &template.nominal, sides);
                    if code.is_factor() {
                        shape.factors.push(variation);
                    } else {
                        shape.terms.push(variation);
                    }
                }
            }
        }
        shape
    }

    /// Parameters of one bin alone, as places in the model.
    pub(super) fn own(&self, bin: usize) -> &[usize] {
        &self.per_bin[bin]
    }

    pub(super) fn value(&self, at: &[f64], bin: usize) -> f64 {
        let jet = |v: &Variation| v.jet(at[self.parameters[v.local]], bin)[0];
        let sum = self.nominal[bin] + self.terms.iter().map(jet).sum::<f64>();
        let own: f64 = self.per_bin[bin].iter().map(|p| at[*p]).product();
        sum * self.factors.iter().map(jet).product::<f64>() * own
    }

    pub(super) fn jet(&self, at: &[f64], bin: usize, second: bool, jet: &mut Jet) {
        let common = self.parameters.len();
        let own = &self.per_bin[bin];
        jet.reset(self.nominal[bin], common + own.len(), second);
        for v in &self.terms {
            jet.add(v.local, v.jet(at[self.parameters[v.local]], bin));
        }
        for v in &self.factors {
            jet.multiply(v.local, v.jet(at[self.parameters[v.local]], bin));
        }
        for (k, parameter) in own.iter().enumerate() {
            jet.multiply(common + k, [at[*parameter], 1.0, 0.0]);
        }
    }
}

/// Place of a parameter in a list that has each once.
fn local(list: &mut Vec<usize>, parameter: usize) -> usize {
    let known = list.iter().position(|p| *p == parameter);
    known.unwrap_or_else(|| {
        list.push(parameter);
        list.len() - 1
    })
}
