//! What can be asked of event files: selection, features, weights, regions and ids.
//! Only the columns that are needed are read.
//!
//! A row goes through: `hidden` (blinding), `selection`, regions, weight,
//! features. What is rejected leaves no trace in any count, so that looking at
//! a report does not unblind.

use crate::error::{Error, Result};
use std::collections::BTreeSet;

use super::dataset::Dataset;
use super::definitions::Compiled;
use super::file::EventFile;
use super::part::Part;
use super::table::{IdSpec, namespace_seed};
use arrow::record_batch::RecordBatch;

/// Most regions a scan can tell apart; the other bits of a row's flags say what it lacks
/// and what is [`Hidden`].
pub(crate) const MAX_FLAGS: usize = 61;
/// Marks a row that lacks something, where such rows are kept.
pub(crate) const LACKS: u64 = 1 << 63;

/// Flag of a row that lies in a blind region, or whose selection there is neither true
/// nor false.
pub(crate) const HIDDEN: u64 = 1 << 62;
/// Flag of a hidden row that would be in the watched region: see [`Hidden::watching`].
pub(crate) const HIDDEN_IN_WATCHED: u64 = 1 << 61;

/// What to do with a selected row that has no finite value of a feature, whose category
/// is not listed, or that lacks a needed column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// Refuse the data, and say how many rows and where.
    #[default]
    Error,
    /// Leave the row out, and count it.
    Drop,
    /// Keep the row with its features at 0 and the mark [`LACKS`], and count it.
    Keep,
}

/// An integer or a label of an event that must be one of those that are listed.
#[derive(Clone, Debug, PartialEq)]
pub struct Category {
    /// What it is called in messages.
    pub name: String,
    pub value: Compiled,
    /// All that it can be.
    pub listed: Vec<f64>,
    /// Places of the features that are made of it: what they lack is counted here.
    pub inputs: std::ops::Range<usize>,
}

/// What to read from a [`Dataset`]. Equal requests find the same in equal files.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanRequest {
    /// Rows where this is true (not 0, not NaN) are selected; all without it.
    pub selection: Option<Compiled>,
    /// Blinding: what is hidden, and how.
    pub hidden: Hidden,
    /// Inputs of a network, by name: finite on every row, as `f32` too.
    pub features: Vec<(String, Compiled)>,
    /// Labels that must be among those that are listed, on every row.
    pub categories: Vec<Category>,
    /// Other variables, for histograms, in `f64`: NaN where there is no value.
    pub columns: Vec<(String, Compiled)>,
    /// Columns that must have a value on rows with any of these flags, as a place in
    /// `columns` and the flags.
    pub needed: Vec<(usize, u64)>,
    /// Regions: region `i` is bit `i` of a row's flags. At most [`MAX_FLAGS`].
    pub flags: Vec<(String, Compiled)>,
    /// Whether rows in none of the regions are left out.
    pub require_any_flag: bool,
    /// Event weight, finite on every selected row; 1 without it.
    pub weight: Option<Compiled>,
    /// Factor on all weights, finite.
    pub scale: f64,
    /// How events are identified.
    pub id: IdSpec,
    /// Told apart from equal ids of other samples by this; see
    /// `event_key` of `table.rs`.
    pub id_namespace: String,
    /// Rows that lack a feature, a listed category or a needed column.
    pub on_missing: OnMissing,
}

