//! Status for people, on stderr: a bar on a terminal, timed lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Status of a run.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    bar: Option<ProgressBar>,
    total: u64,
    done: AtomicU64,
    rows: AtomicU64,
    last_line: Mutex<Instant>,
    quiet: bool,
}

impl Progress {
    /// Status of `total` members, of which `done` are there already.
    #[must_use]
    pub fn new(total: u64, done: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = terminal.then(|| {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template(
                "{spinner} training [{bar:32}] {pos}/{len} members, {msg}, {elapsed}, {eta} left",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_position(done);
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        let now = Instant::now();
        Self {
            started: now,
            bar,
            total,
            done: AtomicU64::new(done),
            rows: AtomicU64::new(0),
            last_line: Mutex::new(now),
            quiet,
        }
    }

    /// Says a line.
    pub fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| line(text)),
            None => line(&format!("[{:7.1} s] {text}", self.seconds())),
        }
    }

    /// So many rows were trained on.
    pub fn trained(&self, rows: u64) {
        let rows = self.rows.fetch_add(rows, Ordering::Relaxed) + rows;
        let rate = rows as f64 / self.seconds().max(1e-3) * 1e-6;
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{rate:.2} M events/s"));
            return;
        }
        let mut last = self
            .last_line
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            let done = self.done.load(Ordering::Relaxed);
            self.say(&format!(
                "{done}/{} members, {rate:.2} M member-events/s",
                self.total
            ));
        }
    }

    /// One more member is finished.
    pub fn finished(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Takes the bar away.
    pub fn close(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Seconds since the start.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

fn line(text: &str) {
    // a closed stderr does not stop the run
    let _ = writeln!(std::io::stderr(), "{text}");
}
