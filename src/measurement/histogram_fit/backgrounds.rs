//! Backgrounds that are runs, as processes of a plan: contents, and a nuisance parameter for each
//! thing that is known of their error.

use super::super::plan::{Plan, ProcessPlan, VariedPlan};
use super::super::result::BackgroundResult;
use super::super::samples::{Binned, Template, binned};
use super::replicas::Replicas;
use crate::backgrounds::{
    Axis, ChannelAxes, FEW_OBSERVED, Known, RunHistograms, components, deviations, interquartile,
};
use crate::error::{Context, Error, Kind, Result, counted};
use crate::report::numbers::percent;
use crate::settings::{
    CHANNEL_REGION, InterpolationCode, Limit, LimitSampleConfig, Measurement, Places,
    RetrainingMode, RetrainingSpread, ScaleConfig, SystematicConfig, moved,
};
use crate::statistics::moments;
use crate::workflow::FinishedRun;
use indexmap::IndexMap;
use sideband_numerics::Edges;
use std::ops::Range;

/// Replicas below which the trace of their covariance is a guess.
const FEW_REPLICAS: usize = 20;
/// Relative error of a yield above which it is none.
const UNKNOWN: f64 = 0.9;
/// Share of a channel outside of its parts that is said.
const OUTSIDE: f64 = 0.05;

/// A measurement whose nuisance parameters grow by those of its backgrounds, with what is known
/// of their effects.
pub(super) struct Growing<'a> {
    pub limit: &'a Limit,
    pub places: &'a Places,
    /// With the parameters that were added so far.
    pub measurement: Measurement,
    pub plan: Plan,
    /// Names of the parameters that were added.
    pub added: Vec<String>,
    /// Whether blind regions are closed.
    pub is_closed: bool,
    /// Replicas that limits are asked of.
    pub replicas: Vec<Replicas>,
    /// Samples, digests of their runs' source files, and keys of their events.
    pub known: Vec<(String, Vec<String>, Vec<u64>)>,
}

