//! The library: hemispheres by kind, the pools that queries look in, and pairs of neighbours.

use super::hemispheres::{Hemisphere, replaced};
use super::tree::Tree;
use crate::events::ListedJet;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Neighbours of a half beside the pairs that are wanted: one may be of the other half's event, and
/// one must be left.
const SPARE: usize = 2;

/// An event that takes part in the mixing.
#[derive(Clone, Debug)]
pub(super) struct MixEvent {
    /// Tells it from every other one.
    pub key: u64,
    /// Its halves along the axis and against it.
    pub halves: [Hemisphere; 2],
}

/// How pools are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PoolSettings {
    /// Jets of a kind above which hemispheres are not told apart: selected, tagged, other.
    pub caps: [usize; 3],
    /// Hemispheres that a pool needs.
    pub minimum: usize,
    /// Whether hemispheres may be mirrored along the beam.
    pub flip_z: bool,
}

/// Selected and tagged jets, and others unless all of these are together.
pub(super) type PoolName = (usize, usize, Option<usize>);

/// Hemispheres of a kind.
#[derive(Debug)]
pub(super) struct PoolOf {
    pub hemispheres: usize,
    pub scales: [f64; 4],
    tree: Tree,
}

/// A hemisphere of the library: the place of its event, and its side there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub event: u32,
    pub side: u8,
}

/// Why an event cannot be mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// All of its jets are on one side.
    OneSided,
    /// Too few hemispheres of the library are like one of its own.
    NoPool,
    /// There are neighbours, but none of two different events.
    NoPair,
}

/// Both replacements, with their distances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    pub halves: [Place; 2],
    pub distances: [f64; 2],
}

/// Hemispheres of events, in their order, those along the axis first.
pub(super) struct Library<'a> {
    events: Vec<&'a MixEvent>,
    settings: PoolSettings,
    places: Vec<Place>,
    cells: BTreeMap<[usize; 3], Vec<usize>>,
    pools: BTreeMap<PoolName, PoolOf>,
}

impl<'a> Library<'a> {
    /// Of events, with the pools that these queries need.
    pub(super) fn new(
        events: Vec<&'a MixEvent>,
        queries: &[&MixEvent],
        settings: PoolSettings,
    ) -> Self {
        let mut library = Self {
            settings,
            places: Vec::with_capacity(2 * events.len()),
            cells: BTreeMap::new(),
            pools: BTreeMap::new(),
            events,
        };
        for place in 0..library.events.len() {
            let event = library.events[place];
            for (side, half) in event.halves.iter().enumerate() {
                if half.jets.is_empty() {
                    continue;
                }
                let (cell, row) = (library.cell(half), library.places.len());
                library.cells.entry(cell).or_default().push(row);
                let (event, side) = (place as u32, side as u8);
                library.places.push(Place { event, side });
            }
        }
        let halves = queries.iter().flat_map(|event| &event.halves);
        let halves = halves.filter(|half| !half.jets.is_empty());
        let names = halves.filter_map(|half| library.name(half));
        let names: Vec<PoolName> = names.collect::<BTreeSet<_>>().into_iter().collect();
        let pools: Vec<PoolOf> = names.par_iter().map(|name| library.pool(*name)).collect();
        library.pools = names.into_iter().zip(pools).collect();
        library
    }

    /// Hemispheres by selected, tagged and other jets.
    #[cfg(test)]
    pub(super) fn cells(&self) -> impl Iterator<Item = ([usize; 3], usize)> {
        self.cells.iter().map(|(cell, rows)| (*cell, rows.len()))
    }

    /// Pools that queries look in.
    pub(super) fn pools(&self) -> &BTreeMap<PoolName, PoolOf> {
        &self.pools
    }

    /// Whether a pool is large enough for any query.
    pub(super) fn is_large_enough(&self) -> bool {
        let mut merged: HashMap<[usize; 2], usize> = HashMap::new();
        for (cell, rows) in &self.cells {
            *merged.entry([cell[0], cell[1]]).or_default() += rows.len();
        }
        merged.values().any(|count| *count >= self.settings.minimum)
    }

    /// Hemispheres whose features are those of another event's to the bit.
    pub(super) fn duplicates(&self) -> usize {
        let mut seen: HashMap<[u64; 4], Vec<u64>> = HashMap::new();
        for place in &self.places {
            let features = self.half(*place).features(self.settings.flip_z);
            let keys = seen.entry(features.map(f64::to_bits)).or_default();
            keys.push(self.key(*place));
        }
        let is_shared = |keys: &&Vec<u64>| keys.iter().any(|key| *key != keys[0]);
        seen.values().filter(is_shared).map(Vec::len).sum()
    }

    fn cell(&self, half: &Hemisphere) -> [usize; 3] {
        let caps = self.settings.caps;
        [0, 1, 2].map(|k| half.counts[k].min(caps[k]))
    }

