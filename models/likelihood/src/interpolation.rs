//! Interpolation of a yield or a density ratio in a nuisance parameter `alpha`
//! between its values at `alpha = -1, 0, +1`: the codes of HistFactory.
//!
//! Cranmer et al., CERN-OPEN-2012-016; code 4p is that of
//! pyhf. Codes 1 and 4 give a factor, the others a term that is added to the
//! nominal value.

use serde::{Deserialize, Serialize};

/// A code of HistFactory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Piecewise linear, added.
    Code0,
    /// Piecewise exponential, a factor.
    Code1,
    /// Quadratic, beyond `|alpha| = 1` linear, added.
    ///
    /// The lines start at the values at the ends, as in ROOT; those of pyhf 0.7.6 do
    /// not, so that its function jumps there.
    Code2,
    /// A polynomial of sixth order, beyond `|alpha| = 1` exponential, twice
    /// continuously differentiable, a factor.
    #[default]
    Code4,
    /// A polynomial of sixth order, beyond `|alpha| = 1` linear, twice continuously
    /// differentiable, added.
    Code4p,
}

impl Interpolation {
    /// Its name in HistFactory and pyhf.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Code0 => "code0",
            Self::Code1 => "code1",
            Self::Code2 => "code2",
            Self::Code4 => "code4",
            Self::Code4p => "code4p",
        }
    }

    /// Whether it gives a factor, and not a term.
    pub const fn is_factor(self) -> bool {
        matches!(self, Self::Code1 | Self::Code4)
    }

    /// Whether its slope jumps at zero.
    pub const fn has_kink(self) -> bool {
        matches!(self, Self::Code0 | Self::Code1)
    }

    /// Value relative to a nominal value of 1 whose values at -1 and +1 are `low`
    /// and `high`: the factor itself, or 1 + the term; with two derivatives in `alpha`.
    ///
    /// Codes 1 and 4 need `low > 0` and `high > 0`. At the kinks of codes 0 and 1
    /// the derivatives are those from above.
    pub fn relative(self, alpha: f64, low: f64, high: f64) -> [f64; 3] {
        match self {
            Self::Code1 => exponential(alpha, low.ln(), high.ln()),
            Self::Code4 if alpha.abs() >= 1.0 => exponential(alpha, low.ln(), high.ln()),
            Self::Code4 => EndWeights::code4(alpha).apply([low, high], [low.ln(), high.ln()]),
            Self::Code0 | Self::Code2 | Self::Code4p => {
                let [value, first, second] = self.term(alpha, low - 1.0, high - 1.0);
                [1.0 + value, first, second]
            }
        }
    }

    /// The term to add to a nominal value, from its differences to nominal at -1 and
    /// at +1; for a code that is a factor, the factor of nominal 1, minus 1.
    pub fn term(self, alpha: f64, down: f64, up: f64) -> [f64; 3] {
        match self {
            Self::Code0 if alpha < 0.0 => [-alpha * down, -down, 0.0],
            Self::Code0 => [alpha * up, up, 0.0],
            Self::Code2 => quadratic(alpha, down, up),
            Self::Code4p => code4p(alpha, down, up),
            Self::Code1 | Self::Code4 => {
                let [value, first, second] = self.relative(alpha, 1.0 + down, 1.0 + up);
                [value - 1.0, first, second]
            }
        }
    }
}

/// `high^alpha`, or `low^-alpha` below zero, from the logarithms.
fn exponential(alpha: f64, log_low: f64, log_high: f64) -> [f64; 3] {
    let slope = if alpha < 0.0 { -log_low } else { log_high };
    let value = (slope * alpha).exp();
    [value, slope * value, slope * slope * value]
}

fn quadratic(alpha: f64, down: f64, up: f64) -> [f64; 3] {
    let (even, odd) = (0.5 * (up + down), 0.5 * (up - down));
    if alpha > 1.0 {
        let slope = odd + 2.0 * even;
        [up + slope * (alpha - 1.0), slope, 0.0]
    } else if alpha < -1.0 {
        let slope = odd - 2.0 * even;
        [down + slope * (alpha + 1.0), slope, 0.0]
    } else {
        let first = 2.0 * even * alpha + odd;
        [alpha * (even * alpha + odd), first, 2.0 * even]
    }
}

