//! A density ratio that is known in closed form, recovered through the command
//! line from Parquet files.
//!
//! Two Gaussians in 6 dimensions that differ in means and in covariances, so
//! that the log ratio is quadratic. In coordinates z in which the source is unit
//! normal, the target has independent components N([`MEAN`], [`VARIANCE`]); the
//! program sees x = [`MIXING`] z + [`OFFSET`], correlated and in unlike units.
//! Every variance of the target is below one: the source is wider in every
//! direction and the ratio is bounded.
//!
//!     log r(z) = sum_i z_i^2 / 2 - (z_i - m_i)^2 / (2 v_i) - log(v_i) / 2
//!
//! Errors of log r are mean squares over fresh events, half of each class, as
//! fractions of the variance of the true log r over the same mix.
//!
//! By default a reduced study that takes some seconds. The whole one, which
//! prints the figures of `benches/RESULTS.md`: `scripts/known_truth.sh`.

use crate::support::statistics::{deviation, mean};
use crate::support::{Columns, Numbers, Workplace, configuration, is_full, singles};
use statrs::distribution::{ContinuousCDF, Normal};

const D: usize = 6;
/// Means of the target in z.
const MEAN: [f64; D] = [0.5, -0.4, 0.3, -0.2, 0.1, 0.0];
/// Variances of the target in z.
const VARIANCE: [f64; D] = [0.60, 0.65, 0.70, 0.75, 0.80, 0.65];
/// x = MIXING z + OFFSET.
const MIXING: [[f64; D]; D] = [
    [10.0, 5.0, -4.0, 3.0, -2.0, 4.0],
    [0.0, 1.2, 0.5, -0.4, 0.3, -0.2],
    [0.0, 0.0, 0.9, 0.5, -0.4, 0.3],
    [0.0, 0.0, 0.0, 0.11, 0.05, -0.04],
    [0.0, 0.0, 0.0, 0.0, 0.8, 0.5],
    [0.0, 0.0, 0.0, 0.0, 0.0, 3.0],
];
const OFFSET: [f64; D] = [50.0, 0.0, 0.0, 0.0, 1.0, -2.0];

/// How much is done.
struct Study {
    methods: &'static [&'static str],
    /// Training events a class, rising.
    sizes: &'static [usize],
    members: usize,
    /// Fresh events a class.
    fresh: usize,
    /// Largest error of log r at the last size.
    bound: f64,
    coverage: Coverage,
}

struct Coverage {
    data_sets: usize,
    /// Training events a class.
    events: usize,
    members: usize,
    /// Smallest coverage of the band.
    least: f64,
}

const FULL: Study = Study {
    methods: &["reweight", "ratio"],
    sizes: &[10_000, 30_000, 100_000],
    members: 100,
    fresh: 100_000,
    bound: 0.01,
    coverage: Coverage {
        data_sets: 40,
        events: 10_000,
        members: 20,
        // reported as it is
        least: 0.0,
    },
};

const REDUCED: Study = Study {
    methods: &["reweight"],
    sizes: &[2_000, 10_000],
    members: 10,
    fresh: 20_000,
    // 40 data sets of the whole study at 10 000 events and 20 members: 2.4 %,
    // 0.43 % from set to set; 10 members instead of 20 add 0.1 %; that and five
    // deviations
    bound: 0.047,
    coverage: Coverage {
        data_sets: 6,
        events: 2_000,
        members: 10,
        // 6 data sets of 8 bins; the members' errors are smooth, so that about
        // 4 bins of a data set are independent: 24 trials at 68 % give at least
        // 8 with a probability of 0.9997
        least: 1.0 / 3.0,
    },
};

fn study() -> Study {
    if is_full() { FULL } else { REDUCED }
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Source,
    Target,
}

impl Class {
    /// Mean and variance of each component of z.
    fn laws(self) -> [(f64, f64); D] {
        match self {
            Self::Source => [(0.0, 1.0); D],
            Self::Target => std::array::from_fn(|k| (MEAN[k], VARIANCE[k])),
        }
    }
}

/// Events of one class: a file, and the truth that is not in it.
struct Events {
    first_event: i64,
    x: [Vec<f64>; D],
    log_ratio: Vec<f64>,
}

