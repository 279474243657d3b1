//! From a workspace to parameters and channels. Errors name channel, sample and modifier.

use super::schema::{self, VERSION};
use super::sets::{Kind, Sets};
use crate::error::{Error, ensure, listed};
use crate::histogram::{Factor, HistogramChannel, HistogramModel, Modifier, Template};
use crate::{Interpolation, RateResponse, Role};
use flate2::read::MultiGzDecoder;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;

/// How large a workspace may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the document, after decompression.
    pub bytes: usize,
    /// Channels.
    pub channels: usize,
    /// Bins of one channel.
    pub bins: usize,
    /// Numbers in all modifiers.
    pub numbers: usize,
    /// Parameters; the Hessian of a fit has the square of it.
    pub parameters: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            channels: 1000,
            bins: 10_000,
            numbers: 1 << 22,
            parameters: 10_000,
        }
    }
}

/// Which parameter is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Poi {
    /// The one that the measurement names, if it names one.
    #[default]
    Measured,
    /// None: a background without signal is fitted.
    None,
    /// This one.
    Named(String),
}

impl Poi {
    fn name<'a>(&'a self, measurement: &'a schema::Measurement) -> Option<&'a str> {
        match self {
            Self::Measured => Some(measurement.config.poi.as_str()).filter(|poi| !poi.is_empty()),
            Self::None => None,
            Self::Named(name) => Some(name),
        }
    }
}

/// How a workspace is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportOptions {
    /// The measurement; none for the first.
    pub measurement: Option<String>,
    /// The parameter of interest.
    pub poi: Poi,
    /// Interpolation of `normsys`; pyhf has codes 1 and 4.
    pub rates: Interpolation,
    /// Interpolation of `histosys`; pyhf has codes 0, 2 and 4p. Codes 1 and 4
    /// multiply, bin by bin.
    pub shapes: Interpolation,
    /// How large it may be.
    pub limits: Limits,
}

/// The choice of pyhf 0.7: codes 4 and 4p.
impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            measurement: None,
            poi: Poi::Measured,
            rates: Interpolation::Code4,
            shapes: Interpolation::Code4p,
            limits: Limits::default(),
        }
    }
}

/// An imported workspace.
#[derive(Clone)]
pub struct Imported {
    /// Name of the measurement.
    pub measurement: String,
    /// Place of the parameter of interest; none if there is none.
    pub interest: Option<usize>,
    /// The model with the observed data.
    pub model: HistogramModel,
    /// Parameters that the measurement sets and no modifier has.
    pub unused: Vec<String>,
    /// What is odd and was taken as it is, a sentence each.
    pub notes: Vec<String>,
}

/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The bytes of a document, which may be compressed by gzip: that is seen by how it begins.
///
/// # Errors
/// If it cannot be read, or is larger than allowed, compressed or not.
pub fn read(reader: impl Read, limits: &Limits) -> Result<Vec<u8>, Error> {
    let unreadable = |error| Error::new(format!("it cannot be read: {error}"));
    let most = limits.bytes as u64 + 1;
    let mut reader = reader.take(most);
    let mut head = Vec::new();
    let mut beginning = reader.by_ref().take(GZIP.len() as u64);
    beginning.read_to_end(&mut head).map_err(unreadable)?;
    let is_compressed = head == GZIP;
    let mut whole = head.as_slice().chain(reader);
    let mut bytes = Vec::new();
    let read = if is_compressed {
        let unpacked = MultiGzDecoder::new(whole);
        unpacked.take(most).read_to_end(&mut bytes)
    } else {
        whole.read_to_end(&mut bytes)
    };
    read.map_err(unreadable)?;
    ensure(bytes.len() <= limits.bytes, || {
        let unpacked = if is_compressed { " unpacked" } else { "" };
        format!(
            "it has more than {} bytes{unpacked}; raise the limit if you trust it",
            limits.bytes
        )
    })?;
    Ok(bytes)
}

/// Reads a workspace, which may be compressed by gzip.
///
/// # Errors
/// If it cannot be read, is too large, is no workspace of schema 1.0.0, or if its parts do
/// not fit together.
pub fn import(reader: impl Read, options: &ImportOptions) -> Result<Imported, Error> {
    let bytes = read(reader, &options.limits);
    let bytes = bytes.map_err(|error| Error::new(format!("the workspace: {error}")))?;
    let parsed = serde_json::from_slice(&bytes);
    drop(bytes);
    assemble(parsed, options)
}