fn code4p(alpha: f64, down: f64, up: f64) -> [f64; 3] {
    if alpha.abs() >= 1.0 {
        return Interpolation::Code0.term(alpha, down, up);
    }
    let (odd, even) = (0.5 * (up - down), 0.0625 * (up + down));
    let a2 = alpha * alpha;
    [
        alpha * odd + even * a2 * (15.0 + a2 * (3.0 * a2 - 10.0)),
        odd + even * alpha * (30.0 + a2 * (18.0 * a2 - 40.0)),
        even * (30.0 + a2 * (90.0 * a2 - 120.0)),
    ]
}

/// An interpolation at one `alpha` as a linear function of what the end points
/// contribute: the polynomial of code 4 for `|alpha| <= 1`, and the codes that add
/// terms, everywhere.
///
/// The six coefficients of the polynomial of code 4 are fixed by value, first and second
/// derivative of the exponentials at both ends, and are linear in `h - 1`,
/// `h ln h` and `h ln^2 h` of each end point `h`. With weights `w` that depend on
/// `alpha` alone,
///
/// `g = c + sum over ends of h (w0 + w1 ln h + w2 ln^2 h)`, `c = 1 - sum of w0`,
///
/// and likewise for the derivatives. The other codes are linear in `h - 1` alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct EndWeights {
    /// `c` for value, first and second derivative.
    pub(crate) constant: [f64; 3],
    /// `w0, w1, w2` of the lower end, by order of the derivative.
    pub(crate) low: [[f64; 3]; 3],
    /// The same of the upper end.
    pub(crate) high: [[f64; 3]; 3],
}

/// What a factor is at -1 and +1 relative to nominal, with the logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ends {
    values: [f64; 2],
    logarithms: [f64; 2],
}

impl Ends {
    /// Both must be positive for codes 1 and 4.
    pub(crate) fn new(low: f64, high: f64) -> Self {
        let values = [low, high];
        Self {
            values,
            logarithms: values.map(f64::ln),
        }
    }

    /// Whether nothing varies.
    pub(crate) fn is_nothing(&self) -> bool {
        self.values == [1.0, 1.0]
    }
}

/// An interpolation at one `alpha`, for any number of end points: what depends on `alpha`
/// alone is computed once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct InterpolationAt {
    code: Interpolation,
    alpha: f64,
    weights: Option<EndWeights>,
}

impl InterpolationAt {
    pub(crate) fn new(code: Interpolation, alpha: f64) -> Self {
        let weights = match code {
            Interpolation::Code1 => None,
            Interpolation::Code4 if alpha.abs() >= 1.0 => None,
            Interpolation::Code4 => Some(EndWeights::code4(alpha)),
            _ => Some(EndWeights::additive(code, alpha)),
        };
        Self {
            code,
            alpha,
            weights,
        }
    }

    /// As [`Interpolation::relative`].
    pub(crate) fn relative(&self, ends: &Ends) -> [f64; 3] {
        let ([low, high], [log_low, log_high]) = (ends.values, ends.logarithms);
        match &self.weights {
            None => exponential(self.alpha, log_low, log_high),
            Some(weights) if self.code.is_factor() => {
                weights.apply([low, high], [log_low, log_high])
            }
            Some(_) => {
                let [value, first, second] = self.term(low - 1.0, high - 1.0);
                [1.0 + value, first, second]
            }
        }
    }

    /// As [`Interpolation::term`], for a code that adds.
    pub(crate) fn term(&self, down: f64, up: f64) -> [f64; 3] {
        let weight = |order: usize| {
            let weights = self.weights.as_ref();
            weights.map_or(0.0, |w| down * w.low[order][0] + up * w.high[order][0])
        };
        std::array::from_fn(weight)
    }
}