impl Events {
    fn draw(class: Class, seed: u64, events: usize) -> Self {
        let mut random = Numbers::new(seed << 1 | u64::from(class == Class::Target));
        let mut x: [Vec<f64>; D] = Default::default();
        let mut log_ratio = Vec::new();
        for _ in 0..events {
            let z = class.laws().map(|(m, v)| m + v.sqrt() * random.normal());
            log_ratio.push(log_ratio_at(&z));
            for (x, (row, offset)) in x.iter_mut().zip(MIXING.iter().zip(&OFFSET)) {
                x.push(offset + row.iter().zip(&z).map(|(a, z)| a * z).sum::<f64>());
            }
        }
        Self {
            first_event: i64::from(class == Class::Target) << 32,
            x,
            log_ratio,
        }
    }

    fn len(&self) -> usize {
        self.log_ratio.len()
    }

    fn write(&self, place: &Workplace, file: &str) {
        let mut columns = Columns::numbered(self.first_event, self.len());
        for (i, x) in self.x.iter().enumerate() {
            columns.set(&format!("x{i}"), singles(x.iter().copied()));
        }
        place.put(file, &columns);
    }
}

fn log_ratio_at(z: &[f64; D]) -> f64 {
    let terms = z.iter().zip(Class::Target.laws());
    let term = |(z, (m, v)): (&f64, (f64, f64))| z * z - (z - m).powi(2) / v - v.ln();
    0.5 * terms.map(term).sum::<f64>()
}

/// Mean and variance of the true log ratio over one class.
///
/// log r = sum_i a_i z_i^2 + b_i z_i + c_i with a = (1 - 1/v)/2, b = m/v,
/// c = -m^2/(2v) - log(v)/2; for z ~ N(mu, s), E = a (s + mu^2) + b mu + c and
/// Var = 2 a^2 s^2 + (2 a mu + b)^2 s.
fn log_ratio_moments(class: Class) -> (f64, f64) {
    let mut sum = (0.0, 0.0);
    for ((m, v), (mu, s)) in Class::Target.laws().into_iter().zip(class.laws()) {
        let (a, b) = (0.5 * (1.0 - 1.0 / v), m / v);
        let c = -0.5 * m * m / v - 0.5 * v.ln();
        sum.0 += a * (s + mu * mu) + b * mu + c;
        sum.1 += 2.0 * a * a * s * s + (2.0 * a * mu + b).powi(2) * s;
    }
    sum
}

/// Variance of the true log ratio over the mix of equal parts of both classes.
fn log_ratio_variance() -> f64 {
    let [source, target] = [Class::Source, Class::Target].map(log_ratio_moments);
    0.5 * (source.1 + target.1) + 0.25 * (source.0 - target.0).powi(2)
}

/// The distribution of x0 in a class.
fn x0(class: Class) -> Normal {
    let (mut mean, mut variance) = (OFFSET[0], 0.0);
    for (a, (m, v)) in MIXING[0].into_iter().zip(class.laws()) {
        mean += a * m;
        variance += a * a * v;
    }
    Normal::new(mean, variance.sqrt()).unwrap()
}

/// Inner edges of the histogram of x0; what lies beyond them is in the end bins.
fn edges() -> Vec<f64> {
    let source = x0(Class::Source);
    let quantiles = [0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95];
    quantiles.map(|p| source.inverse_cdf(p)).to_vec()
}

/// Probability of each bin in a class.
fn bin_probabilities(class: Class) -> Vec<f64> {
    let distribution = x0(class);
    let cumulative = edges().into_iter().map(|edge| distribution.cdf(edge));
    let cumulative: Vec<f64> = [0.0].into_iter().chain(cumulative).chain([1.0]).collect();
    let steps = cumulative.windows(2);
    steps.map(|pair| pair[1] - pair[0]).collect()
}

/// What the ensemble says of a sample.
struct Prediction {
    /// Mean over members of each event's ratio.
    nominal: Vec<f64>,
    /// Ratios of each member.
    members: Vec<Vec<f64>>,
}

fn train(place: &Workplace, method: &str, seed: usize, members: usize) {
    let method = format!("experiment.method={method:?}");
    let seed = format!("experiment.seed={seed}");
    let members = format!("ensemble.members={members}");
    place.run("out", &[&method, &seed, &members]).exits(0);
}

fn predict(place: &Workplace, events: &Events) -> Prediction {
    events.write(place, "fresh.parquet");
    place.predict("out", "fresh.parquet", "answer.parquet");
    let answer = place.events("answer.parquet");
    let in_order = answer.get("event") == place.events("fresh.parquet").get("event");
    assert!(in_order, "predictions come in the order of the events");
    let names = answer.names().into_iter();
    let members = names.filter(|name| name.starts_with("member_"));
    Prediction {
        nominal: answer.numbers("nominal"),
        members: members.map(|name| answer.numbers(name)).collect(),
    }
}

