//! Backgrounds that are runs, as processes of a plan: contents, and a nuisance parameter for each
//! thing that is known of their error.

mod mixing;
mod others;
mod own;

use super::model::{Analysis, Parameters};
use super::plan::{Plan, ProcessPlan, VariedPlan};
use super::result::BackgroundResult;
use super::rules::check_bins;
use super::samples::{Binned, Template, binned};
use crate::backgrounds::{Axis, ChannelAxes, RunHistograms};
use crate::error::{Context, Error, Kind, Result, counted};
use crate::report::numbers::{percent, significant};
use crate::rundir::Progress;
use crate::settings::{
    CHANNEL_REGION, InterpolationCode, Measurement, Places, ProcessConfig, ScaleConfig,
    SystematicConfig,
};
use crate::workflow::FinishedRun;
use indexmap::IndexMap;
use sideband_likelihood::histogram::HistogramChannel;
use sideband_numerics::Edges;
use std::ops::Range;

/// Share of a channel outside of its parts that is said.
const OUTSIDE: f64 = 0.05;

/// A measurement whose nuisance parameters grow by those of its backgrounds, with what is known
/// of their effects.
pub(super) struct Growing<'a> {
    /// As the configuration has it.
    base: &'a Measurement,
    places: &'a Places,
    /// With the parameters that were added so far.
    pub measurement: Measurement,
    pub plan: Plan,
    /// Names of the parameters that were added.
    pub added: Vec<String>,
    /// Keys and selections of channels with parts.
    pub wholes: Vec<(String, String)>,
    /// Keys and selections of regions whose observed events are hidden.
    pub hidden: Vec<(String, String)>,
    /// Key and selection of the region that is measured without bins.
    pub apart: Option<(String, String)>,
    /// Replicas that limits are asked of.
    pub replicas: Vec<Replicas>,
    /// Samples, digests of their runs' source files, and keys of their events.
    known: Vec<(String, Vec<String>, Vec<u64>)>,
}

/// The replicas of a background.
pub(super) struct Replicas {
    /// The sample.
    pub sample: String,
    /// Their contents, `[M, bins]`, and the variances of each from the source's statistics,
    /// `[bins]`.
    pub contents: Vec<f64>,
    pub variances: Vec<f64>,
    /// Names of the parameters that are made of them.
    pub retraining: Vec<String>,
}

/// One background that is made.
struct Background<'a> {
    name: &'a str,
    config: &'a ProcessConfig,
    axes: ChannelAxes<'a>,
    ranges: Vec<Range<usize>>,
    found: RunHistograms,
    /// What the contents of each bin were multiplied with.
    factors: Vec<f64>,
    /// Names of its parameters.
    parameters: Vec<String>,
}

/// A nuisance parameter that is added.
struct Added {
    parameter: String,
    group: String,
    label: String,
}

impl Background<'_> {
    fn place(&self) -> String {
        format!("samples.{}", self.name)
    }

    /// How it is called in plots.
    fn label(&self) -> &str {
        self.config.label.as_deref().unwrap_or(self.name)
    }

    /// Contents and variances of all bins, channel by channel.
    fn templates(&self, contents: &[f64], variances: &[f64]) -> Vec<Template> {
        let template = |range: &Range<usize>| Template {
            contents: contents[range.clone()].to_vec(),
            variances: variances[range.clone()].to_vec(),
        };
        self.ranges.iter().map(template).collect()
    }

    /// A bin in words.
    fn bin(&self, bin: usize) -> String {
        let mut all = self.ranges.iter().zip(&self.axes.axes);
        let own = all.find(|(range, _)| range.contains(&bin));
        own.map_or_else(String::new, |(range, axis)| {
            let (edges, k) = (axis.edges.values(), bin - range.start);
            let channel = axis.key.trim_start_matches(CHANNEL_REGION);
            format!(
                "channel {channel}, bin {k} [{}, {})",
                edges[k],
                edges[k + 1]
            )
        })
    }
}

