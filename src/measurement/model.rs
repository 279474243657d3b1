//! The parameters of a measurement, and its likelihood.

use super::plan::{Plan, ProcessPlan, shape_code};
use super::samples::{Binned, Template, binned};
use crate::error::{Context, Error, Kind, Result};
use crate::settings::{Coordinate, FINITE_SAMPLE, Measurement};
use sideband_likelihood::histogram::{
    Factor, HistogramChannel, HistogramModel, Modifier, Template as HistogramTemplate,
};
use sideband_likelihood::{
    Coefficient, Constraint, CorrelatedPrior, Model, Parameter, Process, Rate, RateResponse, Role,
    Sample, Spline, Term, UnbinnedChannel,
};
use std::fmt::Display;
use std::sync::Arc;

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
            let role = match measurement.measurement.interest.contains(name) {
                true => Role::Interest,
                false => Role::Nuisance,
            };
            let parameter = Parameter {
                name: name.clone(),
                role,
                nominal: inner(p.nominal),
                bounds: (inner(p.bounds[0]), inner(p.bounds[1])),
                constraint: p
                    .constraint
                    .map(|[centre, width]| Constraint { centre, width }),
            };
            all.push(parameter, p.fit, p.label.as_ref());
        }
        for (name, systematic) in &measurement.systematics {
            let parameter = Parameter::nuisance(name);
            all.push(parameter, Coordinate::Linear, systematic.label.as_ref());
        }
        if all.finite_sample.is_some() {
            let label = "finite training sample".to_owned();
            let parameter = Parameter::nuisance(FINITE_SAMPLE);
            all.push(parameter, Coordinate::Linear, Some(&label));
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

    fn push(&mut self, parameter: Parameter, coordinate: Coordinate, label: Option<&String>) {
        self.labels.push(label.unwrap_or(&parameter.name).clone());
        self.list.push(parameter);
        self.coordinates.push(coordinate);
    }

    /// Place of a parameter.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|p| p.name == name)
    }

    /// The nominal point, in the fit's coordinates.
    pub(super) fn nominal(&self) -> Vec<f64> {
        self.list.iter().map(|p| p.nominal).collect()
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

    /// Whether all coefficients can be read and have derivatives, and correlations are some.
    pub(super) fn check(&self, measurement: &Measurement) -> Result<()> {
        for process in measurement.samples.keys() {
            let coefficient = self.coefficient(measurement, process)?;
            self.check_roots(process, &coefficient)?;
        }
        self.correlations(measurement)?;
        Ok(())
    }

    /// Whether a coefficient has derivatives where a parameter that is fitted in its root is 0.
    fn check_roots(&self, process: &str, coefficient: &Coefficient) -> Result<()> {
        let count = coefficient.places().len();
        for (own, place) in coefficient.places().iter().enumerate() {
            let parameter = &self.list[*place];
            if self.coordinates[*place] == Coordinate::Linear || parameter.bounds.0 > 0.0 {
                continue;
            }
            let mut point = self.nominal();
            point[*place] = 0.0;
            let jet = coefficient.jet(&point);
            let slopes = [jet.gradient[own], jet.hessian[own * count + own]];
            // a value that is none is said elsewhere
            if jet.value.is_finite() && slopes.iter().any(|slope| !slope.is_finite()) {
                let name = &parameter.name;
                return Err(Error::config_at(
                    format!("samples.{process}.coefficient"),
                    format!(
                        "`{}` has no derivatives in the root of {name} where that is 0, which \
                         `fit = \"sqrt\"` needs; write roots of {name} as `sqrt({name})`, or as \
                         `sqrt(c * {name})` with a c without {name}: `sqrt({name} * (1 + {name}))` \
                         is `sqrt({name}) * sqrt(1 + {name})`",
                        coefficient.text()
                    ),
                ));
            }
        }
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
                interpolation: measurement.systematics[systematic].interpolation.into(),
            })
        });
        let coefficient = self.coefficient(measurement, &process.name)?;
        Rate::new(coefficient, process.rate(), responses.collect())
            .key(Kind::Data, format!("samples.{}", process.name))
    }
}

