//! Input that must be refused, the integral over the reference, and points where nothing is
//! defined.

use super::samples::Blocks;
use super::{BARRIER, Data, EVENTS, Numbers, SplitMix64, parameters, points};
use crate::support::{assert_near, assert_refused};
use crate::{Interpolation, NotPositive, Sample, Storage, StreamedChannel, Term, UnbinnedChannel};

#[test]
fn samples_with_bad_numbers_or_of_a_bad_form_are_refused_with_their_place() {
    type Case = (fn(&mut Data), &'static str);
    let cases: [Case; 11] = [
        (
            |data| (data.ratios[1][7], data.ratios[1][20]) = (-0.5, f64::NAN),
            "the ratio of process 1 has 2 events whose value is not finite and at least 0, the \
             first in row 7: -0.5",
        ),
        (
            |data| data.weights[3] = f64::INFINITY,
            "the column of weights has 1 events whose value is not a finite number",
        ),
        (
            |data| data.responses[2][4].1[9] = 0.0,
            "the response of process 2 to parameter 5 at -1 has 1 events",
        ),
        (
            |data| data.responses[0][0].2[1] = f64::NAN,
            "the response of process 0 to parameter 1 at +1 has 1 events",
        ),
        (|data| data.weights.fill(0.0), "all weights are zero"),
        (
            |data| data.ratios[0].truncate(10),
            "the ratio of process 0 has 10 events, the weights have 300",
        ),
        (
            |data| data.responses[1][2].2.push(1.0),
            "the response of process 1 to parameter 3 at +1 has 301 events",
        ),
        (|data| data.weights.clear(), "has no event"),
        (|data| data.ratios.clear(), "has no process"),
        (
            |data| data.responses[0][1].0 = 1,
            "process 0 has two responses to parameter 1",
        ),
        (|_| (), "accepted"),
    ];
    for (change, words) in cases {
        let mut data = Data::new(EVENTS);
        change(&mut data);
        assert_refused(Sample::new(&data.events(), Storage::Double), words);
    }
}

#[test]
fn selections_of_events_that_do_not_exist_are_refused() {
    let sample = Data::new(EVENTS).sample();
    for (rows, weights, words) in [
        (&[1, 300][..], &[1.0, 1.0][..], "row 300 was selected"),
        (&[1], &[1.0, 1.0], "the list of rows has 1 events"),
        (&[], &[], "no event"),
        (&[1], &[0.0], "all weights are zero"),
    ] {
        assert_refused(sample.select(rows, weights), words);
    }
}

#[test]
fn channels_whose_parts_do_not_fit_are_refused() {
    let data = Data::new(EVENTS);
    let new =
        |processes, parameters: &[_]| UnbinnedChannel::new(processes, data.sample(), parameters);
    let two = new(data.processes()[..2].to_vec(), &parameters());
    assert_refused(two, "the channel has 2 processes, the sample 3");
    let few = new(data.processes(), &parameters()[..5]);
    assert_refused(few, "parameter 10 is used, but the model has 5 parameters");
    let mut negative = parameters();
    negative[0].nominal = -1.0;
    let nothing = new(data.processes(), &negative);
    assert_refused(nothing, "events at the nominal point is");
    let mut other = data.clone();
    other.responses[0].pop();
    let channel = data.channel();
    let words = "other processes or responses than the events of the channel";
    assert_refused(channel.clone().with_reference(other.sample()), words);
    assert_refused(channel.with_sample(other.sample()), words);
    let mut negative = data.clone();
    negative.weights.fill(-1.0);
    let reference = channel.clone().with_reference(negative.sample());
    assert_refused(reference, "reference sample sum to -300;");
    let policy = NotPositive::Barrier { relative: 0.0 };
    assert_refused(channel.with_policy(policy), "threshold is 0 of the sum");
}

#[test]
fn streams_whose_blocks_differ_are_refused() {
    let data = Data::new(EVENTS);
    let mut other = data.clone();
    other.responses[0].pop();
    for (blocks, words) in [
        (vec![data.sample(), other.sample()], "block 1 of the events"),
        (vec![], "the source has no events"),
    ] {
        let (processes, parameters) = (data.processes(), parameters());
        let found = StreamedChannel::new(processes, Blocks(blocks), &parameters, BARRIER);
        assert!(found.unwrap_err().to_string().contains(words), "{words}");
    }
}

/// Events of the reference under one process whose density does not depend on
/// anything but one response, `+-size`, and a second that is `correlation` times it.
fn reference(events: usize, size: f64, correlation: f64) -> Data {
    let mut data = Data::new(events);
    let mut numbers = Numbers(SplitMix64(11));
    let signs: Vec<f64> = (0..events)
        .map(|_| numbers.uniform(-1.0, 1.0).signum())
        .collect();
    data.weights = vec![1.0; events];
    for (ratios, responses) in data.ratios.iter_mut().zip(&mut data.responses) {
        ratios.fill(1.0);
        responses.truncate(2);
        for ((_, low, high, code), size) in responses.iter_mut().zip([size, correlation * size]) {
            *code = Interpolation::Code4;
            for ((low, high), sign) in low.iter_mut().zip(high).zip(&signs) {
                (*low, *high) = (1.0 - size * sign, 1.0 + size * sign);
            }
        }
    }
    data
}

#[test]
fn correlated_responses_are_not_normalised_and_renormalisation_corrects_it() {
    let events = 4000;
    let mut at = vec![0.0; 11];
    (at[0], at[1], at[2]) = (1.0, 1.0, 1.0);
    let integral = |correlation: f64| {
        let data = reference(events, 0.2, correlation);
        let channel = data.channel().with_reference(data.sample()).unwrap();
        (channel.normalisation(&at).unwrap(), channel)
    };
    let (alone, _) = integral(0.0);
    assert!(alone.significance().abs() < 3.0, "{alone:?}");
    // E[1 + x][1 + x] = 1 + 0.2^2 for x = +-0.2
    let (both, channel) = integral(1.0);
    assert_near(both.integral, 1.04, 3.0 * both.error);
    assert_near(both.error, 0.4 / (events as f64).sqrt(), 1e-4);
    assert!(both.significance() > 5.0);
    let plain = channel.value(&at);
    let renormalised = channel.with_renormalisation().unwrap();
    let shift = events as f64 * both.integral.ln();
    assert_near(renormalised.value(&at) - plain, shift, 1e-9);
    assert_eq!(renormalised.normalisation(&at), Some(both));
}

#[test]
fn a_channel_without_reference_has_no_integral() {
    let channel = Data::new(EVENTS).channel();
    assert_eq!(channel.normalisation(&points()[0]), None);
    assert_refused(channel.with_renormalisation(), "needs a reference sample");
}

#[test]
fn without_barrier_a_density_that_is_not_positive_is_named() {
    let data = Data::new(EVENTS);
    let channel = UnbinnedChannel::new(data.processes(), data.sample(), &parameters());
    let channel = channel.unwrap();
    let mut at = vec![0.0; 11];
    at[0] = 0.3;
    let q = channel.densities(&at);
    let first = q.iter().position(|q| *q <= 0.0).unwrap();
    assert!(channel.value(&at).is_nan());
    let message = channel.check(&at).unwrap_err().to_string();
    assert!(message.contains(&format!("the first is event {first} with {}", q[first])));
    assert!(message.contains("mu = 0.3, alpha_0 = 0"));
    let count = q.iter().filter(|q| **q <= 0.0).count();
    assert!(message.starts_with(&format!("the density of {count} events")));
    let helped = channel.with_policy(BARRIER).unwrap();
    assert!(helped.value(&at).is_finite());
    assert!(helped.count_not_positive(&at) >= count);
    at[0] = 1.0;
    assert_eq!(helped.check(&at), Ok(()));
    assert_eq!(helped.count_not_positive(&at), 0);
}

#[test]
fn outside_the_domain_of_a_coefficient_the_process_is_named() {
    let channel = Data::new(EVENTS).channel();
    let mut at = vec![0.0; 11];
    at[0] = -0.1;
    assert!(channel.value(&at).is_nan());
    let words = "`process 0` with the coefficient `mu - sqrt(mu)`";
    assert_refused(channel.check(&at), words);
    // a total rate below zero, far outside of what the responses were made for
    at[0] = 0.05;
    at[10] = 60.0;
    assert!(channel.value(&at).is_nan());
    assert_refused(channel.check(&at), "the expected number of events is -");
}
