//! What is asked of the events of a sample.

use super::sample::{Events, ProcessEvents, ResponseEvents};
use thiserror::Error;

/// Events that cannot be used. Processes are counted from 0.
#[derive(Clone, Debug, PartialEq, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum SampleError {
    /// There is nothing to evaluate.
    #[error("the sample has no {0}; an unbinned channel needs at least one")]
    Empty(&'static str),
    /// Columns of different lengths.
    #[error("{column} has {found} events, the weights have {expected}")]
    Length {
        column: String,
        found: usize,
        expected: usize,
    },
    /// Numbers outside the domain of their column.
    #[error(
        "{column} has {count} events whose value is not {domain}, the first in row {row}: \
         {value}; correct or remove them"
    )]
    Value {
        column: String,
        domain: &'static str,
        count: usize,
        row: usize,
        value: f64,
    },
    /// All weights are zero.
    #[error("all weights are zero; the channel has no data")]
    NoWeight,
    /// Two responses of one process to the same parameter.
    #[error("process {process} has two responses to parameter {parameter}; give one")]
    Twice { process: usize, parameter: usize },
    /// A selected event that does not exist.
    #[error("row {row} was selected, the sample has {events} events")]
    Row { row: usize, events: usize },
}

pub(super) fn check(events: &Events<'_>) -> Result<(), SampleError> {
    if events.processes.is_empty() {
        return Err(SampleError::Empty("process"));
    }
    check_weights(events.weights)?;
    for (number, process) in events.processes.iter().enumerate() {
        check_process(number, process, events.weights.len())?;
    }
    Ok(())
}

pub(super) fn check_selection(
    events: usize,
    rows: &[usize],
    weights: &[f64],
) -> Result<(), SampleError> {
    check_weights(weights)?;
    check_length(rows.len(), weights.len(), || "the list of rows".into())?;
    match rows.iter().find(|row| **row >= events) {
        Some(&row) => Err(SampleError::Row { row, events }),
        None => Ok(()),
    }
}

fn check_weights(weights: &[f64]) -> Result<(), SampleError> {
    if weights.is_empty() {
        return Err(SampleError::Empty("event"));
    }
    check_values(
        weights,
        "a finite number",
        |w| w.is_finite(),
        || "the column of weights".into(),
    )?;
    if weights.iter().all(|w| *w == 0.0) {
        return Err(SampleError::NoWeight);
    }
    Ok(())
}

fn check_process(
    number: usize,
    process: &ProcessEvents<'_>,
    events: usize,
) -> Result<(), SampleError> {
    let column = || format!("the ratio of process {number}");
    check_length(process.ratios.len(), events, column)?;
    let allowed = |r: f64| r.is_finite() && r >= 0.0;
    check_values(process.ratios, "finite and at least 0", allowed, column)?;
    for (i, response) in process.responses.iter().enumerate() {
        let parameter = response.parameter;
        let earlier = &process.responses[..i];
        if earlier.iter().any(|other| other.parameter == parameter) {
            return Err(SampleError::Twice {
                process: number,
                parameter,
            });
        }
        check_response(number, response, events)?;
    }
    Ok(())
}

fn check_response(
    process: usize,
    response: &ResponseEvents<'_>,
    events: usize,
) -> Result<(), SampleError> {
    let parameter = response.parameter;
    for (side, values) in [("-1", response.low), ("+1", response.high)] {
        let column =
            || format!("the response of process {process} to parameter {parameter} at {side}");
        check_length(values.len(), events, column)?;
        // such that logarithm and value are normal numbers
        let allowed = |g: f64| g.is_normal() && g > 0.0;
        check_values(values, "finite and above 0", allowed, column)?;
    }
    Ok(())
}

fn check_length(
    found: usize,
    expected: usize,
    column: impl Fn() -> String,
) -> Result<(), SampleError> {
    if found == expected {
        return Ok(());
    }
    Err(SampleError::Length {
        column: column(),
        found,
        expected,
    })
}

fn check_values(
    values: &[f64],
    domain: &'static str,
    allowed: impl Fn(f64) -> bool,
    column: impl Fn() -> String,
) -> Result<(), SampleError> {
    let Some(row) = values.iter().position(|value| !allowed(*value)) else {
        return Ok(());
    };
    Err(SampleError::Value {
        column: column(),
        domain,
        count: values.iter().filter(|value| !allowed(**value)).count(),
        row,
        value: values[row],
    })
}
