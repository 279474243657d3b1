//! `sideband impacts`

use super::out::{Done, table};
use super::workspace::{COLUMN, ResultArguments, WorkspaceArguments};
use crate::report::numbers::{known, number, percent, significant, trimmed};
use crate::rundir::Progress;
use crate::workspace::{Grouping, ImpactsKind, ImpactsRecord, ImpactsRequest, Opened};
use clap::Args;
use std::path::PathBuf;

/// Parameters of a ranking that are said on the terminal.
const RANKED: usize = 20;

#[derive(Debug, Args)]
pub(super) struct ImpactsArguments {
    #[command(flatten)]
    workspace: WorkspaceArguments,
    /// Groups: of the types of modifiers, of names up to the first _, or every name by itself.
    #[arg(long, value_name = "HOW", value_parser = ["type", "prefix", "name"], default_value = "type")]
    by: String,
    /// A TOML file of groups in place of --by: "Jets" = ["jes_*", "jer"], a line a group.
    #[arg(long, value_name = "FILE", conflicts_with = "by")]
    groups: Option<PathBuf>,
    /// On the expected upper limit, as 1 - limit with the group frozen / limit.
    #[arg(long)]
    limit: bool,
    /// Confidence level of the limit.
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95, requires = "limit")]
    level: f64,
    /// frozen: fixed to the best fit; removed (with --limit): out of the model; shifted (without):
    /// auxiliary measurements moved by one standard deviation, whose squares add up.
    #[arg(
        long,
        value_name = "KIND",
        value_parser = ["frozen", "removed", "shifted"],
        default_value = "frozen"
    )]
    kind: String,
    /// Single parameters also by fits with each of them moved.
    #[arg(long, conflicts_with = "limit")]
    refit: bool,
    /// Of Asimov data of this value of the parameter of interest in place of the observed ones.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    asimov: Option<f64>,
    #[command(flatten)]
    result: ResultArguments,
}

pub(super) fn impacts(arguments: &ImpactsArguments) -> Done {
    let asked = ImpactsRequest {
        grouping: match (&arguments.groups, arguments.by.as_str()) {
            (Some(file), _) => Grouping::File(file.clone()),
            (None, "prefix") => Grouping::Prefix,
            (None, "name") => Grouping::Name,
            (None, _) => Grouping::Type,
        },
        kind: match arguments.kind.as_str() {
            "removed" => ImpactsKind::Removed,
            "shifted" => ImpactsKind::Shifted,
            _ => ImpactsKind::Frozen,
        },
        limit: arguments.limit.then_some(arguments.level),
        has_refits: arguments.refit,
        asimov: arguments.asimov,
    };
    asked.check()?;
    arguments.result.check()?;
    let progress = Progress::new(arguments.result.quiet);
    let opened = Opened::open(&arguments.workspace.request())?;
    opened.check_folder("impacts", arguments.result.out.as_deref())?;
    let stage = progress.stage("impacts", 0);
    let record = opened.impacts(&asked)?;
    drop(stage);
    arguments.result.conclude(
        &record,
        record.failure.as_deref(),
        |folder| record.write(&opened, folder),
        || describe(&record),
    )
}

fn describe(record: &ImpactsRecord) -> String {
    let poi = record.head.poi.as_deref().unwrap_or_default();
    let mut text = format!("{}\n", record.head.words());
    let mut line = |name: &str, value: String| text += &format!("\n{name:COLUMN$} {value}");
    if let Some(value) = record.value {
        line(poi, known(Some(value), record.error, ""));
        if let Some(statistical) = record.statistical {
            line("statistical", number(statistical));
        }
    }
    if let Some(limit) = record.expected_limit {
        let level = trimmed(100.0 * record.confidence_level.unwrap_or_default());
        line(
            poi,
            format!("below {} at {level} %, expected", significant(limit, 5)),
        );
    }
    for note in &record.head.notes {
        line("note", note.clone());
    }
    let dash = |x: Option<String>| x.unwrap_or_else(|| "–".to_owned());
    let is_limit = record.confidence_level.is_some();
    let rows = record.groups.iter().map(|group| {
        let mut row = vec![group.name.clone(), group.parameters.to_string()];
        match is_limit {
            true => {
                row.push(dash(group.limit.map(|x| significant(x, 5))));
                row.push(dash(group.relative.map(percent)));
            }
            false => {
                let share = group.impact.zip(record.error).map(|(x, error)| x / error);
                row.push(dash(group.impact.map(number)));
                row.push(dash(share.map(percent)));
            }
        }
        row
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let [limit_word, impact_word] = match record.kind {
        ImpactsKind::Removed => ["limit without it", "impact"],
        ImpactsKind::Frozen => ["limit with it frozen", "impact"],
        ImpactsKind::Shifted => ["", "impact, shifted"],
    };
    let header = match is_limit {
        true => ["group", "parameters", limit_word, "relative"],
        false => ["group", "parameters", impact_word, "of the error"],
    };
    text += &format!("\n\n{}", table(&header, &rows));
    if record.ranking.is_empty() {
        return text;
    }
    let signed = |x: Option<f64>| dash(x.map(number));
    let is_shifted = record.kind == ImpactsKind::Shifted;
    let has_refits = record.ranking.iter().any(|p| p.refit != [None; 2]);
    let rows = record.ranking.iter().take(RANKED).map(|p| {
        let mut row = vec![p.name.clone(), known(p.pull, p.pull_error, "–")];
        match is_shifted {
            true => row.push(signed(p.shifted)),
            false => row.extend([p.post_fit, p.pre_fit].map(signed)),
        }
        if has_refits && !is_shifted {
            row.extend(p.refit.map(signed));
        }
        row
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let header: &[&str] = match (is_shifted, has_refits) {
        (true, _) => &["parameter", "pull", "impact, shifted"],
        (false, false) => &["parameter", "pull", "impact, post-fit", "pre-fit"],
        (false, true) => &[
            "parameter",
            "pull",
            "impact, post-fit",
            "pre-fit",
            "by refit, up",
            "down",
        ],
    };
    text += &format!("\n\n{}", table(header, &rows));
    if record.ranking.len() > RANKED {
        let more = record.ranking.len() - RANKED;
        text += &format!("\n\n{more} more, of smaller impacts: --json and --out have all of them");
    }
    text
}
