//! Pseudo-experiments from an Asimov sample: each event of a pool enters a toy
//! Poisson(w) times.

use crate::error::{Error, ensure};
use sideband_numerics::random::Key;

/// Above this weight an event is often drawn more than once, and toys hold copies
/// where data would hold different events.
const LARGE_WEIGHT: f64 = 0.1;
/// Above this many standard deviations what all toys have in common shows in their means.
const LARGE_SHIFT: f64 = 0.1;

/// Asimov weights at a point of the parameters from a positive reference sample R:
///
/// ```text
/// w_i(mu, a) = nu(mu, a) / nu_R * p(x_i | mu, a) / p_R(x_i) * w_i
/// ```
///
/// `ratios`: `p / p_R` of each event, `weights`: `w_i`, both `[N]`; `expected`:
/// `nu(mu, a)`; `nu_R` is the sum of the weights. With it, samples of negative
/// weight have toys too: only the density at the point must be positive.
///
/// # Errors
/// Arrays of different lengths, no positive weight, numbers that are not finite, a
/// weight or a density below zero.
pub fn reference_weights(
    ratios: &[f64],
    weights: &[f64],
    expected: f64,
) -> Result<Vec<f64>, Error> {
    let (found, expected_number) = (ratios.len(), weights.len());
    ensure(found == expected_number, || {
        format!(
            "the pool of toys has {found} density ratios for {expected_number} weights; give one \
             each"
        )
    })?;
    let total = check(weights)?;
    let products = ratios.iter().zip(weights);
    let products: Vec<f64> = products.map(|(r, w)| expected / total * r * w).collect();
    check(&products)?;
    Ok(products)
}

/// The sum of weights that are all finite and not negative.
fn check(weights: &[f64]) -> Result<f64, Error> {
    for (row, w) in weights.iter().enumerate() {
        ensure(w.is_finite(), || {
            format!(
                "the weight of event {row} of the pool of toys is {w}; every weight must be finite"
            )
        })?;
    }
    if let Some(row) = weights.iter().position(|w| *w < 0.0) {
        return Err(Error::new(format!(
            "{} of {} events of the pool of toys have negative weights, event {row} {}: a Poisson \
             number needs a positive mean; throw from a sample of positive weights reweighted to \
             the point",
            weights.iter().filter(|w| **w < 0.0).count(),
            weights.len(),
            weights[row]
        )));
    }
    let total: f64 = weights.iter().sum();
    ensure(total > 0.0 && total.is_finite(), || {
        "the pool of toys has no event with a positive weight; give it events or another sample"
            .to_owned()
    })?;
    Ok(total)
}

/// How often one event enters a toy more than once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duplicates {
    /// The largest Asimov weight: the mean number of copies of that event.
    pub largest_weight: f64,
    /// Expected share of the events of a toy that it holds more than once,
    /// `1 - sum w exp(-w) / sum w`.
    pub share: f64,
    /// `(sum w)^2 / sum w^2`: how many events of equal weights the pool is worth.
    pub effective_events: f64,
    /// The fluctuation of the pool itself, which all of its toys share, in standard
    /// deviations of one toy: `sqrt(sum w^2 / sum w)`, the square root of a toy's events
    /// over the effective events of the pool. Fitted values of all toys are off by about
    /// that much, and belts with them.
    pub common_shift: f64,
}

impl Duplicates {
    /// What to say if weights are not well below 1, or the pool is not much larger than
    /// a toy.
    pub fn warning(&self) -> Option<String> {
        (self.largest_weight > LARGE_WEIGHT || self.common_shift > LARGE_SHIFT).then(|| {
            format!(
                "{:.1} % of a toy's events are copies of each other, the largest Asimov weight is \
                 {:.3}: all toys share the fluctuation of their pool, about {:.2} standard \
                 deviations of a toy; throw them from a larger sample",
                100.0 * self.share,
                self.largest_weight,
                self.common_shift,
            )
        })
    }
}

/// The events of one toy: rows of the pool, in increasing order, and how many times
/// each is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thrown {
    /// Rows of the pool.
    pub rows: Vec<usize>,
    /// Copies of each, at least 1.
    pub copies: Vec<u32>,
}

impl Thrown {
    /// The copies as weights of the rows.
    pub fn weights(&self) -> Vec<f64> {
        self.copies.iter().map(|c| f64::from(*c)).collect()
    }

