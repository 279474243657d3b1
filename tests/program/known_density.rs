//! A conditional density that is known in closed form, interpolated by an
//! ensemble of flows into a hole of its context plane (`support/hole.rs`: three
//! skewed and correlated features, whose shape is nowhere linear in the context).
//!
//! The figure of merit is the Kullback-Leibler divergence an event, the mean of
//! log p(x|c) - log q(x|c) over fresh events of the truth, in the hole and outside
//! it, beside that of what needs no interpolation: the density at the nearest
//! point outside the hole, and the density without context. Then mean and width
//! of each feature in the hole, in units of the statistical errors that they would
//! have if there were events.
//!
//! By default a reduced study that takes some seconds. The whole one, which
//! prints the figures of `benches/RESULTS.md`: `scripts/known_truth.sh`.

use crate::support::flows::{Ensemble, Job, flow, log_mean, settings};
use crate::support::hole::{
    C, D, Events, Moments, Part, RADIUS, Truth, expected_in_hole, from_centre, in_hole,
};
use crate::support::statistics::{deviation, mean, mean_and_error};
use crate::support::{Numbers, is_full};
use sideband::training::TrainingSettings;
use sideband_networks::{FlowConfig, Kernels};

/// What trains well here, the same at every size.
fn training() -> TrainingSettings {
    let network = FlowConfig {
        hidden: 32,
        bound: 5.0,
        ..flow(D, C, 4)
    };
    TrainingSettings {
        batch: 256,
        ..settings(network, 24)
    }
}

/// How much is done, and how well it has to end.
struct Study {
    /// Training events, rising, and how many data sets of so many.
    sizes: &'static [(usize, usize)],
    members: usize,
    /// Members of smaller ensembles that are looked at too.
    few: usize,
    /// Fresh events of each part.
    fresh: usize,
    /// Events drawn in the hole by each member.
    samples: usize,
    /// Largest divergence in the hole at the last size.
    bound: f64,
    /// Largest ratio of it to the divergence outside.
    ratio: f64,
    /// Largest offset of a mean or width in the hole, in statistical errors.
    offset: f64,
}

const FULL: Study = Study {
    sizes: &[(10_000, 10), (30_000, 3), (100_000, 2)],
    members: 25,
    few: 8,
    fresh: 50_000,
    samples: 200_000,
    // 0.0039, and what varies from set to set by 30 % at 30 000 events
    bound: 0.01,
    ratio: 2.0,
    offset: 4.5,
};

/// Bounds are the mean of the ten data sets of the whole study at 10 000 events and
/// five deviations from set to set.
const REDUCED: Study = Study {
    sizes: &[(3_000, 1), (10_000, 1)],
    members: 8,
    few: 8,
    fresh: 20_000,
    samples: 100_000,
    // 0.0292 with 8 members, 0.0050 from set to set, and 0.0015 from fewer fresh
    // events
    bound: 0.055,
    // 1.02, 0.19 from set to set. Outside has the edges of the square, where a
    // density is harder to learn than in a hole in its middle
    ratio: 2.0,
    // the largest of six: 1.8, 0.5 from set to set
    offset: 4.5,
};

fn study() -> Study {
    if is_full() { FULL } else { REDUCED }
}

/// KL divergence an event of `found` from the truth, with its error from the
/// number of events.
fn divergence(truth: &[f64], found: &[f64]) -> (f64, f64) {
    mean_and_error(truth.iter().zip(found).map(|(p, q)| p - q))
}

/// Mean over data sets, and the deviation from set to set.
fn figure(values: &[f64], digits: usize) -> String {
    let mean = mean(values);
    match values {
        [_] => format!("{mean:.digits$}"),
        _ => format!("{mean:.digits$} ({:.digits$})", deviation(values)),
    }
}

/// The density that knows no context: mean of the truth over the square without
/// the hole.
fn log_p_without_context(events: &Events) -> Vec<f64> {
    let truths: Vec<Truth> = (0..400)
        .map(|i| [i / 20, i % 20].map(|k| (f64::from(k) + 0.5) / 10.0 - 1.0))
        .filter(|c| from_centre(*c) >= RADIUS)
        .map(Truth::at)
        .collect();
    let log_p = |x| mean(truths.iter().map(|t| t.log_p(x).exp())).ln();
    events.each().map(|(x, _)| log_p(x)).collect()
}

/// Fresh events, and what is known of them without a flow.
struct Fresh {
    outside: Events,
    hole: Events,
    nearest: Events,
    log_p: [Vec<f64>; 2],
}

