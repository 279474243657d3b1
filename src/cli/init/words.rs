//! Lines of names and of other words.

use crate::error::counted;
use indexmap::IndexMap;
use sideband_numerics::expression::{can_be_written, written};

/// Columns that are named one by one though they begin alike, at most.
const ALIKE: usize = 3;
/// Names behind one reason, at most.
const NAMES: usize = 24;
/// Characters of a line of several names.
const WIDTH: usize = 100;

/// Names of columns, those of which more than a few begin alike as one: `HLT_* (120)`.
pub(super) fn gathered(names: &[String]) -> Vec<String> {
    let mut groups: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for name in names {
        groups.entry(stem(name)).or_default().push(name);
    }
    let mut all: Vec<(String, usize)> = Vec::new();
    for (stem, names) in groups {
        match names.len() {
            ..=ALIKE => all.extend(names.into_iter().map(|name| (shown(name), 1))),
            many => all.push((format!("{stem}* ({many})"), many)),
        }
    }
    let behind: usize = all.iter().skip(NAMES).map(|(_, columns)| columns).sum();
    let mut texts: Vec<String> = all.into_iter().take(NAMES).map(|(text, _)| text).collect();
    if behind > 0 {
        texts.push(counted(behind, "more column"));
    }
    texts
}

/// A name as expressions have it, in quotes where none can.
fn shown(name: &str) -> String {
    match can_be_written(name) {
        true => written(name),
        false => format!("\"{name}\""),
    }
}

/// How a name begins: up to its first `_`, or to its first digit; all of a name without.
fn stem(name: &str) -> &str {
    let mut places = name.char_indices().skip(1);
    match places.clone().find(|(_, c)| *c == '_') {
        Some((place, _)) => &name[..=place],
        None => {
            let digit = places.find(|(_, c)| c.is_ascii_digit());
            digit.map_or(name, |(place, _)| &name[..place])
        }
    }
}

/// Lines of words as full as they may be, the first behind `first` and the others behind `rest`.
pub(super) fn filled(first: &str, rest: &str, words: impl Iterator<Item = String>) -> Vec<String> {
    let (mut lines, mut line, mut is_begun) = (Vec::new(), first.to_owned(), false);
    for word in words {
        let length = line.chars().count() + 1 + word.chars().count();
        if is_begun && length > WIDTH {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            is_begun = false;
        }
        line += if is_begun { " " } else { "" };
        line += &word;
        is_begun = true;
    }
    lines.push(line);
    lines
}

/// A text as TOML has it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_columns_that_begin_alike_are_one_name() {
        let found = |texts: &[&str]| {
            let names: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            gathered(&names).join(", ")
        };
        assert_eq!(found(&["a_1", "b", "a_2", "a_3"]), "a_1, a_2, a_3, b");
        assert_eq!(found(&["a_1", "b", "a_2", "a_3", "a_"]), "a_* (4), b");
        assert_eq!(
            found(&["c0", "c1", "c2", "c3", "_", "µ_x"]),
            "c* (4), _, µ_x"
        );
        assert_eq!(found(&["a-b", "a}b"]), "{a-b}, \"a}b\"");
        let single: Vec<String> = ('a'..='z').map(String::from).collect();
        let shown = gathered(&single);
        assert_eq!(shown.len(), NAMES + 1);
        assert_eq!(shown[NAMES], "2 more columns");
    }

    #[test]
    fn lines_of_words_are_no_longer_than_others() {
        let words = || (0..40).map(|k| format!("word_{k},"));
        let lines = filled("# of words: ", "#     ", words());
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= WIDTH));
        assert_eq!(lines.join(" ").matches("word_").count(), 40);
        // a word that is longer than a line has one of its own
        let long = "w".repeat(2 * WIDTH);
        let lines = filled("", "  ", [long.clone(), "x".to_owned(), long].into_iter());
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "  x");
    }
}
