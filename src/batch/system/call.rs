//! Commands of batch systems, and what may be said to them.

use super::no_answer;
use crate::error::{Error, Result};
use crate::files::terminal;
use crate::training::Interrupt;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A path as text, if every batch system can take it.
pub(in super::super) fn path_text(path: &Path) -> Result<&str> {
    let refuse = |reason| {
        Err(Error::config(format!(
            "{path:?} {reason}; move the run to another folder"
        )))
    };
    match path.to_str() {
        None => refuse("is not UTF-8, which job scripts cannot say"),
        Some(text) if text.contains(|c: char| c.is_control() || c == '\\') => {
            refuse("has a control character or a backslash, which batch systems read as more")
        }
        Some(_) if !path.is_absolute() => refuse("is not absolute"),
        Some(text) => Ok(text),
    }
}

/// What a command said.
#[derive(Clone, Debug)]
pub(in super::super) struct Said {
    pub(in super::super) ok: bool,
    pub(in super::super) out: String,
    pub(in super::super) err: String,
}

impl Said {
    /// The message for people: standard error, or what there is.
    pub(in super::super) fn reason(&self) -> String {
        let text = [&self.err, &self.out]
            .into_iter()
            .map(|t| t.trim())
            .find(|t| !t.is_empty())
            .unwrap_or("it failed without a message");
        text.chars().take(1000).collect()
    }
}

/// How long an answered interruption still waits for a submission.
const GRACE: Duration = Duration::from_secs(5);

/// How long a command is waited for.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Patience<'a> {
    limit: Duration,
    /// After somebody asked to stop.
    grace: Duration,
    interrupt: &'a Interrupt,
}

impl<'a> Patience<'a> {
    /// For a command that only asks: it is left at once when somebody asks to stop.
    pub(in super::super) fn ask(limit: Duration, interrupt: &'a Interrupt) -> Self {
        Self {
            limit,
            grace: Duration::ZERO,
            interrupt,
        }
    }

    /// For a command that submits, which may be at the point of being accepted.
    pub(in super::super) fn submit(limit: Duration, interrupt: &'a Interrupt) -> Self {
        Self {
            grace: GRACE,
            ..Self::ask(limit, interrupt)
        }
    }
}

/// Ends a command and all that it started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Ok(group) = i32::try_from(child.id()) {
        use nix::sys::signal::{Signal, killpg};
        // it may have ended by itself in this instant
        let _ = killpg(nix::unistd::Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Runs a command of a batch system to its end, for so long, or until somebody asks
/// to stop, in English. It has a process group of its own: a Ctrl-C is for this
/// program to take, and nothing that the command started stays behind.
///
/// # Errors
/// There is no such command; `Kind::NoAnswer` if it took too long, was left or was
/// killed; a failure is for the caller to read.
pub(in super::super) fn call(command: &mut Command, patience: Patience<'_>) -> Result<Said> {
    let name = command.get_program().to_string_lossy().into_owned();
    let no_answer = |reason: String| no_answer(&name, reason);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Error::internal(format!(
                "cannot start {name}: {source}; run this on a machine that can submit jobs"
            )),
            _ => no_answer(source.to_string()),
        })?;
    let out = reader(child.stdout.take());
    let err = reader(child.stderr.take());
    let mut last = Instant::now() + patience.limit;
    let mut asked = false;
    let mut nap = Duration::from_millis(2);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Err(e) => return Err(no_answer(e.to_string())),
            Ok(None) => {}
        }
        if patience.interrupt.is_raised() && !asked {
            asked = true;
            last = last.min(Instant::now() + patience.grace);
            if patience.grace > Duration::ZERO {
                terminal::say(&format!(
                    "waiting up to {} s for {name}, which may be taking the job at this moment",
                    patience.grace.as_secs()
                ));
            }
        }
        if Instant::now() >= last {
            end(&mut child);
            return Err(no_answer(if asked {
                "was left, as somebody asked to stop".to_owned()
            } else {
                format!("no answer in {} s", patience.limit.as_secs())
            }));
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(100));
    };
    // a grandchild may hold the pipes open: what came so far is what counts
    let text = |from: mpsc::Receiver<Vec<u8>>| {
        let bytes = from
            .recv_timeout(Duration::from_secs(5))
            .unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let said = Said {
        ok: status.success(),
        out: text(out),
        err: text(err),
    };
    if status.code().is_none() {
        return Err(no_answer(format!("{status}; {}", said.reason())));
    }
    Ok(said)
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    if let Some(mut pipe) = pipe {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // what was read before an error is still of use
            let _ = pipe.read_to_end(&mut bytes);
            let _ = send.send(bytes);
        });
    }
    receive
}
