//! Which worker is at which block, when several share a run directory and
//! nothing else.
//!
//! | file in `claims/` | what |
//! |---|---|
//! | `block_NNNNN.open` | nobody is at the block |
//! | `block_NNNNN.<worker>_<n>.held` | a worker is at it, by its n-th claim |
//! | `block_NNNNN.new` | a worker is about to make the block's token |
//! | `.clock` | tells the file server's time |
//!
//! A block has one token or none. Whoever renames it has it: of several renames
//! of one file only one finds it. The name of a held token never comes again, so
//! that a token cannot be confused with a later one of the same block. A block
//! without a token gets one under the lock `.new`, which holds off others that
//! did not see a token either.
//!
//! A worker keeps its tokens fresh. One that is older than `stale` by the file
//! server's clock, or whose process has ended on this very host, is anybody's.
//! A token whose date lies ahead of that clock is given the present one by
//! whoever meets it, so that it ages like others.
//! A worker that only slept then finds its token gone ([`Claim::is_lost`]); two
//! at one block is a waste and no harm, as results are the same and appear by
//! rename. For the same reason nothing here is synced to disk.

use super::now;
use crate::files::regular;
use crate::files::{Liveness, ServerClock, WorkerId, is_gone, lock, touch};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Shortest time between two heartbeats, unless `stale` is hardly longer.
const SHORTEST_BEAT: Duration = Duration::from_secs(1);
/// How often a claim looks again if a token moves under its eyes.
const LOOKS: usize = 8;
/// A worker that makes a token writes its name into it well within this time.
/// One that does not finds the token gone; no two can get it.
const UNSIGNED: Duration = Duration::from_secs(2);
/// A token's content is not read beyond this.
const CONTENT_LIMIT: u64 = 4096;

/// The claims of this process on the blocks of a run.
#[derive(Debug)]
pub(crate) struct Claims {
    shared: Arc<Shared>,
    heart: Arc<Heart>,
}

/// A block that is this process's own; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Claim {
    block: u32,
    held: Arc<Held>,
    is_finished: bool,
    shared: Arc<Shared>,
    // the heart beats until the last claim is gone
    _heart: Arc<Heart>,
}

/// A worker at a block, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub block: u32,
    /// Name of the worker.
    pub worker: String,
    pub host: String,
    /// Time since its last heartbeat; without end if its time lies ahead of the
    /// file server's.
    pub age: Duration,
    /// Whether the block is refused to others.
    pub is_alive: bool,
}

impl Claims {
    /// Joins the workers of a folder, making it if it is not there. All workers
    /// should have the same `stale`, of at least some ten seconds.
    ///
    /// # Errors
    /// What the file system said; the folder has to be one to write to.
    pub(crate) fn open(folder: &Path, stale: Duration) -> io::Result<Self> {
        let beat = (stale / 6).max(SHORTEST_BEAT).min(stale / 2);
        Self::with_beat(folder, stale, beat)
    }

