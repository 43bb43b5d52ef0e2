use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Says on standard error how far it is: a bar on a terminal, a line for each scenario elsewhere.
///
/// [`Default`] says nothing.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self { bar: ProgressBar::hidden(), lines: false }
    }
}

impl Progress {
    /// Over so many scenarios.
    pub fn over(scenarios: usize) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { lines: true, ..Self::default() };
        }
        let bar = ProgressBar::with_draw_target(Some(scenarios as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{elapsed_precise} [{bar:24}] {pos}/{len} {prefix}: {msg}");
        bar.set_style(style.expect("the template is right").progress_chars("=> "));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, lines: false }
    }

    /// A scenario begins.
    pub fn scenario(&self, id: &'static str) {
        self.bar.set_prefix(id);
        if self.lines {
            eprintln!("{id}");
        }
    }

    /// What is going on in it.
    pub fn doing(&self, what: impl Into<Cow<'static, str>>) {
        self.bar.set_message(what);
    }

    /// A result, on standard output, without tearing the bar.
    pub fn print(&self, text: &str) {
        self.bar.suspend(|| println!("{text}"));
    }

    /// A scenario is over.
    pub fn done(&self) {
        self.bar.inc(1);
    }

    /// Everything is over.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
