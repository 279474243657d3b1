//! Input that must be refused.

use super::{BARRIER, Data, EVENTS, parameters};
use crate::{
    ChannelError, NotPositive, Sample, Storage, StreamError, StreamedChannel, UnbinnedChannel,
};

/// What is said about a sample after a change.
fn complaint(change: impl Fn(&mut Data)) -> String {
    let mut data = Data::new(EVENTS);
    change(&mut data);
    Sample::new(&data.events(), Storage::Double)
        .unwrap_err()
        .to_string()
}

fn assert_says(found: &str, expected: &str) {
    assert!(found.contains(expected), "`{found}` without `{expected}`");
}

#[test]
fn samples_with_bad_numbers_are_refused_with_their_place() {
    assert_says(
        &complaint(|data| {
            data.ratios[1][7] = -0.5;
            data.ratios[1][20] = f64::NAN;
        }),
        "the ratio of process 1 has 2 events whose value is not finite and at least 0, the \
         first in row 7: -0.5",
    );
    assert_says(
        &complaint(|data| data.weights[3] = f64::INFINITY),
        "the column of weights has 1 events whose value is not a finite number",
    );
    assert_says(
        &complaint(|data| data.responses[2][4].1[9] = 0.0),
        "the response of process 2 to parameter 5 at -1 has 1 events",
    );
    assert_says(
        &complaint(|data| data.responses[0][0].2[1] = f64::NAN),
        "the response of process 0 to parameter 1 at +1 has 1 events",
    );
    assert_says(
        &complaint(|data| data.weights.fill(0.0)),
        "all weights are zero",
    );
}

#[test]
fn samples_of_a_bad_form_are_refused() {
    assert_says(
        &complaint(|data| data.ratios[0].truncate(10)),
        "the ratio of process 0 has 10 events, the weights have 300",
    );
    assert_says(
        &complaint(|data| data.responses[1][2].2.push(1.0)),
        "the response of process 1 to parameter 3 at +1 has 301 events",
    );
    assert_says(&complaint(|data| data.weights.clear()), "has no event");
    assert_says(&complaint(|data| data.ratios.clear()), "has no process");
    assert_says(
        &complaint(|data| data.responses[0][1].0 = 1),
        "process 0 has two responses to parameter 1",
    );
}

#[test]
fn selections_of_events_that_do_not_exist_are_refused() {
    let sample = Data::new(EVENTS).sample();
    let select =
        |rows: &[usize], weights: &[f64]| sample.select(rows, weights).unwrap_err().to_string();
    assert_says(&select(&[1, 300], &[1.0, 1.0]), "row 300 was selected");
    assert_says(&select(&[1], &[1.0, 1.0]), "the list of rows has 1 events");
    assert_says(&select(&[], &[]), "no event");
    assert_says(&select(&[1], &[0.0]), "all weights are zero");
}

#[test]
fn channels_whose_parts_do_not_fit_are_refused() {
    let data = Data::new(EVENTS);
    let new = |processes, count: usize| {
        UnbinnedChannel::new(processes, data.sample(), &parameters()[..count]).unwrap_err()
    };
    let two = data.processes()[..2].to_vec();
    let expected = ChannelError::Processes {
        processes: 2,
        sample: 3,
    };
    assert_eq!(new(two, 11), expected);
    let expected = ChannelError::Parameter {
        parameter: 10,
        parameters: 5,
    };
    assert_eq!(new(data.processes(), 5), expected);
    let mut negative = parameters();
    negative[0].nominal = -1.0;
    let error = UnbinnedChannel::new(data.processes(), data.sample(), &negative);
    assert!(matches!(error, Err(ChannelError::Rate(_))));
    let mut other = data.clone();
    other.responses[0].pop();
    let channel = data.channel();
    let reference = channel.clone().with_reference(other.sample());
    assert_eq!(reference.unwrap_err(), ChannelError::Responses);
    assert!(channel.with_sample(other.sample()).is_err());
    let mut negative = data.clone();
    negative.weights.fill(-1.0);
    let reference = channel.clone().with_reference(negative.sample());
    assert_eq!(
        reference.unwrap_err(),
        ChannelError::ReferenceWeight(-300.0)
    );
    let policy = NotPositive::Barrier { relative: 0.0 };
    assert_eq!(
        channel.with_policy(policy).unwrap_err(),
        ChannelError::Threshold(0.0)
    );
}

#[test]
fn streams_whose_blocks_differ_are_refused() {
    let data = Data::new(EVENTS);
    let mut other = data.clone();
    other.responses[0].pop();
    let new = |blocks| StreamedChannel::new(data.processes(), blocks, &parameters(), BARRIER);
    let blocks = vec![data.sample(), other.sample()];
    assert!(matches!(new(blocks), Err(StreamError::Block(1))));
    assert!(matches!(new(Vec::new()), Err(StreamError::Empty)));
}
