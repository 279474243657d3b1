//! Wrong input, each with the message and the exit code it must give.
//!
//! A case is a file in `tests/bad_input`; to add one, add a file:
//!
//! ```toml
//! about = "what is wrong"
//! base = "interpolation"                 # with `tests/data/configurations/plane.toml`; or
//!                                        # "measurement", `configs/interference.toml` made small,
//!                                        # or "mixing", `configs/mixing.toml` made small
//! setup = ["null source.parquet pt 5"]   # in order; the verbs are in `prepare`
//! set = ["training.batch=7"]             # put on top of the small configuration
//! config = "..."                         # or a whole configuration
//! arguments = ["predict", "out", "x"]    # plan and run of the configuration if absent
//! exit = 4
//! stderr = ["fragment", "another"]       # all of them in the message
//! ```

use crate::support::workplace::{INTERPOLATION, REWEIGHTING, SHIPPED_MEASUREMENT, set, tree};
use crate::support::{Done, Numbers, Workplace, doubles, integers};
use arrow::array::{Array, AsArray, Float64Array, ListArray, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Float64Type};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
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
    Mixing,
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
            let name = format!("{run}/manifest.json");
            let text = place.text(&name);
            place.write(&name, text.replace("\"complete\"", "\"running\""));
        }
        // a binary that was built with the feature can do more
        ["without", "wgpu"] if cfg!(feature = "wgpu") => return Prepared::Impossible,
        ["without", "cuda"] if cfg!(feature = "cuda") => return Prepared::Impossible,
        ["without", _] => {}
        ["text", file, ..] => {
            place.write(file, step.splitn(3, ' ').nth(2).unwrap_or_default());
        }
        // pseudo-random bytes after and before a format's magic
        ["garbage", file, magic] => {
            let mut numbers = Numbers::new(3);
            let mut bytes = magic.as_bytes().to_vec();
            bytes.extend((0..512).flat_map(|_| numbers.bits().to_le_bytes()));
            bytes.extend(magic.as_bytes());
            place.write(file, bytes);
        }
        ["comment", file, bytes] => {
            let comment = "x".repeat(bytes.parse().unwrap());
            place.write(file, place.text(file) + "#" + &comment);
        }
        ["halve", file] => {
            let bytes = place.read(file);
            place.write(file, &bytes[..bytes.len() / 2]);
        }
        ["wipe", file, first] => {
            let mut bytes = place.read(file);
            let first: usize = first.parse().unwrap();
            bytes[first..first + 64].fill(0);
            place.write(file, bytes);
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
        ["null", file, column, row] => {
            let null: usize = row.parse().unwrap();
            place.edit(file, |c| {
                c.change(column, |row, x| (row != null).then_some(x))
            });
        }
        ["value", file, column, row, value] => {
            let (changed, value): (usize, f64) = (row.parse().unwrap(), value.parse().unwrap());
            let other = |row, x| if row == changed { value } else { x };
            place.edit(file, |c| c.change(column, other));
        }
        // the first element of a list
        ["element", file, column, row, value] => {
            let (row, value): (usize, f64) = (row.parse().unwrap(), value.parse().unwrap());
            place.edit(file, |c| {
                let lists = c.get(column).as_list::<i32>().clone();
                let first = lists.value_offsets()[row] as usize;
                let values = cast(lists.values(), &DataType::Float64).unwrap();
                let values = values.as_primitive::<Float64Type>().values().iter();
                let values = values.enumerate();
                let values = values.map(|(k, x)| if k == first { value } else { *x });
                let values = Arc::new(Float64Array::from_iter_values(values));
                let field = Arc::new(Field::new_list_field(DataType::Float64, true));
                let offsets = lists.offsets().clone();
                let changed = ListArray::new(field, offsets, values, lists.nulls().cloned());
                c.set(column, Arc::new(changed));
            });
        }
        // a list without its last element
        ["shorten", file, column, row] => {
            let short: usize = row.parse().unwrap();
            place.edit(file, |c| {
                let lists = c.get(column).as_list::<i32>().clone();
                let rows = (0..lists.len()).map(|row| {
                    let list = lists.value(row);
                    list.slice(0, list.len() - usize::from(row == short))
                });
                let rows: Vec<_> = rows.collect();
                let lengths = OffsetBuffer::from_lengths(rows.iter().map(|list| list.len()));
                let all: Vec<&dyn Array> = rows.iter().map(|list| list as &dyn Array).collect();
                let values = concat(&all).unwrap();
                let field = Field::new_list_field(values.data_type().clone(), true);
                let changed = ListArray::new(Arc::new(field), lengths, values, None);
                c.set(column, Arc::new(changed));
            });
        }
        ["fill", file, column, value] => {
            let value: f64 = value.parse().unwrap();
            place.edit(file, |c| c.set(column, doubles(vec![value; c.len()])));
        }
        ["ids", file, column, value] => {
            let value: i64 = value.parse().unwrap();
            place.edit(file, |c| c.set(column, integers(vec![value; c.len()])));
        }
        ["words", file, column] => place.edit(file, |columns| {
            let words = (0..columns.len()).map(|i| format!("word {i}"));
            columns.set(column, Arc::new(StringArray::from_iter_values(words)));
        }),
        ["drop", file, column] => place.edit(file, |c| c.drop(&[column])),
        ["twice", file, column] => place.edit(file, |columns| {
            let again = columns.get(column).clone();
            columns.0.push(((*column).to_owned(), again));
        }),
        ["keep", file, rows] => place.edit(file, |c| c.truncate(rows.parse().unwrap())),
        _ => panic!("unknown step: {step}"),
    }
    Prepared::Ready
}

