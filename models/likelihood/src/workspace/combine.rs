//! Several workspaces as one: channels side by side, parameters of one name shared.
//!
//! What pyhf's `combine` decides silently (whose settings hold, what a setting does to a
//! parameter that only the other workspace has) is an error here, or a note.

use super::import::{check_observations, unique};
use super::schema::{self, VERSION};
use super::sets::Kind;
use crate::error::{Error, ensure, listed};
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of channels of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Join {
    /// There must be none.
    #[default]
    None,
    /// They must be the same in all parts, with their data, and are there once.
    Outer,
    /// That of the first part that has it stays.
    LeftOuter,
    /// That of the last part that has it stays.
    RightOuter,
}

/// A workspace to be combined.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// How errors call it: its file.
    pub name: &'a str,
    /// The workspace.
    pub workspace: &'a Value,
    /// Its measurement; none for the first.
    pub measurement: Option<&'a str>,
}

/// How workspaces are combined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CombineSettings {
    /// Channels of one name.
    pub join: Join,
    /// Parameters that are renamed in all parts first, from and to.
    pub rename: Vec<(String, String)>,
    /// The parameter of interest; none if all parts have the same.
    pub poi: Option<String>,
    /// The part whose settings hold where parts differ; none: that is an error, but for
    /// [`Join::LeftOuter`] and [`Join::RightOuter`], where it is the first and the last part.
    pub prefer: Option<usize>,
    /// Name of the measurement.
    pub measurement: String,
}

/// A combination.
#[derive(Clone, Debug, PartialEq)]
pub struct Combined {
    /// The workspace, with one measurement.
    pub workspace: Value,
    /// What was decided, a sentence each.
    pub notes: Vec<String>,
}

