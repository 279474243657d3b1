//! Status for people, on stderr: bars on a terminal, timed lines elsewhere.

use crate::files::{lock, terminal};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Most stacks that have a line of their own.
const LINES: usize = 16;

/// Status of a run: one bar for the whole and one line an active stack.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    bars: Option<(MultiProgress, ProgressBar)>,
    state: Mutex<ProgressState>,
    quiet: bool,
}

#[derive(Debug)]
struct ProgressState {
    total: u64,
    done: u64,
    last_line: Instant,
    stacks: BTreeMap<String, (Option<ProgressBar>, String)>,
}

impl Progress {
    /// Status of `total` members, of which `done` are there already.
    #[must_use]
    pub(crate) fn new(total: u64, done: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bars = terminal.then(|| {
            let bars = MultiProgress::new();
            let bar = bars.add(ProgressBar::new(total));
            if let Ok(style) = ProgressStyle::with_template(
                "{spinner} training [{bar:32}] {pos}/{len} members, {msg}{elapsed}, {eta} left",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_position(done);
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(250));
            (bars, bar)
        });
        let now = Instant::now();
        Self {
            started: now,
            bars,
            state: Mutex::new(ProgressState {
                total,
                done,
                last_line: now,
                stacks: BTreeMap::new(),
            }),
            quiet,
        }
    }

    /// Status in lines alone.
    #[must_use]
    pub(crate) fn lines(quiet: bool) -> Self {
        Self::new(0, 0, true).loud(quiet)
    }

    fn loud(mut self, quiet: bool) -> Self {
        self.quiet = quiet;
        self
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
        match &self.bars {
            Some((bars, _)) => bars.suspend(|| terminal::say(text)),
            None => terminal::say(&format!("[{:7.1} s] {text}", self.seconds())),
        }
    }

    /// So many members are finished; `rate`: what the whole does, in words.
    pub(crate) fn set(&self, done: u64, rate: &str) {
        let mut state = lock(&self.state);
        state.done = done;
        if let Some((_, bar)) = &self.bars {
            if bar.position() != done {
                bar.set_position(done);
            }
            bar.set_message(format!("{}, ", terminal::escape_line(rate)));
            return;
        }
        if state.last_line.elapsed() < LINE_EVERY {
            return;
        }
        state.last_line = Instant::now();
        let lines: Vec<String> = state
            .stacks
            .iter()
            .take(LINES)
            .map(|(name, (_, text))| format!("  {name}: {text}"))
            .collect();
        let head = format!("{done}/{} members, {rate}", state.total);
        drop(state);
        self.say(&head);
        lines.iter().for_each(|text| self.say(text));
    }

    /// What a stack does; nothing when it is over.
    pub(crate) fn stack(&self, name: &str, text: Option<String>) {
        let mut state = lock(&self.state);
        let name = &*terminal::escape_line(name);
        let Some(text) = text.map(|t| terminal::escape_line(&t).into_owned()) else {
            if let Some((Some(bar), _)) = state.stacks.remove(name) {
                bar.finish_and_clear();
            }
            return;
        };
        let room = state.stacks.len() < LINES;
        let (bar, last) = state.stacks.entry(name.to_owned()).or_insert_with(|| {
            let bar = self.bars.as_ref().filter(|_| room).map(|(bars, _)| {
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

    /// Takes the bars away.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        for (bar, _) in std::mem::take(&mut state.stacks).into_values() {
            bar.inspect(ProgressBar::finish_and_clear);
        }
        if let Some((_, bar)) = &self.bars {
            bar.finish_and_clear();
        }
    }

    /// Seconds since the start.
    #[must_use]
    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}
