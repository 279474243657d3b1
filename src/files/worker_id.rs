//! Who a worker is, whether it still lives, and what time the file server has.
//!
//! Workers share a folder and nothing else: a worker's name says where it runs,
//! so that another one on the same host can see that it is gone, and times are
//! compared as the file server stamps them, so that no two machines need to
//! agree about the time.

use super::regular;
use sideband_numerics::random::fnv1a;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longest host name in a worker's name.
const HOST_LENGTH: usize = 32;
/// Time between two looks at the file server's clock.
const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// What a file's time may lie ahead of the file server's clock as it is seen here.
const AHEAD: Duration = Duration::from_secs(2);

/// Name of a worker, unique among all processes of all hosts:
/// `<host>-<host token>-<pid>-<start>-<count>`, of `[A-Za-z0-9-]`, at most 103
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerId {
    host: String,
    token: u64,
    pid: u32,
    start: u64,
    count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It runs on this host.
    Alive,
    /// It ran on this host and has ended.
    Gone,
    /// It runs, or ran, where it cannot be seen from here.
    Unknown,
}

impl WorkerId {
    pub(crate) fn unique() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        static START: OnceLock<u64> = OnceLock::new();
        let pid = std::process::id();
        Self {
            host: host_name(),
            token: host_token().unwrap_or(0),
            pid,
            start: *START.get_or_init(|| match process(pid) {
                Process::Running { start } => start,
                _ => SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |d| d.as_secs()),
            }),
            count: COUNT.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(5, '-');
        let count = parts.next()?.parse().ok()?;
        let start = parts.next()?.parse().ok()?;
        let pid = parts.next()?.parse().ok()?;
        let token = u64::from_str_radix(parts.next()?, 16).ok()?;
        let host = parts.next()?.to_owned();
        let id = Self {
            host,
            token,
            pid,
            start,
            count,
        };
        // files are found again by their names, so there is one way to write them
        (clean_host(&id.host) == id.host && id.to_string() == text).then_some(id)
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process lives, as far as it can be seen from here. A zombie
    /// is gone.
    pub(crate) fn liveness(&self) -> Liveness {
        if host_token() != Some(self.token) {
            return Liveness::Unknown;
        }
        match process(self.pid) {
            Process::Running { start } if start == self.start => Liveness::Alive,
            Process::Running { .. } | Process::Ended => Liveness::Gone,
            Process::Unknown => Liveness::Unknown,
        }
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{:016x}-{}-{}-{}",
            self.host, self.token, self.pid, self.start, self.count
        )
    }
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| fs::read_to_string("/etc/hostname"))
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    clean_host(name.trim())
}

/// Letters, digits and `-`, cut to a length.
fn clean_host(name: &str) -> String {
    if name.is_empty() {
        return "host".to_owned();
    }
    let clean = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.chars().take(HOST_LENGTH).map(clean).collect()
}

/// What all processes have in common that can see each other: the boot and the
/// space of process numbers. `None` where there is no `/proc`.
fn host_token() -> Option<u64> {
    static TOKEN: OnceLock<Option<u64>> = OnceLock::new();
    *TOKEN.get_or_init(|| {
        let boot = fs::read("/proc/sys/kernel/random/boot_id").ok()?;
        let space = fs::read_link("/proc/self/ns/pid").ok()?;
        // copies of a virtual machine may share the boot, seldom the name
        let (space, host) = (space.as_os_str().as_encoded_bytes(), host_name());
        Some(fnv1a(&[&boot, space, host.as_bytes()].concat()))
    })
}

enum Process {
    Running { start: u64 },
    Ended,
    Unknown,
}

fn process(pid: u32) -> Process {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(text) => parse_stat(&text),
        // where other users' processes are hidden, the first one is, too, and a
        // process that is not seen may well run
        Err(e) if is_gone(&e) && Path::new("/proc/1/stat").exists() => Process::Ended,
        Err(_) => Process::Unknown,
    }
}

/// State and start (fields 3 and 22) of `/proc/<pid>/stat`; field 2, the name
/// in parentheses, may hold anything.
fn parse_stat(text: &[u8]) -> Process {
    let text = String::from_utf8_lossy(text);
    let Some((_, text)) = text.rsplit_once(')') else {
        return Process::Unknown;
    };
    let mut fields = text.split_ascii_whitespace();
    let state = fields.next();
    if matches!(state, Some("Z" | "X" | "x")) {
        return Process::Ended;
    }
    match fields.nth(18).and_then(|f| f.parse().ok()) {
        Some(start) => Process::Running { start },
        None => Process::Unknown,
    }
}

/// Whether an error says that a file is not there (any more).
pub(crate) fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{NotFound, StaleNetworkFileHandle};
    matches!(error.kind(), NotFound | StaleNetworkFileHandle)
}

/// Locks; a thread that panicked with the lock leaves nothing half done here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the file server stamp a file (just opened to write, content starting
/// with `{`) with its time, and gives that time.
///
/// Setting the length to what it is makes the file's server take its own clock
/// (POSIX asks for a new time, NFS sends no time along) and needs no space on
/// the disk; `File::set_modified` would send this machine's time.
pub(crate) fn touch(mut file: &File) -> io::Result<SystemTime> {
    let before = file.metadata()?;
    file.set_len(before.len())?;
    let after = file.metadata()?.modified()?;
    if after != before.modified()? {
        return Ok(after);
    }
    // a file system that does not care, or a second time within its tick
    let _ = file.write_all(b"{");
    file.metadata()?.modified()
}

