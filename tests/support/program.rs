//! The program as a user runs it: to its end, killed, or told to stop; what it printed.

use serde_json::Value;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What takes longer than this hangs, also on a slow machine.
const LIMIT: Duration = Duration::from_secs(120);

/// How the program ended.
#[derive(Clone, Debug)]
pub struct Done {
    pub exit: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        let done = Self {
            exit: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(!done.stdout.contains("panicked"), "{done:?}");
        assert!(!done.stderr.contains("panicked"), "{done:?}");
        done
    }

    /// The same, after a check of the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.exit, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The same, after a check that it did not end well.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert_ne!(self.exit, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The same, after a check that stdout has all of these.
    #[track_caller]
    pub fn says<P: AsRef<str>>(self, parts: impl IntoIterator<Item = P>) -> Self {
        contains(&self.stdout, parts);
        self
    }

    /// The same, after a check of how stdout begins.
    #[track_caller]
    pub fn begins(self, start: &str) -> Self {
        let is_so = self.stdout.starts_with(start);
        assert!(is_so, "not {start} at the start of {}", self.stdout);
        self
    }

    /// The same, after a check that stderr has all of these.
    #[track_caller]
    pub fn warns<P: AsRef<str>>(self, parts: impl IntoIterator<Item = P>) -> Self {
        contains(&self.stderr, parts);
        self
    }

    /// The same, after a check that stderr has nothing of it.
    #[track_caller]
    pub fn warns_not(self, part: &str) -> Self {
        assert!(!self.stderr.contains(part), "{part} in {}", self.stderr);
        self
    }

    /// What was printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// Holds a text to have all of these.
#[track_caller]
pub fn contains<P: AsRef<str>>(text: &str, parts: impl IntoIterator<Item = P>) {
    for part in parts {
        let part = part.as_ref();
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The program at work; a test that fails leaves none behind.
pub struct Running(Option<Child>);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(command.spawn().unwrap()))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    pub fn id(&mut self) -> u32 {
        self.child().id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child().try_wait().unwrap().is_some()
    }

    /// How it ended.
    #[track_caller]
    pub fn end(mut self) -> Done {
        let started = Instant::now();
        while !self.has_ended() {
            if started.elapsed() > LIMIT {
                self.child().kill().unwrap();
                let output = self.0.take().unwrap().wait_with_output();
                panic!("it hangs: {output:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Done::of(self.0.take().unwrap().wait_with_output().unwrap())
    }

    /// SIGKILL.
    pub fn kill(self) {
        drop(self);
    }

    /// `-INT` or `-TERM`; it may have ended just now.
    #[cfg(unix)]
    pub fn signal(&mut self, name: &str) {
        let arguments = [name, &self.id().to_string()];
        Command::new("kill").args(arguments).status().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // it may have ended just now
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
