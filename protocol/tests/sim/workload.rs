//! What applications do of themselves: one thing at a time, chosen by chance; and how they come to an end.

use std::time::Duration;

use bowline_protocol::session::{CallId, Session};

use crate::app::{App, Ask};
use crate::oracle::Party;
use crate::service::{ASK, CHAT, LIST, LOOK, PAY, UPLOAD, WATCH, has_items, has_upload};
use crate::world::Ctx;

/// Calls of one application that it may have open, so that a run ends.
const MAX_OWN: usize = 40;

impl App {
    /// Does one thing.
    pub(crate) fn act(&mut self, cx: &mut Ctx, machine: &mut Session) {
        match cx.random.below(100) {
            0..=14 => self.call(cx, machine, 0),
            15..=44 => self.send(cx, machine),
            45..=69 => {
                if let Some(call) = self.any_read(cx) {
                    let max = 1 + cx.random.below(20) as usize;
                    self.read(cx, machine, call, max);
                }
            }
            70..=87 => {
                if let Some(call) = any(cx, self.runs.keys()) {
                    self.answer(cx, machine, call);
                }
            }
            88..=90 => self.cancel(cx, machine),
            91..=94 => self.end_upload(cx, machine),
            95..=96 => self.call_nested(cx, machine),
            _ => self.notify(cx, machine),
        }
    }

    fn len(cx: &mut Ctx) -> usize {
        match cx.random.below(24) {
            0 if cx.profile.large => 65_000 + cx.random.below(120_000) as usize,
            1..=3 => 13 + cx.random.below(8000) as usize,
            _ => 13 + cx.random.below(100) as usize,
        }
    }

    fn call_nested(&mut self, cx: &mut Ctx, machine: &mut Session) {
        if let Some(call) = any(cx, self.runs.keys()) {
            let depth = self.runs[&call].depth + 1;
            self.call(cx, machine, depth);
        }
    }

    fn call(&mut self, cx: &mut Ctx, machine: &mut Session, depth: u8) {
        if self.own.len() >= MAX_OWN {
            return;
        }
        let mut method = [ASK, ASK, LOOK, PAY, LIST, UPLOAD, CHAT, WATCH][cx.random.below(8) as usize];
        if method == PAY && self.party == Party::Server {
            // Clients have no table.
            method = ASK;
        }
        let len = Self::len(cx);
        let has_deadline = cx.random.below(4) == 0;
        let most = if cx.random.below(4) == 0 { 100_000 } else { 5000 };
        let time = has_deadline.then(|| Duration::from_millis(cx.random.below(most)));
        let waits = has_deadline && method == ASK && depth == 0 && cx.random.below(3) == 0;
        let queued = waits.then(|| Duration::from_millis(cx.random.below(200_000)));
        self.ask(cx, machine, Ask { method, len, time, queued, depth });
    }

    /// Sends an item, or sets a watch's value, in a call that can.
    fn send(&mut self, cx: &mut Ctx, machine: &mut Session) {
        let ups = self.own.iter().filter(|(_, it)| has_upload(it.method) && !it.up_over).map(|it| it.0);
        let downs = self.runs.iter().filter(|(_, it)| has_items(it.method) && !it.is_stopped).map(|it| it.0);
        let can: Vec<_> = ups.chain(downs).copied().collect();
        let Some(call) = any(cx, can.iter()) else { return };
        let len = Self::len(cx);
        let is_stream = self.runs.get(&call).is_some_and(|run| run.method != WATCH);
        if is_stream && cx.random.below(12) == 0 && machine.capacity(call).is_some() {
            let missed = 1 + cx.random.below(5) as u32;
            return self.leave_out(cx, machine, call, missed);
        }
        self.send_item(cx, machine, call, len);
    }

    fn end_upload(&mut self, cx: &mut Ctx, machine: &mut Session) {
        let can = self.own.iter().filter(|(_, it)| has_upload(it.method) && !it.up_over).map(|it| it.0);
        let can: Vec<_> = can.copied().collect();
        let Some(call) = any(cx, can.iter()) else { return };
        self.send_up_end(cx, machine, call);
    }

    fn answer(&mut self, cx: &mut Ctx, machine: &mut Session, call: CallId) {
        let fails = cx.random.below(10) == 0;
        let len = Self::len(cx);
        self.end_run(cx, machine, call, if fails { None } else { Some(len) });
    }

    fn cancel(&mut self, cx: &mut Ctx, machine: &mut Session) {
        let Some(call) = any(cx, self.own.keys()) else { return };
        self.cancel_call(cx, machine, call);
    }

    fn any_read(&mut self, cx: &mut Ctx) -> Option<CallId> {
        let can: Vec<_> = self.readable().collect();
        any(cx, can.iter())
    }

    /// Readers read, handlers answer, uploads end.
    pub(crate) fn settle(&mut self, cx: &mut Ctx, machine: &mut Session) {
        for ticket in self.notifies.drain(..) {
            machine.finish_notify(ticket);
        }
        self.read_all(cx, machine);
        let own: Vec<_> = self.own.keys().copied().collect();
        for call in own {
            self.send_up_end(cx, machine, call);
        }
        // A watch ends once it shows its newest value, by either end.
        let shows = |number| cx.oracle.shows_newest(number);
        let seen = self.own.iter().filter(|(_, it)| it.method == WATCH && shows(it.number)).map(|it| *it.0);
        let seen: Vec<_> = seen.collect();
        let runs = self.runs.iter().filter(|(_, it)| it.is_stopped || it.method != WATCH || shows(it.number));
        let runs: Vec<_> = runs.map(|it| (*it.0, it.1.method == WATCH && !it.1.is_stopped)).collect();
        for call in seen {
            if cx.random.below(8) == 0 {
                self.cancel_call(cx, machine, call);
            }
        }
        for (call, is_watch) in runs {
            if !is_watch || cx.random.below(8) == 0 {
                self.answer(cx, machine, call);
            }
        }
    }
}

/// One of them, by chance.
fn any<'a>(cx: &mut Ctx, mut from: impl Iterator<Item = &'a CallId> + Clone) -> Option<CallId> {
    let len = from.clone().count();
    if len == 0 { None } else { from.nth(cx.random.below(len as u64) as usize).copied() }
}
