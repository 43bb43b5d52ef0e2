//! The end of a link: closed by this end, or lost.

use super::caller::{Ask, Stage, Waiting};
use super::payloads::{Room, Writing};
use super::stream::Outbound;
use super::types::{CallId, Event, Failure, Role, Stop};
use super::{Link, Session, State};
use crate::Instant;
use crate::envelope::{Control, Encoder, Envelope, Hello, Refusal};
use crate::status::CloseCode;

/// Where a link is.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// There is no link.
    #[default]
    Idle,
    /// Client: the hello is to be written.
    HelloDue,
    /// The other end's hello or welcome is waited for.
    Waiting,
    /// Server: the application looks at the hello.
    Greeted(Box<Hello>),
    /// Calls travel.
    Live,
    /// This end closes the link; `told` once the other end was told why.
    Closing { refusal: Refusal, told: bool },
    /// The link is closed, as far as this end goes.
    Closed,
}

impl Phase {
    /// Whether what comes is looked at. After its own close an end only lets the peer talk itself out.
    pub(super) fn reads(&self) -> bool {
        match self {
            Self::HelloDue | Self::Waiting | Self::Greeted(_) | Self::Live => true,
            Self::Idle | Self::Closing { .. } | Self::Closed => false,
        }
    }
}

impl Session {
    /// Closes the link. The other end is told why; then [`poll_close`](Self::poll_close) has the code.
    ///
    /// Calls end with [`handle_disconnect`](Self::handle_disconnect), as when a link is lost.
    pub fn close(&mut self, _now: Instant, code: CloseCode, reason: &str) {
        if !self.link.phase.reads() {
            return;
        }
        // A socket that accepts nothing won't take the explanation either.
        let told = code == CloseCode::SLOW;
        let refusal = Refusal { code, reason: reason.to_owned() };
        self.link.phase = Phase::Closing { refusal, told };
        self.link.hello_due = None;
    }

    /// The code and reason to close the link with, once.
    pub fn poll_close(&mut self) -> Option<Refusal> {
        if !matches!(self.link.phase, Phase::Closing { told: true, .. }) {
            return None;
        }
        match std::mem::replace(&mut self.link.phase, Phase::Closed) {
            Phase::Closing { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    pub(super) fn write_closing(&mut self, encoder: &mut Encoder<'_>) {
        let Phase::Closing { refusal, told } = &mut self.link.phase else { return };
        if !std::mem::replace(told, true) {
            let Refusal { code, reason } = refusal.clone();
            encoder.push(&Envelope::Control(Control::Closing { code, reason }));
        }
    }

    /// The link is gone.
    ///
    /// At a server everything ends. A client keeps what was not yet written and its watches; the rest of its calls
    /// end with what is known about them.
    pub fn handle_disconnect(&mut self, _now: Instant) {
        if matches!(self.link.phase, Phase::Idle) {
            return;
        }
        let had_session = self.state.identity.is_some();
        self.link = Link::default();
        self.sessions = self.sessions.wrapping_add(1);
        let incoming: Vec<_> = self.incoming.ids().collect();
        for call in incoming {
            if let Some(incoming) = self.incoming.remove(call)
                && incoming.is_running()
            {
                self.events.push_back(Event::Stopped { call, reason: Stop::Disconnected });
            }
        }
        self.incoming_deadline = None;
        self.counted.notifies_dropped += self.state.notifies.0 as u64;
        self.state = State::new(&self.config);
        self.waiting = Waiting::default();
        let own: Vec<_> = self.own.ids().collect();
        for call in own {
            self.disconnect_call(call);
        }
        self.requeue();
        if had_session && self.role == Role::Client {
            self.events.push_back(Event::Disconnected);
        }
        if self.role == Role::Server {
            self.link.phase = Phase::Closed;
        }
    }

    /// What the end of the link means for a call of this end.
    fn disconnect_call(&mut self, call: CallId) {
        let Some(own) = self.own.get_mut(call) else { return };
        own.has_turn = false;
        own.transfer = Writing::Nothing;
        own.room = Room::Unneeded;
        own.agreed = None;
        let mut has_items = false;
        if let Some(stream) = &mut own.stream {
            has_items = stream.outbox.iter().any(|it| !matches!(it, Outbound::End));
            stream.disconnect(&self.config);
        }
        let delivery = own.delivery();
        let stage = std::mem::replace(&mut own.stage, Stage::Over(Ok(())));
        own.stage = match stage {
            Stage::Over(result) => return own.stage = Stage::Over(result),
            // Items are encoded for the lost session; a call that has some can't wait for another.
            Stage::Waiting(ask) | Stage::Queued(ask)
                if self.role == Role::Client && own.depth == 0 && !has_items =>
            {
                Stage::Waiting(Ask { encoded: None, ..ask })
            }
            Stage::Opening { again: Some(ask), .. } | Stage::Open { again: Some(ask), .. }
                if self.role == Role::Client =>
            {
                own.is_stale = own.is_accepted;
                Stage::Waiting(Ask { encoded: None, ..*ask })
            }
            _ => {
                let failure = Failure::Disconnected(delivery);
                if own.kind.is_stream() {
                    own.stage = Stage::Over(Err(failure));
                    return self.notify_reader(call);
                }
                self.own.remove(call);
                self.events.push_back(Event::Response { call, result: Err(failure) });
                return;
            }
        };
    }

    /// Lines the calls up that wait for the next session, in the order in which they were made.
    fn requeue(&mut self) {
        let mut calls: Vec<_> = self
            .own
            .iter()
            .filter_map(|(call, own)| match &own.stage {
                Stage::Waiting(ask) => Some((own.order, call, ask.arguments.rkyv.len())),
                _ => None,
            })
            .collect();
        calls.sort_unstable();
        self.waiting.calls = calls.len();
        self.waiting.bytes = calls.iter().map(|(_, _, len)| len).sum();
        self.waiting.offline = calls.into_iter().map(|(_, call, _)| call).collect();
    }
}
