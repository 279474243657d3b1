//! What more replicas of a model would give: its variance is that of its events and that of one
//! replica, with its initial weights, over their number, `Var(E) = Var_data + Var_init / E`.

use super::covariance::{propagated, slopes};
use super::sets::SetHistograms;
use super::variance::VarianceOrder;
use crate::error::Error;
use serde::{Deserialize, Serialize};

/// Share of the variance of the events below which that of the replicas counts for nothing.
const SMALL: f64 = 0.1;

/// Both parts, for the coefficients of one order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicaLaw {
    /// Replicas of each set's model.
    pub replicas: usize,
    /// Variance of the events, `[order + 1]`.
    pub data: Vec<f64>,
    /// Variance of one replica, `[order + 1]`.
    pub initial: Vec<f64>,
    /// Replicas that leave a tenth of the variance of the events; none where that is not seen.
    pub needed: Vec<Option<usize>>,
}

/// Takes the variance over the sets' models apart. `covariances`: of one replica of each model
/// between bins, `[M][B][B]`.
///
/// # Errors
/// If functions cannot be told apart in the bins.
pub fn replica_law(
    sets: &SetHistograms,
    basis: &[Vec<f64>],
    variance: &VarianceOrder,
    covariances: &[Vec<Vec<f64>>],
    replicas: usize,
) -> Result<ReplicaLaw, Error> {
    let slopes = slopes(sets, &basis[..=variance.order])?;
    let count = covariances.len().max(1) as f64;
    let of_one = |slopes: &Vec<f64>| {
        let each = covariances.iter().map(|of| propagated(slopes, of));
        each.sum::<f64>() / count
    };
    let initial: Vec<f64> = slopes.iter().map(of_one).collect();
    let left = |(spread, initial): (f64, &f64)| {
        let of_replicas = initial / replicas.max(1) as f64;
        (spread * spread - of_replicas).max(0.0)
    };
    let spreads = variance.spreads().into_iter();
    let data: Vec<f64> = spreads.zip(&initial).map(left).collect();
    let needed = |(data, initial): (&f64, &f64)| {
        let needed = (initial / (SMALL * data)).ceil();
        needed.is_finite().then_some(needed.max(1.0) as usize)
    };
    Ok(ReplicaLaw {
        replicas,
        needed: data.iter().zip(&initial).map(needed).collect(),
        data,
        initial,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Scale, StageSettings, basis, variance};
    use super::*;
    use sideband_numerics::random::Key;

    /// Known parts are found, each to the errors of 200 sets: 10 % of a variance, three times.
    #[test]
    fn both_parts_are_found_whatever_the_number_of_replicas() {
        const SETS: usize = 200;
        let (of_events, of_weights) = (0.01_f64, 0.03_f64);
        let edges: Vec<f64> = (0..=8).map(f64::from).collect();
        let shape: Vec<f64> = (0..8).map(|b| 1000.0 - 60.0 * f64::from(b)).collect();
        let function = basis(&edges, &shape, 1, Scale::Range).swap_remove(1);
        let moved = |c: f64| -> Vec<f64> {
            let bins = shape.iter().zip(&function);
            bins.map(|(h, f)| h * (1.0 + c * f)).collect()
        };
        // one replica's covariance
        let shift: Vec<f64> = shape
            .iter()
            .zip(&function)
            .map(|(h, f)| of_weights * h * f)
            .collect();
        let covariance: Vec<Vec<f64>> = shift
            .iter()
            .map(|a| shift.iter().map(|b| a * b).collect())
            .collect();
        for replicas in [1, 2, 4, 8] {
            let key = Key::from_seed(3).with(replicas as u64);
            let model = |set: usize| {
                let events = of_events * key.with(0).normal(set as u64);
                let own = key.with(1).with(set as u64);
                let all = (0..replicas).map(|r| of_weights * own.normal(r as u64));
                moved(events + all.sum::<f64>() / replicas as f64)
            };
            let models: Vec<Vec<f64>> = (0..SETS).map(model).collect();
            let sets = SetHistograms {
                edges: edges.clone(),
                model_variances: models.clone(),
                models,
                data: shape.clone(),
                data_variances: shape.clone(),
                top: vec![0.0; 8],
                top_variances: vec![0.0; 8],
                signal: None,
            };
            let [average, _] = sets.average();
            let functions = basis(&edges, &average, 1, Scale::Range);
            let settings = StageSettings {
                max_order: 1,
                ..StageSettings::default()
            };
            let varied = variance(&sets, &functions, &settings).unwrap();
            let covariances = vec![covariance.clone(); SETS];
            let order = &varied.orders[1];
            let found = replica_law(&sets, &functions, order, &covariances, replicas).unwrap();
            let initial = of_weights * of_weights;
            assert!((found.initial[1] / initial - 1.0).abs() < 0.1);
            // of the whole variance, which the spread over the sets is
            let whole = of_events * of_events + initial / replicas as f64;
            let away = (found.data[1] - of_events * of_events).abs();
            assert!(away < 0.3 * whole + 0.1 * initial, "{replicas}: {found:?}");
            assert!(found.needed[1].is_none_or(|needed| needed >= 1));
        }
    }
}
