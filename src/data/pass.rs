//! One pass over the files into memory.
//!
//! Row groups are read in parallel, each into room of its own; the events come out
//! in the order of the files and of the rows in them, whatever the number of
//! threads. There is room for all rows, selected or not, or for as many as
//! [`ROOM_BYTES`] allow; then the parts come in waves.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::arrays::{Arrays, Counts, Room};
use super::dataset::Dataset;
use super::error::DataError;
use super::ids::IdSpec;
use super::scan::{Job, OnMissing, Plan, ScanRequest};
use super::table::EventTable;

/// Parts for each thread, so that all have work until the end.
const PARTS_PER_THREAD: usize = 4;
/// Parts of a row group that are read as one, at most: what a file says of its
/// rows is not trusted, and room is made for all that a job may hold.
const JOB_PARTS: usize = 8;
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
    ) -> Result<EventTable, DataError> {
        let plan = Plan::new(self, request)?;
        Scan::new(&plan, ROOM_BYTES).run(&self.jobs(), progress)
    }
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
            longer.push(job);
        }
    }
    longer
}

/// A scan on its way.
struct Scan<'a> {
    plan: &'a Plan<'a>,
    arrays: Arrays,
    counts: Counts,
}

impl<'a> Scan<'a> {
    /// With room for all rows, but at most `room_bytes` to begin with.
    fn new(plan: &'a Plan<'a>, room_bytes: usize) -> Self {
        let rows: u64 = plan.files.iter().map(|file| file.rows).sum();
        let room = room_bytes / Arrays::event_bytes(plan.request);
        let room = usize::try_from(rows).map_or(room, |rows| rows.min(room));
        Self {
            plan,
            arrays: Arrays::new(plan.request, room),
            counts: Counts::new(plan.request),
        }
    }

    fn run(
        mut self,
        jobs: &[Job],
        progress: Option<&(dyn Fn(u64) + Sync)>,
    ) -> Result<EventTable, DataError> {
        let least = PARTS_PER_THREAD * rayon::current_num_threads();
        let jobs = merged(jobs, least);
        let mut rest = jobs.as_slice();
        while !rest.is_empty() {
            let (wave, later) = rest.split_at(self.next_wave(rest, least)?);
            self.read(wave, progress)?;
            rest = later;
        }
        self.table()
    }

    /// Makes room for the rows of the first `least` jobs, and says for how many
    /// jobs there is room.
    fn next_wave(&mut self, jobs: &[Job], least: usize) -> Result<usize, DataError> {
        let ends = jobs.iter().scan(self.counts.events, |end, job| {
            *end = end.saturating_add(job.rows());
            Some(*end)
        });
        let ends: Vec<usize> = ends.collect();
        let needed = ends.iter().take(least).next_back().copied().unwrap_or(0);
        if needed > self.arrays.room() {
            let room = needed.max(2 * self.arrays.room());
            self.arrays
                .grow(self.counts.events, room, self.plan.request)?;
        }
        Ok(ends.partition_point(|&end| end <= self.arrays.room()))
    }

    /// Reads `jobs` in parallel. If several fail, the error is that of the first.
    fn read(
        &mut self,
        jobs: &[Job],
        progress: Option<&(dyn Fn(u64) + Sync)>,
    ) -> Result<(), DataError> {
        let first_failed = AtomicUsize::new(usize::MAX);
        let to = self.counts.events;
        let mut room = self.arrays.room_from(to);
        let rooms: Vec<Room<'_>> = jobs
            .iter()
            .map(|job| room.split_first(job.rows()))
            .collect();
        let read = |(place, (&job, room)): (usize, (&Job, Room<'_>))| {
            if place > first_failed.load(Ordering::Relaxed) {
                return Ok(Counts::new(self.plan.request));
            }
            let counts = read_job(self.plan, job, room, progress);
            if counts.is_err() {
                first_failed.fetch_min(place, Ordering::Relaxed);
            }
            counts
        };
        let parts: Vec<Result<Counts, DataError>> = jobs
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
            start += job.rows();
            self.counts.merge(&counts);
        }
        self.arrays.close_up(to, &filled);
        Ok(())
    }

    fn table(self) -> Result<EventTable, DataError> {
        let plan = self.plan;
        if plan.request.on_missing == OnMissing::Error {
            let path = |index: usize| plan.files[index].path.clone();
            self.counts.refuse_missing(plan.request, path)?;
        }
        let mut table = plan.table(self.arrays, &self.counts);
        if !keys_are_unique(plan) {
            table.report.duplicate_ids = table.ids.duplicates();
        }
        Ok(table)
    }
}

impl Job {
    /// Number of rows; more than can be held if there are more than can be held.
    fn rows(&self) -> usize {
        usize::try_from(self.part.rows).unwrap_or(usize::MAX)
    }
}

/// Reads a part into its room.
fn read_job(
    plan: &Plan<'_>,
    job: Job,
    mut room: Room<'_>,
    progress: Option<&(dyn Fn(u64) + Sync)>,
) -> Result<Counts, DataError> {
    let mut counts = Counts::new(plan.request);
    plan.read::<DataError>(job, |batch, first_row| {
        plan.take(&mut room, &mut counts, job.file, batch, first_row)?;
        if let Some(progress) = progress {
            progress(batch.num_rows() as u64);
        }
        Ok(())
    })?;
    Ok(counts)
}

/// Events in two rows of one file have different keys; see
/// [`event_key`](super::event_key).
fn keys_are_unique(plan: &Plan<'_>) -> bool {
    plan.request.id == IdSpec::FileRow && plan.files.len() == 1
}

#[cfg(test)]
mod tests;
