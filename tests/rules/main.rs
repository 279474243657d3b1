//! The rules of ARCHITECTURE.md, "No number that is silently wrong": one module a
//! group of rules, each instance from the outside, as a user meets it.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod blinding;
mod columns;
mod documents;
mod exports;
mod expressions;
mod fits;
mod interpolation;
mod run_directory;
mod verdicts;
