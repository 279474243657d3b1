//! Exit codes, fixed: scripts rely on them.

use super::Failure;
use crate::batch::system::BatchError;
use crate::measurement::MeasureError;
use crate::report::ReportError;
use crate::rundir::DirectoryError;
use crate::settings::ConfigError;
use crate::training::{StoreError, TrainError};
use crate::workflow::{InterpolationError, PlanError, PredictError, RunError};
use sideband_networks::DeviceError;

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

fn fail(exit: Exit, error: &impl std::fmt::Display) -> Failure {
    Failure {
        exit,
        message: error.to_string(),
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let exit = if matches!(error, ConfigError::Set(_)) {
            Exit::Usage
        } else {
            Exit::Config
        };
        fail(exit, &error)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let exit = if error.is_config() {
            Exit::Config
        } else {
            Exit::Data
        };
        fail(exit, &error)
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        fail(Exit::Device, &error)
    }
}

impl From<DirectoryError> for Failure {
    fn from(error: DirectoryError) -> Self {
        let exit = match error {
            DirectoryError::ConfigChanged { .. }
            | DirectoryError::NotARun(_)
            | DirectoryError::Superseded { .. } => Exit::Config,
            DirectoryError::Matrix { .. } => Exit::Usage,
            DirectoryError::InputChanged { .. }
            | DirectoryError::Damaged { .. }
            | DirectoryError::Irregular { .. }
            | DirectoryError::Linked { .. }
            | DirectoryError::Format { .. } => Exit::Data,
            DirectoryError::Io { ref source, .. } if is_about_the_file(source) => Exit::Data,
            DirectoryError::Io { .. } => Exit::Internal,
        };
        fail(exit, &error)
    }
}

/// Whether an error says that a file is not there or not one, and not that the
/// system failed.
fn is_about_the_file(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound
            | std::io::ErrorKind::InvalidInput
            | std::io::ErrorKind::FileTooLarge
            | std::io::ErrorKind::InvalidData
    )
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                let again = "run the configuration again to train the member anew";
                fail(Exit::Data, &format!("{error}; {again}"))
            }
            StoreError::Io { ref source, .. } if is_about_the_file(source) => {
                fail(Exit::Data, &error)
            }
            StoreError::Io { .. } => fail(Exit::Internal, &error),
            StoreError::Corrupt { .. } => fail(Exit::Data, &error),
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Directory(error) => error.into(),
            ReportError::Unfinished(_) => fail(Exit::Data, &error),
            ReportError::Plot { .. } => fail(Exit::Internal, &error),
        }
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Device(error) => error.into(),
            TrainError::Store(error) => error.into(),
            TrainError::EmptyFold { .. } | TrainError::Data(_) => fail(Exit::Data, &error),
            TrainError::Thread(_) => fail(Exit::Internal, &error),
        }
    }
}

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Self {
        let exit = match error {
            BatchError::Setting(_) | BatchError::Path { .. } => Exit::Config,
            _ => Exit::Internal,
        };
        fail(exit, &error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Config(error) => error.into(),
            RunError::Ensemble { name, error } => {
                let inner = Self::from(*error);
                Self {
                    message: format!("ensemble {name}: {}", inner.message),
                    ..inner
                }
            }
            RunError::Interrupted { by_time: true } => fail(Exit::TimeLimit, &error),
            RunError::Interrupted { by_time: false } => fail(Exit::Interrupted, &error),
            RunError::Batch(error) => error.into(),
            RunError::NoBlock { .. } | RunError::NoMember { .. } | RunError::Shrink { .. } => {
                fail(Exit::Usage, &error)
            }
            RunError::Merge { .. } | RunError::ForeignMember(_) => fail(Exit::Data, &error),
            RunError::OnlyLocal | RunError::MixedDevices { .. } => fail(Exit::Usage, &error),
            RunError::Device(error) => error.into(),
            RunError::Plan(error) => error.into(),
            RunError::Directory(error) => error.into(),
            RunError::Train(error) => error.into(),
            RunError::Report(error) => error.into(),
            RunError::Interpolation(error) => error.into(),
            RunError::Apply(_) | RunError::Classifier(_) => fail(Exit::Internal, &error),
            RunError::TooFewMembers { .. } => fail(Exit::Partial, &error),
            RunError::Unbounded { .. } => fail(Exit::Data, &error),
        }
    }
}

impl From<InterpolationError> for Failure {
    fn from(error: InterpolationError) -> Self {
        match error {
            InterpolationError::Plane { .. } => fail(Exit::Data, &error),
            InterpolationError::Empty { .. }
            | InterpolationError::NothingOutside { .. }
            | InterpolationError::Lost { .. }
            | InterpolationError::Data(_) => fail(Exit::Config, &error),
            InterpolationError::Interrupted => fail(Exit::Interrupted, &error),
            InterpolationError::Device(error) => error.into(),
            InterpolationError::Directory(error) => error.into(),
            InterpolationError::Io { .. }
            | InterpolationError::Write(_)
            | InterpolationError::Thread(_) => fail(Exit::Internal, &error),
        }
    }
}

impl From<MeasureError> for Failure {
    fn from(error: MeasureError) -> Self {
        match error {
            MeasureError::Run(error) => error.into(),
            MeasureError::Plan(error) => error.into(),
            MeasureError::Directory(error) => error.into(),
            MeasureError::Store(error) => error.into(),
            MeasureError::Device(error) => error.into(),
            MeasureError::Report(error) => error.into(),
            MeasureError::Config { .. } => fail(Exit::Config, &error),
            MeasureError::Data { .. } | MeasureError::EventFile(_) => fail(Exit::Data, &error),
            MeasureError::Likelihood(_) | MeasureError::Fit(_) => fail(Exit::Data, &error),
            MeasureError::Interrupted { by_time: true } => fail(Exit::TimeLimit, &error),
            MeasureError::Interrupted { by_time: false } => fail(Exit::Interrupted, &error),
            MeasureError::Apply(_) | MeasureError::File { .. } | MeasureError::Other(_) => {
                fail(Exit::Internal, &error)
            }
        }
    }
}

impl From<PredictError> for Failure {
    fn from(error: PredictError) -> Self {
        match error {
            PredictError::Directory(error) => error.into(),
            PredictError::Config(error) => error.into(),
            PredictError::Store(error) => error.into(),
            PredictError::Device(error) => error.into(),
            // an expression of the command line; the run's own were fine once
            PredictError::Data(PlanError::Data {
                ref key,
                is_config: true,
                ..
            }) if key.starts_with("--") => fail(Exit::Usage, &error),
            PredictError::Data(_)
            | PredictError::NoId { .. }
            | PredictError::Unfinished(_)
            | PredictError::Empty(_) => fail(Exit::Data, &error),
            PredictError::Output(_) | PredictError::MixedBlinding(_) => fail(Exit::Usage, &error),
            PredictError::Apply(_) | PredictError::Write { .. } => fail(Exit::Internal, &error),
        }
    }
}
