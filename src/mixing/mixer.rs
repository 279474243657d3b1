//! One mixing after the other: that of all events, which is written, and those without a group of
//! parents each, which tell the errors of the mixed data.

use super::library::{Library, MixEvent, PoolSettings, Refusal};
use super::pairs::{Candidate, Writer, scan};
use super::read::Material;
use super::sets::{check_weights, intervals};
use super::summary::{MixedHistogram, PoolSummary, RefusedEvents, Reuse, SetSummary, SetsSummary};
use crate::error::{Context, Error, Kind, OnFile, Result, counted};
use crate::events::EventTable;
use crate::rundir::Progress;
use crate::settings::{Sets, Split};
use crate::training::Interrupt;
use indexmap::IndexMap;
use rayon::prelude::*;
use sideband_numerics::Edges;
use sideband_numerics::random::Key;
use std::collections::BTreeMap;
use std::path::Path;

/// Mixed events, while they are looked at.
const PAIRS: &str = "pairs.parquet";
/// Words that branch the seed.
const MIXING: u64 = 0x6d69_7869_6e67;
const UNIFORM: u64 = 1;
const GROUP: u64 = 2;
/// Largest share of the weight that may be unmixable unasked.
const UNMIXABLE: f64 = 0.2;
/// Queries that are counted as one step.
const STEP: usize = 1024;

/// Mixes the sets of a run, and says what came of it.
pub(super) struct Mixer<'a> {
    pub material: &'a Material<'a>,
    /// Where the sets are written.
    pub folder: &'a Path,
    pub interrupt: &'a Interrupt,
    pub progress: &'a Progress,
}

/// One mixing: of all events, or of those outside a group.
struct Mixed {
    /// Those of all sets, one set after the other.
    candidates: Vec<Candidate>,
    /// Regions, observables and built-in columns of every candidate.
    table: EventTable,
    /// Quantiles of the distances of all pairs by their places.
    distances: Vec<[f64; 3]>,
    refused: BTreeMap<Refusal, (usize, f64)>,
    /// What weights are multiplied with.
    factor: f64,
    /// Places of the candidates of every set.
    chosen: Vec<Vec<usize>>,
    /// Events with fewer pairs than were asked for.
    short: usize,
}

