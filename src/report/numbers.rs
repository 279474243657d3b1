//! Numbers as tables, pages and the terminal write them: one rule.
//!
//! The digits of a value are those of its error, which has two significant ones; a
//! value without an error has as many as are asked for. Nothing that is not zero is
//! written as zero, and what lies below 1e-5 has an exponent.

/// Largest number of decimals before an exponent is written.
const DECIMALS: i32 = 5;

/// Numbers from here on are written with an exponent.
const LONG: f64 = 1e15;

/// Decimals that show `digits` significant digits of a number; none of 0 and of what
/// is not finite.
fn decimals(number: f64, digits: i32) -> Option<i32> {
    if number == 0.0 || !number.is_finite() {
        return None;
    }
    // as rounded: 0.0996 with two digits is 0.10
    let text = format!("{:.*e}", (digits - 1).max(0) as usize, number.abs());
    let (_, exponent) = text.split_once('e')?;
    Some(digits - 1 - exponent.parse::<i32>().ok()?)
}

/// Decimals of a value with these errors: two significant digits of the smallest that
/// is not zero.
pub(crate) fn decimals_of(errors: &[f64]) -> Option<i32> {
    errors.iter().filter_map(|e| decimals(*e, 2)).max()
}

/// A number with so many decimals; digits before the point are never rounded away.
pub(crate) fn fixed(number: f64, decimals: i32) -> String {
    format!("{number:.*}", decimals.clamp(0, 300) as usize)
}

/// A number with so many significant digits.
pub(crate) fn significant(number: f64, digits: i32) -> String {
    match decimals(number, digits) {
        Some(d) if number.abs() >= LONG || d > DECIMALS + digits - 1 => {
            format!("{number:.*e}", (digits - 1).max(0) as usize)
        }
        Some(d) => fixed(number, d),
        None if number == 0.0 => "0".to_owned(),
        None => number.to_string(),
    }
}

/// A number that has no error: four significant digits.
pub(crate) fn number(number: f64) -> String {
    significant(number, 4)
}

/// `value ± error ± error`, with two digits of the smallest error that is not zero.
pub(crate) fn with_errors(value: f64, errors: &[f64]) -> String {
    joined(value, errors, " ± ")
}

/// A value and its error, as far as there are any; `none` in place of no value.
pub(crate) fn known(value: Option<f64>, error: Option<f64>, none: &str) -> String {
    match (value, error) {
        (Some(value), Some(error)) => with_error(value, error),
        (Some(value), None) => number(value),
        (None, _) => none.to_owned(),
    }
}

/// A number of at most four significant digits, without zeros at its end.
pub(crate) fn trimmed(x: f64) -> String {
    let text = number(x);
    match text.contains('.') && !text.contains('e') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A p-value in few characters.
pub(crate) fn p_value(p: f64) -> String {
    match p {
        0.0 => "0".to_owned(),
        _ if p < 1e-3 => format!("{p:.0e}"),
        _ if p < 0.1 => format!("{p:.3}"),
        _ => format!("{p:.2}"),
    }
}

/// `value ± error`.
pub(crate) fn with_error(value: f64, error: f64) -> String {
    with_errors(value, &[error])
}

/// The same with another sign between the two.
pub(crate) fn joined(value: f64, errors: &[f64], sign: &str) -> String {
    let all = std::iter::once(&value).chain(errors);
    if all.clone().any(|x| x.is_finite() && x.abs() >= LONG) {
        let texts: Vec<String> = all.map(|x| significant(*x, 4)).collect();
        return texts.join(sign);
    }
    let Some(d) = decimals_of(errors) else {
        // -0 is written without its sign
        let errors: Vec<String> = errors.iter().map(|e| (e + 0.0).to_string()).collect();
        return format!("{}{sign}{}", significant(value, 5), errors.join(sign));
    };
    let texts = |scale: f64, d: i32| {
        let all = std::iter::once(&value).chain(errors);
        let all: Vec<String> = all.map(|x| fixed(x * scale, d)).collect();
        all.join(sign)
    };
    // two digits of an error below 1e-4, beside a value that is no longer one
    if d > DECIMALS && value.abs() < 1e-2 {
        let largest = errors.iter().fold(value.abs(), |a, e| a.max(e.abs()));
        let exponent = largest.log10().floor() as i32;
        let scale = 10f64.powi(-exponent);
        return format!("({})e{exponent}", texts(scale, d + exponent));
    }
    texts(1.0, d)
}

/// A fraction in %, with two significant digits.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{} %", significant(100.0 * fraction, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_two_digits_and_values_their_decimals() {
        for (value, error, expected) in [
            (1.0604, 0.0859, "1.060 ± 0.086"),
            (8.7614, 0.4173, "8.76 ± 0.42"),
            (1234.4, 35.13, "1234 ± 35"),
            (123_456.0, 3513.0, "123456 ± 3513"),
            (74.769, 1.7426, "74.8 ± 1.7"),
            (0.0996, 0.0996, "0.10 ± 0.10"),
            (2.0e-7, 3.14e-8, "(2.00 ± 0.31)e-7"),
            (0.0, 3.14e-8, "(0.0 ± 3.1)e-8"),
            (12.0, 1.5e-7, "12.00000000 ± 0.00000015"),
            (5.25, 0.0, "5.2500 ± 0"),
            (0.0, 0.0, "0 ± 0"),
            (-3.2, 0.0123, "-3.200 ± 0.012"),
            (1.5, f64::NAN, "1.5000 ± NaN"),
            (5.9772e95, 8.473e95, "5.977e95 ± 8.473e95"),
        ] {
            assert_eq!(with_error(value, error), expected);
        }
        assert_eq!(with_errors(9.31, &[1.62, 0.051]), "9.310 ± 1.620 ± 0.051");
        assert_eq!(with_errors(9.31, &[1.62, 0.0]), "9.3 ± 1.6 ± 0.0");
    }

    /// Read back, a number is within half a unit of its last digit, and never zero
    /// where it is not.
    #[test]
    fn nothing_is_rounded_away() {
        for exponent in -12..=12 {
            for mantissa in [1.0, 1.05, 2.5, 9.94, 9.96, 9.999] {
                let x: f64 = mantissa * 10f64.powi(exponent);
                for digits in 2..=5 {
                    let text = significant(-x, digits);
                    let back: f64 = text.parse().unwrap();
                    let unit = 10f64.powi(1 - digits);
                    assert!((back / -x - 1.0).abs() <= 0.5001 * unit, "{x} {text}");
                }
                let text = percent(x);
                let back: f64 = text.trim_end_matches(" %").parse().unwrap();
                assert!((back / (100.0 * x) - 1.0).abs() < 0.0501, "{x} {text}");
            }
        }
    }
}
