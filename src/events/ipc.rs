//! Arrow IPC, both as a file (also called Feather version 2) and as a stream.
//!
//! Both are lists of messages; a file has a footer with their places, a stream
//! is walked through once. Places and lengths are checked against the size of
//! the file before anything is allocated for them: the arrow crate's own
//! readers take them from the file on trust.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::{Block, Message, MessageHeader, MetadataVersion, RecordBatch as BatchHeader};
use arrow::ipc::{root_as_footer, root_as_message};
use arrow::record_batch::RecordBatch;

use super::part::{Fault, Opened, Part, behind, reopen};

/// `ARROW1` and two bytes of padding at the start of a file.
const FILE_HEADER: u64 = 8;
/// Length of the footer and `ARROW1` at the end of a file.
const FILE_TRAILER: u64 = 10;
/// Marks the start of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Largest buffer after decompression.
const MAX_BUFFER_BYTES: i64 = 4 << 30;

/// An Arrow IPC file or stream whose messages have been found.
#[derive(Debug)]
pub(super) struct IpcFile {
    schema: SchemaRef,
    version: MetadataVersion,
    bytes: u64,
    dictionaries: Vec<Block>,
    batches: Vec<Batch>,
}

#[derive(Debug)]
struct Batch {
    block: Block,
    /// How many of the dictionaries come before this batch.
    dictionaries: usize,
}

impl IpcFile {
    pub(super) fn open_file(mut file: File, bytes: u64) -> Result<Opened<Self>, Fault> {
        let fault = |message: &str| Fault::at("footer", message);
        if bytes < FILE_HEADER + FILE_TRAILER {
            return Err(fault("the file is too short"));
        }
        let trailer = read_at(&mut file, bytes, bytes - FILE_TRAILER, FILE_TRAILER)?;
        let (length, magic) = trailer.split_at(4);
        if magic != b"ARROW1" {
            let message = "the file does not end with ARROW1; it was cut off or never finished";
            return Err(fault(message));
        }
        let length = u64::from(le_u32(length));
        let start = (bytes - FILE_TRAILER)
            .checked_sub(length)
            .ok_or_else(|| fault("it is longer than the file"))?;
        let footer = read_at(&mut file, bytes, start, length)?;
        let footer = root_as_footer(&footer).map_err(|error| Fault::at("footer", error))?;
        let schema = footer.schema().ok_or_else(|| fault("it holds no schema"))?;
        let schema =
            Arc::new(try_fb_to_schema(schema).map_err(|error| Fault::at("schema", error))?);
        let dictionaries: Vec<Block> = footer.dictionaries().iter().flatten().copied().collect();
        let all = dictionaries.len();
        let blocks = footer.recordBatches().into_iter().flatten();
        let batch = |&block: &Block| Batch {
            block,
            dictionaries: all,
        };
        let ipc = Self {
            schema,
            version: footer.version(),
            bytes,
            dictionaries,
            batches: blocks.map(batch).collect(),
        };
        ipc.count_rows(&mut file)
    }

    pub(super) fn open_stream(mut file: File, bytes: u64) -> Result<Opened<Self>, Fault> {
        let fault = |message: &str| Fault::at("stream header", message);
        let (metadata, mut at) =
            next_message(&mut file, bytes, 0)?.ok_or_else(|| fault("the stream is empty"))?;
        let message =
            root_as_message(&metadata).map_err(|error| Fault::at("stream header", error))?;
        let schema = message
            .header_as_schema()
            .ok_or_else(|| fault("the stream does not start with a schema"))?;
        let schema =
            Arc::new(try_fb_to_schema(schema).map_err(|error| Fault::at("schema", error))?);
        let mut ipc = Self {
            schema,
            version: message.version(),
            bytes,
            dictionaries: Vec::new(),
            batches: Vec::new(),
        };
        while let Some((metadata, body)) = next_message(&mut file, bytes, at)? {
            let place = || format!("message at byte {at}");
            let message = root_as_message(&metadata).map_err(|error| Fault::at(place(), error))?;
            let length = u64::try_from(message.bodyLength()).ok();
            let end = length.and_then(|length| body.checked_add(length));
            let end = end.filter(|&end| end <= bytes);
            let end = end.ok_or_else(|| Fault::at(place(), "it is cut off"))?;
            let header = i32::try_from(body - at).map_err(|error| Fault::at(place(), error))?;
            let offset = i64::try_from(at).map_err(|error| Fault::at(place(), error))?;
            let block = Block::new(offset, header, message.bodyLength());
            match message.header_type() {
                MessageHeader::DictionaryBatch => ipc.dictionaries.push(block),
                MessageHeader::RecordBatch => {
                    ipc.batches.push(Batch {
                        block,
                        dictionaries: ipc.dictionaries.len(),
                    });
                }
                other => return Err(Fault::at(place(), format!("unexpected message {other:?}"))),
            }
            at = end;
        }
        ipc.count_rows(&mut file)
    }

