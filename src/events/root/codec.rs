//! Packed bytes: blocks of at most 16 MiB, each with the name of its codec and both sizes
//! before it. A file is not trusted: a block's size is what its codec really gives, and no
//! more room is asked for than one block says before the last is unpacked.

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
        let (header, behind) = rest
            .split_at_checked(HEADER)
            .ok_or_else(|| format!("the packed bytes end after {} of {length}", out.len()))?;
        let (size, whole) = (three(&header[3..6]), three(&header[6..9]));
        let (block, behind) = behind
            .split_at_checked(size)
            .ok_or("a packed block ends early")?;
        if whole == 0 || whole > length - out.len() {
            return Err(format!("a block of {whole} bytes, of {length}"));
        }
        let room = out.try_reserve(whole);
        room.map_err(|e| format!("no memory for a block of {whole} bytes: {e}"))?;
        let end = out.len() + whole;
        unpack(&header[..3], block, end, &mut out)?;
        if out.len() != end {
            return Err("a block has not the size that it says".to_owned());
        }
        rest = behind;
    }
    Ok(Cow::Owned(out))
}

fn three(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b))
}

/// Appends a block to `out`, which is filled to `end`.
fn unpack(codec: &[u8], block: &[u8], end: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let start = out.len();
    match &codec[..2] {
        b"ZL" => inflate(block, end, out, true),
        b"CS" => inflate(block, end, out, false),
        b"L4" => {
            let (sum, block) = block.split_first_chunk().ok_or("a block ends early")?;
            if XxHash64::oneshot(0, block) != u64::from_be_bytes(*sum) {
                return Err("the checksum of an lz4 block is wrong".to_owned());
            }
            out.resize(end, 0);
            let count = lz4_flex::block::decompress_into(block, &mut out[start..]);
            out.truncate(start + count.map_err(|e| format!("lz4: {e}"))?);
            Ok(())
        }
        b"ZS" => {
            out.resize(end, 0);
            let count = zstd::bulk::decompress_to_buffer(block, &mut out[start..]);
            out.truncate(start + count.map_err(|e| format!("zstd: {e}"))?);
            Ok(())
        }
        b"XZ" => {
            out.resize(end, 0);
            let mut reader = XzReader::new_mem_limit(block, false, LZMA_KIB);
            let read = reader.read_exact(&mut out[start..]);
            read.map_err(|e| format!("lzma: {e}"))
        }
        other => Err(format!("an unknown codec \"{}\"", other.escape_ascii())),
    }
}

/// With or without zlib's header, as before ROOT 4.
fn inflate(block: &[u8], end: usize, out: &mut Vec<u8>, header: bool) -> Result<(), String> {
    let mut stream = Decompress::new(header);
    let start = out.len();
    out.resize(end, 0);
    let status = stream.decompress(block, &mut out[start..], FlushDecompress::Finish);
    let status = status.map_err(|e| format!("zlib: {e}"))?;
    let count = usize::try_from(stream.total_out()).unwrap_or(0);
    out.truncate(start + count);
    match status {
        Status::StreamEnd => Ok(()),
        _ => Err("a zlib block has not the size that it says".to_owned()),
    }
}
