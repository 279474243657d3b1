//! One state, all or nothing, nobody else's files.

use crate::support::events::reweighting;
use crate::support::workplace::{SHIPPED_MEASUREMENT, copy, tree};
use crate::support::{Done, Running, Workplace, contains, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

// ---- all or nothing

fn extend(place: &Workplace, members: &str) -> Done {
    place.sideband(&["extend", "out", "--members", members])
}

#[test]
fn an_extension_that_fails_leaves_the_run_as_it_was() {
    let place = Workplace::trained();
    let before = tree(&place.path("out"));
    let away = place.path("away");
    fs::rename(place.path("source.parquet"), &away).unwrap();
    extend(&place, "5000").exits(4);
    assert!(tree(&place.path("out")) == before);
    fs::rename(&away, place.path("source.parquet")).unwrap();
    place.run("out", &[]).exits(0);
    extend(&place, "2").exits(0);
    let status = place.sideband(&["status", "out"]).exits(0);
    status.says(["2 of 2 members"]);
}

#[test]
fn an_extension_that_was_interrupted_can_be_taken_back() {
    let place = Workplace::trained();
    let metrics = place.read("out/metrics.json");
    let limited = ["extend", "out", "--members", "5000", "--time-limit", "0"];
    let take_back: [&dyn Fn() -> Done; 2] = [&|| place.run("out", &[]), &|| extend(&place, "2")];
    for take_back in take_back {
        place.sideband(&limited).exits(75);
        take_back().exits(0);
        assert!(place.read("out/metrics.json") == metrics);
    }
}

#[test]
fn foreign_members_are_refused_before_any_is_copied() {
    let place = Workplace::new();
    let settings = ["ensemble.members=3"];
    place.run("out", &settings).exits(0);
    copy(&place.path("out"), &place.path("twin"));
    let other = Workplace::new();
    other.put("source.parquet", &reweighting(11, 0, 400, 0.0));
    other.put("target.parquet", &reweighting(12, 1 << 32, 400, 0.5));
    let foreign = place.path("other").display().to_string();
    other.run(&foreign, &settings).exits(0);
    for n in [0, 2] {
        fs::remove_file(place.member("out", n)).unwrap();
    }
    let before = tree(&place.path("out"));
    let refused = |others: &[&str], part: &str| {
        let done = place.sideband(&[&["merge", "out"], others].concat());
        done.exits(4).warns([part]);
        assert!(tree(&place.path("out")) == before, "{others:?}");
    };
    refused(&["other"], "other data");
    // a good one first: nothing of it is taken either
    refused(&["twin", "other"], "other data");
    place.remove("other/manifest.json");
    refused(&["other"], "no manifest.json");
    // a member of other data among good ones, and one under the number of another
    let third = place.member("twin", 2);
    for source in [place.member("other", 2), place.member("twin", 0)] {
        fs::copy(source, &third).unwrap();
        let said = "member_0002.safetensors is not a member of this plan";
        refused(&["twin"], said);
    }
    fs::remove_file(third).unwrap();
    place.sideband(&["merge", "out", "twin"]).exits(6);
}

// ---- a change that harms no member

#[test]
fn what_harms_no_member_is_accepted_and_the_result_made_anew() {
    let place = Workplace::trained();
    let members = place.members("out");
    for setting in [
        "regions.vr.selection=\"mass > 0.3\"",
        "ensemble.combine=\"median\"",
        "ensemble.minimum=0.5",
        "data.define.q=\"pt*2\"",
        "report.bins=5",
        "regions.sr.selection=\"mass > 0.8\"",
        "experiment.description=\"words\"",
    ] {
        let before = place.read("out/config.toml");
        let done = place.run("out", &[setting]).exits(0);
        done.warns_not("training").warns(["applying"]);
        assert!(place.read("out/config.toml") != before, "{setting}");
        // and it stays so
        let done = place.run("out", &[setting]).exits(0);
        done.warns(["nothing to do"]);
    }
    assert_eq!(place.members("out"), members);
    // more members are trained, and fewer are no loss
    let four = || place.run("out", &["ensemble.members=4"]).exits(0);
    four().warns(["training 2 members"]);
    let all = place.members("out");
    place.run("out", &[]).exits(0).warns(["2 members above"]);
    assert_eq!(place.members("out"), members);
    four().warns_not("training");
    assert_eq!(place.members("out"), all);
    for harmful in [
        "training.epochs=3",
        "regions.cr.selection=\"mass <= 0.6\"",
        "data.define.pt=\"eta\"",
        "ensemble.bootstrap=false",
    ] {
        let done = place.run("out", &["ensemble.members=4", harmful]);
        assert!(matches!(done.exit, Some(3 | 4)), "{harmful}: {done:?}");
    }
    assert_eq!(place.members("out"), all);
}

#[test]
fn other_words_on_figures_are_drawn_and_nothing_is_computed() {
    let place = Workplace::trained();
    let figure = || place.text("out/plots/losses.svg");
    let (plain, metrics) = (figure(), place.read("out/metrics.json"));
    let words = [
        "report.experiment=\"CMS\"",
        "report.status=\"Private Work\"",
        "report.luminosity=138",
        "report.com=13.6",
    ];
    let done = place.run("out", &words).exits(0);
    done.warns(["drawing the report"]).warns_not("applying");
    let page = place.text("out/report.html");
    for word in [">CMS<", ">Private Work<", ">138 fb", "> (13.6 TeV)<"] {
        assert!(figure().contains(word) && page.contains(word), "{word}");
    }
    assert!(!page.contains(">Sideband<"));
    // by the run's own configuration
    let config = place.text("out/config.toml");
    place.write(
        "out/config.toml",
        config.replace("Private Work", "Preliminary"),
    );
    place.sideband(&["report", "out"]).exits(0);
    assert!(figure().contains(">Preliminary<"));
    place.run("out", &[]).exits(0).warns_not("applying");
    assert_eq!(figure(), plain);
    assert_eq!(place.read("out/metrics.json"), metrics);
}

// ---- one state

#[test]
fn a_derived_file_that_is_damaged_is_made_anew() {
    let place = Workplace::trained();
    let manifest = place.json("out/manifest.json");
    let outputs = manifest["outputs"].as_object().unwrap().clone();
    for name in ["metrics.json", "report.html", "predictions/source.parquet"] {
        assert!(outputs.contains_key(name), "{name}");
    }
    assert!(outputs.keys().any(|name| name.ends_with(".svg")));
    let mut seen = Vec::new();
    for name in outputs.keys() {
        // one file of each ending
        let ending = name.rsplit('.').next().unwrap().to_owned();
        if seen.contains(&ending) {
            continue;
        }
        seen.push(ending);
        let path = place.path("out").join(name);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in [flipped, whole[..whole.len() / 2].to_vec(), Vec::new()] {
            fs::write(&path, damaged).unwrap();
            place.run("out", &[]).exits(0).warns_not("training");
            let again = fs::read(&path).unwrap();
            // the page says when it was made
            assert!(again == whole || name == "report.html", "{name}");
        }
    }
    // what is drawn is drawn by `report`, what is computed is not
    for (name, exit) in [("report.html", 0), ("metrics.json", 4)] {
        let file = format!("out/{name}");
        place.write(&file, place.text(&file) + "\n");
        place.sideband(&["report", "out"]).exits(exit);
    }
}

#[test]
fn figures_of_what_is_no_longer_asked_for_are_gone() {
    let place = Workplace::new();
    let variable = "report.variables=[{name = \"mass\", bins = 4}]";
    place.run("out", &[variable]).exits(0);
    let of_mass = || -> Vec<String> {
        let files = tree(&place.path("out/plots")).into_keys();
        let names = files.map(|path| path.display().to_string());
        names.filter(|name| name.contains("mass")).collect()
    };
    assert!(!of_mass().is_empty());
    place.write("out/plots/mass_of_mine.svg", "mine");
    place.run("out", &[]).exits(0);
    assert_eq!(of_mass(), ["mass_of_mine.svg"]);
}

/// Rewrites the table `[report]` of a run's own configuration.
fn change_report(place: &Workplace, run: &str, change: impl FnOnce(&mut toml::Table)) {
    let name = format!("{run}/config.toml");
    let mut config: toml::Table = place.text(&name).parse().unwrap();
    let none = toml::Value::Table(toml::Table::new());
    let report = config.entry("report").or_insert(none);
    change(report.as_table_mut().unwrap());
    place.write(&name, config.to_string());
}

#[test]
fn inspect_says_the_verdict_that_a_result_has_kept() {
    let place = Workplace::trained();
    let inspect = || place.sideband(&["inspect", "out"]).exits(0).stdout;
    let made = inspect();
    contains(&made, ["members  2 of 2", "sr: "]);
    // with these nothing would close, and a region would be missing
    change_report(&place, "out", |report| {
        report.insert("p_value".to_owned(), 0.999_999.into());
        report.insert("classifier_members".to_owned(), 7.into());
    });
    let config = place.text("out/config.toml");
    let region = "[regions.other]\nselection = \"1\"\n";
    place.write("out/config.toml", config + region);
    assert_eq!(inspect(), made);
}

#[test]
fn a_report_refuses_settings_that_its_numbers_do_not_have() {
    let place = Workplace::trained();
    let config = place.text("out/config.toml");
    let report = || place.sideband(&["report", "out"]);
    place.says_in("out/report.html", "components.members");
    for (setting, other) in [
        ("bins = 4", "bins = 5"),
        ("p_value = 0.01", "p_value = 0.5"),
    ] {
        contains(&config, [setting]);
        place.write("out/config.toml", config.replace(setting, other));
        let before = tree(&place.path("out"));
        let changed = format!("+ report.{other}");
        let words = [changed.as_str(), "`sideband run out/config.toml --out out`"];
        report().exits(3).warns(words);
        assert!(tree(&place.path("out")) == before);
        // that command, though this configuration stands in the run already
        let again = ["run", "out/config.toml", "--out", "out"];
        place.sideband(&again).exits(0).warns(["applying"]);
        report().exits(0);
        place.sideband(&again).exits(0).warns(["nothing to do"]);
    }
    // words are drawn
    let metrics = place.read("out/metrics.json");
    let mut config: toml::Table = place.text("out/config.toml").parse().unwrap();
    let mut insert = |table: [&str; 2], key: &str, value: &str| {
        let table = config[table[0]][table[1]].as_table_mut().unwrap();
        table.insert(key.to_owned(), value.into());
    };
    insert(["features", "labels"], "pt", "p_{T} [GeV]");
    insert(["regions", "sr"], "label", "Signal region");
    place.write("out/config.toml", config.to_string());
    report().exits(0);
    place.says_in("out/plots/sr_pt.svg", "[GeV]");
    place.says_in("out/plots/sr_pt.svg", "Signal region");
    assert_eq!(place.read("out/metrics.json"), metrics);
}

#[test]
fn a_report_of_a_matrix_has_the_words_of_its_configuration_and_no_stale_figure() {
    let place = Workplace::new();
    let compared = |variables: &str| {
        format!("comparison={{region='sr', variables=[{variables}], reweighting={{nominal='m'}}}}")
    };
    let run = |variables: &str| {
        let settings = [
            "matrix.region=['a', 'b']",
            "matrix.method=[{name='m', rate=0.001}]",
            "experiment.description=${region}",
            "training.learning_rate=${method.rate}",
            &compared(variables),
        ];
        place.run("out", &settings).exits(0)
    };
    let figures = || -> Vec<String> {
        let files = tree(&place.path("out/plots")).into_keys();
        let names = files.map(|path| path.display().to_string());
        names
            .filter(|name| !name.starts_with("residuals"))
            .collect()
    };
    let of = |variable: &str| -> Vec<String> {
        let endings = ["json", "pdf", "png", "svg"];
        let file = |row: &str| endings.map(|ending| format!("{row}_{variable}.{ending}"));
        ["a", "b"].into_iter().flat_map(file).collect()
    };
    run("'pt', 'eta'");
    let mut both = [of("pt"), of("eta")].concat();
    both.sort();
    assert_eq!(figures(), both);
    place.write("out/plots/mine.svg", "mine");
    let mine = ["mine.svg".to_owned()];
    run("'pt'").warns(["nothing to do"]);
    assert_eq!(figures(), [&of("pt")[..], &mine].concat());
    let config = place.text("out/config.toml");
    contains(&config, ["[\"pt\"]"]);
    place.write("out/config.toml", config.replace("[\"pt\"]", "[\"eta\"]"));
    change_report(&place, "out", |report| {
        report.insert("data_label".to_owned(), "other data".into());
        report.insert("experiment".to_owned(), "CMS".into());
        let rank_by: toml::Table = "kind = 'held_out_loss'".parse().unwrap();
        report.insert("rank_by".to_owned(), rank_by.into());
    });
    let done = place.sideband(&["report", "out"]).exits(0);
    done.says(["Held-out loss: 1. region="]);
    assert_eq!(figures(), [&of("eta")[..], &mine].concat());
    place.says_in("out/report.html", "Behind the first");
    for figure in [
        "plots/residuals",
        "ensembles/region=a,method=m/plots/losses",
    ] {
        let figure = place.text(&format!("out/{figure}.svg"));
        contains(&figure, [">other data", ">CMS<"]);
    }
}

#[test]
fn the_report_of_a_measurement_is_drawn_and_nothing_is_fitted() {
    let place = Workplace::shipped_measurement().with("out", &SHIPPED_MEASUREMENT);
    let whole = tree(&place.path("out"));
    // no samples are needed
    for name in [
        "samples",
        "report.html",
        "plots",
        "ensembles/S/report.html",
        "ensembles/S/plots",
    ] {
        place.remove(&format!("out/{name}"));
    }
    let again = place.sideband(&["report", "out"]).exits(0);
    let verdicts = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::to_owned);
        lines.filter(|line| !line.starts_with("re")).collect()
    };
    let made = verdicts(&SHIPPED_MEASUREMENT.done.stdout);
    assert_eq!(verdicts(&again.stdout), made);
    let now = tree(&place.path("out"));
    for (name, bytes) in &whole {
        if !name.starts_with("samples") {
            assert!(now.get(name) == Some(bytes), "{}", name.display());
        }
    }
    // with other words, if the configuration has them
    let label = |key: &str, value: &str| {
        change_report(&place, "out", |report| {
            report.insert(key.to_owned(), value.into());
        });
        place.sideband(&["report", "out"])
    };
    label("experiment", "CMS").exits(0);
    for figure in ["plots/likelihood_mu", "ensembles/S/plots/losses"] {
        let labelled = place.text(&format!("out/{figure}.svg"));
        let has = |word: &str| labelled.contains(word);
        assert!(has(">CMS<") && !has(">Sideband<"), "{figure}");
    }
    // also those that are in figures and tables, and what is drawn as heights
    let mut config: toml::Table = place.text("out/config.toml").parse().unwrap();
    for (path, value) in [
        (["parameters", "mu", "label"], "strength"),
        (["samples", "SBI", "label"], "all of it"),
        (["features", "labels", "x1"], "first [GeV]"),
        (["report", "data_label", ""], "other data"),
    ] {
        let [table, key, inner] = path;
        let table = config[table].as_table_mut().unwrap();
        let none = toml::Value::Table(toml::Table::new());
        let (table, key) = match inner {
            "" => (table, key),
            inner => (
                table.entry(key).or_insert(none).as_table_mut().unwrap(),
                inner,
            ),
        };
        table.insert(key.to_owned(), value.into());
    }
    config["report"]
        .as_table_mut()
        .unwrap()
        .insert("density".to_owned(), true.into());
    place.write("out/config.toml", config.to_string());
    let said = place.sideband(&["report", "out"]).exits(0).stdout;
    contains(&said, ["strength = "]);
    let labelled = place.text("out/plots/likelihood_mu.svg");
    contains(&labelled, [">strength<", ">other data<"]);
    let histogram = place.text("out/plots/histogram_all_postfit.svg");
    contains(
        &histogram,
        [">all of it<", ">first [GeV]<", ">Events / GeV<"],
    );
    contains(
        &place.text("out/ensembles/S/plots/losses.svg"),
        [">other data<"],
    );
    place.says_in("out/report.html", ">strength</td>");
    // numbers are those of before
    let unchanged = ["measurement.json", "page.json", "curves.parquet"];
    for name in unchanged {
        assert!(
            place.read(&format!("out/{name}")) == whole[Path::new(name)],
            "{name}"
        );
    }
    // what they depend on is refused
    change_report(&place, "out", |report| {
        report.insert("p_value".to_owned(), 0.2.into());
    });
    let refused = place.sideband(&["report", "out"]).exits(3);
    refused.warns(["+ report.p_value = 0.2", "`sideband run "]);
}

