//! How the elements of a page are written: split into their bytes, as differences, with the
//! sign at the end, in few bits.

use super::ntuple::ColumnRecord;
use super::number::Number;

/// Elements that are joined at once.
const TILE: usize = 64;

/// Numbers of twice the width from their lower and upper halves.
macro_rules! wholes {
    ($low:expr, $high:expr, $half:ty, $whole:ty) => {{
        let mut wholes: [$whole; TILE] = [0; TILE];
        for (place, whole) in wholes.iter_mut().enumerate() {
            let (low, high) = ($low[place], $high[place]);
            *whole = <$whole>::from(low) | <$whole>::from(high) << <$half>::BITS;
        }
        wholes
    }};
}

/// How a column of an RNTuple is turned into plain little-endian numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Encoding {
    Bit,
    /// As they are.
    Plain(Number),
    /// All first bytes, then all second ones.
    Split(Number),
    /// Split, and 0, -1, 1, -2 as 0, 1, 2, 3.
    ZigZag(Number),
    /// Ends of lists in 4 or 8 bytes.
    Index(usize),
    /// Split, and each less the one before.
    Delta(usize),
    Half,
    SplitHalf,
    /// The upper bits of a float.
    Truncated(usize),
    /// Steps of a range.
    Quantised(usize, f64, f64),
}

