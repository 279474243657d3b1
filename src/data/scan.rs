//! What can be asked of event files: selection, features, weights, regions and ids.
//! Only the columns that are needed are read.
//!
//! A row goes through: `hidden` (blinding), `selection`, regions, weight,
//! features. What is rejected leaves no trace in any count, so that looking at
//! a report does not unblind.

use std::collections::BTreeSet;

use super::arrays::{Arrays, Counts};
use super::dataset::Dataset;
use super::definitions::Compiled;
use super::error::DataError;
use super::file::{EventFile, Part};
use super::hidden::Hidden;
use super::ids::{IdSpec, namespace_seed};
use super::table::EventTable;
use arrow::record_batch::RecordBatch;

/// Most regions a scan can tell apart; the other bits of a row's flags say what is
/// [`Hidden`].
pub const MAX_FLAGS: usize = 62;
/// What to do with a selected row that has no finite value of a feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// Refuse the data, and say how many rows and where.
    #[default]
    Error,
    /// Leave the row out, and count it.
    Drop,
}

/// What to read from a [`Dataset`].
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// Rows where this is true (not 0, not NaN) are selected; all without it.
    pub selection: Option<Compiled>,
    /// Blinding: what is hidden, and how.
    pub hidden: Hidden,
    /// Inputs of a network, by name: finite on every row, as `f32` too.
    pub features: Vec<(String, Compiled)>,
    /// Other variables, for histograms: where not finite, NaN.
    pub columns: Vec<(String, Compiled)>,
    /// Regions: region `i` is bit `i` of a row's flags. At most [`MAX_FLAGS`].
    pub flags: Vec<(String, Compiled)>,
    /// Whether rows in none of the regions are left out.
    pub require_any_flag: bool,
    /// Event weight, finite on every selected row; 1 without it.
    pub weight: Option<Compiled>,
    /// How events are identified.
    pub id: IdSpec,
    /// Told apart from equal ids of other samples by this; see
    /// [`event_key`](super::event_key).
    pub id_namespace: String,
    /// Rows with a missing feature.
    pub on_missing: OnMissing,
}

impl ScanRequest {
    /// All rows that are not hidden, nothing of them but their place.
    #[must_use]
    pub fn new(hidden: Hidden) -> Self {
        Self {
            selection: None,
            hidden,
            features: Vec::new(),
            columns: Vec::new(),
            flags: Vec::new(),
            require_any_flag: false,
            weight: None,
            id: IdSpec::FileRow,
            id_namespace: String::new(),
            on_missing: OnMissing::Error,
        }
    }

    /// Names of the columns that it needs.
    pub(super) fn columns_read(&self) -> BTreeSet<&str> {
        let as_they_are = self.features.iter();
        let as_they_are = as_they_are.filter_map(|(_, feature)| feature.as_column());
        self.names_computed()
            .into_iter()
            .chain(as_they_are)
            .chain(self.id_columns().iter().map(String::as_str))
            .collect()
    }

    /// Names of the columns that expressions need as `f64`.
    fn names_computed(&self) -> BTreeSet<&str> {
        let columns = self.computed().flat_map(Compiled::columns);
        columns.map(String::as_str).collect()
    }

    /// The expressions, but for features that are just a column.
    fn computed(&self) -> impl Iterator<Item = &Compiled> {
        let features = self.features.iter();
        let named = features
            .filter(|(_, feature)| feature.as_column().is_none())
            .chain(&self.columns)
            .chain(&self.flags)
            .map(|(_, compiled)| compiled);
        self.selection
            .iter()
            .chain(&self.hidden.selections)
            .chain(&self.weight)
            .chain(named)
    }

    /// Whether the number of events is the number of rows, in any part.
    pub(super) fn takes_every_row(&self) -> bool {
        let drops = self.on_missing == OnMissing::Drop && !self.features.is_empty();
        self.selection.is_none() && !self.hidden.rejects() && !self.require_any_flag && !drops
    }

    /// Empty if events are identified by their places.
    pub(super) fn id_columns(&self) -> &[String] {
        match &self.id {
            IdSpec::Columns(names) => names,
            IdSpec::FileRow => &[],
        }
    }
}

/// A request that has been checked against the files.
pub(super) struct Plan<'a> {
    pub(super) files: &'a [EventFile],
    pub(super) request: &'a ScanRequest,
    /// Columns that expressions need as `f64`: all but features as they are.
    pub(super) names: BTreeSet<&'a str>,
    /// What is read of each file.
    projections: Vec<Vec<usize>>,
    /// Whether the id columns have signs.
    signs: Vec<bool>,
    seed: u64,
}

impl Dataset {
    /// The parts of all files, in the order of files and rows.
    pub(super) fn jobs(&self) -> Vec<Job> {
        let files = self.event_files().iter().enumerate();
        files
            .flat_map(|(file, opened)| opened.parts.iter().map(move |&part| Job::new(file, part)))
            .collect()
    }
}

/// A part of one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// Place of the file in the list.
    pub(super) file: usize,
    pub(super) part: Part,
    /// Most events that it can have.
    pub(super) events: usize,
}

impl Job {
    fn new(file: usize, part: Part) -> Self {
        Self {
            file,
            part,
            // More than can be held is refused when room is made.
            events: usize::try_from(part.rows).unwrap_or(usize::MAX),
        }
    }
}

impl<'a> Plan<'a> {
    /// Checks the request; nothing is read.
    pub(super) fn new(dataset: &'a Dataset, request: &'a ScanRequest) -> Result<Self, DataError> {
        if request.flags.len() > MAX_FLAGS {
            return Err(DataError::TooManyFlags {
                found: request.flags.len(),
                limit: MAX_FLAGS,
            });
        }
        if request.id == IdSpec::Columns(Vec::new()) {
            return Err(DataError::NoIdColumns);
        }
        let signs = request
            .id_columns()
            .iter()
            .map(|name| dataset.id_sign(name))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            files: dataset.event_files(),
            request,
            names: request.names_computed(),
            projections: dataset.projections(&request.columns_read())?,
            signs,
            seed: namespace_seed(&request.id_namespace),
        })
    }

    /// Reads one part, batch by batch; see [`EventFile::read`].
    pub(super) fn read<E: From<DataError>>(
        &self,
        job: Job,
        visit: impl FnMut(&RecordBatch, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        self.files[job.file].read(job.part, &self.projections[job.file], visit)
    }

    /// Names what was taken.
    pub(super) fn table(&self, arrays: Arrays, counts: &Counts) -> EventTable {
        arrays.into_table(counts, self.request, &self.signs, self.seed)
    }
}
