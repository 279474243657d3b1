//! Errors of mixed data that share parents, against the spread over independent samples.

use super::super::hemispheres::halves;
use super::super::library::{Library, MixEvent, PoolSettings};
use super::super::sets::intervals;
use super::super::summary::MixedHistogram;
use crate::events::ListedJet;
use rayon::prelude::*;
use sideband_numerics::Edges;
use sideband_numerics::random::{Key, Stream};
use std::f64::consts::{PI, TAU};

/// Samples of a source and a target each.
const SAMPLES: usize = 120;
const GROUPS: usize = 10;

/// How much sets share.
struct Sharing {
    /// Mean numbers of events of the source and the target.
    events: [f64; 2],
    sets: usize,
    pairs: usize,
}

/// Of the mass of all jets, in GeV.
const EDGES: [f64; 9] = [
    100.0, 220.0, 260.0, 300.0, 340.0, 390.0, 450.0, 550.0, 2000.0,
];

/// Two jets on each side, all tagged.
fn event(id: u64, stream: &mut Stream) -> MixEvent {
    let axis = TAU * stream.uniform();
    let mut jets = Vec::new();
    for side in [0.0, PI] {
        let centre = 0.9 * stream.normal();
        for _ in 0..2 {
            let pt = 40.0 - 45.0 * (1.0 - stream.uniform()).ln();
            jets.push(ListedJet {
                pt,
                eta: centre + 0.7 * stream.normal(),
                phi: axis + side + 0.4 * stream.normal(),
                mass: 0.1 * pt,
                is_selected: true,
                is_tagged: true,
            });
        }
    }
    MixEvent {
        key: id,
        halves: halves(&jets).unwrap(),
    }
}

/// Mass of all jets.
fn mass(jets: &[ListedJet]) -> f64 {
    let sum = jets.iter().fold([0.0; 4], |[x, y, z, e], jet| {
        let (px, py) = (jet.pt * jet.phi.cos(), jet.pt * jet.phi.sin());
        let pz = jet.pt * jet.eta.sinh();
        let energy = (px * px + py * py + pz * pz + jet.mass * jet.mass).sqrt();
        [x + px, y + py, z + pz, e + energy]
    });
    let [x, y, z, e] = sum;
    (e * e - x * x - y * y - z * z).max(0.0).sqrt()
}

/// Sets as large as the target, of the events outside a group.
fn mixed(
    samples: &[Vec<MixEvent>; 2],
    sharing: &Sharing,
    without: Option<usize>,
    key: Key,
) -> MixedHistogram {
    let group = |of: u64| (key.with(1).uniform(of) * GROUPS as f64) as usize;
    let [queries, library] = samples.each_ref().map(|events| {
        let outside = events
            .iter()
            .filter(|event| Some(group(event.key)) != without);
        outside.collect::<Vec<&MixEvent>>()
    });
    let settings = PoolSettings {
        caps: [4, 4, 2],
        minimum: 20,
        flip_z: true,
    };
    let wanted = library.len() as f64;
    let library = Library::new(library, &queries, settings);
    let found = queries.iter().filter_map(|query| {
        let pairs = library.pairs(query, sharing.pairs).ok()?;
        Some((*query, pairs))
    });
    let found: Vec<_> = found.collect();
    let weight = wanted / found.len() as f64;
    let edges = Edges::new(EDGES.to_vec()).unwrap();
    let mut sets = vec![vec![0.0; edges.bins()]; sharing.sets];
    for (query, pairs) in &found {
        let uniform = key.with(2).uniform(query.key);
        for (set, k) in intervals(uniform, weight, pairs.len(), sharing.sets) {
            let mass = mass(&library.mixed(query, &pairs[k]));
            if let Some(bin) = edges.find(mass) {
                sets[set][bin] += 1.0;
            }
        }
    }
    MixedHistogram::new(sets, 0)
}

fn sample(sharing: &Sharing, number: usize) -> MixedHistogram {
    let key = Key::from_seed(19).with(number as u64);
    let samples = [0, 1].map(|k| {
        let mut stream = key.with(k as u64).stream();
        // a Poisson number, as far as its variance goes
        let mean = sharing.events[k];
        let count = mean + mean.sqrt() * stream.normal();
        let ids = (0..count.round() as u64).map(|id| (k as u64) << 32 | id);
        ids.map(|id| event(id, &mut stream)).collect()
    });
    let mut whole = mixed(&samples, sharing, None, key);
    let without = (0..GROUPS).map(|group| mixed(&samples, sharing, Some(group), key).mean);
    whole.take_groups(&without.collect::<Vec<_>>());
    whole
}

/// The error of groups over the spread over independent samples, roots of sums over the bins, and how
/// well so many samples know it; with the variance of independent events over that spread.
fn compared(sharing: &Sharing) -> [f64; 3] {
    let numbers = (0..SAMPLES).into_par_iter();
    let found: Vec<MixedHistogram> = numbers.map(|n| sample(sharing, n)).collect();
    let bins = EDGES.len() - 1;
    let count = SAMPLES as f64;
    let sum = |of: &dyn Fn(usize) -> f64| (0..bins).map(of).sum::<f64>();
    let spread = sum(&|b| {
        let values = || found.iter().map(|of| of.mean[b]);
        let mean = values().sum::<f64>() / count;
        values().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0)
    });
    let known = sum(&|b| found.iter().map(|of| of.variances()[b]).sum::<f64>() / count);
    let independent = sum(&|b| found.iter().map(|of| of.independent[b]).sum::<f64>() / count);
    // of a sum of variances, half of which is the error's
    let statistical = 0.5 * (2.0 / (bins as f64 * count)).sqrt();
    [(known / spread).sqrt(), statistical, independent / spread]
}

/// As in a whole run, where every hemisphere is in many mixed events: not too small, and at most a fifth too
/// large.
#[test]
fn errors_of_groups_are_the_spread_over_independent_samples() {
    let [ratio, statistical, independent] = compared(&Sharing {
        events: [300.0, 300.0],
        sets: 15,
        pairs: 24,
    });
    let allowed = (1.0 - 2.0 * statistical)..(1.2 + 2.0 * statistical);
    assert!(allowed.contains(&ratio), "{ratio} +- {statistical}");
    // as independent events they would vary by much less
    assert!(independent < 0.5, "{independent}");
}

/// Where hemispheres are shared little, the error is too large: what takes the place of a neighbour that was
/// left out fluctuates as much as that did.
#[test]
fn errors_of_groups_are_too_large_where_little_is_shared() {
    let [ratio, statistical, independent] = compared(&Sharing {
        events: [450.0, 300.0],
        sets: 3,
        pairs: 4,
    });
    let allowed = (1.0 - 2.0 * statistical)..(2.0_f64.sqrt() + 2.0 * statistical);
    assert!(allowed.contains(&ratio), "{ratio} +- {statistical}");
    assert!(independent < 1.0, "{independent}");
}