/// Coefficients of `alpha^1, alpha^3, alpha^5`, times 8, of the part that is odd in
/// `alpha`: those of the half difference of the values, the half sum of the first
/// and the half difference of the second derivatives at the ends.
const ODD: [[f64; 3]; 3] = [[15.0, -10.0, 3.0], [-7.0, 10.0, -3.0], [1.0, -2.0, 1.0]];
/// Coefficients of `alpha^2, alpha^4, alpha^6`, times 8, of the even part, with sum
/// and difference exchanged; the values are those above 1.
const EVEN: [[f64; 3]; 3] = [[24.0, -24.0, 8.0], [-9.0, 14.0, -5.0], [1.0, -2.0, 1.0]];

impl EndWeights {
    /// The weights of a code that adds terms.
    pub(crate) fn additive(code: Interpolation, alpha: f64) -> Self {
        let (low, high) = (code.term(alpha, 1.0, 0.0), code.term(alpha, 0.0, 1.0));
        let constant = |order: usize| f64::from(u8::from(order == 0)) - low[order] - high[order];
        Self {
            constant: std::array::from_fn(constant),
            low: low.map(|w| [w, 0.0, 0.0]),
            high: high.map(|w| [w, 0.0, 0.0]),
        }
    }

    /// The weights of code 4 at `alpha`.
    pub(crate) fn code4(alpha: f64) -> Self {
        let mut weights = Self {
            constant: [1.0, 0.0, 0.0],
            low: [[0.0; 3]; 3],
            high: [[0.0; 3]; 3],
        };
        for term in 0..3 {
            let odd = polynomial(alpha, 1, ODD[term]);
            let even = polynomial(alpha, 2, EVEN[term]);
            for order in 0..3 {
                // an eighth from the coefficients, a half from sum and difference
                weights.high[order][term] = (even[order] + odd[order]) / 16.0;
                weights.low[order][term] = (even[order] - odd[order]) / 16.0;
            }
        }
        for order in 0..3 {
            weights.constant[order] -= weights.low[order][0] + weights.high[order][0];
        }
        weights
    }

    /// Value and derivatives for the end points and their logarithms.
    fn apply(&self, [low, high]: [f64; 2], [log_low, log_high]: [f64; 2]) -> [f64; 3] {
        let end = |h: f64, x: f64, w: [f64; 3]| h * (w[0] + x * (w[1] + x * w[2]));
        std::array::from_fn(|order| {
            self.constant[order]
                + end(low, log_low, self.low[order])
                + end(high, log_high, self.high[order])
        })
    }
}