/// Combines workspaces. A parameter that several parts have is one parameter: its kind must
/// be the same, and its settings as they hold with the defaults; bounds of the parameter of
/// interest are the widest. A `staterror` is one parameter a bin and channel, whatever its name.
/// Settings of a parameter that no modifier of their part has are dropped.
///
/// # Errors
/// If parts are no workspaces of schema 1.0.0, or contradict each other; both are named.
pub fn combine(parts: &[Part<'_>], settings: &CombineSettings) -> Result<Combined, Error> {
    ensure(parts.len() >= 2, || {
        format!(
            "{} workspaces are to be combined; at least 2 are needed",
            parts.len()
        )
    })?;
    let opened: Result<Vec<Opened>, Error> = parts.iter().map(Opened::new).collect();
    let mut opened = opened?;
    let mut notes = Vec::new();
    for (from, to) in &settings.rename {
        let mut renamed = 0;
        for part in &mut opened {
            renamed += part.rename(from, to, &mut notes)?;
        }
        ensure(renamed > 0, || {
            format!("no part has a parameter `{from}` that could be renamed")
        })?;
    }
    let poi = interest(&opened, settings)?;
    let (channels, observations) = join_channels(&opened, settings.join, &mut notes)?;
    let used: Result<Vec<_>, Error> = opened.iter().map(Opened::used).collect();
    let used = used?;
    let prefer = match (settings.prefer, settings.join) {
        (None, Join::LeftOuter) => Some(0),
        (None, Join::RightOuter) => Some(parts.len() - 1),
        (prefer, _) => prefer,
    };
    let mut parameters = Vec::new();
    let names: BTreeSet<&String> = used.iter().flat_map(BTreeMap::keys).collect();
    if let Some(poi) = &settings.poi {
        ensure(names.contains(poi), || {
            format!("parameter of interest `{poi}` is in no part")
        })?;
    }
    for name in names {
        let holders: Vec<Holder<'_>> = opened
            .iter()
            .zip(&used)
            .enumerate()
            .filter_map(|(number, (part, used))| {
                Some(Holder {
                    number,
                    part,
                    used: used.get(name)?,
                })
            })
            .collect();
        check_same(name, &holders)?;
        let join = SettingsJoin {
            name,
            holders: &holders,
            prefer,
            is_interest: poi.as_deref() == Some(name.as_str()),
        };
        parameters.extend(join.settings(&mut notes)?);
    }
    let workspace = schema::Workspace {
        channels,
        measurements: vec![schema::Measurement {
            name: settings.measurement.clone(),
            config: schema::Config {
                poi: poi.unwrap_or_default(),
                parameters,
            },
        }],
        observations,
        version: VERSION.to_owned(),
    };
    Ok(Combined {
        workspace: json!(workspace),
        notes,
    })
}

/// A part as it was read, with its one measurement.
struct Opened {
    name: String,
    channels: Vec<schema::Channel>,
    observations: Vec<schema::Observation>,
    measurement: schema::Measurement,
}

/// How a part uses a parameter.
struct Used {
    kind: Kind,
    /// Values that the part has of it.
    count: usize,
    /// Channels of the part that have it.
    channels: BTreeSet<String>,
}

impl Opened {
    fn new(part: &Part<'_>) -> Result<Self, Error> {
        let name = part.name;
        let parsed = schema::Workspace::deserialize(part.workspace);
        let schema::Workspace {
            channels,
            measurements,
            observations,
            version,
        } = parsed.map_err(|error| Error::new(format!("{name}: no pyhf workspace: {error}")))?;
        ensure(version == VERSION, || {
            format!("{name}: the workspace has schema version `{version}`; {VERSION} is known")
        })?;
        let of_part = |error: Error| Error::new(format!("{name}: {error}"));
        unique("measurement", measurements.iter().map(|m| m.name.as_str())).map_err(of_part)?;
        check_observations(observations.clone(), &channels).map_err(of_part)?;
        let known: Vec<String> = measurements.iter().map(|m| m.name.clone()).collect();
        let mut found = measurements.into_iter();
        let found = match part.measurement {
            None => found.next(),
            Some(wanted) => found.find(|m| m.name == wanted),
        };
        let measurement = found.ok_or_else(|| {
            Error::new(match part.measurement {
                None => format!("{name}: the workspace has no measurement"),
                Some(wanted) => {
                    let known = listed(known.iter().map(String::as_str));
                    format!("{name}: there is no measurement `{wanted}`; there are {known}")
                }
            })
        })?;
        let settings = measurement.config.parameters.iter();
        let what = format!("measurement `{}`: parameter", measurement.name);
        unique(&what, settings.map(|p| p.name.as_str())).map_err(of_part)?;
        Ok(Self {
            name: name.to_owned(),
            channels,
            observations,
            measurement,
        })
    }

    fn modifiers(&mut self) -> impl Iterator<Item = &mut schema::Modifier> {
        let samples = self.channels.iter_mut().flat_map(|c| &mut c.samples);
        samples.flat_map(|sample| &mut sample.modifiers)
    }

    /// Whether a modifier has the parameter; a staterror has its own whatever its name.
    fn has_modifier(&self, name: &str) -> bool {
        let samples = self.channels.iter().flat_map(|c| &c.samples);
        let mut modifiers = samples.flat_map(|sample| &sample.modifiers);
        modifiers.any(|m| m.name == name && Kind::of(&m.kind) != Some(Kind::StatError))
    }

    /// Renames a parameter; how often it was there. That it becomes one with another parameter
    /// of the part is noted.
    fn rename(&mut self, from: &str, to: &str, notes: &mut Vec<String>) -> Result<usize, Error> {
        let has_both = from != to && [from, to].iter().all(|name| self.has_modifier(name));
        if has_both {
            notes.push(format!(
                "{}: its parameters `{from}` and `{to}` are one, `{to}`",
                self.name
            ));
        }
        let mut renamed = 0;
        for modifier in self.modifiers().filter(|modifier| modifier.name == from) {
            to.clone_into(&mut modifier.name);
            renamed += 1;
        }
        let has = |name: &str| self.settings(name).is_some();
        ensure(renamed == 0 || !(has(from) && has(to)), || {
            format!(
                "{}: `{from}` cannot become `{to}`: the measurement has settings of both; remove \
                 those of one",
                self.name
            )
        })?;
        let config = &mut self.measurement.config;
        if renamed > 0 {
            for parameter in config.parameters.iter_mut().filter(|p| p.name == from) {
                to.clone_into(&mut parameter.name);
            }
        }
        if config.poi == from {
            to.clone_into(&mut config.poi);
        }
        Ok(renamed)
    }

    /// All parameters that a modifier of the part has.
    fn used(&self) -> Result<BTreeMap<String, Used>, Error> {
        let mut used: BTreeMap<String, Used> = BTreeMap::new();
        for channel in &self.channels {
            for sample in &channel.samples {
                for modifier in &sample.modifiers {
                    let place = || format!("{}: channel `{}`", self.name, channel.name);
                    let kind = Kind::of(&modifier.kind).ok_or_else(|| {
                        Error::new(format!(
                            "{}: modifier `{}` of the type `{}`, which is not known",
                            place(),
                            modifier.name,
                            modifier.kind
                        ))
                    })?;
                    let bins = if kind.is_vector() {
                        sample.data.len()
                    } else {
                        1
                    };
                    let name = modifier.name.clone();
                    let entry = used.entry(name).or_insert(Used {
                        kind,
                        count: 0,
                        channels: BTreeSet::new(),
                    });
                    ensure(entry.kind == kind, || {
                        format!(
                            "{}: `{}` is a {} and a {}",
                            place(),
                            modifier.name,
                            entry.kind.name(),
                            kind.name()
                        )
                    })?;
                    // a staterror has parameters for each channel once
                    let is_new = entry.channels.insert(channel.name.clone());
                    match kind {
                        Kind::StatError if is_new => entry.count += bins,
                        Kind::StatError => {}
                        _ => entry.count = bins,
                    }
                }
            }
        }
        Ok(used)
    }

    fn settings(&self, name: &str) -> Option<&schema::Parameter> {
        let mut parameters = self.measurement.config.parameters.iter();
        parameters.find(|parameter| parameter.name == name)
    }
}

/// The parameter of interest, if there is one.
fn interest(parts: &[Opened], settings: &CombineSettings) -> Result<Option<String>, Error> {
    if let Some(poi) = &settings.poi {
        return Ok(Some(poi.clone()));
    }
    let named = |part: &Opened| part.measurement.config.poi.clone();
    let first = named(&parts[0]);
    match parts.iter().find(|part| named(part) != first) {
        None => Ok(Some(first).filter(|poi| !poi.is_empty())),
        Some(other) => Err(Error::new(format!(
            "{} has the parameter of interest `{first}` and {} has `{}`; choose one, or rename \
             one to the other",
            parts[0].name,
            other.name,
            named(other)
        ))),
    }
}

/// Channels with their data.
type Channels = (Vec<schema::Channel>, Vec<schema::Observation>);

fn join_channels(parts: &[Opened], join: Join, notes: &mut Vec<String>) -> Result<Channels, Error> {
    // the part of each channel, in the order of the parts
    let mut holders: Vec<(&str, usize)> = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        for channel in &part.channels {
            let name = channel.name.as_str();
            let known = holders.iter().position(|(known, _)| *known == name);
            let Some(known) = known else {
                holders.push((name, number));
                continue;
            };
            let other = holders[known].1;
            ensure(other != number, || {
                format!("{}: channel `{name}` is there twice", part.name)
            })?;
            let [one, two] = [&parts[other].name, &part.name];
            match join {
                Join::None => {
                    return Err(Error::new(format!(
                        "channel `{name}` is in {one} and in {two}; rename one, or join the \
                         channels of one name"
                    )));
                }
                Join::Outer => ensure(same_channel(&parts[other], part, name), || {
                    format!(
                        "channel `{name}` of {one} is not that of {two}; rename one, or let one \
                         of the two stay"
                    )
                })?,
                Join::LeftOuter => {
                    notes.push(format!(
                        "channel `{name}` is that of {one}, not that of {two}"
                    ));
                }
                Join::RightOuter => {
                    notes.push(format!(
                        "channel `{name}` is that of {two}, not that of {one}"
                    ));
                    holders[known].1 = number;
                }
            }
        }
    }
    let mut channels = Vec::new();
    let mut observations = Vec::new();
    for (name, number) in holders {
        let part = &parts[number];
        let channel = part.channels.iter().filter(|channel| channel.name == name);
        channels.extend(channel.cloned());
        let observation = part.observations.iter().find(|o| o.name == name);
        observations.push(observation.cloned().ok_or_else(|| {
            Error::new(format!(
                "{}: channel `{name}` has no observation",
                part.name
            ))
        })?);
    }
    Ok((channels, observations))
}

