//! The scale of a sample: what other trees of its files add up to, on every weight.

use crate::support::{Columns, Numbers, Workplace, contains, list, number, root, singles};

fn files(name: &str) -> String {
    let path = root().join("tests/data/root").join(name);
    format!("{}:Events", path.display())
}

/// Both files, whose genEventSumw add up to 300, are reweighted to the first.
fn place() -> Workplace {
    let config = format!(
        r#"
        experiment = {{ name = "small", method = "reweight" }}
        device.threads = 1
        regions.all.selection = "eta < 1.5"
        regions.soft.selection = "pt < 40"
        features.inputs = ["pt", "eta"]
        model.hidden = [8]
        training = {{ region = "all", batch = 64, epochs = 2 }}
        ensemble.members = 2
        report = {{ bins = 4, classifier_members = 0 }}
        [data.define]
        xsec = "30.0"
        lumi = "2"
        [data.source]
        path = {:?}
        weight = "genWeight"
        scale = "xsec * lumi / sum(Runs.genEventSumw)"
        id = ["run", "event"]
        namespace = "s"
        [data.target]
        path = {:?}
        weight = "genWeight"
        scale = 3
        id = ["run", "event"]
        "#,
        files("nano_*.root"),
        files("nano_1.root")
    );
    Workplace::with_configuration(config)
}

/// Whether all weights are one of the generator's, 1.5 and -0.5, times a factor.
fn are_scaled(place: &Workplace, file: &str, scale: f64) {
    let weights = place.events(file).numbers("weight");
    let mut found = weights.clone();
    found.sort_by(f64::total_cmp);
    found.dedup();
    assert_eq!(found, [scale * -0.5, scale * 1.5], "{file}");
    assert!(weights.len() >= 390, "{}", weights.len());
}

#[test]
fn a_scale_is_on_every_weight_and_on_record() {
    let place = place();
    let plan = place.plan(&[]).exits(0);
    plan.warns_not("generator's weight").says([
        "data.source: weights are scaled by 0.2.",
        "data.target: weights are scaled by 3.0.",
    ]);
    place.run_quietly("out", &[]).exits(0);
    are_scaled(&place, "out/predictions/source.parquet", 0.2);
    let metrics = place.json("out/metrics.json");
    let manifest = place.json("out/manifest.json");
    for losses in [&metrics["losses"], &manifest["losses"]] {
        let scales = list(losses).iter().map(|sample| number(&sample["scale"]));
        assert_eq!(scales.collect::<Vec<_>>(), [0.2, 3.0]);
    }
    place.says_in("out/report.html", "scaled by 0.2");
    // the same without a scale: sums of weights are in proportion
    let plain = ["data.source.scale=1", "data.target.scale=1.0"];
    place.run_quietly("plain", &plain).exits(0);
    are_scaled(&place, "plain/predictions/source.parquet", 1.0);
    let plain = place.json("plain/metrics.json");
    for (k, scale) in [0.2, 3.0].into_iter().enumerate() {
        let [scaled, own] = [&metrics, &plain].map(|m| number(&m["training_yields"][k]));
        assert!((scaled / own - scale).abs() < 1e-12, "{scaled} {own}");
    }
    // new events have the run's number, or a weight that is given with none
    let first = files("nano_1.root");
    place.predict("out", &first, "new.parquet");
    are_scaled(&place, "new.parquet", 0.2);
    let own = [
        "predict",
        "out",
        &first,
        "--out",
        "own.parquet",
        "--weight",
        "genWeight",
    ];
    place.sideband(&own).exits(0);
    are_scaled(&place, "own.parquet", 1.0);
    // another value is another result
    let other = place.run("out", &["data.define.lumi='4'"]);
    other.fails().warns(["lumi"]);
}

#[test]
fn a_matrix_has_its_scales() {
    let place = place();
    let matrix = [
        "matrix.factor=[-2, 3]",
        "data.source.scale='sum(Runs.genEventSumw) * ${factor}^2'",
    ];
    // the value keeps its precedence
    place.plan(&matrix).exits(0).says(["scaled by 1200.0."]);
}

#[test]
fn what_is_no_scale_is_refused_by_key() {
    let place = place();
    let both = ["source", "target"];
    for value in ["0", "-1.5", "inf", "nan", "true"] {
        for role in both {
            let setting = format!("data.{role}.scale={value}");
            let key = format!("`data.{role}.scale`");
            place.refuses(&[&setting], &[&key]);
        }
    }
    place.refuses(
        &["data.source.scale='2 * genWeight'"],
        &["`data.source.scale`", "`genWeight` is no definition", "^"],
    );
    let sum = "data.source.scale='1 / sum(Rums.genEventSumw)'";
    let done = place.plan(&[sum]).exits(4);
    done.warns(["`data.source.scale`", "no tree `Rums`", "Runs"]);
    let negative = format!("data.source.path={}", files("nano_2.root"));
    let done = place.plan(&[&negative]).exits(4);
    done.warns(["`data.source.scale`", "sum(Runs.genEventSumw) = -99.75"]);
    // what the target's files add up to may tell of hidden events
    let hidden = [
        "data.target.scale='1 / len(Events.pt)'",
        "regions.sr={ selection = 'eta >= 1.5', blind = true }",
    ];
    let words = ["`data.target.scale`", "hidden", "write it as a number"];
    place.refuses(&hidden, &words);
    place.refuses(
        &["data.target.scale='xsec * pt'", hidden[1]],
        &["`pt` is no definition"],
    );
    let constant = ["data.target.scale='xsec / 10'", hidden[1]];
    place.plan(&constant).exits(0).says(["scaled by 3.0."]);
    let parquet = Workplace::new();
    let done = parquet.plan(&["data.source.scale='sum(Runs.x)'"]).exits(4);
    done.warns(["source.parquet: it is no ROOT file", "no tree `Runs`"]);
}

