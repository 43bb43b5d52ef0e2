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

/// How many looks in a row find a session busy before what it does not need is given back all the same: 60, a minute. Source:
/// our choice; a burst's memory is held no longer, and allocating anew what is needed costs nothing at that rate.
const BUSY_LOOKS: u32 = 60;

/// Looks at what a session holds some time after its task ran, and for as long as that changes or the task runs often. An
/// idle session has no timer for it.
#[derive(Default)]
pub(super) struct HeldReport {
    told: usize,
    timer: Option<Sleep>,
    /// How many looks in a row found it busy.
    busy: u32,
}

/// What each run of the session's task notes for the next look, beside what it needs anyway.
#[derive(Default)]
pub(super) struct Runs {
    /// How many there were since the last look.
    count: u32,
    /// There will be one.
    is_wound: bool,
}

impl Runs {
    /// Called whenever the session's task runs. Whether the report is to be polled, as it has no timer yet.
    pub(super) fn note(&mut self) -> bool {
        self.count = self.count.saturating_add(1);
        !std::mem::replace(&mut self.is_wound, true)
    }
}

/// What a session was at since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// What it has allocated it will mostly use again at once.
    Busy,
    /// What it does not need is given back.
    Calm,
}

impl HeldReport {
    /// Looks when it is time to, and returns how many bytes the session holds if that is news. Called when the timer may
    /// have fired.
    pub(super) fn poll(
        &mut self,
        runs: &mut Runs,
        cx: &mut Context<'_>,
        look: impl FnOnce(Mood) -> usize,
    ) -> Option<usize> {
        if !runs.is_wound || Pin::new(self.timer.get_or_insert_with(|| sleep(EVERY))).poll(cx).is_pending() {
            return None;
        }
        let is_busy = std::mem::take(&mut runs.count) > BUSY;
        self.busy = if is_busy { self.busy + 1 } else { 0 };
        let mood = if is_busy && !self.busy.is_multiple_of(BUSY_LOOKS) { Mood::Busy } else { Mood::Calm };
        let held = look(mood);
        let is_news = std::mem::replace(&mut self.told, held) != held;
        self.timer = (is_news || is_busy).then(|| {
            let mut timer = sleep(EVERY);
            // Not ready yet: this leaves the waker.
            let _ = Pin::new(&mut timer).poll(cx);
            timer
        });
        runs.is_wound = self.timer.is_some();
        is_news.then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// What a look a second after so many runs is told, and what it tells of a session that holds `held`.
    async fn looked(
        (report, runs): &mut (HeldReport, Runs),
        times: u32,
        held: usize,
    ) -> (Option<Mood>, Option<usize>) {
        let cx = &mut Context::from_waker(Waker::noop());
        for _ in 0..times {
            runs.note();
        }
        let mut told = None;
        assert_eq!(report.poll(runs, cx, |_| unreachable!("it is too early")), None);
        tokio::time::advance(EVERY).await;
        let news = report.poll(runs, cx, |mood| {
            told = Some(mood);
            held
        });
        (told, news)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_told_as_long_as_it_changes_and_then_there_is_no_timer() {
        let mut report = Default::default();
        assert_eq!(looked(&mut report, 1, 7).await, (Some(Mood::Calm), Some(7)));
        assert_eq!(looked(&mut report, 0, 5).await, (Some(Mood::Calm), Some(5)));
        assert_eq!(looked(&mut report, 0, 5).await, (Some(Mood::Calm), None));
        assert_eq!(looked(&mut report, 0, 9).await, (None, None), "nothing ran since");
        assert!(report.0.timer.is_none());
        assert!(report.1.note(), "the next run winds it up again");
    }

    /// Queues of a session with 30 items in a second were cut to what was in them after each second, and grew again.
    #[tokio::test(start_paused = true)]
    async fn a_session_that_runs_often_keeps_its_room_until_it_has_calmed_down() {
        let mut report = Default::default();
        assert_eq!(looked(&mut report, BUSY + 1, 0).await, (Some(Mood::Busy), None));
        assert_eq!(looked(&mut report, BUSY + 1, 0).await, (Some(Mood::Busy), None));
        assert_eq!(looked(&mut report, BUSY, 0).await, (Some(Mood::Calm), None));
        assert_eq!(looked(&mut report, 0, 0).await, (None, None));
    }

    /// What a burst had needed stayed for as long as the session ran often.
    #[tokio::test(start_paused = true)]
    async fn a_session_that_is_always_busy_gives_back_once_a_minute_what_it_does_not_need() {
        let mut report = Default::default();
        for _ in 0..3 {
            for _ in 1..BUSY_LOOKS {
                assert_eq!(looked(&mut report, BUSY + 1, 0).await, (Some(Mood::Busy), None));
            }
            assert_eq!(looked(&mut report, BUSY + 1, 0).await, (Some(Mood::Calm), None));
        }
    }
}
