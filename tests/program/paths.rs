//! Where the paths of a configuration start: from its folder, and as they once did.

use crate::support::workplace::set;
use crate::support::{Done, Workplace, document, root, same_results};
use std::fs;
use std::process::{Command, Stdio};

/// The folder of [`Workplace::new`] with configuration and data in `a/configs` and `a/data`.
fn divided() -> Workplace {
    let place = Workplace::new();
    for folder in ["a/configs", "a/data", "elsewhere"] {
        fs::create_dir_all(place.path(folder)).unwrap();
    }
    for role in ["source", "target"] {
        let name = format!("{role}.parquet");
        fs::rename(place.path(&name), place.path(&format!("a/data/{name}"))).unwrap();
        place.configure(&[(
            &format!("path = \"{name}\""),
            &format!("path = \"../data/{name}\""),
        )]);
    }
    fs::rename(place.path("config.toml"), place.path("a/configs/c.toml")).unwrap();
    place
}

/// Runs the program in a folder of the place.
fn within(place: &Workplace, folder: &str, arguments: &[&str]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sideband"));
    let command = command.current_dir(place.path(folder)).args(arguments);
    Done::of(command.stdin(Stdio::null()).output().unwrap())
}

#[test]
fn a_configuration_means_the_same_files_wherever_it_is_run() {
    let place = divided();
    let out = place.path("out").display().to_string();
    let run = |folder: &str, config: &str| {
        let done = within(&place, folder, &["run", config, "--out", &out]).exits(0);
        assert!(!done.stderr.contains("is found from"), "{}", done.stderr);
        done
    };
    run("a", "configs/c.toml").warns(["training 2 members"]);
    let all = place.path("a/configs/c.toml").display().to_string();
    for (folder, config) in [
        ("a/configs", "c.toml"),
        ("elsewhere", "../a/configs/c.toml"),
        ("", &all),
        // the configuration of the run itself
        ("out", "config.toml"),
        ("elsewhere", "../out/config.toml"),
    ] {
        run(folder, config).warns(["nothing to do"]);
    }
    within(&place, "elsewhere", &["extend", &out, "--members", "3"]).exits(0);
    let more = ["run", "../a/configs/c.toml", "--out", "../more"];
    within(
        &place,
        "elsewhere",
        &[&more[..], &set(&["ensemble.members=3"])].concat(),
    )
    .exits(0);
    same_results(&place, "out", "more", &["metrics.json", "config.toml"]);
    let data = "../a/data/source.parquet";
    within(
        &place,
        "elsewhere",
        &["predict", &out, data, "--out", "p.parquet"],
    )
    .exits(0);
}

#[test]
fn paths_from_the_working_directory_are_found_with_a_note() {
    let place = Workplace::new();
    fs::create_dir(place.path("configs")).unwrap();
    fs::rename(place.path("config.toml"), place.path("configs/c.toml")).unwrap();
    let former = place.sideband(&["run", "configs/c.toml", "--out", "out"]);
    former.exits(0).warns([
        "`data.source.path`: source.parquet is found from the working directory",
        "write \"../source.parquet\"",
        "`data.target.path`",
    ]);
    // as the note says; it is the same run, and not even its result is made anew
    let text = place.text("configs/c.toml");
    let text = text.replace("path = \"", "path = \"../");
    place.write("configs/c.toml", text);
    let done = place
        .sideband(&["run", "configs/c.toml", "--out", "out"])
        .exits(0);
    done.warns(["nothing to do"]).warns_not("is found from");
    within(&place, "configs", &["extend", "../out", "--members", "3"]).exits(0);
}

/// The text of the configuration and the folder that it is meant from change together, also
/// where nothing else is to be done.
#[test]
fn a_configuration_that_moved_is_that_of_the_run() {
    let place = Workplace::trained();
    fs::create_dir(place.path("configs")).unwrap();
    let text = place.text("config.toml");
    place.remove("config.toml");
    let text = text.replace("path = \"", "path = \"../");
    place.write("configs/c.toml", text);
    let done = place.sideband(&["run", "configs/c.toml", "--out", "out"]);
    done.exits(0).warns(["nothing to do"]);
    within(&place, "configs", &["extend", "../out", "--members", "3"]).exits(0);
}

#[test]
fn a_path_of_two_meanings_is_refused_if_the_files_differ() {
    let place = Workplace::new();
    fs::create_dir(place.path("configs")).unwrap();
    for name in ["config.toml", "source.parquet", "target.parquet"] {
        fs::copy(place.path(name), place.path("configs").join(name)).unwrap();
    }
    let plan = || place.sideband(&["plan", "configs/config.toml", "--no-calibration"]);
    // copies are one file
    plan().exits(0).warns_not("is found from");
    place.edit("source.parquet", |columns| columns.truncate(399));
    plan().exits(3).warns([
        "`data.source.path`: it means configs/source.parquet",
        "another `source.parquet` in the working directory",
    ]);
}

#[test]
fn files_of_other_names_and_places_are_the_same_run() {
    let place = Workplace::trained();
    fs::rename(place.path("source.parquet"), place.path("moved.parquet")).unwrap();
    let moved = "data.source.path=moved.parquet";
    place.run("out", &[moved]).exits(0).warns(["nothing to do"]);
    place.edit("moved.parquet", |columns| columns.truncate(399));
    place
        .run("out", &[moved])
        .exits(4)
        .warns(["out was made from other data"]);
}

#[test]
fn shipped_configurations_run_from_any_folder() {
    let place = Workplace::with_configuration("");
    for name in ["quickstart", "jets", "mass_plane", "reference"] {
        let config = root()
            .join(format!("configs/{name}.toml"))
            .display()
            .to_string();
        let done = place.sideband(&["plan", &config, "--no-calibration"]);
        assert!(document(&format!("configs/{name}.toml")).contains("\"../tests/data/"));
        done.exits(0).warns_not("is found from");
    }
}