fn same_channel(one: &Opened, other: &Opened, name: &str) -> bool {
    let channel = |part: &Opened| json!(part.channels.iter().find(|c| c.name == name));
    let observation = |part: &Opened| json!(part.observations.iter().find(|o| o.name == name));
    channel(one) == channel(other) && observation(one) == observation(other)
}

/// A part that has a parameter.
struct Holder<'a> {
    number: usize,
    part: &'a Opened,
    used: &'a Used,
}

/// Refuses parameters of one name that are none.
fn check_same(name: &str, holders: &[Holder<'_>]) -> Result<(), Error> {
    let first = &holders[0];
    for other in &holders[1..] {
        let (kind, found) = (first.used.kind, other.used.kind);
        let [one, two] = [&first.part.name, &other.part.name];
        ensure(kind == found, || {
            format!(
                "`{name}` is a {} in {one} and a {} in {two}; rename one",
                kind.name(),
                found.name()
            )
        })?;
        let is_shared = first.used.channels == other.used.channels;
        ensure(kind != Kind::ShapeSys || is_shared, || {
            format!(
                "`{name}` is a shapesys of both {one} and {two}, which cannot be shared; rename \
                 one"
            )
        })?;
        let same = first.used.count == other.used.count || kind == Kind::StatError;
        ensure(same, || {
            format!(
                "`{name}` has {} parameters in {one} and {} in {two}; rename one",
                first.used.count, other.used.count
            )
        })?;
    }
    Ok(())
}

/// The settings of a parameter of all parts that have it.
struct SettingsJoin<'a> {
    name: &'a str,
    holders: &'a [Holder<'a>],
    prefer: Option<usize>,
    is_interest: bool,
}