/// One background that is made.
struct Background<'a> {
    name: &'a str,
    config: &'a LimitSampleConfig,
    axes: ChannelAxes<'a>,
    ranges: Vec<Range<usize>>,
    found: RunHistograms,
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
    /// Adds the sample `name`, which is a run, as a process.
    pub(super) fn add(&mut self, name: &'a str) -> Result<BackgroundResult> {
        let limit: &'a Limit = self.limit;
        let place = format!("samples.{name}");
        let config = limit.samples.get(name);
        let config = config.ok_or_else(|| Error::config_at(&place, "is not there"))?;
        let run = self.open(&place, config.run.as_ref(), &config.point())?;
        let axes = self.axes(name, config)?;
        let quadrants = config.control_region.as_ref();
        let quadrants = quadrants.map(|c| c.quadrants.clone()).unwrap_or_default();
        let found = RunHistograms::of(&run, &axes, &quadrants, &place)?;
        if found.events == 0 {
            let text = format!("no source event of {} is in a channel", run.name());
            return Err(Error::data_at(place, text));
        }
        let mut of = Background {
            name,
            config,
            ranges: axes.ranges(),
            axes,
            found,
            parameters: Vec::new(),
        };
        let files = run.files().map_err(|e| e.at_key(format!("{place}.run")))?;
        self.plan.files.insert(format!("{place}.run"), files);
        self.check_apart(&mut of, &run)?;
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
        let left = self.add_retraining(&mut of, &run, &mut result)?;
        self.add_normalisation(&mut of, &run)?;
        self.add_control_region(&mut of, &quadrants)?;
        self.add_nonclosure(&mut of, &run, &quadrants)?;
        let is_statistical = limit.is_statistical(name);
        let both = of.found.variances.iter().zip(&left);
        let both = both.map(|(own, left)| if is_statistical { own + left } else { *left });
        let variances: Vec<f64> = both.collect();
        self.keep_replicas(&mut of, is_statistical, result.components);
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
    fn axes(&self, name: &str, config: &LimitSampleConfig) -> Result<ChannelAxes<'a>> {
        let limit: &'a Limit = self.limit;
        let selection = |channel: &str| {
            let region = self
                .measurement
                .regions
                .get(&format!("{CHANNEL_REGION}{channel}"));
            region.map(|r| r.selection.clone()).unwrap_or_default()
        };
        let axis = |histogram: Binned<'_>| {
            let edges = Edges::new(histogram.edges.to_vec()).of(Kind::Internal)?;
            Ok::<_, Error>(Axis {
                selection: selection(histogram.name),
                observable: histogram.observable.to_owned(),
                edges,
                key: histogram.key,
            })
        };
        let parted = limit
            .channels
            .iter()
            .filter(|(_, c)| c.categories.is_some());
        let cut = config.selection.as_ref();
        let blind = limit
            .regions
            .iter()
            .filter(|(_, r)| r.blind && self.is_closed);
        let hidden = blind.map(|(name, r)| {
            let key = format!("regions.{name}.selection");
            (key, r.selection.clone())
        });
        let of_runs = limit.samples.values().filter(|s| s.run.is_some());
        Ok(ChannelAxes {
            columns: &limit.data,
            axes: binned(&self.measurement)
                .into_iter()
                .map(axis)
                .collect::<Result<_>>()?,
            wholes: parted
                .map(|(channel, _)| (format!("channels.{channel}.selection"), selection(channel)))
                .collect(),
            hidden: hidden.collect(),
            cut: cut.map(|text| (format!("samples.{name}.selection"), text.clone())),
            has_keys: of_runs.count() > 1,
        })
    }

    /// Whether no event is one of another sample's, too.
    fn check_apart(&mut self, of: &mut Background<'_>, run: &FinishedRun) -> Result<()> {
        let (keys, digests) = (std::mem::take(&mut of.found.keys), run.source_digests());
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

    /// Parameters for what retrained networks differ by; the variance of every bin that is in
    /// none of them.
    fn add_retraining(
        &mut self,
        of: &mut Background<'_>,
        run: &FinishedRun,
        result: &mut BackgroundResult,
    ) -> Result<Vec<f64>> {
        let asked = of.config.retraining.clone();
        let config = asked.clone().unwrap_or_default();
        let bins = of.found.nominal.len();
        let replicas = run.replicas();
        if replicas < 2 {
            let text = format!(
                "{} has {replicas} replica, which differs from none",
                run.name()
            );
            if asked.is_some() {
                return Err(Error::data_at(format!("{}.retraining", of.place()), text));
            }
            self.note(
                of,
                &format!("{text}: the error of the retraining is not there"),
            );
            return Ok(vec![0.0; bins]);
        }
        let both = of.found.nominal.iter().zip(&of.found.variances);
        let known = both.map(|(h, v)| h.max(0.0).sqrt().max(v.sqrt()));
        // an empty bin has no replica's events either
        let known: Vec<f64> = known.map(|x| if x > 0.0 { x } else { 1.0 }).collect();
        let is_one = config.spread == RetrainingSpread::Iqr;
        let found = match is_one {
            true => interquartile(&of.found.replicas, bins),
            false => components(&of.found.replicas, &known, config.keep, config.at_most),
        };
        let found = found.ok_or_else(|| {
            let text = "the covariance of its replicas cannot be taken apart";
            Error::data_at(format!("{}.retraining", of.place()), text)
        })?;
        let sums: Vec<f64> = of
            .found
            .replicas
            .chunks_exact(bins)
            .map(|row| row.iter().sum())
            .collect();
        let (mean, variance) = moments(&sums);
        result.spread = variance.sqrt() / mean;
        result.components = found.shifts.len();
        result.share = found.share;
        result.lost_correlation = found.lost_correlation;
        self.note_replicas(of, run);
        let group = config
            .group
            .unwrap_or_else(|| format!("NN retraining ({replicas} x)"));
        if is_one {
            self.note(
                of,
                "its retraining is one parameter of interquartile ranges: that bins are fully \
                 correlated is assumed, which the covariance would tell",
            );
        }
        for (k, shift) in found.shifts.iter().enumerate() {
            let number = k + 1;
            let [name, words] = match is_one {
                true => ["", ""].map(str::to_owned),
                false => [format!("_{number}"), format!(" {number}")],
            };
            let added = Added {
                parameter: format!("{}_retraining{name}", of.name),
                group: group.clone(),
                label: format!("{}, retraining{words}", of.label()),
            };
            if self.added.contains(&added.parameter) {
                // trainings are independent of each other
                let name = &added.parameter;
                let text = format!("`{name}` is the name of another sample's parameter");
                return Err(Error::config_at(of.place(), text));
            }
            self.push_shift(of, added, shift)?;
        }
        let is_left = found.left.iter().any(|x| *x > 0.0);
        let without = self
            .measurement
            .channels
            .iter()
            .filter(|(_, c)| !c.statistical);
        let without: Vec<&str> = without.map(|(name, _)| name.as_str()).collect();
        if is_left && !without.is_empty() {
            let text = format!(
                "what its components leave of the retraining is in no error of {}, which are not \
                 `statistical`",
                without.join(", ")
            );
            self.note(of, &text);
        }
        Ok(found.left)
    }

    /// Keeps the replicas if limits with each of them are asked for. `components`: parameters
    /// that are made of them, the first of all.
    fn keep_replicas(&mut self, of: &mut Background<'_>, is_statistical: bool, components: usize) {
        let mode = of.config.retraining.as_ref().map(|r| r.mode);
        if mode != Some(RetrainingMode::Replicas) {
            return;
        }
        let bins = of.found.nominal.len();
        self.replicas.push(Replicas {
            sample: of.name.to_owned(),
            contents: std::mem::take(&mut of.found.replicas),
            variances: match is_statistical {
                true => of.found.variances.clone(),
                false => vec![0.0; bins],
            },
            retraining: of.parameters[..components].to_vec(),
        });
    }

    fn note_replicas(&mut self, of: &Background<'_>, run: &FinishedRun) {
        let replicas = run.replicas();
        if replicas < FEW_REPLICAS {
            let error = (2.0 / (replicas - 1) as f64).sqrt();
            let text = format!(
                "{replicas} replicas know their own covariance to {} only",
                percent(error)
            );
            self.note(of, &text);
        }
        if !run.is_bootstrapped() {
            self.note(
                of,
                "its members were not bootstrapped: the retraining has initial weights and order \
                 alone, and not the finite number of training events",
            );
        }
        let bins = of.found.nominal.len();
        let far = (0..bins).find(|b| {
            let rows = of.found.replicas.chunks_exact(bins);
            let mean = rows.map(|row| row[*b]).sum::<f64>() / replicas as f64;
            (mean - of.found.nominal[*b]).abs() > of.found.variances[*b].sqrt()
        });
        if let Some(b) = far {
            let text = format!(
                "the mean of its replicas is more than a statistical error away from the nominal \
                 content, first in {}",
                of.bin(b)
            );
            self.note(of, &text);
        }
    }

    /// A parameter for the counting error of what it is normalised to.
    fn add_normalisation(&mut self, of: &mut Background<'_>, run: &FinishedRun) -> Result<()> {
        let relative = of.found.normalisation;
        if relative > UNKNOWN {
            let text = format!(
                "what {} is normalised to is known to {} only",
                run.name(),
                percent(relative)
            );
            return Err(Error::data_at(of.place(), text));
        }
        if relative == 0.0 {
            return Ok(());
        }
        let config = of.config.normalisation.clone().unwrap_or_default();
        let (name, group) = (config.parameter, config.group);
        let added = Added {
            parameter: name.unwrap_or_else(|| format!("{}_normalisation", of.name)),
            group: group.unwrap_or_else(|| "Background normalisation".to_owned()),
            label: format!("{}, normalisation", of.label()),
        };
        self.push(
            of,
            added,
            VariedPlan::of_rates([1.0 - relative, 1.0 + relative]),
        )
    }

    /// Parameters for the choice of the control region: the difference of another run, a quadrant
    /// each.
    fn add_control_region(&mut self, of: &mut Background<'_>, quadrants: &[String]) -> Result<()> {
        let Some(config) = &of.config.control_region else {
            return Ok(());
        };
        let place = format!("{}.control_region", of.place());
        let point = match &config.run {
            Some(_) => moved(&IndexMap::new(), &config.point),
            None => moved(&of.config.point, &config.point),
        };
        let run = config.run.as_ref().or(of.config.run.as_ref());
        let other = self.open(&place, run, &point)?;
        let varied = RunHistograms::of(&other, &of.axes, quadrants, &of.place())?;
        let files = other.files().map_err(|e| e.at_key(&place))?;
        self.plan.files.insert(format!("{place}.run"), files);
        let differences = differences(&of.found, &varied);
        if differences.iter().flatten().all(|d| *d == 0.0) {
            let text = format!(
                "{} predicts the same in every bin: is it the same ensemble?",
                other.name()
            );
            return Err(Error::data_at(place, text));
        }
        let name = config.parameter.clone();
        let name = name.unwrap_or_else(|| format!("{}_control_region", of.name));
        let group = config.group.clone();
        let group = group.unwrap_or_else(|| "Choice of CR".to_owned());
        for (k, difference) in differences.iter().enumerate() {
            if difference.iter().all(|d| *d == 0.0) {
                let quadrant = quadrants.get(k).map_or("", String::as_str);
                let text = format!("no event is in {quadrant}, which has no parameter");
                self.note(of, &text);
                continue;
            }
            let (parameter, label) = match quadrants.get(k) {
                Some(quadrant) => (
                    format!("{name}_{quadrant}"),
                    format!("{}, choice of CR, {quadrant}", of.label()),
                ),
                None => (name.clone(), format!("{}, choice of CR", of.label())),
            };
            let added = Added {
                parameter,
                group: group.clone(),
                label,
            };
            self.push_shift(of, added, difference)?;
        }
        Ok(())
    }

    /// A parameter for what a run leaves whose target is known.
    fn add_nonclosure(
        &mut self,
        of: &mut Background<'_>,
        run: &FinishedRun,
        quadrants: &[String],
    ) -> Result<()> {
        let Some(config) = of.config.nonclosure.as_ref() else {
            return Ok(());
        };
        let place = format!("{}.nonclosure", of.place());
        let at = |point: &IndexMap<_, _>| match &config.run {
            Some(_) => moved(&IndexMap::new(), point),
            None => moved(&of.config.point, point),
        };
        let name = config.run.as_ref().or(of.config.run.as_ref());
        let other = self.open(&place, name, &at(&config.point))?;
        if !self.plan.hidden.is_empty() && other.has_target_of(run) {
            let text = format!(
                "the target events of {} are those that the background is of, and channels are \
                 blind: take a run of another target, or open them with --unblind",
                other.name()
            );
            return Err(Error::config_at(place, text));
        }
        let varied = match config.variation.is_empty() {
            true => None,
            false => Some(self.open(&place, name, &at(&config.variation))?),
        };
        let runs = (&other, varied.as_ref());
        let relative = self.deviations(of, runs, (config.smooth, quadrants), &place)?;
        if relative.iter().all(|e| *e == 0.0) {
            self.note(
                of,
                "its non-closure is no more than its errors explain: no parameter",
            );
            return Ok(());
        }
        let bins = of.found.nominal.iter().zip(&relative);
        let shift: Vec<f64> = bins.map(|(h, e)| h * e).collect();
        let name = config.parameter.clone();
        let group = config.group.clone();
        let added = Added {
            parameter: name.unwrap_or_else(|| format!("{}_nonclosure", of.name)),
            group: group.unwrap_or_else(|| "Non-closure".to_owned()),
            label: format!("{}, non-closure", of.label()),
        };
        self.push_shift(of, added, &shift)
    }

    /// Relative deviations of a run beyond all errors, `[bins]`. `varied`: it in another control
    /// region.
    fn deviations(
        &mut self,
        of: &Background<'_>,
        (other, varied): (&FinishedRun, Option<&FinishedRun>),
        (smooth, quadrants): (usize, &[String]),
        place: &str,
    ) -> Result<Vec<f64>> {
        let files = other.files().map_err(|e| e.at_key(place))?;
        self.plan.files.insert(format!("{place}.run"), files);
        let found = RunHistograms::of(other, &of.axes, quadrants, &of.place())?;
        if found.blind > 0 {
            let text = format!(
                "events of the channels are in a blind region of {}, whose target events are \
                 hidden: nothing tells how well it closes there",
                other.name()
            );
            return Err(Error::config_at(place, text));
        }
        let bins = found.nominal.len();
        let spread = components(&found.replicas, &vec![1.0; bins], 1.0, 0);
        let mut variances = spread.map_or_else(|| vec![0.0; bins], |spread| spread.left);
        if let Some(varied) = varied {
            let files = varied.files().map_err(|e| e.at_key(place))?;
            self.plan.files.insert(format!("{place}.variation"), files);
            let varied = RunHistograms::of(varied, &of.axes, quadrants, &of.place())?;
            for difference in differences(&found, &varied) {
                let pairs = variances.iter_mut().zip(&difference);
                pairs.for_each(|(variance, d)| *variance += d * d);
            }
        }
        let [observed, observed_variances] = RunHistograms::observed(other, &of.axes)?;
        let known = |b: usize| {
            let predicted = found.nominal[b];
            let counting = (found.normalisation * predicted).powi(2);
            Known {
                observed: observed[b],
                observed_variance: observed_variances[b],
                predicted,
                predicted_variance: variances[b] + found.variances[b] + counting,
            }
        };
        let mut all = Vec::with_capacity(bins);
        for (range, axis) in of.ranges.iter().zip(&of.axes.axes) {
            let own: Vec<Known> = range.clone().map(known).collect();
            let channel = axis.key.trim_start_matches(CHANNEL_REGION);
            let empty = own.iter().filter(|bin| bin.predicted <= 0.0).count();
            if empty > 0 {
                let bins = counted(empty, "bin");
                let text = format!(
                    "its non-closure is taken as 0 in {bins} of {channel}, where \
                                    nothing is predicted"
                );
                self.note(of, &text);
            }
            match deviations(&own, smooth) {
                Some(found) => all.extend(found),
                None => {
                    all.resize(all.len() + range.len(), 0.0);
                    let text = format!(
                        "its non-closure is taken as 0 in {channel}, where fewer than \
                         {FEW_OBSERVED} target events of {} are",
                        other.name()
                    );
                    self.note(of, &text);
                }
            }
        }
        Ok(all)
    }
}

