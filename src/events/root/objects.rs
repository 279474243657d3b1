//! How ROOT writes objects: a length and a version before each class, base classes first,
//! pointers by the place of what was written before.

use std::collections::HashMap;

use super::cursor::Cursor;

/// Marks a length, a class, a class that is written for the first time.
const LENGTH: u32 = 0x4000_0000;
const CLASS: u32 = 0x8000_0000;
const NEW_CLASS: u32 = 0xffff_ffff;
/// Places count from the key, and two further.
const PLACE_OFFSET: usize = 2;
/// An object that others point to has the number of its process behind its bits.
const IS_REFERENCED: u32 = 1 << 4;

/// Reads one object after the other from an unpacked key.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) cursor: Cursor<'a>,
    /// Length of the key's header, which counts in the places.
    before: usize,
    classes: HashMap<usize, String>,
}

/// What stands at a pointer.
#[derive(Debug)]
pub(super) enum Pointer {
    Nothing,
    /// What was read before.
    Known,
    /// An object of a class, which ends at a place.
    New {
        class: String,
        end: usize,
    },
}

/// The version of a class, and where what it wrote ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) version: u16,
    pub(super) end: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(object: &'a [u8], before: usize) -> Self {
        Self {
            cursor: Cursor::new(object),
            before,
            classes: HashMap::new(),
        }
    }

    pub(super) fn header(&mut self) -> Result<Header, String> {
        let length = self.cursor.u32()?;
        let end = self.end_of(length)?;
        let version = self.cursor.u16()?;
        Ok(Header { version, end })
    }

    fn end_of(&self, length: u32) -> Result<usize, String> {
        let length = (length & LENGTH != 0).then_some(length & !LENGTH);
        let length = length.and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|&length| length <= self.cursor.rest());
        let length = length.ok_or("an object is longer than the description")?;
        Ok(self.cursor.at() + length)
    }

    /// A class of which nothing is wanted.
    pub(super) fn skip_class(&mut self) -> Result<(), String> {
        let header = self.header()?;
        self.cursor.seek(header.end)
    }

    fn object_base(&mut self) -> Result<(), String> {
        self.cursor.skip(6)?;
        let bits = self.cursor.u32()?;
        if bits & IS_REFERENCED != 0 {
            self.cursor.skip(2)?;
        }
        Ok(())
    }

    /// Name and title.
    pub(super) fn named(&mut self) -> Result<(String, String), String> {
        let header = self.header()?;
        self.object_base()?;
        let texts = (self.cursor.text()?, self.cursor.text()?);
        self.cursor.seek(header.end)?;
        Ok(texts)
    }

    /// What a pointer points to; the object, if there is one, is to be read then.
    pub(super) fn pointer(&mut self) -> Result<Pointer, String> {
        let start = self.cursor.at();
        let length = self.cursor.u32()?;
        if length & LENGTH == 0 || length == NEW_CLASS {
            return match length {
                0 => Ok(Pointer::Nothing),
                tag if tag & CLASS == 0 => Ok(Pointer::Known),
                _ => Err("an object without its length".to_owned()),
            };
        }
        let end = self.end_of(length)?;
        let at = self.cursor.at();
        let tag = self.cursor.u32()?;
        let class = match tag {
            NEW_CLASS => {
                let class = self.cursor.text_to_zero()?;
                let place = at + self.before + PLACE_OFFSET;
                self.classes.insert(place, class.clone());
                class
            }
            tag if tag & CLASS != 0 => {
                let place = usize::try_from(tag & !CLASS).unwrap_or(0);
                let class = self.classes.get(&place).cloned();
                class.ok_or_else(|| format!("an object of an unknown class at {start}"))?
            }
            _ => return Err(format!("no class of the object at {start}")),
        };
        Ok(Pointer::New { class, end })
    }

    /// The elements of a list of objects; `read` need not read one to its end.
    pub(super) fn list(
        &mut self,
        mut read: impl FnMut(&mut Self, &str, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        let header = self.header()?;
        self.object_base()?;
        self.cursor.text()?;
        for _ in 0..self.cursor.size()? {
            if let Pointer::New { class, end } = self.pointer()? {
                read(self, &class, end)?;
                self.cursor.seek(end)?;
            }
            // what a program may have put beside it
            self.cursor.text()?;
        }
        self.cursor.seek(header.end)
    }

    /// The elements of an array of objects; `read` need not read one to its end.
    pub(super) fn array(
        &mut self,
        mut read: impl FnMut(&mut Self, &str, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        let header = self.header()?;
        if header.version > 2 {
            self.object_base()?;
        }
        if header.version > 1 {
            self.cursor.text()?;
        }
        let count = self.cursor.size()?;
        self.cursor.skip(4)?;
        for _ in 0..count {
            if let Pointer::New { class, end } = self.pointer()? {
                read(self, &class, end)?;
                self.cursor.seek(end)?;
            }
        }
        self.cursor.seek(header.end)
    }
}
