use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::codec::{Arguments, Buffer};
use bowline_protocol::schema::MethodKind;
use bowline_protocol::session::{
    CallId, Event, NotifyTicket, Read, Request, Session, Stop, Welcoming, WireFailure,
};
use bowline_protocol::status::{CloseCode, Code, Status};
use bytes::Bytes;

use super::{Report, SERVICE, Script};

/// The largest payload that the application makes.
pub(super) const MAX_PAYLOAD: usize = 256 << 10;

/// What stubs and handlers know of their session.
#[derive(Debug, Default)]
pub(crate) struct Application {
    own: Vec<CallId>,
    /// Of these, the ones that are read to their end.
    streams: Vec<CallId>,
    incoming: Vec<CallId>,
    notifies: Vec<NotifyTicket>,
    /// Calls there were when the session last became live or lost its link: those wait again after a gap.
    again: usize,
}

impl Application {
    /// Takes what the session has to tell.
    pub(crate) fn take_events(&mut self, session: &mut Session, now: Instant, report: &mut Report) {
        for round in 0.. {
            assert!(round < 65_536, "events for ever");
            let Some(event) = session.poll_event() else { break };
            match event {
                Event::Hello(_) => {
                    let ids = Welcoming::new(1, [7; 32], 2);
                    session.welcome(now, ids);
                }
                Event::Live { .. } => {
                    report.live += 1;
                    self.again = self.own.len();
                }
                Event::Call(call) => {
                    assert!(call.method < SERVICE.methods.len());
                    assert!(!self.incoming.contains(&call.call), "one id, two calls");
                    self.incoming.push(call.call);
                    report.calls += 1;
                    report.large += usize::from(matches!(call.buffer, Buffer::Assembled(_)));
                }
                Event::Notify(notify) => self.notifies.push(notify.ticket),
                Event::Stopped { call, reason: Stop::Disconnected } => {
                    self.incoming.retain(|it| *it != call);
                }
                Event::Response { call, result } => {
                    if let Ok((_, buffer)) = result {
                        report.answers += 1;
                        report.large += usize::from(matches!(buffer, Buffer::Assembled(_)));
                    }
                    assert!(self.own.contains(&call), "an answer to nothing");
                    assert!(!self.streams.contains(&call), "a response to a stream");
                    self.own.retain(|it| *it != call);
                }
                Event::Accepted { call } | Event::Writable { call } | Event::Readable { call } => {
                    assert!(self.own.contains(&call) || self.incoming.contains(&call), "news of nothing");
                }
                Event::Stopped { .. }
                | Event::Acknowledged { .. }
                | Event::Disconnected
                | Event::Proved
                | Event::GoAway { .. } => {}
            }
        }
    }

    /// Calls that may wait beyond what may begin to wait: they had their place before, in the session that was lost.
    pub(crate) fn again(&self) -> usize {
        self.again
    }

    /// The link is lost, and the session may be.
    pub(crate) fn handle_disconnect(&mut self) {
        self.again = self.own.len();
    }