/// What is read of a measurement, and its parameters: likelihoods are made of it, and looked
/// at in its units.
#[derive(Clone, Copy)]
pub(super) struct Analysis<'a> {
    pub measurement: &'a Measurement,
    pub plan: &'a Plan,
    pub parameters: &'a Parameters,
}

/// A histogram that is asked for.
#[derive(Clone, Debug)]
pub(super) struct HistogramRequest {
    pub name: String,
    /// Its place among the plan's templates.
    pub number: usize,
    /// Its counts; those expected at the nominal point without them.
    pub observed: Option<Vec<f64>>,
    /// Parameters for the finite number of simulated events.
    pub statistical: bool,
}

impl HistogramRequest {
    /// All of a measurement, with the observed contents if there are some. `is_fitted`:
    /// without that of the region that is measured without bins.
    pub(super) fn all(
        measurement: &Measurement,
        observed: &[Template],
        is_fitted: bool,
    ) -> Vec<Self> {
        let histograms = binned(measurement).into_iter().enumerate();
        let wanted = histograms.filter(|(_, histogram)| histogram.is_fitted || !is_fitted);
        let of = |(number, histogram): (usize, Binned<'_>)| Self {
            name: histogram.name.to_owned(),
            number,
            observed: observed.get(number).map(|t| t.contents.clone()),
            statistical: histogram.statistical,
        };
        wanted.map(of).collect()
    }
}

/// The likelihood cannot be made of what was trained.
pub(super) fn no_likelihood(e: impl Display) -> Error {
    let text = format!("the likelihood cannot be made: {e}");
    Error::new(Kind::Likelihood, text)
}

/// The likelihood of channels, the events without bins as a term. Histograms may have appended
/// parameters.
pub(super) fn model(
    parameters: Vec<Parameter>,
    unbinned: Arc<dyn Term>,
    histograms: Vec<HistogramChannel>,
    prior: Option<Arc<CorrelatedPrior>>,
) -> Model {
    let histograms = histograms.into_iter().map(|c| Arc::new(c) as Arc<dyn Term>);
    let terms = std::iter::once(unbinned).chain(histograms);
    Model::new(parameters, terms.collect()).with_prior(prior)
}