#[test]
fn the_report_of_a_measurement_is_drawn_of_what_can_be_read() {
    let place = Workplace::shipped_measurement().with("out", &SHIPPED_MEASUREMENT);
    let page = place.text("out/page.json");
    for (from, to, reason) in [
        (
            "{\"format\":2,",
            "{\"format\":9,",
            "has format 9, this program knows 1 to 2",
        ),
        ("\"file\":\"", "\"file\":\"../", "is no name of a figure"),
        ("\"edges\":[", "\"edges\":[null,", "not readable: "),
    ] {
        assert!(page.contains(from), "{from}");
        place.write("out/page.json", page.replacen(from, to, 1));
        place.sideband(&["report", "out"]).exits(4).warns([reason]);
    }
    // a figure that cannot be drawn ends nothing
    let more = page.replacen("\"edges\":[", "\"edges\":[-1e9,", 1);
    place.write("out/page.json", more);
    let done = place.sideband(&["report", "out"]).exits(0);
    done.warns(["the figure histogram_all_prefit is not drawn"]);
}

// ---- what lies in a run directory may be somebody else's

/// `a` as a copy of the run `out`.
fn fresh_copy(place: &Workplace) -> PathBuf {
    place.remove("a");
    copy(&place.path("out"), &place.path("a"));
    place.path("a")
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_by_what_they_are() {
    let place = Workplace::trained();
    let files = "manifest.json config.toml metrics.json log.jsonl figures.json report.html \
                 members/member_0001.safetensors checkpoints/member_0001.safetensors \
                 predictions/source.parquet plots/report.toml claims/block_00000.open \
                 claims/block_00000.new claims/.clock batch/jobs.json logs/x.jsonl";
    for name in files.split(' ') {
        let path = fresh_copy(&place).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        place.remove(&format!("a/{name}"));
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        place.remove("a/members/member_0000.safetensors");
        for command in [
            &["status", "a"][..],
            &["inspect", "a"],
            &["report", "a"],
            &["predict", "a", "source.parquet", "--out", "p.parquet"],
            &["extend", "a", "--members", "3"],
            &["worker", "a"],
            &["merge", "out", "a"],
            &["cancel", "a"],
            &["run", "config.toml", "--out", "a"],
        ] {
            let done = place.start(command).end().exits(4);
            let said = done.stderr.contains("not a regular file but a pipe");
            assert!(said, "{name} {command:?}: {}", done.stderr);
        }
    }
}

#[cfg(unix)]
#[test]
fn nothing_is_written_or_removed_through_a_link() {
    use std::os::unix::fs::symlink;
    let place = Workplace::trained();
    fs::create_dir(place.path("victim")).unwrap();
    place.write("victim/mine", "my own file");
    let victim = tree(&place.path("victim"));
    let names = "members checkpoints predictions plots claims workers logs batch aside log.jsonl \
                 claims/.clock claims/block_00000.open";
    for name in names.split(' ') {
        let path = fresh_copy(&place).join(name);
        place.remove("a/members/member_0001.safetensors");
        place.remove(&format!("a/{name}"));
        let is_file = name.contains('.');
        let target = if is_file { "victim/mine" } else { "victim" };
        symlink(place.path(target), &path).unwrap();
        for command in [
            &["run", "config.toml", "--out", "a"][..],
            &["extend", "a", "--members", "3"],
            &["worker", "a"],
            &["status", "a"],
        ] {
            let done = place.start(command).end();
            assert!(tree(&place.path("victim")) == victim, "{name} {command:?}");
            if !is_file {
                done.exits(4).warns(["symbolic link"]);
            }
        }
    }
    // files that are written by rename take the link's place
    let a = fresh_copy(&place);
    for name in ["metrics.json", "report.html", "predictions/source.parquet"] {
        place.remove(&format!("a/{name}"));
        symlink(place.path("victim/mine"), a.join(name)).unwrap();
    }
    place.run("a", &[]).exits(0);
    assert!(tree(&place.path("victim")) == victim);
    assert!(place.read("a/metrics.json") == place.read("out/metrics.json"));
}

#[test]
fn only_files_of_the_program_are_swept() {
    let place = Workplace::trained();
    let old = SystemTime::now() - Duration::from_secs(30 * 86_400);
    let mine = "members/notes.tmp thesis.tmp predictions/a.1-0.tmp logs/letters.jsonl \
                plots/mine.svg workers/mine.json aside/mine.txt";
    let mine: Vec<PathBuf> = mine
        .split(' ')
        .map(|name| place.path("out").join(name))
        .collect();
    for path in &mine {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
        set_modified(path, old);
    }
    place.run("out", &["report.bins=5"]).exits(0);
    extend(&place, "3").exits(0);
    place.sideband(&["worker", "out"]).exits(0);
    for path in mine {
        assert_eq!(fs::read(&path).unwrap(), b"mine", "{}", path.display());
    }
}

fn set_modified(path: &Path, time: SystemTime) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

#[cfg(unix)]
#[test]
fn a_plan_uses_no_folder_that_was_there_before() {
    let place = Workplace::shipped_measurement();
    for folder in ["tmp", "victim", "victim/samples"] {
        fs::create_dir(place.path(folder)).unwrap();
    }
    place.write("victim/samples/S.parquet", "my own file");
    let script = "ln -s \"$PWD/victim\" \"$TMPDIR/sideband-plan-$$\"; \
                  exec \"$0\" plan config.toml --no-calibration";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_sideband")])
        .current_dir(place.path("."))
        .env("TMPDIR", place.path("tmp"))
        .output()
        .unwrap();
    Done::of(output).exits(0);
    assert_eq!(place.read("victim/samples/S.parquet"), b"my own file");
    assert_eq!(tree(&place.path("victim")).len(), 1);
    // its own folder is gone, the planted link is not touched
    assert_eq!(fs::read_dir(place.path("tmp")).unwrap().count(), 1);
}

// ---- clocks

#[test]
fn a_claim_whose_date_lies_ahead_does_not_last_for_ever() {
    let place = Workplace::new();
    let settings = ["executor.stale_seconds=2"];
    place.run("out", &settings).exits(0);
    let member = place.member("out", 1);
    for token in [
        "block_00000.elsewhere-00000000000000aa-7-1-0_0.held",
        "block_00000.new",
    ] {
        fs::remove_file(&member).unwrap();
        let path = place.path("out/claims").join(token);
        fs::write(&path, "{}").unwrap();
        set_modified(&path, SystemTime::now() + Duration::from_secs(30 * 86_400));
        let run = place.start(&Workplace::run_arguments("out", &settings));
        run.end().exits(0);
        assert!(member.exists() && !path.exists(), "{token}");
    }
}

// ---- text for people

#[test]
fn no_command_reaches_the_terminal() {
    let evil = "a\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{202e}b\nc\td\u{2028}e\u{7f}";
    let clean = |text: &str| {
        let is_bad = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2028}".contains(c);
        assert!(!text.contains(is_bad), "{text:?}");
    };
    let place = Workplace::new();
    place.edit("source.parquet", |columns| {
        let values = columns.get("pt").clone();
        columns.set(evil, values);
    });
    let check = |arguments: &[&str]| {
        let done = place.sideband(arguments);
        clean(&done.stdout);
        clean(&done.stderr);
        done
    };
    let done = check(&["inspect", "source.parquet"]).exits(0);
    // the table has a line for each column
    assert_eq!(done.stdout.lines().count(), 4 + 7, "{}", done.stdout);
    done.says([r"a\x1b]0;title\x07\x1b[2J\x9b31m\u{202e}b\x0ac\x09d"]);
    let done = check(&["inspect", "source.parquet", "--json"]).exits(0);
    assert_eq!(done.json()["columns"][6]["name"], evil);
    // in messages: of the command line, of a file, of a configuration
    check(&["inspect", &format!("no{evil}where.parquet")]);
    check(&[&format!("no{evil}command")]).exits(2);
    check(&["status", &format!("no{evil}run")]).exits(4);
    let name = serde_json::to_string(evil).unwrap();
    let setting = format!("features.inputs=[{name}]");
    check(&["run", "config.toml", "--set", &setting]);
    let setting = format!("device.name={name}");
    check(&["plan", "config.toml", "--set", &setting]);
    // what others say in a run directory
    place.run("out", &[]).exits(0);
    let manifest = place.text("out/manifest.json");
    place.write("out/manifest.json", manifest.replace("\"cpu\"", &name));
    check(&["inspect", "out"]).exits(0);
    place.write("out/config.toml", format!("x = '{evil}'"));
    check(&["status", "out"]);
}

