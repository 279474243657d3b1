//! The likelihood of events without histograms.
//!
//! With rates `v_j(theta)`, [`Rate`], and per event and process the ratio `r_j` of its
//! density to that of a common reference,
//!
//! `p(x|theta)/p_ref(x) = q(x)/v`, `q = sum_j v_j r_j(x) prod_k g_jk(x, alpha_k)`,
//! `v = sum_j v_j`,
//!
//! and for a Poisson number of events, with weights `w_i`,
//!
//! `-log L = v - sum_i w_i log q_i`,
//!
//! without constants: `N log v` of the Poisson term cancels against the `1/v` of the
//! densities. The per-event factors `g` are those of HistFactory's codes,
//! [`Interpolation`](crate::Interpolation), computed where they are used from the
//! logarithms of their end points. Derivatives are exact; sums are independent of
//! the number of threads, to the bit.
//!
//! ATLAS, arXiv 2412.01600.

mod channel;
mod kernel;
mod places;
mod sample;
mod streamed;
mod sums;
#[cfg(test)]
pub(crate) mod tests;

pub use channel::{Normalisation, NotPositive, Process, UnbinnedChannel};
pub use sample::{EventSource, Events, Pool, ProcessEvents, ResponseEvents, Sample, Storage};
pub use streamed::{StreamError, StreamedChannel};