fn workplace(seed: u64, events: usize) -> Workplace {
    let place = Workplace::with_configuration(configuration("known_truth"));
    Events::draw(Class::Source, seed, events).write(&place, "source.parquet");
    Events::draw(Class::Target, seed, events).write(&place, "target.parquet");
    place
}

/// Integral of the true ratio over the source as a sample estimates it: one but
/// for the sample's own fluctuation.
fn mean_true_ratio(source: &Events) -> f64 {
    mean(source.log_ratio.iter().map(|l| l.exp()))
}

/// Mean squared error of log r.
fn squared_error(ratios: impl Iterator<Item = f64>, events: &Events) -> f64 {
    let pairs = ratios.zip(&events.log_ratio);
    mean(pairs.map(|(r, truth)| (r.ln() - truth).powi(2)))
}

/// Error of the log of the mean ratio of `count` members, averaged over the
/// disjoint groups of so many.
fn error_of_groups(prediction: &Prediction, events: &Events, count: usize) -> f64 {
    let groups = prediction.members.chunks_exact(count).map(|group| {
        let ratio = |i: usize| group.iter().map(|m| m[i]).sum::<f64>() / count as f64;
        squared_error((0..events.len()).map(ratio), events)
    });
    mean(groups)
}

#[test]
fn the_closed_form_is_that_of_the_events() {
    let variance = log_ratio_variance();
    assert!((1.0..=2.0).contains(&variance), "{variance}");
    let events = 100_000;
    let source = Events::draw(Class::Source, 1, events);
    let target = Events::draw(Class::Target, 1, events);

    // integral of r over the source
    let ratios: Vec<f64> = source.log_ratio.iter().map(|l| l.exp()).collect();
    let error = deviation(&ratios) / (events as f64).sqrt();
    assert!((mean(&ratios) - 1.0).abs() < 4.0 * error);

    for (class, sample) in [(Class::Source, &source), (Class::Target, &target)] {
        let (expected, variance) = log_ratio_moments(class);
        let error = (variance / events as f64).sqrt();
        assert!((mean(&sample.log_ratio) - expected).abs() < 4.0 * error);
        // kurtosis of a quadratic form of 6 terms: below 15, and with it the
        // error of a variance below sqrt(14/N) of it
        let measured = deviation(&sample.log_ratio).powi(2);
        assert!((measured / variance - 1.0).abs() < 4.0 * (14.0 / events as f64).sqrt());

        let mut counts = vec![0.0; edges().len() + 1];
        for x in &sample.x[0] {
            counts[edges().partition_point(|edge| edge <= x)] += 1.0;
        }
        for (count, p) in counts.iter().zip(bin_probabilities(class)) {
            let expected = p * events as f64;
            assert!((count - expected).abs() < 4.0 * expected.sqrt());
        }
    }
    // and the reweighted source fills the target's bins
    let mut sums = vec![(0.0, 0.0); edges().len() + 1];
    for (x, r) in source.x[0].iter().zip(&ratios) {
        let sum = &mut sums[edges().partition_point(|edge| edge <= x)];
        *sum = (sum.0 + r, sum.1 + r * r);
    }
    for ((sum, squares), p) in sums.iter().zip(bin_probabilities(Class::Target)) {
        let (expected, error) = (p * events as f64, squares.sqrt());
        let is_close = (sum - expected).abs() < 4.0 * error;
        assert!(is_close, "{sum} +- {error}, expected {expected}");
    }
}