    fn with_beat(folder: &Path, stale: Duration, beat: Duration) -> io::Result<Self> {
        regular::make_folder(folder)?;
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            stale,
            worker: WorkerId::unique(),
            started: now(),
            clock: ServerClock::new(folder),
            count: AtomicU64::new(0),
            held: Mutex::default(),
            seen: Mutex::default(),
        });
        shared.clock.measure()?;
        let heart = Arc::new(Heart::start(shared.clone(), beat)?);
        Ok(Self { shared, heart })
    }

    /// This worker's name.
    #[must_use]
    pub(crate) fn worker(&self) -> &WorkerId {
        &self.shared.worker
    }

    /// Claims a block; `None` if another is at it, or just claims it, or this
    /// object has it already.
    ///
    /// A finished block looks like one that nobody has begun: look for its
    /// result *after* claiming it. A claim takes a few operations on files; the
    /// folder is listed, at a cost of its number of tokens, only for a block
    /// that had none.
    ///
    /// # Errors
    /// What the file system said, such as that the disk is full.
    pub(crate) fn claim(&self, block: u32) -> io::Result<Option<Claim>> {
        let shared = &self.shared;
        let n = shared.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("block_{block:05}.{}_{n}.held", shared.worker);
        let held = Arc::new(Held {
            path: shared.folder.join(name),
            is_taken: AtomicBool::new(false),
            is_lost: AtomicBool::new(false),
        });
        {
            let mut all = lock(&shared.held);
            if all.contains_key(&block) {
                return Ok(None);
            }
            all.insert(block, held.clone());
        }
        match shared.take(block, &held.path) {
            Ok(true) => {
                held.is_taken.store(true, Ordering::Release);
                Ok(Some(Claim {
                    block,
                    held,
                    is_finished: false,
                    shared: shared.clone(),
                    _heart: self.heart.clone(),
                }))
            }
            other => {
                if other.is_err() {
                    // it may have gone wrong after the rename
                    let _ = fs::rename(&held.path, shared.path(block, "open"));
                }
                lock(&shared.held).remove(&block);
                other.map(|_| None)
            }
        }
    }

    /// Who is at which block, in the order of blocks.
    #[cfg(test)]
    fn holders(&self) -> io::Result<Vec<Holder>> {
        holders_by(&self.shared.clock, &self.shared.folder, self.shared.stale)
    }
}

/// Who is at which block of a folder, for one who only looks. A folder that is
/// not there has none.
pub(crate) fn holders(folder: &Path, stale: Duration) -> io::Result<Vec<Holder>> {
    holders_by(&ServerClock::new(folder), folder, stale)
}

impl Claim {
    #[cfg(test)]
    fn block(&self) -> u32 {
        self.block
    }

    /// Whether another has taken the block over, as this process seemed dead.
    #[cfg(test)]
    fn is_lost(&self) -> bool {
        self.held.is_lost.load(Ordering::Acquire)
    }

    /// The block is done: its token goes away. Its result has to be there
    /// before.
    ///
    /// # Errors
    /// What the file system said; a token that another took over is none.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.is_finished = true;
        match fs::remove_file(&self.held.path) {
            Err(e) if !is_gone(&e) => Err(e),
            _ => Ok(()),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.held.is_taken.store(false, Ordering::Release);
        if !self.is_finished {
            // a token that stays goes stale
            let _ = fs::rename(&self.held.path, self.shared.path(self.block, "open"));
        }
        lock(&self.shared.held).remove(&self.block);
    }
}

#[derive(Debug)]
struct Held {
    path: PathBuf,
    /// From the rename that made it to the one that ends it.
    is_taken: AtomicBool,
    is_lost: AtomicBool,
}

/// What claims and heartbeat have in common.
#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    stale: Duration,
    worker: WorkerId,
    started: String,
    clock: ServerClock,
    count: AtomicU64,
    /// Blocks that are held, or being claimed.
    held: Mutex<BTreeMap<u32, Arc<Held>>>,
    /// The last listing. It may be old: what it says is looked at, what it does
    /// not say is listed again.
    seen: Mutex<Listing>,
}

/// A block's tokens, as names: one as a rule, for a moment none.
type Listing = HashMap<u32, Vec<Token>>;

#[derive(Clone, Debug)]
struct Token {
    path: PathBuf,
    /// `None` for an open token.
    worker: Option<WorkerId>,
}

impl Shared {
    fn path(&self, block: u32, state: &str) -> PathBuf {
        self.folder.join(format!("block_{block:05}.{state}"))
    }

    /// Gets the block's token as `mine`, if it is to be had.
    fn take(&self, block: u32, mine: &Path) -> io::Result<bool> {
        for _ in 0..LOOKS {
            if self.seize(&self.path(block, "open"), mine)? {
                return Ok(true);
            }
            let mut tokens = lock(&self.seen).get(&block).cloned().unwrap_or_default();
            tokens.retain(|token| token.worker.is_some());
            let answer = if tokens.is_empty() {
                self.make(block, mine)?
            } else {
                self.take_over(&tokens, mine)?
            };
            if let Some(is_mine) = answer {
                return Ok(is_mine);
            }
        }
        // others are at it faster than one can look
        Ok(false)
    }

