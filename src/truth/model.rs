//! The densities, rates and responses of the interference model.

use super::config::{FINITE, ensure};
use super::gaussian::{Gaussian, Point, Wave};
use super::{InterferenceConfig, Lobe, UpDown};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sideband_likelihood::Interpolation;

/// A process of the mixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrueProcess {
    /// Signal alone, `|A_S|^2`.
    S,
    /// Signal, background and their interference at `mu = 1`:
    /// `|A_S + A_B|^2` and the incoherent background.
    Sbi,
    /// Background alone: `|A_B|^2` and the incoherent background.
    B,
}

impl TrueProcess {
    /// All of them, in the order of every table.
    pub const ALL: [Self; 3] = [Self::S, Self::Sbi, Self::B];

    /// Its name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::Sbi => "SBI",
            Self::B => "B",
        }
    }

    fn composition(self) -> Composition {
        let [signal, background, interference] = match self {
            Self::S => [1.0, 0.0, 0.0],
            Self::Sbi => [1.0; 3],
            Self::B => [0.0, 1.0, 0.0],
        };
        Composition {
            signal,
            background,
            interference,
            tilt: 0.0,
        }
    }
}

/// A nuisance parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nuisance {
    /// Shape and rate.
    Shape,
    /// Rates alone.
    Rate,
}

/// One standard deviation up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// At +1.
    Up,
    /// At -1.
    Down,
}

impl Side {
    /// Its value.
    #[must_use]
    pub fn of(self, both: UpDown) -> f64 {
        match self {
            Self::Up => both.up,
            Self::Down => both.down,
        }
    }
}

/// Values of the parameters at which the density is known exactly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// The signal strength, `mu >= 0`.
    pub mu: f64,
    /// The shape-and-rate nuisance parameter: -1, 0 or 1.
    pub shape: f64,
    /// The rate-only nuisance parameter: any value.
    pub rate: f64,
}

impl Truth {
    /// Nominal nuisance parameters.
    #[must_use]
    pub fn nominal(mu: f64) -> Self {
        Self {
            mu,
            shape: 0.0,
            rate: 0.0,
        }
    }

    /// Whether the density is known exactly there.
    fn check(&self) -> Result<()> {
        let expected =
            "a finite number that is not negative: the coefficients hold its square root";
        ensure("mu", &[self.mu], expected, |mu| mu >= 0.0 && mu.is_finite())?;
        ensure("rate", &[self.rate], FINITE, f64::is_finite)?;
        if [-1.0, 0.0, 1.0].contains(&self.shape) {
            return Ok(());
        }
        Err(Error::config(format!(
            "interference model: the shape parameter is {}, where the density is not known \
             exactly; choose -1, 0 or +1",
            self.shape
        )))
    }
}

/// `(1 + tilt h) (signal |A_S|^2 + background (|A_B|^2 + incoherent) + interference I)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Composition {
    pub(super) signal: f64,
    pub(super) background: f64,
    pub(super) interference: f64,
    pub(super) tilt: f64,
}

/// The intensities at one point.
struct Parts {
    signal: f64,
    background: f64,
    incoherent: f64,
    interference: f64,
}

/// The interference model with known truth: intensities, densities, ratios and
/// responses in closed form. `N` events of process `j` at the nuisance values
/// `(a, b)` have the intensity
///
/// ```text
/// nu_j G_j(a) G'_j(b) p_j(x) g_j(x, a),   g_j(x, +-1) = (1 + e h(x)) / (1 + e E_j[h]),
/// h(x) = sin(q . x + phi),   e = the size up or down,   G_j(+-1) = rate (1 + e E_j[h]).
/// ```
#[derive(Clone, Debug)]
pub struct Interference {
    config: InterferenceConfig,
    pub(super) signal: Gaussian,
    pub(super) background: Gaussian,
    pub(super) incoherent: Gaussian,
    pub(super) beat: Wave,
    pub(super) response: Wave,
    /// `nu_j`.
    pub(super) events: [f64; 3],
    /// `E_j[h]`.
    mean_response: [f64; 3],
}

impl Interference {
    /// The model of a configuration.
    ///
    /// # Errors
    /// A number outside its domain, by its key.
    pub fn new(config: InterferenceConfig) -> Result<Self> {
        config.check()?;
        let gaussian = |lobe: &Lobe| Gaussian::new(lobe.mean, lobe.width);
        let wave = |vector, phase| Wave { vector, phase };
        let mut model = Self {
            signal: gaussian(&config.signal),
            background: gaussian(&config.background),
            incoherent: gaussian(&config.incoherent),
            beat: wave(config.wave, config.phase),
            response: wave(config.shape.wave, config.shape.phase),
            events: [0.0; 3],
            mean_response: [0.0; 3],
            config,
        };
        model.integrate();
        Ok(model)
    }

