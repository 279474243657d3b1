//! Studies of many pseudo-experiments: every toy is a function of the seed, the point
//! and its number, finished ones are kept in files.

mod file;
mod study;
#[cfg(test)]
mod tests;

pub(crate) use study::finished_toys;
pub use study::{Chunks, Study, Toy};
