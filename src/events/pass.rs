//! One pass over the files into memory.
//!
//! Row groups are read in parallel, each into room of its own; the events come out
//! in the order of the files and of the rows in them, whatever the number of
//! threads. Where the selection needs few of the columns, they are read before all
//! others, and there is room for as many events as are selected. Otherwise there is
//! room for all rows, and the gaps are closed. There is never more room at once than
//! [`ROOM_BYTES`] allow; then the parts come in waves.

use crate::error::Result;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::arrays::{EventArrays, EventRoom, ScanCounts};
use super::dataset::Dataset;
use super::scan::{Job, OnMissing, ScanPlan, ScanRequest};
use super::table::{EventTable, IdSpec};

/// Parts for each thread, so that all have work until nearly the end.
const PARTS_PER_THREAD: usize = 8;
/// Parts of a row group that are read as one, at most: what a file says of its
/// rows is not trusted, and room is made for all that a job may hold.
const JOB_PARTS: usize = 8;
/// Selected events are counted beforehand if that takes at most one of so many of
/// the columns: reading a column twice costs less than closing the gaps then.
const COLUMNS_PER_COUNTED: usize = 4;
/// Room that is set aside for events from the start, at most: address space, which
/// becomes memory as it is filled. More is found when it is full.
const ROOM_BYTES: usize = 2 << 30;

impl Dataset {
    /// Reads the events that `request` asks for. `progress` is called from
    /// several threads with the number of rows just read.
    pub fn scan(
        &self,
        request: &ScanRequest,
        progress: Option<&(dyn Fn(u64) + Sync)>,
    ) -> Result<EventTable> {
        let plan = ScanPlan::new(self, request)?;
        let parts = merged(&self.jobs(), least_parts());
        let parts = match selection(&plan) {
            Some(selection) => counted(&parts, &ScanPlan::new(self, &selection)?)?,
            None => parts,
        };
        Scan::new(&plan, &parts, ROOM_BYTES)?.run(&parts, progress)
    }

    /// How many events a request asks for, whether they lack something or not; none of
    /// them is kept.
    pub(crate) fn count(&self, request: &ScanRequest) -> Result<u64> {
        let plan = ScanPlan::new(self, request)?;
        let parts = merged(&self.jobs(), least_parts());
        let counts = parts.par_iter().with_max_len(1);
        let counts: Vec<Result<usize>> = counts.map(|&part| count(&plan, part)).collect();
        let each = counts.into_iter();
        each.map(|events| events.map(|events| events as u64)).sum()
    }
}

fn least_parts() -> usize {
    PARTS_PER_THREAD * rayon::current_num_threads()
}

/// What is to be read to count the events of `plan`, if that is little.
fn selection(plan: &ScanPlan<'_>) -> Option<ScanRequest> {
    let whole = plan.request;
    let selection = ScanRequest {
        selection: whole.selection.clone(),
        flags: match whole.require_any_flag {
            true => whole.flags.clone(),
            false => Vec::new(),
        },
        require_any_flag: whole.require_any_flag,
        ..ScanRequest::new(whole.hidden.clone())
    };
    let few = COLUMNS_PER_COUNTED * selection.columns_read().len() <= whole.columns_read().len();
    (few && !whole.takes_every_row()).then_some(selection)
}

/// How many events of a part there are.
fn count(plan: &ScanPlan<'_>, part: Job) -> Result<usize> {
    let mut events = 0;
    plan.read(part, |batch, first_row| {
        events += plan.count(part.file, batch, first_row)?;
        Ok(())
    })?;
    Ok(events)
}

/// The parts with the number of events that `selection` leaves of each. If several cannot be
/// read, the error is that of the first.
fn counted(parts: &[Job], selection: &ScanPlan<'_>) -> Result<Vec<Job>> {
    let counted = |&part: &Job| {
        let events = count(selection, part)?;
        Ok(Job { events, ..part })
    };
    let counted: Vec<Result<Job>> = parts.par_iter().with_max_len(1).map(counted).collect();
    counted.into_iter().collect()
}

/// Puts parts of a row group that follow each other together, up to [`JOB_PARTS`],
/// as long as `least` are left: each has to find its first row and to read the
/// dictionaries.
fn merged(jobs: &[Job], least: usize) -> Vec<Job> {
    let same_group = |a: &Job, b: &Job| (a.file, a.part.group) == (b.file, b.part.group);
    let groups = jobs.chunk_by(same_group).count();
    let each = least.div_ceil(groups.max(1)).max(1);
    let mut longer = Vec::new();
    for group in jobs.chunk_by(same_group) {
        for together in group.chunks(group.len().div_ceil(each).min(JOB_PARTS)) {
            let mut job = together[0];
            job.part.rows = together.iter().map(|job| job.part.rows).sum();
            let events = together.iter().map(|job| job.events);
            job.events = events.fold(0, usize::saturating_add);
            longer.push(job);
        }
    }
    longer
}

