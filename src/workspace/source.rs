//! The bytes of a workspace or of patches: a file or standard input, packed by gzip or not.

use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::files::regular;
use sideband_likelihood::workspace::{Limits, read};
use std::io;
use std::path::Path;

/// What stands for standard input.
const STDIN: &str = "-";

/// A document as it was read.
pub(super) struct Source {
    /// The file as the user names it, or `standard input`.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl Source {
    /// Reads a file, or standard input for `-`, and unpacks it.
    ///
    /// # Errors
    /// If it cannot be read or unpacked, or has more bytes than a workspace may have.
    pub(super) fn read(name: &str) -> Result<Self> {
        let limits = Limits::default();
        if name == STDIN {
            let name = "standard input".to_owned();
            let bytes = read(io::stdin().lock(), &limits).at(Kind::Data, &name)?;
            return Ok(Self { name, bytes });
        }
        let path = Path::new(name);
        let file = match regular::open(path) {
            Err(error) if regular::is_irregular(&error) => {
                return Err(Error::data(format!(
                    "{name}: {error}; for what comes through a pipe, name `-` and let it come on \
                     standard input"
                )));
            }
            opened => opened.on(path)?,
        };
        Ok(Self {
            name: name.to_owned(),
            bytes: read(file, &limits).at(Kind::Data, name)?,
        })
    }
}

/// Most bytes of a document.
pub(super) fn most_bytes() -> usize {
    Limits::default().bytes
}
