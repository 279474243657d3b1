//! `sideband combine`

use super::out::{Done, print, print_json};
use crate::error::{Context, Kind, OnFile, counted};
use crate::files::{atomic, output, terminal, to_text};
use crate::workspace::{CombineRequest, combined};
use clap::Args;
use sideband_likelihood::workspace::Join;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct CombineArguments {
    /// pyhf workspaces, plain or packed by gzip.
    #[arg(value_name = "WORKSPACE", required = true, num_args = 2..)]
    workspaces: Vec<String>,
    /// none: all channels have different names; outer: those that are equal may be in several;
    /// left-outer, right-outer: of what differs that of the first, of the last one.
    #[arg(
        long,
        value_name = "HOW",
        value_parser = ["none", "outer", "left-outer", "right-outer"],
        default_value = "none"
    )]
    join: String,
    /// Give a parameter another name in all workspaces; may be given many times.
    #[arg(long, value_name = "FROM=TO")]
    rename: Vec<Renaming>,
    /// Parameter of interest; that of the workspaces if absent, which must then be one.
    #[arg(long, value_name = "NAME")]
    poi: Option<String>,
    /// The workspace whose settings of parameters are taken where they differ.
    #[arg(long, value_name = "WORKSPACE")]
    prefer: Option<String>,
    /// A measurement of each workspace; the first ones if absent.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    measurements: Vec<String>,
    /// Name of the measurement of the result.
    #[arg(long, value_name = "NAME", default_value = "combined")]
    name: String,
    /// The file to write; standard output if absent.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `FROM=TO`
#[derive(Clone, Debug)]
struct Renaming(String, String);

impl std::str::FromStr for Renaming {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((from, to)) if !from.is_empty() && !to.is_empty() => {
                Ok(Self(from.to_owned(), to.to_owned()))
            }
            _ => Err("expected FROM=TO".to_owned()),
        }
    }
}

pub(super) fn combine(arguments: &CombineArguments) -> Done {
    let rename = arguments.rename.iter();
    let asked = CombineRequest {
        workspaces: arguments.workspaces.clone(),
        measurements: arguments.measurements.clone(),
        join: match arguments.join.as_str() {
            "outer" => Join::Outer,
            "left-outer" => Join::LeftOuter,
            "right-outer" => Join::RightOuter,
            _ => Join::None,
        },
        rename: rename
            .map(|Renaming(from, to)| (from.clone(), to.clone()))
            .collect(),
        poi: arguments.poi.clone(),
        prefer: arguments.prefer.clone(),
        measurement: arguments.name.clone(),
    };
    let path = arguments.out.as_ref();
    let path = path.map(|path| output(path, asked.files())).transpose()?;
    let found = combined(&asked)?;
    for note in &found.notes {
        terminal::say(&format!("note: {note}"));
    }
    let Some(path) = path else {
        return print_json(&found.workspace);
    };
    let text = to_text(&found.workspace, true).at(Kind::Internal, path.display())?;
    atomic::write(&path, (text + "\n").as_bytes()).on(&path)?;
    let [channels, bins, parameters] = found.counts;
    let poi = found
        .poi
        .map_or("no parameter of interest".to_owned(), |poi| {
            format!("parameter of interest {poi}")
        });
    print(&format!(
        "{}, {}, {}, {poi}\nwritten {}",
        counted(channels, "channel"),
        counted(bins, "bin"),
        counted(parameters, "parameter"),
        path.display()
    ))
}
