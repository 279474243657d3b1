//! Histograms of what a run predicts in channels, of every replica, in one pass.

use super::components::components;
use crate::error::{Error, Result};
use crate::events::Losses;
use crate::settings::ColumnsConfig;
use crate::workflow::{FinishedRun, PredictedEvent, RunColumns, TakesEvents};
use sideband_numerics::Edges;

/// Most replicas, most bins, and most numbers of their histograms.
const MOST_REPLICAS: usize = 10_000;
const MOST_BINS: usize = 1 << 14;
const MOST_NUMBERS: usize = 1 << 28;

/// A histogram that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// Its table in the configuration.
    pub key: String,
    /// Which events.
    pub selection: String,
    pub observable: String,
    pub edges: Edges,
}

/// Histograms of several channels, and of which events they are.
#[derive(Clone, Debug)]
pub(crate) struct ChannelAxes<'a> {
    /// Columns that their expressions are of.
    pub columns: &'a ColumnsConfig,
    pub axes: Vec<Axis>,
    /// Selections of channels with parts, by their keys: what is in none of those is counted.
    pub wholes: Vec<(String, String)>,
    /// Regions whose observed events are hidden, by their keys: channels that reach into one are
    /// named.
    pub hidden: Vec<(String, String)>,
    /// Key and text of what all events must fulfil.
    pub cut: Option<(String, String)>,
    /// Region, by its key, that none of them may be in: it is measured without bins, and a run
    /// has no density ratio.
    pub apart: Option<(String, String)>,
    /// Whether the keys of the events are kept.
    pub has_keys: bool,
}

impl ChannelAxes<'_> {
    /// Number of bins of all of them.
    pub(crate) fn bins(&self) -> usize {
        self.axes.iter().map(|axis| axis.edges.bins()).sum()
    }

    /// Bins of each channel among all.
    pub(crate) fn ranges(&self) -> Vec<std::ops::Range<usize>> {
        let mut first = 0;
        let range = |axis: &Axis| {
            let range = first..first + axis.edges.bins();
            first = range.end;
            range
        };
        self.axes.iter().map(range).collect()
    }

    /// What is read of the events.
    fn wanted(&self) -> RunColumns<'_> {
        let axes = self.axes.iter();
        let selections = axes
            .clone()
            .map(|a| (format!("{}.selection", a.key), a.selection.clone()));
        let others = self.wholes.iter().chain(&self.hidden);
        let others = others.chain(&self.cut).chain(&self.apart);
        let observables = axes.map(|a| (format!("{}.observable", a.key), a.observable.clone()));
        RunColumns {
            columns: self.columns,
            selections: selections.chain(others.cloned()).collect(),
            observables: observables.collect(),
            needed: (0..self.axes.len()).map(|k| (k, k)).collect(),
        }
    }

    /// Whether an event with these selections is used.
    fn is_used(&self, selected: u64) -> bool {
        let place = self.axes.len() + self.wholes.len() + self.hidden.len();
        self.cut.is_none() || selected >> place & 1 == 1
    }

    /// Whether it is where none may be.
    fn is_apart(&self, selected: u64) -> bool {
        let place = self.axes.len() + self.wholes.len() + self.hidden.len();
        let place = place + usize::from(self.cut.is_some());
        self.apart.is_some() && selected >> place & 1 == 1
    }

    /// The hidden regions that it is in, a bit each.
    fn hidden(&self, selected: u64) -> u64 {
        let place = self.axes.len() + self.wholes.len();
        selected >> place & ((1 << self.hidden.len()) - 1)
    }

    /// The channels that an event with these selections is in.
    fn of(&self, selected: u64) -> impl Iterator<Item = usize> {
        let all = self.axes.len();
        (0..all).filter(move |k| selected >> k & 1 == 1)
    }
}