    /// Integrals of every process, and of `h` under it. A product of waves is half
    /// a sum of waves: `2 sin a cos b = sin(a + b) + sin(a - b)`.
    fn integrate(&mut self) {
        let (signal, background) = (&self.config.signal, &self.config.background);
        let (size, product) = self.interference();
        let interference = size * product.mean_of(&self.beat).0;
        let sum = product.mean_of(&self.response.shifted(1.0, &self.beat)).1;
        let difference = product.mean_of(&self.response.shifted(-1.0, &self.beat)).1;
        let tilted_interference = 0.5 * size * (sum + difference);

        let tilted =
            |gaussian: &Gaussian, lobe: &Lobe| lobe.events * gaussian.mean_of(&self.response).1;
        let incoherent = &self.config.incoherent;
        let s = (signal.events, tilted(&self.signal, signal));
        let b = (
            background.events + incoherent.events,
            tilted(&self.background, background) + tilted(&self.incoherent, incoherent),
        );
        let sbi = (s.0 + b.0 + interference, s.1 + b.1 + tilted_interference);
        self.events = [s.0, sbi.0, b.0];
        self.mean_response = [s, sbi, b].map(|(events, tilted)| tilted / events);
    }

    /// `size` and `N` of the interference `size N(x) cos(k . x + delta)`.
    pub(super) fn interference(&self) -> (f64, Gaussian) {
        let (z, product) = Gaussian::geometric_mean(&self.signal, &self.background);
        let yields = self.config.signal.events * self.config.background.events;
        (2.0 * self.config.coherence * z * yields.sqrt(), product)
    }

    /// What the model was made of.
    #[must_use]
    pub fn config(&self) -> &InterferenceConfig {
        &self.config
    }

    /// `nu_j`: nominal expected events of a process.
    #[must_use]
    pub fn events(&self, process: TrueProcess) -> f64 {
        self.events[process as usize]
    }

    /// `f_j(mu)` in the order of [`TrueProcess::ALL`]: `mu - sqrt(mu)`, `sqrt(mu)`,
    /// `1 - sqrt(mu)`.
    #[must_use]
    pub fn coefficients(mu: f64) -> [f64; 3] {
        let root = mu.sqrt();
        [mu - root, root, 1.0 - root]
    }

    /// `G_j(+1)` and `G_j(-1)`.
    #[must_use]
    pub fn rates(&self, process: TrueProcess, nuisance: Nuisance) -> UpDown {
        match nuisance {
            Nuisance::Shape => {
                let shape = &self.config.shape;
                let mean = self.mean_response[process as usize];
                UpDown {
                    up: shape.rate.up * (1.0 + shape.size.up * mean),
                    down: shape.rate.down * (1.0 + shape.size.down * mean),
                }
            }
            Nuisance::Rate => match process {
                TrueProcess::S => self.config.rate.signal,
                TrueProcess::Sbi => self.config.rate.together,
                TrueProcess::B => self.config.rate.background,
            },
        }
    }

    /// `g_j(x, +-1) = p_j(x | +-1) / p_j(x)`; 1 for the rate-only parameter.
    #[must_use]
    pub fn response(&self, process: TrueProcess, nuisance: Nuisance, side: Side, x: &Point) -> f64 {
        match nuisance {
            Nuisance::Rate => 1.0,
            Nuisance::Shape => side.of(self.responses(x)[process as usize]),
        }
    }

    /// `p_j(x)`.
    #[must_use]
    pub fn density(&self, process: TrueProcess, x: &Point) -> f64 {
        self.of(&process.composition(), x) / self.events(process)
    }

    /// `r_j(x) = p_j(x) / p_ref(x)` with
    /// `p_ref = sum_k nu_k p_k / sum_k nu_k` over `reference`, which must not be empty.
    #[must_use]
    pub fn ratio(&self, process: TrueProcess, reference: &[TrueProcess], x: &Point) -> f64 {
        self.ratios(reference, x)[process as usize]
    }

    /// [`ratio`](Self::ratio) of every process, in the order of [`TrueProcess::ALL`].
    #[must_use]
    pub fn ratios(&self, reference: &[TrueProcess], x: &Point) -> [f64; 3] {
        let parts = self.parts(x);
        let sums = TrueProcess::ALL.map(|process| parts.sum(&process.composition()));
        let total: f64 = reference.iter().map(|k| self.events(*k)).sum();
        let density = reference.iter().map(|k| sums[*k as usize]).sum::<f64>() / total;
        std::array::from_fn(|j| sums[j] / self.events[j] / density)
    }

