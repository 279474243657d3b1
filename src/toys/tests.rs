//! Studies: the same toys however they are run, killed, grown.

use super::*;
use sideband_likelihood::toys::poisson;
use std::sync::atomic::{AtomicUsize, Ordering};

fn study(toys: u64, chunk: u64) -> ToyStudy {
    ToyStudy {
        name: "a test".into(),
        seed: 4,
        parameters: vec!["mu".into(), "shape".into()],
        points: 3,
        toys,
        chunk,
    }
}

fn throw(toy: Toy) -> ToyRecord {
    let mut stream = toy.key.stream();
    let [a, b] = stream.normal_pair();
    ToyRecord {
        point: toy.point,
        toy: toy.number,
        events: poisson(20.0, &mut stream),
        converged: toy.number % 7 != 3,
        t: a * a,
        truth: vec![f64::from(toy.point), 0.0],
        fitted: vec![f64::from(toy.point) + 0.1 * a, b],
        errors: vec![0.1, 0.0],
    }
}

fn all(study: &ToyStudy) -> Vec<Vec<ToyRecord>> {
    let point = |p| (0..study.toys).map(|t| throw(study.toy(p, t))).collect();
    (0..study.points).map(point).collect()
}

#[test]
fn toys_do_not_depend_on_chunks_threads_or_how_the_study_grew() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [once, grown] = folders.each_ref().map(tempfile::TempDir::path);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let whole = study(25, 10);
    one.unwrap()
        .install(|| whole.run(once, throw, || false))
        .unwrap();
    for toys in [4, 9, 25] {
        study(toys, 7).run(grown, throw, || false).unwrap();
        let read = study(toys, 7).read(grown).unwrap();
        assert!(read.iter().all(|point| point.len() as u64 == toys));
        assert_eq!(finished_toys(grown, 3, toys), [toys; 3]);
    }
    assert_eq!(whole.read(once).unwrap(), all(&whole));
    assert_eq!(whole.read(grown).unwrap(), all(&whole));
    // fewer toys are the first ones
    assert_eq!(study(5, 7).read(grown).unwrap(), all(&study(5, 7)));
}

#[test]
fn a_stopped_study_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let study = study(40, 5);
    let thrown = AtomicUsize::new(0);
    let counted = |toy| {
        thrown.fetch_add(1, Ordering::Relaxed);
        throw(toy)
    };
    let stopped = study.run(folder, counted, || thrown.load(Ordering::Relaxed) >= 61);
    assert_eq!(stopped.unwrap_err().kind(), Kind::Interrupted);
    let kept: usize = study.read(folder).unwrap().iter().map(Vec::len).sum();
    assert!(kept > 0 && kept < 120 && kept.is_multiple_of(5), "{kept}");
    let half = folder.join("toys-0000-00000000-00000005.parquet.9-9.tmp");
    fs::write(half, b"half").unwrap();
    thrown.store(0, Ordering::Relaxed);
    study.run(folder, counted, || false).unwrap();
    assert_eq!(thrown.load(Ordering::Relaxed), 120 - kept);
    assert_eq!(study.read(folder).unwrap(), all(&study));
    study.run(folder, |_| unreachable!(), || false).unwrap();
}

#[test]
fn toys_of_another_study_are_not_mixed_in() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    study(5, 5).run(folder, throw, || false).unwrap();
    let complaint = |change: &dyn Fn(&mut ToyStudy)| {
        let mut study = study(9, 5);
        change(&mut study);
        study.run(folder, throw, || false).unwrap_err().to_string()
    };
    let message = complaint(&|study| study.seed = 5);
    let expected = "a test, seed 4, expected a test, seed 5";
    assert!(message.contains(expected), "{message}");
    let message = complaint(&|study| study.parameters.push("rate".into()));
    assert!(message.contains("no column `rate_true`"), "{message}");
    let broken = folder.join("toys-0000-00000005-00000009.parquet");
    fs::write(broken, b"broken").unwrap();
    let message = complaint(&|_| {});
    let expected = "toys in toys-0000-00000005-00000009.parquet";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn pulls_are_those_of_fits_that_have_an_error() {
    let study = study(5, 5);
    let record = throw(study.toy(1, 0));
    let expected = (record.fitted[0] - 1.0) / 0.1;
    assert_eq!(record.pull(0), Some(expected));
    assert_eq!(record.pull(1), None, "at a bound");
    assert_eq!(record.pull(2), None, "no such parameter");
    assert_eq!(throw(study.toy(1, 3)).pull(0), None, "failed");
}
