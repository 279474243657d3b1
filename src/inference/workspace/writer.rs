//! Modifiers and settings of parameters, as a workspace has them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::inference::histogram::{
    Factor, HistogramChannel, HistogramModel, Modifier, PoissonConstraint, Template,
};
use crate::inference::{Coefficient, Interpolation};

use super::export::{ExportError, Settings};
use super::schema;
use super::sets::Kind;

/// Collects what the parameters are used for while channels are written.
pub(super) struct Writer<'a> {
    model: &'a HistogramModel,
    /// Kind and parameters of each name.
    sets: BTreeMap<String, (Kind, Vec<usize>)>,
    rates: Option<Interpolation>,
    shapes: Option<Interpolation>,
}

/// Where a modifier is.
struct Site<'a> {
    channel: &'a HistogramChannel,
    template: &'a Template,
}

impl<'a> Writer<'a> {
    pub(super) fn new(model: &'a HistogramModel) -> Self {
        Self {
            model,
            sets: BTreeMap::new(),
            rates: None,
            shapes: None,
        }
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            rates: self.rates.unwrap_or(Interpolation::Code4),
            shapes: self.shapes.unwrap_or(Interpolation::Code4p),
        }
    }

    pub(super) fn channel(
        &mut self,
        channel: &HistogramChannel,
    ) -> Result<schema::Channel, ExportError> {
        let samples = channel.templates().iter();
        let samples = samples.map(|template| self.sample(&Site { channel, template }));
        Ok(schema::Channel {
            name: channel.name().to_owned(),
            samples: samples.collect::<Result<_, _>>()?,
        })
    }

    fn sample(&mut self, site: &Site<'_>) -> Result<schema::Sample, ExportError> {
        let mut scale = 1.0;
        let mut modifiers = Vec::new();
        for factor in &site.template.factors {
            match factor {
                Factor::Parameter(parameter) => modifiers.push(self.scaling(*parameter)?),
                Factor::Coefficient(f) => match self.coefficient(site, f)? {
                    Written::Number(value) => scale *= value,
                    Written::Parameter(parameter) => modifiers.push(self.scaling(parameter)?),
                },
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

    /// A coefficient that is a number or a parameter.
    fn coefficient(&self, site: &Site<'_>, f: &Coefficient) -> Result<Written, ExportError> {
        let point = self.model.nominal();
        let fixed = |k: &usize| self.model.fixed.iter().any(|(place, _)| place == k);
        if f.places().iter().all(fixed) {
            return Ok(Written::Number(f.value(&point)));
        }
        match f.places() {
            [only] if f.text().trim() == self.name(*only) => Ok(Written::Parameter(*only)),
            _ => Err(ExportError::Coefficient {
                channel: site.channel.name().to_owned(),
                sample: site.template.name.clone(),
                coefficient: f.text().to_owned(),
            }),
        }
    }

    fn scaling(&mut self, parameter: usize) -> Result<schema::Modifier, ExportError> {
        let (kind, word) = match self.model.parameters[parameter].constraint {
            None => (Kind::NormFactor, "normfactor"),
            Some(_) if self.name(parameter) == "lumi" => (Kind::Lumi, "lumi"),
            Some(_) => {
                return Err(self.problem(
                    parameter,
                    "scales samples and has a constraint, which a normfactor has not; name it \
                     `lumi` or use a response of the rate",
                ));
            }
        };
        self.note(parameter, kind)?;
        Ok(self.modifier(parameter, word, Value::Null))
    }

    fn per_bin(
        &mut self,
        site: &Site<'_>,
        modifier: &Modifier,
        scale: f64,
    ) -> Result<schema::Modifier, ExportError> {
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
                let (kind, word) = self.kind_of(parameters)?;
                let name = self.base(parameters)?;
                self.note_all(&name, parameters, kind)?;
                let nominal = scaled(&site.template.nominal, scale);
                let data = match kind {
                    Kind::StatError => json!(self.shares(site, parameters, &nominal, scale)),
                    Kind::ShapeSys => json!(self.errors(parameters, &nominal)),
                    _ => Value::Null,
                };
                Ok(schema::Modifier {
                    name,
                    kind: word.to_owned(),
                    data,
                })
            }
        }
    }

    /// What parameters of the bins are, by their constraints.
    fn kind_of(&self, parameters: &[usize]) -> Result<(Kind, &'static str), ExportError> {
        let kind = |k: usize| match (&self.model.parameters[k].constraint, self.count(k)) {
            (None, None) => Some((Kind::ShapeFactor, "shapefactor")),
            (Some(_), None) => Some((Kind::StatError, "staterror")),
            (None, Some(_)) => Some((Kind::ShapeSys, "shapesys")),
            (Some(_), Some(_)) => None,
        };
        let first = kind(parameters[0]);
        match parameters
            .iter()
            .find(|k| kind(**k) != first || first.is_none())
        {
            Some(odd) => Err(self.problem(*odd, "is not constrained as the other bins are")),
            None => Ok(first.unwrap_or((Kind::ShapeFactor, "shapefactor"))),
        }
    }

    /// Absolute uncertainties of one sample, whose sum in quadrature over the
    /// samples that share the parameters is the width of the constraint.
    fn shares(
        &self,
        site: &Site<'_>,
        parameters: &[usize],
        nominal: &[f64],
        scale: f64,
    ) -> Vec<f64> {
        let shares = |template: &&Template| {
            let own =
                |m: &Modifier| matches!(m, Modifier::PerBin { parameters: p } if p == parameters);
            template.modifiers.iter().any(own)
        };
        let all: Vec<&Template> = site.channel.templates().iter().filter(shares).collect();
        let one = |(bin, k): (usize, &usize)| {
            if self.is_fixed(*k) {
                return 0.0;
            }
            let width = self.model.parameters[*k]
                .constraint
                .map_or(0.0, |c| c.width);
            let total: f64 = all.iter().map(|t| t.nominal[bin]).sum();
            let absolute: f64 = all.iter().map(|t| t.nominal[bin].abs()).sum();
            let share = nominal[bin].abs() / (scale.abs() * absolute);
            width * (scale * total).abs() * share.sqrt()
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
    fn base(&self, parameters: &[usize]) -> Result<String, ExportError> {
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
    ) -> Result<Interpolation, ExportError> {
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
        Err(ExportError::Interpolation {
            channel: site.channel.name().to_owned(),
            sample: site.template.name.clone(),
            parameter: self.name(parameter).to_owned(),
            found,
            expected,
        })
    }

    fn modifier(&self, parameter: usize, kind: &str, data: Value) -> schema::Modifier {
        schema::Modifier {
            name: self.name(parameter).to_owned(),
            kind: kind.to_owned(),
            data,
        }
    }

    fn note(&mut self, parameter: usize, kind: Kind) -> Result<(), ExportError> {
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
    fn note_all(
        &mut self,
        name: &str,
        parameters: &[usize],
        kind: Kind,
    ) -> Result<(), ExportError> {
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

    /// Settings of all parameters that are used.
    pub(super) fn parameters(&self) -> Result<Vec<schema::Parameter>, ExportError> {
        let settings =
            |(name, (kind, places)): (&String, &(Kind, Vec<usize>))| self.set(name, *kind, places);
        self.sets.iter().map(settings).collect()
    }

    fn set(
        &self,
        name: &str,
        kind: Kind,
        places: &[usize],
    ) -> Result<schema::Parameter, ExportError> {
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
        if let Some(k) = places.iter().find(|k| {
            !parameters[**k].bounds.0.is_finite() || !parameters[**k].bounds.1.is_finite()
        }) {
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

    fn count(&self, parameter: usize) -> Option<&PoissonConstraint> {
        self.model
            .constraints
            .iter()
            .find(|c| c.parameter == parameter)
    }

    fn is_fixed(&self, parameter: usize) -> bool {
        self.model
            .fixed
            .iter()
            .any(|(place, _)| *place == parameter)
    }

    fn name(&self, parameter: usize) -> &'a str {
        &self.model.parameters[parameter].name
    }

    fn problem(&self, parameter: usize, problem: &str) -> ExportError {
        ExportError::Parameter {
            parameter: self.name(parameter).to_owned(),
            problem: problem.to_owned(),
        }
    }
}

/// What an interpolation is of.
enum Use {
    Rate,
    Shape,
}

/// A coefficient in words of HistFactory.
enum Written {
    Number(f64),
    Parameter(usize),
}

fn scaled(values: &[f64], scale: f64) -> Vec<f64> {
    values.iter().map(|x| x * scale).collect()
}