    /// [`response`](Self::response) of every process to the shape-and-rate parameter,
    /// up and down.
    #[must_use]
    pub fn responses(&self, x: &Point) -> [UpDown; 3] {
        self.responses_to(self.response.at(x).sin())
    }

    /// The responses where `h` has a value.
    pub(super) fn responses_to(&self, h: f64) -> [UpDown; 3] {
        let sizes = self.config.shape.size;
        self.mean_response
            .map(|mean| sizes.map(|size| (1.0 + size * h) / (1.0 + size * mean)))
    }

    /// Expected events, `nu`.
    ///
    /// # Errors
    /// Parameters outside their domain.
    pub fn expected(&self, truth: &Truth) -> Result<f64> {
        let factors = self.factors(truth)?;
        let terms = factors.iter().zip(&self.events).map(|(f, nu)| f * nu);
        Ok(terms.sum())
    }

    /// The density of events, `nu p(x | mu, a)`: its integral is
    /// [`expected`](Self::expected).
    ///
    /// # Errors
    /// Parameters outside their domain.
    pub fn intensity(&self, truth: &Truth, x: &Point) -> Result<f64> {
        Ok(self.of(&self.at(truth)?, x))
    }

    /// `f_j(mu) G_j G'_j`.
    fn factors(&self, truth: &Truth) -> Result<[f64; 3]> {
        truth.check()?;
        let f = Self::coefficients(truth.mu);
        Ok(std::array::from_fn(|j| {
            let factor = |nuisance, a| {
                let UpDown { up, down } = self.rates(TrueProcess::ALL[j], nuisance);
                Interpolation::Code4.relative(a, down, up)[0]
            };
            let shape = factor(Nuisance::Shape, truth.shape);
            f[j] * shape * factor(Nuisance::Rate, truth.rate)
        }))
    }

    /// The composition of the events at a point of the parameters.
    pub(super) fn at(&self, truth: &Truth) -> Result<Composition> {
        let size = match truth.shape {
            a if a > 0.0 => self.config.shape.size.up,
            a if a < 0.0 => self.config.shape.size.down,
            _ => 0.0,
        };
        let factors = self.factors(truth)?;
        let [s, sbi, b] =
            std::array::from_fn(|j| factors[j] / (1.0 + size * self.mean_response[j]));
        let composition = Composition {
            signal: s + sbi,
            background: b + sbi,
            interference: sbi,
            tilt: size,
        };
        if !self.is_positive(&composition) {
            return Err(Error::config(format!(
                "interference model: at mu = {} and the rate parameter at {} the intensity is \
                 negative for some events; make the rates of signal, together and background \
                 under `rate` more alike, or the incoherent background larger",
                truth.mu, truth.rate
            )));
        }
        Ok(composition)
    }

    /// The composition of one process, at one side of the shape variation or nominal.
    pub(super) fn of_process(&self, process: TrueProcess, side: Option<Side>) -> Composition {
        Composition {
            tilt: side.map_or(0.0, |side| side.of(self.config.shape.size)),
            ..process.composition()
        }
    }

    /// Whether the intensity is positive everywhere: the quadratic form in the two
    /// amplitudes, to which the incoherent background adds the share `q` of `|A_B|^2`
    /// or more, is not negative.
    fn is_positive(&self, composition: &Composition) -> bool {
        let Composition {
            signal: a,
            background: b,
            interference,
            ..
        } = *composition;
        let config = &self.config;
        let q = self.incoherent.least_ratio(&self.background) * config.incoherent.events
            / config.background.events;
        let c = config.coherence * interference;
        // rounding in a - b, where they are equal by construction
        a >= 0.0 && b >= 0.0 && c * c <= a * b * (1.0 + q) * (1.0 + 1e-12)
    }

    /// The intensity of a composition.
    pub(super) fn of(&self, composition: &Composition, x: &Point) -> f64 {
        let sum = self.parts(x).sum(composition);
        if composition.tilt == 0.0 {
            return sum;
        }
        sum * (1.0 + composition.tilt * self.response.at(x).sin())
    }

    fn parts(&self, x: &Point) -> Parts {
        let config = &self.config;
        let signal = config.signal.events * self.signal.log_density(x).exp();
        let background = config.background.events * self.background.log_density(x).exp();
        let amplitudes = (signal * background).sqrt();
        Parts {
            signal,
            background,
            incoherent: config.incoherent.events * self.incoherent.log_density(x).exp(),
            interference: 2.0 * config.coherence * amplitudes * self.beat.at(x).cos(),
        }
    }
}

impl Parts {
    /// Without the tilt.
    fn sum(&self, composition: &Composition) -> f64 {
        composition.signal * self.signal
            + composition.background * (self.background + self.incoherent)
            + composition.interference * self.interference
    }
}