#[test]
fn the_ensemble_recovers_the_log_ratio() {
    let study = study();
    let variance = log_ratio_variance();
    let source = Events::draw(Class::Source, 1_000, study.fresh);
    let target = Events::draw(Class::Target, 1_000, study.fresh);
    println!(
        "variance of the true log r over the half-half mix: {variance:.4}; \
         {} fresh events a class; {} members",
        study.fresh, study.members
    );
    println!(
        "method    N       MSE % of variance: E=1     E=10    all    source  target | integral of r"
    );
    for method in study.methods {
        let mut last = f64::INFINITY;
        for (number, events) in study.sizes.iter().enumerate() {
            let place = workplace(number as u64 + 1, *events);
            train(&place, method, number + 1, study.members);
            let on_source = predict(&place, &source);
            let on_target = predict(&place, &target);
            let of = |count| {
                let error = error_of_groups(&on_source, &source, count)
                    + error_of_groups(&on_target, &target, count);
                0.5 * error / variance
            };
            let of_source = squared_error(on_source.nominal.iter().copied(), &source) / variance;
            let of_target = squared_error(on_target.nominal.iter().copied(), &target) / variance;
            let error = 0.5 * (of_source + of_target);

            // integral of r over the source. Two samples enter: the fresh one,
            // and the training one, which each member is normalised on
            let integral = mean(&on_source.nominal);
            let spread = deviation(&on_source.nominal);
            let fresh_error = spread / (source.len() as f64).sqrt();
            let training_error = spread / (*events as f64).sqrt();
            let both = fresh_error.hypot(training_error);
            println!(
                "{method:8} {events:7}  {:25.3}  {:7.3} {:6.3}  {:6.3}  {:6.3} | {integral:.4} \
                 +- {fresh_error:.4} (fresh) +- {training_error:.4} (training); \
                 true r {:.4} (fresh) {:.4} (training)",
                100.0 * of(1),
                100.0 * of(10),
                100.0 * error,
                100.0 * of_source,
                100.0 * of_target,
                mean_true_ratio(&source),
                mean_true_ratio(&Events::draw(Class::Source, number as u64 + 1, *events)),
            );
            let what = format!("{method}, {events} events");
            let is_one = (integral - 1.0).abs() < 3.0 * both;
            assert!(is_one, "{what}: integral of r is {integral} +- {both}");
            assert!(error < last, "{what}: {error}, not below {last} at fewer");
            last = error;
        }
        let bound = study.bound;
        assert!(
            last <= bound,
            "{method}: {last} of the variance of log r, over {bound}"
        );
    }
}

/// How often a band holds the truth, and how far off the nominal is in units of
/// its half-width.
#[derive(Default)]
struct Tally {
    /// Fraction of covered bins of each data set.
    covered: Vec<f64>,
    pulls: Vec<f64>,
}

impl Tally {
    /// `off`, `width`: of each bin of one data set.
    fn add(&mut self, off: &[f64], width: &[f64]) {
        let pulls: Vec<f64> = off.iter().zip(width).map(|(o, w)| o / w).collect();
        let inside = pulls.iter().filter(|p| p.abs() <= 1.0).count();
        self.covered.push(inside as f64 / pulls.len() as f64);
        self.pulls.extend(pulls);
    }

    fn print(&self, name: &str) {
        // bins of a data set are correlated: the error is from set to set
        let error = deviation(&self.covered) / (self.covered.len() as f64).sqrt();
        println!(
            "{name:58} {:.3} +- {error:.3}   pulls: mean {:+.2}, width {:.2}",
            mean(&self.covered),
            mean(&self.pulls),
            deviation(&self.pulls)
        );
    }
}

/// A histogram of x0 filled with an ensemble's weights, scaled to the yield of
/// `events` target events.
struct Contents {
    nominal: Vec<f64>,
    spread: Vec<f64>,
    stat: Vec<f64>,
    /// Spread of the members' shapes: each member at the nominal's sum.
    shape_spread: Vec<f64>,
}

impl Contents {
    /// Of the first `count` source events.
    fn new(prediction: &Prediction, source: &Events, count: usize, events: usize) -> Self {
        let edges = edges();
        let scale = events as f64 / count as f64;
        let bins = source.x[0][..count].iter();
        let bins = bins.map(|x| edges.partition_point(|edge| edge <= x));
        let bins: Vec<usize> = bins.collect();
        let fill = |weights: &[f64], power: i32| {
            let mut sums = vec![0.0; edges.len() + 1];
            for (bin, weight) in bins.iter().zip(weights) {
                sums[*bin] += (weight * scale).powi(power);
            }
            sums
        };
        let nominal = fill(&prediction.nominal, 1);
        let total: f64 = nominal.iter().sum();
        let members: Vec<Vec<f64>> = prediction.members.iter().map(|m| fill(m, 1)).collect();
        let shape = |member: &Vec<f64>| -> Vec<f64> {
            let own: f64 = member.iter().sum();
            member.iter().map(|content| content * total / own).collect()
        };
        let shapes: Vec<Vec<f64>> = members.iter().map(shape).collect();
        let spread = |members: &[Vec<f64>]| -> Vec<f64> {
            let of = |bin| members.iter().map(|m| m[bin]).collect::<Vec<_>>();
            (0..nominal.len()).map(|bin| deviation(&of(bin))).collect()
        };
        let variances = fill(&prediction.nominal, 2);
        Self {
            spread: spread(&members),
            shape_spread: spread(&shapes),
            stat: variances.iter().map(|v| v.sqrt()).collect(),
            nominal,
        }
    }

