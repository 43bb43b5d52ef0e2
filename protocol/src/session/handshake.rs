//! Hello and welcome.

use super::closing::Phase;
use super::credit::Allowance;
use super::heartbeat::Heartbeat;
use super::services::{Agreement, declaration};
use super::types::{Event, Role, Welcoming};
use super::{Identity, Link, Session, State};
use crate::Instant;
use crate::envelope::{
    Control, Declaration, Encoder, Envelope, GapReason, Hello, Outcome, Resume, VERSION, Welcome, WireLimits,
};
use crate::schema::Hasher;
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
        self.link =
            Link { phase, hello_due: Some(now + self.config.timing.hello), ..Link::new(&self.config) };
        self.attempt += 1;
    }

    pub(super) fn write_hello(&mut self, now: Instant, encoder: &mut Encoder<'_>) {
        let resume = self.resume();
        self.link.asked = resume.is_some();
        self.link.declared = self.services.len();
        let hello = Hello {
            versions: vec![VERSION],
            instance: self.instance,
            attempt: self.attempt,
            credentials: self.credentials.clone(),
            declarations: self.services.iter().map(|service| declaration(service)).collect(),
            limits: self.wire_limits(),
            resume,
        };
        encoder.push(&Envelope::Control(Control::Hello(Box::new(hello))));
        self.link.phase = Phase::Waiting;
        self.link.heartbeat.handle_hello(now);
    }

    /// The session to ask for, unless it is to be given up.
    fn resume(&self) -> Option<Resume> {
        let identity = self.state.identity.as_ref().filter(|_| !self.is_stuck())?;
        let processed = self.state.received.processed();
        Some(Resume {
            session: identity.session,
            token: identity.token.clone(),
            epoch: identity.epoch,
            last_processed: processed.seq,
            declarations: identity.declarations,
            generation: identity.generation,
            unsequenced: processed.unsequenced,
        })
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

    pub(super) fn handle_hello(&mut self, now: Instant, hello: Box<Hello>) {
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
        self.link.phase = Phase::Greeted(hello.clone());
        self.events.push_back(Event::Hello(hello));
    }

    /// Server: begins a new session with the client that said hello. It is live.
    ///
    /// Does nothing unless a hello waits for it.
    pub fn welcome(&mut self, now: Instant, welcoming: Welcoming) {
        if !matches!(self.link.phase, Phase::Greeted(_)) {
            return;
        }
        let Phase::Greeted(hello) = std::mem::replace(&mut self.link.phase, Phase::Live) else { return };
        self.link.has_lived = true;
        let Welcoming { session, outcome, .. } = welcoming;
        let welcome = self.make_welcome(welcoming, outcome, welcoming.peer_last_processed, 0);
        self.begin(hello.limits, &welcome, digest(&hello.declarations));
        self.link.heartbeat = Heartbeat::server(now, &self.config.timing, session);
        self.link.welcome = Some(Box::new(welcome));
        for declaration in &hello.declarations {
            self.accept_declaration(declaration);
        }
        self.events.push_back(Event::Live { outcome, session });
        self.route_offline();
    }

    pub(super) fn make_welcome(
        &self,
        welcoming: Welcoming,
        outcome: Outcome,
        peer_last_processed: Option<u64>,
        peer_unsequenced: u64,
    ) -> Welcome {
        let heartbeat_ms = u64::try_from(self.config.timing.ping.as_millis()).unwrap_or(u64::MAX);
        Welcome {
            version: VERSION,
            session: welcoming.session,
            token: bytes::Bytes::copy_from_slice(&welcoming.token).into(),
            epoch: welcoming.epoch,
            generation: welcoming.generation,
            outcome,
            peer_last_processed,
            peer_unsequenced,
            limits: self.wire_limits(),
            heartbeat_ms,
            once: welcoming.once.or(self.state.once),
            identity: welcoming.identity,
        }
    }

    pub(super) fn write_welcome(&mut self, encoder: &mut Encoder<'_>) {
        if let Some(welcome) = self.link.welcome.take() {
            encoder.push(&Envelope::Control(Control::Welcome(welcome)));
        }
    }

    pub(super) fn handle_welcome(&mut self, now: Instant, welcome: Box<Welcome>) {
        if self.role != Role::Client || !matches!(self.link.phase, Phase::Waiting) {
            return self.close(now, CloseCode::MALFORMED, "a welcome where none is due");
        }
        if welcome.version != VERSION {
            return self.close(now, CloseCode::VERSION, "a welcome in a version that was not offered");
        }
        if welcome.limits.message < MIN_MESSAGE as u64 {
            return self.close(now, CloseCode::MALFORMED, "the limit of messages is below 96 KiB");
        }
        if welcome.outcome == Outcome::Resumed && !self.link.asked {
            return self.close(now, CloseCode::MALFORMED, "a session goes on that nobody asked for");
        }
        if welcome.outcome == Outcome::Resumed && !self.accepts_resume(&welcome) {
            // Whatever it is that the server goes on with, it is not this session.
            self.state.strikes = u8::MAX;
            return self.close(now, CloseCode::OUT_OF_STEP, "the session that goes on is another one");
        }
        self.link.hello_due = None;
        self.link.phase = Phase::Live;
        self.link.has_lived = true;
        self.link.ack_due = true;
        self.link.heartbeat.handle_welcome(now, &self.config.timing, welcome.heartbeat_ms);
        let outcome = match welcome.outcome {
            Outcome::Resumed => {
                self.go_on(now, &welcome);
                Outcome::Resumed
            }
            outcome => self.begin_anew(&welcome, outcome),
        };
        self.events.push_back(Event::Live { outcome, session: welcome.session });
        self.route_offline();
    }

    /// The welcome tells of a new session; returns what became of the old one.
    fn begin_anew(&mut self, welcome: &Welcome, outcome: Outcome) -> Outcome {
        let lost_from = self.last_processed().saturating_add(1);
        let had_session = self.state.identity.is_some();
        // A server that no longer knows the session can't tell whose it was.
        let is_another = self.caller.replace(welcome.identity).is_some_and(|it| it != welcome.identity);
        let outcome = match outcome {
            Outcome::Gap { lost_from, lost_to, .. } if is_another => {
                Outcome::Gap { reason: GapReason::IdentityChanged, lost_from, lost_to }
            }
            _ if is_another => Outcome::Gap { reason: GapReason::IdentityChanged, lost_from, lost_to: None },
            // This end gave its session up, and did not ask for it.
            Outcome::New if had_session => {
                Outcome::Gap { reason: GapReason::NoProgress, lost_from, lost_to: None }
            }
            outcome => outcome,
        };
        if had_session || is_another {
            let asks_again = !matches!(outcome, Outcome::Gap { reason: GapReason::IdentityChanged, .. });
            self.lose(welcome.peer_last_processed, asks_again);
        }
        let declarations: Vec<_> =
            self.services[..self.link.declared].iter().map(|service| declaration(service)).collect();
        self.begin(welcome.limits, welcome, digest(&declarations));
        self.state.agreements = declarations.iter().map(|_| Agreement::Pending(Vec::new())).collect();
        outcome
    }

    /// Makes the state of a new session.
    fn begin(&mut self, peer: WireLimits, welcome: &Welcome, declarations: u128) {
        self.state = State {
            peer,
            identity: Some(Identity {
                session: welcome.session,
                token: welcome.token.clone(),
                epoch: welcome.epoch,
                generation: welcome.generation,
                declarations,
                caller: welcome.identity,
            }),
            once: welcome.once,
            received: super::received::Received::new(peer.replay),
            opening: [Allowance::new(u64::from(peer.calls)), Allowance::new(u64::from(peer.streams))],
            assembly_opening: Allowance::new(peer.assembly),
            ..State::new(&self.config)
        };
    }
}

/// One digest over the declarations of a hello.
pub(super) fn digest(declarations: &[Declaration]) -> u128 {
    let empty = Hasher::new("declarations");
    declarations.iter().fold(empty, |digest, it| digest.field(&it.name, it.digest)).finish()
}
