//! The parameters of a measurement, and its likelihood.

use super::columns::Columns;
use super::plan::{Plan, ProcessPlan};
use crate::error::{Context, Error, Kind, Result};
use crate::settings::{
    Coordinate, FINITE_SAMPLE, InterpolationCode, Measurement, NotPositiveConfig,
};
use sideband_likelihood::histogram::{
    Factor, HistogramChannel, HistogramModel, Modifier, Template as HistogramTemplate,
};
use sideband_likelihood::{
    Coefficient, Constraint, CorrelatedPrior, Interpolation, Model, Parameter, Rate, RateResponse,
    Role, Spline, Term,
};
use sideband_likelihood::{NotPositive, Process, Sample, UnbinnedChannel};
use std::fmt::Display;
use std::sync::Arc;

/// Density below which the logarithm goes on linearly, in units of the reference.
const BARRIER: f64 = 1e-3;

/// The parameters of a measurement.
#[derive(Clone, Debug)]
pub(super) struct Parameters {
    /// As a fit sees them: those of `[parameters]`, the systematic uncertainties, the
    /// finite training sample, the bins of `[channels]`.
    pub list: Vec<Parameter>,
    /// In what each is fitted.
    pub coordinates: Vec<Coordinate>,
    /// How each is called in plots.
    pub labels: Vec<String>,
    /// Error of the first parameter of interest from the finite training sample, in the
    /// fit's coordinate and as a function of it.
    pub finite_sample: Option<Arc<Spline>>,
    /// Correlations of the auxiliary measurements.
    pub prior: Option<Arc<CorrelatedPrior>>,
}

impl Parameters {
    pub(super) fn new(measurement: &Measurement, finite_sample: Option<Spline>) -> Self {
        let mut all = Self {
            list: Vec::new(),
            coordinates: Vec::new(),
            labels: Vec::new(),
            finite_sample: finite_sample.map(Arc::new),
            prior: None,
        };
        for (name, p) in &measurement.parameters {
            let inner = |x: f64| match p.fit {
                Coordinate::Linear => x,
                Coordinate::Sqrt => x.sqrt(),
            };
            let is_interest = measurement.measurement.interest.contains(name);
            let parameter = Parameter {
                name: name.clone(),
                role: if is_interest {
                    Role::Interest
                } else {
                    Role::Nuisance
                },
                nominal: inner(p.nominal),
                bounds: (inner(p.bounds[0]), inner(p.bounds[1])),
                constraint: p
                    .constraint
                    .map(|[centre, width]| Constraint { centre, width }),
            };
            let label = p.label.clone().unwrap_or_else(|| name.clone());
            all.push(parameter, p.fit, label);
        }
        for (name, systematic) in &measurement.systematics {
            let label = systematic.label.clone().unwrap_or_else(|| name.clone());
            all.push(Parameter::nuisance(name), Coordinate::Linear, label);
        }
        if all.finite_sample.is_some() {
            let label = "finite training sample".to_owned();
            all.push(
                Parameter::nuisance(FINITE_SAMPLE),
                Coordinate::Linear,
                label,
            );
        }
        // what is wrong with them is said by `check`
        all.prior = all.correlations(measurement).ok().flatten().map(Arc::new);
        all
    }

    /// Correlations of the auxiliary measurements, if there are any.
    fn correlations(&self, measurement: &Measurement) -> Result<Option<CorrelatedPrior>> {
        let pairs = &measurement.measurement.correlations;
        if pairs.is_empty() {
            return Ok(None);
        }
        let mut names: Vec<&String> = pairs.iter().flat_map(|pair| &pair.parameters).collect();
        names.sort();
        names.dedup();
        let m = names.len();
        let mut matrix = vec![0.0; m * m];
        (0..m).for_each(|i| matrix[i * m + i] = 1.0);
        for pair in pairs {
            let place = |name: &String| names.iter().position(|n| *n == name);
            let [one, other] = &pair.parameters;
            if let (Some(i), Some(j)) = (place(one), place(other)) {
                matrix[i * m + j] = pair.coefficient;
                matrix[j * m + i] = pair.coefficient;
            }
        }
        let places = names.iter().filter_map(|name| self.place(name));
        let prior = CorrelatedPrior::new(places.collect(), &matrix)
            .key(Kind::Config, "measurement.correlations")?;
        Ok(Some(prior))
    }