    /// Renames a token. It is made fresh before, so that nobody finds an old
    /// one under the new name.
    fn seize(&self, token: &Path, mine: &Path) -> io::Result<bool> {
        match regular::edit(token).and_then(|f| touch(&f)) {
            Ok(_) => {}
            Err(e) if is_gone(&e) => return Ok(false),
            Err(e) => return Err(e),
        }
        let is_mine = rename(token, mine)?;
        if is_mine {
            // for people only; a full disk does not matter
            let _ = regular::edit(mine).and_then(|f| self.sign(f));
        }
        Ok(is_mine)
    }

    /// Makes the token of a block that has none. `None`: look again.
    fn make(&self, block: u32, mine: &Path) -> io::Result<Option<bool>> {
        let new = self.path(block, "new");
        match OpenOptions::new().write(true).create_new(true).open(&new) {
            Ok(file) => {
                let _ = self.sign(file);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return self.adopt(block, &new, mine);
            }
            Err(e) => return Err(e),
        }
        // a token that appeared since the last look is in this listing; none
        // can appear later while the lock is there
        let answer = match self.list_again(block) {
            Ok(tokens) if tokens.is_empty() => rename(&new, mine).map(Some),
            Ok(_) => Ok(None),
            Err(e) => Err(e),
        };
        if !matches!(answer, Ok(Some(_))) {
            let _ = fs::remove_file(&new);
        }
        answer
    }

    /// Goes on where another stopped while it made a token. `None`: look again.
    fn adopt(&self, block: u32, new: &Path, mine: &Path) -> io::Result<Option<bool>> {
        let content = match regular::read(new, CONTENT_LIMIT) {
            Err(e) if is_gone(&e) => return Ok(None),
            Err(e) if regular::is_irregular(&e) => return Err(e),
            // what cannot be read has no name in it
            other => other.unwrap_or_default(),
        };
        let worker = serde_json::from_slice::<serde_json::Value>(&content)
            .ok()
            .and_then(|v| WorkerId::parse(v.get("worker")?.as_str()?));
        let limit = match worker {
            Some(_) => self.stale,
            None => self.stale.min(UNSIGNED),
        };
        match self.is_stale(worker.as_ref(), new, limit)? {
            None => return Ok(None),
            Some(false) => return Ok(Some(false)),
            Some(true) => {}
        }
        if !self.seize(new, mine)? {
            return Ok(None);
        }
        let mut tokens = self.list_again(block)?;
        tokens.retain(|token| token.path != mine);
        if tokens.is_empty() {
            return Ok(Some(true));
        }
        let _ = fs::remove_file(mine);
        Ok(None)
    }

    /// Takes a held token if all of the block are stale. `None`: look again.
    fn take_over(&self, tokens: &[Token], mine: &Path) -> io::Result<Option<bool>> {
        let mut stale = Vec::new();
        for token in tokens {
            match self.is_stale(token.worker.as_ref(), &token.path, self.stale)? {
                Some(true) => stale.push(&token.path),
                Some(false) => return Ok(Some(false)),
                None => {}
            }
        }
        let mut is_mine = false;
        for path in stale {
            if is_mine {
                // there were two at the block, and both died
                let _ = fs::remove_file(path);
            } else {
                is_mine = self.seize(path, mine)?;
            }
        }
        if is_mine {
            return Ok(Some(true));
        }
        *lock(&self.seen) = list(&self.folder)?;
        Ok(None)
    }

