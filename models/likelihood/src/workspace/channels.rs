//! Channels of a workspace: checked, and turned into templates.

use std::collections::{BTreeMap, HashSet};

use crate::RateResponse;
use crate::histogram::{Factor, Modifier, Template};

use super::error::{Place, WorkspaceError};
use super::import::{ImportOptions, Limits};
use super::modifiers::{Checked, Effect};
use super::schema;
use super::sets::{Kind, Sets};

/// A channel whose modifiers are checked.
pub(super) struct Channel {
    pub(super) name: String,
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
                samples: checked,
            }),
        }
    }

    /// The templates, but for their `staterror`s: these go to `staterrors`.
    pub(super) fn describe(
        self,
        sets: &mut Sets,
        staterrors: &mut StatErrors,
        options: &ImportOptions,
    ) -> Result<Described, WorkspaceError> {
        let mut described = Described {
            name: self.name,
            templates: Vec::with_capacity(self.samples.len()),
        };
        for (name, nominal, modifiers) in self.samples {
            let mut template = Template {
                name,
                nominal,
                factors: Vec::new(),
                modifiers: Vec::new(),
            };
            for modifier in modifiers {
                if let Effect::StatError(sigma) = &modifier.effect {
                    let sample = described.templates.len();
                    staterrors.add(&described.name, sample, &template, &modifier, sigma);
                } else {
                    apply(modifier, &mut template, sets, options)?;
                }
            }
            described.templates.push(template);
        }
        Ok(described)
    }
}

/// A channel in the words of the likelihood.
pub(super) struct Described {
    pub(super) name: String,
    pub(super) templates: Vec<Template>,
}

/// Adds a modifier to a template, and its parameters to the sets.
fn apply(
    modifier: Checked,
    template: &mut Template,
    sets: &mut Sets,
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
            template.modifiers.push(per_bin(first, bins));
        }
        Effect::ShapeSys(sigma) => {
            let widths = relative(&sigma, &template.nominal);
            let first = add(Kind::ShapeSys, bins, widths)?;
            template.modifiers.push(per_bin(first, bins));
        }
        // collected over samples and channels before
        Effect::StatError(_) => {}
    }
    Ok(())
}

fn per_bin(first: usize, bins: usize) -> Modifier {
    Modifier::PerBin {
        parameters: (first..first + bins).collect(),
    }
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

/// The samples of a channel that share a `staterror`.
struct StatError {
    place: Place,
    samples: Vec<usize>,
    squares: Vec<f64>,
    nominal: Vec<f64>,
}

/// All `staterror`s: one parameter a bin and channel, its uncertainty the quadratic
/// sum over the samples that have it, relative to their sum. By name and channel;
/// the channels of one name come in alphabetical order, as in pyhf.
#[derive(Default)]
pub(super) struct StatErrors(BTreeMap<String, BTreeMap<String, StatError>>);

impl StatErrors {
    fn add(
        &mut self,
        channel: &str,
        sample: usize,
        template: &Template,
        modifier: &Checked,
        sigma: &[f64],
    ) {
        let bins = template.nominal.len();
        let channels = self.0.entry(modifier.name.clone()).or_default();
        let sums = channels
            .entry(channel.to_owned())
            .or_insert_with(|| StatError {
                place: modifier.place.clone(),
                samples: Vec::new(),
                squares: vec![0.0; bins],
                nominal: vec![0.0; bins],
            });
        sums.samples.push(sample);
        let squares = sums.squares.iter_mut().zip(sigma);
        squares.for_each(|(sum, sigma)| *sum += sigma * sigma);
        let contents = sums.nominal.iter_mut().zip(&template.nominal);
        contents.for_each(|(sum, n)| *sum += n);
    }

    /// Adds the parameters to the sets and the modifiers to the templates.
    pub(super) fn apply(
        self,
        sets: &mut Sets,
        described: &mut [Described],
    ) -> Result<(), WorkspaceError> {
        for (name, channels) in self.0 {
            let mut widths = Vec::new();
            for sums in channels.values() {
                let sigma: Vec<f64> = sums.squares.iter().map(|s| s.sqrt()).collect();
                widths.extend(relative(&sigma, &sums.nominal));
            }
            let mut next = sets.parameters;
            if let Some(StatError { place, .. }) = channels.values().next() {
                next = sets.add(&name, Kind::StatError, widths.len(), widths, place)?;
            }
            for (channel, sums) in channels {
                let bins = sums.nominal.len();
                for described in described.iter_mut().filter(|d| d.name == channel) {
                    for sample in &sums.samples {
                        described.templates[*sample]
                            .modifiers
                            .push(per_bin(next, bins));
                    }
                }
                next += bins;
            }
        }
        Ok(())
    }
}

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