/// Value and two derivatives of `sum of c_n alpha^(first + 2 n)`.
fn polynomial(alpha: f64, first: i32, coefficients: [f64; 3]) -> [f64; 3] {
    let mut jet = [0.0; 3];
    for (power, c) in (first..).step_by(2).zip(coefficients) {
        let n = f64::from(power);
        jet[0] += c * alpha.powi(power);
        jet[1] += c * n * alpha.powi(power - 1);
        if power > 1 {
            jet[2] += c * n * (n - 1.0) * alpha.powi(power - 2);
        }
    }
    jet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::assert_near;
    use serde::Deserialize;
    use std::collections::HashMap;

    const CODES: [(&str, Interpolation); 5] = [
        ("0", Interpolation::Code0),
        ("1", Interpolation::Code1),
        ("2", Interpolation::Code2),
        ("4", Interpolation::Code4),
        ("4p", Interpolation::Code4p),
    ];

    #[derive(Deserialize)]
    struct Golden {
        alphas: Vec<f64>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        lo: f64,
        hi: f64,
        code4_derivative: Vec<f64>,
        code_values: HashMap<String, Vec<f64>>,
    }

    fn golden() -> Golden {
        let text = include_str!("../tests/data/golden/histfactory_interp.json");
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn values_are_those_of_pyhf() {
        let golden = golden();
        for case in &golden.cases {
            for (name, code) in CODES {
                for (&alpha, expected) in golden.alphas.iter().zip(&case.code_values[name]) {
                    // beyond the ends pyhf jumps
                    if code == Interpolation::Code2 && alpha.abs() > 1.0 {
                        continue;
                    }
                    let found = match code.is_factor() {
                        true => code.relative(alpha, case.lo, case.hi),
                        false => code.term(alpha, case.lo - 1.0, case.hi - 1.0),
                    };
                    assert_near(found[0], expected, 1e-13);
                }
            }
        }
    }

    #[test]
    fn slope_of_code_4_is_that_of_pyhf() {
        let golden = golden();
        for case in &golden.cases {
            for (alpha, expected) in golden.alphas.iter().zip(&case.code4_derivative) {
                let found = Interpolation::Code4.relative(*alpha, case.lo, case.hi)[1];
                assert_near(found, expected, 1e-12);
            }
        }
    }

    #[test]
    fn derivatives_agree_with_differences() {
        const STEP: f64 = 1e-4;
        for (_, code) in CODES {
            for alpha in [-2.3, -0.9, -0.4, 0.2, 0.7, 1.6] {
                let at = |alpha| code.relative(alpha, 0.8, 1.3);
                let (below, above) = (at(alpha - STEP), at(alpha + STEP));
                for order in 0..2 {
                    let slope = (above[order] - below[order]) / (2.0 * STEP);
                    assert_near(at(alpha)[order + 1], slope, 3e-8);
                }
            }
        }
    }

    #[test]
    fn codes_4_and_4p_are_twice_differentiable_at_the_ends() {
        for code in [Interpolation::Code4, Interpolation::Code4p] {
            for end in [-1.0_f64, 1.0] {
                let inside = code.relative(end * (1.0 - 1e-12), 0.7, 1.4);
                let outside = code.relative(end, 0.7, 1.4);
                for order in 0..3 {
                    assert_near(inside[order], outside[order], 1e-10);
                }
            }
        }
    }

    #[test]
    fn code_2_and_its_slope_have_no_jump() {
        for end in [-1.0_f64, 1.0] {
            let inside = Interpolation::Code2.relative(end, 0.8, 1.3);
            let outside = Interpolation::Code2.relative(end * (1.0 + 1e-12), 0.8, 1.3);
            assert_near(inside[0], outside[0], 1e-11);
            assert_near(inside[1], outside[1], 1e-11);
        }
    }

    #[test]
    fn weights_of_the_end_points_give_every_code_that_adds() {
        for (_, code) in CODES.into_iter().filter(|(_, code)| !code.is_factor()) {
            for alpha in [-2.3, -1.0, -0.4, 0.0, 0.7, 1.6] {
                let logarithms = [0.8_f64, 1.3].map(f64::ln);
                let found = EndWeights::additive(code, alpha).apply([0.8, 1.3], logarithms);
                let expected = code.relative(alpha, 0.8, 1.3);
                for (found, expected) in found.iter().zip(expected) {
                    assert_near(found, expected, 1e-13);
                }
            }
        }
    }

    #[test]
    fn what_is_computed_once_gives_every_code() {
        for (_, code) in CODES {
            for alpha in [-2.3, -1.0, -0.4, 0.0, 0.7, 1.0, 1.6] {
                let at = InterpolationAt::new(code, alpha);
                let found = at.relative(&Ends::new(0.8, 1.3));
                for (found, expected) in found.iter().zip(code.relative(alpha, 0.8, 1.3)) {
                    assert_near(found, expected, 1e-14);
                }
                let nothing = at.relative(&Ends::new(1.0, 1.0));
                for (found, expected) in nothing.iter().zip([1.0, 0.0, 0.0]) {
                    assert_near(found, expected, 1e-14);
                }
                if !code.is_factor() {
                    let expected = code.term(alpha, -4.0, 7.0);
                    for (found, expected) in at.term(-4.0, 7.0).iter().zip(expected) {
                        assert_near(found, expected, 1e-13);
                    }
                }
            }
        }
    }

    #[test]
    fn names_are_those_of_histfactory() {
        let names = CODES.map(|(_, code)| serde_json::to_string(&code).unwrap());
        let expected = ["code0", "code1", "code2", "code4", "code4p"];
        assert_eq!(names, expected.map(|name| format!("\"{name}\"")));
    }
}