    /// How far the nominal, times a factor, is off.
    fn off(&self, truth: &[f64], factor: f64) -> Vec<f64> {
        let pairs = self.nominal.iter().zip(truth);
        pairs.map(|(n, t)| n * factor - t).collect()
    }

    /// Off in shape alone: the nominal at the truth's sum.
    fn shape_off(&self, truth: &[f64]) -> Vec<f64> {
        let factor = truth.iter().sum::<f64>() / self.nominal.iter().sum::<f64>();
        self.off(truth, factor)
    }
}

fn in_quadrature(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a.hypot(*b)).collect()
}

/// Events of the large application sample over training events.
const LARGE: usize = 10;

#[test]
fn the_band_covers_the_true_contents() {
    let Coverage {
        data_sets,
        events,
        members,
        least,
    } = study().coverage;
    let truth = bin_probabilities(Class::Target).into_iter();
    let truth: Vec<f64> = truth.map(|p| p * events as f64).collect();
    let mut tallies = [
        "applied to N events: +- stat",
        "applied to N events: +- spread",
        "applied to N events: +- stat (+) spread",
        "applied to 10 N events: +- spread",
        "applied to 10 N events: +- stat (+) spread",
        "applied to 10 N events, shape alone: +- spread of shapes",
    ]
    .map(|name| (name, Tally::default()));
    let mut errors = Vec::new();
    let mut large = Vec::new();
    for set in 0..data_sets {
        let seed = 2_000 + 10 * set as u64;
        let place = workplace(seed, events);
        train(&place, "reweight", set + 1, members);
        let source = Events::draw(Class::Source, seed + 1, LARGE * events);
        let target = Events::draw(Class::Target, seed + 1, LARGE * events);
        let on_source = predict(&place, &source);
        let on_target = predict(&place, &target);
        let error = squared_error(on_source.nominal.iter().copied(), &source)
            + squared_error(on_target.nominal.iter().copied(), &target);
        errors.push(0.5 * error / log_ratio_variance());

        let equal = Contents::new(&on_source, &source, events, events);
        let all = Contents::new(&on_source, &source, source.len(), events);
        let both = |c: &Contents| in_quadrature(&c.stat, &c.spread);
        let (off, off_all) = (equal.off(&truth, 1.0), all.off(&truth, 1.0));
        for ((_, tally), (off, width)) in tallies.iter_mut().zip([
            (&off, &equal.stat),
            (&off, &equal.spread),
            (&off, &both(&equal)),
            (&off_all, &all.spread),
            (&off_all, &both(&all)),
            (&all.shape_off(&truth), &all.shape_spread),
        ]) {
            tally.add(off, width);
        }
        large.push(all);
    }
    println!(
        "coverage over {data_sets} data sets of {events} events a class, {members} members, \
         {} bins; a band of +- 1 sigma of a normal error covers 0.683",
        truth.len()
    );
    for (name, tally) in &tallies {
        tally.print(name);
    }
    println!("applied to 10 N events, % of the true content:");
    println!("bin   true   nominal - true   from set to set   spread   stat (N events)");
    for (bin, truth) in truth.iter().enumerate() {
        let percent = |pick: fn(&Contents, usize) -> f64| -> Vec<f64> {
            large.iter().map(|c| 100.0 * pick(c, bin) / truth).collect()
        };
        let nominal = percent(|c, bin| c.nominal[bin]);
        println!(
            "{bin:3} {truth:7.0} {:+16.2} {:17.2} {:8.2} {:8.2}",
            mean(&nominal) - 100.0,
            deviation(&nominal),
            mean(percent(|c, bin| c.spread[bin])),
            mean(percent(|c, bin| c.stat[bin])) * (LARGE as f64).sqrt(),
        );
    }
    println!(
        "MSE of log r: {:.2} % of its variance, {:.2} % from set to set",
        100.0 * mean(&errors),
        100.0 * deviation(&errors)
    );
    let (name, full) = &tallies[2];
    let covered = mean(&full.covered);
    assert!(covered >= least, "{name} covers {covered} of the bins");
}
