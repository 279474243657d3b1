//! Weights of generators, which add up to no number of expected events by themselves.

use super::parse::Experiment;
use super::raw::ScaleConfig;
use super::words::words;
use indexmap::IndexMap;
use std::collections::BTreeSet;

/// Names of such weights in lower case, as experiments' formats have them.
const GENERATOR: [&str; 8] = [
    "genweight",
    "gen_weight",
    "generator_weight",
    "lheweight_originalxwgtup",
    "mc_generator_weight",
    "mc_event_weight",
    "mceventweight",
    "weight_mc",
];

impl Experiment {
    /// What to write for samples that have the weight of a generator and no scale, a sentence
    /// a sample.
    pub(crate) fn unscaled(&self) -> BTreeSet<String> {
        let mut notes = BTreeSet::new();
        let mut look = |place: &str, weight: Option<&String>, define: &IndexMap<String, String>| {
            if let Some(name) = weight.and_then(|text| generator_weight(text, define)) {
                notes.insert(format!(
                    "`{place}.weight`: `{name}` is a generator's weight, which adds up to no number \
                     of expected events by itself; `{place}.scale` is a factor on it, such as \
                     \"xsec * lumi / sum(Runs.genEventSumw)\""
                ));
            }
        };
        let limit = self.limit.as_ref().and_then(|l| l.measurement().ok());
        if let Some(measurement) = self.measurement.as_ref().or(limit.as_ref()) {
            let samples = measurement.samples.iter();
            for (name, process) in samples.filter(|(_, p)| p.scale == ScaleConfig::default()) {
                let define = &measurement.data.define;
                look(&format!("samples.{name}"), process.weight.as_ref(), define);
            }
            return notes;
        }
        for data in self.ensembles.iter().map(|spec| &spec.config.data) {
            for (role, sample) in data.samples().filter(|(_, s)| s.scale.is_none()) {
                look(
                    &format!("data.{role}"),
                    sample.weight.as_ref(),
                    &data.define,
                );
            }
        }
        notes
    }
}

/// The name of a generator's weight in an expression or in definitions that it rests on.
fn generator_weight(text: &str, define: &IndexMap<String, String>) -> Option<String> {
    let mut open: Vec<String> = words(text).into_iter().collect();
    let mut known = BTreeSet::new();
    while let Some(word) = open.pop() {
        if GENERATOR.contains(&word.to_lowercase().as_str()) {
            return Some(word);
        }
        if let Some(definition) = define.get(&word).filter(|_| known.insert(word.clone())) {
            open.extend(words(definition));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::parse_experiment;

    fn unscaled(settings: &[&str]) -> String {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        let text = super::super::parse::tests::SMALL;
        let notes = parse_experiment(text, &settings).unwrap().unscaled();
        notes.into_iter().collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_generators_weight_without_a_scale_is_said() {
        let weight = "data.source.weight=2 * genWeight";
        assert!(unscaled(&[weight]).contains("`data.source.weight`: `genWeight`"));
        for scale in ["data.source.scale=0.5", "data.source.scale='1 / sum(R.w)'"] {
            assert_eq!(unscaled(&[weight, scale]), "");
        }
        for other in ["genWeight_up", "w", "genWeights"] {
            assert_eq!(unscaled(&[&format!("data.source.weight={other}")]), "");
        }
        let defined = [
            "data.target.weight=all",
            "data.define.all='all + own * 2'",
            "data.define.own='mc_generator_weight'",
        ];
        assert!(unscaled(&defined).contains("`data.target.weight`: `mc_generator_weight`"));
    }
}
