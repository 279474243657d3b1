//! The three uncertainties of a background model that synthetic data sets give: what its
//! training varies by, what it is biased by, and whether the bias looks like the signal.
//!
//! Models of M sets are histograms `m_b`, their mean is `h`. A [`basis()`] of Fourier functions is
//! made orthogonal with weight h. [`variance()`] fits every model to h and takes the first order
//! after which pulls of neighbouring bins are uncorrelated; [`bias()`] fits the mean of the mixed
//! data, and the signal beside it; [`nuisances()`] turns both into variations, and [`Fitted`] is
//! the fit of a signal with them.

mod basis;
mod bias;
mod covariance;
mod fitted;
mod least_squares;
mod nuisances;
mod replicas;
mod sets;
mod variance;

pub use basis::{Scale, basis};
pub use bias::{BiasOrder, BiasStage, SpuriousSignal, bias};
pub use fitted::Fitted;
pub use nuisances::{Nuisance, corrected, corrected_model, nuisances, residual_signal};
pub use replicas::{ReplicaLaw, replica_law};
pub use sets::{Estimator, OrderTest, SetHistograms, StageSettings};
pub use variance::{VarianceOrder, VarianceStage, WhiteTest, variance};