impl ScanRequest {
    /// All rows that are not hidden, nothing of them but their place.
    pub fn new(hidden: Hidden) -> Self {
        Self {
            selection: None,
            hidden,
            features: Vec::new(),
            categories: Vec::new(),
            columns: Vec::new(),
            needed: Vec::new(),
            flags: Vec::new(),
            require_any_flag: false,
            weight: None,
            scale: 1.0,
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

    /// Names of the built-in columns that any of its expressions rests on.
    pub(crate) fn builtins(&self) -> BTreeSet<&'static str> {
        let features = self.features.iter().map(|(_, feature)| feature);
        let all = self.computed().chain(features);
        all.flat_map(Compiled::builtins).collect()
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
            .chain(self.categories.iter().map(|category| &category.value))
            .chain(named)
    }

    /// Rows of a column that matter: those with any of these flags, or all.
    pub(super) fn matters(&self, column: usize) -> Option<u64> {
        let mut needed = self.needed.iter();
        needed
            .find(|(place, _)| *place == column)
            .map(|(_, flags)| *flags)
    }

    /// Whether the number of events is the number of rows, in any part.
    pub(super) fn takes_every_row(&self) -> bool {
        let can_lack = !self.features.is_empty() || !self.categories.is_empty();
        let can_lack = can_lack || !self.needed.is_empty();
        let drops = self.on_missing == OnMissing::Drop && can_lack;
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

/// The events that a scan hides: those for which any of the selections is *not false*.
/// What cannot be decided is hidden.
///
/// A [`ScanRequest`] is not made without one, so that whoever reads
/// events says what of them may be seen.
#[derive(Clone, Debug)]
pub struct Hidden {
    pub(super) selections: Vec<Compiled>,
    /// Whether they are gone before anything else, and never counted. Otherwise they are
    /// kept with a flag, outside of the closed regions.
    is_rejected: bool,
    closed: u64,
    watched: u64,
}

/// To hide nothing is the same in whatever way.
impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        let how = |of: &Self| (of.is_rejected, of.closed, of.watched);
        let hides_nothing = self.selections.is_empty();
        self.selections == other.selections && (hides_nothing || how(self) == how(other))
    }
}

impl Hidden {
    /// Hides nothing: of simulated events, and of what the user asks about by name.
    pub fn nothing() -> Self {
        Self::marked(Vec::new())
    }

    /// Rows that are gone before anything is counted.
    pub fn rejected(selections: Vec<Compiled>) -> Self {
        Self {
            is_rejected: true,
            ..Self::marked(selections)
        }
    }

    /// Rows that are kept, with the flag [`HIDDEN`].
    pub fn marked(selections: Vec<Compiled>) -> Self {
        Self {
            selections,
            is_rejected: false,
            closed: 0,
            watched: 0,
        }
    }

    /// The same, with hidden rows taken out of the regions of a mask.
    #[must_use]
    pub fn closing(self, closed: u64) -> Self {
        Self { closed, ..self }
    }

    /// The same, with the flag [`HIDDEN_IN_WATCHED`] for hidden rows that one of the
    /// regions of a mask selects, closed or not.
    #[must_use]
    pub fn watching(self, watched: u64) -> Self {
        Self { watched, ..self }
    }

    /// The same selections, with their rows gone.
    pub fn as_rejected(&self) -> Self {
        Self::rejected(self.selections.clone())
    }

    pub(super) fn rejects(&self) -> bool {
        self.is_rejected && !self.selections.is_empty()
    }

    /// The flags of a hidden row that is kept, from those of its regions.
    pub(super) fn flags(&self, regions: u64) -> u64 {
        let is_seen = regions & self.watched != 0;
        match self.is_rejected {
            true => regions,
            false => (regions & !self.closed) | HIDDEN | (HIDDEN_IN_WATCHED * u64::from(is_seen)),
        }
    }
}

/// A request that has been checked against the files.
pub(super) struct ScanPlan<'a> {
    pub(super) files: &'a [EventFile],
    pub(super) request: &'a ScanRequest,
    /// Columns that expressions need as `f64`: all but features as they are.
    pub(super) names: BTreeSet<&'a str>,
    /// What is read of each file.
    projections: Vec<Vec<usize>>,
    /// Whether the id columns have signs.
    pub(super) signs: Vec<bool>,
    /// That of the events' keys.
    pub(super) seed: u64,
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

impl<'a> ScanPlan<'a> {
    /// Checks the request; nothing is read.
    pub(super) fn new(dataset: &'a Dataset, request: &'a ScanRequest) -> Result<Self> {
        if request.flags.len() > MAX_FLAGS {
            return Err(Error::data(format!(
                "{} regions, at most {MAX_FLAGS} are possible",
                request.flags.len()
            )));
        }
        if request.id == IdSpec::Columns(Vec::new()) {
            return Err(Error::data(
                "the event id needs at least one column; without any, identify events by file \
                 and row",
            ));
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
    pub(super) fn read(
        &self,
        job: Job,
        visit: impl FnMut(&RecordBatch, u64) -> Result<()>,
    ) -> Result<()> {
        self.files[job.file].read(job.part, &self.projections[job.file], visit)
    }
}
