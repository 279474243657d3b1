//! `sideband fit`

use super::out::{Done, table};
use super::workspace::{COLUMN, ResultArguments, WorkspaceArguments};
use crate::error::counted;
use crate::report::numbers::{known, number, p_value};
use crate::workspace::{FitRecord, FitRequest, FittedParameter, Opened};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct FitArguments {
    #[command(flatten)]
    workspace: WorkspaceArguments,
    /// Fit Asimov data of this value of the parameter of interest in place of the observed ones.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    asimov: Option<f64>,
    /// Significance of the signal by asymptotic formulae.
    #[arg(long)]
    significance: bool,
    /// Covariance and correlation of the fitted parameters, in the JSON.
    #[arg(long)]
    covariance: bool,
    #[command(flatten)]
    result: ResultArguments,
}

pub(super) fn fit(arguments: &FitArguments) -> Done {
    arguments.result.check()?;
    let opened = Opened::open(&arguments.workspace.request())?;
    opened.check_folder("fit", arguments.result.out.as_deref())?;
    let asked = FitRequest {
        asimov: arguments.asimov,
        has_covariance: arguments.covariance,
        has_significance: arguments.significance,
    };
    let mut fitted = opened.fit(&asked)?;
    if arguments.result.out.is_some() {
        fitted.note_undrawn();
    }
    let record = &fitted.record;
    arguments.result.conclude(
        record,
        record.failure.as_deref(),
        |folder| fitted.write(&opened, folder),
        || describe(record, &opened),
    )
}

/// Rows of a table of parameters on a terminal.
const ROWS: usize = 60;

fn describe(record: &FitRecord, opened: &Opened) -> String {
    let all = record.parameters.len();
    let fixed = record.parameters.values().filter(|p| p.state == "fixed");
    let mut text = format!(
        "{}\n{}, {}, {}, {} of them fixed\n",
        record.head.words(),
        counted(opened.contents.channels.len(), "channel"),
        counted(opened.contents.bins(), "bin"),
        counted(all, "parameter"),
        fixed.count()
    );
    let mut line = |name: &str, value: String| text += &format!("\n{name:COLUMN$} {value}");
    if let Some(poi) = &record.head.poi
        && let Some(p) = record.parameters.get(poi)
    {
        line(poi, in_words(p));
    }
    if let Some(twice) = record.twice_nll {
        line("-2 log L", format!("{twice:.6}"));
    }
    if let Some(goodness) = &record.goodness_of_fit {
        line(
            "goodness",
            format!(
                "chi2 = {} for {} degrees of freedom, p = {}",
                number(goodness.chi2),
                goodness.ndf,
                p_value(goodness.p_value)
            ),
        );
    }
    if let Some(found) = &record.significance {
        line(
            "signal",
            format!(
                "{} standard deviations (p = {}), expected {}",
                number(found.significance),
                p_value(found.p_value),
                number(found.expected[2])
            ),
        );
    }
    for other in &record.other_minima {
        let at = other.poi.zip(record.head.poi.as_ref());
        let at = at.map_or_else(String::new, |(x, poi)| format!(" at {poi} = {}", number(x)));
        line(
            "also",
            format!("a minimum{at}, t = {} above", number(other.t)),
        );
    }
    for note in &record.head.notes {
        line("note", note.clone());
    }
    text + "\n\n" + &parameters(record)
}

/// The parameters: first those without auxiliary measurement, then the largest pulls; of many the
/// first ones.
fn parameters(record: &FitRecord) -> String {
    let mut shown: Vec<(&String, &FittedParameter)> = record.parameters.iter().collect();
    let all = shown.len();
    let size = |p: &FittedParameter| match p.state {
        "fixed" => -1.0,
        _ => p.pull.map_or(f64::INFINITY, f64::abs),
    };
    shown.sort_by(|a, b| size(b.1).total_cmp(&size(a.1)));
    if all > ROWS {
        shown.truncate(ROWS);
    }
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|(name, p)| {
            let pull = known(p.pull, p.pull_error, "");
            vec![(*name).clone(), in_words(p), pull]
        })
        .collect();
    let mut text = table(&["parameter", "best fit", "pull"], &rows);
    if all > ROWS {
        text += &format!(
            "\n\n{} more, of smaller pulls or fixed: --json and --out have all of them",
            all - ROWS
        );
    }
    text
}

/// Value, error, and where it is.
fn in_words(p: &FittedParameter) -> String {
    let value = known(Some(p.value), p.error, "");
    match p.state {
        "free" => value,
        state => format!("{value} ({})", state.replace('_', " ")),
    }
}
