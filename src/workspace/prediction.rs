//! What a model expects in every bin, with the error that its parameters' errors make of it.

use rayon::prelude::*;
use sideband_likelihood::histogram::{Factor, HistogramChannel, HistogramModel, Template};

/// Step of a derivative, in errors of the parameter.
const STEP: f64 = 1e-3;

/// Where a prediction is made, and how the parameters vary together there.
pub(super) struct Place {
    /// `[n]`
    pub(super) point: Vec<f64>,
    /// Parameters that vary.
    pub(super) varied: Vec<usize>,
    /// Their covariance, `[m, m]`, row-major.
    pub(super) covariance: Vec<f64>,
}

/// A channel's prediction.
pub(super) struct Prediction {
    /// Events of each sample, `[samples][bins]`.
    pub(super) samples: Vec<Vec<f64>>,
    /// Their sum, `[bins]`.
    pub(super) total: Vec<f64>,
    /// Standard deviation of the sum, `sqrt(J V J^T)` with central differences for `J`, `[bins]`.
    pub(super) errors: Vec<f64>,
    /// The same of the sum over all bins.
    pub(super) sum_error: f64,
}

/// The prediction of every channel. Slopes are held for one channel at a time.
pub(super) fn prediction(model: &HistogramModel, place: &Place) -> Vec<Prediction> {
    let of = |channel| of_channel(channel, place);
    model.channels.iter().map(of).collect()
}

fn of_channel(channel: &HistogramChannel, place: &Place) -> Prediction {
    let Place {
        point,
        varied,
        covariance,
    } = place;
    let m = varied.len();
    let slope = |k: usize| -> Vec<f64> {
        let step = STEP * covariance[k * m + k].sqrt();
        let [low, high] = [-step, step].map(|step| {
            let mut moved = point.clone();
            moved[varied[k]] += step;
            channel.expected(&moved)
        });
        let difference = |(low, high): (&f64, &f64)| match step > 0.0 {
            true => (high - low) / (2.0 * step),
            false => 0.0,
        };
        low.iter().zip(&high).map(difference).collect()
    };
    let slopes: Vec<Vec<f64>> = (0..m).into_par_iter().map(slope).collect();
    let total = channel.expected(point);
    let error = |j: &mut dyn Iterator<Item = f64>| {
        // most parameters do nothing in a bin
        let j = j.enumerate();
        let j: Vec<(usize, f64)> = j.filter(|(_, j)| *j != 0.0).collect();
        let row = |(k, jk): &(usize, f64)| -> f64 {
            let terms = j.iter().map(|(l, jl)| covariance[k * m + l] * jl);
            jk * terms.sum::<f64>()
        };
        j.iter().map(row).sum::<f64>().max(0.0).sqrt()
    };
    let in_bin = |bin: usize| error(&mut slopes.iter().map(|slope| slope[bin]));
    let sum = |slope: &Vec<f64>| slope.iter().fold(0.0_f64, |sum, x| sum + x);
    Prediction {
        samples: channel.contributions(point),
        errors: (0..total.len()).map(in_bin).collect(),
        sum_error: error(&mut slopes.iter().map(sum)),
        total,
    }
}

/// Whether a parameter scales a template.
pub(super) fn scales(template: &Template, parameter: usize) -> bool {
    template.factors.iter().any(|factor| match factor {
        Factor::Parameter(place) => *place == parameter,
        Factor::Coefficient(f) => f.places().contains(&parameter),
        Factor::Response(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_likelihood::Parameter;

    #[test]
    fn the_error_is_that_of_the_parameters() {
        // 10 mu + 5, twice: mu known to 0.2 alone, and with a correlated scale of the second
        let template = |name: &str, nominal: [f64; 2], parameter| Template {
            name: name.to_owned(),
            nominal: nominal.to_vec(),
            factors: vec![Factor::Parameter(parameter)],
            modifiers: Vec::new(),
        };
        let templates = vec![template("s", [10.0, 0.0], 0), template("b", [5.0, 5.0], 1)];
        let channel = HistogramChannel::new("SR", templates, vec![15.0, 5.0], 2).unwrap();
        let model = HistogramModel {
            parameters: vec![
                Parameter::interest("mu", 1.0, (0.0, 10.0)),
                Parameter::interest("b", 1.0, (0.0, 10.0)),
            ],
            fixed: Vec::new(),
            channels: vec![channel],
            constraints: Vec::new(),
        };
        let place = Place {
            point: vec![1.0, 1.0],
            varied: vec![0, 1],
            covariance: vec![0.04, -0.01, -0.01, 0.01],
        };
        let [found] = &prediction(&model, &place)[..] else {
            panic!("one channel");
        };
        assert_eq!(found.total, [15.0, 5.0]);
        // 100 * 0.04 + 25 * 0.01 - 2 * 50 * 0.01, and 25 * 0.01
        for (error, expected) in found.errors.iter().zip([3.25_f64.sqrt(), 0.5]) {
            assert!((error - expected).abs() < 1e-9, "{error}");
        }
        // 10 mu + 10 b: 100 * 0.04 + 100 * 0.01 - 2 * 100 * 0.01
        assert!((found.sum_error - 3_f64.sqrt()).abs() < 1e-9);
        assert!(scales(&model.channels[0].templates()[0], 0));
        assert!(!scales(&model.channels[0].templates()[1], 0));
    }
}