    /// Whether a token is anybody's; `None` if it is not there.
    fn is_stale(
        &self,
        worker: Option<&WorkerId>,
        token: &Path,
        limit: Duration,
    ) -> io::Result<Option<bool>> {
        if worker.is_some_and(|w| w.liveness() == Liveness::Gone) {
            return Ok(Some(true));
        }
        match modified(token) {
            // a token that lies ahead would stay for ever: from now on it ages,
            // unless its worker lives and makes it fresh
            Ok(time) if self.clock.is_ahead(time) => {
                match regular::edit(token).and_then(|f| touch(&f)) {
                    Ok(_) => Ok(Some(false)),
                    Err(e) if is_gone(&e) => Ok(None),
                    Err(e) => Err(e),
                }
            }
            Ok(time) => Ok(Some(self.clock.age(time) > limit)),
            Err(e) if is_gone(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The tokens of a block, by a new listing.
    fn list_again(&self, block: u32) -> io::Result<Vec<Token>> {
        let listing = list(&self.folder)?;
        let tokens = listing.get(&block).cloned().unwrap_or_default();
        *lock(&self.seen) = listing;
        Ok(tokens)
    }

    /// Writes into a token whose it is.
    fn sign(&self, mut file: File) -> io::Result<()> {
        let text = json!({
            "worker": self.worker.to_string(),
            "host": self.worker.host(),
            "pid": self.worker.pid(),
            "started": self.started,
            "claimed": now(),
        })
        .to_string();
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)
    }

    /// Makes all held tokens fresh.
    fn beat(&self) {
        let all: Vec<_> = lock(&self.held).values().cloned().collect();
        for held in all {
            if !held.is_taken.load(Ordering::Acquire) {
                continue;
            }
            let touched = regular::edit(&held.path).and_then(|f| touch(&f));
            match touched {
                Ok(_) => held.is_lost.store(false, Ordering::Release),
                Err(e) if is_gone(&e) => held.is_lost.store(true, Ordering::Release),
                // a file server that is away for a while comes back
                Err(_) => {}
            }
        }
    }
}

/// The thread that makes tokens fresh; it ends when this is dropped.
#[derive(Debug)]
struct Heart {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heart {
    fn start(shared: Arc<Shared>, beat: Duration) -> io::Result<Self> {
        let (stop, stopped): (_, Receiver<()>) = channel();
        let thread = thread::Builder::new()
            .name("heartbeat".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(beat) == Err(RecvTimeoutError::Timeout) {
                    shared.beat();
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Renames to a name that is nobody else's; `false` if another was faster.
fn rename(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        // a network may lose the answer and ask again
        Err(e) if is_gone(&e) => Ok(fs::symlink_metadata(to).is_ok()),
        Err(e) => Err(e),
    }
}

/// A file's time. NFS asks the server anew when a file is opened, and may
/// answer from memory otherwise.
fn modified(path: &Path) -> io::Result<std::time::SystemTime> {
    regular::open(path)?.metadata()?.modified()
}

/// All tokens of a folder. What is not a token, or vanishes, is passed over.
fn list(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if let Some((block, worker)) = name.to_str().and_then(parse) {
            let path = folder.join(&name);
            listing
                .entry(block)
                .or_default()
                .push(Token { path, worker });
        }
    }
    Ok(listing)
}

/// Block and worker of a token's name.
fn parse(name: &str) -> Option<(u32, Option<WorkerId>)> {
    let (number, state) = name.strip_prefix("block_")?.split_once('.')?;
    let block: u32 = number.parse().ok()?;
    if format!("{block:05}") != number {
        return None;
    }
    if state == "open" {
        return Some((block, None));
    }
    let (worker, n) = state.strip_suffix(".held")?.rsplit_once('_')?;
    n.parse::<u64>().ok()?;
    Some((block, Some(WorkerId::parse(worker)?)))
}

fn holders_by(clock: &ServerClock, folder: &Path, stale: Duration) -> io::Result<Vec<Holder>> {
    let listing = match list(folder) {
        Err(e) if is_gone(&e) => Listing::new(),
        other => other?,
    };
    let mut holders = Vec::new();
    for (block, tokens) in listing {
        for Token { path, worker } in tokens {
            let (Some(worker), Ok(time)) = (worker, modified(&path)) else {
                continue;
            };
            let age = clock.age_of_sign(time);
            holders.push(Holder {
                block,
                host: worker.host().to_owned(),
                is_alive: age <= stale && worker.liveness() != Liveness::Gone,
                worker: worker.to_string(),
                age,
            });
        }
    }
    holders.sort_by(|a, b| (a.block, &a.worker).cmp(&(b.block, &b.worker)));
    Ok(holders)
}

#[cfg(test)]
mod tests;
