//! Storage, selection, blocks and threads.

use super::{BARRIER, Data, EVENTS, parameters, points};
use crate::support::{assert_close, assert_near, jet_of_term};
use crate::{EventSource, Pool, Sample, Storage, StreamedChannel, Term, UnbinnedChannel};
use std::convert::Infallible;

/// Value, gradient and Hessian agree.
fn assert_same(a: &dyn Term, b: &dyn Term, at: &[f64], tolerance: f64) {
    let (a, b) = (jet_of_term(a, at), jet_of_term(b, at));
    assert_close(&[a.value], &[b.value], tolerance);
    assert_close(&a.gradient, &b.gradient, tolerance);
    assert_close(&a.hessian, &b.hessian, tolerance);
}

#[test]
fn result_does_not_depend_on_the_number_of_threads() {
    // enough events for several blocks and for the parallel path
    let channel = Data::new(6000).channel();
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        let at = &points()[3];
        let mut gradient = vec![0.0; at.len()];
        pool.install(|| {
            let value = channel.gradient(at, &mut gradient);
            (
                value,
                gradient,
                channel.value(at),
                jet_of_term(&channel, at),
            )
        })
    };
    let one = on(1);
    assert_eq!(one, on(2));
    assert_eq!(one, on(5));
}

#[test]
fn selected_events_are_those_of_the_sample_with_weights() {
    let data = Data::new(EVENTS);
    let rows: Vec<usize> = (0..EVENTS).filter(|row| row % 3 != 1).collect();
    let weights: Vec<f64> = rows.iter().map(|row| (row % 4) as f64).collect();
    let mut weighted = data.clone();
    weighted.weights = vec![0.0; EVENTS];
    for (row, weight) in rows.iter().zip(&weights) {
        weighted.weights[*row] = *weight;
    }
    let selected = data.channel().select(&rows, &weights).unwrap();
    assert_eq!(selected.sample().weights().collect::<Vec<_>>(), weights);
    for at in points() {
        assert_same(&selected, &weighted.channel(), &at, 1e-12);
        assert_eq!(
            selected.count_not_positive(&at),
            weighted.channel().count_not_positive(&at)
        );
    }
}

#[test]
fn any_order_and_repetition_can_be_selected() {
    let channel = Data::new(EVENTS).channel();
    let at = &points()[2];
    let q = channel.densities(at);
    let rows = [299, 0, 64, 63, 64];
    let selected = channel.select(&rows, &[1.0; 5]).unwrap();
    assert_eq!(selected.densities(at), rows.map(|row| q[row]));
}

#[test]
fn a_pool_selects_the_same_events() {
    let data = Data::new(EVENTS);
    let at = &points()[3];
    for storage in [Storage::Double, Storage::Single] {
        let sample = Sample::new(&data.events(), storage).unwrap();
        let channel = data.channel().with_sample(sample.clone()).unwrap();
        let pool = Pool::new(&sample);
        assert_eq!(pool.events(), EVENTS);
        let rows: Vec<usize> = (0..150).map(|i| (7 * i) % EVENTS).collect();
        let weights: Vec<f64> = rows.iter().map(|row| (row % 3) as f64).collect();
        let selected = channel
            .with_sample(pool.select(&rows, &weights).unwrap())
            .unwrap();
        let expected = channel.select(&rows, &weights).unwrap();
        assert_eq!(jet_of_term(&selected, at), jet_of_term(&expected, at));
        assert!(pool.select(&[EVENTS], &[1.0]).is_err());
    }
}

#[test]
fn single_precision_storage_is_close_and_smaller() {
    let data = Data::new(EVENTS);
    let single = Sample::new(&data.events(), Storage::Single).unwrap();
    assert!(single.bytes() * 100 < data.sample().bytes() * 60);
    let channel = data.channel();
    let single = channel.with_sample(single).unwrap();
    for at in points() {
        assert_same(&single, &channel, &at, 1e-6);
    }
    let at = &points()[3];
    assert_ne!(single.value(at), channel.value(at));
}

/// Blocks in memory.
#[derive(Debug)]
pub(super) struct Blocks(pub(super) Vec<Sample>);

impl EventSource for Blocks {
    type Error = Infallible;

    fn visit(&self, visit: &mut dyn FnMut(&Sample)) -> Result<(), Infallible> {
        self.0.iter().for_each(visit);
        Ok(())
    }
}

#[test]
fn streamed_blocks_are_the_whole_sample() {
    let data = Data::new(EVENTS);
    let whole = data.sample();
    let weights = &data.weights;
    let block = |from: usize, to: usize| {
        let rows: Vec<usize> = (from..to).collect();
        whole.select(&rows, &weights[from..to]).unwrap()
    };
    let blocks = Blocks(vec![block(0, 10), block(10, 200), block(200, EVENTS)]);
    let streamed = StreamedChannel::new(data.processes(), blocks, &parameters(), BARRIER);
    let streamed = streamed.unwrap();
    assert_eq!(streamed.events(), EVENTS);
    for at in points() {
        assert_same(&streamed, &data.channel(), &at, 1e-12);
        assert_near(streamed.value(&at) / data.channel().value(&at), 1.0, 1e-13);
    }
}

#[test]
fn any_number_of_events_is_summed() {
    // the second process alone, so that all densities are positive
    let mut at = points()[2].clone();
    at[0] = 1.0;
    let at = &at;
    for events in [1, 7, 63, 64, 65, 1024, 1025] {
        let data = Data::new(events);
        let channel = UnbinnedChannel::new(data.processes(), data.sample(), &parameters());
        let channel = channel.unwrap();
        let q = channel.densities(at);
        assert_eq!(q.len(), events);
        let logs = q.iter().zip(&data.weights).map(|(q, w)| w * q.ln());
        let expected = channel.rates(at).iter().sum::<f64>() - logs.sum::<f64>();
        assert_near(channel.value(at) / expected, 1.0, 1e-12);
    }
}
