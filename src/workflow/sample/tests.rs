#![allow(clippy::unwrap_used)]

use crate::settings::{Config, parse_experiment};
use crate::workflow::Plan;

const TEXT: &str = r#"
    experiment = { name = "t", method = "reweight" }
    regions.sr = { selection = "in_sr", blind = true }
    regions.sideband = { selection = "!in_sr && cut" }
    training.region = "sideband"
    features.inputs = ["log_pt2", "ratio"]
    [data.define]
    cut = "n_jets > 4"
    ratio = "log_pt2 - log_pt4"
    [data.source]
    path = "tests/data/collisions/qcd_2b.parquet"
    weight = "weight"
    id = ["event_id"]
    [data.target]
    path = "tests/data/collisions/qcd_4b.parquet"
    weight = "weight"
    id = ["event_id"]
"#;

fn config(settings: &[&str]) -> Config {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    let experiment = parse_experiment(TEXT, &settings).unwrap();
    experiment.ensembles[0].config.clone()
}

/// A second plan takes over the samples of the first that are its own too, and has the
/// same numbers as one that reads all of its events.
#[test]
fn what_two_plans_have_in_common_is_read_once() {
    let stream = "data.stream.sample=2000";
    for (first, second, common) in [
        (&[][..], &["training.epochs=3"][..], [true, true]),
        (
            &[],
            &["experiment.seed=5", "training.held_out=0.3"],
            [true, true],
        ),
        (&[], &["data.source.weight=2 * weight"], [false, true]),
        (&[], &["data.source.scale=2"], [false, true]),
        (&[], &["data.target.selection=n_jets > 5"], [true, false]),
        (&[], &["data.define.cut=n_jets > 5"], [false, false]),
        (&[], &["regions.sr.blind=false"], [false, false]),
        (&[], &["features.inputs=['log_pt2']"], [false, false]),
        (&[], &[stream], [false, false]),
        (&[stream], &[stream, "training.epochs=3"], [true, true]),
        (&[stream], &[stream, "experiment.seed=5"], [false, false]),
    ] {
        let plan =
            |name, settings, earlier| Plan::new(name, config(settings), false, earlier).unwrap();
        let mut marked = plan("first", first, Vec::new()).samples;
        for sample in &mut marked {
            sample.table.report.rows_read += 1;
        }
        let (mut found, anew) = (
            plan("second", second, marked),
            plan("second", second, Vec::new()),
        );
        let is_kept = [0, 1].map(|k: usize| {
            let (found, anew) = (
                &mut found.samples[k].table.report,
                &anew.samples[k].table.report,
            );
            let is_kept = found.rows_read == anew.rows_read + 1;
            found.rows_read = anew.rows_read;
            is_kept
        });
        assert_eq!(is_kept, common, "{second:?}");
        for (found, anew) in found.samples.iter().zip(&anew.samples) {
            assert_eq!(found.table, anew.table, "{second:?}");
            assert_eq!(found.losses, anew.losses);
        }
        assert_eq!(found.scaling, anew.scaling);
        assert_eq!(found.variables, anew.variables);
    }
}

#[test]
fn a_scale_is_on_every_weight_streamed_or_not() {
    for stream in [None, Some("data.stream.sample=2000")] {
        let sample = |scale: &str| {
            let settings: Vec<&str> = stream.into_iter().chain([scale]).collect();
            let plan = Plan::new("t", config(&settings), false, Vec::new()).unwrap();
            plan.samples.into_iter().next().unwrap()
        };
        let (one, two) = (
            sample("data.source.scale=1"),
            sample("data.source.scale='8 / 4'"),
        );
        assert_eq!([one.losses.scale, two.losses.scale], [Some(1.0), Some(2.0)]);
        assert_eq!(2.0 * one.losses.weight, two.losses.weight);
        let doubled = one.table.weights.iter().map(|weight| 2.0 * weight);
        assert_eq!(doubled.collect::<Vec<_>>(), two.table.weights);
        let total = |sample: &crate::workflow::Sample| {
            let streamed = sample.streamed.as_ref()?;
            Some((
                streamed.weight,
                streamed.training.total,
                streamed.training.weight,
            ))
        };
        let (one, two) = (total(&one), total(&two));
        let doubled = one.map(|(a, b, c)| (2.0 * a, 2.0 * b, 2.0 * c));
        assert_eq!(doubled, two);
        assert_eq!(two.is_some(), stream.is_some());
    }
}