impl Encoding {
    pub(super) fn of(column: &ColumnRecord) -> Option<Self> {
        use Number::{F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
        let bits = column.bits;
        let found = match column.kind {
            0x00 => Self::Bit,
            0x01 | 0x04 => Self::Plain(U8),
            0x02 | 0x03 => Self::Plain(I8),
            0x05 => Self::Plain(I16),
            0x06 => Self::Plain(U16),
            0x07 => Self::Plain(I32),
            0x08 => Self::Plain(U32),
            0x09 => Self::Plain(I64),
            0x0a => Self::Plain(U64),
            0x0b => Self::Half,
            0x0c => Self::Plain(F32),
            0x0d => Self::Plain(F64),
            0x0e => Self::Index(4),
            0x0f => Self::Index(8),
            0x11 => Self::ZigZag(I16),
            0x12 => Self::Split(U16),
            0x13 => Self::ZigZag(I32),
            0x14 => Self::Split(U32),
            0x15 => Self::ZigZag(I64),
            0x16 => Self::Split(U64),
            0x17 => Self::SplitHalf,
            0x18 => Self::Split(F32),
            0x19 => Self::Split(F64),
            0x1a => Self::Delta(4),
            0x1b => Self::Delta(8),
            0x1c if (10..=31).contains(&bits) => return Some(Self::Truncated(bits)),
            0x1d if (1..=32).contains(&bits) => {
                let (low, high) = column.range?;
                return Some(Self::Quantised(bits, low, high));
            }
            _ => return None,
        };
        (found.bits() == bits).then_some(found)
    }

    /// What it becomes.
    pub(super) fn number(self) -> Number {
        match self {
            Self::Bit => Number::Bool,
            Self::Plain(number) | Self::Split(number) | Self::ZigZag(number) => number,
            Self::Index(_) | Self::Delta(_) => Number::U64,
            Self::Half | Self::SplitHalf | Self::Truncated(_) => Number::F32,
            // up to 32 bits of a range
            Self::Quantised(..) => Number::F64,
        }
    }

    pub(super) fn is_index(self) -> bool {
        matches!(self, Self::Index(_) | Self::Delta(_))
    }

    fn bits(self) -> usize {
        match self {
            Self::Bit => 1,
            Self::Plain(number) | Self::Split(number) | Self::ZigZag(number) => 8 * number.size(),
            Self::Index(size) | Self::Delta(size) => 8 * size,
            Self::Half | Self::SplitHalf => 16,
            Self::Truncated(bits) | Self::Quantised(bits, ..) => bits,
        }
    }
}

/// Puts the plain little-endian numbers of a page into `out`, which has room for exactly its
/// elements.
pub(super) fn decode(encoding: Encoding, page: &[u8], out: &mut [u8]) -> Result<(), String> {
    let elements = out.len() / encoding.number().size();
    if elements.saturating_mul(encoding.bits()).div_ceil(8) != page.len() {
        return Err(format!("{} bytes for {elements} elements", page.len()));
    }
    match encoding {
        Encoding::Plain(_) => out.copy_from_slice(page),
        Encoding::Bit => put(out, bits(page, 1, elements).map(|bit| [bit as u8])),
        Encoding::Split(number) => join(page, number.size(), out),
        Encoding::ZigZag(number) => {
            join(page, number.size(), out);
            signs(out, number.size());
        }
        Encoding::Index(size) => ends(page, size, false, out),
        Encoding::Delta(size) => ends(&joined(page, size), size, true, out),
        Encoding::Half => halves(page, out),
        Encoding::SplitHalf => halves(&joined(page, 2), out),
        Encoding::Truncated(width) => {
            let floats = bits(page, width, elements).map(|bits| bits << (32 - width));
            put(out, floats.map(u32::to_le_bytes));
        }
        Encoding::Quantised(width, low, high) => {
            let steps = (u64::MAX >> (64 - width)) as f64;
            let number = |step: u32| low + f64::from(step) * (high - low) / steps;
            let numbers = bits(page, width, elements).map(number);
            put(out, numbers.map(f64::to_le_bytes));
        }
    }
    Ok(())
}

/// Puts numbers one after the other.
fn put<const N: usize>(out: &mut [u8], numbers: impl Iterator<Item = [u8; N]>) {
    let places = out.as_chunks_mut().0.iter_mut();
    places.zip(numbers).for_each(|(to, number)| *to = number);
}

/// Elements of `size` bytes from all first bytes, all second bytes and so on.
fn joined(page: &[u8], size: usize) -> Vec<u8> {
    let mut out = vec![0; page.len()];
    join(page, size, &mut out);
    out
}

/// The same into `out`, which has the length of the page. Halves are joined to wholes in loops
/// over numbers of two widths, which the compiler turns into such over many at once.
fn join(page: &[u8], size: usize, out: &mut [u8]) {
    let count = page.len() / size;
    // the last tile may be shorter, with zeros behind it that no one sees
    for (tile, out) in out.chunks_mut(size * TILE).enumerate() {
        let (start, length) = (tile * TILE, out.len() / size);
        let bytes = |place: usize| -> [u8; TILE] {
            let from = &page[place * count + start..][..length];
            match from.first_chunk() {
                Some(&whole) => whole,
                None => {
                    let mut tile = [0; TILE];
                    tile[..length].copy_from_slice(from);
                    tile
                }
            }
        };
        let twos = |place| {
            let (low, high) = (bytes(place), bytes(place + 1));
            wholes!(low, high, u8, u16)
        };
        let fours = |place| {
            let (low, high) = (twos(place), twos(place + 2));
            wholes!(low, high, u16, u32)
        };
        match size {
            2 => put(out, twos(0).iter().map(|word| word.to_le_bytes())),
            4 => put(out, fours(0).iter().map(|word| word.to_le_bytes())),
            _ => {
                let (low, high) = (fours(0), fours(4));
                let eights = wholes!(low, high, u32, u64);
                put(out, eights.iter().map(|word| word.to_le_bytes()));
            }
        }
    }
}

/// 0, 1, 2, 3 as 0, -1, 1, -2.
fn signs(out: &mut [u8], size: usize) {
    macro_rules! signed {
        ($type:ty) => {
            for bytes in out.as_chunks_mut().0 {
                let word = <$type>::from_le_bytes(*bytes);
                *bytes = ((word >> 1) ^ (word & 1).wrapping_neg()).to_le_bytes();
            }
        };
    }
    match size {
        2 => signed!(u16),
        4 => signed!(u32),
        _ => signed!(u64),
    }
}

/// Ends of lists as 64 bits, from differences or as they are.
fn ends(page: &[u8], size: usize, from_differences: bool, out: &mut [u8]) {
    let mut sum = 0_u64;
    let mut end = |word: u64| {
        sum = match from_differences {
            true => sum.wrapping_add(word),
            false => word,
        };
        sum.to_le_bytes()
    };
    match size {
        4 => {
            let words = page.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b));
            put(out, words.map(|word| end(word.into())));
        }
        _ => {
            let words = page.as_chunks().0.iter().map(|&b| u64::from_le_bytes(b));
            put(out, words.map(end));
        }
    }
}

/// `count` numbers of `width` bits, at most 32, the lowest bits first.
fn bits(page: &[u8], width: usize, count: usize) -> impl Iterator<Item = u32> + '_ {
    (0..count).map(move |place| {
        let (start, shift) = (place * width / 8, place * width % 8);
        let bytes = page[start..].iter().take(5).rev();
        let word = bytes.fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
        (word >> shift & (u64::MAX >> (64 - width))) as u32
    })
}

/// Floats from half ones.
fn halves(page: &[u8], out: &mut [u8]) {
    let halves = page.as_chunks().0.iter().map(|&b| u16::from_le_bytes(b));
    put(out, halves.map(|half| single(half).to_le_bytes()));
}

/// IEEE 754: one bit of sign, five of the exponent, ten of the fraction.
fn single(half: u16) -> f32 {
    let (exponent, fraction) = (i32::from(half >> 10 & 0x1f), f32::from(half & 0x3ff));
    let size = match exponent {
        0 => fraction * 2_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2_f32.powi(exponent - 15),
    };
    if half >> 15 == 1 { -size } else { size }
}
