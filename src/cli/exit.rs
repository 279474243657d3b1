//! Exit codes, fixed: scripts rely on them.

use crate::error::Kind;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// The command line cannot be understood.
    Usage = 2,
    /// The configuration is wrong, or does not fit the run directory.
    Config = 3,
    /// The data are wrong, or the numbers that came out are no result.
    Data = 4,
    /// The device cannot be used.
    Device = 5,
    /// There is a result from fewer members than were asked for, or too few.
    Partial = 6,
    /// The program or the system failed.
    Internal = 70,
    /// The time limit was reached; running again goes on.
    TimeLimit = 75,
    /// It was asked to stop.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Usage => Self::Usage,
            Kind::Config | Kind::NoSamples => Self::Config,
            Kind::Data | Kind::NotFound | Kind::NoResult | Kind::Likelihood | Kind::Fit => {
                Self::Data
            }
            Kind::Device => Self::Device,
            Kind::Partial => Self::Partial,
            Kind::TimeLimit => Self::TimeLimit,
            Kind::Interrupted => Self::Interrupted,
            Kind::Internal | Kind::NotMeasured | Kind::NoAnswer | Kind::Refused => Self::Internal,
        }
    }
}