    /// Number of events.
    pub fn events(&self) -> u64 {
        self.copies.iter().map(|c| u64::from(*c)).sum()
    }
}

/// A pool of events with Asimov weights, that toys are thrown from.
///
/// Independent Poisson numbers of means `w_i` are what a Poisson process of rate one
/// on `[0, sum w)` leaves in consecutive intervals of lengths `w_i`. The points of
/// the process are found one after the other by exponential gaps, so that a toy
/// costs as many random numbers as it has events, however large the pool. The law is
/// exact up to rounding: gaps have 53 random bits, and the ends of the intervals are
/// sums with compensated rounding, so that each length holds to about 1e-16 of the
/// whole sum.
#[derive(Clone, Debug)]
pub struct AsimovPool {
    /// `sum of w_0 .. w_i`.
    ends: Vec<f64>,
    duplicates: Duplicates,
}

impl AsimovPool {
    /// A pool of events with `weights`, `[N]`: expected numbers of each in a toy.
    ///
    /// # Errors
    /// No positive weight, a weight that is negative or not finite.
    pub fn new(weights: &[f64]) -> Result<Self, Error> {
        let total = check(weights)?;
        let single: f64 = weights.iter().map(|w| w * (-w).exp()).sum();
        let square: f64 = weights.iter().map(|w| w * w).sum();
        Ok(Self {
            ends: prefix_sums(weights),
            duplicates: Duplicates {
                largest_weight: weights.iter().fold(0.0, |a, b| a.max(*b)),
                share: (1.0 - single / total).max(0.0),
                effective_events: total * total / square,
                common_shift: (square / total).sqrt(),
            },
        })
    }

    /// Expected number of events of a toy.
    pub fn expected(&self) -> f64 {
        self.ends.last().copied().unwrap_or(0.0)
    }

    /// How often events enter a toy more than once.
    pub fn duplicates(&self) -> Duplicates {
        self.duplicates
    }

    /// The toy of a key.
    pub fn throw(&self, key: Key) -> Thrown {
        let mut stream = key.stream();
        let mut thrown = Thrown::default();
        let (mut at, mut row) = (0.0, 0);
        loop {
            at -= (1.0 - stream.uniform()).ln();
            row += reach(&self.ends[row..], at);
            if row == self.ends.len() {
                return thrown;
            }
            match (thrown.rows.last(), thrown.copies.last_mut()) {
                (Some(last), Some(copies)) if *last == row => *copies += 1,
                _ => {
                    thrown.rows.push(row);
                    thrown.copies.push(1);
                }
            }
        }
    }
}

/// The first of increasing `ends` above `at`: steps that double, then a bisection of
/// the last one.
fn reach(ends: &[f64], at: f64) -> usize {
    let (mut low, mut step) = (0, 1);
    while low + step <= ends.len() && ends[low + step - 1] <= at {
        low += step;
        step *= 2;
    }
    let high = ends.len().min(low + step);
    low + ends[low..high].partition_point(|end| *end <= at)
}

