//! Digests of a document as pyhf has them: of its JSON as Python writes it, with the names of every
//! object in order (`json.dumps(.., sort_keys=True, ensure_ascii=False)` of `pyhf.utils.digest`, 0.7.6).
//!
//! Integers beyond 64 bits and the integer `-0` are written as floating-point numbers, so that the
//! digest of a document with one of them is another one; pyhf writes none.

use serde_json::{Map, Number, Value};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// How a digest is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    /// The algorithm of this name in a patch set.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "md5" => Some(Self::Md5),
            "sha256" => Some(Self::Sha256),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
        }
    }

    /// The digest of a text, in hexadecimal digits.
    pub(super) fn digest(self, text: &str) -> String {
        let bytes = match self {
            Self::Md5 => md5(text.as_bytes()).to_vec(),
            Self::Sha256 => Sha256::digest(text).to_vec(),
        };
        let mut digits = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            let _ = write!(digits, "{byte:02x}");
        }
        digits
    }
}

/// A document as Python writes it, with the names of every object in order.
pub(super) fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(value) => write_number(value, text),
        Value::String(value) => write_text(value, text),
        Value::Array(list) => {
            text.push('[');
            for (place, value) in list.iter().enumerate() {
                text.push_str(if place > 0 { ", " } else { "" });
                write(value, text);
            }
            text.push(']');
        }
        Value::Object(map) => write_object(map, text),
    }
}

fn write_object(map: &Map<String, Value>, text: &mut String) {
    // the order of bytes of UTF-8 is that of code points, which is Python's
    let mut pairs: Vec<(&String, &Value)> = map.iter().collect();
    pairs.sort_unstable_by_key(|(key, _)| *key);
    text.push('{');
    for (place, (key, value)) in pairs.into_iter().enumerate() {
        text.push_str(if place > 0 { ", " } else { "" });
        write_text(key, text);
        text.push_str(": ");
        write(value, text);
    }
    text.push('}');
}

fn write_text(value: &str, text: &mut String) {
    // the same characters are escaped, in the same way
    text.push_str(&Value::from(value).to_string());
}

fn write_number(value: &Number, text: &mut String) {
    match value.as_f64() {
        Some(x) if value.is_f64() => text.push_str(&float(x)),
        _ => text.push_str(&value.to_string()),
    }
}

/// `repr` of a number of Python: the fewest digits that give it back, of two that are as near the
/// even ones, with an exponent below 1e-4 and from 1e16 on.
fn float(x: f64) -> String {
    let shortest = format!("{x:e}");
    let digits = shortest.bytes().take_while(|b| *b != b'e');
    let digits = digits.filter(u8::is_ascii_digit).count();
    // of so many digits the nearest, in a tie the even one
    let nearest = format!("{x:.*e}", digits.saturating_sub(1));
    let scientific = match nearest.parse() == Ok(x) {
        true => nearest,
        false => shortest,
    };
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..16).contains(&exponent) && x != 0.0 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let minus = if x.is_sign_negative() { "-" } else { "" };
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    // where the point is among the digits
    let (before, after) = match usize::try_from(exponent) {
        Ok(exponent) => {
            let padded = format!("{digits:0<width$}", width = exponent + 1);
            let (before, after) = padded.split_at(exponent + 1);
            (before.to_owned(), after.to_owned())
        }
        Err(_) => {
            let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
            ("0".to_owned(), zeros + &digits)
        }
    };
    let after = if after.is_empty() { "0" } else { &after };
    format!("{minus}{before}.{after}")
}

/// Shifts of the four steps of each round.
const SHIFTS: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];

/// The digest MD5 (RFC 1321) of a message. It protects against nothing but mistakes.
fn md5(message: &[u8]) -> [u8; 16] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - message.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len() - 8;
    let bits = (message.len() as u64).wrapping_mul(8);
    padded[end..].copy_from_slice(&bits.to_le_bytes());
    // the whole part of 2^32 |sin(i + 1)|, of step i
    let sines: Vec<u32> = (1..=64)
        .map(|i| (f64::from(i).sin().abs() * 4_294_967_296.0) as u32)
        .collect();
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded.chunks_exact(64) {
        let words: Vec<u32> = block
            .chunks_exact(4)
            .map(|word| {
                word.iter()
                    .rev()
                    .fold(0, |w, byte| w << 8 | u32::from(*byte))
            })
            .collect();
        let [mut a, mut b, mut c, mut d] = state;
        for (step, sine) in sines.iter().enumerate() {
            let round = step / 16;
            let (mixed, word) = match round {
                0 => (b & c | !b & d, step),
                1 => (b & d | c & !d, 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(*sine);
            let turned = sum.wrapping_add(words[word % 16]);
            let turned = turned.rotate_left(SHIFTS[round][step % 4]);
            (a, d, c, b) = (d, c, b, b.wrapping_add(turned));
        }
        for (sum, word) in state.iter_mut().zip([a, b, c, d]) {
            *sum = sum.wrapping_add(word);
        }
    }
    let mut digest = [0; 16];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_does() {
        // repr() of CPython 3.12
        for (x, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (5.0, "5.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (-1.234_567_890_123_456_8e17, "-1.2345678901234568e+17"),
            (1e22, "1e+22"),
            (1e-310, "1e-310"),
            (5e-324, "5e-324"),
            (45.811_683_654_785_156, "45.811683654785156"),
            // half way between two of as many digits
            (585.196_350_097_656_3, "585.1963500976562"),
            (0.510_444_641_113_281_3, "0.5104446411132812"),
            (0.012_5, "0.0125"),
            (123.0, "123.0"),
            (9_007_199_254_740_992.0, "9007199254740992.0"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        ] {
            assert_eq!(float(x), text);
        }
    }

    #[test]
    fn documents_have_the_digests_of_pyhf() {
        // pyhf.utils.digest, 0.7.6
        let value: Value = serde_json::from_str(r#"{"c": 1.0, "a": 2.0, "b": 3.0}"#).unwrap();
        let text = canonical(&value);
        assert_eq!(text, r#"{"a": 2.0, "b": 3.0, "c": 1.0}"#);
        for (algorithm, digest) in [
            (
                Algorithm::Sha256,
                "a38f6093800189b79bc22ef677baf90c75705af2cfc7ff594159eca54eaa7928",
            ),
            (Algorithm::Md5, "2c0633f242928eb55c3672fed5ba8612"),
        ] {
            assert_eq!(algorithm.digest(&text), digest);
        }
    }

    #[test]
    fn md5_is_that_of_its_memorandum() {
        // RFC 1321, A.5
        let digits = "1234567890".repeat(8);
        for (message, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (&digits, "57edf4a22be3c955ac49da2e2107b67a"),
        ] {
            assert_eq!(Algorithm::Md5.digest(message), digest);
        }
        // messages that just fit a block, and do not
        for (length, digest) in [
            (55, "ef1772b6dff9a122358552954ad0df65"),
            (56, "3b0c8ac703f828b04c6c197006d17218"),
            (64, "014842d480b571495a4a0363793f7367"),
        ] {
            assert_eq!(Algorithm::Md5.digest(&"a".repeat(length)), digest);
        }
    }

    #[test]
    fn texts_keep_what_is_no_control_character() {
        let value = serde_json::json!({"é": "μ\n\u{1}\"\\/\u{7f}", "Z": [], "a": [null, true]});
        let text = "{\"Z\": [], \"a\": [null, true], \"é\": \"μ\\n\\u0001\\\"\\\\/\u{7f}\"}";
        assert_eq!(canonical(&value), text);
    }
}