impl<'a> Growing<'a> {
    /// Of a measurement and what its simulated samples have made of a plan.
    pub(super) fn new(base: &'a Measurement, places: &'a Places, plan: Plan) -> Self {
        Self {
            base,
            places,
            measurement: base.clone(),
            plan,
            added: Vec::new(),
            wholes: Vec::new(),
            hidden: Vec::new(),
            apart: None,
            replicas: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Adds the sample `name`, which is a run, and says so.
    pub(super) fn read(&mut self, name: &'a str, progress: &Progress) -> Result<BackgroundResult> {
        let base: &'a Measurement = self.base;
        let run = base.samples.get(name).and_then(|s| s.run.as_deref());
        let run = run.unwrap_or_default();
        progress.say(&format!("sample {name}: reading {run}"));
        let stage = progress.stage(&format!("reading {run}"), 0);
        let found = self.add(name)?;
        drop(stage);
        progress.say(&format!(
            "sample {name}: {}, rate {}, {}",
            counted(found.events, "event"),
            significant(found.expected[0], 5),
            counted(found.replicas, "replica")
        ));
        self.plan.rates_alone(base, name);
        Ok(found)
    }

    /// Adds the sample `name`, which is a run, as a process.
    fn add(&mut self, name: &'a str) -> Result<BackgroundResult> {
        let base: &'a Measurement = self.base;
        let place = format!("samples.{name}");
        let config = base.samples.get(name);
        let config = config.ok_or_else(|| Error::config_at(&place, "is not there"))?;
        let run = self.open(&place, config.run.as_ref(), &config.point())?;
        if config.plane.is_some() && !run.is_sampled() {
            let text = format!(
                "{} is no interpolation, which alone has a mass plane: leave it out",
                run.name()
            );
            return Err(Error::config_at(format!("{place}.plane"), text));
        }
        if config.control_region.is_some() && run.is_sampled() {
            let text = format!(
                "{} is an interpolation, which no control region is chosen for: its errors are \
                 those of networks, mass plane and normalisation; leave it out, and take \
                 `nonclosure` for what a known target tells beside",
                run.name()
            );
            return Err(Error::config_at(format!("{place}.control_region"), text));
        }
        let axes = self.axes(name, config)?;
        let quadrants = config.control_region.as_ref();
        let quadrants = quadrants.map(|c| c.quadrants.clone()).unwrap_or_default();
        let found = RunHistograms::of(&run, &axes, &quadrants, &place)?;
        if found.events == 0 {
            let kind = if run.is_sampled() {
                "sampled"
            } else {
                "source"
            };
            let text = format!("no {kind} event of {} is in a channel", run.name());
            return Err(Error::data_at(place, text));
        }
        let mut of = Background {
            name,
            config,
            ranges: axes.ranges(),
            factors: vec![1.0; axes.bins()],
            axes,
            found,
            parameters: Vec::new(),
        };
        let files = run.files().map_err(|e| e.at_key(format!("{place}.run")))?;
        self.check_apart(&mut of, run.source_digests(&files))?;
        self.plan.files.insert(format!("{place}.run"), files);
        self.hide(&of);
        self.note_counts(&of);
        let mut result = BackgroundResult {
            sample: name.to_owned(),
            run: run.name().to_owned(),
            events: of.found.events,
            replicas: run.replicas(),
            normalisation: of.found.normalisation,
            ..BackgroundResult::default()
        };
        let mixed = self.open_mixing(&mut of, &run)?;
        let mut left = match &mixed {
            // its variance is that of other trainings, and of what they are normalised to
            Some(mixed) => {
                self.add_mixed(&mut of, mixed)?;
                vec![0.0; of.found.nominal.len()]
            }
            None => self.add_retraining(&mut of, &run, &mut result)?,
        };
        // the first of all are those of the retraining
        let retraining = result.components;
        let of_plane = self.add_plane(&mut of, &mut result)?;
        let bins = left.iter_mut().zip(&of_plane);
        bins.for_each(|(left, more)| *left += more);
        if mixed.is_none() {
            self.add_normalisation(&mut of, &run)?;
        }
        result.mixing = mixed.map(|mixed| mixed.name().to_owned());
        self.add_control_region(&mut of, &quadrants)?;
        self.add_nonclosure(&mut of, &run, &quadrants)?;
        let is_statistical = base.is_statistical(name);
        let both = of.found.variances.iter().zip(&left);
        let both = both.map(|(own, left)| if is_statistical { own + left } else { *left });
        let variances: Vec<f64> = both.collect();
        self.keep_replicas(&mut of, (is_statistical, &of_plane), retraining);
        let sum: f64 = of.found.nominal.iter().sum();
        let sum_error = of.found.variances.iter().sum::<f64>().sqrt();
        let process = ProcessPlan {
            name: name.to_owned(),
            sum,
            sum_error,
            events: usize::try_from(of.found.events).unwrap_or(usize::MAX),
            scale: match &config.scale {
                ScaleConfig::Number(scale) => *scale,
                // refused by the settings
                ScaleConfig::Text(_) => 1.0,
            },
            templates: of.templates(&of.found.nominal, &variances),
            is_statistical: is_statistical || left.iter().any(|x| *x > 0.0),
            is_measured: self.apart.is_none(),
        };
        result.expected = [process.scale * sum, process.scale * sum_error];
        result.parameters = of.parameters;
        self.plan.processes.push(process);
        Ok(result)
    }

    /// Opens an ensemble of a run, whose path starts from the configuration's folder.
    fn open(
        &self,
        place: &str,
        run: Option<&String>,
        point: &IndexMap<String, String>,
    ) -> Result<FinishedRun> {
        let path = self.places.folder.join(run.map_or("", String::as_str));
        FinishedRun::open(&path, point).map_err(|error| match error.kind() {
            Kind::Config => error.at_key(format!("{place}.point")),
            _ => error.at_key(format!("{place}.run")),
        })
    }

    /// The channels, and what their events must fulfil.
    fn axes(&self, name: &str, config: &ProcessConfig) -> Result<ChannelAxes<'a>> {
        let base: &'a Measurement = self.base;
        let axis = |histogram: Binned<'_>| {
            let edges = Edges::new(histogram.edges.to_vec()).of(Kind::Internal)?;
            let region = base.regions.get(histogram.region);
            Ok::<_, Error>(Axis {
                selection: region.map(|r| r.selection.clone()).unwrap_or_default(),
                observable: histogram.observable.to_owned(),
                edges,
                key: histogram.key,
            })
        };
        let cut = config.selection.as_ref();
        let runs = base.samples.values().filter(|s| s.is_run());
        Ok(ChannelAxes {
            columns: &base.data,
            axes: binned(base).into_iter().map(axis).collect::<Result<_>>()?,
            wholes: self.wholes.clone(),
            hidden: self.hidden.clone(),
            cut: cut.map(|text| (format!("samples.{name}.selection"), text.clone())),
            apart: self.apart.clone(),
            has_keys: runs.count() > 1,
        })
    }

