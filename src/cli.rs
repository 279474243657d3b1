//! The command line: results go to stdout, status to stderr, and every way to end has
//! its exit code ([`Exit`]).

mod combine;
mod crash;
mod environment;
mod example;
mod exit;
mod fit;
mod impacts;
mod init;
mod inspect;
mod limit;
mod options;
mod out;
mod plan;
mod run;
mod scan;
mod workspace;

pub(crate) use exit::Exit;
pub(crate) use run::run_quietly;

use crate::files::terminal;
use crate::settings;
use clap::{CommandFactory, Parser};
use options::{Command, Options};
use out::{Done, print, print_as_it_is, table, wrapped};
use sideband_networks::{backends, list_devices};

/// Longest line of a description of a device.
const DESCRIPTION: usize = 80;

/// Parses the arguments, does what they say, and gives the exit code.
pub fn main() -> Exit {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            if error.use_stderr() {
                // it repeats words of the command line, such as names of files
                terminal::say(error.render().to_string().trim_end());
                return Exit::Usage;
            }
            // help and version
            let _ = error.print();
            return Exit::Ok;
        }
    };
    let done = environment::check().and_then(|()| {
        crash::guard(|| match &options.command {
            Command::Run(arguments) => run::run(arguments),
            Command::Mix(arguments) => run::mix(arguments),
            Command::Plan(arguments) => plan::plan(arguments),
            Command::Init(arguments) => init::init(arguments),
            Command::Example(arguments) => example::example(arguments),
            Command::Status { run, json } => inspect::status(run, *json),
            Command::Extend(arguments) => run::extend(arguments),
            Command::Merge(arguments) => run::merge(arguments),
            Command::Cancel { run } => run::cancel(run),
            Command::Worker(arguments) => run::worker(arguments),
            Command::Devices => devices(),
            Command::Inspect { path, json } => inspect::inspect(path, *json),
            Command::Predict(arguments) => run::predict(arguments),
            Command::Fit(arguments) => fit::fit(arguments),
            Command::Limit(arguments) => limit::limit(arguments),
            Command::Scan(arguments) => scan::scan(arguments),
            Command::Impacts(arguments) => impacts::impacts(arguments),
            Command::Combine(arguments) => combine::combine(arguments),
            Command::Report { run } => run::report(run),
            Command::Schema { method } => schema(method.as_deref()),
            Command::Completions { shell } => completions(*shell),
        })
    });
    match done {
        Ok(exit) => exit,
        Err(error) => {
            terminal::say(&format!("error: {error}"));
            error.kind().into()
        }
    }
}

fn devices() -> Done {
    let mut rows = Vec::new();
    for device in list_devices() {
        let usable = if device.usable { "yes" } else { "no" };
        let mut first = [device.name, usable.to_owned()];
        for line in wrapped(&device.description, DESCRIPTION) {
            let [name, usable] = std::mem::take(&mut first);
            rows.push(vec![name, usable, line]);
        }
    }
    print(&table(&["device", "usable", "what"], &rows))?;
    print(&format!(
        "\nthis binary was built with {}",
        backends().join(", ")
    ))
}

fn schema(method: Option<&str>) -> Done {
    let own = method.and_then(settings::schema_of);
    print(&format!("{:#}", own.unwrap_or_else(settings::schema)))
}

fn completions(shell: clap_complete::Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Options::command(), "sideband", &mut script);
    print_as_it_is(String::from_utf8_lossy(&script).trim_end())
}
