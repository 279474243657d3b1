//! What known columns are called in figures, in the markup of labels: where a name leaves no
//! doubt, and with a unit where the values leave none either.

/// How a label goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// With the unit of an energy.
    Energy,
    /// Between bars where no value is below zero.
    Difference,
    /// As it is.
    Symbol,
    /// As it is, and with no logarithm.
    Words,
}
use Kind::{Difference, Energy, Symbol, Words};

/// Columns by the whole of their names, in lower case; many are those of NanoAOD.
const WHOLE: [(&str, &str, Kind); 28] = [
    ("pt", "p_{T}", Symbol),
    ("eta", "η", Symbol),
    ("phi", "φ", Symbol),
    ("mass", "m", Symbol),
    ("deta", "Δη", Difference),
    ("dphi", "Δφ", Difference),
    ("dr", "ΔR", Symbol),
    ("ht", "H_{T}", Energy),
    ("met", "p_{T}^{miss}", Energy),
    ("met_pt", "p_{T}^{miss}", Energy),
    ("met_phi", "φ of p_{T}^{miss}", Words),
    ("met_sumet", "Sum of E_{T}", Energy),
    ("met_significance", "Significance of p_{T}^{miss}", Words),
    ("puppimet_pt", "PUPPI p_{T}^{miss}", Energy),
    ("puppimet_phi", "φ of PUPPI p_{T}^{miss}", Words),
    ("puppimet_sumet", "PUPPI sum of E_{T}", Energy),
    ("pv_npvs", "Number of vertices", Words),
    ("pv_npvsgood", "Number of good vertices", Words),
    ("pv_x", "x of the primary vertex [cm]", Words),
    ("pv_y", "y of the primary vertex [cm]", Words),
    ("pv_z", "z of the primary vertex [cm]", Words),
    ("pv_ndof", "Degrees of freedom of the primary vertex", Words),
    ("fixedgridrhofastjetall", "ρ", Symbol),
    ("rho_fixedgridrhofastjetall", "ρ", Symbol),
    ("pileup_ntrueint", "Mean number of interactions", Words),
    ("pileup_npu", "Number of pileup interactions", Words),
    ("x_hh", "X_{HH}", Symbol),
    ("x_wt", "X_{Wt}", Symbol),
];
/// Objects that are counted, behind `n` or `n_`.
const COUNTED: [(&str, &str); 9] = [
    ("jet", "jets"),
    ("bjet", "b jets"),
    ("btag", "b tags"),
    ("fatjet", "large-R jets"),
    ("electron", "electrons"),
    ("muon", "muons"),
    ("lepton", "leptons"),
    ("photon", "photons"),
    ("tau", "taus"),
];
/// Objects of two and more, and of the Higgs boson, whose energies are far above a GeV.
const HARD: [(&str, &str); 9] = [
    ("hh", "HH"),
    ("h", "H"),
    ("h1", "H1"),
    ("h2", "H2"),
    ("jj", "jj"),
    ("bb", "bb"),
    ("4j", "4j"),
    ("4b", "4b"),
    ("bbbb", "4b"),
];
/// Of these there are differences between the two that they are made of.
const PAIRS: [&str; 3] = ["hh", "jj", "bb"];
/// Single objects, before their number.
const NUMBERED: [(&str, &str); 4] = [("jet", "j"), ("j", "j"), ("bjet", "b"), ("b", "b")];

/// What a column is called, or its logarithm, of these means in the samples and lowest value.
pub(super) fn label(name: &str, is_log: bool, means: &[f64], low: f64) -> Option<String> {
    let name = name.to_lowercase();
    let (name, is_log) = match name.strip_prefix("log_") {
        Some(_) if is_log => return None,
        Some(rest) => (rest, true),
        None => (name.as_str(), is_log),
    };
    let (text, kind) = whole(name)
        .or_else(|| number_of(name))
        .or_else(|| of_object(name))?;
    match kind {
        Words if is_log => None,
        Difference if is_log => Some(format!("log |{text}|")),
        _ if is_log => Some(format!("log {text}")),
        Energy => Some(text + unit(means)),
        Difference if low >= 0.0 => Some(format!("|{text}|")),
        Difference | Symbol | Words => Some(text),
    }
}

fn whole(name: &str) -> Option<(String, Kind)> {
    let (_, text, kind) = WHOLE.iter().find(|(known, ..)| *known == name)?;
    Some(((*text).to_owned(), *kind))
}

/// `n_jets`, `nJet`.
fn number_of(name: &str) -> Option<(String, Kind)> {
    let rest = name.strip_prefix('n')?;
    let rest = rest.strip_prefix('_').unwrap_or(rest);
    let one = rest.strip_suffix('s').unwrap_or(rest);
    let (_, many) = COUNTED.iter().find(|(known, _)| *known == one)?;
    Some((format!("Number of {many}"), Words))
}

