//! Numbers as they lie in a basket: as they are, or with less than they have in memory, as
//! `Float16_t` and `Double32_t` by the range and the number of bits in a leaf's title
//! (`TBufferFile::WriteFloat16`, `TStreamerElement::GetRange`).

use std::f64::consts::PI;

use arrow::array::ArrayRef;

use super::number::Number;

/// Bits of a `Float16_t` whose title says none.
const HALF_BITS: u32 = 12;

/// A number, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stored {
    pub(super) number: Number,
    packing: Packing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Packing {
    /// As it is.
    Plain,
    /// In single precision.
    Single,
    /// An integer of 32 bits: over the factor, above the minimum.
    Range { factor: f64, minimum: f64 },
    /// The exponent, then so many bits of the mantissa with the sign above them.
    Bits(u32),
}

impl From<Number> for Stored {
    fn from(number: Number) -> Self {
        Self {
            number,
            packing: Packing::Plain,
        }
    }
}

impl Stored {
    /// A `Float16_t`.
    pub(super) fn half(title: &str) -> Self {
        Self {
            number: Number::F32,
            packing: specified(title).unwrap_or(Packing::Bits(HALF_BITS)),
        }
    }

    /// A `Double32_t`.
    pub(super) fn single(title: &str) -> Self {
        Self {
            number: Number::F64,
            packing: specified(title).unwrap_or(Packing::Single),
        }
    }

    /// Bytes of one in a basket.
    pub(super) fn size(self) -> usize {
        match self.packing {
            Packing::Plain => self.number.size(),
            Packing::Single | Packing::Range { .. } => 4,
            Packing::Bits(_) => 3,
        }
    }

    /// The numbers in `pieces`, each of which holds whole ones.
    pub(super) fn array<'a>(self, pieces: impl Iterator<Item = &'a [u8]> + Clone) -> ArrayRef {
        if self.packing == Packing::Plain {
            return self.number.array(pieces);
        }
        let packed = pieces.flat_map(|piece| piece.chunks_exact(self.size()));
        let values = packed.map(|bytes| self.packing.value(bytes));
        let mut bytes: Vec<u8> = Vec::new();
        match self.number {
            Number::F32 => values.for_each(|x| bytes.extend((x as f32).to_be_bytes())),
            _ => values.for_each(|x| bytes.extend(x.to_be_bytes())),
        }
        self.number.array(std::iter::once(bytes.as_slice()))
    }
}

impl Packing {
    fn value(self, bytes: &[u8]) -> f64 {
        match (self, bytes) {
            (Self::Single, &[a, b, c, d]) => f32::from_be_bytes([a, b, c, d]).into(),
            (Self::Range { factor, minimum }, &[a, b, c, d]) => {
                f64::from(u32::from_be_bytes([a, b, c, d])) / factor + minimum
            }
            (Self::Bits(bits), &[exponent, high, low]) => {
                let mantissa = u32::from(u16::from_be_bytes([high, low]));
                let magnitude = (mantissa & ((1 << (bits + 1)) - 1)) << (23 - bits);
                let value = f32::from_bits(u32::from(exponent) << 23 | magnitude);
                match mantissa >> (bits + 1) & 1 {
                    0 => value.into(),
                    _ => (-value).into(),
                }
            }
            // of another size: `Stored::array` cuts by it
            _ => f64::NAN,
        }
    }
}

/// What a title says of the range, behind dimensions or not: `[0,10]`, `[4][-pi,pi,16]`; a
/// range of no width says the number of bits alone, `[0,0,8]`.
fn specified(title: &str) -> Option<Packing> {
    let inside = title.split('[').skip(1);
    let inside = inside.filter_map(|rest| Some(rest.split_once(']')?.0));
    let mut words = inside.map(|text| text.split(',').collect::<Vec<_>>());
    let words = words.find(|words| words.len() > 1)?;
    let bits = words.get(2).and_then(|word| word.trim().parse().ok());
    let bits = bits.filter(|bits| (2..=32).contains(bits)).unwrap_or(32);
    let (minimum, maximum) = (border(words[0]), border(words[1]));
    if minimum < maximum {
        let steps = (1_u64 << bits).min(u64::from(u32::MAX)) as f64;
        let factor = steps / (maximum - minimum);
        return Some(Packing::Range { factor, minimum });
    }
    (bits < 15).then_some(Packing::Bits(bits))
}

