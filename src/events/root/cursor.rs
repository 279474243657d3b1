//! Numbers and names one after the other in the bytes of a file. Nothing is read beyond
//! their end: what is not there is a message.

/// Bytes and a place in them. ROOT's objects are big-endian, an RNTuple's descriptions
/// little-endian.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Reads a number of a type, with the bytes in the order of the method's name.
macro_rules! numbers {
    ($($name:ident: $type:ty, $from:ident;)*) => {$(
        pub(super) fn $name(&mut self) -> Result<$type, String> {
            Ok(<$type>::$from(self.array()?))
        }
    )*};
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Goes on to a place, at the end at most. Never back: what is read twice may be read
    /// again and again.
    pub(super) fn seek(&mut self, at: usize) -> Result<(), String> {
        if at < self.at {
            return Err("an object is longer than it says".to_owned());
        }
        if at > self.bytes.len() {
            return Err(self.ends());
        }
        self.at = at;
        Ok(())
    }

    /// The same that ends at a place, if that is not behind its end.
    pub(super) fn up_to(&self, end: usize) -> Self {
        Self {
            bytes: &self.bytes[..end.clamp(self.at, self.bytes.len())],
            at: self.at,
        }
    }

    pub(super) fn skip(&mut self, length: usize) -> Result<(), String> {
        self.take(length).map(|_| ())
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(length);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.ends())?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| self.ends())
    }

    fn ends(&self) -> String {
        format!("the description ends after {} bytes", self.bytes.len())
    }

    numbers! {
        u8: u8, from_be_bytes;
        u16: u16, from_be_bytes;
        u32: u32, from_be_bytes;
        i32: i32, from_be_bytes;
        u64: u64, from_be_bytes;
        i64: i64, from_be_bytes;
        u16_le: u16, from_le_bytes;
        u32_le: u32, from_le_bytes;
        i32_le: i32, from_le_bytes;
        u64_le: u64, from_le_bytes;
        i64_le: i64, from_le_bytes;
        f64_le: f64, from_le_bytes;
    }

    /// A number of bytes or items, which is not negative.
    pub(super) fn size(&mut self) -> Result<usize, String> {
        let size = self.i32()?;
        usize::try_from(size).map_err(|_| format!("a size of {size}"))
    }

    /// A place in the file, of four or eight bytes.
    pub(super) fn place(&mut self, wide: bool) -> Result<u64, String> {
        let place = if wide {
            self.i64()?
        } else {
            i64::from(self.i32()?)
        };
        u64::try_from(place).map_err(|_| format!("a place of {place}"))
    }

    /// A text behind its length: one byte, or four behind 255.
    pub(super) fn text(&mut self) -> Result<String, String> {
        let length = match self.u8()? {
            255 => self.size()?,
            short => usize::from(short),
        };
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// A text behind its length of four bytes, of an RNTuple.
    pub(super) fn text_le(&mut self) -> Result<String, String> {
        let length = usize::try_from(self.u32_le()?).unwrap_or(usize::MAX);
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// A text that ends with a zero.
    pub(super) fn text_to_zero(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == 0);
        let length = length.ok_or_else(|| self.ends())?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.skip(1)?;
        Ok(text)
    }
}