/// Sums of the first 1, 2, ... terms with compensated rounding (Neumaier, Z. Angew.
/// Math. Mech. 54 (1974) 39), increasing.
fn prefix_sums(terms: &[f64]) -> Vec<f64> {
    let (mut sum, mut lost, mut last) = (0.0_f64, 0.0, 0.0_f64);
    let next = |term: &f64| {
        let with = sum + term;
        lost += if sum >= *term {
            (sum - with) + term
        } else {
            (term - with) + sum
        };
        sum = with;
        last = last.max(sum + lost);
        last
    };
    terms.iter().map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::assert_near;
    use statrs::distribution::{Discrete, Poisson};

    #[test]
    fn every_event_is_thrown_a_poisson_number_of_times() {
        let weights = [0.02, 0.0, 1.3, 0.4, 0.001, 2.5, 0.0];
        let pool = AsimovPool::new(&weights).unwrap();
        let n = 40_000_u32;
        let mut counts = vec![[0.0; 12]; weights.len()];
        let mut product = 0.0;
        for toy in 0..n {
            let thrown = pool.throw(Key::from_seed(8).with(u64::from(toy)));
            let mut of = vec![0usize; weights.len()];
            for (row, copies) in thrown.rows.iter().zip(&thrown.copies) {
                of[*row] = *copies as usize;
            }
            for (counts, k) in counts.iter_mut().zip(&of) {
                counts[(*k).min(11)] += 1.0;
            }
            product += of[2] as f64 * of[5] as f64;
        }
        for (weight, counts) in weights.iter().zip(&counts) {
            if *weight == 0.0 {
                assert_eq!(counts[0], f64::from(n));
                continue;
            }
            let expected = Poisson::new(*weight).unwrap();
            for (k, found) in counts.iter().enumerate().take(11) {
                let expected = f64::from(n) * expected.pmf(k as u64);
                assert_near(found, expected, 4.5 * expected.sqrt() + 2.0);
            }
        }
        // independent: the mean of the product is the product of the means
        let product = product / f64::from(n);
        assert_near(product, 1.3 * 2.5, 5.0 * 4.3 / f64::from(n).sqrt());
    }

    #[test]
    fn a_large_pool_gives_toys_of_its_expected_size() {
        let n = 300_000;
        let weights: Vec<f64> = (0..n)
            .map(|i| 2.0 * Key::from_seed(1).uniform(i) * 2000.0 / n as f64)
            .collect();
        let pool = AsimovPool::new(&weights).unwrap();
        let duplicates = pool.duplicates();
        assert!(duplicates.warning().is_none() && duplicates.largest_weight < 0.014);
        let (mut sum, mut square, mut repeated, toys) = (0.0, 0.0, 0.0, 400.0);
        for toy in 0..400 {
            let thrown = pool.throw(Key::from_seed(2).with(toy));
            assert!(thrown.rows.windows(2).all(|pair| pair[0] < pair[1]));
            let pull = (thrown.events() as f64 - pool.expected()) / pool.expected().sqrt();
            sum += pull;
            square += pull * pull;
            let copies = thrown.copies.iter().filter(|copies| **copies > 1);
            repeated += copies.map(|copies| f64::from(*copies)).sum::<f64>();
        }
        assert!((sum / toys).abs() < 5.0 / 20.0, "{sum}");
        assert_near(square / toys, 1.0, 5.0 * (2.0_f64 / toys).sqrt());
        let expected = duplicates.share * pool.expected() * toys;
        assert_near(repeated, expected, 5.0 * (2.0 * expected).sqrt());
    }

    #[test]
    fn reference_weights_have_the_expected_sum_and_sign() {
        let found = reference_weights(&[0.5, 2.0, 0.5], &[1.0, 2.0, 1.0], 100.0).unwrap();
        assert_eq!(found, vec![12.5, 100.0, 12.5]);
        let error = reference_weights(&[1.0, -0.5], &[1.0, 1.0], 10.0).unwrap_err();
        assert!(error.to_string().contains("1 of 2 events"), "{error}");
        assert!(reference_weights(&[1.0], &[1.0, 1.0], 10.0).is_err());
    }

    #[test]
    fn weights_that_are_no_means_are_refused_by_row() {
        let of = |weights: &[f64]| AsimovPool::new(weights).unwrap_err().to_string();
        assert!(of(&[1.0, -0.5, -1.0]).contains("2 of 3 events"));
        assert!(of(&[1.0, f64::NAN]).contains("event 1"));
        assert!(of(&[0.0, 0.0]).contains("no event"));
        assert!(of(&[]).contains("no event"));
        let heavy = AsimovPool::new(&[1.0, 0.2]).unwrap().duplicates();
        assert!(heavy.warning().unwrap().contains("1.000"));
        // many small weights, of a pool that is 25 toys large
        let small = AsimovPool::new(&[0.04; 1000]).unwrap().duplicates();
        assert_near(small.common_shift, 0.2, 1e-12);
        assert!(small.warning().unwrap().contains("0.20 standard"));
        assert_near(
            heavy.share,
            1.0 - ((-1.0_f64).exp() + 0.2 * (-0.2_f64).exp()) / 1.2,
            1e-15,
        );
    }

    #[test]
    fn compensated_sums_keep_what_plain_ones_lose() {
        let mut terms = vec![1.0e8];
        terms.extend(vec![1.0e-9; 100_000]);
        let sums = prefix_sums(&terms);
        assert_near(sums[100_000] - 1.0e8, 1.0e-4, 3.0e-8);
        assert!(sums.windows(2).all(|pair| pair[0] <= pair[1]));
    }
}