struct Scan<'a> {
    plan: &'a ScanPlan<'a>,
    arrays: EventArrays,
    counts: ScanCounts,
}

impl<'a> Scan<'a> {
    /// With room for the events of `jobs`, but at most `room_bytes` to begin with.
    fn new(plan: &'a ScanPlan<'a>, jobs: &[Job], room_bytes: usize) -> Result<Self> {
        let events = jobs.iter().map(|job| job.events);
        let events = events.fold(0, usize::saturating_add);
        let room = room_bytes / EventArrays::event_bytes(plan.request);
        Ok(Self {
            plan,
            arrays: EventArrays::new(plan.request, events.min(room))?,
            counts: ScanCounts::default(),
        })
    }

    fn run(mut self, jobs: &[Job], progress: Option<&(dyn Fn(u64) + Sync)>) -> Result<EventTable> {
        let least = least_parts();
        let mut rest = jobs;
        while !rest.is_empty() {
            let (wave, later) = rest.split_at(self.next_wave(rest, least)?);
            self.read(wave, progress)?;
            rest = later;
        }
        self.table()
    }

    /// Makes room for the rows of the first `least` jobs, and says for how many
    /// jobs there is room.
    fn next_wave(&mut self, jobs: &[Job], least: usize) -> Result<usize> {
        let ends = jobs.iter().scan(self.counts.events, |end, job| {
            *end = end.saturating_add(job.events);
            Some(*end)
        });
        let ends: Vec<usize> = ends.collect();
        let needed = ends.iter().take(least).next_back().copied().unwrap_or(0);
        if needed > self.arrays.room() {
            let room = needed.max(2 * self.arrays.room());
            self.arrays.grow(self.counts.events, room)?;
        }
        Ok(ends.partition_point(|&end| end <= self.arrays.room()))
    }

    /// Reads `jobs` in parallel. If several fail, the error is that of the first.
    fn read(&mut self, jobs: &[Job], progress: Option<&(dyn Fn(u64) + Sync)>) -> Result<()> {
        let first_failed = AtomicUsize::new(usize::MAX);
        let to = self.counts.events;
        let mut room = self.arrays.room_from(to);
        let rooms: Vec<EventRoom<'_>> = jobs
            .iter()
            .map(|job| room.split_first(job.events))
            .collect();
        let read = |(place, (&job, room)): (usize, (&Job, EventRoom<'_>))| {
            if place > first_failed.load(Ordering::Relaxed) {
                return Ok(ScanCounts::default());
            }
            let counts = read_job(self.plan, job, room, progress);
            if counts.is_err() {
                first_failed.fetch_min(place, Ordering::Relaxed);
            }
            counts
        };
        let parts: Vec<Result<ScanCounts>> = jobs
            .par_iter()
            .zip(rooms)
            .enumerate()
            .with_max_len(1)
            .map(read)
            .collect();
        let mut filled = Vec::with_capacity(jobs.len());
        let mut start = to;
        for (job, counts) in jobs.iter().zip(parts) {
            let counts = counts?;
            filled.push((start, counts.events));
            start += job.events;
            self.counts.merge(&counts);
        }
        self.arrays.close_up(to, &filled);
        Ok(())
    }

    fn table(self) -> Result<EventTable> {
        let plan = self.plan;
        if plan.request.on_missing == OnMissing::Error {
            let path = |index: usize| plan.files[index].path.display().to_string();
            self.counts.refuse_missing(plan.request, path)?;
        }
        let mut table = self.arrays.into_table(plan, &self.counts);
        if !keys_are_unique(plan) {
            table.report.duplicate_ids = table.ids.duplicates()?;
        }
        Ok(table)
    }
}

fn read_job(
    plan: &ScanPlan<'_>,
    job: Job,
    mut room: EventRoom<'_>,
    progress: Option<&(dyn Fn(u64) + Sync)>,
) -> Result<ScanCounts> {
    let mut counts = ScanCounts::default();
    plan.read(job, |batch, first_row| {
        plan.take(&mut room, &mut counts, job.file, batch, first_row)?;
        if let Some(progress) = progress {
            progress(batch.num_rows() as u64);
        }
        Ok(())
    })?;
    Ok(counts)
}

/// Events in two rows of one file have different keys; see
/// `event_key` of `table.rs`.
fn keys_are_unique(plan: &ScanPlan<'_>) -> bool {
    plan.request.id == IdSpec::FileRow && plan.files.len() == 1
}

#[cfg(test)]
mod tests;
