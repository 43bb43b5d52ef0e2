//! The judge, outside both ends: it notes what is meant before anything is sent, and what arrived once an application
//! has it. The invariants are those of the rules' last chapter.

use std::collections::BTreeMap;

use bowline_protocol::envelope::{GapReason, OnceTable, Outcome};
use bowline_protocol::session::Failure;
use bowline_protocol::status::{Code, Delivery};

use crate::net::LinkId;
use crate::service::{ASK, LIST, LOOK, PAY, UPLOAD, WATCH, has_items};

/// What must always hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// Nothing is lost without a gap, and no session without a reason.
    I1,
    /// Nothing reaches an application twice.
    I2,
    /// What is ordered stays in order.
    I3,
    /// What is missing is covered by a gap, and nothing else is: claims of what did not run are true.
    I4,
    /// What is held stays within its bound and one message.
    I5,
    /// A session has one live link.
    I6,
    /// When the network heals, everyone is live within 60 s.
    I7,
    /// Offered is delivered, dropped and counted, or pending.
    I8,
    /// Nothing is left after the close.
    I9,
    /// What was started ends.
    I10,
}

/// The first thing that was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
}

/// Which end of a session an application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Client,
    Server,
}

/// What an application means to call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intent {
    pub(crate) client: usize,
    /// Who the client was then.
    pub(crate) identity: u128,
    /// The node's table of `once` calls.
    pub(crate) table: OnceTable,
    pub(crate) caller: Party,
    pub(crate) method: usize,
    pub(crate) len: usize,
    pub(crate) depth: u8,
    pub(crate) has_deadline: bool,
    /// Sessions that the client had lost by then.
    pub(crate) lost: u32,
}

#[derive(Debug)]
struct Call {
    intent: Intent,
    runs: Vec<Run>,
    /// Items that the caller sent, and whether it sent their end.
    up: u32,
    up_over: bool,
    /// The run whose items the caller reads, and the next of them (a watch: the last value).
    reading: u32,
    next: u32,
    end: Option<Ended>,
    /// Links that the session of its caller had been on when it ended.
    links_at_end: u32,
}

/// One run of a handler.
#[derive(Debug)]
struct Run {
    session: u128,
    /// Items that the caller sent and the handler has.
    up: u32,
    /// Items that the handler sent, gaps included.
    down: u32,
    answer: Option<Answer>,
    is_stopped: bool,
    is_gone: bool,
}

/// How a handler ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Response(usize),
    End,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Complete,
    Failed,
    /// Nobody waits for it.
    Cancelled,
    /// Its caller was told that it did not run.
    NotRun,
}

/// Counts for the last line of a run, and so that a simulation that does nothing is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    pub(crate) items: u64,
    pub(crate) resumed: u64,
    pub(crate) gaps: u64,
    pub(crate) notifies: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.completed += other.completed;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.items += other.items;
        self.resumed += other.resumed;
        self.gaps += other.gaps;
        self.notifies += other.notifies;
    }
}

#[derive(Debug, Default)]
struct Client {
    session: Option<u128>,
    /// Sessions that ended, as each end knows.
    lost: [u32; 2],
    /// Links that sessions went live on, as each end knows.
    links: [u32; 2],
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    calls: Vec<Call>,
    clients: BTreeMap<usize, Client>,
    /// The last call of a line that started: per session, callee and class of credit.
    started: BTreeMap<(u128, Party, bool), u32>,
    /// Why sessions may be gone.
    gone: BTreeMap<u128, Vec<GapReason>>,
    /// The link of each session.
    attached: BTreeMap<u128, LinkId>,
    notifies_offered: u64,
    notifies_arrived: u64,
    pub(crate) counts: Counts,
    violation: Option<Violation>,
}

impl Oracle {
    pub(crate) fn violate(&mut self, invariant: Invariant, what: String) {
        self.violation.get_or_insert(Violation { invariant, what });
    }

    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    // What is meant.

