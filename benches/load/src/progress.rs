//! How far a run is: a bar for people, lines for files.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

/// One step of a scene. Says on standard error how far it is; standard output is for results.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Without a terminal: what is being done, and when that was said last.
    lines: Option<(String, Instant)>,
}

impl Progress {
    pub(crate) fn new(what: impl Into<String>, whole: u64) -> Self {
        let what = what.into();
        if !std::io::stderr().is_terminal() {
            eprintln!("{what}");
            let bar = ProgressBar::with_draw_target(Some(whole), ProgressDrawTarget::hidden());
            return Self { bar, lines: Some((what, Instant::now())) };
        }
        let bar = ProgressBar::new(whole).with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{msg:<44} [{bar:30}] {pos}/{len} {elapsed}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, lines: None }
    }

    pub(crate) fn at(&mut self, done: u64) {
        self.bar.set_position(done);
        let Some((what, said)) = &mut self.lines else { return };
        if said.elapsed() >= LINE {
            *said = Instant::now();
            eprintln!("{what}: {done} of {}", self.bar.length().unwrap_or(0));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
