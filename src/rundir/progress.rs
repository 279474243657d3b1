//! Status for people, on stderr: bars on a terminal, timed lines elsewhere.

use crate::error::counted;
use crate::files::{lock, terminal};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Time between two states of a bar.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// Most stacks that have a line of their own.
const LINES: usize = 16;
/// Rows of events between two states of a stage.
const ROWS: usize = 4096;

/// Status of a run: a line now and then, bars of what is under way, and in training one line
/// an active stack.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    /// On a terminal.
    bars: Option<MultiProgress>,
    training: Mutex<Training>,
    quiet: bool,
}

#[derive(Debug)]
struct Training {
    bar: Option<ProgressBar>,
    total: u64,
    last_line: Instant,
    stacks: BTreeMap<String, (Option<ProgressBar>, String)>,
}

impl Progress {
    /// Status on stderr, or none.
    #[must_use]
    pub(crate) fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let now = Instant::now();
        Self {
            started: now,
            bars: terminal.then(MultiProgress::new),
            training: Mutex::new(Training {
                bar: None,
                total: 0,
                last_line: now,
                stacks: BTreeMap::new(),
            }),
            quiet,
        }
    }

    /// Status of something that began earlier.
    #[must_use]
    pub(crate) fn since(mut self, started: Instant) -> Self {
        self.started = started;
        self
    }

    /// Says a line.
    pub(crate) fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        let line = format!("[{:7.1} s] {text}", self.seconds());
        match &self.bars {
            Some(bars) => bars.suspend(|| terminal::say(&line)),
            None => terminal::say(&line),
        }
    }

    fn bar(&self, total: u64, template: &str) -> Option<ProgressBar> {
        let bar = self.bars.as_ref()?.add(ProgressBar::new(total));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Some(bar)
    }

    /// Training of `total` members begins, of which `done` are there already.
    pub(crate) fn train(&self, total: u64, done: u64) {
        let template = "{spinner} training [{bar:32}] {pos}/{len}, {elapsed}, {msg}";
        let bar = self.bar(total, template);
        if let Some(bar) = &bar {
            bar.set_message("… left");
            bar.set_position(done);
        }
        let mut training = lock(&self.training);
        (training.bar, training.total) = (bar, total);
    }

    /// So many members are finished; `about`: what the whole does, and how long it will, in
    /// words.
    pub(crate) fn set(&self, done: u64, about: &str) {
        let mut training = lock(&self.training);
        if let Some(bar) = &training.bar {
            bar.set_position(done);
            bar.set_message(terminal::escape_line(about).into_owned());
            return;
        }
        if training.last_line.elapsed() < LINE_EVERY {
            return;
        }
        training.last_line = Instant::now();
        let lines: Vec<String> = training
            .stacks
            .iter()
            .take(LINES)
            .map(|(name, (_, text))| format!("  {name}: {text}"))
            .collect();
        let head = format!("{done}/{}, {about}", counted(training.total, "member"));
        drop(training);
        self.say(&head);
        lines.iter().for_each(|text| self.say(text));
    }

    /// What a stack does; nothing when it is over.
    pub(crate) fn stack(&self, name: &str, text: Option<String>) {
        let mut training = lock(&self.training);
        let name = &*terminal::escape_line(name);
        let Some(text) = text.map(|t| terminal::escape_line(&t).into_owned()) else {
            if let Some((Some(bar), _)) = training.stacks.remove(name) {
                bar.finish_and_clear();
            }
            return;
        };
        let room = training.stacks.len() < LINES;
        let (bar, last) = training.stacks.entry(name.to_owned()).or_insert_with(|| {
            let bar = self.bars.as_ref().filter(|_| room).map(|bars| {
                let bar = bars.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("  {prefix}: {wide_msg}") {
                    bar.set_style(style);
                }
                bar.set_prefix(name.to_owned());
                bar
            });
            (bar, String::new())
        });
        if let Some(bar) = bar {
            bar.set_message(text.clone());
        }
        *last = text;
    }

    /// Takes the bars of the training away.
    pub(crate) fn close(&self) {
        let mut training = lock(&self.training);
        for (bar, _) in std::mem::take(&mut training.stacks).into_values() {
            bar.inspect(ProgressBar::finish_and_clear);
        }
        if let Some(bar) = training.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Begins a part of the work, of so many steps; of none if nobody knows how many.
    pub(crate) fn stage(&self, name: &str, steps: u64) -> Stage<'_> {
        let template = match steps {
            0 => "{spinner} {prefix}, {elapsed}",
            _ => "{spinner} {prefix} [{bar:32}] {percent} %, {elapsed}, {msg} left",
        };
        let bar = self.bar(steps, template);
        if let Some(bar) = &bar {
            bar.set_prefix(terminal::escape_line(name).into_owned());
            bar.set_message("…");
        }
        let now = Instant::now();
        Stage {
            progress: self,
            name: name.to_owned(),
            steps,
            began: now,
            bar,
            state: Mutex::new((0, now)),
        }
    }

    /// Seconds since the start.
    #[must_use]
    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

/// A part of the work: a bar with the time that is left while it lasts, or a line now and
/// then. It is over when it is dropped.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    progress: &'a Progress,
    name: String,
    steps: u64,
    began: Instant,
    bar: Option<ProgressBar>,
    /// Steps that are done, and when that was said.
    state: Mutex<(u64, Instant)>,
}

impl Stage<'_> {
    /// More steps are done.
    pub(crate) fn add(&self, steps: u64) {
        let every = match &self.bar {
            Some(_) => DRAW_EVERY,
            None if self.progress.quiet => return,
            None => LINE_EVERY,
        };
        let mut state = lock(&self.state);
        state.0 += steps;
        if state.1.elapsed() < every {
            return;
        }
        state.1 = Instant::now();
        let done = state.0.min(self.steps);
        drop(state);
        let left = duration(left(self.began.elapsed(), done, self.steps));
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(left);
            }
            None => {
                let percent = 100 * done / self.steps.max(1);
                let name = &self.name;
                let text = format!("  {name}: {percent} %, about {left} left");
                self.progress.say(&text);
            }
        }
    }

    /// A row of events is done, where every row is a step.
    pub(crate) fn row(&self, number: usize) {
        if number % ROWS == ROWS - 1 {
            self.add(ROWS as u64);
        }
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Seconds until all steps are done, if they go on as they did.
fn left(elapsed: Duration, done: u64, steps: u64) -> f64 {
    let rest = steps.saturating_sub(done) as f64;
    elapsed.as_secs_f64() * rest / done.max(1) as f64
}

/// Seconds for people.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round().clamp(0.0, 1e9) as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_is_left_follows_what_is_done() {
        let elapsed = Duration::from_secs(30);
        for (done, steps, expected) in [(1, 4, "1 min 30 s"), (3, 4, "10 s"), (4, 4, "0 s")] {
            assert_eq!(duration(left(elapsed, done, steps)), expected);
        }
        assert_eq!(
            duration(left(Duration::from_secs(3600), 1, 3)),
            "2 h 00 min"
        );
    }
}
