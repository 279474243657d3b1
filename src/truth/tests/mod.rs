//! The interference model and its measurement.

mod experiment;
mod model;
