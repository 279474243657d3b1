//! Runs that version 0.1 has written (`tests/data/version_0.1`) and what is made of them:
//! whatever the program becomes, it reads them.

use crate::support::workplace::copy;
use crate::support::{Workplace, number, root};
use std::fmt::Write as _;
use std::fs;

/// A folder with data, configuration and runs of one method.
fn frozen(method: &str, run: &str) -> Workplace {
    let place = Workplace::with_configuration("");
    copy(
        &root().join("tests/data/version_0.1").join(method),
        &place.path(""),
    );
    place.start_here(run);
    place
}

/// A complete run after `status`, `inspect`, `report` and resuming; none of its members is
/// trained again.
fn is_read(method: &str, run: &str, members: &str, inspected: &str) -> Workplace {
    let place = frozen(method, run);
    let trained = place.members(members);
    let ask = |command| place.sideband(&[command, run]).exits(0);
    ask("status").says(["complete"]);
    ask("inspect").says([inspected]);
    ask("report");
    holds_its_outline(method, &place.text(&format!("{run}/report.html")));
    place.run(run, &[]).exits(0).warns_not("training");
    assert!(place.members(members) == trained);
    place
}

/// Adds members beside those that are there.
fn is_extended(place: &Workplace, run: &str, members: &str) {
    let trained = place.members(members);
    let extend = ["extend", run, "--members", "3"];
    place.sideband(&extend).exits(0);
    let more = place.members(members);
    assert_eq!(more.len(), 3);
    assert!(trained.iter().all(|(name, bytes)| more[name] == *bytes));
}

#[test]
fn a_reweighting_of_version_0_1_is_read_by_every_command() {
    let run = "complete";
    let old = frozen("reweighting", run).events("complete/predictions/source.parquet");
    let place = is_read("reweighting", run, run, "members  2 of 2");
    place.predict(run, "source.parquet", "new.parquet");
    let (old, new) = (
        old.numbers("nominal"),
        place.events("new.parquet").numbers("nominal"),
    );
    assert_eq!(old.len(), new.len());
    let mut pairs = old.iter().zip(&new);
    let is_same = pairs.all(|(a, b)| (a - b).abs() < 1e-5 * b);
    assert!(is_same, "{old:?} {new:?}");
    is_extended(&place, run, run);
}

#[test]
fn an_interpolation_of_version_0_1_is_read_by_every_command() {
    let place = is_read("interpolation", "run", "run", "members  2 of 2");
    place.predict("run", "plane.parquet", "new.parquet");
    is_extended(&place, "run", "run");
}

#[test]
fn a_measurement_of_version_0_1_is_read_by_every_command() {
    let mu = |place: &Workplace| {
        let result = place.json("run/measurement.json");
        number(&result["fit"]["parameters"][0]["value"])
    };
    let old = mu(&frozen("measurement", "run"));
    let place = is_read("measurement", "run", "run/ensembles/S", "measures mu");
    let new = mu(&place);
    assert!((new / old - 1.0).abs() < 1e-4, "{new} {old}");
    is_extended(&place, "run", "run/ensembles/S");
}

#[test]
fn a_run_that_version_0_1_was_stopped_in_goes_on() {
    let place = frozen("reweighting", "interrupted");
    let epochs = || {
        let log = place.text("interrupted/log.jsonl");
        log.matches("\"event\":\"epoch\"").count()
    };
    let before = epochs();
    assert!(before > 10, "{before}");
    let settings = [
        "training.epochs=400",
        "training.patience=400",
        "training.batch=4",
        "executor.checkpoint_epochs=1",
    ];
    place.run("interrupted", &settings).exits(0);
    // from the checkpoint: no epoch twice
    assert_eq!(epochs(), 2 * 400);
}

/// Headings, tables and figures of a page.
fn outline(page: &str) -> String {
    let mut outline = String::new();
    let (mut header, mut rows) = (Vec::new(), 0);
    for piece in page.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or((piece, ""));
        let attribute = |name: &str| tag.split(name).nth(1)?.split('"').next();
        let mut line = |what: &str, text: &str| writeln!(outline, "{what}: {text}").unwrap();
        match tag.split(' ').next().unwrap() {
            name @ ("h1" | "h2" | "h3" | "dt" | "caption") => line(name, text),
            "th" => header.push(text),
            "tr" => rows += 1,
            "/table" => {
                line(
                    "table",
                    &format!("{} ({} rows)", header.join(" | "), rows - 1),
                );
                (header, rows) = (Vec::new(), 0);
            }
            "figure" => line("figure", attribute("id=\"").unwrap_or("")),
            _ => {
                if let Some(alt) = attribute("role=\"img\" aria-label=\"") {
                    line("alt", alt);
                }
            }
        }
    }
    outline
}

/// Holds a page to the outline that was written down. To renew the outlines, look at the
/// pages and run the tests with `SIDEBAND_RENEW_PAGES=1`.
fn holds_its_outline(method: &str, page: &str) {
    let path = root().join(format!("tests/data/version_0.1/{method}.outline"));
    let found = outline(page);
    if std::env::var_os("SIDEBAND_RENEW_PAGES").is_some() {
        fs::write(&path, &found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    let differing = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
    assert!(found == expected, "{method}: {differing:?} in\n{found}");
}