impl Analysis<'_> {
    /// All processes with their rates.
    pub(super) fn processes(&self) -> Result<Vec<Process>> {
        let all = self.plan.processes.iter();
        all.map(|process| self.process(process)).collect()
    }

    /// Those of the region that is measured without bins.
    pub(super) fn unbinned_processes(&self) -> Result<Vec<Process>> {
        let own = self.plan.measured();
        own.map(|process| self.process(process)).collect()
    }

    fn process(&self, process: &ProcessPlan) -> Result<Process> {
        Ok(Process {
            name: process.name.clone(),
            rate: self.parameters.rate(self.measurement, self.plan, process)?,
        })
    }

    /// The channel of events without bins, of a model with `parameters`. `reference`:
    /// events of the reference, for the normalisation.
    pub(super) fn unbinned(
        &self,
        events: Sample,
        reference: Option<&Sample>,
        parameters: &[Parameter],
    ) -> Result<UnbinnedChannel> {
        let settings = &self.measurement.measurement;
        let mut channel = UnbinnedChannel::new(self.unbinned_processes()?, events, parameters)
            .and_then(|c| c.with_policy(settings.not_positive.into()))
            .map_err(no_likelihood)?;
        if let Some(reference) = reference {
            channel = channel
                .with_reference(reference.clone())
                .map_err(no_likelihood)?;
            if settings.renormalise {
                channel = channel.with_renormalisation().map_err(no_likelihood)?;
            }
        }
        Ok(channel)
    }

    /// Histograms, by their places among the plan's templates, as a model: for the
    /// statistical error of their bins it has parameters that are appended.
    pub(super) fn histograms(&self, asked: &[HistogramRequest]) -> Result<HistogramModel> {
        let mut parameters = self.parameters.list.clone();
        let mut fixed = self.fixed();
        let mut parts = Vec::new();
        for histogram in asked {
            let of = |process| self.template(process, histogram.number);
            let processes = self.plan.processes.iter();
            let mut templates = processes.map(of).collect::<Result<Vec<_>>>()?;
            let has_error = self.plan.processes.iter().any(|p| p.is_statistical);
            if histogram.statistical && has_error {
                let idle = self.add_statistical(histogram, &mut templates, &mut parameters);
                fixed.extend(idle.into_iter().map(|place| (place, 1.0)));
            }
            parts.push(templates);
        }
        let nominal: Vec<f64> = parameters.iter().map(|p| p.nominal).collect();
        let build = |(histogram, templates): (&HistogramRequest, Vec<HistogramTemplate>)| {
            let bins = templates[0].nominal.len();
            let counts = histogram.observed.clone();
            let counts = counts.unwrap_or_else(|| vec![0.0; bins]);
            let channel =
                HistogramChannel::new(&histogram.name, templates, counts, parameters.len())?;
            match histogram.observed {
                Some(_) => Ok(channel),
                None => channel.with_observed(channel.expected(&nominal)),
            }
        };
        let channels = asked.iter().zip(parts).map(build);
        let channels = channels.collect::<Result<_, _>>();
        Ok(HistogramModel {
            channels: channels.map_err(no_likelihood)?,
            parameters,
            fixed,
            constraints: Vec::new(),
        })
    }

    /// Parameters that no fit moves, at their nominal values.
    pub(super) fn fixed(&self) -> Vec<(usize, f64)> {
        let names = self.measurement.measurement.fixed.iter();
        names
            .filter_map(|name| self.parameters.place(name))
            .map(|place| (place, self.parameters.list[place].nominal))
            .collect()
    }

    fn template(&self, process: &ProcessPlan, number: usize) -> Result<HistogramTemplate> {
        let scaled =
            |bins: &[f64]| -> Vec<f64> { bins.iter().map(|x| process.scale * x).collect() };
        let coefficient = self
            .parameters
            .coefficient(self.measurement, &process.name)?;
        let mut template = HistogramTemplate {
            name: process.name.clone(),
            nominal: scaled(&process.templates[number].contents),
            factors: vec![Factor::Coefficient(coefficient)],
            modifiers: Vec::new(),
        };
        let varied = self.plan.of_process(&process.name);
        for (systematic, varied) in varied {
            let Some(parameter) = self.parameters.place(systematic) else {
                continue;
            };
            let config = &self.measurement.systematics[systematic];
            let effect = varied.in_channel(process, number, config);
            if let Some([low, high]) = effect.rates {
                template.factors.push(Factor::Response(RateResponse {
                    parameter,
                    low,
                    high,
                    interpolation: config.interpolation.into(),
                }));
            }
            if let Some(sides) = effect.shapes {
                let [low, high] = sides.map(|side| scaled(&side));
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

    /// One parameter a bin for the finite number of events, common to all
    /// processes that have such an error, in quadrature at the nominal point; where nothing is expected there, of
    /// the samples as they were simulated. The places of those of empty bins, which
    /// measure nothing, come back: they are fixed.
    fn add_statistical(
        &self,
        histogram: &HistogramRequest,
        templates: &mut [HistogramTemplate],
        parameters: &mut Vec<Parameter>,
    ) -> Vec<usize> {
        let (name, number) = (&histogram.name, histogram.number);
        let nominal = self.parameters.nominal();
        let bins = templates[0].nominal.len();
        let first = parameters.len();
        let mut idle = Vec::new();
        for bin in 0..bins {
            // relative to the sum, of templates times factors
            let width = |factor: &dyn Fn(&HistogramTemplate) -> f64| {
                let (mut sum, mut variance) = (0.0, 0.0);
                let all = templates.iter().zip(&self.plan.processes);
                for (template, process) in all.filter(|(_, p)| p.is_statistical) {
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
        let all = templates.iter_mut().zip(&self.plan.processes);
        for (template, _) in all.filter(|(_, p)| p.is_statistical) {
            template.modifiers.push(Modifier::PerBin {
                parameters: (first..first + bins).collect(),
            });
        }
        idle
    }
}
