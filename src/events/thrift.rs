//! How deep the columns of a Parquet file lie in each other, of its footer alone: the decoder
//! goes down into them by recursion, which ends with its stack.
//!
//! A footer is a struct of Thrift's compact protocol. Its second field is the schema: a list of
//! elements, each before its children, whose number is an element's fifth field.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use super::part::Fault;

/// Groups in groups, at most; a list of numbers is two with its number.
const MAX_DEPTH: usize = 128;
/// The same of what is passed over.
const MAX_SKIPPED: usize = 64;
/// Length of the footer and `PAR1` at the end of a file.
const TRAILER: u64 = 8;
const SCHEMA: i64 = 2;
const CHILDREN: i64 = 5;

// Codes of types.
const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

/// Refuses a file whose columns are nested too deep. What cannot be read of it is for the
/// decoder to say.
pub(super) fn check_depth(file: &File, bytes: u64) -> Result<(), Fault> {
    let footer = footer(file, bytes).map_err(|error| Fault::at("footer", error))?;
    match depth(&footer) {
        Some(depth) if depth > MAX_DEPTH => {
            let message = format!("columns nested {depth} deep, at most {MAX_DEPTH} can be read");
            Err(Fault::at("footer", message))
        }
        _ => Ok(()),
    }
}

/// The footer; nothing where there is none.
fn footer(mut file: &File, bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut footer = Vec::new();
    let Some(end) = bytes.checked_sub(TRAILER) else {
        return Ok(footer);
    };
    let mut length = [0; 4];
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut length)?;
    let length = u64::from(u32::from_le_bytes(length));
    if let Some(start) = end.checked_sub(length) {
        file.seek(SeekFrom::Start(start))?;
        file.take(length).read_to_end(&mut footer)?;
    }
    Ok(footer)
}

/// How many groups of the schema lie in each other; none where it cannot be read.
fn depth(footer: &[u8]) -> Option<usize> {
    let mut bytes = Compact(footer);
    let mut number = 0;
    loop {
        let kind = bytes.field(&mut number)??;
        if number == SCHEMA {
            break;
        }
        bytes.skip(kind, MAX_SKIPPED)?;
    }
    let (count, _) = bytes.list()?;
    // children that are still to come, of each group around
    let mut around: Vec<i64> = Vec::new();
    let mut deepest = 0;
    for _ in 0..count {
        while around.pop_if(|left| *left <= 0).is_some() {}
        if let Some(left) = around.last_mut() {
            *left -= 1;
        }
        let mut number = 0;
        while let Some(kind) = bytes.field(&mut number)? {
            match (number, kind) {
                (CHILDREN, I32) => around.push(bytes.integer()?),
                _ => bytes.skip(kind, MAX_SKIPPED)?,
            }
        }
        deepest = deepest.max(around.len());
    }
    Some(deepest)
}

/// Bytes that are not read yet.
struct Compact<'a>(&'a [u8]);

impl<'a> Compact<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn natural(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// 0, -1, 1, -2 are written as 0, 1, 2, 3.
    fn integer(&mut self) -> Option<i64> {
        let value = self.natural()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// The type of a struct's next field, whose `number` is told from the one before; none
    /// behind the last.
    fn field(&mut self, number: &mut i64) -> Option<Option<u8>> {
        let head = self.byte()?;
        if head == STOP {
            return Some(None);
        }
        *number = match head >> 4 {
            0 => self.integer()?,
            step => number.checked_add(step.into())?,
        };
        Some(Some(head & 0xf))
    }

    /// How many entries a list has, and their type.
    fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.natural()?,
            count => count.into(),
        };
        Some((count, head & 0xf))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // the type is the value
            TRUE | FALSE => {}
            BYTE => {
                self.byte()?;
            }
            I16 | I32 | I64 => {
                self.natural()?;
            }
            DOUBLE => {
                self.take(8)?;
            }
            BINARY => {
                let length = self.natural()?;
                self.take(usize::try_from(length).ok()?)?;
            }
            LIST | SET => {
                let (count, kind) = self.list()?;
                for _ in 0..count {
                    self.skip_entry(kind, depth)?;
                }
            }
            MAP => {
                let count = self.natural()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                for _ in 0..count {
                    self.skip_entry(kinds >> 4, depth)?;
                    self.skip_entry(kinds & 0xf, depth)?;
                }
            }
            STRUCT => {
                let mut number = 0;
                while let Some(kind) = self.field(&mut number)? {
                    self.skip(kind, depth)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// An entry of a list, where truths have a byte.
    fn skip_entry(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            TRUE | FALSE => self.skip(BYTE, depth),
            _ => self.skip(kind, depth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer whose schema is a chain of so many groups and a number.
    fn chain(groups: usize) -> Vec<u8> {
        // field 1, the version; field 2, a list of structs
        let mut bytes = vec![0x15, 2, 0x19, 0xfc];
        let count = u16::try_from(groups + 1).unwrap();
        let [high, low] = (count << 1).to_be_bytes();
        bytes.extend([low >> 1 | 0x80, high]);
        for _ in 0..groups {
            // field 4, a name; field 5, one child
            bytes.extend([0x48, 1, b'x', 0x15, 2, STOP]);
        }
        // field 1, a type; field 4, a name; field 7, a list of truths
        bytes.extend([0x15, 10, 0x38, 1, b'x', 0x39, 0x21, 1, 1, STOP]);
        bytes
    }

    #[test]
    fn groups_in_groups_are_counted() {
        for groups in [0, 1, 2, 100, 1000] {
            assert_eq!(depth(&chain(groups)), Some(groups));
        }
        // beside each other: a root of two groups of one number each
        let [group, leaf]: [&[u8]; 2] = [&[0x55, 2, STOP], &[0x15, 10, STOP]];
        let wide = [&[0x29, 0x5c, 0x55, 4, STOP], group, leaf, group, leaf].concat();
        assert_eq!(depth(&wide), Some(2));
    }

    #[test]
    fn what_is_no_footer_has_no_depth() {
        let whole = chain(3);
        for length in 0..whole.len() {
            assert_eq!(depth(&whole[..length]), None, "{length}");
        }
        // lists of lists, and a list that says to be longer than it can be
        assert_eq!(depth(&[&[0x19][..], &[0x19; 500]].concat()), None);
        assert_eq!(depth(&[0x19, 0xf3, 0xff, 0xff, 0xff, 0xff, 0x7f]), None);
    }
}