/// As [`import`], of a document in memory, such as a patched one.
///
/// # Errors
/// As [`import`].
pub fn import_value(document: Value, options: &ImportOptions) -> Result<Imported, Error> {
    assemble(serde_json::from_value(document), options)
}

fn assemble(
    parsed: serde_json::Result<schema::Workspace>,
    options: &ImportOptions,
) -> Result<Imported, Error> {
    let schema::Workspace {
        channels,
        measurements,
        observations,
        version,
    } = parsed.map_err(|error| Error::new(format!("this is no pyhf workspace: {error}")))?;
    ensure(version == VERSION, || {
        format!("the workspace has schema version `{version}`; {VERSION} is known")
    })?;
    unique("measurement", measurements.iter().map(|m| m.name.as_str()))?;
    let measurement = choose(&measurements, options.measurement.as_deref())?;
    let settings = measurement.config.parameters.iter();
    let what = format!("measurement `{}`: parameter", measurement.name);
    unique(&what, settings.map(|p| p.name.as_str()))?;
    if channels.is_empty() {
        return Err(empty("the workspace has no channel"));
    }
    within("channels", channels.len(), options.limits.channels)?;
    unique("channel", channels.iter().map(|c| c.name.as_str()))?;
    let mut observed = check_observations(observations, &channels)?;
    let mut notes = Vec::new();
    notes.extend(not_whole(&channels, &observed));
    let mut reader = ChannelReader {
        options,
        sets: Sets::default(),
        staterrors: BTreeMap::new(),
        channels: Vec::with_capacity(channels.len()),
        numbers: 0,
    };
    channels.into_iter().try_for_each(|c| reader.channel(c))?;
    reader.add_staterrors()?;
    within(
        "parameters",
        reader.sets.parameters,
        options.limits.parameters,
    )?;
    let built = reader
        .sets
        .build(measurement, options.poi.name(measurement))?;
    notes.extend(built.notes);
    // one of a vector may be named as another parameter
    unique(
        "parameter",
        built.parameters.iter().map(|p| p.name.as_str()),
    )?;
    let count = built.parameters.len();
    let channels = reader.channels.into_iter().map(|(name, templates)| {
        let data = observed.remove(&name).unwrap_or_default();
        check_not_empty(&name, &templates, &data)?;
        HistogramChannel::new(&name, templates, data, count)
    });
    let model = HistogramModel {
        channels: channels.collect::<Result<_, _>>()?,
        parameters: built.parameters,
        fixed: built.fixed,
        constraints: built.constraints,
    };
    notes.extend(without_effect(&model));
    let mut parameters = model.parameters.iter();
    Ok(Imported {
        measurement: measurement.name.clone(),
        interest: parameters.position(|p| p.role == Role::Interest),
        model,
        unused: built.unused,
        notes,
    })
}

/// Says which counts are no whole numbers.
fn not_whole(channels: &[schema::Channel], observed: &HashMap<String, Vec<f64>>) -> Option<String> {
    let counts = channels.iter().flat_map(|channel| {
        let counts = observed.get(&channel.name).into_iter().flatten();
        counts
            .enumerate()
            .map(move |(bin, n)| (&channel.name, bin, *n))
    });
    let mut odd = counts.filter(|(_, _, n)| n.fract() != 0.0);
    let (channel, bin, n) = odd.next()?;
    let more = match odd.count() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Some(format!(
        "counts that are no whole numbers are taken as they are: channel `{channel}`, bin {bin}: \
         {n}{more}"
    ))
}

/// Says which parameters no expected count depends on.
fn without_effect(model: &HistogramModel) -> Option<String> {
    let mut used = vec![false; model.parameters.len()];
    for channel in &model.channels {
        channel.parameters().iter().for_each(|k| used[*k] = true);
    }
    let is_fixed = |k: usize| model.fixed.iter().any(|(fixed, _)| *fixed == k);
    let idle = model.parameters.iter().enumerate();
    let idle = idle.filter(|(k, _)| !used[*k] && !is_fixed(*k));
    let idle: Vec<&str> = idle.map(|(_, p)| p.name.as_str()).collect();
    (!idle.is_empty()).then(|| {
        let names = listed(idle.into_iter());
        format!("parameters that no expected count depends on: {names}")
    })
}

