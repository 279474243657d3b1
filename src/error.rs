//! The error of the program: what went wrong, in words for the user, and of which kind it
//! is. Kinds are what somebody tells apart; all else is in the message.

use sideband_networks::DeviceError;
use std::fmt::{self, Display};
use std::io;
use std::path::Path;

/// Of which kind an error is. The command line gives each its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The command line asks for what cannot be.
    Usage,
    /// The configuration is wrong, or does not fit the run directory or the data.
    Config,
    /// The data are wrong, or the numbers that came out are no result.
    Data,
    /// A file or folder is not there.
    NotFound,
    /// The device cannot be used.
    Device,
    /// Too few members succeeded.
    Partial,
    /// What was trained gives no result. Other ensembles of the run do not suffer from it.
    NoResult,
    /// What was drawn gives no result as the configuration asks for it. Other ensembles of
    /// the run do not suffer from it.
    NoSamples,
    /// The likelihood cannot be made of what was trained.
    Likelihood,
    /// A fit failed.
    Fit,
    /// A number beside the fit is not measured.
    NotMeasured,
    /// A batch system does not answer; it may later.
    NoAnswer,
    /// A batch system does not take a job.
    Refused,
    /// The program or the system failed.
    Internal,
    /// The time limit was reached.
    TimeLimit,
    /// Somebody asked to stop.
    Interrupted,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
}

/// With the error of the program where no other is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    pub(crate) fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// What is wrong with a key of the configuration, and what to change.
    pub(crate) fn config_at(key: impl Display, reason: impl Display) -> Self {
        Self::config(format!("`{key}`: {reason}"))
    }

    /// What is wrong with the data of a key of the configuration, and what to change.
    pub(crate) fn data_at(key: impl Display, reason: impl Display) -> Self {
        Self::data(format!("`{key}`: {reason}"))
    }

    /// The file system refused: a fault of the data where a file is not there or not one.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            io::ErrorKind::InvalidInput
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::InvalidData => Kind::Data,
            _ => Kind::Internal,
        };
        Self::new(kind, format!("{}: {error}{}", path.display(), hint(error)))
    }

    /// Of which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The same of another kind.
    pub(crate) fn of(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The same in other words.
    pub(crate) fn map(self, words: impl FnOnce(String) -> String) -> Self {
        Self {
            message: words(self.message),
            ..self
        }
    }

    /// The same, with a key of the configuration in front.
    pub(crate) fn at_key(self, key: impl Display) -> Self {
        self.map(|message| format!("`{key}`: {message}"))
    }

    /// The same, with the place in front.
    pub(crate) fn at(self, place: impl Display) -> Self {
        self.map(|message| format!("{place}: {message}"))
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<DeviceError> for Error {
    fn from(error: DeviceError) -> Self {
        Self::new(Kind::Device, error.to_string())
    }
}

/// Any error as one of the program.
pub(crate) trait Context<T> {
    /// Of this kind, in its own words.
    fn of(self, kind: Kind) -> Result<T>;

    /// Of this kind, with the place in front.
    fn at(self, kind: Kind, place: impl Display) -> Result<T>;

    /// Of this kind, with the key of the configuration in front.
    fn key(self, kind: Kind, key: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for Result<T, E> {
    fn of(self, kind: Kind) -> Result<T> {
        self.map_err(|error| Error::new(kind, error.to_string()))
    }

    fn at(self, kind: Kind, place: impl Display) -> Result<T> {
        self.map_err(|error| Error::new(kind, format!("{place}: {error}")))
    }

    fn key(self, kind: Kind, key: impl Display) -> Result<T> {
        self.map_err(|error| Error::new(kind, format!("`{key}`: {error}")))
    }
}

/// An error of the file system as one of the program.
pub(crate) trait OnFile<T> {
    /// With the path in front; see [`Error::io`].
    fn on(self, path: impl AsRef<Path>) -> Result<T>;
}

impl<T> OnFile<T> for io::Result<T> {
    fn on(self, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|error| Error::io(path.as_ref(), &error))
    }
}

/// So many of something: "1 member", "2 members".
pub(crate) fn counted(number: impl Display, noun: &str) -> String {
    let number = number.to_string();
    let ending = match noun.as_bytes() {
        _ if number == "1" => "",
        [.., b's' | b'x'] | [.., b'c', b'h'] => "es",
        _ => "s",
    };
    format!("{number} {noun}{ending}")
}

/// The verb or pronoun for one, or for another number of things.
pub(crate) fn agreeing<'a>(number: u64, one: &'a str, many: &'a str) -> &'a str {
    if number == 1 { one } else { many }
}

/// What to do about an error of the file system.
#[must_use]
pub(crate) fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space and run the same command again: nothing finished is lost"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a folder that can be written to with --out"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        for (number, noun, words) in [
            (0, "file", "0 files"),
            (1, "file", "1 file"),
            (2, "batch", "2 batches"),
            (3, "Gaussian process", "3 Gaussian processes"),
        ] {
            assert_eq!(counted(number, noun), words);
        }
        assert_eq!(agreeing(1, "lies", "lie"), "lies");
        assert_eq!(agreeing(0, "lies", "lie"), "lie");
    }
}