    /// Whether no event is one of another sample's, too.
    /// `digests`: those of the files that they are of.
    fn check_apart(&mut self, of: &mut Background<'_>, digests: Vec<String>) -> Result<()> {
        let keys = std::mem::take(&mut of.found.keys);
        let of_same_files = self.known.iter().filter(|(_, files, _)| *files == digests);
        for (other, _, theirs) in of_same_files {
            let both = keys.iter().filter(|key| theirs.binary_search(key).is_ok());
            let both = both.count();
            if both > 0 {
                let text = format!(
                    "{both} of its events are events of samples.{other}, too: they would count \
                     twice; exclude one by the other's selection"
                );
                return Err(Error::data_at(of.place(), text));
            }
        }
        self.known.push((of.name.to_owned(), digests, keys));
        Ok(())
    }

    /// Channels that reach into hidden regions.
    fn hide(&mut self, of: &Background<'_>) {
        for (axis, found) in of.axes.axes.iter().zip(&of.found.hidden) {
            for (k, (key, _)) in of.axes.hidden.iter().enumerate() {
                if found >> k & 1 == 1 {
                    let region = key.trim_start_matches("regions.");
                    let region = region.trim_end_matches(".selection").to_owned();
                    self.plan.hidden.entry(axis.key.clone()).or_insert(region);
                }
            }
        }
    }

    fn note(&mut self, of: &Background<'_>, text: &str) {
        let place = of.place();
        self.plan.notes.push(format!("{place}: {text}"));
    }

    fn note_counts(&mut self, of: &Background<'_>) {
        if of.found.lacking > 0 {
            let events = counted(of.found.lacking, "event");
            self.note(
                of,
                &format!("{events} without a value of the observable left out"),
            );
        }
        if of.found.without > 0 {
            let events = counted(of.found.without, "event");
            let text = format!("{events} that its run left out for want of an input are missing");
            self.note(of, &text);
        }
        self.plan.note_losses(&of.found.losses, None);
        for ((key, _), [whole, outside]) in of.axes.wholes.iter().zip(&of.found.outside) {
            if *outside > OUTSIDE * whole {
                let share = percent(outside / whole);
                let channel = key.trim_end_matches(".selection");
                self.note(
                    of,
                    &format!("{share} of {channel} is in none of its categories"),
                );
            }
        }
    }