/// Refuses data where no sample has or varies anything.
fn check_not_empty(channel: &str, templates: &[Template], observed: &[f64]) -> Result<(), Error> {
    let has = |template: &Template, bin: usize| {
        let varies = |modifier: &Modifier| match modifier {
            Modifier::Shape { low, high, .. } => low[bin] != 0.0 || high[bin] != 0.0,
            Modifier::PerBin { .. } => false,
        };
        template.nominal[bin] != 0.0 || template.modifiers.iter().any(varies)
    };
    for (bin, n) in observed.iter().enumerate() {
        let is_possible = *n <= 0.0
            || templates
                .iter()
                .any(|t| bin >= t.nominal.len() || has(t, bin));
        ensure(is_possible, || {
            format!(
                "channel `{channel}`, bin {bin}: {n} events are observed where no sample has any; \
                 merge the bin with another one"
            )
        })?;
    }
    Ok(())
}

fn choose<'a>(
    all: &'a [schema::Measurement],
    wanted: Option<&str>,
) -> Result<&'a schema::Measurement, Error> {
    let found = match wanted {
        Some(name) => all.iter().find(|m| m.name == name),
        None => all.first(),
    };
    found.ok_or_else(|| match wanted {
        None => empty("the workspace has no measurement"),
        Some(wanted) => {
            let known: Vec<&String> = all.iter().map(|m| &m.name).collect();
            Error::new(format!(
                "the workspace has no measurement `{wanted}`; it has {known:?}"
            ))
        }
    })
}

fn empty(what: &str) -> Error {
    Error::new(format!("{what}; at least one is needed"))
}

/// Data of the channels by name: one each.
pub(super) fn check_observations(
    observations: Vec<schema::Observation>,
    channels: &[schema::Channel],
) -> Result<HashMap<String, Vec<f64>>, Error> {
    let names = observations.iter().map(|o| o.name.as_str());
    unique("the observation of channel", names)?;
    for schema::Observation { name, .. } in &observations {
        ensure(channels.iter().any(|channel| channel.name == *name), || {
            format!(
                "there is an observation of channel `{name}`, which the workspace does not have"
            )
        })?;
    }
    let pairs = observations.into_iter().map(|o| (o.name, o.data));
    let observed: HashMap<String, Vec<f64>> = pairs.collect();
    for schema::Channel { name, .. } in channels {
        ensure(observed.contains_key(name), || {
            format!("channel `{name}` has no observation")
        })?;
    }
    Ok(observed)
}

/// The samples of a channel that share a `staterror`.
struct StatError {
    place: String,
    samples: Vec<usize>,
    squares: Vec<f64>,
    nominal: Vec<f64>,
}

/// Turns channels into templates.
struct ChannelReader<'a> {
    options: &'a ImportOptions,
    sets: Sets,
    /// One parameter a bin and channel, its uncertainty the quadratic sum over the samples
    /// that have it, relative to their sum. By name and channel; the channels of one name
    /// come in alphabetical order, as in pyhf.
    staterrors: BTreeMap<String, BTreeMap<String, StatError>>,
    channels: Vec<(String, Vec<Template>)>,
    /// Numbers in the modifiers so far.
    numbers: usize,
}

