use std::time::Duration;

use super::caller::Class;
use crate::envelope::Credit;
use crate::limits::Limits;

/// What an item costs beside its bytes.
pub(super) const ITEM_COST: u64 = 64;

/// How long a writer may not hear that its items were taken, unless more was taken: at first, and where it waits for that.
const PATIENCE: Duration = Duration::from_millis(20);
/// The same where it never does: then it goes with an acknowledgement, which waits as long. Source: our choice.
const PATIENCE_MAX: Duration = Duration::from_millis(1280);

/// What the other end allows, as an absolute total, and how much of it is used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Allowance {
    pub(super) used: u64,
    pub(super) total: u64,
}

impl Allowance {
    pub(super) fn new(total: u64) -> Self {
        Self { used: 0, total }
    }

    pub(super) fn left(&self) -> u64 {
        self.total.saturating_sub(self.used)
    }

    /// A lower total than known says nothing new.
    pub(super) fn raise(&mut self, total: u64) {
        self.total = self.total.max(total);
    }
}

/// What this end allows the other: `limit` at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grant {
    used: u64,
    returned: u64,
    limit: u64,
    announced: u64,
}

/// The other end used more than it was allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overrun;

impl Grant {
    pub(super) fn new(limit: u64) -> Self {
        Self { used: 0, returned: 0, limit, announced: limit }
    }

    pub(super) fn take(&mut self, amount: u64) -> Result<(), Overrun> {
        match self.used.checked_add(amount) {
            Some(used) if used <= self.announced => {
                self.used = used;
                Ok(())
            }
            _ => Err(Overrun),
        }
    }

    pub(super) fn give_back(&mut self, amount: u64) {
        self.returned += amount;
    }

    /// The total to announce: if it is news, or if one was announced before and is to be said again.
    fn announce(&mut self, restates: bool) -> Option<u64> {
        let total = self.returned + self.limit;
        let is_said = total > self.announced || restates && self.announced > self.limit;
        self.announced = total;
        is_said.then_some(total)
    }
}

/// Everything that this end allows the other.
// In this order: whether there is news is asked for at each message, as is what follows in the session.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Granted {
    calls: Grant,
    streams: Grant,
    /// Bytes of large payloads that may begin.
    assembly: Grant,
    /// One of them may have something to announce.
    pub(super) has_news: bool,
    /// What was announced before is to be said again.
    restates: bool,
}

impl Granted {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            has_news: false,
            restates: false,
            calls: Grant::new(limits.calls.into()),
            streams: Grant::new(limits.streams.into()),
            assembly: Grant::new(limits.assembly.max(limits.payload_in) as u64),
        }
    }

    fn of(&mut self, class: Class) -> &mut Grant {
        match class {
            Class::Call => &mut self.calls,
            Class::Stream => &mut self.streams,
        }
    }

    /// The other end opened one of these.
    pub(super) fn take(&mut self, class: Class) -> Result<(), Overrun> {
        self.of(class).take(1)
    }

    pub(super) fn take_assembly(&mut self, bytes: u64) -> Result<(), Overrun> {
        self.assembly.take(bytes)
    }

    /// One of these is over.
    pub(super) fn give_back(&mut self, class: Class) {
        self.has_news = true;
        self.of(class).give_back(1);
    }

    pub(super) fn give_back_assembly(&mut self, bytes: u64) {
        if bytes > 0 {
            self.has_news = true;
            self.assembly.give_back(bytes);
        }
    }

    /// Another link begins: what was announced on the last one may not have arrived.
    pub(super) fn restate(&mut self) {
        (self.has_news, self.restates) = (true, true);
    }

    /// What is news of each.
    #[inline]
    pub(super) fn announce(&mut self) -> Option<[Option<Credit>; 3]> {
        std::mem::take(&mut self.has_news).then(|| {
            let restates = std::mem::take(&mut self.restates);
            [
                self.calls.announce(restates).map(|total| Credit::Calls { total }),
                self.streams.announce(restates).map(|total| Credit::Streams { total }),
                self.assembly.announce(restates).map(|total| Credit::Assembly { total }),
            ]
        })
    }
}

/// The writer's half of the credit of one stream and direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct SendWindow {
    written: u64,
    taken: u64,
    total: u64,
}

impl SendWindow {
    pub(super) fn new(window: u64) -> Self {
        Self { written: 0, taken: 0, total: window }
    }

    /// Whether an item of this cost may be written now.
    pub(super) fn admits(&self, cost: u64) -> bool {
        self.written.saturating_add(cost) <= self.total || self.taken == self.written
    }

