//! The application at either end: makes calls, handles calls, reads and writes items, in an order that chance decides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bowline_protocol::session::{
    CallId, Event, Failure, IncomingCall, IncomingNotify, NotifyTicket, Origin, Queued, Read, Request,
    Session, Stop, WireFailure,
};
use bowline_protocol::status::{Code, Status};

use crate::note;
use crate::once;
use crate::oracle::{Answer, Intent, Invariant, Party};
use crate::service::{Label, NOTIFY, PAY, Part, SIM, WATCH, arguments, has_items, has_upload};
use crate::world::{Ctx, Place};

/// One application of one session; a client's outlives its sessions.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) party: Party,
    place: Place,
    /// Who the client is.
    pub(crate) identity: u128,
    pub(crate) own: BTreeMap<CallId, Own>,
    pub(crate) runs: BTreeMap<CallId, Handling>,
    /// Calls whose tasks the table of `once` calls has.
    paying: BTreeSet<CallId>,
    pub(crate) notifies: Vec<NotifyTicket>,
}

/// A call that an application wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) method: usize,
    pub(crate) len: usize,
    /// Its deadline from now; from when it is written, if it waits in the outbox.
    pub(crate) time: Option<Duration>,
    /// How long it may wait in the outbox.
    pub(crate) queued: Option<Duration>,
    pub(crate) depth: u8,
}

#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) number: u32,
    pub(crate) method: usize,
    pub(crate) up_over: bool,
}

#[derive(Debug)]
pub(crate) struct Handling {
    pub(crate) number: u32,
    run: u32,
    pub(crate) method: usize,
    pub(crate) depth: u8,
    pub(crate) is_stopped: bool,
    up_over: bool,
}

impl App {
    pub(crate) fn new(party: Party, place: Place) -> Self {
        Self {
            party,
            place,
            identity: 0,
            own: BTreeMap::new(),
            runs: BTreeMap::new(),
            paying: BTreeSet::new(),
            notifies: Vec::new(),
        }
    }

    /// Whether it has nothing open.
    pub(crate) fn is_idle(&self) -> bool {
        self.has_no_calls() && self.notifies.is_empty()
    }

    /// Whether no call of either end is open.
    pub(crate) fn has_no_calls(&self) -> bool {
        self.own.is_empty() && self.runs.is_empty() && self.paying.is_empty()
    }

    /// The session is over: who was told to stop is not told again.
    pub(crate) fn forget_stopped(&mut self, cx: &mut Ctx) {
        self.runs.retain(|_, run| {
            if run.is_stopped {
                cx.oracle.gone(run.number, run.run);
            }
            !run.is_stopped
        });
    }

    /// The process ends with all that it does.
    pub(crate) fn vanish(&self, cx: &mut Ctx) {
        for own in self.own.values() {
            cx.oracle.cancelled(own.number);
        }
        for run in self.runs.values() {
            cx.oracle.gone(run.number, run.run);
        }
    }

    /// What it has open, for a report.
    pub(crate) fn open(&self) -> String {
        format!("{:?} {:?} {:?}", self.own, self.runs, self.paying)
    }

    /// Makes a call; its number, if it was taken in.
    pub(crate) fn ask(&mut self, cx: &mut Ctx, machine: &mut Session, ask: Ask) -> Option<u32> {
        let Ask { method, len, time, queued, depth } = ask;
        let queued =
            queued.map(|wait| Queued { until: cx.now + wait, until_wall: None, timeout: time }.into());
        let deadline = time.filter(|_| queued.is_none()).map(|time| cx.now + time);
        let key = (u128::from(cx.random.number()) << 64) | u128::from(cx.random.number());
        let intent = Intent {
            client: self.place.client(),
            identity: self.identity,
            table: cx.once.table(),
            caller: self.party,
            method,
            len,
            depth,
            has_deadline: time.is_some() || queued.is_some(),
            lost: cx.oracle.lost(self.place.client(), self.party),
        };
        let number = cx.oracle.intend(intent);
        let payload = Label { part: Part::Arguments, call: number, run: 0, index: 0 }.payload(len);
        let request = Request {
            service: &SIM,
            method,
            arguments: arguments(payload),
            deadline,
            metadata: Vec::new(),
            depth,
            once: (method == PAY).then_some(key),
            queued,
        };
        note!(cx, "{self} calls {number}: {} with {len} B, {time:?}", SIM.methods[method].name);
        match machine.call(cx.now, request) {
            Ok(call) => {
                self.own.insert(call, Own { number, method, up_over: false });
                Some(number)
            }
            Err(status) => {
                note!(cx, "{self} call {number} is refused: {status}");
                cx.oracle.refused(number);
                let is_expected = matches!(status.code, Code::ResourceExhausted)
                    || (depth > 0 && status.code == Code::Unavailable);
                if !is_expected {
                    cx.oracle.violate(Invariant::I10, format!("call {number} is refused: {status}"));
                }
                None
            }
        }
    }

