//! `sideband scan`

use super::out::{Done, table};
use super::workspace::{COLUMN, ResultArguments, WorkspaceArguments, range};
use crate::report::numbers::{number, significant};
use crate::rundir::Progress;
use crate::workspace::{IntervalSet, Opened, ScanRecord, ScanRequest};
use clap::Args;

/// Points of one parameter, and of each of two.
const POINTS: usize = 41;
const POINTS_OF_TWO: usize = 25;

#[derive(Debug, Args)]
pub(super) struct ScanArguments {
    #[command(flatten)]
    workspace: WorkspaceArguments,
    /// The parameter; that of interest if absent.
    #[arg(long, value_name = "NAME")]
    parameter: Option<String>,
    /// Number of its values; 41 if absent, and 25 each of two.
    #[arg(long, value_name = "NUMBER")]
    points: Option<usize>,
    /// Its range; as far as three errors if absent.
    #[arg(long, value_name = "A:B", allow_hyphen_values = true)]
    range: Option<String>,
    /// A second parameter: confidence regions of both.
    #[arg(long, value_name = "NAME")]
    second: Option<String>,
    /// Range of the second one.
    #[arg(long, value_name = "A:B", allow_hyphen_values = true)]
    second_range: Option<String>,
    /// Of Asimov data of this value of the parameter of interest in place of the observed ones.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    asimov: Option<f64>,
    #[command(flatten)]
    result: ResultArguments,
}

pub(super) fn scan(arguments: &ScanArguments) -> Done {
    let given = |option: &str, text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| range(option, text)).transpose()
    };
    let points = match &arguments.second {
        Some(_) => POINTS_OF_TWO,
        None => POINTS,
    };
    let asked = ScanRequest {
        parameter: arguments.parameter.clone(),
        second: arguments.second.clone(),
        ranges: [
            given("--range", &arguments.range)?,
            given("--second-range", &arguments.second_range)?,
        ],
        points: arguments.points.unwrap_or(points),
        asimov: arguments.asimov,
    };
    asked.check()?;
    arguments.result.check()?;
    let progress = Progress::new(arguments.result.quiet);
    let opened = Opened::open(&arguments.workspace.request())?;
    opened.check_folder("scan", arguments.result.out.as_deref())?;
    let stage = progress.stage("profile", 0);
    let record = opened.scan(&asked)?;
    drop(stage);
    arguments.result.conclude(
        &record,
        record.failure.as_deref(),
        |folder| record.write(&opened, folder),
        || describe(&record),
    )
}

fn describe(record: &ScanRecord) -> String {
    let mut text = format!("{}\n", record.head.words());
    let mut line = |name: &str, value: String| text += &format!("\n{name:COLUMN$} {value}");
    for (name, value) in record.parameters.iter().zip(&record.best_fit) {
        line(name, number(*value));
    }
    for set in record.intervals.iter().flatten() {
        line(&format!("{:.2} %", 100.0 * set.level), intervals(set));
    }
    for note in &record.head.notes {
        line("note", note.clone());
    }
    let cell = |t: Option<f64>| t.map_or("–".to_owned(), |t| significant(t, 4));
    if let Some(curve) = &record.curve {
        let rows = curve
            .iter()
            .map(|p| vec![significant(p.value, 6), cell(p.t)]);
        let rows: Vec<Vec<String>> = rows.collect();
        let header = [record.parameters[0].as_str(), "-2 log L / L max"];
        text += &format!("\n\n{}", table(&header, &rows));
    }
    if let Some(plane) = &record.plane {
        let [_, second] = &plane.values;
        let mut rows = Vec::new();
        for (x, row) in plane.values[0].iter().zip(&plane.t) {
            for (y, t) in second.iter().zip(row) {
                rows.push(vec![significant(*x, 5), significant(*y, 5), cell(*t)]);
            }
        }
        let header = [
            record.parameters[0].as_str(),
            record.parameters[1].as_str(),
            "-2 log L / L max",
        ];
        text += &format!("\n\n{}", table(&header, &rows));
    }
    text
}

fn intervals(set: &IntervalSet) -> String {
    let end = |x: Option<f64>| x.map_or("?".to_owned(), |x| significant(x, 5));
    let texts = set.intervals.iter();
    let texts: Vec<String> = texts
        .map(|[low, high]| format!("{} to {}", end(*low), end(*high)))
        .collect();
    let bound = if set.ends_at_bound { " (a bound)" } else { "" };
    texts.join(", ") + bound
}
