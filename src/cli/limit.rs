//! `sideband limit`

use super::out::{Done, table};
use super::workspace::{COLUMN, ResultArguments, WorkspaceArguments, range};
use crate::error::counted;
use crate::report::numbers::{known, significant, trimmed};
use crate::rundir::Progress;
use crate::workspace::{
    Base, ClsPoint, Counted, Curve, LimitRecord, LimitRequest, PlaneRecord, Statistic, ToyRecord,
    ToyRequest, failures, values_in_words,
};
use clap::Args;

/// Digits of a limit.
const DIGITS: i32 = 5;
/// The bands of expected limits, in words.
const BANDS: [&str; 5] = [
    "expected, -2 sigma",
    "expected, -1 sigma",
    "expected, median",
    "expected, +1 sigma",
    "expected, +2 sigma",
];

#[derive(Debug, Args)]
pub(super) struct LimitArguments {
    #[command(flatten)]
    workspace: WorkspaceArguments,
    /// Confidence level.
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95)]
    level: f64,
    /// Test statistic: q where the parameter of interest may be negative.
    #[arg(long, value_name = "STATISTIC", value_parser = ["q", "qtilde"], default_value = "qtilde")]
    test_stat: String,
    /// Where CLs is given beside the limits; at 1 if absent.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    test_poi: Option<f64>,
    /// Do not look at the observed data: expected limits of Asimov data without signal.
    #[arg(long)]
    asimov: bool,
    /// Refuse a limit above the upper bound of the parameter of interest; otherwise the bound of a
    /// free normalisation is widened, which is said.
    #[arg(long)]
    strict_bounds: bool,
    /// CLs at 31 values between two.
    #[arg(long, value_name = "A:B", allow_hyphen_values = true)]
    range: Option<String>,
    /// Limits by pseudo-experiments, too: so many of each hypothesis at each value, at most.
    #[arg(long, value_name = "NUMBER")]
    toys: Option<u64>,
    /// Seed of the toys.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, requires = "toys")]
    seed: u64,
    /// Values at which toys are thrown; some about the asymptotic limits if absent.
    #[arg(
        long,
        value_name = "VALUE,..",
        value_delimiter = ',',
        requires = "toys"
    )]
    points: Option<Vec<f64>>,
    /// Throw no more toys at a value once the error of its observed CLs is below this.
    #[arg(long, value_name = "ERROR", requires = "toys")]
    precision: Option<f64>,
    #[command(flatten)]
    result: ResultArguments,
}

pub(super) fn limit(arguments: &LimitArguments) -> Done {
    let request = arguments.workspace.request();
    let asked = LimitRequest {
        level: arguments.level,
        statistic: Statistic::named(&arguments.test_stat),
        is_asimov: arguments.asimov,
        has_strict_bounds: arguments.strict_bounds,
        test_poi: arguments.test_poi,
        curve: match &arguments.range {
            Some(text) => Curve::Range(range("--range", text)?),
            None if arguments.result.out.is_some() => Curve::Around,
            None => Curve::None,
        },
        toys: arguments.toys.map(|toys| ToyRequest {
            seed: arguments.seed,
            toys,
            precision: arguments.precision,
            points: arguments.points.clone(),
        }),
    };
    asked.check()?;
    arguments.result.check()?;
    let progress = Progress::new(arguments.result.quiet);
    let base = Base::open(&request)?;
    if base.every().is_some() {
        return every(arguments, &base, &asked, &progress);
    }
    let opened = base.chosen(&request)?;
    opened.check_folder("limit", arguments.result.out.as_deref())?;
    let toys = asked.toys.as_ref().map_or(0, ToyRequest::most);
    let stage = progress.stage("limits", toys);
    let record = opened.limit(&asked, &|toys| stage.add(toys))?;
    drop(stage);
    arguments.result.conclude(
        &record,
        record.failure.as_deref(),
        |folder| record.write(&opened, folder),
        || describe(&record, arguments.range.is_some()),
    )
}

/// Limits with every patch of a set.
fn every(
    arguments: &LimitArguments,
    base: &Base,
    asked: &LimitRequest,
    progress: &Progress,
) -> Done {
    let request = arguments.workspace.request();
    let folder = arguments.result.out.as_deref();
    let (record, kept) = base.limits(&request, asked, folder, progress)?;
    let failures = failures(&record);
    let failure = failures.first().map(|(first, number)| {
        let all = failures.values().sum::<usize>();
        match (all, *number) {
            (1, _) => format!("there is no result with one patch: {first}"),
            (all, number) if all == number => {
                format!("there is no result with {all} patches: {first}")
            }
            (all, _) => format!("there is no result with {all} patches, with the first: {first}"),
        }
    });
    arguments.result.conclude(
        &record,
        failure.as_deref(),
        |folder| record.write(folder),
        || describe_plane(&record, kept),
    )
}