    /// The call of this number, made or handled here.
    pub(crate) fn find(&self, number: u32) -> Option<CallId> {
        let own = self.own.iter().find(|(_, own)| own.number == number).map(|it| *it.0);
        own.or_else(|| self.runs.iter().find(|(_, run)| run.number == number).map(|it| *it.0))
    }

    /// Calls that are handled here.
    pub(crate) fn handled(&self) -> Vec<u32> {
        self.runs.values().map(|run| run.number).collect()
    }

    /// Says that items are left out.
    pub(crate) fn leave_out(&mut self, cx: &mut Ctx, machine: &mut Session, call: CallId, missed: u32) {
        if let Some(run) = self.runs.get(&call) {
            cx.oracle.sends_down(run.number, run.run, missed);
            machine.send_gap(cx.now, call, u64::from(missed));
        }
    }

    /// Sends an item, or sets a watch's value; whether it could.
    pub(crate) fn send_item(
        &mut self,
        cx: &mut Ctx,
        machine: &mut Session,
        call: CallId,
        len: usize,
    ) -> bool {
        if let Some(own) = self.own.get(&call) {
            if machine.capacity(call).is_none() {
                return false;
            }
            let index = cx.oracle.sends_up(own.number);
            let label = Label { part: Part::Up, call: own.number, run: 0, index };
            machine.send_item(cx.now, call, label.payload(len));
            return true;
        }
        let Some(run) = self.runs.get(&call) else { return false };
        let is_watch = run.method == WATCH;
        if !is_watch && machine.capacity(call).is_none() {
            return false;
        }
        let index = cx.oracle.sends_down(run.number, run.run, 0);
        let label = Label { part: Part::Down, call: run.number, run: run.run, index };
        if is_watch {
            machine.set_watch(cx.now, call, label.payload(len));
        } else {
            machine.send_item(cx.now, call, label.payload(len));
        }
        true
    }

    pub(crate) fn send_up_end(&mut self, cx: &mut Ctx, machine: &mut Session, call: CallId) {
        if let Some(own) = self.own.get_mut(&call).filter(|own| has_upload(own.method) && !own.up_over) {
            own.up_over = true;
            cx.oracle.ends_up(own.number);
            machine.send_end(cx.now, call);
        }
    }

    /// A handler ends: with an answer of so many bytes, or with a failure.
    pub(crate) fn end_run(&mut self, cx: &mut Ctx, machine: &mut Session, call: CallId, len: Option<usize>) {
        let Some(handling) = self.runs.remove(&call) else { return };
        let Handling { number, run, method, is_stopped, .. } = handling;
        let now = cx.now;
        let Some(len) = len.filter(|_| !is_stopped) else {
            cx.oracle.answers(number, run, Answer::Failed);
            let code = if is_stopped { Code::Cancelled } else { Code::InvalidArgument };
            note!(cx, "{self} fails call {number} run {run}: {code}");
            return machine.respond(now, call, Err(WireFailure::Status(Status::new(code, "failed"))));
        };
        if has_items(method) {
            cx.oracle.answers(number, run, Answer::End);
            note!(cx, "{self} ends call {number} run {run}");
            machine.send_end(now, call);
        } else {
            let label = Label { part: Part::Response, call: number, run, index: 0 };
            let payload = label.payload(len);
            cx.oracle.answers(number, run, Answer::Response(payload.len()));
            note!(cx, "{self} answers call {number} run {run} with {} B", payload.len());
            machine.respond(now, call, Ok(payload));
        }
    }