impl ChannelReader<'_> {
    fn channel(&mut self, channel: schema::Channel) -> Result<(), Error> {
        let schema::Channel { name, samples } = channel;
        let none = || empty(&format!("channel `{name}` has no sample"));
        let bins = samples.first().ok_or_else(none)?.data.len();
        within("bins in a channel", bins, self.options.limits.bins)?;
        let what = format!("channel `{name}`: sample");
        unique(&what, samples.iter().map(|s| s.name.as_str()))?;
        let mut total = vec![0.0; bins];
        let mut templates = Vec::with_capacity(samples.len());
        for (number, sample) in samples.into_iter().enumerate() {
            let place = format!("channel `{name}`, sample `{}`", sample.name);
            check_length(&place, "data", sample.data.len(), bins)?;
            for (sum, n) in total.iter_mut().zip(&sample.data) {
                *sum += n;
            }
            let mut seen = HashSet::new();
            for schema::Modifier { name, kind, .. } in &sample.modifiers {
                let what = || format!("{place}: {kind}");
                ensure(seen.insert((kind, name)), || twice(&what(), name))?;
            }
            let mut template = Template {
                name: sample.name,
                nominal: sample.data,
                factors: Vec::new(),
                modifiers: Vec::new(),
            };
            for modifier in sample.modifiers {
                self.numbers += numbers(&modifier.data);
                within(
                    "numbers in modifiers",
                    self.numbers,
                    self.options.limits.numbers,
                )?;
                self.modifier((&name, number), &place, modifier, &mut template)?;
            }
            templates.push(template);
        }
        for (bin, sum) in total.iter().enumerate() {
            ensure(*sum >= 0.0 || sum.is_nan(), || {
                format!("channel `{name}`, bin {bin}: all samples sum to {sum}, which is negative")
            })?;
        }
        self.channels.push((name, templates));
        Ok(())
    }

    /// Adds a modifier of a sample of a channel to its template, and its parameters to the
    /// sets; a `staterror` is only noted.
    fn modifier(
        &mut self,
        (channel, sample): (&str, usize),
        place: &str,
        modifier: schema::Modifier,
        template: &mut Template,
    ) -> Result<(), Error> {
        let schema::Modifier { name, kind, data } = modifier;
        let place = format!("{place}, {kind} `{name}`");
        let bins = template.nominal.len();
        let mut add = |kind, count, widths| self.sets.add(&name, kind, count, widths, &place);
        match kind.as_str() {
            "normfactor" => {
                null(&place, &data)?;
                let parameter = add(Kind::NormFactor, 1, Vec::new())?;
                template.factors.push(Factor::Parameter(parameter));
            }
            "lumi" => {
                null(&place, &data)?;
                let parameter = add(Kind::Lumi, 1, Vec::new())?;
                template.factors.push(Factor::Parameter(parameter));
            }
            "normsys" => {
                let expected = "an object of the numbers lo and hi";
                let schema::NormSys { lo, hi } = typed(&place, data, expected)?;
                for (what, x) in [("lo", lo), ("hi", hi)] {
                    ensure(x > 0.0, || {
                        format!("{place}, {what}: {x} is not a positive factor")
                    })?;
                }
                template.factors.push(Factor::Response(RateResponse {
                    parameter: add(Kind::Alpha, 1, Vec::new())?,
                    low: lo,
                    high: hi,
                    interpolation: self.options.rates,
                }));
            }
            "histosys" => {
                let expected = "an object of the lists lo_data and hi_data";
                let schema::HistoSys { lo_data, hi_data } = typed(&place, data, expected)?;
                check_length(&place, "lo_data", lo_data.len(), bins)?;
                check_length(&place, "hi_data", hi_data.len(), bins)?;
                template.modifiers.push(Modifier::Shape {
                    parameter: add(Kind::Alpha, 1, Vec::new())?,
                    low: lo_data,
                    high: hi_data,
                    code: self.options.shapes,
                });
            }
            "shapefactor" => {
                null(&place, &data)?;
                let first = add(Kind::ShapeFactor, bins, Vec::new())?;
                template.modifiers.push(per_bin(first, bins));
            }
            "shapesys" => {
                let sigma = uncertainties(&place, data, bins)?;
                let widths = relative(&sigma, &template.nominal);
                let first = add(Kind::ShapeSys, bins, widths)?;
                template.modifiers.push(per_bin(first, bins));
            }
            "staterror" => {
                let sigma = uncertainties(&place, data, bins)?;
                let channels = self.staterrors.entry(name).or_default();
                let entry = channels.entry(channel.to_owned());
                let sums = entry.or_insert_with(|| StatError {
                    place,
                    samples: Vec::new(),
                    squares: vec![0.0; bins],
                    nominal: vec![0.0; bins],
                });
                sums.samples.push(sample);
                for (bin, sigma) in sigma.iter().enumerate() {
                    sums.squares[bin] += sigma * sigma;
                    sums.nominal[bin] += template.nominal[bin];
                }
            }
            _ => {
                return Err(Error::new(format!(
                    "{place}: this type of modifier is not known; known are histosys, lumi, \
                     normfactor, normsys, shapefactor, shapesys and staterror"
                )));
            }
        }
        Ok(())
    }

    /// Adds the parameters of all `staterror`s to the sets and the modifiers to the templates.
    fn add_staterrors(&mut self) -> Result<(), Error> {
        for (name, channels) in std::mem::take(&mut self.staterrors) {
            let mut widths = Vec::new();
            for sums in channels.values() {
                let sigma: Vec<f64> = sums.squares.iter().map(|s| s.sqrt()).collect();
                widths.extend(relative(&sigma, &sums.nominal));
            }
            let mut next = self.sets.parameters;
            if let Some(StatError { place, .. }) = channels.values().next() {
                let count = widths.len();
                next = self
                    .sets
                    .add(&name, Kind::StatError, count, widths, place)?;
            }
            for (channel, sums) in channels {
                let bins = sums.nominal.len();
                for (_, templates) in self.channels.iter_mut().filter(|c| c.0 == channel) {
                    for sample in &sums.samples {
                        templates[*sample].modifiers.push(per_bin(next, bins));
                    }
                }
                next += bins;
            }
        }
        Ok(())
    }
}