impl SettingsJoin<'_> {
    /// The settings that hold; none where they are the defaults.
    fn settings(&self, notes: &mut Vec<String>) -> Result<Option<schema::Parameter>, Error> {
        let given = self.holders.iter();
        let given: Vec<Option<&schema::Parameter>> = given
            .map(|holder| holder.part.settings(self.name))
            .collect();
        let [first, others @ ..] = given.as_slice() else {
            return Ok(None);
        };
        if others.is_empty() || given.iter().all(Option::is_none) {
            return Ok(first.cloned());
        }
        ensure(self.kind() != Kind::StatError, || {
            let names: Vec<&str> = self.holders.iter().map(|h| h.part.name.as_str()).collect();
            format!(
                "`{}` is a staterror of several parts ({}), whose settings have a value for each \
                 bin and cannot be joined; rename one",
                self.name,
                names.join(", ")
            )
        })?;
        let all: Vec<Effective> = given.iter().map(|given| self.effective(*given)).collect();
        let mut held = all[0].clone();
        for (holder, other) in self.holders.iter().zip(&all).skip(1) {
            let Some(what) = held.difference(other, self.is_interest) else {
                continue;
            };
            let [one, two] = [&self.holders[0].part.name, &holder.part.name];
            let name = self.name;
            ensure(self.preferred().is_some(), || {
                format!(
                    "parameter `{name}`: {what} in {one} and {two}; make them the same, rename one, \
                     or prefer the settings of a part"
                )
            })?;
            notes.push(format!("parameter `{name}`: {what} in {one} and {two}"));
        }
        if let Some((preferred, name)) = self.preferred()
            && all
                .iter()
                .any(|other| held.difference(other, self.is_interest).is_some())
        {
            notes.push(format!(
                "parameter `{}` has the settings of {name}",
                self.name
            ));
            held = all[preferred].clone();
        }
        if self.is_interest {
            held.widen(&all, self.name, notes);
        }
        Ok(Some(held.settings(self.name)))
    }

    fn kind(&self) -> Kind {
        self.holders[0].used.kind
    }

    /// The place among the holders of the part that is preferred, and its name.
    fn preferred(&self) -> Option<(usize, &str)> {
        let mut holders = self.holders.iter().enumerate();
        let (place, holder) = holders.find(|(_, holder)| Some(holder.number) == self.prefer)?;
        Some((place, holder.part.name.as_str()))
    }

    fn effective(&self, given: Option<&schema::Parameter>) -> Effective {
        let (kind, count) = (self.kind(), self.holders[0].used.count);
        let list = |of: fn(&schema::Parameter) -> &Option<Vec<f64>>, default: Option<f64>| {
            let given = given.and_then(|given| of(given).clone());
            given.or_else(|| default.map(|x| vec![x; count]))
        };
        let neutral = kind.neutral();
        let is_measured = matches!(kind, Kind::Lumi | Kind::Alpha);
        Effective {
            inits: list(|p| &p.inits, Some(neutral)),
            auxdata: list(|p| &p.auxdata, is_measured.then_some(neutral)),
            sigmas: list(|p| &p.sigmas, None),
            factors: list(|p| &p.factors, None),
            bounds: given
                .and_then(|given| given.bounds.clone())
                .unwrap_or_else(|| vec![kind.bounds(); count]),
            fixed: given.and_then(|given| given.fixed).unwrap_or(false),
        }
    }
}