impl Mixer<'_> {
    /// All of it.
    ///
    /// # Errors
    /// Also if it was interrupted.
    pub(super) fn run(&self) -> Result<SetsSummary> {
        let mixing = self.material.mixing;
        let groups = match mixing.has_parent_errors() && !mixing.uncertainties.is_empty() {
            true => mixing.groups,
            false => 0,
        };
        let queries = self.material.queries().events.len();
        let steps = queries.div_ceil(STEP) * (1 + groups);
        let stage = self.progress.stage("mixing", steps as u64);
        let step = |events: usize| stage.add(events as u64);
        self.progress.say(&format!(
            "mixing {} into {}",
            counted(queries, "event"),
            counted(mixing.sets, "set")
        ));
        let mut summary = self.whole(&step)?;
        let mut without: IndexMap<String, Vec<Vec<f64>>> = IndexMap::new();
        for group in 0..groups {
            if self.interrupt.is_raised() {
                let text = "interrupted while sets were mixed; run the same command again";
                return Err(Error::new(self.interrupt.kind(), text));
            }
            let (mixed, ..) = self.mix(Some(group), &step)?;
            for (name, histogram) in self.histograms(&mixed)? {
                without.entry(name).or_default().push(histogram.mean);
            }
        }
        for (name, means) in without {
            if let Some(histogram) = summary.histograms.get_mut(&name) {
                histogram.take_groups(&means);
            }
        }
        Ok(summary)
    }

    /// Mixes all events, and writes the sets.
    fn whole(&self, step: &(dyn Fn(usize) + Sync)) -> Result<SetsSummary> {
        let (material, mixing) = (self.material, self.material.mixing);
        let (mixed, library, rows) = self.mix(None, step)?;
        self.check_regions(&mixed.table.flags)?;
        let weights = &material.queries().sample.table.weights;
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let stored: Vec<&'static str> = material.stored().collect();
        let columns = mixed.table.columns.iter();
        let made = columns.filter(|(name, _)| stored.contains(&name.as_str()));
        let made: Vec<(&str, &[f64])> = made.map(|(name, x)| (&**name, &**x)).collect();
        let writer = Writer {
            material,
            library: &library,
            rows: &rows,
            candidates: &mixed.candidates,
        };
        for (set, chosen) in mixed.chosen.iter().enumerate() {
            let path = self.folder.join(Sets::file(set));
            writer.write(&path, chosen, set, &made)?;
        }
        let training = self.training();
        let in_training = |chosen: &&usize| mixed.table.flags[**chosen] >> training & 1 == 1;
        let sets = mixed.chosen.iter().map(|chosen| SetSummary {
            events: chosen.len(),
            in_training: chosen.iter().filter(in_training).count(),
        });
        let pools = library.pools().iter().map(|(name, pool)| PoolSummary {
            selected: name.0,
            tagged: name.1,
            other: name.2,
            hemispheres: pool.hemispheres,
            scales: pool.scales,
        });
        let histograms = self.histograms(&mixed)?;
        self.check_bins(&histograms)?;
        let may_be_counted = material.may_be_counted();
        let chosen = mixed.chosen.iter().flatten();
        let pairs = chosen.map(|place| mixed.candidates[*place].pair);
        let parents = pairs.flat_map(|pair| pair.halves.map(|half| half.event));
        Ok(SetsSummary {
            queries: material.queries().events.len(),
            library: may_be_counted.then_some(material.target.events.len()),
            factor: mixed.factor,
            largest: self.largest(mixed.factor),
            expected: mixing.sets as f64 * mixed.factor * mean,
            refused: mixed
                .refused
                .iter()
                .map(|(reason, (events, weight))| RefusedEvents {
                    reason: *reason,
                    events: *events,
                    weight: *weight,
                })
                .collect(),
            unmixable: self.unmixable(&mixed.refused),
            short: mixed.short,
            duplicates: may_be_counted.then(|| library.duplicates()),
            pools: if may_be_counted {
                pools.collect()
            } else {
                Vec::new()
            },
            distances: mixed.distances.clone(),
            reuse: may_be_counted.then(|| Reuse::of(parents)),
            sets: sets.collect(),
            histograms,
        })
    }

    /// Mixes all events, or those outside a group of parents. Gives the library too, with the
    /// rows of its events.
    fn mix(
        &self,
        without: Option<usize>,
        step: &(dyn Fn(usize) + Sync),
    ) -> Result<(Mixed, Library<'_>, Vec<usize>)> {
        let (material, mixing) = (self.material, self.material.mixing);
        let [query_rows, rows] = [material.queries(), &material.target].map(|sample| {
            let rows = sample.events.iter().enumerate();
            let outside = rows.filter(|(_, event)| Some(self.group(event.key)) != without);
            let outside = outside.map(|(row, _)| row);
            outside.collect::<Vec<usize>>()
        });
        let own = |row: &usize| &material.queries().events[*row];
        let queries: Vec<&MixEvent> = query_rows.iter().map(own).collect();
        let events = rows.iter().map(|row| &material.target.events[*row]);
        let settings = PoolSettings {
            caps: mixing.caps,
            minimum: mixing.pool_minimum,
            flip_z: mixing.flip_z,
        };
        let library = Library::new(events.collect(), &queries, settings);
        if !library.is_large_enough() {
            let reason = format!(
                "no pool of the library has {} hemispheres; lower it, or take a larger target",
                mixing.pool_minimum
            );
            return Err(Error::data_at("mixing.pool_minimum", reason));
        }
        let found: Vec<Result<Vec<_>, Refusal>> = queries
            .par_iter()
            .enumerate()
            .map(|(place, event)| {
                if place % STEP == 0 {
                    step(1);
                }
                library.pairs(event, mixing.pairs)
            })
            .collect();
        let weights = &material.queries().sample.table.weights;
        let (mut candidates, mut refused, mut short) = (Vec::new(), BTreeMap::new(), 0);
        for (row, found) in query_rows.iter().zip(found) {
            match found {
                Ok(pairs) => {
                    short += usize::from(pairs.len() < mixing.pairs);
                    let pairs = pairs.into_iter().enumerate();
                    candidates.extend(pairs.map(|(k, pair)| Candidate { row: *row, k, pair }));
                }
                Err(reason) => {
                    let (events, weight) = refused.entry(reason).or_insert((0, 0.0));
                    *events += 1;
                    *weight += weights[*row];
                }
            }
        }
        if candidates.is_empty() {
            let reason = format!("no event can be mixed: {}", refusals(&refused));
            return Err(Error::data_at("mixing", reason));
        }
        let unmixable = self.unmixable(&refused);
        if without.is_none() && unmixable > UNMIXABLE && !mixing.allow_unmixable {
            let reason = format!(
                "{:.1} % of the weight cannot be mixed: {}; lower mixing.pool_minimum or \
                 mixing.caps, or set mixing.allow_unmixable",
                100.0 * unmixable,
                refusals(&refused)
            );
            return Err(Error::data_at("mixing", reason));
        }
        let first = candidates.iter().filter(|c| c.k == 0).copied();
        let first: Vec<Candidate> = first.collect();
        let table = self.look_at(&library, &rows, &first, &[])?;
        let factor = self.factor(&first, &table, &rows)?;
        if without.is_none() {
            check_weights(self.largest(factor), mixing.pairs, mixing.sets)?;
        }
        let mut taken = vec![Vec::new(); mixing.sets];
        for of_event in candidates.chunk_by(|a, b| a.row == b.row) {
            let row = of_event[0].row;
            let uniform = self
                .key(UNIFORM)
                .uniform(material.queries().events[row].key);
            let weight = factor * weights[row];
            for (set, k) in intervals(uniform, weight, of_event.len(), mixing.sets) {
                taken[set].push(of_event[k]);
            }
        }
        if let Some(set) = taken.iter().position(Vec::is_empty) {
            let reason = format!("set {set} has no event; take fewer sets, or more pairs");
            return Err(Error::data_at("mixing.sets", reason));
        }
        let mut next = 0;
        let chosen = taken.iter().map(|own| {
            let first = next;
            next += own.len();
            (first..next).collect()
        });
        let chosen = chosen.collect();
        let distances = distances(&candidates, mixing.pairs);
        let candidates = taken.concat();
        let table = self.look_at(&library, &rows, &candidates, &self.columns())?;
        let mixed = Mixed {
            candidates,
            table,
            distances,
            refused,
            factor,
            chosen,
            short,
        };
        Ok((mixed, library, rows))
    }

    /// How often the heaviest event is expected in a set.
    fn largest(&self, factor: f64) -> f64 {
        let weights = self.material.queries().sample.table.weights.iter();
        factor * weights.copied().fold(0.0, f64::max)
    }

    /// Share of the weight that cannot be mixed.
    fn unmixable(&self, refused: &BTreeMap<Refusal, (usize, f64)>) -> f64 {
        let weights = self.material.queries().sample.table.weights.iter();
        let lost: f64 = refused.values().map(|(_, weight)| weight).sum();
        lost / weights.sum::<f64>()
    }

    fn key(&self, word: u64) -> Key {
        let seed = Key::from_seed(self.material.config.experiment.seed);
        seed.with(MIXING).with(word)
    }

    /// The group of an event among those that are left out in turn.
    fn group(&self, key: u64) -> usize {
        (self.key(GROUP).uniform(key) * self.material.mixing.groups as f64) as usize
    }

    fn training(&self) -> usize {
        let config = self.material.config;
        let found = config.regions.get_index_of(&config.training.region);
        found.unwrap_or_default()
    }

    /// Checks that models are compared with mixed data of the same events: no prediction has those
    /// that all members were fitted to, nor has the data's those that a region shares with a blind
    /// one.
    fn check_regions(&self, flags: &[u64]) -> Result<()> {
        let config = self.material.config;
        let shared = |[one, other]: [usize; 2]| {
            let both = 1 << one | 1 << other;
            flags.iter().filter(|flags| **flags & both == both).count()
        };
        for (name, of) in &self.material.mixing.uncertainties {
            let refuse = |events: usize, other: &str, why: &str| match events {
                0 => Ok(()),
                _ => Err(Error::config_at(
                    format!("mixing.uncertainties.{name}.region"),
                    format!(
                        "{} are in `{}` and in `{other}`, {why}: take them out of one of the two",
                        counted(events, "mixed event"),
                        of.region
                    ),
                )),
            };
            let own = config.regions.get_index_of(&of.region).unwrap_or_default();
            if config.training.split != Split::Folds {
                let why = "which is trained in, so that predictions lack what members have seen \
                           (training.split = \"folds\" predicts them out of fold)";
                let events = shared([own, self.training()]);
                refuse(events, &config.training.region, why)?;
            }
            if config.regions[own].blind {
                continue;
            }
            let blind = config.regions.iter().enumerate();
            for (other, (blind, _)) in blind.filter(|(_, (_, region))| region.blind) {
                let why = "which is blind, so that the data's prediction has them not while it is \
                           closed";
                refuse(shared([own, other]), blind, why)?;
            }
        }
        Ok(())
    }

    /// Checks that every bin has mixed events.
    fn check_bins(&self, histograms: &IndexMap<String, MixedHistogram>) -> Result<()> {
        for (name, histogram) in histograms {
            let Some(bin) = histogram.mean.iter().position(|x| *x == 0.0) else {
                continue;
            };
            let edges = &self.material.mixing.uncertainties[name].bins;
            return Err(Error::data_at(
                format!("mixing.uncertainties.{name}.bins"),
                format!(
                    "no mixed event is in bin {} ({} to {}): take bins where events are",
                    bin + 1,
                    edges[bin],
                    edges[bin + 1]
                ),
            ));
        }
        Ok(())
    }

    /// Built-in columns and observables of mixed events, by name.
    fn columns(&self) -> Vec<(String, String)> {
        let stored = self.material.stored();
        let stored = stored.map(|name| (name.to_owned(), name.to_owned()));
        let observables = self.material.mixing.uncertainties.iter();
        let observables = observables.map(|(name, of)| (observable(name), of.observable.clone()));
        stored.chain(observables).collect()
    }

    /// Regions and columns of candidates.
    fn look_at(
        &self,
        library: &Library<'_>,
        rows: &[usize],
        candidates: &[Candidate],
        columns: &[(String, String)],
    ) -> Result<EventTable> {
        let path = self.folder.join(PAIRS);
        let writer = Writer {
            material: self.material,
            library,
            rows,
            candidates,
        };
        let all: Vec<usize> = (0..candidates.len()).collect();
        writer.write(&path, &all, 0, &[])?;
        let table = scan(self.material, &path, columns);
        std::fs::remove_file(&path).on(&path)?;
        let table = table?;
        match table.len() == candidates.len() {
            true => Ok(table),
            false => Err(Error::internal("a mixed event was lost while it was read")),
        }
    }

    /// What weights are multiplied with, so that first pairs are as many in the training region as
    /// target events there.
    fn factor(&self, first: &[Candidate], table: &EventTable, rows: &[usize]) -> Result<f64> {
        let (material, training) = (self.material, self.training());
        let target = &material.target.sample;
        let mut is_in = vec![false; target.table.len()];
        target.trained(training).for_each(|row| is_in[row] = true);
        let weights = rows.iter().filter(|row| is_in[**row]);
        let wanted: f64 = weights.map(|row| target.table.weights[*row]).sum();
        let weights = &material.queries().sample.table.weights;
        let first = first.iter().enumerate();
        let inside = first.filter(|(place, _)| table.flags[*place] >> training & 1 == 1);
        let found: f64 = inside.map(|(_, c)| weights[c.row]).sum();
        match wanted > 0.0 && found > 0.0 {
            true => Ok(wanted / found),
            false => Err(Error::data_at(
                "training.region",
                format!(
                    "the target has a weight of {wanted} there and mixed events one of {found}: \
                     sets cannot be made as large as the target"
                ),
            )),
        }
    }

    /// Observables of the sets, by the names of the uncertainties.
    fn histograms(&self, mixed: &Mixed) -> Result<IndexMap<String, MixedHistogram>> {
        let (config, mixing) = (self.material.config, self.material.mixing);
        let of = mixing.uncertainties.iter().map(|(name, of)| {
            let key = format!("mixing.uncertainties.{name}");
            let edges = Edges::new(of.bins.clone()).key(Kind::Config, &key)?;
            let region = config.regions.get_index_of(&of.region).unwrap_or_default();
            let column = observable(name);
            let mut columns = mixed.table.columns.iter();
            let values = columns.find(|(other, _)| *other == column);
            let values = values.map_or(&[][..], |(_, values)| values.as_slice());
            let (low, high) = (edges.values()[0], edges.values()[edges.bins()]);
            let mut outside = 0;
            let mut sets = Vec::with_capacity(mixed.chosen.len());
            for chosen in &mixed.chosen {
                let mut contents = vec![0.0; edges.bins()];
                for place in chosen {
                    if mixed.table.flags[*place] >> region & 1 == 0 {
                        continue;
                    }
                    let value = values[*place];
                    match edges.find(value).filter(|_| (low..high).contains(&value)) {
                        Some(bin) => contents[bin] += 1.0,
                        None => outside += 1,
                    }
                }
                sets.push(contents);
            }
            Ok((name.clone(), MixedHistogram::new(sets, outside)))
        });
        of.collect()
    }
}

