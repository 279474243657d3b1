//! Likelihoods in closed form, whose fits are known.

mod bounds;
mod descent;
mod gaussian;
mod golden;
mod kinks;
mod likelihoods;
mod profile;
mod w4;
mod warm;
