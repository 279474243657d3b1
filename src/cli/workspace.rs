//! What commands on a workspace have in common: their arguments, and how a result is printed.

use super::exit::Exit;
use super::out::{Done, print, print_json};
use crate::error::{Error, Result, counted};
use crate::files::terminal;
use crate::workspace::{PatchRequest, Request};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use serde::Serialize;
use sideband_likelihood::Interpolation;
use sideband_likelihood::workspace::Poi;
use std::path::{Path, PathBuf};

/// Width of the first column of what is said of a result.
pub(super) const COLUMN: usize = 12;
/// A word for no parameter of interest.
const NO_POI: &str = "none";

#[derive(Debug, Args)]
pub(super) struct WorkspaceArguments {
    /// A pyhf workspace, plain or packed by gzip; - for standard input.
    #[arg(value_name = "WORKSPACE")]
    workspace: String,
    #[command(flatten)]
    patches: PatchArguments,
    /// The measurement; the first one if absent.
    #[arg(long, value_name = "NAME")]
    measurement: Option<String>,
    /// Parameter of interest, in place of the measurement's; none for a workspace without signal.
    #[arg(long, value_name = "NAME")]
    poi: Option<String>,
    /// Parameters that are not fitted, at these values.
    #[arg(long, value_name = "NAME=VALUE,..", value_delimiter = ',')]
    fix: Vec<NamedValue>,
    /// Interpolation codes of normsys (1 or 4) and of histosys (0, 2 or 4p).
    #[arg(long, value_name = "CODE,CODE", default_value = "4,4p")]
    codes: Codes,
}

/// Patches in their order: a file, and a name for one of a set.
#[derive(Debug)]
struct PatchArguments(Vec<(String, Option<String>)>);

/// Their option. What each of them has been given belongs together, which a list of all words
/// does not say.
const PATCH: &str = "patch";