/// What another run predicts more than one in all bins, for each of their common regions, or in
/// all without any.
fn differences(one: &RunHistograms, other: &RunHistograms) -> Vec<Vec<f64>> {
    let less = |one: &[f64], other: &[f64]| -> Vec<f64> {
        other.iter().zip(one).map(|(new, old)| new - old).collect()
    };
    if one.regions.is_empty() {
        return vec![less(&one.nominal, &other.nominal)];
    }
    let pairs = one.regions.iter().zip(&other.regions);
    pairs.map(|(one, other)| less(one, other)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadrants_share_the_difference_among_them() {
        let of = |nominal: [f64; 2], regions: Vec<Vec<f64>>| RunHistograms {
            nominal: nominal.to_vec(),
            regions,
            ..RunHistograms::default()
        };
        let [one, other] = [[4.0, 6.0], [5.0, 4.0]].map(|nominal| of(nominal, Vec::new()));
        assert_eq!(differences(&one, &other), [[1.0, -2.0]]);
        let one = of([4.0, 6.0], vec![vec![4.0, 1.0], vec![0.0, 5.0]]);
        let other = of([5.0, 4.0], vec![vec![5.0, 0.5], vec![0.0, 3.5]]);
        assert_eq!(differences(&one, &other), [[1.0, -0.5], [0.0, -1.5]]);
    }
}
