//! Invertible transforms of single variables, so that densities are densities of
//! the user's variables.

use crate::settings::Transform;

impl Transform {
    /// The transform of an expression, as an expression.
    #[must_use]
    pub fn expression(&self, text: &str) -> String {
        // as written where nothing happens: errors point into the user's text
        match *self {
            Self::Identity => text.to_owned(),
            Self::Log { above: 0.0 } => format!("log({text})"),
            Self::Log { above } => format!("log(({text}) - {})", literal(above)),
            Self::LogBelow { below } => format!("log({} - ({text}))", literal(below)),
            Self::Logit { low, high } => {
                let (low, high) = (literal(low), literal(high));
                format!("log((({text}) - {low}) / ({high} - ({text})))")
            }
        }
    }

    /// x of y, for every finite y.
    #[must_use]
    pub fn inverse(&self, y: f64) -> f64 {
        match *self {
            Self::Identity => y,
            Self::Log { above } => above + y.exp(),
            Self::LogBelow { below } => below - y.exp(),
            // low + (high - low) s, without loss at either end
            Self::Logit { low, high } if y < 0.0 => {
                let e = y.exp();
                low + (high - low) * e / (1.0 + e)
            }
            Self::Logit { low, high } => {
                let e = (-y).exp();
                high - (high - low) * e / (1.0 + e)
            }
        }
    }

    /// log |dy/dx| at y.
    #[must_use]
    pub fn log_jacobian(&self, y: f64) -> f64 {
        match *self {
            Self::Identity => 0.0,
            Self::Log { .. } | Self::LogBelow { .. } => -y,
            // 1 / ((high - low) s (1 - s)) with s = 1/(1 + exp(-y))
            Self::Logit { low, high } => {
                y.abs() + 2.0 * (-y.abs()).exp().ln_1p() - (high - low).ln()
            }
        }
    }
}

/// A number as the expression language reads it back to the bit.
fn literal(x: f64) -> String {
    format!("({x:?})")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Transform; 5] = [
        Transform::Identity,
        Transform::Log { above: 0.0 },
        Transform::Log { above: -2.5 },
        Transform::LogBelow {
            below: std::f64::consts::PI,
        },
        Transform::Logit {
            low: -1.0,
            high: 4.0,
        },
    ];

    /// y of x; NaN or infinite outside the domain.
    fn forward(transform: Transform, x: f64) -> f64 {
        match transform {
            Transform::Identity => x,
            Transform::Log { above } => (x - above).ln(),
            Transform::LogBelow { below } => (below - x).ln(),
            Transform::Logit { low, high } => ((x - low) / (high - x)).ln(),
        }
    }

    /// y -> x -> y, within the rounding of x carried by the slope, also far out.
    #[test]
    fn every_transform_is_inverted() {
        for transform in ALL {
            for k in -60..=60 {
                let y = f64::from(k) * 0.25;
                let x = transform.inverse(y);
                let slope = transform.log_jacobian(y).exp();
                let allowed = 16.0 * f64::EPSILON * (y.abs() + x.abs().max(4.0) * slope);
                let found = forward(transform, x);
                assert!((found - y).abs() <= allowed, "{transform:?} {y} {found}");
            }
        }
    }

    #[test]
    fn jacobians_are_the_slopes() {
        for transform in ALL {
            for k in -12..=12 {
                let y = f64::from(k) * 0.25;
                let h = 1e-5;
                let slope = (transform.inverse(y + h) - transform.inverse(y - h)) / (2.0 * h);
                let expected = -slope.abs().ln();
                let found = transform.log_jacobian(y);
                assert!((found - expected).abs() < 1e-8, "{transform:?} {y}");
            }
        }
    }

    #[test]
    fn expressions_say_the_same() {
        for transform in ALL {
            let text = transform.expression("x");
            let expression = sideband_numerics::Expression::parse(&text).unwrap();
            for x in [0.1, 0.5, 2.9] {
                let found = expression.eval(&[x]);
                assert!((found - forward(transform, x)).abs() < 1e-14, "{text}");
            }
        }
    }
}