    fn push(&mut self, parameter: Parameter, coordinate: Coordinate, label: String) {
        self.list.push(parameter);
        self.coordinates.push(coordinate);
        self.labels.push(label);
    }

    /// Place of a parameter.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|p| p.name == name)
    }

    /// What a fit's coordinate is as a value of the parameter.
    pub(super) fn value(&self, place: usize, coordinate: f64) -> f64 {
        match self.coordinates[place] {
            Coordinate::Linear => coordinate,
            Coordinate::Sqrt => coordinate * coordinate,
        }
    }

    /// The other way round.
    pub(super) fn coordinate(&self, place: usize, value: f64) -> f64 {
        match self.coordinates[place] {
            Coordinate::Linear => value,
            Coordinate::Sqrt => value.max(0.0).sqrt(),
        }
    }

    /// The error of a parameter, from that of its coordinate.
    pub(super) fn error(&self, place: usize, coordinate: f64, error: f64) -> f64 {
        match self.coordinates[place] {
            Coordinate::Linear => error,
            Coordinate::Sqrt => 2.0 * coordinate * error,
        }
    }

    /// Whether all coefficients can be read, and correlations are some.
    pub(super) fn check(&self, measurement: &Measurement) -> Result<()> {
        for process in measurement.samples.keys() {
            self.coefficient(measurement, process)?;
        }
        self.correlations(measurement)?;
        Ok(())
    }

    /// The coefficient of a process in the fit's coordinates.
    fn coefficient(&self, measurement: &Measurement, process: &str) -> Result<Coefficient> {
        let key = format!("samples.{process}.coefficient");
        let text = &measurement.samples[process].coefficient;
        let own = measurement.parameters.len();
        let names: Vec<&str> = self.list[..own].iter().map(|p| p.name.as_str()).collect();
        let mut coefficient = Coefficient::parse(text, &names).key(Kind::Config, &key)?;
        for place in (0..own).filter(|k| self.coordinates[*k] == Coordinate::Sqrt) {
            coefficient = coefficient.with_square(place);
        }
        let interest = self.place(&measurement.measurement.interest[0]);
        let by = self.place(FINITE_SAMPLE);
        if let (Some(size), Some(place), Some(by)) = (&self.finite_sample, interest, by) {
            // the square of a root is never negative; a parameter that is fitted itself
            // stays above its bound if that is not negative
            let (lowest, _) = self.list[place].bounds;
            let is_linear = self.coordinates[place] == Coordinate::Linear;
            let floor = (is_linear && lowest >= 0.0).then_some(lowest);
            coefficient = coefficient.with_shift(place, by, size, floor);
        }
        Ok(coefficient)
    }

    /// The rate of a process.
    fn rate(&self, measurement: &Measurement, plan: &Plan, process: &ProcessPlan) -> Result<Rate> {
        let varied = plan.of_process(&process.name);
        let responses = varied.filter_map(|(systematic, varied)| {
            Some(RateResponse {
                parameter: self.place(systematic)?,
                low: varied.rates[0],
                high: varied.rates[1],
                interpolation: code(measurement.systematics[systematic].interpolation),
            })
        });
        let coefficient = self.coefficient(measurement, &process.name)?;
        Rate::new(coefficient, process.rate(), responses.collect())
            .key(Kind::Data, format!("samples.{}", process.name))
    }
}

/// The interpolation that the configuration names.
pub(super) fn code(code: InterpolationCode) -> Interpolation {
    match code {
        InterpolationCode::Code0 => Interpolation::Code0,
        InterpolationCode::Code1 => Interpolation::Code1,
        InterpolationCode::Code4 => Interpolation::Code4,
        InterpolationCode::Code4p => Interpolation::Code4p,
    }
}

/// How the shape of a histogram is interpolated where densities of events are by `density`:
/// by the same code if that adds terms, which is then exact. Codes 1 and 4 multiply event by
/// event, which bins cannot know: bins have code 4p, as in pyhf.
pub(super) fn shape_code(density: InterpolationCode) -> Interpolation {
    let code = code(density);
    if code.is_factor() {
        Interpolation::Code4p
    } else {
        code
    }
}

