//! Ensembles that share files, inputs and network: their training events in one matrix.

use super::plan::Plan;
use super::sample::Sample;
use crate::training::{ClassRows, Inputs, TrainingSample};
use std::collections::HashMap;
use std::sync::Arc;

/// Plans of a family without their samples, but with their training events in one matrix,
/// each event once however many ensembles use it.
#[derive(Default)]
pub(super) struct FamilyPlans {
    inputs: Inputs,
    /// (class, place in the files) -> row of the matrix
    rows: HashMap<(usize, u64), u32>,
    plans: Vec<(Plan, Vec<ClassRows>)>,
}

impl FamilyPlans {
    /// Adds an ensemble's plan; its samples are left.
    pub(super) fn add(&mut self, mut plan: Plan) -> Vec<Sample> {
        let own = Arc::clone(plan.training.inputs());
        if self.inputs.columns() == 0 {
            self.inputs = Inputs::new(Vec::new(), own.columns());
        }
        let mut classes = plan.training.classes().to_vec();
        for (number, (class, places)) in classes.iter_mut().zip(plan.places()).enumerate() {
            for (row, place) in class.rows.iter_mut().zip(places) {
                let shared = self.rows.entry((number, place));
                *row = *shared.or_insert_with(|| self.inputs.push(own.row(*row as usize)) as u32);
            }
        }
        let samples = std::mem::take(&mut plan.samples);
        plan.training = TrainingSample::of(Arc::default(), Vec::new());
        self.plans.push((plan, classes));
        samples
    }

    pub(super) fn finish(self) -> Vec<Plan> {
        let inputs = Arc::new(self.inputs);
        let of_matrix = |(plan, classes): (Plan, Vec<ClassRows>)| Plan {
            training: TrainingSample::of(Arc::clone(&inputs), classes),
            ..plan
        };
        self.plans.into_iter().map(of_matrix).collect()
    }
}
