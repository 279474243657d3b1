//! Versions of the files that the program writes and reads back, all in one table. A file
//! that is not here has no version of its own: its run directory's holds for it.

/// A kind of file that says its version, as `format`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    /// The version that is written.
    pub written: u32,
    /// The oldest version that is read.
    oldest: u32,
}

/// A run directory, by its `manifest.json`.
pub(crate) const RUN_DIRECTORY: Format = Format::new(1, 1);
/// `members/*.safetensors`
pub(crate) const MEMBER: Format = Format::new(2, 2);
/// `checkpoints/*.safetensors`
pub(crate) const CHECKPOINT: Format = Format::new(1, 1);
/// `metrics.json`
pub(crate) const METRICS: Format = Format::new(3, 3);
/// `measurement.json`
pub(crate) const MEASUREMENT: Format = Format::new(1, 1);
/// `mixing.json`
pub(crate) const MIXING: Format = Format::new(1, 1);
/// `page.json`
pub(crate) const PAGE: Format = Format::new(2, 1);
/// Results of `fit`, `limit`, `scan` and `impacts` on a workspace
pub(crate) const LIKELIHOOD: Format = Format::new(1, 1);
/// `batch/jobs.json`
pub(crate) const JOBS: Format = Format::new(1, 1);

impl Format {
    const fn new(written: u32, oldest: u32) -> Self {
        Self { written, oldest }
    }

    /// Whether a file of this version can be read; else what is wrong with it.
    pub(crate) fn check(self, found: u32) -> Result<(), String> {
        let Self { written, oldest } = self;
        if (oldest..=written).contains(&found) {
            return Ok(());
        }
        let known = match oldest == written {
            true => written.to_string(),
            false => format!("{oldest} to {written}"),
        };
        Err(format!("has format {found}, this program knows {known}"))
    }
}
