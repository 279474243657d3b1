//! Settings that would have no effect: each key that only some configurations use,
//! and which those are.
//!
//! What a file shares between the ensembles of a matrix may be used by some of them
//! alone; a key that none of them uses is refused, unless it says what is so anyway.

use super::matrix::EnsembleSpec;
use super::parse::Experiment;
use super::ranges::lookup;
use super::raw::{Config, Method, RankBy};
use super::training::Split;
use crate::error::{Context, Error, Kind, Result, counted};
use sideband_numerics::expression::written;
use toml::Value;

/// Settings that not every configuration uses.
struct Use {
    keys: &'static str,
    /// Whether a configuration uses them.
    by: fn(&Config) -> bool,
    /// The same in words.
    words: &'static str,
}

const USES: [Use; 5] = [
    Use {
        keys: "data.source data.stream features.inputs features.one_hot features.labels \
               model.hidden model.activation model.dropout model.batch_norm training.normalise \
               ensemble.combine report.bins report.planes report.classifier_members",
        by: |config| config.experiment.method != Method::Interpolate,
        words: "`method = \"reweight\"` and `\"ratio\"`",
    },
    Use {
        keys: "interpolation",
        by: |config| config.experiment.method == Method::Interpolate,
        words: "`method = \"interpolate\"`",
    },
    Use {
        keys: "mixing",
        // the ensembles of one have none of it
        by: |config| config.experiment.method == Method::Mix,
        words: "`method = \"mix\"`",
    },
    Use {
        keys: "training.folds",
        by: |config| config.training.split == Split::Folds,
        words: "`training.split = \"folds\"`",
    },
    Use {
        keys: "training.held_out",
        by: |config| config.training.split != Split::Folds,
        words: "`training.split = \"shared\"` and `\"member\"`",
    },
];

