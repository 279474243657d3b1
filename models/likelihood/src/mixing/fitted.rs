//! The fit of a signal over a background with these uncertainties.

use super::nuisances::Nuisance;
use crate::error::Error;
use crate::fit::{FitSettings, fit};
use crate::histogram::{Factor, HistogramChannel, HistogramModel, Modifier, Template};
use crate::{Interpolation, Parameter, RateResponse};

/// Largest strength, in units of that whose signal is as large as the error of the background.
const MOST: f64 = 20.0;
/// Share of a bin that a signal may take away.
const TAKEN: f64 = 0.9;

/// A model of one channel, with the strength `mu` and a parameter a variation, observed as the
/// background expects.
pub struct Fitted {
    /// The model.
    pub model: HistogramModel,
    names: Vec<String>,
}

impl Fitted {
    /// Of a background, a signal of strength one and relative variations of the background. What
    /// changes all bins alike is a factor.
    ///
    /// # Errors
    /// If the background or a variation is not above zero in a bin, which is named.
    pub fn new(
        channel: &str,
        background: &[f64],
        signal: &[f64],
        nuisances: &[Nuisance],
    ) -> Result<Self, Error> {
        let mut parameters = vec![Parameter::interest("mu", 0.0, bounds(background, signal))];
        let (mut factors, mut modifiers) = (Vec::new(), Vec::new());
        for (k, nuisance) in nuisances.iter().enumerate() {
            parameters.push(Parameter::nuisance(&nuisance.name));
            nuisance.check()?;
            // a factor of all bins is interpolated by its logarithm
            if nuisance.order == Some(0) {
                factors.push(Factor::Response(RateResponse {
                    parameter: k + 1,
                    low: nuisance.down[0],
                    high: nuisance.up[0],
                    interpolation: Interpolation::Code4,
                }));
                continue;
            }
            let times = |factors: &[f64]| {
                let both = background.iter().zip(factors);
                both.map(|(h, f)| h * f).collect()
            };
            modifiers.push(Modifier::Shape {
                parameter: k + 1,
                low: times(&nuisance.down),
                high: times(&nuisance.up),
                code: Interpolation::Code4p,
            });
        }
        let of_background = Template {
            name: "background".to_owned(),
            nominal: background.to_vec(),
            factors,
            modifiers,
        };
        let of_signal = Template {
            name: "signal".to_owned(),
            nominal: signal.to_vec(),
            factors: vec![Factor::Parameter(0)],
            modifiers: Vec::new(),
        };
        let templates = vec![of_signal, of_background];
        let count = parameters.len();
        let channel = HistogramChannel::new(channel, templates, background.to_vec(), count)?;
        Ok(Self {
            names: nuisances.iter().map(|n| n.name.clone()).collect(),
            model: HistogramModel {
                parameters,
                fixed: Vec::new(),
                channels: vec![channel],
                constraints: Vec::new(),
            },
        })
    }

    /// The expected error of the strength, with the variations whose names begin with one of
    /// `without` left out; none if the fit gives none.
    ///
    /// # Errors
    /// If the fit cannot be made.
    pub fn strength_error(&self, without: &[&str]) -> Result<Option<f64>, Error> {
        let is_out = |name: &String| without.iter().any(|start| name.starts_with(start));
        let places = self.names.iter().enumerate();
        let out = places.filter(|(_, name)| is_out(name));
        let settings = out.fold(FitSettings::default(), |settings, (place, _)| {
            settings.with_fixed(place + 1, 0.0)
        });
        Ok(fit(&self.model.likelihood(), &settings)?.error(0))
    }
}

/// Between which strengths no bin is negative.
fn bounds(background: &[f64], signal: &[f64]) -> (f64, f64) {
    // how far bins that the signal takes from allow
    let room = |sign: f64| {
        let both = background.iter().zip(signal);
        let taken = both.map(|(h, s)| (h, sign * s)).filter(|(_, s)| *s > 0.0);
        let all = taken.map(|(h, s)| TAKEN * h / s);
        all.fold(f64::INFINITY, f64::min)
    };
    let error = background.iter().sum::<f64>().sqrt();
    let most = MOST * error / signal.iter().sum::<f64>();
    (-room(1.0).min(most), room(-1.0).min(most))
}
