//! Packed bytes: blocks of at most 16 MiB, each with the name of its codec and both sizes
//! before it. A file is not trusted: a block's size is what its codec really gives, and what
//! grows as it is unpacked asks for no more room than one block says.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::{Decompress, FlushDecompress, Status};
use lzma_rust2::XzReader;
use twox_hash::XxHash64;

/// Codec, its version, the packed size and the size, of three bytes each.
const HEADER: usize = 9;
/// An lzma block may ask for a dictionary of any size; ROOT's are at most of 64 MiB.
const LZMA_KIB: u32 = 200 << 10;

/// The `length` bytes that were packed, which are as they are if they are as many.
pub(super) fn unpacked(packed: &[u8], length: usize) -> Result<Cow<'_, [u8]>, String> {
    if packed.len() == length {
        return Ok(Cow::Borrowed(packed));
    }
    let mut out = Vec::new();
    let mut rest = packed;
    while out.len() < length {
        let (block, behind) = Block::first(rest, length - out.len())?;
        let size = block.length;
        let room = out.try_reserve(size);
        room.map_err(|e| format!("no memory for a block of {size} bytes: {e}"))?;
        let start = out.len();
        out.resize(start + size, 0);
        block.unpack(&mut out[start..])?;
        rest = behind;
    }
    Ok(Cow::Owned(out))
}

/// Fills `out` with what was packed.
pub(super) fn unpack(packed: &[u8], out: &mut [u8]) -> Result<(), String> {
    if packed.len() == out.len() {
        out.copy_from_slice(packed);
        return Ok(());
    }
    let (mut from, mut to) = (packed, out);
    while !to.is_empty() {
        let (block, behind) = Block::first(from, to.len())?;
        let (own, rest) = to.split_at_mut(block.length);
        block.unpack(own)?;
        (from, to) = (behind, rest);
    }
    Ok(())
}

struct Block<'a> {
    codec: &'a [u8],
    packed: &'a [u8],
    /// Bytes when it is unpacked, 1 at least.
    length: usize,
}

impl<'a> Block<'a> {
    /// The first of packed bytes, of which `missing` are to be had, and what is behind it.
    fn first(packed: &'a [u8], missing: usize) -> Result<(Self, &'a [u8]), String> {
        let (header, behind) = packed
            .split_at_checked(HEADER)
            .ok_or_else(|| format!("the packed bytes end {missing} bytes early"))?;
        let (size, length) = (three(&header[3..6]), three(&header[6..9]));
        let (packed, behind) = behind
            .split_at_checked(size)
            .ok_or("a packed block ends early")?;
        if length == 0 || length > missing {
            return Err(format!("a block of {length} bytes, of {missing}"));
        }
        let codec = &header[..2];
        let block = Self {
            codec,
            packed,
            length,
        };
        Ok((block, behind))
    }

    /// Fills `out`, which has its length.
    fn unpack(self, out: &mut [u8]) -> Result<(), String> {
        let count = match self.codec {
            b"ZL" => inflate(self.packed, out, true)?,
            b"CS" => inflate(self.packed, out, false)?,
            b"L4" => {
                let block = self.packed.split_first_chunk();
                let (sum, block) = block.ok_or("a block ends early")?;
                if XxHash64::oneshot(0, block) != u64::from_be_bytes(*sum) {
                    return Err("the checksum of an lz4 block is wrong".to_owned());
                }
                let count = lz4_flex::block::decompress_into(block, out);
                count.map_err(|e| format!("lz4: {e}"))?
            }
            b"ZS" => {
                let count = zstd::bulk::decompress_to_buffer(self.packed, out);
                count.map_err(|e| format!("zstd: {e}"))?
            }
            b"XZ" => {
                let mut reader = XzReader::new_mem_limit(self.packed, false, LZMA_KIB);
                let read = reader.read_exact(out);
                read.map_err(|e| format!("lzma: {e}"))?;
                out.len()
            }
            other => return Err(format!("an unknown codec \"{}\"", other.escape_ascii())),
        };
        match count == self.length {
            true => Ok(()),
            false => Err("a block has not the size that it says".to_owned()),
        }
    }
}

fn three(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b))
}

/// How many bytes there were, with or without zlib's header, as before ROOT 4.
fn inflate(block: &[u8], out: &mut [u8], header: bool) -> Result<usize, String> {
    let mut stream = Decompress::new(header);
    let status = stream.decompress(block, out, FlushDecompress::Finish);
    match status.map_err(|e| format!("zlib: {e}"))? {
        Status::StreamEnd => Ok(usize::try_from(stream.total_out()).unwrap_or(0)),
        _ => Err("a zlib block has not the size that it says".to_owned()),
    }
}
