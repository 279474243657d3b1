//! The command line: results go to stdout, status to stderr, and every way to end has
//! its exit code ([`Exit`]).

mod crash;
mod environment;
mod exit;
mod inspect;
mod options;
mod plan;
mod run;

pub(crate) use exit::Exit;
pub(crate) use run::run_quietly;

use crate::error::{Context, Error, Kind, Result};
use crate::files::{terminal, to_text};
use clap::{CommandFactory, Parser};
use options::{Command, Options};
use sideband_networks::{DeviceInfo, list_devices};
use std::io::Write;

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
            Command::Plan(arguments) => plan::plan(arguments),
            Command::Status { run, json } => inspect::status(run, *json),
            Command::Extend(arguments) => run::extend(arguments),
            Command::Merge(arguments) => run::merge(arguments),
            Command::Cancel { run } => run::cancel(run),
            Command::Worker(arguments) => run::worker(arguments),
            Command::Devices => devices(),
            Command::Inspect { path, json } => inspect::inspect(path, *json),
            Command::Predict(arguments) => run::predict(arguments),
            Command::Report { run } => run::report(run),
            Command::Schema => print(&format!("{:#}", crate::settings::schema())),
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

type Done = Result<Exit>;

fn devices() -> Done {
    let row = |d: DeviceInfo| {
        let usable = if d.usable { "yes" } else { "no" };
        vec![d.name, usable.to_owned(), d.description]
    };
    let rows: Vec<Vec<String>> = list_devices().into_iter().map(row).collect();
    print(&table(&["device", "usable", "what"], &rows))
}

fn completions(shell: clap_complete::Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Options::command(), "sideband", &mut script);
    print_as_it_is(String::from_utf8_lossy(&script).trim_end())
}

/// Prints a result, after which all is well.
fn print(text: &str) -> Done {
    print_as_it_is(&terminal::escape(text))
}

/// Prints a result as JSON.
fn print_json(value: &impl serde::Serialize) -> Done {
    let text = to_text(value, true).of(Kind::Internal)?;
    print_as_it_is(&terminal::escape_json(&text))
}

/// Prints text that is the program's own.
fn print_as_it_is(text: &str) -> Done {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::internal(format!("cannot write to stdout: {error}")))
        }
        // a reader that has seen enough is no error
        _ => Ok(Exit::Ok),
    }
}

/// A table of texts, columns aligned; numbers to the right.
fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let columns = header.len();
    // a line break in a name is not one of the table
    let cell = |row: &[String], c: usize| -> String {
        let text = row.get(c).map_or("", String::as_str);
        terminal::escape_line(text).into_owned()
    };
    let length = |text: &str| text.chars().count();
    let width = |c: usize| {
        let cells = rows.iter().map(|r| length(&cell(r, c)));
        cells.fold(length(header[c]), usize::max)
    };
    let width: Vec<usize> = (0..columns).map(width).collect();
    let starts_number = |c: char| c.is_ascii_digit() || "-–".contains(c);
    let is_number = |c: usize| rows.iter().all(|r| cell(r, c).starts_with(starts_number));
    let is_number: Vec<bool> = (0..columns).map(is_number).collect();
    let line = |cells: Vec<String>| -> String {
        let pad = |(c, text): (usize, &String)| {
            let fill = " ".repeat(width[c].saturating_sub(length(text)));
            match is_number[c] {
                true => fill + text,
                false => text.clone() + &fill,
            }
        };
        let padded: Vec<String> = cells.iter().enumerate().map(pad).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(header.iter().map(|h| (*h).to_owned()).collect())];
    lines.push("-".repeat(width.iter().sum::<usize>() + 2 * (columns.max(1) - 1)));
    lines.extend(
        rows.iter()
            .map(|r| line((0..columns).map(|c| cell(r, c)).collect())),
    );
    lines.join("\n")
}