/// The limits, and the curve of CLs if its range was asked for.
fn describe(record: &LimitRecord, has_curve: bool) -> String {
    let poi = record.head.poi.as_deref().unwrap_or_default();
    let mut text = format!("{}\n", record.head.words());
    let mut line = |name: &str, value: String| text += &format!("\n{name:COLUMN$} {value}");
    if let Some(best) = record.best_fit {
        let at_bound = match best.error {
            Some(_) => "",
            None => " (without an error: at a bound)",
        };
        line(poi, known(Some(best.value), best.error, "") + at_bound);
    }
    let level = trimmed(100.0 * record.confidence_level);
    line(
        "limits",
        format!(
            "{level} % confidence level, CLs, {}",
            record.test_stat.name()
        ),
    );
    for note in &record.head.notes {
        line("note", note.clone());
    }
    let cell = |x: Option<f64>| x.map_or("–".to_owned(), |x| significant(x, DIGITS));
    let limits = &record.upper_limit;
    let is_observed = record.best_fit.is_some();
    let observed = is_observed.then(|| {
        vec![
            "observed".to_owned(),
            cell(limits.observed),
            cell(record.CLs_obs),
        ]
    });
    let expected = BANDS.iter().enumerate().map(|(k, name)| {
        vec![
            (*name).to_owned(),
            cell(limits.expected[k]),
            cell(record.CLs_exp.map(|cls| cls[k])),
        ]
    });
    let rows: Vec<Vec<String>> = observed.into_iter().chain(expected).collect();
    let header = [
        "",
        &format!("upper limit on {poi}"),
        &format!("CLs at {}", trimmed(record.test_poi)),
    ];
    let mut text = text + "\n\n" + &table(&header, &rows);
    if has_curve && !record.curve.is_empty() {
        let row = |p: &ClsPoint| {
            let first = [Some(p.poi), p.CLs_obs].map(cell).into_iter();
            let expected = p.CLs_exp.map(|x| cell(Some(x)));
            first.chain(expected).collect::<Vec<String>>()
        };
        let rows: Vec<Vec<String>> = record.curve.iter().map(row).collect();
        let header = [poi, "observed", "-2", "-1", "expected", "+1", "+2"];
        text += &format!("\n\nCLs:\n\n{}", table(&header, &rows));
    }
    match &record.toys {
        Some(toys) => text + "\n\n" + &describe_toys(toys, poi),
        None => text,
    }
}

fn describe_toys(toys: &ToyRecord, poi: &str) -> String {
    let cell = |x: Option<Counted>| x.map_or("–".to_owned(), Counted::words);
    let mut rows = vec![vec!["observed".to_owned(), cell(toys.observed)]];
    let expected = BANDS.iter().zip(toys.expected);
    rows.extend(expected.map(|(name, x)| vec![(*name).to_owned(), cell(x)]));
    let limits = table(&["by toys", &format!("upper limit on {poi}")], &rows);
    let tests = toys.tests.iter().map(|test| {
        let [with, without] = test.toys.map(|n| n.to_string());
        vec![
            significant(test.poi, DIGITS),
            cell(test.CLs_obs),
            cell(Some(test.CLs_exp[2])),
            with,
            without,
            test.failed.to_string(),
        ]
    });
    let tests: Vec<Vec<String>> = tests.collect();
    let header = [
        poi,
        "CLs observed",
        "expected",
        "toys with signal",
        "without",
        "without a fit",
    ];
    format!("{limits}\n\n{}", table(&header, &tests))
}

fn describe_plane(record: &PlaneRecord, kept: usize) -> String {
    let mut text = format!(
        "{} with {} of {}",
        record.workspace,
        counted(record.patches.len(), "patch"),
        record.patch_set
    );
    if kept > 0 {
        text += &format!(", {kept} of them there already");
    }
    let cell = |x: Option<f64>| x.map_or("–".to_owned(), |x| significant(x, DIGITS));
    let rows = record.patches.iter().map(|patch| {
        let limit = patch.limit.as_ref().map(|limit| &limit.upper_limit);
        let expected = |k: usize| limit.and_then(|limit| limit.expected[k]);
        let numbers = [
            limit.and_then(|limit| limit.observed),
            expected(1),
            expected(2),
            expected(3),
        ];
        let words = [patch.name.clone(), values_in_words(&patch.values)];
        words.into_iter().chain(numbers.map(cell)).collect()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let values = record.labels.join(", ");
    let header = [
        "patch", &values, "observed", "-1 sigma", "expected", "+1 sigma",
    ];
    text + "\n\n" + &table(&header, &rows)
}