/// What a run predicts in channels, whose bins stand one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunHistograms {
    /// Contents, `[bins]`.
    pub nominal: Vec<f64>,
    /// Sums of squared weights, `[bins]`.
    pub variances: Vec<f64>,
    /// Contents of each replica, `[replicas, bins]`, each normalised to its own resampling of
    /// the source in the training region where there is one.
    pub replicas: Vec<f64>,
    /// Contents of the events in each of the run's regions that were asked for, `[bins]` each.
    pub regions: Vec<Vec<f64>>,
    /// Events in channels.
    pub events: u64,
    /// Of each channel with parts the sum of weights, and what of it is in no part.
    pub outside: Vec<[f64; 2]>,
    /// Relative counting error of what the prediction is normalised to, that is in no replica.
    pub normalisation: f64,
    /// Of sampled events the same apart, category by category: shifts of all bins by one error,
    /// `[bins]` each.
    pub categories: Vec<Vec<f64>>,
    /// Of sampled events the contents with each draw of the Gaussian processes, `[draws, bins]`.
    pub plane: Vec<f64>,
    /// Events left out for want of an observable.
    pub lacking: u64,
    /// Events in channels that the run left out for want of an input.
    pub without: u64,
    /// Events in channels that are in blind regions of the run, whose target events are hidden.
    pub blind: u64,
    /// Hidden regions that events of each channel are in, a bit each.
    pub hidden: Vec<u64>,
    /// Keys of the events in channels, rising; empty unless they were asked for.
    pub keys: Vec<u64>,
    /// What selections have no value for.
    pub losses: Losses,
}

/// Sums while events are read.
struct Sums<'a> {
    axes: &'a ChannelAxes<'a>,
    first: Vec<usize>,
    found: RunHistograms,
    /// How often the resampling of each replica has an event.
    resamplings: Vec<Box<dyn Fn(u64) -> u8>>,
    /// Each replica's weights in the training region, as they are and resampled.
    resampled: Vec<[f64; 2]>,
    /// Squared weights there.
    source_variance: f64,
    /// Sampled events, `[cells, bins]`.
    counts: Vec<f64>,
    /// Events in channels that are in the training region, in several channels, not in one of
    /// the asked regions, or where the run predicts nothing; those in the region without bins.
    trained: u64,
    twice: u64,
    unshared: u64,
    unpredicted: u64,
    apart: u64,
    asked: usize,
}

impl TakesEvents for Sums<'_> {
    fn passed_over(&mut self, selected: u64, has_region: bool) {
        if !self.axes.is_used(selected) {
            return;
        }
        self.apart += u64::from(self.axes.is_apart(selected));
        if self.axes.of(selected).next().is_some() {
            self.found.without += u64::from(has_region);
            self.unpredicted += u64::from(!has_region);
        }
    }

    fn predicted(&mut self, event: &PredictedEvent<'_>) {
        if event.is_trained {
            self.source_variance += event.nominal * event.nominal;
            let pairs = self.resamplings.iter().zip(event.replicas);
            for ((times, weight), sums) in pairs.zip(&mut self.resampled) {
                sums[0] += weight;
                sums[1] += weight * f64::from(times(event.key));
            }
        }
        if !self.axes.is_used(event.selected) {
            return;
        }
        self.apart += u64::from(self.axes.is_apart(event.selected));
        let mut channels = self.axes.of(event.selected);
        let first = channels.next();
        let is_twice = channels.next().is_some();
        let all = self.axes.axes.len();
        for (k, sums) in self.found.outside.iter_mut().enumerate() {
            if event.selected >> (all + k) & 1 == 1 {
                sums[0] += event.nominal;
                sums[1] += if first.is_none() { event.nominal } else { 0.0 };
            }
        }
        let Some(channel) = first else {
            return;
        };
        self.twice += u64::from(is_twice);
        self.trained += u64::from(event.is_trained);
        self.found.hidden[channel] |= self.axes.hidden(event.selected);
        if event.lacks {
            self.found.lacking += 1;
            return;
        }
        let Some(bin) = self.axes.axes[channel].edges.find(event.value(channel)) else {
            return;
        };
        let bin = self.first[channel] + bin;
        let bins = self.found.nominal.len();
        self.found.events += 1;
        if self.axes.has_keys {
            self.found.keys.push(event.key);
        }
        self.found.nominal[bin] += event.nominal;
        self.found.variances[bin] += event.variance;
        if let Some(cell) = event.cell {
            self.counts[cell * bins + bin] += 1.0;
        }
        for (r, weight) in event.replicas.iter().enumerate() {
            self.found.replicas[r * bins + bin] += weight;
        }
        let asked = event.regions & ((1 << self.asked) - 1);
        self.found.blind += u64::from(event.regions >> self.asked != 0);
        self.unshared += u64::from(self.asked > 0 && asked.count_ones() != 1);
        for (k, region) in self.found.regions.iter_mut().enumerate() {
            if asked >> k & 1 == 1 {
                region[bin] += event.nominal;
            }
        }
    }
}

