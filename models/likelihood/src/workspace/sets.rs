//! Sets of parameters: what one name in a workspace stands for.

use super::schema;
use crate::error::{Error, ensure, listed};
use crate::histogram::PoissonConstraint;
use crate::{Constraint, Parameter, Role};
use indexmap::IndexMap;

/// Widths and factors of constraints whose squares can be computed with.
const SENSIBLE: std::ops::RangeInclusive<f64> = 1e-100..=1e100;

/// What the parameters of one name are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    NormFactor,
    Lumi,
    /// `normsys` and `histosys`, which may share a name.
    Alpha,
    ShapeFactor,
    ShapeSys,
    StatError,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NormFactor => "normfactor",
            Self::Lumi => "lumi",
            Self::Alpha => "normsys or histosys",
            Self::ShapeFactor => "shapefactor",
            Self::ShapeSys => "shapesys",
            Self::StatError => "staterror",
        }
    }

    /// The kind of a type of modifiers.
    pub(super) fn of(modifier: &str) -> Option<Self> {
        Some(match modifier {
            "normfactor" => Self::NormFactor,
            "lumi" => Self::Lumi,
            "normsys" | "histosys" => Self::Alpha,
            "shapefactor" => Self::ShapeFactor,
            "shapesys" => Self::ShapeSys,
            "staterror" => Self::StatError,
            _ => return None,
        })
    }

    /// The value at which it changes nothing, where it starts.
    pub(super) fn neutral(self) -> f64 {
        if self == Self::Alpha { 0.0 } else { 1.0 }
    }

    /// Bounds where the measurement names none, as in pyhf.
    pub(super) fn bounds(self) -> (f64, f64) {
        match self {
            Self::NormFactor | Self::Lumi | Self::ShapeFactor => (0.0, 10.0),
            Self::Alpha => (-5.0, 5.0),
            Self::ShapeSys | Self::StatError => (1e-10, 10.0),
        }
    }

    pub(super) fn is_vector(self) -> bool {
        matches!(self, Self::ShapeFactor | Self::ShapeSys | Self::StatError)
    }
}

/// The parameters of one name.
struct Set {
    kind: Kind,
    /// Place of the first in the model.
    first: usize,
    /// One a parameter; relative, and zero for one that is fixed to 1. Empty if
    /// the kind has none.
    widths: Vec<f64>,
    count: usize,
}

/// All sets, in the order in which the workspace names them.
#[derive(Default)]
pub(super) struct Sets {
    sets: IndexMap<String, Set>,
    pub(super) parameters: usize,
}

/// What the sets become.
pub(super) struct Built {
    pub(super) parameters: Vec<Parameter>,
    pub(super) fixed: Vec<(usize, f64)>,
    pub(super) constraints: Vec<PoissonConstraint>,
    /// Settings of the measurement for parameters that no modifier has.
    pub(super) unused: Vec<String>,
    /// What is odd.
    pub(super) notes: Vec<String>,
}

impl Sets {
    /// The place of the first parameter of `name`, added if it is new. A set of
    /// several parameters may be used again if it has as many.
    pub(super) fn add(
        &mut self,
        name: &str,
        kind: Kind,
        count: usize,
        widths: Vec<f64>,
        place: &str,
    ) -> Result<usize, Error> {
        if let Some(known) = self.sets.get(name) {
            let is_same = known.kind == kind && known.count == count && kind != Kind::ShapeSys;
            ensure(is_same, || {
                format!(
                    "{place}: the name stands for a {} elsewhere; give this modifier its own name",
                    known.kind.name()
                )
            })?;
            return Ok(known.first);
        }
        let first = self.parameters;
        self.parameters += count;
        let set = Set {
            kind,
            first,
            widths,
            count,
        };
        self.sets.insert(name.to_owned(), set);
        Ok(first)
    }