    /// Whether there is room for some item behind `queued` bytes that wait.
    pub(super) fn has_room(&self, queued: u64) -> bool {
        self.written.saturating_add(queued) < self.total || (queued == 0 && self.taken == self.written)
    }

    pub(super) fn write(&mut self, cost: u64) {
        self.written += cost;
    }

    pub(super) fn has_written(&self) -> bool {
        self.written > 0
    }

    pub(super) fn raise(&mut self, taken: u64, total: u64) -> Result<(), Overrun> {
        if taken > self.written {
            return Err(Overrun);
        }
        self.taken = self.taken.max(taken);
        self.total = self.total.max(total);
        Ok(())
    }
}

/// The reader's half of the credit of one stream and direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReceiveWindow {
    window: u64,
    received: u64,
    taken: u64,
    announced_taken: u64,
    announced_total: u64,
    /// Whether the writer came near the end of the window since it last grew.
    pressed: bool,
    grown_at: u64,
    /// To be said again, news or not.
    restates: bool,
    patience: Duration,
    /// The total that the writer had before it was told of the last one unasked; `None` once that is judged.
    unasked: Option<u64>,
}

impl ReceiveWindow {
    pub(super) fn new(limits: &Limits) -> Self {
        let window = limits.stream_window as u64;
        Self {
            window,
            received: 0,
            taken: 0,
            announced_taken: 0,
            announced_total: window,
            pressed: false,
            grown_at: 0,
            restates: false,
            patience: PATIENCE,
            unasked: None,
        }
    }

    /// An item of this cost came.
    pub(super) fn receive(&mut self, cost: u64) -> Result<(), Overrun> {
        let received = self.received.checked_add(cost).ok_or(Overrun)?;
        // An item that outgrows the window may come where the writer knows that all before it was taken.
        if received > self.announced_total && self.received > self.announced_taken {
            return Err(Overrun);
        }
        if let Some(total) = self.unasked.take() {
            // Without the news it could not have been written yet, or could have: then the next may wait longer.
            let waited = received > total;
            self.patience = if waited { PATIENCE } else { (self.patience * 2).min(PATIENCE_MAX) };
        }
        self.received = received;
        self.pressed |= self.announced_total.saturating_sub(received) < self.window / 2;
        Ok(())
    }

    /// The reader took an item of this cost.
    pub(super) fn take(&mut self, cost: u64) {
        self.taken += cost;
    }

    /// Doubles the window of a reader that keeps pace with a writer that needs it; returns by how much it grew.
    /// `extra` is what the windows of the session have grown by.
    pub(super) fn grow(&mut self, limits: &Limits, extra: usize) -> usize {
        let room = limits.stream_window_extra.saturating_sub(extra) as u64;
        let keeps_pace = self.taken == self.received && self.taken - self.grown_at >= self.window;
        if !self.pressed || !keeps_pace {
            return 0;
        }
        let more = self.window.min((limits.stream_window_max as u64).saturating_sub(self.window));
        if more == 0 || more > room {
            return 0;
        }
        self.window += more;
        self.pressed = false;
        self.grown_at = self.taken;
        more as usize
    }

    /// What the window has grown by.
    pub(super) fn extra(&self, limits: &Limits) -> usize {
        self.window.saturating_sub(limits.stream_window as u64) as usize
    }

    /// Whether the writer should be told now.
    pub(super) fn is_due(&self) -> bool {
        self.taken + self.window >= self.announced_total + self.window.div_ceil(4)
            || self.taken - self.announced_taken >= self.window.div_ceil(4)
    }

    /// How long the writer may wait for what is not due.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Whether there is anything to tell.
    pub(super) fn has_news(&self) -> bool {
        self.taken > self.announced_taken || self.restates
    }

    /// Another link begins: what was announced on the last one may not have arrived. Returns whether there is anything
    /// to say again.
    pub(super) fn restate(&mut self) -> bool {
        self.restates = self.taken > 0;
        self.restates
    }

