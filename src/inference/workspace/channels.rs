//! Channels of a workspace: checked, and turned into templates.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::inference::RateResponse;
use crate::inference::histogram::{Factor, Modifier, Template};

use super::error::{Place, WorkspaceError};
use super::import::{ImportOptions, Limits};
use super::modifiers::{Checked, Effect};
use super::schema;
use super::sets::{Kind, Sets};

/// A channel whose modifiers are checked.
pub(super) struct Channel {
    pub(super) name: String,
    bins: usize,
    samples: Vec<(String, Vec<f64>, Vec<Checked>)>,
}

impl Channel {
    fn check(channel: schema::Channel, limits: &Limits) -> Result<Self, WorkspaceError> {
        let schema::Channel { name, samples } = channel;
        let empty = || WorkspaceError::Empty(format!("channel `{name}` has no sample"));
        let bins = samples.first().ok_or_else(empty)?.data.len();
        within("bins in a channel", bins, limits.bins)?;
        let what = format!("channel `{name}`: sample");
        unique(&what, samples.iter().map(|s| s.name.as_str()))?;
        let mut total = vec![0.0; bins];
        let mut checked = Vec::with_capacity(samples.len());
        for mut sample in samples {
            if sample.data.len() != bins {
                return Err(WorkspaceError::Length {
                    place: Box::new(Place {
                        channel: name,
                        sample: sample.name,
                        modifier: None,
                    }),
                    what: "data",
                    found: sample.data.len(),
                    expected: bins,
                });
            }
            total
                .iter_mut()
                .zip(&sample.data)
                .for_each(|(sum, n)| *sum += n);
            let modifiers = std::mem::take(&mut sample.modifiers);
            let modifiers = check_modifiers(&name, &sample, modifiers)?;
            checked.push((sample.name, sample.data, modifiers));
        }
        match total.iter().position(|sum| *sum < 0.0) {
            Some(bin) => Err(WorkspaceError::NegativeBin {
                channel: name,
                bin,
                value: total[bin],
            }),
            None => Ok(Self {
                name,
                bins,
                samples: checked,
            }),
        }
    }

    /// The name and the templates; `staterrors` has the places of the first
    /// parameters.
    pub(super) fn describe(
        self,
        sets: &mut Sets,
        staterrors: Option<&HashMap<String, usize>>,
        options: &ImportOptions,
    ) -> Result<(String, Vec<Template>), WorkspaceError> {
        let mut templates = Vec::with_capacity(self.samples.len());
        for (name, nominal, modifiers) in self.samples {
            let mut template = Template {
                name,
                nominal,
                factors: Vec::new(),
                modifiers: Vec::new(),
            };
            for modifier in modifiers {
                let staterror = staterrors.and_then(|places| places.get(&modifier.name));
                apply(modifier, &mut template, sets, staterror.copied(), options)?;
            }
            templates.push(template);
        }
        Ok((self.name, templates))
    }
}

/// Adds a modifier to a template, and its parameters to the sets; those of a
/// `staterror` are there already, from `staterror` on.
fn apply(
    modifier: Checked,
    template: &mut Template,
    sets: &mut Sets,
    staterror: Option<usize>,
    options: &ImportOptions,
) -> Result<(), WorkspaceError> {
    let Checked {
        name,
        place,
        effect,
    } = modifier;
    let bins = template.nominal.len();
    let mut add = |kind, count, widths| sets.add(&name, kind, count, widths, &place);
    let mut one = |kind| add(kind, 1, Vec::new());
    let per_bin = |first: usize| Modifier::PerBin {
        parameters: (first..first + bins).collect(),
    };
    match effect {
        Effect::NormFactor => template
            .factors
            .push(Factor::Parameter(one(Kind::NormFactor)?)),
        Effect::Lumi => template.factors.push(Factor::Parameter(one(Kind::Lumi)?)),
        Effect::NormSys(data) => template.factors.push(Factor::Response(RateResponse {
            parameter: one(Kind::Alpha)?,
            low: data.lo,
            high: data.hi,
            interpolation: options.rates,
        })),
        Effect::HistoSys(data) => template.modifiers.push(Modifier::Shape {
            parameter: one(Kind::Alpha)?,
            low: data.lo_data,
            high: data.hi_data,
            code: options.shapes,
        }),
        Effect::ShapeFactor => {
            let first = add(Kind::ShapeFactor, bins, Vec::new())?;
            template.modifiers.push(per_bin(first));
        }
        Effect::ShapeSys(sigma) => {
            let widths = relative(&sigma, &template.nominal);
            let first = add(Kind::ShapeSys, bins, widths)?;
            template.modifiers.push(per_bin(first));
        }
        Effect::StatError(_) => template.modifiers.extend(staterror.map(per_bin)),
    }
    Ok(())
}

