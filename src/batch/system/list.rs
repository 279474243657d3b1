//! Numbers as people and Slurm write them: `1,4-9`.

use std::collections::BTreeSet;

/// `1,4-9` of the numbers; they need not be in order.
#[must_use]
pub(crate) fn compress(numbers: &[u32]) -> String {
    let sorted: BTreeSet<u32> = numbers.iter().copied().collect();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for n in sorted {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(n) => *last = n,
            _ => ranges.push((n, n)),
        }
    }
    let texts: Vec<_> = ranges
        .iter()
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            _ => format!("{first}-{last}"),
        })
        .collect();
    texts.join(",")
}

/// The numbers of `1,4-9`; none if it is no such list. What follows a `%` (how
/// many run at a time, in Slurm) is left out.
#[must_use]
pub(crate) fn expand(text: &str) -> Option<Vec<u32>> {
    let text = text.split('%').next().unwrap_or_default();
    if text.is_empty() {
        return Some(Vec::new());
    }
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        // a damaged file is not to fill the memory
        if last < first || last - first >= 10_000_000 {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}