/// The clock of the file server behind a folder, read off a file in it.
#[derive(Debug)]
pub(crate) struct ServerClock {
    probe: PathBuf,
    last: Mutex<Option<(SystemTime, Instant)>>,
}

impl ServerClock {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            probe: folder.join(".clock"),
            last: Mutex::new(None),
        }
    }

    pub(crate) fn measure(&self) -> io::Result<()> {
        let file = regular::edit_or_create(&self.probe, OpenOptions::new().write(true))?;
        let time = touch(&file)?;
        // after the fact: the time is late rather than early, and ages are
        // small rather than large
        *lock(&self.last) = Some((time, Instant::now()));
        Ok(())
    }

    /// How old a file is; this machine's clock has to do if the server's was
    /// never seen (a folder that can only be read).
    pub(crate) fn age(&self, modified: SystemTime) -> Duration {
        self.now().duration_since(modified).unwrap_or_default()
    }

    /// Whether a file's time is one that the server's clock has not come to: it
    /// says nothing about when the file was last written.
    pub(crate) fn is_ahead(&self, modified: SystemTime) -> bool {
        modified > self.now() + AHEAD
    }

    /// As [`ServerClock::age`], and without end if the time lies ahead.
    pub(crate) fn age_of_sign(&self, modified: SystemTime) -> Duration {
        match self.is_ahead(modified) {
            true => Duration::MAX,
            false => self.age(modified),
        }
    }

    fn now(&self) -> SystemTime {
        let is_due = lock(&self.last).is_none_or(|(_, at)| at.elapsed() > MEASURE_EVERY);
        if is_due {
            // the last one will do
            let _ = self.measure();
        }
        match *lock(&self.last) {
            Some((time, at)) => time + at.elapsed(),
            None => SystemTime::now(),
        }
    }
}

#[cfg(test)]
impl WorkerId {
    /// As this one, on another host.
    pub(crate) fn elsewhere(mut self) -> Self {
        self.host = "else-where".to_owned();
        self.token ^= 1;
        self
    }

    /// As this one, of another process of this host.
    pub(crate) fn with_process(mut self, pid: u32) -> Self {
        self.pid = pid;
        if let Process::Running { start } = process(pid) {
            self.start = start;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_name_is_read_back_and_others_are_not() {
        let id = WorkerId::unique();
        assert_ne!(id, WorkerId::unique());
        let text = id.to_string();
        assert!(text.len() <= 103);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        assert_eq!(WorkerId::parse(&text), Some(id.clone()));
        let odd = id.elsewhere();
        assert_eq!(WorkerId::parse(&odd.to_string()), Some(odd));
        let long = "a".repeat(40) + &text;
        let other = [format!("{text}x"), format!("ä{text}"), long];
        for bad in other
            .iter()
            .map(String::as_str)
            .chain(["", "-", "a-b-c-d-e"])
        {
            assert_eq!(WorkerId::parse(bad), None, "{bad}");
        }
        assert_eq!(clean_host("a.b_ä"), "a-b--");
        assert_eq!(clean_host(""), "host");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_lives_until_it_is_killed_even_if_nobody_waits_for_it() {
        let me = WorkerId::unique();
        assert_eq!(me.liveness(), Liveness::Alive);
        assert_eq!(me.clone().elsewhere().liveness(), Liveness::Unknown);
        let mut command = Command::new("sleep");
        let mut child = command.arg("600").stdout(Stdio::null()).spawn().unwrap();
        let id = me.with_process(child.id());
        assert_eq!(id.liveness(), Liveness::Alive);
        let mut reused = id.clone();
        reused.start += 1;
        assert_eq!(reused.liveness(), Liveness::Gone);
        child.kill().unwrap();
        // a zombie, as soon as the signal has arrived
        let end = Instant::now() + Duration::from_secs(20);
        while id.liveness() != Liveness::Gone {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(5));
        }
        child.wait().unwrap();
        assert_eq!(id.liveness(), Liveness::Gone);
    }

    #[test]
    fn a_program_may_have_any_name() {
        let tail = "S 1 ".to_owned() + &"0 ".repeat(17) + "4711 9";
        let text = [b"7 (a) R \xff(b) ".as_slice(), tail.as_bytes()].concat();
        let running = parse_stat(&text);
        assert!(matches!(running, Process::Running { start: 4711 }));
        assert!(matches!(parse_stat(b"7 (a) Z 1"), Process::Ended));
        assert!(matches!(parse_stat(b"7 (a) S 1"), Process::Unknown));
        assert!(matches!(parse_stat(b""), Process::Unknown));
    }

    #[test]
    fn touching_sets_the_time_and_keeps_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let day = Duration::from_secs(86_400);
        for content in ["", "{\"a\": 1}"] {
            fs::write(&path, content).unwrap();
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - day).unwrap();
            let time = touch(&file).unwrap();
            assert!(time.elapsed().unwrap_or_default() < Duration::from_secs(60));
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn ages_are_by_the_clock_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ServerClock::new(folder.path());
        clock.measure().unwrap();
        let day = Duration::from_secs(86_400);
        // a server that is a day ahead
        lock(&clock.last).as_mut().unwrap().0 += day;
        assert!(clock.age(SystemTime::now()) > day / 2);
        let none = ServerClock::new(&folder.path().join("not there"));
        assert!(none.age(SystemTime::now() - day) >= day);
    }
}