    pub(crate) fn cancel_call(&mut self, cx: &mut Ctx, machine: &mut Session, call: CallId) {
        let Some(own) = self.own.remove(&call) else { return };
        note!(cx, "{self} cancels call {}", own.number);
        cx.oracle.cancelled(own.number);
        machine.cancel(cx.now, call);
    }

    pub(crate) fn notify(&mut self, cx: &mut Ctx, machine: &mut Session) {
        if let Some(ticket) = self.notifies.pop() {
            machine.finish_notify(ticket);
        }
        cx.oracle.offers_notify();
        let label = Label { part: Part::Notify, call: 0, run: 0, index: 0 };
        let request = Request {
            service: &SIM,
            method: NOTIFY,
            arguments: arguments(label.payload(13 + cx.random.below(2000) as usize)),
            deadline: None,
            metadata: Vec::new(),
            depth: 0,
            once: None,
            queued: None,
        };
        // A refusal is counted by the machine.
        let _ = machine.notify(cx.now, request);
    }

    /// Calls of which this end reads items.
    pub(crate) fn readable(&self) -> impl Iterator<Item = CallId> {
        let own = self.own.iter().filter(|(_, it)| has_items(it.method)).map(|it| *it.0);
        own.chain(self.runs.iter().filter(|(_, it)| has_upload(it.method) && !it.up_over).map(|it| *it.0))
    }

    /// Reads what there is of one call, at most `max` times.
    pub(crate) fn read(&mut self, cx: &mut Ctx, machine: &mut Session, call: CallId, max: usize) {
        for _ in 0..max {
            let read = machine.read(cx.now, call);
            let is_done = match call.origin {
                Origin::Local => self.take_down(cx, call, read),
                Origin::Remote => self.take_up(cx, call, read),
            };
            if is_done {
                return;
            }
        }
    }

    /// What a caller read. Whether that was all.
    fn take_down(&mut self, cx: &mut Ctx, call: CallId, read: Read) -> bool {
        let Some(own) = self.own.get(&call) else { return true };
        let number = own.number;
        match read {
            Read::Pending => return true,
            Read::Item(_, buffer) => match Label::read(&buffer) {
                Some(Label { part: Part::Down, call, run, index }) if call == number => {
                    note!(cx, "{self} reads item {index} of call {number} run {run}");
                    cx.oracle.arrived_down(number, run, index);
                    return false;
                }
                label => {
                    let what = format!("an item of call {number} that is another's or damaged: {label:?}");
                    cx.oracle.violate(Invariant::I1, what);
                }
            },
            Read::Gap(missed) => {
                note!(cx, "{self} reads a gap of {missed} in call {number}");
                cx.oracle.gap_down(number, missed);
                return false;
            }
            Read::End => {
                note!(cx, "{self} reads the end of call {number}");
                cx.oracle.ended_down(number);
            }
            Read::Failed(failure) => {
                note!(cx, "{self} stream {number} fails: {failure:?}");
                cx.oracle.failed(number, &failure, cx.once.table());
            }
        }
        self.own.remove(&call);
        true
    }

    /// What a handler read. Whether that was all.
    fn take_up(&mut self, cx: &mut Ctx, call: CallId, read: Read) -> bool {
        let Some(handling) = self.runs.get_mut(&call) else { return true };
        let (number, run) = (handling.number, handling.run);
        match read {
            Read::Item(_, buffer) => match Label::read(&buffer) {
                Some(Label { part: Part::Up, call, index, .. }) if call == number => {
                    cx.oracle.arrived_up(number, run, index);
                    false
                }
                label => {
                    let what = format!("an upload of call {number} that is another's or damaged: {label:?}");
                    cx.oracle.violate(Invariant::I1, what);
                    true
                }
            },
            Read::Gap(_) => {
                cx.oracle.violate(Invariant::I4, format!("a gap in the upload of call {number}"));
                true
            }
            Read::End => {
                handling.up_over = true;
                cx.oracle.ended_up(number, run);
                true
            }
            Read::Pending | Read::Failed(_) => true,
        }
    }

