//! What cannot be built or computed, and why.

/// Why something cannot be built or computed.
///
/// A message names the channel, parameter, event or point, what was found, and what to
/// change. A fit that was made and failed is no error but a [`Fit`](crate::fit::Fit) that
/// says why.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An upper limit beyond the range of its parameter.
    #[error(
        "{which} upper limit lies above mu = {bound}, the upper bound of the parameter of \
         interest; widen its bounds"
    )]
    BeyondBounds {
        /// The observed limit, or an expected one and its band.
        which: String,
        /// The upper bound, in the coordinate of the fit.
        bound: f64,
    },
    /// Everything else, in words.
    #[error("{0}")]
    Other(String),
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Other(message.into())
    }
}

/// An error with a message, unless a condition holds.
pub(crate) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::Other(message()))
    }
}

/// Names that a sentence lists.
const LISTED: usize = 10;

/// Names in backticks, the first of them if they are many.
pub(crate) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let first: Vec<String> = names.take(LISTED).map(|name| format!("`{name}`")).collect();
    match more {
        0 => first.join(", "),
        _ => format!("{} and {more} more", first.join(", ")),
    }
}