/// What is wrong with how the program ended, if anything.
fn complaint(case: &Case, done: &Done) -> Option<String> {
    let missing = case.stderr.iter().find(|part| !done.stderr.contains(*part));
    let errors = done.stderr.lines().filter(|l| l.starts_with("error: "));
    let wrong = if done.exit != Some(case.exit) {
        format!("exit code {:?}, not {}", done.exit, case.exit)
    } else if let Some(part) = missing {
        format!("stderr lacks {part:?}")
    } else if !done.stdout.is_empty() {
        format!("something on stdout: {}", done.stdout)
    } else if errors.count() != 1 {
        "not one line with `error: `".to_owned()
    } else {
        return None;
    };
    Some(format!("{wrong}\n{}", done.stderr))
}

fn try_case(case: &Case) -> Result<(), String> {
    let (mut place, made) = match case.base {
        Base::Reweighting => (Workplace::new(), &REWEIGHTING),
        Base::Interpolation => (Workplace::interpolation(), &INTERPOLATION),
        Base::Measurement => (Workplace::shipped_measurement(), &SHIPPED_MEASUREMENT),
        // no case begins with a run of it
        Base::Mixing => (Workplace::mixing(600), &SHIPPED_MEASUREMENT),
    };
    let mut steps = case.setup.iter().peekable();
    if let Some(text) = &case.config {
        place.write("config.toml", text);
    } else if steps.next_if(|step| *step == "run").is_some() {
        place = place.with("out", made);
    }
    for step in steps {
        if prepare(&place, step) == Prepared::Impossible {
            println!("skipped, impossible here: {}", case.about);
            return Ok(());
        }
    }
    let settings: Vec<&str> = case.set.iter().map(String::as_str).collect();
    let commands = match &case.arguments {
        Some(arguments) => vec![arguments.iter().map(String::as_str).collect()],
        None => vec![
            vec!["plan", "config.toml"],
            Workplace::run_arguments("out", &[]),
        ],
    };
    for mut arguments in commands {
        arguments.extend(set(&settings));
        let done = place.sideband(&arguments);
        if let Some(complaint) = complaint(case, &done) {
            return Err(format!("{arguments:?}: {complaint}"));
        }
    }
    if case.arguments.is_none() && place.has("out") {
        return Err("a run directory was made, though nothing can be trained".to_owned());
    }
    Ok(())
}

#[test]
fn wrong_input_is_refused_with_a_message_and_an_exit_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_input");
    let case = |(path, bytes): (PathBuf, Vec<u8>)| {
        let name = path.file_stem().unwrap().display().to_string();
        let case = toml::from_slice(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        (name, case)
    };
    let cases: Vec<(String, Case)> = tree(&folder).into_iter().map(case).collect();
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
    let failures = std::thread::scope(|scope| {
        let workers = [(); 2].map(|()| scope.spawn(work));
        workers.map(|worker| worker.join().unwrap()).concat()
    });
    let (failed, all) = (failures.len(), cases.len());
    assert_eq!(failed, 0, "of {all} cases:\n\n{}", failures.join("\n\n"));
}