    pub(super) fn half(&self, place: Place) -> &'a Hemisphere {
        &self.events[place.event as usize].halves[usize::from(place.side)]
    }

    /// The key of a hemisphere's event.
    pub(super) fn key(&self, place: Place) -> u64 {
        self.events[place.event as usize].key
    }

    /// Rows of hemispheres with so many selected and tagged jets, whatever else they have.
    fn merged(&self, selected: usize, tagged: usize) -> impl Iterator<Item = &Vec<usize>> {
        let cells = self.cells.iter();
        let own = cells.filter(move |(cell, _)| cell[0] == selected && cell[1] == tagged);
        own.map(|(_, rows)| rows)
    }

    /// The pool of a half, if there is one.
    pub(super) fn name(&self, half: &Hemisphere) -> Option<PoolName> {
        let cell = self.cell(half);
        let [selected, tagged, other] = cell;
        let minimum = self.settings.minimum;
        let own = self.cells.get(&cell).map_or(0, Vec::len);
        if selected == 0 {
            return None;
        }
        if own >= minimum {
            return Some((selected, tagged, Some(other)));
        }
        let all: usize = self.merged(selected, tagged).map(Vec::len).sum();
        (all >= minimum).then_some((selected, tagged, None))
    }

    fn pool(&self, name: PoolName) -> PoolOf {
        let (selected, tagged, other) = name;
        let mut rows: Vec<usize> = match other {
            Some(other) => {
                let rows = self.cells.get(&[selected, tagged, other]);
                rows.cloned().unwrap_or_default()
            }
            None => self.merged(selected, tagged).flatten().copied().collect(),
        };
        rows.sort_unstable();
        let features = |row: usize| self.half(self.places[row]).features(self.settings.flip_z);
        let points: Vec<([f64; 4], usize)> =
            rows.iter().map(|row| (features(*row), *row)).collect();
        let scales = scales(&points, self.settings.flip_z);
        PoolOf {
            hemispheres: points.len(),
            scales,
            tree: Tree::new(points, scales),
        }
    }

    /// The nearest hemispheres of other events, with their distances.
    pub(super) fn neighbours(
        &self,
        key: u64,
        half: &Hemisphere,
        count: usize,
    ) -> Option<Vec<(Place, f64)>> {
        let pool = self.pools.get(&self.name(half)?)?;
        let is_other = |row: usize| self.key(self.places[row]) != key;
        let features = half.features(self.settings.flip_z);
        let found = pool.tree.nearest(&features, count, is_other).into_iter();
        Some(found.map(|(d, row)| (self.places[row], d.sqrt())).collect())
    }

    /// Replacements of an event's halves, never two of one event.
    pub(super) fn pairs(&self, event: &MixEvent, count: usize) -> Result<Vec<Pair>, Refusal> {
        if event.halves.iter().any(|half| half.jets.is_empty()) {
            return Err(Refusal::OneSided);
        }
        let [first, second] = &event.halves;
        let near = |half| self.neighbours(event.key, half, count + SPARE);
        let (first, second) = near(first).zip(near(second)).ok_or(Refusal::NoPool)?;
        let mut is_used = vec![false; second.len()];
        let mut pairs = Vec::with_capacity(count);
        for (one, distance) in first.into_iter().take(count) {
            let key = self.key(one);
            let fits = |k: &usize| !is_used[*k] && self.key(second[*k].0) != key;
            let Some(place) = (0..second.len()).find(fits) else {
                break;
            };
            is_used[place] = true;
            let (other, other_distance) = second[place];
            pairs.push(Pair {
                halves: [one, other],
                distances: [distance, other_distance],
            });
        }
        match pairs.is_empty() {
            true => Err(Refusal::NoPair),
            false => Ok(pairs),
        }
    }

    /// The jets of an event with both halves replaced.
    pub(super) fn mixed(&self, event: &MixEvent, pair: &Pair) -> Vec<ListedJet> {
        let by = pair.halves.map(|place| self.half(place));
        replaced(&event.halves, by, self.settings.flip_z)
    }
}

/// Standard deviations of the features; of a first one without sign, as if the library were
/// doubled by its mirror image.
fn scales(points: &[([f64; 4], usize)], flip_z: bool) -> [f64; 4] {
    let count = points.len() as f64;
    [0, 1, 2, 3].map(|k| {
        let values = || points.iter().map(|(point, _)| point[k]);
        let mean = match k {
            0 if flip_z => 0.0,
            _ => values().sum::<f64>() / count,
        };
        let squares: f64 = values().map(|x| (x - mean).powi(2)).sum();
        match (squares / count).sqrt() {
            0.0 => 1.0,
            scale => scale,
        }
    })
}