#[test]
fn a_generators_weight_without_a_scale_is_noted() {
    let place = place();
    place.configure(&[("        scale = 3\n", "")]);
    let done = place.plan(&[]).exits(0);
    done.warns(["`data.target.weight`: `genWeight` is a generator's weight"])
        .warns_not("`data.source.weight`");
    place
        .run("out", &[])
        .exits(0)
        .warns(["`data.target.scale`"]);
}

/// S is the first file, with two rows of `Runs`, and the second, with one, where it is varied.
/// Sums of genWeight in the region are 316.5 and 334.5 there, as uproot reads them.
#[test]
fn a_measurements_rates_have_the_scale_of_their_own_files() {
    let place = Workplace::measurement(1, 10, [1.0, 1.0], [1.0, 1.0]);
    place.configure(&[
        ("[observed]\npath = \"obs.parquet\"\n", ""),
        ("\"reg == 0\"", "\"eta < 0.5\""),
        ("\"reg == 1\"", "\"eta >= 0.5\""),
        ("observable = \"z\"", "observable = \"pt\""),
        ("[-4.0, -1.0, 0.0, 1.0, 4.0]", "[0.0, 30.0, 1000.0]"),
        ("weight = \"w\"", "weight = \"genWeight\""),
        ("inputs = [\"x\"]", "inputs = [\"eta\"]"),
    ]);
    let (first, second) = (files("nano_1.root"), files("nano_2.root"));
    let settings = [
        format!("samples.S.path={first}"),
        format!("samples.B.path={second}"),
        format!("systematics.gen.samples.S.up.path={second}"),
        "systematics.gen.samples.S.down.weight=0.5 * genWeight".to_owned(),
        "systematics.gen.shape=false".to_owned(),
    ];
    let plan = |more: &[&str]| {
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        place.plan(&[&settings[..], more].concat())
    };
    plan(&["samples.S.scale=2"]).exits(0).says([
        "rate 633",
        "scaled by 2.0",
        "gen on S: rate x 0.5000 at -1, x 1.0569 at +1",
    ]);
    let done = plan(&["data.define.k='0.5'", "samples.S.scale='k / len(Runs.run)'"]).exits(0);
    done.warns(["`samples.B.weight`"])
        .warns_not("`samples.S.weight`")
        .says([
            "rate 79.",
            "scaled by 0.25",
            "gen on S: rate x 0.5000 at -1, x 2.1137 at +1",
        ]);
    for (scale, words) in [
        (
            "genWeight",
            ["`samples.S.scale`", "`genWeight` is no definition"],
        ),
        (
            "0",
            ["`samples.S.scale`", "a factor above 0, or an expression"],
        ),
    ] {
        plan(&[&format!("samples.S.scale={scale}")])
            .exits(3)
            .warns(words);
    }
    let negative = plan(&["samples.S.scale='1 / sum(Runs.genEventSumw)'"]).exits(4);
    let place = "`samples.S.scale (in systematics.gen.samples.S.up)`";
    negative.warns([place, "sum(Runs.genEventSumw) = -99.75"]);
}

#[test]
fn init_writes_the_scale_of_events_with_a_sum_of_weights() {
    let place = Workplace::with_configuration("");
    let init = |data: &[&str], out: &str| {
        let arguments = [&["init"][..], data, &["--out", out]].concat();
        place.sideband(&arguments).exits(0)
    };
    // a file of one sample alone, with the first one's events
    let mut first = std::fs::read(root().join("tests/data/root/nano_1.root")).unwrap();
    first.push(0);
    place.write("first.root", first);
    let both = ["first.root:Events".to_owned(), files("nano_*.root")];
    let done = init(&both.each_ref().map(|s| &**s), "two.toml");
    done.says(["weight genWeight", "[data.define]"]);
    let text = place.text("two.toml");
    contains(
        &text,
        [
            "weight = \"genWeight\"\nscale = \"xsec_source * lumi / sum(Runs.genEventSumw)\"",
            "scale = \"xsec_target * lumi / sum(Runs.genEventSumw)\"",
            "xsec_source = \"1\"",
            "lumi = \"1\"",
            "id = [\"run\", \"luminosityBlock\", \"event\"]",
        ],
    );
    let plan = ["plan", "two.toml", "--no-calibration"];
    let done = place.sideband(&plan).exits(0);
    done.says(["data.target: weights are scaled by 0.00333"]);
    // recorded events have neither
    let mut numbers = Numbers::new(5);
    let mut column = || singles((0..300).map(|_| numbers.normal()).collect::<Vec<f64>>());
    let recorded = Columns::numbered(5000, 300)
        .with("pt", column())
        .with("eta", column());
    place.put("recorded.parquet", &recorded);
    init(&[&both[0], "recorded.parquet"], "mixed.toml");
    let text = place.text("mixed.toml");
    contains(&text, ["scale = \"xsec_source * lumi", "lumi = \"1\""]);
    assert_eq!(text.matches("genWeight").count(), 1, "{text}");
    assert!(!text.contains("xsec_target"), "{text}");
}
