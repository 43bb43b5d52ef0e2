//! Items and one-way calls: all of them, once, in their order, and gaps where they are missing.

use super::{Answer, Ended, Invariant, Oracle};
use crate::service::WATCH;

impl Oracle {
    pub(crate) fn sends_up(&mut self, number: u32) -> u32 {
        let call = &mut self.calls[number as usize];
        call.up += 1;
        call.up - 1
    }

    pub(crate) fn ends_up(&mut self, number: u32) {
        self.calls[number as usize].up_over = true;
    }

    /// A handler is about to send an item, or to say that `missed` are left out.
    pub(crate) fn sends_down(&mut self, number: u32, run: u32, missed: u32) -> u32 {
        let run = &mut self.calls[number as usize].runs[run as usize - 1];
        run.down += missed.max(1);
        run.down - 1
    }

    /// A handler has an item of its caller.
    pub(crate) fn arrived_up(&mut self, number: u32, run: u32, index: u32) {
        self.counts.items += 1;
        let call = &mut self.calls[number as usize];
        let meant = call.up;
        let run = &mut call.runs[run as usize - 1];
        let next = run.up;
        run.up = index + 1;
        self.check_index("upload", number, next, index, meant);
    }

    /// A handler has the end of its caller's items.
    pub(crate) fn ended_up(&mut self, number: u32, run: u32) {
        let call = &self.calls[number as usize];
        let arrived = call.runs[run as usize - 1].up;
        if !call.up_over || arrived != call.up {
            let what = format!("the upload of call {number} ends after {arrived} of {} items", call.up);
            self.violate(Invariant::I1, what);
        }
    }

    /// A caller has an item, or the newest value of a watch.
    pub(crate) fn arrived_down(&mut self, number: u32, run: u32, index: u32) {
        self.counts.items += 1;
        let call = &mut self.calls[number as usize];
        let is_watch = call.intent.method == WATCH;
        let Some(meant) = call.runs.get((run as usize).wrapping_sub(1)).map(|run| run.down) else {
            return self.violate(Invariant::I4, format!("an item of call {number} that no handler sent"));
        };
        if run != call.reading {
            let is_fresh = call.reading == 0 || (is_watch && run > call.reading);
            if !is_fresh {
                let what = format!("call {number} reads run {run} after run {}", call.reading);
                return self.violate(Invariant::I3, what);
            }
            (call.reading, call.next) = (run, 0);
        }
        let next = call.next;
        call.next = index + 1;
        if is_watch {
            // Values may be left out, and come in order.
            if index < next || index >= meant {
                let what = format!("watch {number} shows value {index} after {next} of {meant}");
                self.violate(if index < next { Invariant::I3 } else { Invariant::I4 }, what);
            }
        } else {
            self.check_index("stream", number, next, index, meant);
        }
    }

    /// A caller is told that items are missing.
    pub(crate) fn gap_down(&mut self, number: u32, missed: u64) {
        let call = &mut self.calls[number as usize];
        if call.reading == 0 {
            call.reading = call.runs.len() as u32;
        }
        // Checked by the item that follows: it must be the first after the gap.
        call.next += missed as u32;
    }

    /// A caller has the end of a stream.
    pub(crate) fn ended_down(&mut self, number: u32) {
        let call = &self.calls[number as usize];
        let (reading, next, method) = (call.reading, call.next, call.intent.method);
        let run = match reading {
            0 => call.runs.iter().rev().find(|run| run.answer == Some(Answer::End)),
            reading => call.runs.get(reading as usize - 1),
        };
        let answered = run.is_some_and(|run| run.answer == Some(Answer::End));
        let meant = run.map_or(0, |run| run.down);
        // A watch may have been subscribed again, and have ended there before it had a value.
        let later = call.runs.last().is_some_and(|run| run.down == 0 && run.answer == Some(Answer::End));
        if !(answered && next == meant || method == WATCH && later) {
            let what = format!("stream {number} ends after {next} of {meant} items, run {reading}");
            self.violate(Invariant::I1, what);
        }
        self.end(number, Ended::Complete);
    }

    fn check_index(&mut self, what: &str, number: u32, next: u32, index: u32, meant: u32) {
        let invariant = match index {
            _ if index >= meant => Invariant::I4,
            _ if index > next => Invariant::I1,
            _ if index < next => Invariant::I2,
            _ => return,
        };
        self.violate(
            invariant,
            format!("{what} of call {number}: item {index} where {next} is due, of {meant}"),
        );
    }

    pub(crate) fn offers_notify(&mut self) {
        self.notifies_offered += 1;
    }

    pub(crate) fn arrived_notify(&mut self) {
        self.notifies_arrived += 1;
        self.counts.notifies += 1;
    }

    pub(crate) fn notifies(&self) -> (u64, u64) {
        (self.notifies_offered, self.notifies_arrived)
    }

    /// The place behind the last item, or value, that its caller has.
    pub(crate) fn read(&self, number: u32) -> u32 {
        self.calls[number as usize].next
    }

    /// The watch shows the newest value of the handler that runs now.
    pub(crate) fn shows_newest(&self, number: u32) -> bool {
        let call = &self.calls[number as usize];
        match call.runs.last() {
            Some(run) => run.down == 0 || (call.reading as usize == call.runs.len() && call.next == run.down),
            None => false,
        }
    }
}