impl FromArgMatches for PatchArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = matches.get_occurrences::<String>(PATCH);
        let given = given.into_iter().flatten();
        let patches =
            given.filter_map(|mut words| Some((words.next()?.clone(), words.next().cloned())));
        Ok(Self(patches.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for PatchArguments {
    fn augment_args(command: Command) -> Command {
        command.arg(
            Arg::new(PATCH)
                .long(PATCH)
                .short('p')
                .value_names(["PATCHES", "NAME"])
                .num_args(1..=2)
                .action(ArgAction::Append)
                .help(
                    "A patch set and the name of one of its patches, or their values: '[500, 0]'; \
                     or a file with one JSON Patch. Behind the workspace; many are applied in \
                     their order",
                ),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Where a result goes.
#[derive(Debug, Args)]
pub(super) struct ResultArguments {
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// A folder for the result as JSON, tables as CSV, LaTeX and for HEPData, and figures as SVG.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// No status on stderr.
    #[arg(long, short)]
    pub quiet: bool,
}

impl ResultArguments {
    /// Writes a result into the folder, if there is one, prints it as JSON or its text, and then ends
    /// by whether it is one.
    pub(super) fn conclude(
        &self,
        record: &impl Serialize,
        failure: Option<&str>,
        write: impl FnOnce(&Path) -> Result<Vec<PathBuf>>,
        text: impl FnOnce() -> String,
    ) -> Done {
        let written = self.out.as_deref().map_or_else(|| Ok(Vec::new()), write)?;
        match self.json {
            true => print_json(record)?,
            false => {
                print(&text())?;
                print_written(&written)?
            }
        };
        Ok(ended(failure))
    }

    /// Refuses a folder that is something else, before there is a result that it could not take.
    pub(super) fn check(&self) -> Result<()> {
        let is_other = |out: &&PathBuf| out.exists() && !out.is_dir();
        match self.out.as_ref().filter(is_other) {
            None => Ok(()),
            Some(out) => Err(Error::usage(format!(
                "--out {}: it is no folder; name a folder that can be written to",
                out.display()
            ))),
        }
    }
}

/// Says a failure, and how a command ends by it.
pub(super) fn ended(failure: Option<&str>) -> Exit {
    match failure {
        Some(failure) => {
            terminal::say(&format!("error: {failure}"));
            Exit::Data
        }
        None => Exit::Ok,
    }
}

/// `NAME=VALUE`
#[derive(Clone, Debug, PartialEq)]
struct NamedValue(String, f64);

impl std::str::FromStr for NamedValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = text.rsplit_once('=').filter(|(name, _)| !name.is_empty());
        let number = pair.and_then(|(name, value)| {
            let value: f64 = value.trim().parse().ok()?;
            value
                .is_finite()
                .then(|| Self(name.trim().to_owned(), value))
        });
        number.ok_or_else(|| "expected NAME=VALUE with a finite number".to_owned())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Codes([Interpolation; 2]);

impl std::str::FromStr for Codes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = |text: &str| match text.trim().trim_start_matches("code") {
            "0" => Some(Interpolation::Code0),
            "1" => Some(Interpolation::Code1),
            "2" => Some(Interpolation::Code2),
            "4" => Some(Interpolation::Code4),
            "4p" => Some(Interpolation::Code4p),
            _ => None,
        };
        let pair = text.split_once(',');
        let pair = pair.and_then(|(rates, shapes)| Some([code(rates)?, code(shapes)?]));
        let is_known =
            |[rates, shapes]: &[Interpolation; 2]| rates.is_factor() && !shapes.is_factor();
        let known = pair.filter(is_known).map(Self);
        known.ok_or_else(|| "expected 1 or 4, and 0, 2 or 4p, such as 4,4p".to_owned())
    }
}

impl WorkspaceArguments {
    /// As the workspace's room takes it.
    pub(super) fn request(&self) -> Request {
        let patches = self.patches.0.iter().cloned();
        let patches = patches.map(|(file, key)| PatchRequest { file, key });
        let fixed = self
            .fix
            .iter()
            .map(|NamedValue(name, x)| (name.clone(), *x));
        Request {
            workspace: self.workspace.clone(),
            patches: patches.collect(),
            measurement: self.measurement.clone(),
            poi: match self.poi.as_deref() {
                None => Poi::Measured,
                Some(NO_POI) => Poi::None,
                Some(name) => Poi::Named(name.to_owned()),
            },
            fixed: fixed.collect(),
            codes: self.codes.0,
        }
    }
}

/// Says which files were written.
fn print_written(files: &[PathBuf]) -> Done {
    let Some(first) = files.first() else {
        return Ok(Exit::Ok);
    };
    let others = match files.len() - 1 {
        0 => String::new(),
        more => format!(" and {} beside it", counted(more, "file")),
    };
    print(&format!("\nwritten {}{others}", first.display()))
}

/// Two numbers with a colon between, the smaller one first, of an option.
pub(super) fn range(option: &str, text: &str) -> Result<[f64; 2]> {
    let pair = text.split_once(':').and_then(|(a, b)| {
        let number = |text: &str| text.trim().parse().ok().filter(|x: &f64| x.is_finite());
        Some([number(a)?, number(b)?])
    });
    pair.filter(|[a, b]| a < b).ok_or_else(|| {
        Error::usage(format!(
            "{option} {text}: expected A:B, two finite numbers, the smaller one first"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_codes_are_parsed() {
        let value = |text: &str| text.parse::<NamedValue>();
        assert_eq!(value("a=b=-1e3"), Ok(NamedValue("a=b".to_owned(), -1e3)));
        for text in ["a", "=1", "a=", "a=x", "a=inf", "a=nan"] {
            assert!(value(text).is_err(), "{text}");
        }
        let codes = |text: &str| text.parse::<Codes>().map(|codes| codes.0);
        let pair = [Interpolation::Code1, Interpolation::Code0];
        assert_eq!(codes("1,0"), Ok(pair));
        assert_eq!(codes("code1, code0"), Ok(pair));
        for text in ["4", "4p,4", "4,4", "0,0", "4,5", ""] {
            assert!(codes(text).is_err(), "{text}");
        }
        assert_eq!(range("--range", "-1:2.5").unwrap(), [-1.0, 2.5]);
        for text in ["1", "2:1", "1:1", "a:1", "0:inf"] {
            let error = range("--second-range", text).unwrap_err().to_string();
            assert!(error.starts_with("--second-range "), "{error}");
        }
    }
}