/// A histogram that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    pub name: String,
    /// Its place among the plan's templates.
    pub number: usize,
    /// Its counts; those expected at the nominal point without them.
    pub observed: Option<Vec<f64>>,
    /// Parameters for the finite number of simulated events.
    pub statistical: bool,
}

/// What makes likelihoods of a measurement's model.
pub(super) struct Builder<'a> {
    pub measurement: &'a Measurement,
    pub plan: &'a Plan,
    pub parameters: &'a Parameters,
}

/// The likelihood cannot be made of what was trained.
pub(super) fn no_likelihood(e: impl Display) -> Error {
    let text = format!("the likelihood cannot be made: {e}");
    Error::new(Kind::Likelihood, text)
}

impl Builder<'_> {
    /// The processes with their rates.
    pub(super) fn processes(&self) -> Result<Vec<Process>> {
        let of = |process: &ProcessPlan| {
            Ok(Process {
                name: process.name.clone(),
                rate: self.parameters.rate(self.measurement, self.plan, process)?,
            })
        };
        self.plan.processes.iter().map(of).collect()
    }

    /// The channel of events without bins, of a model with `parameters`. `reference`:
    /// events of the reference, for the normalisation.
    pub(super) fn unbinned(
        &self,
        events: &Columns,
        reference: Option<&Sample>,
        parameters: &[Parameter],
    ) -> Result<UnbinnedChannel> {
        let policy = match self.measurement.measurement.not_positive {
            NotPositiveConfig::Error => NotPositive::Error,
            NotPositiveConfig::Barrier => NotPositive::Barrier { relative: BARRIER },
        };
        let mut channel = UnbinnedChannel::new(self.processes()?, events.sample()?, parameters)
            .and_then(|c| c.with_policy(policy))
            .map_err(no_likelihood)?;
        if let Some(reference) = reference {
            channel = channel
                .with_reference(reference.clone())
                .map_err(no_likelihood)?;
            if self.measurement.measurement.renormalise {
                channel = channel.with_renormalisation().map_err(no_likelihood)?;
            }
        }
        Ok(channel)
    }

    /// Histograms, by their places among the plan's templates, as a model: for the
    /// statistical error of their bins it has parameters that are appended.
    pub(super) fn histograms(&self, asked: &[Histogram]) -> Result<HistogramModel> {
        let mut parameters = self.parameters.list.clone();
        let mut fixed = self.fixed();
        let mut parts = Vec::new();
        for histogram in asked {
            let of = |process| self.template(process, histogram.number);
            let mut templates: Vec<HistogramTemplate> = self
                .plan
                .processes
                .iter()
                .map(of)
                .collect::<Result<_, _>>()?;
            if histogram.statistical {
                let idle = self.add_statistical(histogram, &mut templates, &mut parameters);
                fixed.extend(idle.into_iter().map(|place| (place, 1.0)));
            }
            parts.push(templates);
        }
        let nominal: Vec<f64> = parameters.iter().map(|p| p.nominal).collect();
        let build = |(histogram, templates): (&Histogram, Vec<HistogramTemplate>)| {
            let bins = templates[0].nominal.len();
            let counts = histogram
                .observed
                .clone()
                .unwrap_or_else(|| vec![0.0; bins]);
            let channel =
                HistogramChannel::new(&histogram.name, templates, counts, parameters.len())?;
            match histogram.observed {
                Some(_) => Ok(channel),
                None => channel.with_observed(channel.expected(&nominal)),
            }
        };
        let channels = asked.iter().zip(parts).map(build);
        let channels = channels
            .collect::<Result<Vec<_>, _>>()
            .map_err(no_likelihood)?;
        Ok(HistogramModel {
            parameters,
            fixed,
            channels,
            constraints: Vec::new(),
        })
    }

    /// Parameters that no fit moves, at their nominal values.
    fn fixed(&self) -> Vec<(usize, f64)> {
        let names = self.measurement.measurement.fixed.iter();
        names
            .filter_map(|name| self.parameters.place(name))
            .map(|place| (place, self.parameters.list[place].nominal))
            .collect()
    }

    fn template(&self, process: &ProcessPlan, number: usize) -> Result<HistogramTemplate> {
        let scaled = |t: &super::samples::Template| -> Vec<f64> {
            t.contents.iter().map(|x| process.scale * x).collect()
        };
        let coefficient = self
            .parameters
            .coefficient(self.measurement, &process.name)?;
        let mut template = HistogramTemplate {
            name: process.name.clone(),
            nominal: scaled(&process.templates[number]),
            factors: vec![Factor::Coefficient(coefficient)],
            modifiers: Vec::new(),
        };
        let varied = self.plan.of_process(&process.name);
        for (systematic, varied) in varied {
            let Some(parameter) = self.parameters.place(systematic) else {
                continue;
            };
            let config = &self.measurement.systematics[systematic];
            let fixed = config.rates.contains_key(&process.name);
            let nominal = &process.templates[number];
            let effect = varied.in_channel(nominal, number, (config.shape, fixed));
            if let Some([low, high]) = effect.rates {
                template.factors.push(Factor::Response(RateResponse {
                    parameter,
                    low,
                    high,
                    interpolation: code(config.interpolation),
                }));
            }
            if let Some(sides) = effect.shapes {
                let [low, high] =
                    sides.map(|side| side.iter().map(|x| process.scale * x).collect());
                template.modifiers.push(Modifier::Shape {
                    parameter,
                    low,
                    high,
                    code: shape_code(config.density_interpolation),
                });
            }
        }
        Ok(template)
    }

    /// One parameter a bin for the finite number of simulated events, common to all
    /// processes, in quadrature at the nominal point; where nothing is expected there, of
    /// the samples as they were simulated. The places of those of empty bins, which
    /// measure nothing, come back: they are fixed.
    fn add_statistical(
        &self,
        histogram: &Histogram,
        templates: &mut [HistogramTemplate],
        parameters: &mut Vec<Parameter>,
    ) -> Vec<usize> {
        let (name, number) = (&histogram.name, histogram.number);
        let nominal: Vec<f64> = self.parameters.list.iter().map(|p| p.nominal).collect();
        let bins = templates[0].nominal.len();
        let first = parameters.len();
        let mut idle = Vec::new();
        for bin in 0..bins {
            // relative to the sum, of templates times factors
            let width = |factor: &dyn Fn(&HistogramTemplate) -> f64| {
                let (mut sum, mut variance) = (0.0, 0.0);
                for (template, process) in templates.iter().zip(&self.plan.processes) {
                    let factor = factor(template);
                    sum += factor * template.nominal[bin];
                    let own = &process.templates[number].variances;
                    variance += (factor * process.scale).powi(2) * own[bin];
                }
                (sum > 0.0 && variance > 0.0).then(|| variance.sqrt() / sum)
            };
            let expected = |template: &HistogramTemplate| match &template.factors[0] {
                Factor::Coefficient(f) => f.value(&nominal),
                _ => 1.0,
            };
            let width = width(&expected).or_else(|| width(&|_| 1.0));
            if width.is_none() {
                idle.push(parameters.len());
            }
            parameters.push(Parameter {
                name: format!("staterror_{name}[{bin}]"),
                role: Role::Nuisance,
                nominal: 1.0,
                bounds: (1e-10, 10.0),
                constraint: Some(Constraint {
                    centre: 1.0,
                    width: width.unwrap_or(1.0).max(1e-9),
                }),
            });
        }
        for template in templates {
            template.modifiers.push(Modifier::PerBin {
                parameters: (first..first + bins).collect(),
            });
        }
        idle
    }

    /// The likelihood of channels. Histograms may have appended parameters.
    pub(super) fn model(
        parameters: Vec<Parameter>,
        unbinned: Option<UnbinnedChannel>,
        histograms: Vec<HistogramChannel>,
    ) -> Model {
        let unbinned = unbinned.map(|c| Arc::new(c) as Arc<dyn Term>);
        Self::model_of(parameters, unbinned, histograms)
    }

    /// The likelihood of channels, the events without bins as a term.
    pub(super) fn model_of(
        parameters: Vec<Parameter>,
        unbinned: Option<Arc<dyn Term>>,
        histograms: Vec<HistogramChannel>,
    ) -> Model {
        let unbinned = unbinned.into_iter();
        let histograms = histograms.into_iter().map(|c| Arc::new(c) as Arc<dyn Term>);
        Model::new(parameters, unbinned.chain(histograms).collect())
    }
}
