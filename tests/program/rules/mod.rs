//! The rules of ARCHITECTURE.md, "No number that is silently wrong": one module a
//! group of rules, each instance from the outside, as a user meets it.

mod blinding;
mod columns;
mod documents;
mod exports;
mod expressions;
mod fits;
mod house;
mod interpolation;
mod run_directory;
mod verdicts;
