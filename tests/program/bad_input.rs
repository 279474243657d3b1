//! Wrong input, each with the message and the exit code it must give.
//!
//! A case is a file in `tests/bad_input`; to add one, add a file:
//!
//! ```toml
//! about = "what is wrong"
//! base = "interpolation"                 # with the configuration of `crate::support::plane`; or
//!                                        # "measurement", `configs/interference.toml` made small
//! setup = ["null source.parquet pt 5"]   # in order; the verbs are in `prepare`
//! set = ["training.batch=7"]             # put on top of the small configuration
//! config = "..."                         # or a whole configuration
//! arguments = ["predict", "out", "x"]    # plan and run of the configuration if absent
//! exit = 4
//! stderr = ["fragment", "another"]       # all of them in the message
//! ```

use crate::support::{Columns, Done, Numbers, Workplace, numbers};
use arrow::array::{Array, ArrayRef, Float64Array, StringArray};
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    #[serde(default)]
    base: Base,
    #[serde(default)]
    setup: Vec<String>,
    #[serde(default)]
    set: Vec<String>,
    config: Option<String>,
    arguments: Option<Vec<String>>,
    exit: i32,
    stderr: Vec<String>,
}

/// Configuration and data that a case starts from.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Base {
    #[default]
    Reweighting,
    Interpolation,
    Measurement,
}

/// Whether the machine lets the case happen.
#[derive(PartialEq)]
enum Prepared {
    Ready,
    Impossible,
}

/// Does one step of a case's `setup`.
fn prepare(place: &Workplace, step: &str) -> Prepared {
    let words: Vec<&str> = step.split_whitespace().collect();
    let path = |name: &str| place.path(name);
    match words.as_slice() {
        // a run that has ended well
        ["run"] => {
            place.run("out", &[]).exits(0);
        }
        // the program was killed before the run's end
        ["unfinish", run] => {
            let name = path(run).join("manifest.json");
            let text = fs::read_to_string(&name).unwrap();
            fs::write(name, text.replace("\"complete\"", "\"running\"")).unwrap();
        }
        // a binary that was built with the feature can do more
        ["without", "wgpu"] if cfg!(feature = "wgpu") => return Prepared::Impossible,
        ["without", "cuda"] if cfg!(feature = "cuda") => return Prepared::Impossible,
        ["without", _] => {}
        ["text", file, ..] => {
            let text = step.splitn(3, ' ').nth(2).unwrap_or_default();
            fs::write(path(file), text).unwrap();
        }
        // pseudo-random bytes after and before a format's magic
        ["garbage", file, magic] => {
            let mut numbers = Numbers::new(3);
            let mut bytes = magic.as_bytes().to_vec();
            bytes.extend((0..512).flat_map(|_| numbers.bits().to_le_bytes()));
            bytes.extend(magic.as_bytes());
            fs::write(path(file), bytes).unwrap();
        }
        ["comment", file, bytes] => {
            let mut text = fs::read_to_string(path(file)).unwrap();
            text.push('#');
            text.extend(std::iter::repeat_n('x', bytes.parse().unwrap()));
            fs::write(path(file), text).unwrap();
        }
        ["halve", file] => {
            let bytes = fs::read(path(file)).unwrap();
            fs::write(path(file), &bytes[..bytes.len() / 2]).unwrap();
        }
        ["wipe", file, first] => {
            let mut bytes = fs::read(path(file)).unwrap();
            let first: usize = first.parse().unwrap();
            bytes[first..first + 64].fill(0);
            fs::write(path(file), bytes).unwrap();
        }
        ["folder", name] => fs::create_dir_all(path(name)).unwrap(),
        ["remove", name] => fs::remove_file(path(name)).unwrap(),
        ["copy", from, to] => {
            fs::copy(path(from), path(to)).unwrap();
        }
        ["forbid", name] => {
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let mode = fs::Permissions::from_mode(0o000);
                fs::set_permissions(path(name), mode).unwrap();
            }
            let still = fs::read(path(name)).is_ok() || fs::read_dir(path(name)).is_ok();
            if still {
                return Prepared::Impossible;
            }
        }
        // columns of a Parquet file
        ["null", file, column, row] => change(place, file, column, |values| {
            let row: usize = row.parse().unwrap();
            let keep = numbers(&values).into_iter().enumerate();
            let with_null = keep.map(|(i, v)| (i != row).then_some(v));
            Arc::new(with_null.collect::<Float64Array>())
        }),
        ["value", file, column, row, value] => change(place, file, column, |values| {
            let mut list = numbers(&values);
            list[row.parse::<usize>().unwrap()] = value.parse().unwrap();
            Arc::new(Float64Array::from(list))
        }),
        ["fill", file, column, value] => change(place, file, column, |values| {
            let value: f64 = value.parse().unwrap();
            Arc::new(Float64Array::from(vec![value; values.len()]))
        }),
        ["words", file, column] => change(place, file, column, |values| {
            let words = (0..values.len()).map(|i| format!("word {i}"));
            Arc::new(StringArray::from_iter_values(words))
        }),
        ["drop", file, column] => {
            place.edit(file, |columns| columns.retain(|(name, _)| name != column));
        }
        ["twice", file, column] => place.edit(file, |columns| {
            let again = columns.iter().find(|(name, _)| name == column).unwrap();
            columns.push(again.clone());
        }),
        ["keep", file, rows] => place.edit(file, |columns| {
            let rows = rows.parse().unwrap();
            for (_, values) in columns {
                *values = values.slice(0, rows);
            }
        }),
        _ => panic!("unknown step: {step}"),
    }
    Prepared::Ready
}

