//! Draws what long work reports: a bar with rate and time left on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const EVERY: Duration = Duration::from_secs(5);

/// One bar that changes its stage as work goes on. Cheap to call from many threads.
pub struct Bar {
    quiet: bool,
    terminal: bool,
    state: Mutex<State>,
}

struct State {
    stage: String,
    bar: Option<ProgressBar>,
    said: Instant,
    started: Instant,
}

impl Bar {
    /// `quiet` draws nothing (for `--json`, whose reader is a program).
    pub fn new(quiet: bool) -> Self {
        let now = Instant::now();
        Self {
            quiet,
            terminal: std::io::stderr().is_terminal(),
            state: Mutex::new(State {
                stage: String::new(),
                bar: None,
                said: now,
                started: now,
            }),
        }
    }

    /// Shows `done` of `total` units of `stage`, with a note such as the loss.
    pub fn show(&self, stage: &str, done: u64, total: u64, note: &str) {
        if self.quiet {
            return;
        }
        let mut state = match self.state.lock() {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        };
        if state.stage != stage {
            if let Some(bar) = state.bar.take() {
                bar.finish();
            }
            state.stage = stage.to_owned();
            state.started = Instant::now();
            if self.terminal {
                let bar = ProgressBar::new(total);
                bar.set_style(style());
                bar.set_prefix(stage.to_owned());
                bar.enable_steady_tick(Duration::from_millis(200));
                state.bar = Some(bar);
            } else {
                eprintln!("{stage} …");
                state.said = Instant::now();
            }
        }
        if let Some(bar) = &state.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(note.to_owned());
        } else if !self.terminal && (state.said.elapsed() >= EVERY) {
            state.said = Instant::now();
            let left = time_left(state.started.elapsed(), done, total);
            let line = format!("{stage} {done}/{total}{left} {note}");
            eprintln!("{}", line.trim_end());
        }
    }

    /// Ends the current bar, leaving its last state on the screen.
    pub fn finish(&self) {
        let mut state = match self.state.lock() {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some(bar) = state.bar.take() {
            bar.finish();
        }
        state.stage.clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(
        "{prefix:>22} {wide_bar:.cyan/blue} {pos}/{len} {per_sec} {elapsed} left {eta} {msg}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// `, 12.5 a second, 80 s left`; nothing before the first unit and after the last one.
fn time_left(elapsed: Duration, done: u64, total: u64) -> String {
    let seconds = elapsed.as_secs_f64();
    if done == 0 || total <= done || seconds <= 0.0 {
        return String::new();
    }
    let rate = done as f64 / seconds;
    let left = (total - done) as f64 / rate;
    format!(", {rate:.1} a second, {left:.0} s left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_left_follow_from_what_was_done() {
        let said = time_left(Duration::from_secs(4), 50, 150);
        assert_eq!(said, ", 12.5 a second, 8 s left");
        assert_eq!(time_left(Duration::from_secs(4), 0, 150), "");
        assert_eq!(time_left(Duration::from_secs(4), 150, 150), "");
    }
}
