//! The integral over the reference, and points where nothing is defined.

use super::{Data, EVENTS, Numbers, parameters, points};
use crate::{Interpolation, NotPositive, PointError, Term, UnbinnedChannel};

/// Events of the reference under one process whose density does not depend on
/// anything but one response, `+-size`, and a second that is `correlation` times it.
fn reference(events: usize, size: f64, correlation: f64) -> Data {
    let mut data = Data::new(events);
    let mut numbers = Numbers(11);
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
    assert!((both.integral - 1.04).abs() < 3.0 * both.error, "{both:?}");
    assert!((both.error - 0.4 / (events as f64).sqrt()).abs() < 1e-4);
    assert!(both.significance() > 5.0);
    let plain = channel.value(&at);
    let renormalised = channel.with_renormalisation().unwrap();
    let shift = events as f64 * both.integral.ln();
    assert!((renormalised.value(&at) - plain - shift).abs() < 1e-9);
    assert_eq!(renormalised.normalisation(&at), Some(both));
}

#[test]
fn a_channel_without_reference_has_no_integral() {
    let channel = Data::new(EVENTS).channel();
    assert_eq!(channel.normalisation(&points()[0]), None);
    assert!(channel.with_renormalisation().is_err());
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
    let error = channel.check(&at).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(&format!("the first is event {first} with {}", q[first])));
    assert!(message.contains("mu = 0.3, alpha_0 = 0"));
    let PointError::Density { count, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(count, q.iter().filter(|q| **q <= 0.0).count());
    let helped = channel
        .with_policy(NotPositive::Barrier { relative: 1e-3 })
        .unwrap();
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
    let message = channel.check(&at).unwrap_err().to_string();
    assert!(
        message.contains("`process 0` with the coefficient `mu - sqrt(mu)`"),
        "{message}"
    );
    // a total rate below zero, far outside of what the responses were made for
    at[0] = 0.05;
    at[10] = 60.0;
    assert!(channel.value(&at).is_nan());
    assert!(matches!(channel.check(&at), Err(PointError::Rate { .. })));
}