impl Sums<'_> {
    /// Brings each replica to its own resampling, and says what is normalised to what.
    fn finish(mut self, run: &FinishedRun) -> RunHistograms {
        if let Some(plane) = run.plane() {
            // a member has all of the points
            let members = run.replicas() as f64;
            self.counts.iter_mut().for_each(|count| *count /= members);
            self.found.plane = plane.drawn(&self.counts).flatten().collect();
            self.found.categories = plane.shifts(&self.counts).collect();
            let sums = self.found.categories.iter();
            let sums = sums.map(|shift| shift.iter().sum::<f64>().powi(2));
            let sum: f64 = self.found.nominal.iter().sum();
            self.found.normalisation = sums.sum::<f64>().sqrt() / sum;
            self.found.keys.sort_unstable();
            return self.found;
        }
        let bins = self.found.nominal.len().max(1);
        let sums = &self.resampled;
        let is_sound = !sums.is_empty() && sums.iter().all(|[a, b]| *a > 0.0 && *b > 0.0);
        let rows = self.found.replicas.chunks_mut(bins);
        for (row, [weights, resampled]) in rows.zip(sums).filter(|_| is_sound) {
            row.iter_mut().for_each(|x| *x *= weights / resampled);
        }
        let [sum, error] = run.target_yield();
        let source = if is_sound { 0.0 } else { self.source_variance };
        self.found.normalisation = (error * error + source).sqrt() / sum;
        self.found.keys.sort_unstable();
        self.found
    }
}

impl RunHistograms {
    /// Fills histograms with all events of a run, and with those of its `regions`, which have to
    /// share the channels' events among them. `place`: the sample in the configuration.
    ///
    /// # Errors
    /// Also if channels share events with each other or with the training region, where the
    /// prediction is fitted to what would be observed.
    pub(crate) fn of(
        run: &FinishedRun,
        axes: &ChannelAxes<'_>,
        regions: &[String],
        place: &str,
    ) -> Result<Self> {
        let (bins, replicas) = (axes.bins(), run.replicas());
        let numbers = bins.saturating_mul(replicas);
        let cells = run.plane().map_or(0, |plane| plane.cells());
        let draws = run.plane().map_or(0, |plane| plane.draws());
        let rows = replicas.max(cells).max(draws);
        let is_much = bins.saturating_mul(rows) > MOST_NUMBERS;
        if replicas > MOST_REPLICAS || bins > MOST_BINS || is_much {
            return Err(Error::data_at(
                format!("{place}.run"),
                format!(
                    "{replicas} replicas, {draws} draws and {cells} bins of planes, each of {bins} \
                     bins; at most {MOST_REPLICAS} replicas of {MOST_BINS} bins, and \
                     {MOST_NUMBERS} numbers, can be held: merge bins"
                ),
            ));
        }
        let resamplings = run.resamplings();
        let mut sums = Sums {
            axes,
            first: axes.ranges().into_iter().map(|range| range.start).collect(),
            found: Self {
                nominal: vec![0.0; bins],
                variances: vec![0.0; bins],
                replicas: vec![0.0; numbers],
                regions: vec![vec![0.0; bins]; regions.len()],
                outside: vec![[0.0; 2]; axes.wholes.len()],
                hidden: vec![0; axes.axes.len()],
                ..Self::default()
            },
            resampled: vec![[0.0; 2]; resamplings.len()],
            resamplings,
            source_variance: 0.0,
            counts: vec![0.0; cells * bins],
            trained: 0,
            twice: 0,
            unshared: 0,
            unpredicted: 0,
            apart: 0,
            asked: regions.len(),
        };
        let watched: Vec<String> = regions.iter().cloned().chain(run.blind_regions()).collect();
        let lost = run.for_each(&axes.wanted(), &watched, &mut sums)?;
        sums.found.losses = Losses {
            sample: place.to_owned(),
            events: sums.found.events,
            weight: sums.found.nominal.iter().sum(),
            scale: None,
            lost,
        };
        let wrong = |text: String| Err(Error::data_at(place, text));
        let name = run.name();
        // of observed events, which tell what an interpolation does not predict, no number is said
        let number = |events: u64| match run.is_sampled() {
            true => String::new(),
            false => format!("{events} "),
        };
        if let Some((key, _)) = axes.apart.as_ref().filter(|_| sums.apart > 0) {
            let text = format!(
                "{}events of {name} are in the region of `{key}`, which is measured without bins: \
                 a run has no density ratio, and is in [channels] alone; select them away by \
                 {place}.selection",
                number(sums.apart)
            );
            return wrong(text);
        }
        if sums.twice > 0 {
            let text = format!(
                "{} events of {name} are in several channels, or parts of them: they would count \
                 twice; exclude one by the other's selection",
                sums.twice
            );
            return wrong(text);
        }
        if sums.trained > 0 {
            let text = format!(
                "{} events of the channels are in the region that {name} was trained in: its \
                 prediction there is fitted to what would be observed; select others",
                sums.trained
            );
            return wrong(text);
        }
        if sums.unpredicted > 0 {
            let text = format!(
                "{}events of the channels are in none of the regions of {name}, which predicts \
                 nothing there: run it with a region that has them, or select others",
                number(sums.unpredicted)
            );
            return wrong(text);
        }
        if sums.unshared > 0 {
            return Err(Error::config_at(
                format!("{place}.control_region.quadrants"),
                format!(
                    "{} events of the channels are in none of {regions:?}, or in several: they \
                     must share the events among them, each in one, and those within a blind \
                     region must be blind",
                    sums.unshared
                ),
            ));
        }
        let losses = &sums.found.losses;
        if let Some(loss) = losses.beyond(axes.columns.max_loss) {
            return Err(Error::data(format!(
                "{} That is more than data.max_loss = {}: mend the files, select such rows away, \
                 or raise data.max_loss",
                losses.sentence(loss),
                axes.columns.max_loss
            )));
        }
        let lacking = sums.found.lacking;
        if lacking > 0 && axes.columns.on_missing == Default::default() {
            let text = format!(
                "{lacking} events of {name} have no value of the observable of their channel; \
                 select such events away, or set data.on_missing = \"drop\" to leave them out and \
                 count them"
            );
            return wrong(text);
        }
        let found = sums.finish(run);
        let all = found.nominal.iter().chain(&found.replicas);
        let categories = found.categories.iter().flatten();
        let mut all = all.chain(&found.plane).chain(categories);
        match found.normalisation.is_finite() && all.all(|x| x.is_finite()) {
            true => Ok(found),
            false => wrong(format!("numbers that {name} predicts are not finite")),
        }
    }

