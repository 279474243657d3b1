//! How a user begins who has the program alone: `init` and `example`.

use crate::support::workplace::set;
use crate::support::{Columns, Workplace, contains, document, doubles, integers, root};
use arrow::array::{BooleanArray, ListArray};
use arrow::datatypes::Float64Type;
use std::fs;
use std::sync::Arc;

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
            "\"m_hh\", \"deta_hh\",",
            "[features.labels]\n",
            "m_hh = \"m_{HH} [GeV]\"\n",
            "deta_hh = \"|Δη_{HH}|\"\n",
            "#   tells the samples apart by itself, so that no ratio exists in it: n_btag\n",
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
    let run = [&["run", "sideband.toml", "--out", "run"][..], &set(&small)];
    place.sideband(&run.concat()).exits(0);
    let one = place.sideband(&["init", "source.parquet", "--out", "one.toml"]);
    one.exits(2)
        .warns(["no column that tells two classes apart"]);
    assert!(!place.has("one.toml"));
}

#[test]
fn init_of_a_thousand_branches_is_read_on_two_screens() {
    let place = Workplace::with_configuration("");
    for (file, first, shift) in [("s.parquet", 0, 0.0), ("t.parquet", 60, 0.1)] {
        let row = |k: usize| (0..60).map(move |i| ((i * (k + 7)) % 41) as f64);
        let mut columns = Columns::numbered(first, 60);
        for k in 0..60 {
            let values: Vec<f64> = row(k).map(|x| x + shift).collect();
            columns.set(&format!("Met{k}_pt"), doubles(values));
        }
        for k in 0..700 {
            let flags: Vec<bool> = (0..60).map(|i| (i + k) % 2 == 0).collect();
            columns.set(&format!("HLT_path{k}"), Arc::new(BooleanArray::from(flags)));
        }
        for k in 0..300 {
            let list = |x: f64| Some([Some(x), Some(1.0)]);
            let lists = row(k).map(list);
            let lists = ListArray::from_iter_primitive::<Float64Type, _, _>(lists);
            let kind = ["Jet", "Muon", "Tau"][k % 3];
            columns.set(&format!("{kind}_{k}"), Arc::new(lists));
        }
        place.put(file, &columns);
    }
    place
        .sideband(&["init", "s.parquet", "t.parquet", "--out", "my.toml"])
        .exits(0);
    let text = place.text("my.toml");
    contains(
        &text,
        [
            "#   is a flag: HLT_* (700)\n",
            "could be one: Jet_* (100), Muon_* (100),\n#     Tau_* (100)\n",
        ],
    );
    let lines = text.lines().count();
    assert!(lines <= 80, "{lines} lines in {text}");
    assert!(text.lines().all(|line| line.len() <= 110), "{text}");
    place
        .sideband(&["plan", "my.toml", "--no-calibration"])
        .exits(0);
}

#[test]
fn init_of_one_file_as_both_samples_is_refused() {
    let place = Workplace::new();
    fs::copy(place.path("source.parquet"), place.path("copy.parquet")).unwrap();
    fs::create_dir(place.path("other")).unwrap();
    for (two, found) in [
        (
            ["source.parquet", "source.parquet"],
            "source.parquet is in both samples",
        ),
        (
            ["source.parquet", "./other/../source.parquet"],
            "source.parquet is in both samples",
        ),
        (
            ["source.parquet", "copy.parquet"],
            "source.parquet and copy.parquet have the same",
        ),
        (
            ["[st]*.parquet", "copy.parquet"],
            "source.parquet and copy.parquet have the same",
        ),
    ] {
        let done = place.sideband(&["init", two[0], two[1]]).exits(2);
        done.warns([found, "nothing tells them apart"]);
        assert!(!place.has("sideband.toml"), "{two:?}");
    }
    place
        .sideband(&["init", "source.parquet", "target.parquet"])
        .exits(0);
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

#[test]
fn the_tutorial_goes_from_nanoaod_to_a_report_with_three_edits() {
    let page = document("docs/tutorial.md");
    let place = Workplace::with_configuration("");
    for name in ["2b.root", "4b.root"] {
        let path = root().join("tests/data/nanoaod").join(name);
        fs::copy(path, place.path(name)).unwrap();
    }
    let init = [
        "init",
        "2b.root:Events",
        "4b.root:Events",
        "--out",
        "my.toml",
    ];
    let done = place.sideband(&init).exits(0);
    contains(&page, done.stdout.lines());

    let blocks = page.split("```toml\n").skip(1);
    let blocks: Vec<&str> = blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let [define, regions, features] = blocks[..] else {
        panic!("{} edits", blocks.len());
    };
    let config = place.text("my.toml");
    let all = "[regions.training]\nselection = \"1\"\n";
    contains(&config, [all]);
    let config = config.replace(all, &format!("{define}\n{regions}"));
    let (before, rest) = config.split_once("[features]\n").unwrap();
    let (written, after) = rest.split_once("# No input is what").unwrap();
    contains(
        written,
        [
            "\n[features.labels]\n",
            "p_{T}^{miss} [GeV]\"\n",
            "nJet = \"Number of jets\"\n",
            "PV_npvs = \"Number of vertices\"\n",
        ],
    );
    place.write(
        "my.toml",
        format!("{before}{features}\n# No input is what{after}"),
    );

    let plan = ["plan", "my.toml", "--no-calibration"];
    let done = place.sideband(&plan).exits(0);
    let lines = done.stdout.lines();
    let shown = lines.filter(|line| {
        ["blind ", "members ", "network "]
            .iter()
            .any(|s| line.starts_with(s))
    });
    let shown: Vec<&str> = shown.collect();
    assert_eq!(shown.len(), 3, "{}", done.stdout);
    contains(&page, shown);
    let mistake = ["--set", "data.define.ht=\"sum(ptt)\""];
    let done = place.sideband(&[&plan[..], &mistake].concat()).exits(3);
    done.warns(["`ht`", "`ptt`"]);

    let small = [
        "ensemble.members=3",
        "training.epochs=3",
        "report.classifier_members=2",
    ];
    let run = [&["run", "my.toml", "--quiet"][..], &set(&small)];
    let done = place.sideband(&run.concat()).exits(0);
    done.says(["signal: blinded; predicted", "runs/my/report.html"]);
    place.says_in("runs/my/report.html", "m<sub>jets</sub>");
    assert!(place.has("runs/my/plots/validation_mass.pdf"));
    assert!(place.has("runs/my/predictions/source.parquet"));
}
