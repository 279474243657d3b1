//! Where a function of one variable vanishes.

/// Evaluations after which a bracket is taken as it is: bisection alone has
/// reduced it by 2^30 by then.
const EVALUATIONS: usize = 60;

/// A root of `f` between `low` and `high`, where it has the values `at_low` and
/// `at_high` of opposite sign, to within `tolerance`.
///
/// False position with the weights of Illinois (Dowell and Jarratt, BIT 11 (1971)
/// 168), and a bisection after each pair of steps.
pub(super) fn root<E>(
    mut f: impl FnMut(f64) -> Result<f64, E>,
    (mut low, mut at_low): (f64, f64),
    (mut high, mut at_high): (f64, f64),
    tolerance: f64,
) -> Result<f64, E> {
    for step in 0..EVALUATIONS {
        if (high - low).abs() <= tolerance || at_low == 0.0 {
            break;
        }
        let secant = (low * at_high - high * at_low) / (at_high - at_low);
        let inside = secant > low.min(high) && secant < low.max(high);
        let x = if step % 3 == 2 || !inside {
            0.5 * (low + high)
        } else {
            secant
        };
        let value = f(x)?;
        if value == 0.0 {
            return Ok(x);
        }
        if (value > 0.0) == (at_low > 0.0) {
            (low, at_low) = (x, value);
            at_high *= 0.5;
        } else {
            (high, at_high) = (low, at_low);
            (low, at_low) = (x, value);
        }
    }
    Ok(if at_low.abs() <= at_high.abs() {
        low
    } else {
        high
    })
}