    /// An application is about to make a call; the number is in its payloads.
    pub(crate) fn intend(&mut self, intent: Intent) -> u32 {
        self.counts.calls += 1;
        self.calls.push(Call {
            intent,
            runs: Vec::new(),
            up: 0,
            up_over: false,
            reading: 0,
            next: 0,
            end: None,
            links_at_end: 0,
        });
        (self.calls.len() - 1) as u32
    }

    /// The call was not taken in.
    pub(crate) fn refused(&mut self, number: u32) {
        self.end(number, Ended::NotRun);
    }

    pub(crate) fn cancelled(&mut self, number: u32) {
        self.end(number, Ended::Cancelled);
    }

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

    pub(crate) fn answers(&mut self, number: u32, run: u32, answer: Answer) {
        self.calls[number as usize].runs[run as usize - 1].answer = Some(answer);
    }

    pub(crate) fn offers_notify(&mut self) {
        self.notifies_offered += 1;
    }

    // What arrived.

    /// A handler starts; its run's number is in its payloads.
    pub(crate) fn started(
        &mut self,
        number: u32,
        at: Party,
        session: u128,
        method: usize,
        len: usize,
    ) -> u32 {
        let Some(call) = self.calls.get_mut(number as usize) else {
            self.violate(Invariant::I4, format!("call {number} starts and was never made"));
            return 0;
        };
        let intent = call.intent;
        let before = call.runs.len();
        let again = call.runs.iter().any(|run| run.session == session);
        let (ended, at_end) = (call.end, call.links_at_end);
        call.runs.push(Run { session, up: 0, down: 0, answer: None, is_stopped: false, is_gone: false });
        let run = call.runs.len() as u32;
        if intent.caller == at || intent.method != method || intent.len != len {
            self.violate(Invariant::I1, format!("call {number} arrives as another: {intent:?}"));
        }
        if again {
            self.violate(Invariant::I2, format!("call {number} starts twice in session {session}"));
        }
        // These may be asked again in a later session.
        if before > 0 && !matches!(method, WATCH | LOOK | LIST) {
            self.violate(Invariant::I2, format!("call {number} starts again"));
        }
        if ended == Some(Ended::NotRun) {
            self.violate(
                Invariant::I4,
                format!("call {number} starts after its caller was told that it does not"),
            );
        }
        let client = self.clients.get(&intent.client);
        let links = client.map_or(0, |it| it.links[intent.caller as usize]);
        // What the client's older session still had under way may start late there: links are compared within one session.
        let is_current = client.is_some_and(|it| it.session == Some(session));
        // What began to arrive before may be whole only now, and is stopped at once.
        if ended.is_some() && is_current && links > at_end && len <= 64 * 1024 {
            self.violate(
                Invariant::I4,
                format!("call {number} starts on a later link, and ended on an earlier one"),
            );
        }
        if intent.depth == 0 && len <= 64 * 1024 {
            let line = (session, at, has_items(method));
            if let Some(last) = self.started.insert(line, number)
                && last > number
            {
                self.violate(Invariant::I3, format!("call {number} starts after {last}"));
            }
        }
        run
    }

    /// A call of a client arrives in a session of `identity`.
    pub(crate) fn calls_as(&mut self, number: u32, at: Party, identity: u128) {
        if let Some(call) = self.calls.get(number as usize)
            && at == Party::Server
            && call.intent.identity != identity
        {
            let what = format!("call {number} of {} is sent as {identity}", call.intent.identity);
            self.violate(Invariant::I4, what);
        }
    }

    pub(crate) fn stopped(&mut self, number: u32, run: u32) {
        self.calls[number as usize].runs[run as usize - 1].is_stopped = true;
    }

