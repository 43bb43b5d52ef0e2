//! Hello and welcome.

use super::closing::Phase;
use super::credit::Allowance;
use super::services::{Agreement, declaration};
use super::types::{Event, Role, SessionIds};
use super::{Identity, Link, Session, State};
use crate::Instant;
use crate::envelope::{Control, Encoder, Envelope, GapReason, Hello, Outcome, VERSION, Welcome, WireLimits};
use crate::status::CloseCode;

/// The smallest bound on messages that an end may state: the largest envelope, and room for control beside it.
pub(super) const MIN_MESSAGE: usize = 96 * 1024;

impl Session {
    /// A new link is there. A client says hello; a server waits for one.
    pub fn handle_connected(&mut self, now: Instant) {
        if !matches!(self.link.phase, Phase::Idle) {
            return;
        }
        let phase = match self.role {
            Role::Client => Phase::HelloDue,
            Role::Server => Phase::Waiting,
        };
        self.link = Link { phase, hello_due: Some(now + self.config.timing.hello), ..Link::default() };
        self.attempt += 1;
    }

    pub(super) fn write_hello(&mut self, encoder: &mut Encoder<'_>) {
        let declarations = self.services.iter().map(|service| declaration(service)).collect();
        for _ in &self.services {
            self.state.agreements.push(Agreement::Pending(Vec::new()));
        }
        let hello = Hello {
            versions: vec![VERSION],
            instance: self.instance,
            attempt: self.attempt,
            credentials: Default::default(),
            declarations,
            limits: self.wire_limits(),
            resume: None,
        };
        encoder.push(&Envelope::Control(Control::Hello(hello)));
        self.link.phase = Phase::Waiting;
    }

    /// What this end states about itself.
    fn wire_limits(&self) -> WireLimits {
        let limits = &self.config.limits;
        WireLimits {
            calls: limits.calls,
            streams: limits.streams,
            stream_window: limits.stream_window as u64,
            message: self.message_in() as u64,
            payload: limits.payload_in as u64,
            assembly: limits.assembly.max(limits.payload_in) as u64,
            replay: limits.replay_bytes as u64,
        }
    }

    pub(super) fn handle_hello(&mut self, now: Instant, hello: Hello) {
        if self.role != Role::Server || !matches!(self.link.phase, Phase::Waiting) {
            return self.close(now, CloseCode::MALFORMED, "a hello where none is due");
        }
        if !hello.versions.contains(&VERSION) {
            let reason = format!("version {VERSION} of the envelope format is spoken here");
            return self.close(now, CloseCode::VERSION, &reason);
        }
        if hello.limits.message < MIN_MESSAGE as u64 {
            return self.close(now, CloseCode::MALFORMED, "the limit of messages is below 96 KiB");
        }
        self.link.hello_due = None;
        self.link.phase = Phase::Greeted(Box::new(hello.clone()));
        self.events.push_back(Event::Hello(Box::new(hello)));
    }

    /// Server: takes the client in. The session is live.
    ///
    /// Does nothing unless a hello waits for it.
    pub fn welcome(&mut self, _now: Instant, ids: SessionIds) {
        if !matches!(self.link.phase, Phase::Greeted(_)) {
            return;
        }
        let Phase::Greeted(hello) = std::mem::replace(&mut self.link.phase, Phase::Live) else { return };
        let lost_from = hello.resume.as_ref().map(|resume| resume.last_processed.saturating_add(1));
        let outcome = match lost_from {
            // Sessions end with their links as yet, so there is none to continue.
            Some(lost_from) => Outcome::Gap { reason: GapReason::Unknown, lost_from, lost_to: None },
            None => Outcome::New,
        };
        let welcome = Welcome {
            version: VERSION,
            session: ids.session,
            token: bytes::Bytes::copy_from_slice(&ids.token).into(),
            epoch: ids.epoch,
            generation: 1,
            outcome,
            peer_last_processed: None,
            limits: self.wire_limits(),
            heartbeat_ms: 0,
            once: None,
        };
        self.begin(hello.limits, &welcome);
        self.link.welcome = Some(Box::new(welcome));
        for declaration in &hello.declarations {
            self.accept_declaration(declaration);
        }
        self.events.push_back(Event::Live { outcome, session: ids.session });
        self.route_offline();
    }

    pub(super) fn write_welcome(&mut self, encoder: &mut Encoder<'_>) {
        if let Some(welcome) = self.link.welcome.take() {
            encoder.push(&Envelope::Control(Control::Welcome(*welcome)));
        }
    }

    pub(super) fn handle_welcome(&mut self, now: Instant, welcome: Welcome) {
        if self.role != Role::Client || !matches!(self.link.phase, Phase::Waiting) {
            return self.close(now, CloseCode::MALFORMED, "a welcome where none is due");
        }
        if welcome.version != VERSION {
            return self.close(now, CloseCode::VERSION, "a welcome in a version that was not offered");
        }
        if welcome.limits.message < MIN_MESSAGE as u64 {
            return self.close(now, CloseCode::MALFORMED, "the limit of messages is below 96 KiB");
        }
        if welcome.outcome == Outcome::Resumed {
            return self.close(now, CloseCode::MALFORMED, "a session goes on that nobody asked for");
        }
        self.link.hello_due = None;
        self.link.phase = Phase::Live;
        self.begin(welcome.limits, &welcome);
        self.events.push_back(Event::Live { outcome: welcome.outcome, session: welcome.session });
        self.route_offline();
    }

    /// Makes the state of a new session; what hello or welcome already declared stays.
    fn begin(&mut self, peer: WireLimits, welcome: &Welcome) {
        let agreements = std::mem::take(&mut self.state.agreements);
        let received = super::acks::Received::new(peer.replay);
        self.state = State {
            peer,
            identity: Some(Identity {
                session: welcome.session,
                token: welcome.token.clone(),
                epoch: welcome.epoch,
                generation: welcome.generation,
            }),
            received,
            agreements,
            opening: [Allowance::new(u64::from(peer.calls)), Allowance::new(u64::from(peer.streams))],
            assembly_opening: Allowance::new(peer.assembly),
            ..State::new(&self.config)
        };
    }
}
