//! `sideband run`

use super::options::{ConfigArguments, RunArguments};
use super::{Done, Exit, Failure, print};
use crate::background::{Ended, RunOptions, run as run_config};
use crate::config::{Config, load};
use crate::ensemble::Interrupt;
use crate::report::page::Status;
use crate::report::verdict;
use crate::run::State;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) fn run(arguments: &RunArguments) -> Done {
    let config = resolve(&arguments.config)?;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(&config.experiment.name));
    let options = RunOptions {
        out,
        base: PathBuf::new(),
        unblind: arguments.config.unblind,
        quiet: arguments.quiet,
    };
    let interrupt = stop_on_signal()?;
    let ended = run_config(&config, &options, &interrupt)?;
    print_result(&ended, &config)
}

/// The configuration with what the command line puts on top of it.
pub(super) fn resolve(arguments: &ConfigArguments) -> Result<Config, Failure> {
    let mut settings = arguments.set.clone();
    if let Some(device) = &arguments.device {
        settings.push(format!("device.name={device:?}"));
    }
    Ok(load(&arguments.config, &settings)?)
}

/// Says how a run ended: verdict and where the result lies.
pub(super) fn print_result(ended: &Ended, config: &Config) -> Done {
    let path = ended.directory.path().display();
    let Some(metrics) = &ended.metrics else {
        print(&format!(
            "interrupted; finished members are in {path}, run the same command again to go on"
        ))?;
        return Ok(Exit::Interrupted);
    };
    for line in verdict(metrics, config) {
        let mark = match line.status {
            Status::Good => "closes ",
            Status::Warning => "check  ",
            Status::Bad => "OPEN   ",
            Status::Info => "note   ",
        };
        print(&format!("{mark} {}", line.text))?;
    }
    print(&format!("result  {path}"))?;
    print(&format!(
        "report  {}",
        ended.directory.report_path().display()
    ))?;
    Ok(match ended.state {
        State::Partial => Exit::Partial,
        _ => Exit::Ok,
    })
}

/// The first Ctrl-C or SIGTERM asks to stop, the second ends at once.
fn stop_on_signal() -> Result<Arc<Interrupt>, Failure> {
    let interrupt = Arc::new(Interrupt::default());
    let raised = Arc::clone(&interrupt);
    ctrlc::set_handler(move || {
        if raised.raise() {
            std::process::exit(Exit::Interrupted as i32);
        }
    })
    .map_err(|e| Failure {
        exit: Exit::Internal,
        message: format!("cannot listen to signals: {e}"),
    })?;
    Ok(interrupt)
}