fn per_bin(first: usize, bins: usize) -> Modifier {
    Modifier::PerBin {
        parameters: (first..first + bins).collect(),
    }
}

/// Uncertainties relative to nominal; zero where there is no content.
fn relative(sigma: &[f64], nominal: &[f64]) -> Vec<f64> {
    let one = |(s, n): (&f64, &f64)| if *n > 0.0 { s / n } else { 0.0 };
    sigma.iter().zip(nominal).map(one).collect()
}

/// Refuses a name that is there twice.
pub(super) fn unique<'a>(
    what: &str,
    mut names: impl Iterator<Item = &'a str>,
) -> Result<(), Error> {
    let mut seen = HashSet::new();
    names.try_for_each(|name| ensure(seen.insert(name), || twice(what, name)))
}

fn twice(what: &str, name: &str) -> String {
    format!("{what} `{name}` is there twice; give each its own name")
}

/// How many numbers are in a value.
fn numbers(value: &Value) -> usize {
    match value {
        Value::Number(_) => 1,
        Value::Array(list) => list.iter().map(numbers).sum(),
        Value::Object(map) => map.values().map(numbers).sum(),
        Value::Null | Value::Bool(_) | Value::String(_) => 0,
    }
}

/// Refuses what is larger than allowed.
fn within(what: &str, found: usize, limit: usize) -> Result<(), Error> {
    ensure(found <= limit, || {
        format!(
            "the workspace has {found} {what}, at most {limit} are allowed; raise the limit if \
             you trust it"
        )
    })
}

fn wrong_data(place: &str, expected: &str, problem: &str) -> String {
    format!("{place}: data must be {expected}: {problem}")
}

fn null(place: &str, data: &Value) -> Result<(), Error> {
    ensure(data.is_null(), || {
        wrong_data(place, "null", "there is something")
    })
}

fn typed<T: DeserializeOwned>(place: &str, data: Value, expected: &str) -> Result<T, Error> {
    serde_json::from_value(data)
        .map_err(|error| Error::new(wrong_data(place, expected, &error.to_string())))
}

fn uncertainties(place: &str, data: Value, bins: usize) -> Result<Vec<f64>, Error> {
    let data: Vec<f64> = typed(place, data, "a list of one uncertainty a bin")?;
    check_length(place, "data", data.len(), bins)?;
    for (bin, sigma) in data.iter().enumerate() {
        ensure(*sigma >= 0.0, || {
            format!("{place}, data, bin {bin}: {sigma} is not an uncertainty of zero or above")
        })?;
    }
    Ok(data)
}

fn check_length(place: &str, what: &str, found: usize, expected: usize) -> Result<(), Error> {
    ensure(found == expected, || {
        format!("{place}, {what}: {found} values; the channel has {expected} bins")
    })
}
