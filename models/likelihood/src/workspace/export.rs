//! From parameters and channels to a workspace.

use super::schema;
use super::sets::Kind;
use crate::error::Error;
use crate::histogram::{
    Factor, HistogramChannel, HistogramModel, Modifier, PoissonConstraint, Template,
};
use crate::{Coefficient, Interpolation, Likelihood as _, Role};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What pyhf has to be told beside the workspace: `modifier_settings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Interpolation of `normsys`.
    pub rates: Interpolation,
    /// Interpolation of `histosys`.
    pub shapes: Interpolation,
}

impl Settings {
    /// As pyhf takes it.
    pub fn to_json(self) -> Value {
        json!({
            "normsys": {"interpcode": self.rates.name()},
            "histosys": {"interpcode": self.shapes.name()},
        })
    }
}

/// Writes a model as a workspace of schema 1.0.0 with one measurement, and the
/// interpolation codes that pyhf needs beside it.
///
/// A free parameter that scales samples becomes a `normfactor`, one with a
/// Gaussian constraint `lumi`; parameters of the bins become `staterror`,
/// `shapesys` or `shapefactor` by their constraint, and their names must be
/// `name[0]`, `name[1]`, ... A coefficient is written if all its parameters are fixed, or all
/// but one that it is a multiple of. A fixed parameter is `fixed` in the measurement.
///
/// # Errors
/// If HistFactory has no word for a part of the model.
pub fn export(model: &HistogramModel, measurement: &str) -> Result<(Value, Settings), Error> {
    let mut writer = Writer::new(model);
    let channels: Result<_, _> = model.channels.iter().map(|c| writer.channel(c)).collect();
    let observation = |channel: &HistogramChannel| schema::Observation {
        name: channel.name().to_owned(),
        data: channel.observed().to_vec(),
    };
    let interest = model.parameters.iter().find(|p| p.role == Role::Interest);
    let workspace = schema::Workspace {
        channels: channels?,
        measurements: vec![schema::Measurement {
            name: measurement.to_owned(),
            config: schema::Config {
                poi: interest.map(|p| p.name.clone()).unwrap_or_default(),
                parameters: writer.parameters()?,
            },
        }],
        observations: model.channels.iter().map(observation).collect(),
        version: schema::VERSION.to_owned(),
    };
    Ok((json!(workspace), writer.settings()))
}

/// What this program finds at one point, to be compared with what another finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReferencePoint {
    /// Value of each parameter, by name.
    pub parameters: serde_json::Map<String, Value>,
    /// Negative logarithm of the probability density, with all constants.
    pub negative_log_pdf: f64,
    /// Expected counts of each channel, by name.
    pub expected: serde_json::Map<String, Value>,
}

/// The values at some points `[n]` that `scripts/check_workspace.py` compares
/// with those of pyhf.
pub fn reference(model: &HistogramModel, points: &[Vec<f64>]) -> Vec<ReferencePoint> {
    let likelihood = model.likelihood();
    let names = || likelihood.parameters().iter().map(|p| p.name.clone());
    let one = |at: &Vec<f64>| {
        let channels = model.channels.iter();
        let expected = channels.map(|c| (c.name().to_owned(), json!(c.expected(at))));
        ReferencePoint {
            parameters: names().zip(at.iter().map(|x| json!(x))).collect(),
            negative_log_pdf: model.negative_log_pdf(at),
            expected: expected.collect(),
        }
    };
    points.iter().map(one).collect()
}

/// Collects what the parameters are used for while channels are written.
struct Writer<'a> {
    model: &'a HistogramModel,
    /// Kind and parameters of each name.
    sets: BTreeMap<String, (Kind, Vec<usize>)>,
    /// Samples of each channel that have a `staterror`, by its name.
    staterrors: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    rates: Option<Interpolation>,
    shapes: Option<Interpolation>,
}

/// Where a modifier is.
struct Site<'a> {
    channel: &'a HistogramChannel,
    template: &'a Template,
}

impl fmt::Display for Site<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (channel, sample) = (self.channel.name(), &self.template.name);
        write!(f, "channel `{channel}`, sample `{sample}`")
    }
}

impl<'a> Writer<'a> {
    fn new(model: &'a HistogramModel) -> Self {
        Self {
            model,
            sets: BTreeMap::new(),
            staterrors: BTreeMap::new(),
            rates: None,
            shapes: None,
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            rates: self.rates.unwrap_or(Interpolation::Code4),
            shapes: self.shapes.unwrap_or(Interpolation::Code4p),
        }
    }

    fn channel(&mut self, channel: &HistogramChannel) -> Result<schema::Channel, Error> {
        let samples = channel.templates().iter();
        let samples = samples.map(|template| self.sample(&Site { channel, template }));
        Ok(schema::Channel {
            name: channel.name().to_owned(),
            samples: samples.collect::<Result<_, _>>()?,
        })
    }

    fn sample(&mut self, site: &Site<'_>) -> Result<schema::Sample, Error> {
        let scale = self.scale(site.template);
        let mut modifiers = Vec::new();
        for factor in &site.template.factors {
            match factor {
                Factor::Parameter(parameter) => modifiers.push(self.scaling(*parameter)?),
                Factor::Coefficient(f) => {
                    if let Written::Parameter(parameter) = self.coefficient(site, f)? {
                        modifiers.push(self.scaling(parameter)?);
                    }
                }
                Factor::Response(response) => {
                    let (k, code) = (response.parameter, response.interpolation);
                    self.rates = Some(self.code(site, k, code, Use::Rate)?);
                    self.note(k, Kind::Alpha)?;
                    let data = json!({"lo": response.low, "hi": response.high});
                    modifiers.push(self.modifier(k, "normsys", data));
                }
            }
        }
        for modifier in &site.template.modifiers {
            modifiers.push(self.per_bin(site, modifier, scale)?);
        }
        Ok(schema::Sample {
            name: site.template.name.clone(),
            data: scaled(&site.template.nominal, scale),
            modifiers,
        })
    }

    /// A coefficient that is a number, or a multiple of a parameter. A parameter that is fixed
    /// and alone stays one, so that a reader may free it.
    fn coefficient(&self, site: &Site<'_>, f: &Coefficient) -> Result<Written, Error> {
        if let Some(parameter) = f.parameter()
            && (self.can_scale(parameter) || !self.is_fixed(parameter))
        {
            return Ok(Written::Parameter(parameter));
        }
        let mut free = f.places().iter().filter(|k| !self.is_fixed(**k));
        match (free.next(), free.next()) {
            (None, _) => return Ok(Written::Number),
            (Some(only), None) if f.has_factor(*only) => return Ok(Written::Parameter(*only)),
            _ => {}
        }
        let names: Vec<&str> = f.places().iter().map(|k| self.name(*k)).collect();
        Err(Error::new(format!(
            "{site}: the coefficient `{}` of {} is no normfactor; fix its parameters, all but one \
             that it is a multiple of, to export templates at one point",
            f.text(),
            names.join(" and ")
        )))
    }

    /// What multiplies a template's contents in the file: the product of the coefficients,
    /// those that are multiples of a parameter without it.
    fn scale(&self, template: &Template) -> f64 {
        let point = self.model.nominal();
        let number = |factor: &Factor| match factor {
            Factor::Coefficient(f) if f.parameter().is_some_and(|k| self.can_scale(k)) => None,
            Factor::Coefficient(f) => {
                let mut at = point.clone();
                let free = f.places().iter().filter(|k| !self.is_fixed(**k));
                free.for_each(|k| at[*k] = 1.0);
                Some(f.value(&at))
            }
            _ => None,
        };
        template.factors.iter().filter_map(number).product()
    }

    /// Whether a parameter can be a factor on samples: free, or the luminosity.
    fn can_scale(&self, parameter: usize) -> bool {
        let is_free = self.model.parameters[parameter].constraint.is_none();
        is_free || self.name(parameter) == "lumi"
    }

    fn scaling(&mut self, parameter: usize) -> Result<schema::Modifier, Error> {
        let kind = match self.model.parameters[parameter].constraint {
            None => Kind::NormFactor,
            Some(_) if self.can_scale(parameter) => Kind::Lumi,
            Some(_) => {
                return Err(self.problem(
                    parameter,
                    "scales samples and has a constraint, which a normfactor has not; name it \
                     `lumi` or use a response of the rate",
                ));
            }
        };
        self.note(parameter, kind)?;
        Ok(self.modifier(parameter, kind.name(), Value::Null))
    }

    fn per_bin(
        &mut self,
        site: &Site<'_>,
        modifier: &Modifier,
        scale: f64,
    ) -> Result<schema::Modifier, Error> {
        match modifier {
            Modifier::Shape {
                parameter,
                low,
                high,
                code,
            } => {
                self.shapes = Some(self.code(site, *parameter, *code, Use::Shape)?);
                self.note(*parameter, Kind::Alpha)?;
                let data = json!({"lo_data": scaled(low, scale), "hi_data": scaled(high, scale)});
                Ok(self.modifier(*parameter, "histosys", data))
            }
            Modifier::PerBin { parameters } => {
                let kind = self.kind_of(parameters)?;
                let name = self.base(parameters)?;
                self.note_all(&name, parameters, kind)?;
                if kind == Kind::StatError {
                    let channels = self.staterrors.entry(name.clone()).or_default();
                    let samples = channels.entry(site.channel.name().to_owned()).or_default();
                    samples.insert(site.template.name.clone());
                }
                let nominal = scaled(&site.template.nominal, scale);
                let data = match kind {
                    Kind::StatError => json!(self.shares(site, parameters, &nominal)),
                    Kind::ShapeSys => json!(self.errors(parameters, &nominal)),
                    _ => Value::Null,
                };
                Ok(schema::Modifier {
                    name,
                    kind: kind.name().to_owned(),
                    data,
                })
            }
        }
    }

    /// What parameters of the bins are, by their constraints.
    fn kind_of(&self, parameters: &[usize]) -> Result<Kind, Error> {
        let kind = |k: usize| match (&self.model.parameters[k].constraint, self.count(k)) {
            (None, None) => Some(Kind::ShapeFactor),
            (Some(_), None) => Some(Kind::StatError),
            (None, Some(_)) => Some(Kind::ShapeSys),
            (Some(_), Some(_)) => None,
        };
        let first = kind(parameters[0]);
        let is_odd = |k: &&usize| kind(**k) != first || first.is_none();
        match parameters.iter().find(is_odd) {
            Some(odd) => Err(self.problem(*odd, "is not constrained as the other bins are")),
            None => Ok(first.unwrap_or(Kind::ShapeFactor)),
        }
    }

    /// Absolute uncertainties of one sample, whose sum in quadrature over the
    /// samples that share the parameters is the width of the constraint.
    fn shares(&self, site: &Site<'_>, parameters: &[usize], nominal: &[f64]) -> Vec<f64> {
        let shares = |template: &&Template| {
            let own =
                |m: &Modifier| matches!(m, Modifier::PerBin { parameters: p } if p == parameters);
            template.modifiers.iter().any(own)
        };
        // contents as they are in the file
        let contents = |t: &Template| -> Vec<f64> {
            let scale = self.scale(t);
            t.nominal.iter().map(|n| scale * n).collect()
        };
        let templates = site.channel.templates().iter();
        let all: Vec<Vec<f64>> = templates.filter(shares).map(contents).collect();
        let one = |(bin, k): (usize, &usize)| {
            if self.is_fixed(*k) {
                return 0.0;
            }
            let constraint = self.model.parameters[*k].constraint;
            let width = constraint.map_or(0.0, |c| c.width);
            let total: f64 = all.iter().map(|t| t[bin]).sum();
            let absolute: f64 = all.iter().map(|t| t[bin].abs()).sum();
            if absolute == 0.0 {
                return 0.0;
            }
            width * total.abs() * (nominal[bin].abs() / absolute).sqrt()
        };
        parameters.iter().enumerate().map(one).collect()
    }

    /// Absolute uncertainties whose auxiliary counts are those of the parameters.
    fn errors(&self, parameters: &[usize], nominal: &[f64]) -> Vec<f64> {
        let one = |(n, k): (&f64, &usize)| match self.count(*k) {
            Some(count) if !self.is_fixed(*k) => n / count.tau.sqrt(),
            _ => 0.0,
        };
        nominal.iter().zip(parameters).map(one).collect()
    }

    /// The name before `[0]`, `[1]`, ...
    fn base(&self, parameters: &[usize]) -> Result<String, Error> {
        let split = |k: usize| {
            let (base, rest) = self.name(k).rsplit_once('[')?;
            let place: usize = rest.strip_suffix(']')?.parse().ok()?;
            Some((base.to_owned(), place))
        };
        let first = split(parameters[0]);
        for (i, k) in parameters.iter().enumerate() {
            let fits = match (&first, split(*k)) {
                (Some((base, start)), Some((other, place))) => *base == other && start + i == place,
                _ => false,
            };
            if !fits {
                let problem = "belongs to a bin; name such parameters `name[0]`, `name[1]`, ...";
                return Err(self.problem(*k, problem));
            }
        }
        Ok(first.map(|(base, _)| base).unwrap_or_default())
    }

    /// The code of a use, which must be one that pyhf has and that of the others.
    fn code(
        &self,
        site: &Site<'_>,
        parameter: usize,
        found: Interpolation,
        of: Use,
    ) -> Result<Interpolation, Error> {
        let (known, default) = match of {
            Use::Rate => (self.rates, Interpolation::Code4),
            Use::Shape => (self.shapes, Interpolation::Code4p),
        };
        let expected = known.unwrap_or(if found.is_factor() == default.is_factor() {
            found
        } else {
            default
        });
        if found == expected {
            return Ok(found);
        }
        Err(Error::new(format!(
            "{site}, parameter `{}`: interpolation {found:?} cannot be written beside \
             {expected:?}; a workspace has one of codes 1 and 4 for all rates and one of codes 0, \
             2 and 4p for all shapes",
            self.name(parameter)
        )))
    }

    fn modifier(&self, parameter: usize, kind: &str, data: Value) -> schema::Modifier {
        schema::Modifier {
            name: self.name(parameter).to_owned(),
            kind: kind.to_owned(),
            data,
        }
    }

    fn note(&mut self, parameter: usize, kind: Kind) -> Result<(), Error> {
        let constraint = self.model.parameters[parameter].constraint;
        if kind == Kind::Alpha && constraint.is_none_or(|c| c.width != 1.0) {
            return Err(self.problem(
                parameter,
                "interpolates; such a parameter has a constraint of width 1 in a workspace",
            ));
        }
        let name = self.name(parameter).to_owned();
        self.note_all(&name, &[parameter], kind)
    }

    /// Remembers the use of a name, or refuses a second one of another kind.
    fn note_all(&mut self, name: &str, parameters: &[usize], kind: Kind) -> Result<(), Error> {
        let entry = self.sets.entry(name.to_owned());
        let (known, places) = entry.or_insert_with(|| (kind, Vec::new()));
        let new = !places.contains(&parameters[0]);
        if *known != kind || (!new && kind == Kind::ShapeSys) {
            let problem = "is used by modifiers that cannot share it; give each its own";
            return Err(self.problem(parameters[0], problem));
        }
        if new {
            places.extend(parameters);
        }
        Ok(())
    }

    fn count(&self, parameter: usize) -> Option<&PoissonConstraint> {
        let mut constraints = self.model.constraints.iter();
        constraints.find(|c| c.parameter == parameter)
    }

    fn is_fixed(&self, parameter: usize) -> bool {
        let mut fixed = self.model.fixed.iter();
        fixed.any(|(place, _)| *place == parameter)
    }

    fn name(&self, parameter: usize) -> &'a str {
        &self.model.parameters[parameter].name
    }

    fn problem(&self, parameter: usize, problem: &str) -> Error {
        let name = self.name(parameter);
        Error::new(format!("parameter `{name}` {problem}"))
    }

    /// Refuses what pyhf cannot share between channels.
    fn check_staterrors(&self) -> Result<(), Error> {
        for (name, channels) in &self.staterrors {
            let mut samples = channels.values();
            let first = samples.next();
            if samples.any(|other| Some(other) != first) {
                let problem = "is a staterror of several channels, but not of the same samples; \
                               pyhf needs one name a channel then";
                return Err(self.problem(self.sets[name].1[0], problem));
            }
        }
        Ok(())
    }

    /// Settings of all parameters that are used.
    fn parameters(&self) -> Result<Vec<schema::Parameter>, Error> {
        self.check_staterrors()?;
        let settings =
            |(name, (kind, places)): (&String, &(Kind, Vec<usize>))| self.set(name, *kind, places);
        self.sets.iter().map(settings).collect()
    }

    fn set(&self, name: &str, kind: Kind, places: &[usize]) -> Result<schema::Parameter, Error> {
        let mut places = places.to_vec();
        places.sort_unstable();
        let all = |of: &dyn Fn(usize) -> f64| places.iter().map(|k| of(*k)).collect::<Vec<f64>>();
        let constraint = |k: usize| self.model.parameters[k].constraint;
        let counted = kind == Kind::ShapeSys;
        let gaussian = matches!(kind, Kind::Lumi | Kind::StatError | Kind::Alpha);
        let centre = |k| constraint(k).map_or(0.0, |c| c.centre);
        let tau = |k| self.count(k).map_or(1.0, |c| c.tau);
        let observed = |k| self.count(k).map_or(1.0, |c| c.observed);
        let parameters = &self.model.parameters;
        let endless = |k: &&usize| {
            let (low, high) = parameters[**k].bounds;
            !(low.is_finite() && high.is_finite())
        };
        if let Some(k) = places.iter().find(endless) {
            return Err(self.problem(*k, "has no finite bounds, which a workspace needs"));
        }
        Ok(schema::Parameter {
            name: name.to_owned(),
            inits: Some(all(&|k| self.model.nominal()[k])),
            bounds: Some(places.iter().map(|k| parameters[*k].bounds).collect()),
            auxdata: match (gaussian, counted) {
                (true, _) => Some(all(&centre)),
                (_, true) => Some(all(&observed)),
                _ => None,
            },
            factors: counted.then(|| all(&tau)),
            sigmas: matches!(kind, Kind::Lumi | Kind::StatError)
                .then(|| all(&|k| constraint(k).map_or(1.0, |c| c.width))),
            // left out where some bins are fixed: they have no uncertainty
            fixed: places.iter().all(|k| self.is_fixed(*k)).then_some(true),
        })
    }
}

/// What an interpolation is of.
enum Use {
    Rate,
    Shape,
}

/// A coefficient in words of HistFactory.
enum Written {
    /// It is in the contents, see [`Writer::scale`].
    Number,
    Parameter(usize),
}

fn scaled(values: &[f64], scale: f64) -> Vec<f64> {
    // no zero is written as negative
    values.iter().map(|x| x * scale + 0.0).collect()
}
