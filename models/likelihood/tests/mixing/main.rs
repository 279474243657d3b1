//! The three stages of a mixing: against fits by an independent program, and in toys.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::print_stdout)]

mod goldens;
mod toys;

use sideband_likelihood::mixing::{
    BiasStage, Scale, SetHistograms, StageSettings, VarianceStage, basis, bias, variance,
};

fn stages(
    sets: &SetHistograms,
    settings: &StageSettings,
) -> (Vec<Vec<f64>>, VarianceStage, BiasStage) {
    sets.check(settings.max_order).unwrap();
    let [average, _] = sets.average();
    let functions = basis(&sets.edges, &average, settings.max_order, Scale::Range);
    let varied = variance(sets, &functions, settings).unwrap();
    let biased = bias(sets, &functions, &varied, settings).unwrap();
    (functions, varied, biased)
}
