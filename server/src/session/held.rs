use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use bowline_runtime::{Sleep, sleep};

/// How often a session that moves is looked at. Source: our choice; counting costs a look at every call, and within this
/// time a session comes to hold no more than its own bounds allow.
const EVERY: Duration = Duration::from_secs(1);

/// How often a session's task runs between two looks that is busy. Source: our choice; a queue that grows from nothing has
/// what it needs by then.
const BUSY: u32 = 16;

/// Looks at what a session holds some time after its task ran, and for as long as that changes or the task runs often. An
/// idle session has no timer for it.
#[derive(Default)]
pub(super) struct HeldReport {
    told: usize,
    timer: Option<Sleep>,
    /// How often the task ran since the last look.
    runs: u32,
}

/// What a session was at since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// What it has allocated it will use again at once.
    Busy,
    /// What it does not need is given back.
    Calm,
}

impl HeldReport {
    /// Called whenever the session's task runs. Whether there is a timer now that was not there before, to be polled.
    pub(super) fn wind(&mut self) -> bool {
        self.runs = self.runs.saturating_add(1);
        let is_idle = self.timer.is_none();
        if is_idle {
            self.timer = Some(sleep(EVERY));
        }
        is_idle
    }

    /// Looks when it is time to, and returns how many bytes the session holds if that is news. Called when the timer may
    /// have fired.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, look: impl FnOnce(Mood) -> usize) -> Option<usize> {
        if self.timer.as_mut().is_none_or(|timer| Pin::new(timer).poll(cx).is_pending()) {
            return None;
        }
        let mood = if std::mem::take(&mut self.runs) > BUSY { Mood::Busy } else { Mood::Calm };
        let held = look(mood);
        let is_news = std::mem::replace(&mut self.told, held) != held;
        self.timer = (is_news || mood == Mood::Busy).then(|| {
            let mut timer = sleep(EVERY);
            // Not ready yet: this leaves the waker.
            let _ = Pin::new(&mut timer).poll(cx);
            timer
        });
        is_news.then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// What a look a second after so many runs is told, and what it tells of a session that holds `held`.
    async fn looked(report: &mut HeldReport, runs: u32, held: usize) -> (Option<Mood>, Option<usize>) {
        let cx = &mut Context::from_waker(Waker::noop());
        for _ in 0..runs {
            report.wind();
        }
        let mut told = None;
        assert_eq!(report.poll(cx, |_| unreachable!("it is too early")), None);
        tokio::time::advance(EVERY).await;
        let news = report.poll(cx, |mood| {
            told = Some(mood);
            held
        });
        (told, news)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_told_as_long_as_it_changes_and_then_there_is_no_timer() {
        let mut report = HeldReport::default();
        assert_eq!(looked(&mut report, 1, 7).await, (Some(Mood::Calm), Some(7)));
        assert_eq!(looked(&mut report, 0, 5).await, (Some(Mood::Calm), Some(5)));
        assert_eq!(looked(&mut report, 0, 5).await, (Some(Mood::Calm), None));
        assert_eq!(looked(&mut report, 0, 9).await, (None, None), "nothing ran since");
        assert!(report.wind(), "the next run winds it up again");
    }

    /// Queues of a session with 30 items in a second were cut to what was in them after each second, and grew again.
    #[tokio::test(start_paused = true)]
    async fn a_session_that_runs_often_keeps_its_room_until_it_has_calmed_down() {
        let mut report = HeldReport::default();
        assert_eq!(looked(&mut report, BUSY + 1, 0).await, (Some(Mood::Busy), None));
        assert_eq!(looked(&mut report, BUSY + 1, 0).await, (Some(Mood::Busy), None));
        assert_eq!(looked(&mut report, BUSY, 0).await, (Some(Mood::Calm), None));
        assert_eq!(looked(&mut report, 0, 0).await, (None, None));
    }
}
