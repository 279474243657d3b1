//! File names of figures: readable, and never one name for two.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Characters of a readable name.
const LONGEST: usize = 80;

/// A file name, without its ending, for each list of parts (region and variable, say).
///
/// Letters, digits, `-` and `_` stay, everything else becomes `_`. Names that would be
/// one, also on a file system that does not tell upper from lower case, and names that
/// are cut or empty, end in a number made of their parts: it is the same in every run
/// that has such a figure. Equal lists of parts get one name.
#[must_use]
pub(super) fn file_names(figures: &[Vec<String>]) -> Vec<String> {
    let readable: Vec<(String, bool)> = figures.iter().map(|parts| readable(parts)).collect();
    let mut of_name: BTreeMap<String, Vec<&Vec<String>>> = BTreeMap::new();
    for ((name, _), parts) in readable.iter().zip(figures) {
        let same = of_name.entry(name.to_ascii_lowercase()).or_default();
        if !same.contains(&parts) {
            same.push(parts);
        }
    }
    let is_taken = |name: &str| of_name.contains_key(name);
    let named = readable.iter().zip(figures);
    named
        .map(|((name, is_whole), parts)| {
            let is_alone = of_name[&name.to_ascii_lowercase()].len() == 1;
            if *is_whole && is_alone {
                return name.clone();
            }
            let digest = digest(parts);
            // longer where a figure is named like another with its number
            let lengths = (8..=digest.len()).step_by(8);
            let names = lengths.map(|n| format!("{name}-{}", &digest[..n]));
            let mut free = names.filter(|n| !is_taken(&n.to_ascii_lowercase()));
            free.next().unwrap_or_else(|| format!("{name}-{digest}"))
        })
        .collect()
}

/// The parts in safe characters, and whether nothing was cut.
fn readable(parts: &[String]) -> (String, bool) {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '_'
        }
    };
    let words: Vec<String> = parts
        .iter()
        .map(|part| {
            let word: String = part.chars().map(safe).collect();
            word.trim_matches('_').to_owned()
        })
        .filter(|word| !word.is_empty())
        .collect();
    let whole = words.join("_");
    let name: String = whole.chars().take(LONGEST).collect();
    let is_whole = name.len() == whole.len() && words.len() == parts.len();
    (name, is_whole)
}

/// A number of the parts, in hexadecimal digits.
fn digest(parts: &[String]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_numerics::random::Key;
    use std::collections::BTreeSet;

    fn list(figures: &[&[&str]]) -> Vec<Vec<String>> {
        let own = |parts: &&[&str]| parts.iter().map(|p| (*p).to_owned()).collect();
        figures.iter().map(own).collect()
    }

    #[test]
    fn names_stay_readable_where_they_are_alone() {
        let names = file_names(&list(&[&["sr", "m_hh"], &["sr", "pt"], &["sr", "log(x)"]]));
        assert_eq!(names, ["sr_m_hh", "sr_pt", "sr_log_x"]);
    }

    #[test]
    fn names_that_would_be_one_are_told_apart() {
        let long = "x".repeat(300);
        let figures = list(&[
            &["sr", "x+y"],
            &["sr", "x*y"],
            &["sr", "x/y"],
            &["sr", "X/y"],
            &["a_b", "c"],
            &["a", "b_c"],
            &["sr", "η"],
            &["sr", "φ"],
            &["sr", &long],
            &["sr", &(long.clone() + "1")],
            &["", ""],
        ]);
        let names = file_names(&figures);
        let folded: BTreeSet<String> = names.iter().map(|n| n.to_lowercase()).collect();
        assert_eq!(folded.len(), figures.len(), "{names:?}");
        assert!(names.iter().all(|n| n.len() < 200), "{names:?}");
        // a number does not depend on the others
        let fewer = file_names(&figures[1..3]);
        assert_eq!(fewer, names[1..3]);
    }

    /// Random names of few characters: many collide.
    #[test]
    fn two_figures_never_share_a_name() {
        const LETTERS: [&str; 12] = ["a", "A", "_", "-", "+", "é", "E", "/", ".", " ", "1", "名"];
        for seed in 0..200 {
            let mut stream = Key::from_seed(seed).stream();
            let mut word = |length: f64| -> String {
                let count = (stream.uniform() * length) as usize;
                (0..count)
                    .map(|_| LETTERS[(stream.uniform() * 12.0) as usize])
                    .collect()
            };
            let mut figures: Vec<Vec<String>> =
                (0..60).map(|_| vec![word(4.0), word(4.0)]).collect();
            figures.sort();
            figures.dedup();
            // one that is named like another with its number
            let names = file_names(&figures);
            figures.extend(names.into_iter().map(|name| vec![name]));
            let names = file_names(&figures);
            let mut of_folded: BTreeMap<String, &Vec<String>> = BTreeMap::new();
            for (name, parts) in names.iter().zip(&figures) {
                let other = of_folded.insert(name.to_lowercase(), parts);
                assert!(other.is_none(), "{name}: {parts:?} and {other:?}");
            }
        }
    }
}
