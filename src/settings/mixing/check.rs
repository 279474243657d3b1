//! Values of `[mixing]` that no run could use, found before any file is opened.

use super::super::ranges::{Checked, ensure, ensure_known, ensure_name, missing};
use super::super::raw::Config;
use super::{BiasUse, Fidelity, LibraryBlind, MixingConfig, Queries};
use crate::error::Error;
use crate::events::builtin_names;
use sideband_numerics::expression::is_plain_name;

/// Bins above the highest order.
const SPARE: usize = 3;

impl MixingConfig {
    pub(super) fn check(&self, whole: &Config) -> Checked {
        whole.check()?;
        let refuse = |key: &str, is_there: bool, why: &str| match is_there {
            true => Err(Error::config_at(key, format!("{why}; leave it out"))),
            false => Ok(()),
        };
        let matrix = "nothing with `method = \"mix\"`, whose ensembles are those of the sets";
        refuse("matrix", !whole.matrix.is_empty(), matrix)?;
        refuse("comparison", whole.comparison.is_some(), matrix)?;
        let in_memory = "nothing with `method = \"mix\"`, whose events are held in memory";
        refuse("data.stream", whole.data.stream.is_some(), in_memory)?;
        let Some(jets) = &whole.data.jets else {
            return Err(missing("data", "jets"));
        };
        if jets.candidates.is_none() {
            return Err(missing("data.jets", "candidates"));
        }
        for (key, text) in [
            ("pt", &jets.pt),
            ("eta", &jets.eta),
            ("phi", &jets.phi),
            ("mass", &jets.mass),
            ("tagged", &jets.tagged),
        ] {
            let allowed = "the name of a column with `method = \"mix\"`: mixed events have such a \
                           column too";
            let key = format!("data.jets.{key}");
            ensure(is_plain_name(text.trim()), &key, text, allowed)?;
        }
        let is_named = whole.data.source.iter().any(|source| !source.id.is_empty());
        let is_source = self.queries == Queries::Source;
        let fine = self.fidelity == Fidelity::Plain || is_source && is_named;
        let allowed =
            "\"plain\" unless the queries are the source's, and data.source.id names them";
        ensure(fine, "mixing.fidelity", self.fidelity, allowed)?;
        let is_blind = whole.regions.values().any(|region| region.blind);
        let fine = self.library_blind == LibraryBlind::Exclude || is_source || !is_blind;
        let allowed = "\"exclude\" with mixing.queries = \"target\" and a blind region: hidden \
                       events may lend their hemispheres, and are never mixed themselves";
        ensure(fine, "mixing.library_blind", self.library_blind, allowed)?;
        let pseudo_tagged = self.tags <= jets.max;
        let allowed = format!("at most data.jets.max = {}", jets.max);
        ensure(pseudo_tagged, "mixing.tags", self.tags, allowed)?;
        let ids: Vec<&String> = whole.data.samples().flat_map(|(_, s)| &s.id).collect();
        for column in &self.event_columns {
            let is_own = column.starts_with("mix_")
                || ids.contains(&column)
                || builtin_names().any(|name| name == column);
            let allowed = "names of columns of the events, none of them an id or made of jets";
            let fine = is_plain_name(column) && !is_own;
            ensure(fine, "mixing.event_columns", column, allowed)?;
        }
        if self.uncertainties.is_empty() {
            return Err(missing("mixing", "uncertainties"));
        }
        for (name, of) in &self.uncertainties {
            ensure_name("mixing.uncertainties", name)?;
            let key = |key: &str| format!("mixing.uncertainties.{name}.{key}");
            let known = whole.regions.keys();
            ensure_known(&key("region"), &of.region, "a name under [regions]", known)?;
            let is_apart = of.region != whole.training.region;
            let allowed = "another region than training.region, in which models are fitted";
            ensure(is_apart, &key("region"), &of.region, allowed)?;
            let bins = of.bins.len() - 1;
            let allowed = format!(
                "at least {} bins with max_order = {}",
                of.max_order + SPARE,
                of.max_order
            );
            ensure(bins >= of.max_order + SPARE, &key("bins"), bins, allowed)?;
            let fine = of.bias == BiasUse::Uncertainty || self.has_parent_errors();
            let allowed = "\"uncertainty\" with mixing.errors = \"independent\": a correction \
                           needs errors that know shared parents";
            ensure(fine, &key("bias"), of.bias, allowed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::parse::parse_experiment;
    use super::super::{DATA, Sets};

    const TEXT: &str = r#"
        experiment = { name = "m", method = "mix" }
        data.source = { path = "a", weight = "w", id = ["run", "event"] }
        data.target = { path = "b", weight = "w", id = ["run", "event"] }
        data.jets.candidates = "min_dr"
        regions.sr = { selection = "in_sr", blind = true }
        regions.vr = { selection = "x > 1" }
        regions.cr = { selection = "!in_sr" }
        features = { inputs = ["log_pt2"] }
        training = { region = "cr" }
        report.classifier_members = 7
        [mixing.uncertainties.main]
        region = "sr"
        observable = "m_hh"
        bins = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    "#;

    fn parse(settings: &[&str]) -> crate::error::Result<super::super::super::Experiment> {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        parse_experiment(TEXT, &settings)
    }

    #[test]
    fn there_is_an_ensemble_of_the_data_and_one_of_each_set() {
        let experiment = parse(&["mixing.sets=3"]).unwrap();
        let names: Vec<&str> = experiment.ensembles.iter().map(|e| &*e.name).collect();
        assert_eq!(names, [DATA, "set_00", "set_01", "set_02"]);
        let [data, set] = [0, 2].map(|place| &experiment.ensembles[place].config);
        assert!(data.regions["sr"].blind && data.regions.contains_key("vr"));
        assert!(!set.regions["sr"].blind && !set.regions.contains_key("vr"));
        assert_eq!(data.report.classifier_members, 7);
        assert_eq!(set.report.classifier_members, 0);
        let target = &set.data.target;
        assert_eq!(target.selection.as_deref(), Some("mix_set == 1"));
        assert_eq!(target.id, ["run", "event", Sets::PAIR]);
        assert_eq!(target.path.to_list()[2], "run:mixing/set_02.parquet");
        let edges = &set.report.variables[0].bins;
        let expected: Vec<f64> = (0..=10).map(f64::from).collect();
        assert_eq!(*edges, super::super::super::Bins::Edges(expected));
        // sets share a family, and no member is that of another set
        use super::super::super::IdentityOf::{Family, Member};
        let [one, other] = [1, 2].map(|place| &experiment.ensembles[place].config);
        assert_eq!(one.identity(Family), other.identity(Family));
        assert_ne!(one.identity(Member), other.identity(Member));
        assert!(experiment.check_uses().is_ok());
    }

    #[test]
    fn what_no_mixing_could_use_is_refused_by_key() {
        for (setting, key) in [
            ("matrix.x=[1, 2]", "matrix"),
            ("data.stream={}", "data.stream"),
            ("mixing.method=interpolate", "mixing.method"),
            ("mixing.sets=2", "mixing.sets"),
            ("mixing.pairs=0", "mixing.pairs"),
            ("mixing.caps=[0, 4, 2]", "mixing.caps"),
            ("mixing.groups=1", "mixing.groups"),
            (
                "mixing={fidelity='ratio', queries='target'}",
                "mixing.fidelity",
            ),
            (
                "mixing={library_blind='include', queries='target'}",
                "mixing.library_blind",
            ),
            ("mixing.tags=9", "mixing.tags"),
            ("mixing.event_columns=['mix_k']", "mixing.event_columns"),
            ("mixing.event_columns=['n_jets']", "mixing.event_columns"),
            ("mixing.event_columns=['event']", "mixing.event_columns"),
            ("mixing.uncertainties={}", "mixing"),
            ("data.jets.pt='jet_pt * 2'", "data.jets.pt"),
            (
                "mixing.uncertainties.main.region=cr",
                "mixing.uncertainties.main.region",
            ),
            (
                "mixing.uncertainties.main.region=no",
                "mixing.uncertainties.main.region",
            ),
            (
                "mixing.uncertainties.main.bins=[1, 2, 3]",
                "mixing.uncertainties.main.bins",
            ),
            (
                "mixing.uncertainties.main.bins=[1, 3, 2]",
                "mixing.uncertainties.main.bins",
            ),
            (
                "mixing.uncertainties.main.max_order=6",
                "mixing.uncertainties.main.bins",
            ),
            (
                "mixing.uncertainties.main.p_value=1.5",
                "mixing.uncertainties.main.p_value",
            ),
        ] {
            let text = parse(&[setting]).unwrap_err().to_string();
            assert!(text.starts_with(&format!("`{key}`")), "{setting}: {text}");
        }
        let both = [
            "mixing.errors=independent",
            "mixing.uncertainties.main.bias=correct",
        ];
        let text = parse(&both).unwrap_err().to_string();
        assert!(
            text.starts_with("`mixing.uncertainties.main.bias`"),
            "{text}"
        );
    }

    #[test]
    fn a_mixing_belongs_to_its_method() {
        let other = parse(&["experiment.method=ratio"]).unwrap();
        let text = other.check_uses().unwrap_err().to_string();
        assert!(text.starts_with("`mixing`"), "{text}");
        let none = TEXT.split("[mixing.").next().unwrap();
        let text = parse_experiment(none, &[]).unwrap_err().to_string();
        assert!(text.contains("key `mixing` is missing"), "{text}");
    }
}