// ---- batch systems

/// Commands of a batch system that do what `scripts` say.
#[cfg(unix)]
fn commands(place: &Workplace, scripts: &[(&str, &str)]) -> String {
    use std::os::unix::fs::PermissionsExt;
    let folder = place.path("bin");
    fs::create_dir_all(&folder).unwrap();
    for (name, script) in scripts {
        let path = folder.join(name);
        let text = format!(
            "#!/bin/sh\necho \"{name} $*\" >> '{}'\n{script}\n",
            place.path("calls").display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[cfg(unix)]
fn calls(place: &Workplace, command: &str) -> Vec<String> {
    let text = fs::read_to_string(place.path("calls")).unwrap_or_default();
    let lines = text.lines().map(str::to_owned);
    lines
        .filter(|line| line.split(' ').next() == Some(command))
        .collect()
}

#[cfg(unix)]
fn start_in_batch(place: &Workplace, path: &str, settings: &[&str]) -> Running {
    let settings = [settings, &["executor.poll_seconds=0.1"]].concat();
    let mut command = place.command(&Workplace::run_arguments("out", &settings));
    Running::start(command.env("PATH", path))
}

/// Asks it to stop, and waits until it has.
#[cfg(unix)]
fn interrupt(mut child: Running) -> Done {
    child.signal("-INT");
    child.end().exits(130)
}

#[cfg(unix)]
#[test]
fn submissions_end_also_where_nobody_gives_a_number() {
    for (system, submit, ask) in [
        ("slurm", "sbatch", "squeue"),
        ("htcondor", "condor_submit", "condor_q"),
    ] {
        let place = Workplace::new();
        let path = commands(&place, &[(submit, "exit 0"), (ask, "exit 0")]);
        let kind = format!("executor.kind=\"{system}\"");
        let settings = [&*kind, "executor.resubmissions=1"];
        let done = start_in_batch(&place, &path, &settings).end().exits(70);
        done.warns(["gave no number"]);
        assert_eq!(calls(&place, submit).len(), 2, "{system}");
    }
}

#[cfg(unix)]
#[test]
fn an_interruption_does_not_wait_for_a_batch_system() {
    for hanging in ["squeue", "sbatch"] {
        let place = Workplace::new();
        let scripts = [("sbatch", "echo 100"), ("squeue", "exit 0")];
        let hang = |(name, script)| (name, if name == hanging { "sleep 300" } else { script });
        let path = commands(&place, &scripts.map(hang));
        let child = start_in_batch(&place, &path, &["executor.kind=\"slurm\""]);
        wait_until("a command that hangs", || {
            !calls(&place, hanging).is_empty()
        });
        std::thread::sleep(Duration::from_millis(200));
        let started = Instant::now();
        let done = interrupt(child);
        assert!(started.elapsed() < Duration::from_secs(9), "{hanging}");
        if hanging == "sbatch" {
            done.warns(["waiting up to 5 s for sbatch"]);
        }
    }
}

#[cfg(unix)]
#[test]
fn only_jobs_of_the_run_itself_are_cancelled() {
    use std::os::unix::fs::MetadataExt;
    let place = Workplace::new();
    let path = commands(&place, &[("sbatch", "echo 100"), ("squeue", "sleep 300")]);
    let child = start_in_batch(&place, &path, &["executor.kind=\"slurm\""]);
    wait_until("a submission", || !calls(&place, "squeue").is_empty());
    interrupt(child);
    let file = "out/batch/jobs.json";
    let good = place.text(file);
    let job = place.json(file)["jobs"][0]["name"].clone();
    let name = job.as_str().unwrap();
    let uid = fs::metadata(place.path(file)).unwrap().uid();
    let cancel = |record: &str, queue: &str| -> (Done, Vec<String>) {
        place.write(file, record);
        place.remove("calls");
        let queue = format!("printf '%s\\n' '{queue}'");
        let path = commands(&place, &[("squeue", &queue), ("scancel", "exit 0")]);
        let mut command = place.command(&["cancel", "out"]);
        let done = Done::of(command.env("PATH", path).output().unwrap());
        (done, calls(&place, "scancel"))
    };
    let own = format!("100_0|{name}|RUNNING|None|{uid}");
    // somebody else's record
    for (old, new) in [
        ("\"100\"", "\"100 101\""),
        ("\"100\"", "\"--user=me\""),
        ("\"100\"", "\"-u\""),
        ("\"100\"", "\"100;x --me\""),
        (name, "thesis"),
        (name, "*"),
    ] {
        let (done, calls) = cancel(&good.replacen(old, new, 1), &own);
        done.fails();
        assert!(calls.is_empty(), "{new}: {calls:?}");
    }
    // the queue says that the number is another's
    for queue in [
        format!("100_0|thesis|RUNNING|None|{uid}"),
        format!("100_0|{name}|RUNNING|None|{}", uid + 1),
        format!("101_0|{name}|RUNNING|None|{uid}"),
        String::new(),
    ] {
        let (_, calls) = cancel(&good, &queue);
        assert!(calls.is_empty(), "{queue}: {calls:?}");
    }
    let (done, calls) = cancel(&good, &own);
    done.exits(0);
    assert_eq!(calls.len(), 1);
    assert!(calls[0].ends_with(" 100") && calls[0].contains(&format!("--name={name}")));
}

#[test]
fn options_are_read_as_the_batch_system_reads_them() {
    let place = Workplace::new();
    for (key, option) in [
        ("slurm.options", "--exclude=n --array=1"),
        ("slurm.options", "--outp=x"),
        ("slurm.options", "-Ha1"),
        ("slurm.options", "--wrap true"),
        ("slurm.options", "--exclude=n\n#SBATCH --array=1"),
        ("slurm.setup", "#PBS -o x"),
        ("htcondor.options", "queue = 5"),
        ("htcondor.options", "+Cmd = \"/bin/true\""),
        ("htcondor.options", "include : f = x"),
        ("htcondor.options", "rank = 1 \\"),
    ] {
        let setting = format!("executor.{key}=[{option:?}]");
        let done = place.run("out", &[&setting]).exits(3);
        done.warns(["executor."]);
    }
}

// ---- the environment

#[test]
fn no_variable_of_the_environment_hangs_or_ends_the_program() {
    let place = Workplace::new();
    for (name, value, exit) in [
        ("RAYON_NUM_THREADS", "1000000000", 0),
        ("RAYON_NUM_THREADS", "abc", 0),
        ("RAYON_NUM_THREADS", "-1", 0),
        ("RAYON_RS_NUM_CPUS", "100000", 0),
        ("RUST_MIN_STACK", "99999999999999", 2),
        ("RUST_MIN_STACK", "1", 2),
        ("RUST_MIN_STACK", "abc", 0),
        ("RUST_BACKTRACE", "full", 0),
        ("RUST_LOG", "trace", 0),
        ("TMPDIR", "/no/such/folder", 0),
        ("HOME", "", 0),
        ("COLUMNS", "0", 0),
        ("COLUMNS", "-99999999999999999999", 0),
        ("TERM", "nonsense", 0),
        ("NO_COLOR", "1", 0),
        ("CLICOLOR_FORCE", "1", 0),
        ("LANG", "xx_YY.nonsense", 0),
        ("SLURM_ARRAY_TASK_ID", "abc", 0),
        ("OMP_NUM_THREADS", "1000000", 0),
        ("PATH", "", 0),
    ] {
        let mut command = place.command(&["run", "config.toml", "--out", "out"]);
        let done = Running::start(command.env(name, value)).end();
        assert_eq!(done.exit, Some(exit), "{name}={value}: {}", done.stderr);
        if exit != 0 {
            done.warns([name]);
        }
        place.remove("out/metrics.json");
    }
    let done = place.run("out", &["device.threads=1000000"]).exits(3);
    done.warns(["device.threads"]);
}
