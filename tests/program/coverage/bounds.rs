//! Coverage where the truth is on a bound, or near it: counts in bins, by closed forms.
//! Half of the toys on the bound are fitted there and have t = 0, so that the asymptotic
//! intervals cover more than they say; critical values from toys do not.

use super::{LEVELS, belt, histogram_model, throw};
use crate::support::is_full;
use sideband::toys::Toy;
use sideband::truth::Truth;
use sideband_likelihood::fit::{FitSettings, Search, fit};
use sideband_likelihood::histogram::{Factor, HistogramChannel, Template};
use sideband_likelihood::toys::{ToyRecord, coverage, fit_toy, poisson, randomised};
use sideband_likelihood::{Coefficient, Interpolation, Parameter, RateResponse};

const BACKGROUND: [f64; 5] = [220.0, 160.0, 90.0, 45.0, 20.0];
const SIGNAL: [f64; 5] = [4.0, 9.0, 18.0, 16.0, 7.0];
const BETWEEN: [f64; 5] = [-9.0, -15.0, -16.0, -5.0, 1.0];
/// Distances of the truth from the bound, in errors.
const INSIDE: [f64; 4] = [0.0, 0.5, 1.0, 2.0];

/// A signal strength, or the root of one that interferes, in 0 to 6.
struct Counts {
    channel: HistogramChannel,
    parameters: Vec<Parameter>,
}

impl Counts {
    fn new(interferes: bool) -> Self {
        let sum: Vec<f64> = (0..5)
            .map(|k| SIGNAL[k] + BACKGROUND[k] + BETWEEN[k])
            .collect();
        let parts = if interferes {
            vec![
                ("S", "x * x - x", SIGNAL.to_vec()),
                ("SBI", "x", sum),
                ("B", "1 - x", BACKGROUND.to_vec()),
            ]
        } else {
            vec![("S", "x", SIGNAL.to_vec()), ("B", "1", BACKGROUND.to_vec())]
        };
        let template = |(name, coefficient, nominal): (&str, &str, Vec<f64>)| Template {
            name: name.to_owned(),
            nominal,
            factors: vec![
                Factor::Coefficient(Coefficient::parse(coefficient, &["x", "rate"]).unwrap()),
                Factor::Response(RateResponse {
                    parameter: 1,
                    low: 0.96,
                    high: 1.05,
                    interpolation: Interpolation::Code4,
                }),
            ],
            modifiers: Vec::new(),
        };
        let templates = parts.into_iter().map(template).collect();
        Self {
            channel: HistogramChannel::new("counts", templates, vec![0.0; 5], 2).unwrap(),
            parameters: vec![
                Parameter::interest("x", 0.5, (0.0, 6.0)),
                Parameter::nuisance("rate"),
            ],
        }
    }

    fn settings() -> FitSettings {
        FitSettings {
            searches: vec![Search {
                parameter: 0,
                points: 7,
            }],
            ..FitSettings::default()
        }
    }

    /// The error of `x` on the data expected at one.
    fn error(&self) -> f64 {
        let expected = self.channel.expected(&[1.0, 0.0]);
        let model = histogram_model(&self.channel, expected, self.parameters.clone());
        let best = fit(&model.likelihood(), &Self::settings()).unwrap();
        best.error(0).unwrap()
    }

    fn toy(&self, at: f64, toy: Toy) -> ToyRecord {
        let truth = [at, 0.0];
        let mut stream = toy.key.with(0).stream();
        let counts = self.channel.expected(&truth).into_iter();
        let counts = counts.map(|mean| poisson(mean, &mut stream) as f64);
        let counts: Vec<f64> = counts.collect();
        let parameters = randomised(&self.parameters, &truth, toy.key.with(1));
        let events = counts.iter().sum::<f64>() as u64;
        let model = histogram_model(&self.channel, counts, parameters);
        let fitted = fit_toy(&model.likelihood(), &Self::settings(), 0, &truth).unwrap();
        ToyRecord {
            point: toy.point,
            toy: toy.number,
            events,
            converged: fitted.converged,
            t: fitted.t,
            truth: vec![at, 0.0, 0.0],
            fitted: [fitted.fitted, vec![0.0]].concat(),
            errors: [fitted.errors, vec![1.0]].concat(),
        }
    }
}

#[test]
fn intervals_at_a_bound_cover() {
    for interferes in [false, true] {
        let counts = Counts::new(interferes);
        let error = counts.error();
        // the study's points are values of its first parameter
        let truths: Vec<Truth> = INSIDE.iter().map(|n| Truth::nominal(n * error)).collect();
        let toys = if is_full() { 40_000 } else { 8000 };
        let measure = |truth: &Truth, toy| counts.toy(truth.mu, toy);
        let of_belt = throw(measure, 12, toys, &truths);
        let records = throw(measure, 11, toys, &truths);
        let belt = belt(&truths, &of_belt);
        let what = if interferes { "x^2 S + x I" } else { "x S" };
        println!(
            "| {what}, errors inside | t < 1 | t < 4 | belt 68.27 % | belt 95.45 % | on the bound |"
        );
        println!("|---|---|---|---|---|---|");
        for (i, records) in records.iter().enumerate() {
            let failed = records.iter().filter(|r| !r.converged).count();
            assert_eq!(failed, 0, "{what} {i}");
            let on_bound = records.iter().filter(|r| r.errors[0] == 0.0).count();
            let mut line = format!("| {} |", INSIDE[i]);
            for (level, t) in LEVELS.into_iter().zip([1.0, 4.0]) {
                let asymptotic = coverage(records, level, t).unwrap();
                // at least what they say, but for binomial errors
                assert!(asymptotic.pull > -4.2, "{what} {i}: {asymptotic:?}");
                line += &format!(" {:.4} |", asymptotic.counted.value);
            }
            for (level, critical) in LEVELS.into_iter().zip(&belt.points()[i].critical) {
                let by_toys = coverage(records, level, critical.toys.value).unwrap();
                let off = by_toys.counted.value - level;
                assert!(off.abs() < 0.03, "{what} {i}: {by_toys:?}");
                line += &format!(" {:.4} |", by_toys.counted.value);
            }
            println!("{line} {:.3} |", on_bound as f64 / records.len() as f64);
        }
        // what makes the asymptotic intervals too long on the bound
        let on_bound = coverage(&records[0], LEVELS[0], 1.0).unwrap();
        assert!(on_bound.counted.value > 0.75, "{what}: {on_bound:?}");
    }
}