impl Fresh {
    fn draw(events: usize) -> Self {
        let [outside, hole] = [Part::Outside, Part::Hole].map(|p| Events::draw(p, 1000, events));
        Self {
            log_p: [outside.log_p(), hole.log_p()],
            nearest: hole.at_nearest(),
            outside,
            hole,
        }
    }
}

/// An ensemble of one data set against the truth.
struct Verdict {
    /// Divergence outside and in the hole: mean of the members, of ensembles of a
    /// few of them, of all.
    divergence: [[f64; 3]; 2],
    /// Errors of the last, from the number of fresh events.
    error: [f64; 2],
    /// Of the ensemble's density at the nearest point outside the hole.
    nearest: f64,
    /// Offsets of mean and width of each feature in the hole, in units of their
    /// statistical errors.
    offsets: [f64; 2 * D],
    /// Deviations of the members' in the same units.
    spreads: [f64; 2 * D],
}

impl Verdict {
    fn new(ensemble: &Ensemble, fresh: &Fresh, study: &Study, events: usize, seed: u64) -> Self {
        let log_p = |events: &Events| ensemble.log_p(Kernels::Fused, &events.rows);
        let parts = [log_p(&fresh.outside), log_p(&fresh.hole)];
        let of = |part: usize, count: usize| {
            let groups = parts[part].chunks_exact(count);
            let found = groups.map(|group| divergence(&fresh.log_p[part], &log_mean(group)));
            found.collect::<Vec<_>>()
        };
        let counts = [1, study.few, study.members];
        let [offsets, spreads] = offsets(ensemble, study.samples, expected_in_hole(events), seed);
        Self {
            divergence: [0, 1].map(|p| counts.map(|c| mean(of(p, c).into_iter().map(|d| d.0)))),
            error: [0, 1].map(|p| of(p, study.members)[0].1),
            nearest: divergence(&fresh.log_p[1], &log_mean(&log_p(&fresh.nearest))).0,
            offsets,
            spreads,
        }
    }

    fn ratio(&self) -> f64 {
        self.divergence[1][2] / self.divergence[0][2]
    }

    fn largest_offset(&self) -> f64 {
        self.offsets.iter().fold(0.0, |a, o| a.max(o.abs()))
    }
}

/// Offsets of mean and width of each feature in the hole and deviations of the
/// members', as `events` events would measure them.
fn offsets(ensemble: &Ensemble, samples: usize, events: f64, seed: u64) -> [[f64; 2 * D]; 2] {
    let contexts: Vec<f32> = in_hole(samples)
        .iter()
        .flatten()
        .map(|c| *c as f32)
        .collect();
    let drawn = ensemble.sample(Kernels::Fused, &contexts, &mut Numbers::new(seed));
    let mut result = [[0.0; 2 * D]; 2];
    for k in 0..D {
        let truth = Moments::of_truth(k);
        let errors = truth.errors(events);
        let of = |members: &[Vec<f32>]| {
            let weight = 1.0 / (members.len() * samples) as f64;
            let all = members.iter().flat_map(|m| m.iter().skip(k).step_by(D));
            let m = Moments::new(all.map(|x| (weight, f64::from(*x))));
            [
                (m.mean - truth.mean) / errors[0],
                (m.width - truth.width) / errors[1],
            ]
        };
        let each: Vec<[f64; 2]> = drawn.iter().map(|m| of(std::slice::from_ref(m))).collect();
        let all = of(&drawn);
        for which in 0..2 {
            let list: Vec<f64> = each.iter().map(|o| o[which]).collect();
            result[0][2 * k + which] = all[which];
            result[1][2 * k + which] = deviation(&list);
        }
    }
    result
}

#[test]
fn the_closed_form_is_that_of_the_events() {
    let events = 100_000;
    let hole = Events::draw(Part::Hole, 1, events);
    for k in 0..D {
        let truth = Moments::of_truth(k);
        let values = hole.each().map(|(x, _)| (1.0 / events as f64, x[k]));
        let found = Moments::new(values.collect::<Vec<_>>().iter().copied());
        let [mean, width] = truth.errors(events as f64);
        assert!((found.mean - truth.mean).abs() < 4.0 * mean, "mean of x{k}");
        assert!(
            (found.width - truth.width).abs() < 4.0 * width,
            "width of x{k}"
        );
    }
    // events in a box, each with 1/p, make its volume
    for part in [Part::Hole, Part::Outside] {
        let sample = Events::draw(part, 2, events);
        let shares = sample.each().map(|(x, c)| {
            let truth = Truth::at(c);
            let ends = [-0.8, 1.2].map(|u| [0, 1, 2].map(|k| truth.feature(k, u)));
            let inside = (0..D).all(|k| ends[0][k] <= x[k] && x[k] < ends[1][k]);
            let volume: f64 = (0..D).map(|k| ends[1][k] - ends[0][k]).product();
            if inside {
                (-truth.log_p(x)).exp() / volume
            } else {
                0.0
            }
        });
        let (sum, error) = mean_and_error(shares);
        assert!(error < 0.02, "{error}");
        assert!(
            (sum - 1.0).abs() < 4.0 * error,
            "{sum} +- {error}, {part:?}"
        );
    }
}