    /// Multiplies the contents of every bin with a factor of its own.
    pub(crate) fn multiply(&mut self, factors: &[f64]) {
        let bins = factors.len().max(1);
        let rows = self.replicas.chunks_mut(bins);
        let rows = rows.chain(self.plane.chunks_mut(bins));
        let others = self.regions.iter_mut().chain(&mut self.categories);
        let rows = rows.chain(others.map(Vec::as_mut_slice));
        for row in rows.chain([self.nominal.as_mut_slice()]) {
            row.iter_mut().zip(factors).for_each(|(x, f)| *x *= f);
        }
        let variances = self.variances.iter_mut().zip(factors);
        variances.for_each(|(v, f)| *v *= f * f);
    }

    /// Variances of all bins by what the run itself tells of their error: statistics, replicas,
    /// normalisation, and the mass plane of sampled events.
    pub(crate) fn own_variances(&self) -> Vec<f64> {
        let bins = self.nominal.len();
        let mut all = self.variances.clone();
        let mut add = |more: &[f64]| all.iter_mut().zip(more).for_each(|(sum, x)| *sum += x);
        for draws in [&self.replicas, &self.plane] {
            // none is a parameter: all is left
            if let Some(spread) = components(draws, &vec![1.0; bins], 1.0, 0) {
                add(&spread.left);
            }
        }
        for shift in &self.categories {
            add(&squares(shift));
        }
        if self.categories.is_empty() {
            let shift = self.nominal.iter().map(|h| self.normalisation * h);
            add(&squares(&shift.collect::<Vec<f64>>()));
        }
        all
    }

    /// The run's observed target events in channels, and the sums of their squared weights,
    /// `[bins]` each.
    pub(crate) fn observed(run: &FinishedRun, axes: &ChannelAxes<'_>) -> Result<[Vec<f64>; 2]> {
        let table = run.observed(&axes.wanted())?;
        let first: Vec<usize> = axes.ranges().into_iter().map(|range| range.start).collect();
        let mut sums = [vec![0.0; axes.bins()], vec![0.0; axes.bins()]];
        for row in 0..table.len() {
            let selected = table.flags[row];
            let Some(channel) = axes.of(selected).next().filter(|_| axes.is_used(selected)) else {
                continue;
            };
            let value = table.columns[channel].1[row];
            if let Some(bin) = axes.axes[channel].edges.find(value) {
                let weight = table.weights[row];
                sums[0][first[channel] + bin] += weight;
                sums[1][first[channel] + bin] += weight * weight;
            }
        }
        Ok(sums)
    }
}

fn squares(shift: &[f64]) -> Vec<f64> {
    shift.iter().map(|x| x * x).collect()
}