fn change(place: &Workplace, file: &str, column: &str, change: impl FnOnce(ArrayRef) -> ArrayRef) {
    place.edit(file, |columns: &mut Columns| {
        let found = columns.iter_mut().find(|(name, _)| name == column);
        let (_, values) = found.unwrap_or_else(|| panic!("{file} has no {column}"));
        *values = change(Arc::clone(values));
    });
}

/// What is wrong with how the program ended, if anything.
fn complaint(case: &Case, done: &Done) -> Option<String> {
    let missing = case.stderr.iter().find(|part| !done.stderr.contains(*part));
    let wrong = if done.exit != Some(case.exit) {
        format!("exit code {:?}, not {}", done.exit, case.exit)
    } else if let Some(part) = missing {
        format!("stderr lacks {part:?}")
    } else if !done.stdout.is_empty() {
        format!("something on stdout: {}", done.stdout)
    } else if done
        .stderr
        .lines()
        .filter(|l| l.starts_with("error: "))
        .count()
        != 1
    {
        "not one line with `error: `".to_owned()
    } else {
        return None;
    };
    Some(format!("{wrong}\n{}", done.stderr))
}

fn try_case(case: &Case) -> Result<(), String> {
    let place = match case.base {
        Base::Reweighting => Workplace::new(),
        Base::Interpolation => Workplace::interpolation(),
        Base::Measurement => Workplace::measurement(),
    };
    if let Some(text) = &case.config {
        fs::write(place.path("config.toml"), text).unwrap();
    }
    for step in &case.setup {
        if prepare(&place, step) == Prepared::Impossible {
            println!("skipped, impossible here: {}", case.about);
            return Ok(());
        }
    }
    let mut settings = Vec::new();
    for setting in &case.set {
        settings.extend(["--set", setting]);
    }
    let commands = match &case.arguments {
        Some(arguments) => vec![arguments.iter().map(String::as_str).collect()],
        None => vec![
            vec!["plan", "config.toml"],
            vec!["run", "config.toml", "--out", "out"],
        ],
    };
    for mut arguments in commands {
        arguments.extend(&settings);
        let done = place.sideband(&arguments);
        if let Some(complaint) = complaint(case, &done) {
            return Err(format!("{arguments:?}: {complaint}"));
        }
    }
    if case.arguments.is_none() && place.path("out").exists() {
        return Err("a run directory was made, though nothing can be trained".to_owned());
    }
    Ok(())
}

#[test]
fn wrong_input_is_refused_with_a_message_and_an_exit_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_input");
    let mut cases: Vec<(String, Case)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let case = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            (name, case)
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(cases.len() >= 30, "{} cases", cases.len());

    let next = AtomicUsize::new(0);
    let work = || {
        let mut failures = Vec::new();
        while let Some((name, case)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let tried = std::panic::catch_unwind(|| try_case(case));
            let result = tried.unwrap_or_else(|_| Err("the case itself failed".to_owned()));
            failures.extend(result.err().map(|text| format!("{name}: {text}")));
        }
        failures
    };
    let failures: Vec<String> = std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers
            .into_iter()
            .flat_map(|w| w.join().unwrap())
            .collect()
    });
    assert!(
        failures.is_empty(),
        "{} of {} cases:\n\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n\n")
    );
}
