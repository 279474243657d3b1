//! How a user begins who has the program alone: `init` and `example`.

use crate::support::{Workplace, contains, integers, root};
use std::fs;

/// A sample of the shipped collisions.
fn collisions(name: &str) -> String {
    let path = root().join(format!("tests/data/collisions/qcd_{name}.parquet"));
    path.display().to_string()
}

#[test]
fn init_writes_a_configuration_that_can_be_planned() {
    let place = Workplace::with_configuration("");
    for (short, sample) in [("2b", "s.parquet"), ("4b", "t.parquet")] {
        fs::copy(collisions(short), place.path(sample)).unwrap();
    }
    fs::create_dir(place.path("configs")).unwrap();
    let init = [
        "init",
        "s.parquet",
        "t.parquet",
        "--out",
        "configs/mine.toml",
    ];
    let done = place.sideband(&init).exits(0);
    done.says([
        "weight weight, id event_id",
        "next    sideband plan configs/mine.toml",
    ]);
    let text = place.text("configs/mine.toml");
    contains(
        &text,
        [
            "path = \"../s.parquet\"",
            "    \"m_hh\",",
            "\"n_btag\" tells the samples apart",
        ],
    );
    for none in [
        "    \"n_btag\"",
        "    \"weight\"",
        "    \"event_id\"",
        "    \"year\"",
    ] {
        assert!(!text.contains(none), "{none} in {text}");
    }
    let plan = ["plan", "configs/mine.toml", "--no-calibration"];
    place.sideband(&plan).exits(0).says(["mine: reweighting"]);
    // nothing is lost by a second look
    place.write("configs/mine.toml", text.clone() + "# my own");
    place
        .sideband(&init)
        .exits(2)
        .warns(["is there already", "--force"]);
    assert!(place.text("configs/mine.toml").ends_with("# my own"));
    place.sideband(&[&init[..], &["--force"]].concat()).exits(0);
    assert_eq!(place.text("configs/mine.toml"), text);
}

#[test]
fn init_finds_the_column_that_tells_classes_apart() {
    let place = Workplace::new();
    let source = place.events("source.parquet");
    let mut both = source.clone();
    both.append(&place.events("target.parquet"));
    let label = (0..both.len()).map(|row| i64::from(row >= source.len()));
    both.set("label", integers(label));
    place.put("both.parquet", &both);
    place.sideband(&["init", "both.parquet"]).exits(0);
    contains(
        &place.text("sideband.toml"),
        [
            "selection = \"label == 0\"",
            "selection = \"label == 1\"",
            "id = [\"event\"]",
        ],
    );
    let small = [
        "ensemble.members=2",
        "training.epochs=2",
        "report.classifier_members=0",
    ];
    let run = [
        &["run", "sideband.toml", "--out", "run"][..],
        &crate::support::workplace::set(&small),
    ];
    place.sideband(&run.concat()).exits(0);
    let one = place.sideband(&["init", "source.parquet", "--out", "one.toml"]);
    one.exits(2)
        .warns(["no column that tells two classes apart"]);
    assert!(!place.has("one.toml"));
}

#[test]
fn examples_run_where_there_is_nothing_but_the_program() {
    let place = Workplace::with_configuration("");
    let list = place.sideband(&["example"]).exits(0).stdout;
    let names = list
        .lines()
        .skip(2)
        .map(|line| line.split(' ').next().unwrap());
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    assert!(names.contains(&"quickstart") && names.len() >= 8, "{list}");
    for name in names {
        let done = place.sideband(&["example", name]).exits(0);
        done.says([format!("written {name}/{name}.toml")]);
        let config = format!("{name}/{name}.toml");
        let few = ["--set", "generate.events=2000"];
        let few = if name == "interference" {
            &few[..]
        } else {
            &[]
        };
        let plan = [&["plan", &config, "--no-calibration"][..], few].concat();
        let done = place.sideband(&plan).exits(0);
        done.warns_not("is found from");
    }
    // once more is fine, but nothing of the user's is written over
    place.sideband(&["example", "quickstart"]).exits(0);
    place.write("quickstart/quickstart.toml", "mine");
    let again = place.sideband(&["example", "quickstart"]);
    again
        .exits(2)
        .warns(["quickstart.toml is there and is another file"]);
    assert_eq!(place.text("quickstart/quickstart.toml"), "mine");
    place
        .sideband(&["example", "nothing"])
        .exits(2)
        .warns(["quickstart"]);
}
