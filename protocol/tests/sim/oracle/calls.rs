//! Calls: what runs was meant, runs once and in its order, and its caller is told the truth about it.

use bowline_protocol::envelope::OnceTable;
use bowline_protocol::session::Failure;
use bowline_protocol::status::{Code, Delivery};

use super::{Answer, Call, Ended, Intent, Invariant, Oracle, Party, Run};
use crate::service::{ASK, LIST, LOOK, PAY, UPLOAD, WATCH, has_items};

impl Oracle {
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

    /// The call was not taken in.
    pub(crate) fn refused(&mut self, number: u32) {
        self.end(number, Ended::NotRun);
    }

    pub(crate) fn cancelled(&mut self, number: u32) {
        self.end(number, Ended::Cancelled);
    }

    pub(crate) fn stopped(&mut self, number: u32, run: u32) {
        self.calls[number as usize].runs[run as usize - 1].is_stopped = true;
    }

    /// The session of a handler is over.
    pub(crate) fn gone(&mut self, number: u32, run: u32) {
        self.calls[number as usize].runs[run as usize - 1].is_gone = true;
    }

    pub(crate) fn answers(&mut self, number: u32, run: u32, answer: Answer) {
        self.calls[number as usize].runs[run as usize - 1].answer = Some(answer);
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

    pub(super) fn end(&mut self, number: u32, how: Ended) {
        let call = &mut self.calls[number as usize];
        if let Some(earlier) = call.end {
            return self.violate(Invariant::I2, format!("call {number} ends twice: {earlier:?}, {how:?}"));
        }
        call.end = Some(how);
        let intent = call.intent;
        call.links_at_end = self.clients.get(&intent.client).map_or(0, |it| it.links[intent.caller as usize]);
        self.counts.completed += u64::from(how == Ended::Complete);
    }

    /// How a call ended, as its caller knows.
    pub(crate) fn ended(&self, number: u32) -> Option<Ended> {
        self.calls[number as usize].end
    }

    /// How often its handler started.
    pub(crate) fn runs(&self, number: u32) -> usize {
        self.calls[number as usize].runs.len()
    }

    /// Calls whose callers wait.
    pub(crate) fn waiting(&self) -> Vec<String> {
        let waiting = self.calls.iter().enumerate().filter(|(_, call)| call.end.is_none());
        waiting.map(|(number, call)| format!("call {number}: {call:?}")).collect()
    }

    /// Handlers that nobody told that they are over.
    pub(crate) fn running(&self) -> Vec<String> {
        let runs = self.calls.iter().enumerate().flat_map(|(number, call)| {
            call.runs.iter().filter(|run| run.answer.is_none() && !run.is_gone).map(move |run| (number, run))
        });
        runs.map(|(number, run)| format!("call {number}: {run:?}")).collect()
    }
}