    fn count_rows(self, file: &mut File) -> Result<Opened<Self>, Fault> {
        let mut parts = Vec::with_capacity(self.batches.len());
        let mut first_row = 0_u64;
        for (group, batch) in self.batches.iter().enumerate() {
            let place = || format!("record batch {group}");
            let (start, header, _) = self.extent(&batch.block, &place())?;
            let metadata = read_at(file, self.bytes, start, header)?;
            let message = message_in(&metadata).map_err(|message| Fault::at(place(), message))?;
            let batch = message
                .header_as_record_batch()
                .ok_or_else(|| Fault::at(place(), "it is no record batch"))?;
            let rows = u64::try_from(batch.length())
                .map_err(|_| Fault::at(place(), "a negative number of rows"))?;
            if rows > 0 {
                parts.push(Part {
                    first_row,
                    rows,
                    group,
                    offset: 0,
                });
            }
            let too_many = || Fault::at(place(), format!("it says that it has {rows} rows"));
            first_row = behind(first_row, rows).ok_or_else(too_many)?;
        }
        let schema = Arc::clone(&self.schema);
        Ok((self, schema, parts))
    }

    pub(super) fn read(
        &self,
        path: &Path,
        part: Part,
        wanted: &[usize],
        visit: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), Fault> {
        let place = format!("record batch {}", part.group);
        let mut file = reopen(path)?;
        let mut decoder = FileDecoder::new(Arc::clone(&self.schema), self.version)
            .with_projection(wanted.to_vec());
        let batch = self
            .batches
            .get(part.group)
            .ok_or_else(|| Fault::at(&place, "there is no such batch"))?;
        let mut types = wanted.iter().map(|&k| self.schema.field(k).data_type());
        if types.any(has_dictionary) {
            for block in &self.dictionaries[..batch.dictionaries] {
                let buffer = self.block(&mut file, block, &place)?;
                decoder
                    .read_dictionary(block, &buffer)
                    .map_err(|error| Fault::at(&place, error))?;
            }
        }
        let buffer = self.block(&mut file, &batch.block, &place)?;
        let decoded = decoder
            .read_record_batch(&batch.block, &buffer)
            .map_err(|error| Fault::at(&place, error))?;
        if let Some(decoded) = decoded {
            visit(decoded);
        }
        Ok(())
    }

    /// Start, length of the header and length of the body, inside the file.
    fn extent(&self, block: &Block, place: &str) -> Result<(u64, u64, u64), Fault> {
        let fields = (
            u64::try_from(block.offset()),
            u64::try_from(block.metaDataLength()),
            u64::try_from(block.bodyLength()),
        );
        if let (Ok(start), Ok(header), Ok(body)) = fields
            && header >= 8
            && start
                .checked_add(header)
                .and_then(|end| end.checked_add(body))
                .is_some_and(|end| end <= self.bytes)
        {
            return Ok((start, header, body));
        }
        Err(Fault::at(place, "it lies outside the file"))
    }

