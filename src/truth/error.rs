//! What can be wrong with an interference model or with what is asked of it.

/// Why the model cannot be built, sampled or written.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum InterferenceError {
    /// A number outside its domain.
    #[error("interference model: {what} is {value}, expected {expected}")]
    Domain {
        /// The key in the configuration, or the argument.
        what: String,
        value: f64,
        expected: &'static str,
    },
    /// The shape response is exactly normalised at -1, 0 and +1 only.
    #[error(
        "interference model: the shape parameter is {0}, where the density is not known exactly; choose -1, 0 or +1"
    )]
    Between(f64),
    /// The varied rates of the processes do not add up to a positive intensity.
    #[error(
        "interference model: at mu = {mu} and the rate parameter at {rate} the intensity is negative for some events; make the rates of signal, together and background under `rate` more alike, or the incoherent background larger"
    )]
    Negative { mu: f64, rate: f64 },
    /// A sample was not written.
    #[error("interference model: cannot write a sample: {0}")]
    Write(#[from] parquet::errors::ParquetError),
    /// Columns that do not make a table.
    #[error("interference model: cannot write a sample: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}
