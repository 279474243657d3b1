//! Commands of batch systems, and what may be said to them.

use super::{BatchJob, BatchSystem};
use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::files::{atomic, terminal};
use crate::settings::{ExecutorConfig, ExecutorKind, check_line};
use crate::training::Interrupt;
use std::fmt::Display;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longest wait for a command that submits, which may repeat by itself while a controller is
/// busy.
const SUBMIT: Duration = Duration::from_secs(180);
/// How long an answered interruption still waits for a submission, which may be at the point
/// of being accepted.
const GRACE: Duration = Duration::from_secs(5);

/// A batch system, by its commands.
#[derive(Clone, Debug)]
pub(super) struct Cluster<S> {
    pub settings: S,
    /// Raised by who asks to stop.
    pub interrupt: Interrupt,
}

/// The batch system that a configuration names; none where this process trains itself. Its
/// commands are left when somebody asks to stop.
pub(crate) fn batch_system(
    config: &ExecutorConfig,
    interrupt: &Interrupt,
) -> Option<Box<dyn BatchSystem>> {
    match config.kind {
        ExecutorKind::Local => None,
        ExecutorKind::Slurm => Some(Box::new(Cluster {
            settings: config.slurm.clone(),
            interrupt: interrupt.clone(),
        })),
        ExecutorKind::Htcondor => Some(Box::new(Cluster {
            settings: config.htcondor.clone(),
            interrupt: interrupt.clone(),
        })),
    }
}

impl<S> Cluster<S> {
    /// Runs a command that only asks: it is left at once when somebody asks to stop.
    pub(super) fn ask(&self, limit: Duration, command: &mut Command) -> Result<Said> {
        call(command, limit, Duration::ZERO, &self.interrupt)
    }

    /// Runs a command that submits; the number of the job, which `id` finds in what it says.
    /// `may_pass`: what it says where the job may or may not have been accepted.
    pub(super) fn submit_by(
        &self,
        command: &mut Command,
        job: &BatchJob<'_>,
        may_pass: &[&str],
        id: impl Fn(&str) -> Option<String>,
    ) -> Result<String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let command = command.current_dir(job.folder);
        let said = call(command, SUBMIT, GRACE, &self.interrupt)?;
        if let Some(id) = id(&said.out).filter(|_| said.ok) {
            return Ok(id);
        }
        let may_pass = said.ok || may_pass.iter().any(|text| said.err.contains(text));
        Err(if may_pass {
            no_answer(&name, said.reason())
        } else {
            refused(&name, said.reason())
        })
    }
}

/// The batch system does not answer; it may later. What it said, or how long it was
/// waited for.
pub(super) fn no_answer(command: &str, reason: impl Display) -> Error {
    Error::new(Kind::NoAnswer, format!("{command}: {reason}"))
}

/// The batch system does not take the job.
pub(super) fn refused(command: &str, reason: impl Display) -> Error {
    let text = format!("{command} refused the job: {reason}");
    Error::new(Kind::Refused, text)
}

pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A path as text, if every batch system can take it.
pub(super) fn path_text(path: &Path) -> Result<&str> {
    let reason = match path.to_str() {
        None => "is not UTF-8, which job scripts cannot say",
        Some(text) if text.contains(|c: char| c.is_control() || c == '\\') => {
            "has a control character or a backslash, which batch systems read as more"
        }
        Some(_) if !path.is_absolute() => "is not absolute",
        Some(text) => return Ok(text),
    };
    let text = format!("{path:?} {reason}; move the run to another folder");
    Err(Error::config(text))
}

/// The arguments of a job, each as `quote` writes it behind a space.
pub(super) fn arguments(job: &BatchJob<'_>, quote: fn(&str) -> String) -> Result<String> {
    let mut text = String::new();
    for argument in job.arguments {
        check_line("arguments", argument)?;
        text.push(' ');
        text.push_str(&quote(argument));
    }
    Ok(text)
}

/// Writes what is submitted.
pub(super) fn write_script(path: &Path, lines: &[String]) -> Result<()> {
    let text = lines.join("\n") + "\n";
    let written = atomic::write(path, text.as_bytes());
    written.on(path).of(Kind::Internal)
}

/// What a command said.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The message for people: standard error, or what there is.
    pub(super) fn reason(&self) -> String {
        let texts = [&self.err, &self.out].map(|text| text.trim());
        let text = texts.into_iter().find(|text| !text.is_empty());
        let text = text.unwrap_or("it failed without a message");
        text.chars().take(1000).collect()
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
/// to stop and `grace` is over, in English. It has a process group of its own: a Ctrl-C is
/// for this program to take, and nothing that the command started stays behind.
///
/// # Errors
/// There is no such command; `Kind::NoAnswer` if it took too long, was left or was
/// killed; a failure is for the caller to read.
pub(super) fn call(
    command: &mut Command,
    limit: Duration,
    grace: Duration,
    interrupt: &Interrupt,
) -> Result<Said> {
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
    let mut last = Instant::now() + limit;
    let mut asked = false;
    let mut nap = Duration::from_millis(2);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Err(e) => return Err(no_answer(e.to_string())),
            Ok(None) => {}
        }
        if interrupt.is_raised() && !asked {
            asked = true;
            last = last.min(Instant::now() + grace);
            if grace > Duration::ZERO {
                terminal::say(&format!(
                    "waiting up to {} s for {name}, which may be taking the job at this moment",
                    grace.as_secs()
                ));
            }
        }
        if Instant::now() >= last {
            end(&mut child);
            return Err(no_answer(if asked {
                "was left, as somebody asked to stop".to_owned()
            } else {
                format!("no answer in {} s", limit.as_secs())
            }));
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(100));
    };
    // a grandchild may hold the pipes open: what came so far is what counts
    let text = |from: mpsc::Receiver<Vec<u8>>| {
        let bytes = from.recv_timeout(Duration::from_secs(5));
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    };
    let said = Said {
        ok: status.success(),
        out: text(out),
        err: text(err),
    };
    match status.code() {
        Some(_) => Ok(said),
        None => Err(no_answer(format!("{status}; {}", said.reason()))),
    }
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