    /// Does one thing that an application may do, also to calls that are over.
    pub(crate) fn act(
        &mut self,
        session: &mut Session,
        now: Instant,
        script: &mut Script<'_>,
        report: &mut Report,
    ) {
        match script.below(24) {
            0..=2 => self.call(session, now, script),
            3 => {
                let _ = session.notify(now, request(4, now, script));
            }
            4 => {
                if let Some(call) = pick(&self.own, script) {
                    session.cancel(now, call);
                    self.forget(call);
                }
            }
            5..=8 => {
                if let Some(call) =
                    pick(&self.own, script).filter(|_| script.once_in(2)).or(pick(&self.incoming, script))
                {
                    self.read(session, now, call, report);
                }
            }
            9..=12 => {
                let calls = if script.once_in(2) { &self.own } else { &self.incoming };
                if let Some(call) = pick(calls, script)
                    && session.capacity(call).is_some()
                {
                    session.send_item(now, call, payload(script));
                }
            }
            13 => {
                if let Some(call) = pick(&self.incoming, script) {
                    session.send_gap(now, call, script.number());
                }
            }
            14 | 15 => {
                if let Some(call) =
                    pick(&self.own, script).filter(|_| script.once_in(2)).or(pick(&self.incoming, script))
                {
                    session.send_end(now, call);
                }
            }
            16 => {
                if let Some(call) = pick(&self.incoming, script) {
                    session.accept(now, call);
                }
            }
            17 | 18 => {
                if let Some(call) = pick(&self.incoming, script) {
                    session.set_watch(now, call, payload(script));
                }
            }
            19..=21 => {
                if let Some(call) = pick(&self.incoming, script) {
                    let result = match script.below(3) {
                        0 => Ok(payload(script)),
                        1 => Err(WireFailure::Application(payload(script))),
                        _ => Err(WireFailure::Status(Status::new(Code::Internal, "a bug"))),
                    };
                    session.respond(now, call, result);
                    self.incoming.retain(|it| *it != call);
                }
            }
            22 => {
                if let Some(ticket) = self.notifies.pop() {
                    session.finish_notify(ticket);
                }
            }
            _ if script.once_in(32) => session.close(now, CloseCode::AWAY, "enough"),
            _ => {}
        }
    }

    fn call(&mut self, session: &mut Session, now: Instant, script: &mut Script<'_>) {
        // Notify is no call.
        let method = [0, 1, 2, 3, 5][usize::from(script.below(5))];
        debug_assert!(SERVICE.methods[method].kind != MethodKind::Notify);
        if let Ok(call) = session.call(now, request(method, now, script)) {
            assert!(!self.own.contains(&call), "one id, two calls");
            self.own.push(call);
            if [1, 3, 5].contains(&method) {
                self.streams.push(call);
            }
        }
    }

    fn read(&mut self, session: &mut Session, now: Instant, call: CallId, report: &mut Report) {
        match session.read(now, call) {
            Read::End | Read::Failed(_) if self.streams.contains(&call) => self.forget(call),
            // There is nothing to read in other calls, nor in streams of the other end that were answered.
            Read::End | Read::Failed(_) => {}
            Read::Item(_, buffer) => {
                report.items += 1;
                report.large += usize::from(matches!(buffer, Buffer::Assembled(_)));
            }
            Read::Gap(_) | Read::Pending => {}
        }
    }

    fn forget(&mut self, call: CallId) {
        self.own.retain(|it| *it != call);
        self.streams.retain(|it| *it != call);
    }

    /// The handlers of calls of a link that is gone were dropped.
    pub(crate) fn forget_incoming(&mut self) {
        self.incoming.clear();
        self.notifies.clear();
    }

    /// Takes the ends of streams that failed.
    pub(crate) fn finish(&mut self, session: &mut Session, now: Instant) {
        assert_eq!(self.own.len(), self.streams.len(), "a call without an answer");
        for call in std::mem::take(&mut self.streams) {
            for round in 0.. {
                assert!(round < 65_536, "items for ever");
                match session.read(now, call) {
                    Read::End | Read::Failed(_) => break,
                    Read::Item(..) | Read::Gap(_) => {}
                    Read::Pending => panic!("a stream that was given up has no end"),
                }
            }
        }
        self.own.clear();
    }
}

fn pick(calls: &[CallId], script: &mut Script<'_>) -> Option<CallId> {
    let choice = usize::from(script.byte());
    (!calls.is_empty()).then(|| calls[choice % calls.len()])
}

fn request(method: usize, now: Instant, script: &mut Script<'_>) -> Request {
    Request {
        service: &SERVICE,
        method,
        arguments: Arguments { rkyv: payload(script), recode: |_| Ok(b"{}".to_vec()) },
        deadline: (!script.once_in(3)).then(|| now + Duration::from_millis(script.number() % 30_000)),
        metadata: Vec::new(),
        depth: if script.once_in(8) { script.below(6) } else { 0 },
        once: None,
        queued: None,
    }
}

fn payload(script: &mut Script<'_>) -> Bytes {
    vec![9; script.len().min(MAX_PAYLOAD)].into()
}