    /// Adds a parameter, unless another background has it, and its effect on one.
    fn push(&mut self, of: &mut Background<'_>, added: Added, effect: VariedPlan) -> Result<()> {
        let Added {
            parameter,
            group,
            label,
        } = added;
        let is_known = self.measurement.systematics.contains_key(&parameter);
        let is_users = is_known && !self.added.contains(&parameter);
        if is_users || self.measurement.parameters.contains_key(&parameter) {
            let text = format!("the name of one of its parameters, `{parameter}`, is taken");
            return Err(Error::config_at(of.place(), text));
        }
        if !is_known {
            let config = SystematicConfig {
                samples: IndexMap::new(),
                rates: IndexMap::new(),
                shape: true,
                interpolation: InterpolationCode::Code4,
                density_interpolation: InterpolationCode::Code4p,
                group: Some(group),
                label: Some(label),
            };
            self.measurement
                .systematics
                .insert(parameter.clone(), config);
            self.added.push(parameter.clone());
        }
        let key = (parameter.clone(), of.name.to_owned());
        if self.plan.varied.insert(key, effect).is_some() {
            let text = format!("`{parameter}` is the name of two of its parameters");
            return Err(Error::config_at(of.place(), text));
        }
        of.parameters.push(parameter);
        Ok(())
    }

    /// Adds a parameter whose standard deviation shifts all bins.
    fn push_shift(&mut self, of: &mut Background<'_>, added: Added, shift: &[f64]) -> Result<()> {
        let side = |sign: f64| {
            let bins = of.found.nominal.iter().zip(shift);
            let moved: Vec<f64> = bins.map(|(h, e)| h + sign * e).collect();
            of.templates(&moved, &of.found.variances)
        };
        let effect = VariedPlan {
            rates: [1.0, 1.0],
            sums: None,
            templates: Some([side(-1.0), side(1.0)]),
            is_additive: true,
        };
        self.push(of, added, effect)
    }
}

/// Checks the bins of a plan as [`check_bins`] does, but for the parameters of backgrounds: where
/// one of those takes all of a bin is no error.
pub(super) fn check_without(
    base: &Measurement,
    plan: &Plan,
    observed: &[Template],
) -> Result<Vec<String>> {
    let mut plain = plan.clone();
    plain
        .varied
        .retain(|(systematic, _), _| base.systematics.contains_key(systematic));
    let analysis = Analysis {
        measurement: base,
        plan: &plain,
        parameters: &Parameters::new(base, None),
    };
    check_bins(&analysis, observed)
}

/// Bins in which a standard deviation of a background's parameter leaves nothing, in words.
/// `nominal`: the point before the fit; `added`: names of those parameters.
pub(super) fn takes_all(
    parameters: &Parameters,
    added: &[String],
    (channels, nominal): (&[HistogramChannel], &[f64]),
) -> Vec<String> {
    let mut notes = Vec::new();
    for name in added {
        let Some(place) = parameters.place(name) else {
            continue;
        };
        let empty = [-1.0, 1.0].into_iter().find_map(|side| {
            let mut at = nominal.to_vec();
            at[place] = side;
            channels.iter().find_map(|channel| {
                let bin = channel.expected(&at).iter().position(|mean| *mean <= 0.0)?;
                Some((side, channel.name(), bin))
            })
        });
        if let Some((side, channel, bin)) = empty {
            notes.push(format!(
                "channel {channel}, bin {bin}: nothing is expected at {name} = {side}, where \
                 the likelihood ends; merge the bin with a neighbour"
            ));
        }
    }
    notes
}

/// What is known of a background's error, in words.
pub(super) fn words(of: &BackgroundResult) -> String {
    if let Some(run) = &of.mixing {
        return format!(
            "{}: variance and bias of the mixed data of {run}",
            of.sample
        );
    }
    let plane = of.plane.as_ref().map(|plane| {
        format!(
            "; mass plane {}, {} with {} of its variance",
            percent(plane.spread),
            counted(plane.components, "component"),
            percent(plane.share)
        )
    });
    format!(
        "{}: retraining {} of the yield, {} with {} of its variance{}; normalisation {}",
        of.sample,
        percent(of.spread),
        counted(of.components, "component"),
        percent(of.share),
        plane.unwrap_or_default(),
        percent(of.normalisation)
    )
}