/// `pt_h1`, `h1_pt`.
fn of_object(name: &str) -> Option<(String, Kind)> {
    let (one, other) = name.split_once('_')?;
    quantity(one, other).or_else(|| quantity(other, one))
}

fn quantity(name: &str, object: &str) -> Option<(String, Kind)> {
    let hard = HARD.iter().find(|(known, _)| *known == object);
    let single = NUMBERED.iter().find_map(|(known, symbol)| {
        let number = object.strip_prefix(*known)?;
        let is_one = number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit());
        is_one.then(|| format!("{symbol}{number}"))
    });
    let of = hard
        .map(|(_, symbol)| (*symbol).to_owned())
        .or_else(|| single.clone())?;
    let is_pair = PAIRS.contains(&object);
    Some(match name {
        "pt" => (format!("p_{{T}}^{{{of}}}"), Energy),
        "eta" => (format!("η_{{{of}}}"), Symbol),
        "phi" => (format!("φ_{{{of}}}"), Symbol),
        // that of one jet may be of a GeV
        "m" | "mass" if single.is_some() => (format!("m_{{{of}}}"), Symbol),
        "m" | "mass" => (format!("m_{{{of}}}"), Energy),
        "deta" if is_pair => (format!("Δη_{{{of}}}"), Difference),
        "dphi" if is_pair => (format!("Δφ_{{{of}}}"), Difference),
        "dr" if is_pair => (format!("ΔR_{{{of}}}"), Symbol),
        _ => return None,
    })
}

/// The unit in which an energy of what colliders select has such means, if all have one.
fn unit(means: &[f64]) -> &'static str {
    let all_in = |low: f64, high: f64| means.iter().all(|mean| (low..=high).contains(mean));
    if means.is_empty() {
        ""
    } else if all_in(10.0, 5e3) {
        " [GeV]"
    } else if all_in(2e4, 5e6) {
        " [MeV]"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn known_names_have_labels_and_others_none() {
        let label = |name: &str| label(name, false, &[400.0, 380.0], -1.0);
        for (name, expected) in [
            ("m_hh", "m_{HH} [GeV]"),
            ("pt_h1", "p_{T}^{H1} [GeV]"),
            ("jet1_pt", "p_{T}^{j1} [GeV]"),
            ("m_j1", "m_{j1}"),
            ("eta_h2", "η_{H2}"),
            ("dR_hh", "ΔR_{HH}"),
            ("dphi_hh", "Δφ_{HH}"),
            ("log_pt_hh", "log p_{T}^{HH}"),
            ("pt", "p_{T}"),
            ("n_jets", "Number of jets"),
            ("nJet", "Number of jets"),
            ("MET_pt", "p_{T}^{miss} [GeV]"),
            ("PV_npvs", "Number of vertices"),
        ] {
            assert_eq!(label(name).as_deref(), Some(expected));
        }
        for name in [
            "m",
            "x",
            "n",
            "notes",
            "pt_2",
            "dphi_h1",
            "deta_j1",
            "Met3_pt",
            "h1_h2",
            "_pt",
            "pt_",
            "jet12_pt",
            "log_n_jets",
            "µ_x",
        ] {
            assert_eq!(label(name), None, "{name}");
        }
    }

    #[test]
    fn names_of_the_table_are_in_lower_case_and_once() {
        let mut names: Vec<&str> = WHOLE.iter().map(|(name, ..)| *name).collect();
        assert!(names.iter().all(|name| name.to_lowercase() == *name));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), WHOLE.len());
    }

    #[test]
    fn units_and_bars_are_those_of_the_values() {
        let mass = |means: &[f64]| label("m_hh", false, means, 200.0).unwrap();
        assert_eq!(mass(&[400.0, 500.0]), "m_{HH} [GeV]");
        assert_eq!(mass(&[4e5, 5e5]), "m_{HH} [MeV]");
        for means in [&[0.4, 0.5][..], &[400.0, 4e5], &[f64::NAN], &[]] {
            assert_eq!(mass(means), "m_{HH}", "{means:?}");
        }
        let deta = |is_log, low| label("deta_hh", is_log, &[1.0], low).unwrap();
        assert_eq!(deta(false, 0.0), "|Δη_{HH}|");
        assert_eq!(deta(false, -2.0), "Δη_{HH}");
        assert_eq!(deta(true, 0.1), "log |Δη_{HH}|");
        assert_eq!(label("m_hh", true, &[400.0], 1.0).unwrap(), "log m_{HH}");
        assert_eq!(label("log_pt_hh", true, &[4.0], 1.0), None);
    }
}
