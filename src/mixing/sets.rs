//! Which set takes which pair of an event: disjoint intervals of one number an event.

use crate::error::{Error, Result};

/// The sets that take pairs of an event, as the set and the place of the pair. `uniform`: the
/// event's own number; `weight`: how often the event is expected in a set. Set m takes pair k of 0
/// to `pairs` - 1 if `uniform + k` lies from `m weight` up to `(m + 1) weight`.
pub(super) fn intervals(
    uniform: f64,
    weight: f64,
    pairs: usize,
    sets: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let pairs = 0..if weight > 0.0 { pairs } else { 0 };
    pairs.filter_map(move |k| {
        let at = uniform + k as f64;
        // the division may round to a neighbour
        let near = (at / weight).floor();
        let takes = |m: &f64| *m >= 0.0 && m * weight <= at && at < (m + 1.0) * weight;
        let set = [near, near - 1.0, near + 1.0].into_iter().find(takes)?;
        (set < sets as f64).then_some((set as usize, k))
    })
}

/// Checks that no event is wanted more often than it has pairs.
pub(super) fn check_weights(largest: f64, pairs: usize, sets: usize) -> Result<()> {
    let needed = sets as f64 * largest;
    if needed <= pairs as f64 {
        return Ok(());
    }
    let most = (pairs as f64 / largest).floor();
    let reason = format!(
        "{sets} sets take an event up to {needed:.2} times, each time with another pair, and there \
         are {pairs}: set mixing.pairs to {} or mixing.sets to {most:.0}",
        needed.ceil()
    );
    Err(Error::config_at("mixing.pairs", reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_numerics::random::Key;

    #[test]
    fn one_pair_is_the_published_rule() {
        let taken = |u| intervals(u, 0.3, 1, 3).collect::<Vec<_>>();
        assert_eq!(taken(0.0), [(0, 0)]);
        assert_eq!(taken(0.29), [(0, 0)]);
        assert_eq!(taken(0.3), [(1, 0)]);
        assert_eq!(taken(0.89), [(2, 0)]);
        assert!(taken(0.95).is_empty());
    }

    #[test]
    fn no_pair_is_in_two_sets_and_sets_are_as_large_as_wanted() {
        let (key, sets, pairs) = (Key::from_seed(1), 15, 17);
        for weight in [0.01, 0.4, 1.0, 1.1] {
            let mut sizes = vec![0; sets];
            for event in 0..4000 {
                let taken: Vec<_> = intervals(key.uniform(event), weight, pairs, sets).collect();
                assert!(taken.windows(2).all(|two| two[0].1 < two[1].1));
                taken.iter().for_each(|(set, _)| sizes[*set] += 1);
            }
            let expected = 4000.0 * weight;
            for size in sizes {
                let away = (f64::from(size) - expected).abs();
                // below one event a set of the same numbers, with the variance of w (1 - w)
                assert!(away < 5.0 * expected.sqrt(), "{weight}: {size}, {expected}");
            }
        }
        assert_eq!(intervals(0.5, 0.0, pairs, sets).count(), 0);
    }

    #[test]
    fn too_few_pairs_are_refused_with_what_would_do() {
        assert!(check_weights(1.0, 15, 15).is_ok());
        let text = check_weights(1.1, 15, 15).unwrap_err().to_string();
        assert!(
            text.contains("mixing.pairs to 17 or mixing.sets to 13"),
            "{text}"
        );
    }
}