    /// The parameters, with the settings of a measurement and a parameter of interest.
    pub(super) fn build(
        self,
        measurement: &schema::Measurement,
        poi: Option<&str>,
    ) -> Result<Built, Error> {
        if let Some(poi) = poi {
            self.check_interest(poi, measurement)?;
        }
        let config = &measurement.config;
        let mut built = Built {
            parameters: Vec::with_capacity(self.parameters),
            fixed: Vec::new(),
            constraints: Vec::new(),
            unused: Vec::new(),
            notes: Vec::new(),
        };
        for (name, set) in &self.sets {
            let settings = SetSettings {
                measurement: &measurement.name,
                name,
                set,
                given: config.parameters.iter().find(|p| p.name == *name),
                interest: poi == Some(name.as_str()),
            };
            settings.build(&mut built)?;
        }
        let known = |name: &String| self.sets.contains_key(name);
        let given = config.parameters.iter().map(|p| &p.name);
        built.unused = given.filter(|name| !known(name)).cloned().collect();
        Ok(built)
    }

    /// Refuses a parameter of interest that no sample has, or that is one for each bin.
    fn check_interest(&self, poi: &str, measurement: &schema::Measurement) -> Result<(), Error> {
        let kind = self.sets.get(poi).map(|set| set.kind);
        if kind.is_some_and(|kind| !kind.is_vector()) {
            return Ok(());
        }
        let scaling = self.sets.iter();
        let scaling = scaling.filter(|(_, set)| set.kind == Kind::NormFactor);
        let scaling: Vec<&str> = scaling.map(|(name, _)| name.as_str()).collect();
        let known = match scaling.is_empty() {
            true => String::new(),
            false => format!("; samples are scaled by {}", listed(scaling.into_iter())),
        };
        let measured = measurement.config.poi == poi;
        let name = &measurement.name;
        Err(Error::new(match kind {
            Some(_) => format!("parameter of interest `{poi}` is one for each bin{known}"),
            None if measured => format!(
                "the workspace has no signal: parameter of interest `{poi}` of measurement \
                 `{name}` is in no sample; add a patch, or --poi none{known}"
            ),
            None => format!("parameter of interest `{poi}` is in no sample{known}"),
        }))
    }
}

/// A set with what the measurement says of it.
struct SetSettings<'a> {
    measurement: &'a str,
    name: &'a str,
    set: &'a Set,
    given: Option<&'a schema::Parameter>,
    interest: bool,
}

impl<'a> SetSettings<'a> {
    fn build(&self, built: &mut Built) -> Result<(), Error> {
        let kind = self.set.kind;
        let inits = self.list("inits", |given| &given.inits)?;
        let auxdata = self.list("auxdata", |given| &given.auxdata)?;
        let sigmas = self.list("sigmas", |given| &given.sigmas)?;
        let factors = self.list("factors", |given| &given.factors)?;
        let bounds = self.list("bounds", |given| &given.bounds)?;
        self.check_used(auxdata.is_some(), sigmas.is_some(), factors.is_some())?;
        if kind == Kind::Lumi && (inits.is_none() || auxdata.is_none() || sigmas.is_none()) {
            return Err(
                self.problem("the luminosity needs inits, bounds, auxdata and sigmas of its own")
            );
        }
        for i in 0..self.set.count {
            let place = built.parameters.len();
            let neutral = kind.neutral();
            let nominal = inits.map_or(neutral, |v| v[i]);
            let width = self.set.widths.get(i).copied();
            let sigma = sigmas.map_or(width, |v| Some(v[i]));
            let tau = factors.map_or(width.map(tau_of), |v| Some(v[i]));
            if self.is_fixed(width) {
                built.fixed.push((place, nominal));
            }
            if kind == Kind::ShapeSys {
                let counted = self.counted(place, tau, auxdata.map(|v| v[i]))?;
                built.constraints.push(counted);
            }
            let constraint = match kind {
                Kind::NormFactor | Kind::ShapeFactor | Kind::ShapeSys => None,
                Kind::Lumi | Kind::Alpha | Kind::StatError => Some(Constraint {
                    centre: auxdata.map_or(neutral, |v| v[i]),
                    width: self.width(sigma)?,
                }),
            };
            let given = bounds.map_or(kind.bounds(), |v| v[i]);
            let is_fixed = self.is_fixed(width);
            let within = self.bounds(given, nominal, is_fixed)?;
            if within != given {
                built.notes.push(format!(
                    "parameter `{}` is fixed at {nominal}, outside of its bounds {} to {}",
                    self.name_of(i),
                    given.0,
                    given.1
                ));
            }
            built.parameters.push(Parameter {
                name: self.name_of(i),
                role: match self.interest {
                    true => Role::Interest,
                    false => Role::Nuisance,
                },
                nominal,
                bounds: within,
                constraint,
            });
        }
        Ok(())
    }