    /// A whole message, with the sizes of its buffers checked.
    fn block(&self, file: &mut File, block: &Block, place: &str) -> Result<Buffer, Fault> {
        let (start, header, body) = self.extent(block, place)?;
        let bytes = read_at(file, self.bytes, start, header + body)?;
        let (metadata, content) = bytes.split_at(usize::try_from(header).unwrap_or(bytes.len()));
        let message = message_in(metadata).map_err(|message| Fault::at(place, message))?;
        let batch = match message.header_as_dictionary_batch() {
            Some(dictionary) => dictionary.data(),
            None => message.header_as_record_batch(),
        };
        if let Some(batch) = batch {
            check_buffers(&batch, content).map_err(|message| Fault::at(place, message))?;
        }
        Ok(Buffer::from_vec(bytes))
    }
}

fn has_dictionary(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(inner) | DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
            has_dictionary(inner.data_type())
        }
        other => matches!(other, DataType::Dictionary(..)),
    }
}

/// Whether every buffer lies in the body, and none unpacks to an absurd size.
fn check_buffers(batch: &BatchHeader<'_>, content: &[u8]) -> Result<(), String> {
    let packed = batch.compression().is_some();
    for buffer in batch.buffers().iter().flatten() {
        let start = usize::try_from(buffer.offset()).ok();
        let length = usize::try_from(buffer.length()).ok();
        let bytes = start.zip(length).and_then(|(start, length)| {
            let end = start.checked_add(length)?;
            content.get(start..end)
        });
        let bytes = bytes.ok_or("a buffer lies outside the message")?;
        if let Some(size) = bytes.first_chunk::<8>().filter(|_| packed) {
            let size = i64::from_le_bytes(*size);
            // -1 means that the buffer was left as it is.
            if !(-1..=MAX_BUFFER_BYTES).contains(&size) {
                return Err(format!("a buffer of {size} bytes"));
            }
            let mut probe: Vec<u8> = Vec::new();
            let room = probe.try_reserve_exact(usize::try_from(size).unwrap_or(0));
            room.map_err(|e| format!("no memory for a buffer of {size} bytes: {e}"))?;
        }
    }
    Ok(())
}

/// The message behind its length, with or without the continuation mark.
fn message_in(bytes: &[u8]) -> Result<Message<'_>, String> {
    let skip = 4 + 4 * usize::from(bytes.starts_with(&CONTINUATION));
    let message = bytes.get(skip..).ok_or("the message is too short")?;
    root_as_message(message).map_err(|error| error.to_string())
}

/// The header of the message at `at` and the place of its body; `None` at the
/// end of the stream, which may be marked by a length of 0 or just stop.
fn next_message(file: &mut File, bytes: u64, at: u64) -> Result<Option<(Vec<u8>, u64)>, Fault> {
    if at == bytes {
        return Ok(None);
    }
    let place = || format!("message at byte {at}");
    let prefix = read_at(file, bytes, at, 8)?;
    let (mark, length) = prefix.split_at(4);
    if mark != CONTINUATION {
        return Err(Fault::at(place(), "no message starts here"));
    }
    match u64::from(le_u32(length)) {
        0 => Ok(None),
        length => {
            let message = read_at(file, bytes, at + 8, length)?;
            Ok(Some((message, at + 8 + length)))
        }
    }
}

fn le_u32(bytes: &[u8]) -> u32 {
    let first = bytes.first_chunk();
    first.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// `length` bytes from `start`, if the file has them.
fn read_at(file: &mut File, bytes: u64, start: u64, length: u64) -> Result<Vec<u8>, Fault> {
    let place = || format!("byte {start}");
    if start.checked_add(length).is_none_or(|end| end > bytes) {
        return Err(Fault::at(place(), "the file ends early"));
    }
    let io = |error: std::io::Error| Fault::at(place(), error);
    file.seek(SeekFrom::Start(start)).map_err(io)?;
    let mut buffer = Vec::new();
    let count = file.take(length).read_to_end(&mut buffer).map_err(io)?;
    match u64::try_from(count) == Ok(length) {
        true => Ok(buffer),
        false => Err(Fault::at(place(), "the file ends early")),
    }
}