/// An end of a range, a number or a part of pi.
fn border(word: &str) -> f64 {
    let word = word.to_lowercase().replace(' ', "");
    if !word.contains("pi") {
        return word.parse().unwrap_or(0.0);
    }
    let has = |parts: &[&str]| parts.iter().any(|part| word.contains(part));
    let size = match () {
        () if has(&["2pi", "2*pi", "twopi"]) => 2.0 * PI,
        () if has(&["pi/2"]) => PI / 2.0,
        () if has(&["pi/4"]) => PI / 4.0,
        () => PI,
    };
    if word.contains('-') { -size } else { size }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::AsArray as _;
    use arrow::datatypes::{Float32Type, Float64Type};

    use super::*;

    /// As `TBufferFile::WriteFloat16` writes with bits alone.
    fn with_bits(x: f32, bits: u32) -> [u8; 3] {
        let word = x.to_bits();
        let mut mantissa = ((1 << (bits + 1)) - 1) & (word >> (23 - bits - 1));
        mantissa = (mantissa + 1) >> 1;
        if mantissa >> bits & 1 == 1 {
            mantissa = (1 << bits) - 1;
        }
        if x < 0.0 {
            mantissa |= 1 << (bits + 1);
        }
        let [high, low] = (mantissa as u16).to_be_bytes();
        [(word << 1 >> 24) as u8, high, low]
    }

    #[test]
    fn titles_say_how_numbers_are_written() {
        let range = |factor, minimum| Some(Packing::Range { factor, minimum });
        let all = f64::from(u32::MAX);
        for (title, expected) in [
            ("x", None),
            ("x[4]", None),
            ("x[nx]", None),
            ("x[0,10]", range(all / 10.0, 0.0)),
            ("x[0,10,16]", range(6553.6, 0.0)),
            ("x[3][ -5 , 5.5, 8 ]", range(256.0 / 10.5, -5.0)),
            ("x[-pi,pi,20]", range(1_048_576.0 / (2.0 * PI), -PI)),
            ("x[0,twopi]", range(all / (2.0 * PI), 0.0)),
            ("x[-pi/2, pi/4, 10]", range(1024.0 / (0.75 * PI), -PI / 2.0)),
            ("x[0,10,40]", range(all / 10.0, 0.0)),
            ("x[0,0,8]", Some(Packing::Bits(8))),
            ("x[0,0,20]", None),
            ("x[0,0]", None),
            ("x[0,10,16", None),
        ] {
            assert_eq!(specified(title), expected, "{title}");
        }
    }

    #[test]
    fn numbers_are_what_was_written_to_their_precision() {
        let values = [0.0_f32, 1.0, -1.0, 3.25, -199.0, 0.1, 6.5e4, -1.7e-6];
        for (title, bits) in [
            ("x", 12),
            ("x[0,0,8]", 8),
            ("x[0,0,14]", 14),
            ("x[0,0,2]", 2),
        ] {
            let bytes = values.map(|x| with_bits(x, bits)).concat();
            let stored = Stored::half(title);
            assert_eq!(stored.size(), 3);
            let (one, other) = bytes.split_at(9);
            let found = stored.array([one, other].into_iter());
            for (found, x) in found
                .as_primitive::<Float32Type>()
                .values()
                .iter()
                .zip(values)
            {
                let precision = x.abs() * 0.5_f32.powi(bits as i32);
                assert!(
                    (found - x).abs() <= precision,
                    "{title}: {found} is not {x}"
                );
            }
        }
        // 5 of 0 to 10, and the ends
        let bytes: Vec<u8> = [32_768_u32, 0, 65_536].map(u32::to_be_bytes).concat();
        let found = Stored::half("x[2][0,10,16]").array(std::iter::once(&bytes[..]));
        assert_eq!(
            found.as_primitive::<Float32Type>().values()[..],
            [5.0, 0.0, 10.0]
        );
        let found = Stored::single("x[-2,2,16]").array(std::iter::once(&bytes[..]));
        assert_eq!(
            found.as_primitive::<Float64Type>().values()[..],
            [0.0, -2.0, 2.0]
        );
        let bytes: Vec<u8> = [0.1_f32, -7.0].map(f32::to_be_bytes).concat();
        let found = Stored::single("x").array(std::iter::once(&bytes[..]));
        let expected = [0.1_f32, -7.0].map(f64::from);
        assert_eq!(found.as_primitive::<Float64Type>().values()[..], expected);
    }
}