#[test]
fn an_ensemble_of_flows_fills_the_hole() {
    let study = study();
    let fresh = Fresh::draw(study.fresh);
    let (moved, moved_error) = divergence(&fresh.log_p[1], &fresh.nearest.log_p());
    let (blunt, blunt_error) = divergence(&fresh.log_p[1], &log_p_without_context(&fresh.hole));
    println!(
        "divergence an event in the hole of the truth at the nearest point outside: {moved:.4} \
         +- {moved_error:.4}; of the truth without context: {blunt:.4} +- {blunt_error:.4}"
    );
    println!(
        "{} members; in brackets deviations from data set to data set",
        study.members
    );
    let mut last = f64::INFINITY;
    for (events, data_sets) in study.sizes {
        let verdicts: Vec<Verdict> = (1..=*data_sets as u64)
            .map(|set| {
                let sample = Events::draw(Part::Outside, set, *events);
                let ensemble = Job::new(sample.rows, training()).ensemble(study.members as u32);
                Verdict::new(&ensemble, &fresh, &study, *events, 2000 + set)
            })
            .collect();
        print(&verdicts, *events, study.few);
        let average = |of: &dyn Fn(&Verdict) -> f64| mean(verdicts.iter().map(of));
        let hole = average(&|v| v.divergence[1][2]);
        let nearest = average(&|v| v.nearest);
        assert!(hole < last, "{hole} at {events} events, {last} at fewer");
        last = hole;
        // fewer are there to be compared with
        if *events < 10_000 {
            continue;
        }
        // at 10 000 events a sixth, a fifth and a twenty-fifth of them: these
        // limits are seven deviations from set to set away
        assert!(
            hole < 0.5 * nearest,
            "{hole}, at the nearest point {nearest}"
        );
        assert!(
            hole < 0.5 * moved,
            "{hole}, of the truth at the nearest point {moved}"
        );
        assert!(hole < 0.1 * blunt, "{hole}, without context {blunt}");
        for verdict in &verdicts {
            let (ratio, largest) = (verdict.ratio(), verdict.largest_offset());
            assert!(ratio < study.ratio, "{ratio} times the divergence outside");
            assert!(largest < study.offset, "{largest} statistical errors off");
        }
    }
    assert!(
        last < study.bound,
        "{last} in the hole, over {}",
        study.bound
    );
}

fn print(verdicts: &[Verdict], events: usize, few: usize) {
    let of = |pick: &dyn Fn(&Verdict) -> f64| verdicts.iter().map(pick).collect::<Vec<f64>>();
    println!("{events} events, {} data set(s)", verdicts.len());
    println!("  divergence: one member, {few} members, all, +- from the fresh events");
    for (part, name) in ["outside", "in the hole"].into_iter().enumerate() {
        let [one, few, all] = [0, 1, 2].map(|k| figure(&of(&|v| v.divergence[part][k]), 4));
        let error = mean(of(&|v| v.error[part]));
        println!("  {name:12} {one}   {few}   {all}   +- {error:.4}");
    }
    println!(
        "  ratio {}; the ensemble at the nearest point outside {}",
        figure(&of(&Verdict::ratio), 2),
        figure(&of(&|v| v.nearest), 4)
    );
    println!(
        "  in the hole, in statistical errors of {:.0} events: offset of all, deviation of members",
        expected_in_hole(events)
    );
    for k in 0..D {
        let [mean_of, width] = [2 * k, 2 * k + 1].map(|q| {
            let spread = mean(of(&|v| v.spreads[q]));
            format!("{}, {spread:.2}", figure(&of(&|v| v.offsets[q]), 2))
        });
        println!("  x{k}: mean {mean_of}; width {width}");
    }
    let squares = verdicts.iter().flat_map(|v| v.offsets).map(|o| o * o);
    println!(
        "  root mean square of the offsets {:.2}, the largest of a data set {}",
        mean(squares).sqrt(),
        figure(&of(&Verdict::largest_offset), 2)
    );
}