/// Settings with the defaults in.
#[derive(Clone, PartialEq)]
struct Effective {
    inits: Option<Vec<f64>>,
    auxdata: Option<Vec<f64>>,
    sigmas: Option<Vec<f64>>,
    factors: Option<Vec<f64>>,
    bounds: Vec<(f64, f64)>,
    fixed: bool,
}

impl Effective {
    /// What differs, in words. Starts and bounds of a parameter of interest may.
    fn difference(&self, other: &Self, is_interest: bool) -> Option<String> {
        let said = |what: &str, one: Value, two: Value| {
            (one != two).then(|| format!("{what} {one} and {two}"))
        };
        said("fixed", json!(self.fixed), json!(other.fixed))
            .or_else(|| said("auxdata", json!(self.auxdata), json!(other.auxdata)))
            .or_else(|| said("sigmas", json!(self.sigmas), json!(other.sigmas)))
            .or_else(|| said("factors", json!(self.factors), json!(other.factors)))
            .or_else(|| match is_interest {
                true => None,
                false => said("inits", json!(self.inits), json!(other.inits))
                    .or_else(|| said("bounds", json!(self.bounds), json!(other.bounds))),
            })
    }

    /// The widest bounds of all.
    fn widen(&mut self, all: &[Self], name: &str, notes: &mut Vec<String>) {
        let before = self.bounds.clone();
        for other in all {
            for (own, other) in self.bounds.iter_mut().zip(&other.bounds) {
                *own = (own.0.min(other.0), own.1.max(other.1));
            }
        }
        if all.iter().any(|other| other.bounds != before) {
            let bounds = json!(self.bounds);
            notes.push(format!(
                "parameter of interest `{name}` has the widest bounds of all parts, {bounds}"
            ));
        }
    }

    fn settings(self, name: &str) -> schema::Parameter {
        schema::Parameter {
            name: name.to_owned(),
            inits: self.inits,
            bounds: Some(self.bounds),
            auxdata: self.auxdata,
            factors: self.factors,
            sigmas: self.sigmas,
            fixed: self.fixed.then_some(true),
        }
    }
}
