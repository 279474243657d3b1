//! What networks were trained on, and which events to be predicted lie outside of it.
//!
//! A network says something of every event, also where it has seen none: beyond the
//! smallest and the largest value of an input, and for a category that no training
//! event had. Such events are counted by reason.

use super::plan::Plan;
use crate::results::{Categories, InputRange, OutsideMetrics, Support};

impl Support {
    /// What the plan's networks are trained on.
    pub(super) fn of(plan: &Plan) -> Self {
        let config = &plan.config;
        let inputs = config.features.inputs.iter().map(|name| InputRange {
            name: name.clone(),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        });
        let one_hot = config.features.one_hot.iter();
        let one_hot = one_hot.map(|(column, values)| Categories {
            column: column.clone(),
            values: values.clone(),
            seen: vec![false; values.len() + 1],
        });
        let mut support = Self {
            inputs: inputs.collect(),
            one_hot: one_hot.collect(),
        };
        let trained = plan.training_region();
        for sample in &plan.samples {
            for row in sample.in_region(trained) {
                support.add(sample.features(row));
            }
        }
        support
    }

    fn add(&mut self, features: &[f32]) {
        for (input, x) in self.inputs.iter_mut().zip(features) {
            input.min = input.min.min(f64::from(*x));
            input.max = input.max.max(f64::from(*x));
        }
        let mut first = self.inputs.len();
        for column in &mut self.one_hot {
            let place = column.place(&features[first..]);
            column.seen[place] = true;
            first += column.values.len();
        }
    }

    /// Why an event lies outside; nothing if it does not.
    pub fn outside(&self, features: &[f32]) -> Vec<String> {
        let mut reasons = Vec::new();
        for (input, x) in self.inputs.iter().zip(features) {
            let (name, x) = (&input.name, f64::from(*x));
            if x < input.min {
                reasons.push(format!("{name} below {}", input.min as f32));
            } else if x > input.max {
                reasons.push(format!("{name} above {}", input.max as f32));
            }
        }
        let mut first = self.inputs.len();
        for column in &self.one_hot {
            let place = column.place(&features[first..]);
            first += column.values.len();
            if !column.seen[place] {
                let name = &column.column;
                reasons.push(match column.values.get(place) {
                    Some(value) => format!("{name} = {value} has no training event"),
                    None => format!("{name} is none of the listed values"),
                });
            }
        }
        reasons
    }
}

impl Categories {
    /// Place of an event's category among the values, from its inputs.
    fn place(&self, inputs: &[f32]) -> usize {
        let own = inputs.iter().take(self.values.len());
        let mut found = own.enumerate().filter(|(_, x)| **x != 0.0);
        found.next().map_or(self.values.len(), |(place, _)| place)
    }
}

/// Counts the events of a region that lie outside: inputs, weight before and after.
pub(super) fn outside<'a>(
    support: &Support,
    events: impl Iterator<Item = (&'a [f32], f64, f64)>,
) -> OutsideMetrics {
    let mut outside = OutsideMetrics::default();
    // of the weight before and after: all, and that of what lies outside
    let mut sums = [[0.0; 2]; 2];
    for (features, before, after) in events {
        let reasons = support.outside(features);
        for ([all, beyond], weight) in sums.iter_mut().zip([before, after]) {
            *all += weight;
            *beyond += if reasons.is_empty() { 0.0 } else { weight };
        }
        outside.events += u64::from(!reasons.is_empty());
        for reason in reasons {
            *outside.reasons.entry(reason).or_insert(0) += 1;
        }
    }
    let share = |[all, beyond]: [f64; 2]| if all == 0.0 { 0.0 } else { beyond / all };
    [outside.share, outside.predicted_share] = sums.map(share);
    outside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_outside_are_counted_by_reason() {
        let mut support = Support {
            inputs: vec![InputRange {
                name: "x".to_owned(),
                min: f64::INFINITY,
                max: f64::NEG_INFINITY,
            }],
            one_hot: vec![Categories {
                column: "kind".to_owned(),
                values: vec![1.0, 2.0],
                seen: vec![false; 3],
            }],
        };
        support.add(&[0.0, 1.0, 0.0]);
        support.add(&[2.0, 1.0, 0.0]);
        let events: [[f32; 3]; 5] = [
            [0.0, 1.0, 0.0],
            [2.0, 1.0, 0.0],
            [2.5, 1.0, 0.0],
            [-1.0, 0.0, 1.0],
            [1.0, 0.0, 0.0],
        ];
        let found = outside(&support, events.iter().map(|e| (&e[..], 1.0, 2.0)));
        assert_eq!(found.events, 3);
        assert!((found.share - 0.6).abs() < 1e-12);
        let reasons: Vec<(&str, u64)> = found
            .reasons
            .iter()
            .map(|(k, v)| (k.as_str(), *v))
            .collect();
        assert_eq!(
            reasons,
            [
                ("x above 2", 1),
                ("x below 0", 1),
                ("kind = 2 has no training event", 1),
                ("kind is none of the listed values", 1),
            ]
        );
    }
}