/// Name of the column of an observable among those of candidates; no name of a column of a file.
fn observable(name: &str) -> String {
    format!("mixing.uncertainties.{name}.observable")
}

fn refusals(refused: &BTreeMap<Refusal, (usize, f64)>) -> String {
    let words = |reason: &Refusal| match reason {
        Refusal::OneSided => "with all jets on one side",
        Refusal::NoPool => "with a hemisphere whose pool is too small",
        Refusal::NoPair => "with neighbours of one event alone",
    };
    let each = refused
        .iter()
        .map(|(reason, (events, _))| format!("{} {}", counted(*events, "event"), words(reason)));
    each.collect::<Vec<_>>().join(", ")
}

/// Quantiles of the distances by the place of the pair.
fn distances(candidates: &[Candidate], pairs: usize) -> Vec<[f64; 3]> {
    let mut all = vec![Vec::new(); pairs];
    for candidate in candidates {
        all[candidate.k].extend(candidate.pair.distances);
    }
    let quantiles = |list: &mut Vec<f64>| {
        list.sort_by(f64::total_cmp);
        let last = list.len().checked_sub(1)?;
        Some([0.16, 0.5, 0.84].map(|q| list[(q * last as f64).round() as usize]))
    };
    all.iter_mut().filter_map(quantiles).collect()
}
