//! Expectations of functions of the shape response under each process, exact to
//! rounding with a few nodes.
//!
//! The response is `h = cos(theta)` with an angle `theta` that is linear in the
//! observables. Moments of `cos(n theta)`, the Chebyshev polynomials of `h`, are in
//! closed form and fall off as `exp(-n^2 |q sigma|^2 / 2)`, so that the rule of
//! Chebyshev and Gauss with weights from these moments integrates every smooth
//! function of `h`: `E_j[f(h)] = sum_m w_jm f(h_m)`.

use super::gaussian::{Gaussian, Wave};
use super::{Interference, Lobe, UpDown};
use std::f64::consts::{FRAC_PI_2, PI};

/// Moments `exp(-x^2 / 2)` beyond this `x` are below rounding.
const NEGLIGIBLE: f64 = 8.5;

/// Fewest nodes: responses are nearly linear, so that this is plenty.
const LEAST_NODES: usize = 32;

/// The least spread of the angle, in radians, for which a rule is made.
pub(super) const LEAST_SPREAD: f64 = 0.01;

/// One node of the rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResponseNode {
    /// Its weight under each process, in the order of
    /// [`Process::ALL`](super::Process::ALL): a probability.
    pub weights: [f64; 3],
    /// `g_j(x, +-1)` of each process where the response has the node's value.
    pub responses: [UpDown; 3],
}

impl Interference {
    /// The rule for functions of the responses to the shape-and-rate parameter: with
    /// it the normalisation of an interpolated density, `E_j[g_j(x, a)]`, costs a few
    /// dozen evaluations instead of a reference sample.
    #[must_use]
    pub fn response_rule(&self) -> Vec<ResponseNode> {
        let nodes = LEAST_NODES
            .max((NEGLIGIBLE / super::check::least_spread(self.config())).ceil() as usize);
        let moments: Vec<[f64; 3]> = (1..nodes).map(|n| self.chebyshev_moments(n)).collect();
        let node = |m: usize| {
            let angle = PI * (m as f64 + 0.5) / nodes as f64;
            let weight = |j: usize| {
                let terms = (1..nodes).zip(&moments);
                let sum: f64 = terms.map(|(n, e)| (n as f64 * angle).cos() * e[j]).sum();
                // a density at the node, but for rounding
                ((1.0 + 2.0 * sum) / nodes as f64).max(0.0)
            };
            ResponseNode {
                weights: std::array::from_fn(weight),
                responses: self.responses_to(angle.cos()),
            }
        };
        (0..nodes).map(node).collect()
    }

    /// `E_j[cos(n theta)]` of every process.
    fn chebyshev_moments(&self, n: usize) -> [f64; 3] {
        let n = n as f64;
        let wave = Wave {
            vector: self.response.vector.map(|q| n * q),
            phase: n * (self.response.phase - FRAC_PI_2),
        };
        let config = self.config();
        let of = |gaussian: &Gaussian, lobe: &Lobe| lobe.events * gaussian.mean_of(&wave).0;
        let s = of(&self.signal, &config.signal);
        let b = of(&self.background, &config.background) + of(&self.incoherent, &config.incoherent);
        let (size, product) = self.interference();
        let beat = |sign| product.mean_of(&wave.shifted(sign, &self.beat)).0;
        let sbi = s + b + 0.5 * size * (beat(1.0) + beat(-1.0));
        let sums = [s, sbi, b];
        std::array::from_fn(|j| sums[j] / self.events[j])
    }
}

#[cfg(test)]
mod tests {
    use super::super::{InterferenceConfig, Process};
    use super::*;
    use sideband_numerics::random::Key;

    #[test]
    fn the_rule_integrates_responses_and_their_powers() {
        let mut narrow = InterferenceConfig::default();
        narrow.shape.wave = [0.1, 0.0, -0.1, 0.0, 0.0, 0.0];
        narrow.shape.size.up = 0.5;
        for config in [
            InterferenceConfig::default(),
            InterferenceConfig::without_interference(),
            narrow,
        ] {
            let model = Interference::new(config).unwrap();
            let rule = model.response_rule();
            for (j, process) in Process::ALL.into_iter().enumerate() {
                let sum = |f: &dyn Fn(f64) -> f64| -> f64 {
                    let nodes = rule.iter();
                    nodes
                        .map(|node| node.weights[j] * f(node.responses[j].up))
                        .sum()
                };
                assert!((sum(&|_| 1.0) - 1.0).abs() < 1e-12);
                assert!((sum(&|g| g) - 1.0).abs() < 1e-12);
                assert!(rule.iter().all(|node| node.weights[j] >= 0.0));
                // a power that no rule knows, against Monte Carlo
                let n = 20_000;
                let events = model.sample(process, n, Key::from_seed(6));
                let powers: Vec<f64> = events
                    .iter()
                    .map(|x| model.responses(x)[j].up.powf(7.3))
                    .collect();
                let mean = powers.iter().sum::<f64>() / n as f64;
                let square = powers.iter().map(|p| (p - mean).powi(2)).sum::<f64>();
                let error = square.sqrt() / n as f64;
                let found = sum(&|g| g.powf(7.3));
                assert!(
                    (found - mean).abs() < 4.0 * error,
                    "{found} {mean} +- {error}"
                );
                assert!(found > 1.01, "the power is not normalised: {found}");
            }
        }
    }
}
