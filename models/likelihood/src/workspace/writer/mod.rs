//! Modifiers and settings of parameters, as a workspace has them.

mod per_bin;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::histogram::{
    Factor, HistogramChannel, HistogramModel, Modifier, PoissonConstraint, Template,
};
use crate::{Coefficient, Interpolation};

use super::export::{ExportError, Settings};
use super::schema;
use super::sets::Kind;

/// Collects what the parameters are used for while channels are written.
pub(super) struct Writer<'a> {
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

impl<'a> Writer<'a> {
    pub(super) fn new(model: &'a HistogramModel) -> Self {
        Self {
            model,
            sets: BTreeMap::new(),
            staterrors: BTreeMap::new(),
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

    /// A coefficient that is a number or a parameter. A parameter that is fixed stays one,
    /// so that a reader may free it.
    fn coefficient(&self, site: &Site<'_>, f: &Coefficient) -> Result<Written, ExportError> {
        if let Some(parameter) = f.parameter()
            && (self.can_scale(parameter) || !self.is_fixed(parameter))
        {
            return Ok(Written::Parameter(parameter));
        }
        if f.places().iter().all(|k| self.is_fixed(*k)) {
            return Ok(Written::Number);
        }
        Err(ExportError::Coefficient {
            channel: site.channel.name().to_owned(),
            sample: site.template.name.clone(),
            coefficient: f.text().to_owned(),
            parameters: f
                .places()
                .iter()
                .map(|k| self.name(*k).to_owned())
                .collect(),
        })
    }

    /// What multiplies a template's contents in the file: the product of the coefficients
    /// that are written as numbers.
    fn scale(&self, template: &Template) -> f64 {
        let point = self.model.nominal();
        let number = |factor: &Factor| match factor {
            Factor::Coefficient(f) => {
                let is_written = f.parameter().is_some_and(|k| self.can_scale(k));
                let is_number = !is_written && f.places().iter().all(|k| self.is_fixed(*k));
                is_number.then(|| f.value(&point))
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

    fn scaling(&mut self, parameter: usize) -> Result<schema::Modifier, ExportError> {
        let (kind, word) = match self.model.parameters[parameter].constraint {
            None => (Kind::NormFactor, "normfactor"),
            Some(_) if self.can_scale(parameter) => (Kind::Lumi, "lumi"),
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
                    kind: word.to_owned(),
                    data,
                })
            }
        }
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
    /// It is in the contents, see [`Writer::scale`].
    Number,
    Parameter(usize),
}

fn scaled(values: &[f64], scale: f64) -> Vec<f64> {
    values.iter().map(|x| x * scale).collect()
}