    /// A list of the measurement, if it is there, of the right length.
    fn list<T>(
        &self,
        what: &str,
        of: impl Fn(&'a schema::Parameter) -> &'a Option<Vec<T>>,
    ) -> Result<Option<&'a [T]>, Error> {
        let given = self.given.and_then(|given| of(given).as_deref());
        let (found, count) = (given.map(<[T]>::len), self.set.count);
        match found.filter(|found| *found != count) {
            None => Ok(given),
            Some(found) => Err(self.problem(&format!(
                "{what} has {found} values; there are {count} parameters of this name"
            ))),
        }
    }

    /// Refuses settings that parameters of this kind do not have.
    fn check_used(&self, aux: bool, sigmas: bool, factors: bool) -> Result<(), Error> {
        let kind = self.set.kind;
        let free = matches!(kind, Kind::NormFactor | Kind::ShapeFactor);
        let has_sigmas = matches!(kind, Kind::Lumi | Kind::StatError);
        let wrong = [
            (aux && free, "auxdata"),
            (sigmas && !has_sigmas, "sigmas"),
            (factors && kind != Kind::ShapeSys, "factors"),
        ];
        match wrong.iter().find(|(wrong, _)| *wrong) {
            None => Ok(()),
            Some((_, what)) => {
                Err(self.problem(&format!("a {} has no {what}; remove them", kind.name())))
            }
        }
    }

    /// What the measurement says, else whether there is an uncertainty at all.
    fn is_fixed(&self, width: Option<f64>) -> bool {
        let given = self.given.and_then(|given| given.fixed);
        given.unwrap_or(width == Some(0.0))
    }

    fn width(&self, sigma: Option<f64>) -> Result<f64, Error> {
        match sigma {
            // no uncertainty: fixed, with the unit width that pyhf gives it
            Some(0.0) if self.set.widths.contains(&0.0) => Ok(1.0),
            Some(sigma) if SENSIBLE.contains(&sigma) => Ok(sigma),
            Some(sigma) => Err(self.problem(&format!(
                "sigma {sigma} is not positive, or too large or small to compute with"
            ))),
            None => Ok(1.0),
        }
    }

    fn counted(
        &self,
        parameter: usize,
        tau: Option<f64>,
        count: Option<f64>,
    ) -> Result<PoissonConstraint, Error> {
        let tau = tau.unwrap_or(1.0);
        let observed = count.unwrap_or(tau);
        if SENSIBLE.contains(&tau) && (0.0..=*SENSIBLE.end()).contains(&observed) {
            return Ok(PoissonConstraint {
                parameter,
                tau,
                observed,
            });
        }
        Err(self.problem(&format!(
            "an auxiliary count of {observed} with factor {tau}; both must be positive, and of a \
             size to compute with"
        )))
    }

    /// Bounds that leave something; those of a fixed parameter have its value in them.
    fn bounds(
        &self,
        bounds: (f64, f64),
        nominal: f64,
        is_fixed: bool,
    ) -> Result<(f64, f64), Error> {
        let (low, high) = bounds;
        if low >= high {
            return Err(self.problem(&format!("bounds {low} and {high} leave nothing")));
        }
        if low <= nominal && nominal <= high {
            return Ok(bounds);
        }
        if is_fixed && nominal.is_finite() {
            return Ok((low.min(nominal), high.max(nominal)));
        }
        Err(self.problem(&format!(
            "it starts at {nominal}, outside of {low} to {high}"
        )))
    }

    fn name_of(&self, i: usize) -> String {
        if self.set.kind.is_vector() {
            format!("{}[{i}]", self.name)
        } else {
            self.name.to_owned()
        }
    }

    fn problem(&self, problem: &str) -> Error {
        let (measurement, name) = (self.measurement, self.name);
        Error::new(format!(
            "parameter `{name}` of measurement `{measurement}`: {problem}"
        ))
    }
}

/// `(1 / sigma)^2`; 1 for a parameter without uncertainty, which is fixed.
fn tau_of(sigma: f64) -> f64 {
    if sigma > 0.0 {
        (1.0 / sigma).powi(2)
    } else {
        1.0
    }
}