    /// Takes what the machine has to say.
    pub(crate) fn take(&mut self, cx: &mut Ctx, machine: &mut Session, event: Event) {
        match event {
            Event::Call(incoming) => self.start(cx, machine, incoming),
            Event::Notify(notify) => self.start_notify(cx, machine, notify),
            Event::Stopped { call, reason } if self.paying.remove(&call) => {
                // Only the waiting stops.
                cx.once.leave(self.place, call);
                if reason != Stop::Disconnected {
                    let status = Status::new(Code::Cancelled, "nobody waits");
                    machine.respond(cx.now, call, Err(WireFailure::Status(status)));
                }
            }
            Event::Stopped { call, reason } => {
                if let Some(handling) = self.runs.get_mut(&call) {
                    let (number, run) = (handling.number, handling.run);
                    handling.is_stopped = true;
                    cx.oracle.stopped(number, run);
                    note!(cx, "{self} call {number} run {run} is stopped: {reason:?}");
                    if reason == Stop::Disconnected {
                        self.runs.remove(&call);
                        cx.oracle.gone(number, run);
                    }
                }
            }
            Event::Response { call, result } => {
                self.finish(cx, call, result.map(|(_, buffer)| buffer.to_vec()))
            }
            Event::Accepted { .. } | Event::Readable { .. } | Event::Writable { .. } => {}
            Event::Acknowledged { call } => cx.once.acknowledged(self.place, call),
            Event::Hello(_)
            | Event::Live { .. }
            | Event::Disconnected
            | Event::Proved
            | Event::GoAway { .. } => {}
        }
    }

    fn start(&mut self, cx: &mut Ctx, machine: &Session, incoming: IncomingCall) {
        let session = machine.session_id().unwrap_or_default();
        if incoming.method == PAY {
            self.paying.insert(incoming.call);
            return once::begin(cx, self.place, self.identity, &incoming, session);
        }
        let IncomingCall { call, method, depth, buffer, .. } = incoming;
        let Some(Label { part: Part::Arguments, call: number, .. }) = Label::read(&buffer) else {
            return cx.oracle.violate(Invariant::I1, "a call with damaged arguments".into());
        };
        cx.oracle.calls_as(number, self.party, self.identity);
        let run = cx.oracle.started(number, self.party, session, method, buffer.len());
        note!(cx, "{self} starts call {number} run {run}");
        let handling = Handling { number, run, method, depth, is_stopped: false, up_over: false };
        if self.runs.insert(call, handling).is_some() {
            cx.oracle.violate(Invariant::I2, format!("{call:?} names two calls"));
        }
    }

    /// The table of `once` calls has what this call ends with.
    pub(crate) fn paid(&mut self, cx: &mut Ctx, machine: &mut Session, call: CallId, record: once::Record) {
        if self.paying.remove(&call) {
            machine.respond(cx.now, call, record);
        }
    }

    fn start_notify(&mut self, cx: &mut Ctx, machine: &mut Session, notify: IncomingNotify) {
        cx.oracle.arrived_notify();
        // Some handlers take their time.
        self.notifies.push(notify.ticket);
        while self.notifies.len() > 3 {
            machine.finish_notify(self.notifies.remove(0));
        }
    }

    fn finish(&mut self, cx: &mut Ctx, call: CallId, result: Result<Vec<u8>, Failure>) {
        let Some(own) = self.own.remove(&call) else {
            return cx.oracle.violate(Invariant::I2, format!("an answer to {call:?}, which is over"));
        };
        let number = own.number;
        match result {
            Ok(bytes) => match Label::read(&bytes) {
                Some(Label { part: Part::Response, call, run, .. }) if call == number => {
                    note!(cx, "{self} has the answer to call {number} from run {run}");
                    cx.oracle.answered(number, run, bytes.len());
                }
                label => {
                    let what = format!("an answer to call {number} that is another's or damaged: {label:?}");
                    cx.oracle.violate(Invariant::I1, what);
                }
            },
            Err(failure) => {
                note!(cx, "{self} call {number} fails: {failure:?}");
                cx.oracle.failed(number, &failure, cx.once.table());
            }
        }
    }

    pub(crate) fn read_all(&mut self, cx: &mut Ctx, machine: &mut Session) {
        let readable: Vec<_> = self.readable().collect();
        for call in readable {
            self.read(cx, machine, call, usize::MAX);
        }
    }
}

impl std::fmt::Display for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.party {
            Party::Client => write!(f, "c{}", self.place.client()),
            Party::Server => write!(f, "s{}", self.place.client()),
        }
    }
}