fn check_modifiers(
    channel: &str,
    sample: &schema::Sample,
    modifiers: Vec<schema::Modifier>,
) -> Result<Vec<Checked>, WorkspaceError> {
    let mut seen = HashSet::new();
    for modifier in &modifiers {
        if !seen.insert((&modifier.kind, &modifier.name)) {
            return Err(WorkspaceError::Duplicate {
                what: format!(
                    "channel `{channel}`, sample `{}`: {}",
                    sample.name, modifier.kind
                ),
                name: modifier.name.clone(),
            });
        }
    }
    let check = |modifier| Checked::new(channel, sample, modifier);
    modifiers.into_iter().map(check).collect()
}

/// Uncertainties relative to nominal; zero where there is no content.
fn relative(sigma: &[f64], nominal: &[f64]) -> Vec<f64> {
    let one = |(s, n): (&f64, &f64)| if *n > 0.0 { s / n } else { 0.0 };
    sigma.iter().zip(nominal).map(one).collect()
}

/// Sums over the samples of a channel that share a `staterror`.
struct StatError {
    place: Place,
    squares: Vec<f64>,
    nominal: Vec<f64>,
}

/// Adds all `staterror`s: one parameter a bin and channel, its uncertainty the
/// quadratic sum over the samples that have it, relative to their sum. The
/// channels of one name come in alphabetical order, as in pyhf.
///
/// For each channel, the place of the first parameter of each name.
pub(super) fn add_staterrors(
    sets: &mut Sets,
    channels: &[Channel],
) -> Result<HashMap<String, HashMap<String, usize>>, WorkspaceError> {
    let mut all: BTreeMap<&str, BTreeMap<&str, StatError>> = BTreeMap::new();
    for channel in channels {
        for (_, nominal, modifiers) in &channel.samples {
            for modifier in modifiers {
                let Effect::StatError(sigma) = &modifier.effect else {
                    continue;
                };
                let sums = all.entry(&modifier.name).or_default();
                let sums = sums.entry(&channel.name).or_insert_with(|| StatError {
                    place: modifier.place.clone(),
                    squares: vec![0.0; channel.bins],
                    nominal: vec![0.0; channel.bins],
                });
                for bin in 0..channel.bins {
                    sums.squares[bin] += sigma[bin].powi(2);
                    sums.nominal[bin] += nominal[bin];
                }
            }
        }
    }
    let mut places: HashMap<String, HashMap<String, usize>> = HashMap::new();
    for (name, channels) in all {
        let mut widths = Vec::new();
        for sums in channels.values() {
            let sigma: Vec<f64> = sums.squares.iter().map(|s| s.sqrt()).collect();
            widths.extend(relative(&sigma, &sums.nominal));
        }
        let Some(StatError { place, .. }) = channels.values().next() else {
            continue;
        };
        let mut next = sets.add(name, Kind::StatError, widths.len(), widths, place)?;
        for (channel, sums) in channels {
            let of_channel = places.entry(channel.to_owned()).or_default();
            of_channel.insert(name.to_owned(), next);
            next += sums.nominal.len();
        }
    }
    Ok(places)
}

/// Checks all channels.
pub(super) fn check_channels(
    channels: Vec<schema::Channel>,
    limits: &Limits,
) -> Result<Vec<Channel>, WorkspaceError> {
    if channels.is_empty() {
        return Err(WorkspaceError::Empty(
            "the workspace has no channel".to_owned(),
        ));
    }
    unique("channel", channels.iter().map(|c| c.name.as_str()))?;
    let check = |channel| Channel::check(channel, limits);
    channels.into_iter().map(check).collect()
}

/// Refuses a name that is there twice.
pub(super) fn unique<'a>(
    what: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), WorkspaceError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(WorkspaceError::Duplicate {
                what: what.to_owned(),
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}

/// Refuses what is larger than allowed.
pub(super) fn within(what: &'static str, found: usize, limit: usize) -> Result<(), WorkspaceError> {
    if found <= limit {
        return Ok(());
    }
    Err(WorkspaceError::TooLarge { what, found, limit })
}