    /// The session of a handler is over.
    pub(crate) fn gone(&mut self, number: u32, run: u32) {
        self.calls[number as usize].runs[run as usize - 1].is_gone = true;
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

    /// A caller has its answer.
    pub(crate) fn answered(&mut self, number: u32, run: u32, len: usize) {
        let call = &self.calls[number as usize];
        let answer = call.runs.get((run as usize).wrapping_sub(1)).and_then(|run| run.answer);
        let is_unary = matches!(call.intent.method, ASK | LOOK | PAY | UPLOAD);
        if !is_unary || answer != Some(Answer::Response(len)) {
            self.violate(
                Invariant::I4,
                format!("call {number} has an answer that was not given: {answer:?}"),
            );
        }
        self.end(number, Ended::Complete);
    }

    /// A caller is told that its call failed.
    pub(crate) fn failed(&mut self, number: u32, failure: &Failure, table: OnceTable) {
        let call = &self.calls[number as usize];
        let ran = !call.runs.is_empty();
        let intent = call.intent;
        let lost = self.lost(intent.client, intent.caller);
        let mut ended = Ended::Failed;
        match failure {
            Failure::Disconnected(delivery) | Failure::DeadlineExceeded(delivery) => {
                if *delivery == Delivery::OutcomeUnknown {
                    self.counts.unknown += 1;
                } else {
                    ended = Ended::NotRun;
                    // Of what is subscribed again it is said about the last try.
                    if ran && !matches!(intent.method, WATCH | LIST) {
                        self.violate(
                            Invariant::I4,
                            format!("call {number} ran and is said to be {delivery:?}"),
                        );
                    }
                }
                if matches!(failure, Failure::DeadlineExceeded(_)) && !intent.has_deadline {
                    self.violate(Invariant::I4, format!("call {number} has no deadline that could pass"));
                }
                if matches!(failure, Failure::Disconnected(_)) && lost == intent.lost {
                    let what =
                        format!("call {number} fails with its link, and no session was lost: {failure:?}");
                    self.violate(Invariant::I1, what);
                }
            }
            Failure::Status(status) => {
                let is_known = match status.code {
                    Code::InvalidArgument => call.runs.iter().any(|run| run.answer == Some(Answer::Failed)),
                    Code::Cancelled => call.runs.iter().any(|run| run.is_stopped) || intent.method == PAY,
                    Code::DeadlineExceeded => intent.has_deadline || intent.len > 64 * 1024 || ran,
                    Code::ResourceExhausted => intent.depth > 0 || intent.method == PAY,
                    Code::Unavailable => intent.depth > 0,
                    Code::OutcomeUnknown => {
                        // A caller knows the table as it was when it last heard of it.
                        intent.method == PAY
                            && (table.id != intent.table.id || table.tick > 1 || lost > intent.lost)
                    }
                    _ => false,
                };
                if !is_known {
                    self.violate(Invariant::I4, format!("call {number} fails without a reason: {status}"));
                }
            }
            Failure::Application(..) => {
                self.violate(Invariant::I4, format!("call {number} has an error that no handler gave"));
            }
            Failure::Closed => {}
        }
        self.counts.failed += 1;
        self.end(number, ended);
    }

    fn end(&mut self, number: u32, how: Ended) {
        let call = &mut self.calls[number as usize];
        if let Some(earlier) = call.end {
            return self.violate(Invariant::I2, format!("call {number} ends twice: {earlier:?}, {how:?}"));
        }
        call.end = Some(how);
        let intent = call.intent;
        call.links_at_end = self.clients.get(&intent.client).map_or(0, |it| it.links[intent.caller as usize]);
        self.counts.completed += u64::from(how == Ended::Complete);
    }

    pub(crate) fn arrived_notify(&mut self) {
        self.notifies_arrived += 1;
        self.counts.notifies += 1;
    }

    // Sessions.

    /// How many sessions this client, or the node with it, has lost.
    pub(crate) fn lost(&self, client: usize, party: Party) -> u32 {
        self.clients.get(&client).map_or(0, |it| it.lost[party as usize])
    }

    /// Something happened after which a session may be gone, for this reason.
    pub(crate) fn session_gone(&mut self, session: u128, reason: GapReason) {
        self.gone.entry(session).or_default().push(reason);
    }

    /// The node forgot whatever it knew of sessions that are gone.
    pub(crate) fn node_gone(&mut self) {
        self.gone.values_mut().for_each(|reasons| reasons.push(GapReason::Unknown));
    }

    /// A client is live.
    pub(crate) fn live(&mut self, client: usize, outcome: Outcome, session: u128, identity: u128) {
        if let Outcome::Gap { reason, .. } = outcome
            && reason != GapReason::IdentityChanged
        {
            // A server that does not know the session can't know that it was somebody else's.
            let others = |call: &&mut Call| call.intent.client == client && call.intent.identity != identity;
            for call in self.calls.iter_mut().filter(others) {
                call.intent.identity = identity;
            }
        }
        let it = self.clients.entry(client).or_default();
        let before = it.session.replace(session);
        it.links[Party::Client as usize] += 1;
        let what = match outcome {
            Outcome::Resumed => {
                self.counts.resumed += 1;
                (before != Some(session))
                    .then(|| format!("client {client} resumes {session}, not {before:?}"))
            }
            Outcome::Gap { reason, .. } => {
                self.counts.gaps += 1;
                let gone = before.and_then(|before| self.gone.get(&before));
                let is_excused = gone.is_some_and(|reasons| reasons.contains(&reason));
                (!is_excused).then(|| {
                    format!("client {client} loses its session without a reason: {reason:?}, it was {gone:?}")
                })
            }
            Outcome::New => {
                before.is_some().then(|| format!("client {client} has a new session and heard of no gap"))
            }
        };
        if let Some(what) = what {
            self.violate(Invariant::I1, what);
        }
    }

    /// A session has this link now.
    pub(crate) fn attached(&mut self, client: usize, session: u128, link: LinkId) {
        self.clients.entry(client).or_default().links[Party::Server as usize] += 1;
        self.attached.insert(session, link);
    }

    /// A session is given something that came on this link.
    pub(crate) fn processes(&mut self, session: u128, link: LinkId) {
        let attached = self.attached.get(&session);
        if attached != Some(&link) {
            let what = format!("session {session} reads l{link}, and {attached:?} is its link");
            self.violate(Invariant::I6, what);
        }
    }

    /// A session is over at one end: its application hears of it next.
    pub(crate) fn session_lost(&mut self, client: usize, party: Party) {
        let it = self.clients.entry(client).or_default();
        it.lost[party as usize] += 1;
    }

    /// Sessions that ended in another way than by their client's leave, at most.
    pub(crate) fn sessions_lost(&self) -> u64 {
        let clients = self.clients.values().map(|it| u64::from(it.lost[Party::Client as usize]));
        clients.sum::<u64>() + self.gone.len() as u64
    }

    /// How a call ended, as its caller knows.
    pub(crate) fn ended(&self, number: u32) -> Option<Ended> {
        self.calls[number as usize].end
    }

    /// How often its handler started.
    pub(crate) fn runs(&self, number: u32) -> usize {
        self.calls[number as usize].runs.len()
    }

    /// The place behind the last item, or value, that its caller has.
    pub(crate) fn read(&self, number: u32) -> u32 {
        self.calls[number as usize].next
    }

    // The end.

    /// Calls whose callers wait.
    pub(crate) fn waiting(&self) -> Vec<String> {
        let waiting = self.calls.iter().enumerate().filter(|(_, call)| call.end.is_none());
        waiting.map(|(number, call)| format!("call {number}: {call:?}")).collect()
    }

    /// The watch shows the newest value of the handler that runs now.
    pub(crate) fn shows_newest(&self, number: u32) -> bool {
        let call = &self.calls[number as usize];
        match call.runs.last() {
            Some(run) => run.down == 0 || (call.reading as usize == call.runs.len() && call.next == run.down),
            None => false,
        }
    }

    pub(crate) fn notifies(&self) -> (u64, u64) {
        (self.notifies_offered, self.notifies_arrived)
    }

    /// Handlers that nobody told that they are over.
    pub(crate) fn running(&self) -> Vec<String> {
        let runs = self.calls.iter().enumerate().flat_map(|(number, call)| {
            call.runs.iter().filter(|run| run.answer.is_none() && !run.is_gone).map(move |run| (number, run))
        });
        runs.map(|(number, run)| format!("call {number}: {run:?}")).collect()
    }
}