/// A configuration with nothing but what must be there.
const SMALLEST: &str = "experiment = { name = \"x\", method = \"reweight\" }
data = { target = { path = \"x\" } }
regions = { x = { selection = \"1\" } }
training = { region = \"x\" }";

impl Experiment {
    /// Whether every setting has an effect on one of the ensembles.
    pub fn check_uses(&self) -> Result<()> {
        if self.limit.is_some() {
            // its own check has looked
            return Ok(());
        }
        let top = "top level";
        let smallest: Config = toml::from_str(SMALLEST).key(Kind::Config, top)?;
        let smallest = Value::try_from(&smallest).key(Kind::Config, top)?;
        for spec in &self.ensembles {
            let config = Value::try_from(&spec.config).key(Kind::Config, top)?;
            let unused = |of: &&Use| !self.ensembles.iter().any(|e| (of.by)(&e.config));
            for Use { keys, words, .. } in USES.iter().filter(unused) {
                for key in keys.split_whitespace() {
                    let value = lookup(&config, key);
                    // a zero says that it is not used
                    let is_off = value == Some(&Value::Integer(0)) && key.ends_with("_members");
                    if value == lookup(&smallest, key) || is_off {
                        continue;
                    }
                    let found = value.map_or_else(String::new, |v| match v {
                        Value::Table(_) => "a table".to_owned(),
                        other => other.to_string(),
                    });
                    let reason = format!(
                        "found {found}, which changes nothing here: only {words} use it; leave \
                         it out"
                    );
                    return Err(Error::config_at(key, reason));
                }
            }
        }
        let rank_by = &self.common().report.rank_by;
        if rank_by.is_some() && (!self.is_matrix || self.measurement.is_some()) {
            let reason = "ranks the ensembles of a [matrix], and there is none; leave it out";
            return Err(Error::config_at("report.rank_by", reason));
        }
        self.check_labels()
    }

    /// What a setting asks for and others leave out, a sentence each: no reason to refuse a
    /// scan, whose result says the same ensemble by ensemble.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let rank_by = self.ensembles.first().map(|e| &e.config.report.rank_by);
        let Some(Some(RankBy::Auc { region })) = rank_by else {
            return Vec::new();
        };
        let has_classifier = |spec: &&EnsembleSpec| {
            let (config, report) = (&spec.config, &spec.config.report);
            config.experiment.method != Method::Interpolate && report.classifier_members > 0
        };
        let all = self.ensembles.len();
        let without = all - self.ensembles.iter().filter(has_classifier).count();
        let which = match without {
            0 => return Vec::new(),
            without if without == all => "no ensemble gets a place".to_owned(),
            without => format!("{without} of {} get no place", counted(all, "ensemble")),
        };
        vec![format!(
            "report.rank_by ranks by the AUC in {region}, and there is none without a classifier \
             (report.classifier_members = 0, or an interpolation): {which}; set \
             report.classifier_members, or rank by \"chi2\" or \"held_out_loss\""
        )]
    }

    /// Whether every label of an input is that of one.
    fn check_labels(&self) -> Result<()> {
        let features = || self.ensembles.iter().map(|e| &e.config.features);
        for label in features().flat_map(|f| f.labels.keys()) {
            let is_input = features().any(|f| {
                let one_hot = |(column, values): (&String, &Vec<f64>)| {
                    values
                        .iter()
                        .any(|v| *label == format!("{} == {v:?}", written(column)))
                };
                f.inputs.contains(label) || f.one_hot.iter().any(one_hot)
            });
            if !is_input {
                let reason = format!(
                    "`{label}` is no input, so that its label changes nothing; write it as it \
                     stands in features.inputs, or leave it out"
                );
                return Err(Error::config_at("features.labels", reason));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_experiment;
    use super::*;
    use std::collections::BTreeSet;

    /// Keys that every method uses, whole tables by their names.
    const ALWAYS: &str = "experiment matrix device executor comparison regions data.target \
        data.define data.jets data.on_missing data.max_loss training.region training.batch training.epochs \
        training.patience training.validation training.split training.optimizer \
        training.learning_rate training.schedule training.gradient_clip training.l2 \
        training.retries ensemble.members ensemble.bootstrap ensemble.minimum report.title \
        report.data_label report.experiment report.status report.luminosity report.com \
         report.density report.style report.variables report.p_value report.rank_by";

    /// A new key must be said to be used by all, or by whom.
    #[test]
    fn every_key_is_in_one_of_the_lists() {
        let schema = schemars::schema_for!(Config).to_value();
        let properties = |of: &serde_json::Value| -> Vec<String> {
            let all = of["properties"].as_object().expect("a table");
            all.keys().cloned().collect()
        };
        let keys = USES.map(|of| of.keys).join(" ") + " " + ALWAYS;
        let keys: BTreeSet<&str> = keys.split_whitespace().collect();
        let known = |key: &str| keys.contains(key);
        let mut found = 0;
        for table in properties(&schema) {
            if known(&table) {
                continue;
            }
            let name = match table.as_str() {
                "data" => "DataConfig".to_owned(),
                other => format!("{}{}Config", other[..1].to_uppercase(), &other[1..]),
            };
            for key in properties(&schema["$defs"][name]) {
                found += 1;
                let key = format!("{table}.{key}");
                assert!(known(&key), "{key}");
            }
        }
        assert!(found > 30, "{found}");
    }

    #[test]
    fn what_changes_nothing_is_refused() {
        let message = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
            let text = super::super::parse::tests::SMALL;
            let experiment = parse_experiment(text, &settings).unwrap();
            experiment
                .check_uses()
                .map_or_else(|e| e.to_string(), |()| "fine".to_owned())
        };
        assert_eq!(message(&[]), "fine");
        assert_eq!(message(&["training.folds=5"]), "fine");
        for (setting, key) in [
            ("training.folds=7", "training.folds"),
            ("features.labels={z='Z'}", "features.labels"),
            ("report.rank_by={kind='held_out_loss'}", "report.rank_by"),
        ] {
            let text = message(&[setting]);
            assert!(text.contains(&format!("`{key}`")), "{text}");
        }
        let folds = ["training.split=folds", "training.folds=7"];
        assert_eq!(message(&folds), "fine");
    }
}