    /// Taken bytes and total, to be announced.
    pub(super) fn announce(&mut self) -> (u64, u64) {
        self.restates = false;
        self.unasked = (!self.is_due()).then_some(self.announced_total);
        self.announced_taken = self.taken;
        self.announced_total = self.announced_total.max(self.taken + self.window);
        (self.announced_taken, self.announced_total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_total_than_known_is_ignored() {
        let mut calls = Allowance::new(4);
        calls.raise(10);
        calls.raise(6);
        calls.used = 3;
        assert_eq!(calls.left(), 7);
    }

    #[test]
    fn more_than_allowed_is_an_overrun() {
        let mut calls = Grant::new(2);
        assert_eq!((calls.take(1), calls.take(1), calls.take(1)), (Ok(()), Ok(()), Err(Overrun)));
        calls.give_back(1);
        assert_eq!(calls.take(1), Err(Overrun), "what was not announced is not allowed");
        assert_eq!(calls.announce(false), Some(3));
        assert_eq!(calls.announce(false), None);
        assert_eq!(calls.take(1), Ok(()));
        assert_eq!(calls.take(u64::MAX), Err(Overrun));
    }

    #[test]
    fn what_was_given_back_is_announced_once_and_again_on_another_link() {
        let limits = Limits::default();
        let assembly = limits.assembly.max(limits.payload_in) as u64;
        let mut granted = Granted::new(&limits);
        let mut news = |step: &dyn Fn(&mut Granted)| -> Vec<Credit> {
            step(&mut granted);
            granted.announce().into_iter().flatten().flatten().collect()
        };
        let all = [
            Credit::Calls { total: u64::from(limits.calls) + 1 },
            Credit::Streams { total: u64::from(limits.streams) + 1 },
            Credit::Assembly { total: assembly + 10 },
        ];
        assert_eq!(
            news(&|granted| {
                granted.take(Class::Call).unwrap();
                granted.take(Class::Stream).unwrap();
            }),
            []
        );
        assert_eq!(news(&|granted| granted.give_back(Class::Call)), all[..1]);
        assert_eq!(news(&|granted| granted.give_back(Class::Stream)), all[1..2]);
        assert_eq!(news(&|granted| granted.take_assembly(10).unwrap()), []);
        assert_eq!(news(&|granted| granted.give_back_assembly(10)), all[2..]);
        assert_eq!(news(&|_| ()), []);
        assert_eq!(news(&Granted::restate), all);
        assert_eq!(news(&|_| ()), []);
    }

    #[test]
    fn one_item_of_any_size_goes_when_everything_earlier_was_taken() {
        let limits = Limits { stream_window: 1000, stream_window_max: 1000, ..Limits::default() };
        let (mut sender, mut reader) = (SendWindow::new(1000), ReceiveWindow::new(&limits));
        sender.write(100);
        reader.receive(100).unwrap();
        assert!(!sender.admits(5000));
        assert!(sender.admits(900));
        assert_eq!(reader.receive(5000), Err(Overrun));
        reader.take(100);
        assert_eq!(reader.receive(5000), Err(Overrun), "the writer can't know that it was taken");
        let (taken, total) = reader.announce();
        sender.raise(taken, total).unwrap();
        assert!(sender.admits(5000));
        sender.write(5000);
        reader.receive(5000).unwrap();
        assert!(!sender.admits(1) && !sender.has_room(0));
    }

    #[test]
    fn taking_what_was_never_written_is_an_overrun() {
        let mut sender = SendWindow::new(1000);
        sender.write(10);
        assert_eq!(sender.raise(11, 2000), Err(Overrun));
    }

    #[test]
    fn a_window_doubles_while_the_reader_keeps_pace() {
        let limits = Limits {
            stream_window: 1000,
            stream_window_max: 4000,
            stream_window_extra: 3000,
            ..Limits::default()
        };
        let mut extra = 0;
        let mut reader = ReceiveWindow::new(&limits);
        let mut pass = |reader: &mut ReceiveWindow, cost| {
            reader.receive(cost).unwrap();
            reader.take(cost);
            let more = reader.grow(&limits, extra);
            extra += more;
            reader.announce();
            more
        };
        // A writer that never comes near the end of the window needs no larger one.
        assert!((0..100).all(|_| pass(&mut reader, 100) == 0));
        assert_eq!(pass(&mut reader, 1000), 1000);
        assert_eq!(pass(&mut reader, 2000), 2000);
        assert_eq!(pass(&mut reader, 4000), 0, "the bound of one stream");
        assert_eq!(reader.extra(&limits), 3000);
        let mut second = ReceiveWindow::new(&limits);
        assert_eq!(pass(&mut second, 1000), 0, "the bound of the session");
    }

    #[test]
    fn a_reader_that_lags_gets_no_larger_window() {
        let limits = Limits { stream_window: 1000, ..Limits::default() };
        let mut reader = ReceiveWindow::new(&limits);
        reader.receive(600).unwrap();
        reader.receive(400).unwrap();
        reader.take(600);
        assert_eq!(reader.grow(&limits, 0), 0);
    }
}
