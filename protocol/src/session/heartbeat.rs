//! Pings: whether the other end is still there, and how far away it is.

use std::time::Duration;

use super::Session;
use super::caller::earlier;
use super::closing::Phase;
use super::types::Role;
use crate::Instant;
use crate::limits::Timing;
use crate::status::CloseCode;

/// The least time between two pings of a client. Source: rule of the protocol, so that a server can bound them.
const APART: Duration = Duration::from_secs(5);

/// A timer that fires so much too late means that the machine slept: the other end gets another chance.
pub(super) const SLEPT: Duration = Duration::from_secs(5);

/// The heartbeat of one link.
// In this order: whether a ping is to be written is asked for at each message.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    /// A ping is to be written; it may take so long to be answered.
    due: Option<Duration>,
    /// When something last came from the other end.
    heard: Option<Instant>,
    /// When the hello was written.
    greeted: Option<Instant>,
    /// Server: when the next ping goes.
    next: Option<Instant>,
    /// Client: after how much silence it asks.
    silence: Option<Duration>,
    asked: Option<Asked>,
    /// Client: a ping after a wake-up that came too soon after the last one.
    probe: Option<Instant>,
    nonce: u64,
    round_trip: Option<Duration>,
}

/// A ping that was written and not answered.
#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Instant,
    until: Instant,
    is_open: bool,
}

impl Heartbeat {
    /// Of a server: the first ping goes at a moment in the first interval that differs between sessions, so that a
    /// restart does not make all of them beat at once.
    pub(super) fn server(now: Instant, timing: &Timing, session: u128) -> Self {
        let part = (session % 1024) as u32;
        let next = (!timing.ping.is_zero()).then(|| now + timing.ping * part / 1024);
        Self { heard: Some(now), next, ..Self::default() }
    }

    pub(super) fn handle_hello(&mut self, now: Instant) {
        self.greeted = Some(now);
    }

    /// Of a client. The first round trip is that of the handshake.
    pub(super) fn handle_welcome(&mut self, now: Instant, timing: &Timing, heartbeat_ms: u64) {
        let promised = Duration::from_millis(heartbeat_ms).saturating_add(timing.pong);
        self.silence = Some(timing.silence.max(if heartbeat_ms == 0 { Duration::ZERO } else { promised }));
        self.heard = Some(now);
        self.round_trip = self.greeted.map(|at| now.saturating_duration_since(at));
    }

    pub(super) fn handle_message(&mut self, now: Instant) {
        self.heard = Some(now);
        if let Some(asked) = &mut self.asked {
            asked.is_open = false;
        }
    }

    /// A client asks with each ping of the server how far away that is.
    pub(super) fn handle_ping(&mut self, now: Instant, timing: &Timing) {
        if self.silence.is_some() && self.may_ask(now) {
            self.due.get_or_insert(timing.pong);
        }
    }

    pub(super) fn handle_pong(&mut self, now: Instant, nonce: u64) {
        if let Some(asked) = self.asked
            && nonce == self.nonce
        {
            self.round_trip = Some(now.saturating_duration_since(asked.at));
        }
    }

    /// A client woke up: asks at once, as long as its pings stay apart.
    fn wake(&mut self, now: Instant, timing: &Timing) {
        match &mut self.asked {
            Some(asked) if asked.at + APART > now => {
                if asked.is_open {
                    asked.until = asked.until.min(now + timing.wake);
                } else {
                    self.probe = Some(asked.at + APART);
                }
            }
            _ => {
                self.asked = None;
                self.due = Some(timing.wake);
            }
        }
    }

    fn may_ask(&self, now: Instant) -> bool {
        self.asked.is_none_or(|asked| asked.at + APART <= now)
    }

    /// Whether a ping is to be written.
    pub(super) fn has_ping(&self) -> bool {
        self.due.is_some()
    }

    /// The ping to write, by its nonce. Its answer has to come `extra` later than usual.
    pub(super) fn take_ping(&mut self, now: Instant, extra: Duration) -> Option<u64> {
        let wait = self.due.take()? + extra;
        self.nonce += 1;
        self.asked = Some(Asked { at: now, until: now + wait, is_open: true });
        Some(self.nonce)
    }

    /// The next moment at which something is due; `oldest` is when the oldest unanswered envelope was written.
    fn timeout(&self, timing: &Timing, oldest: Option<Instant>) -> Option<Instant> {
        if self.due.is_some() {
            return None;
        }
        if let Some(asked) = self.asked.filter(|asked| asked.is_open) {
            return Some(asked.until);
        }
        let asks = match (self.silence, self.heard) {
            (Some(silence), Some(heard)) => {
                let unanswered = oldest.map(|at| at.max(heard) + timing.unanswered);
                let asks = earlier(Some(heard + silence), unanswered);
                let apart = self.asked.map(|asked| asked.at + APART);
                asks.max(apart)
            }
            _ => None,
        };
        earlier(earlier(self.next, self.probe), asks)
    }

    /// Whether the other end is gone.
    fn handle_timeout(&mut self, now: Instant, timing: &Timing, oldest: Option<Instant>) -> bool {
        if self.timeout(timing, oldest).is_none_or(|due| due > now) {
            return false;
        }
        if let Some(asked) = self.asked.filter(|asked| asked.is_open) {
            if asked.until + SLEPT > now {
                return true;
            }
            self.due = Some(timing.wake);
            return false;
        }
        let probes = self.probe.take_if(|at| *at <= now).is_some();
        self.due = Some(if probes { timing.wake } else { timing.pong });
        if let Some(next) = &mut self.next {
            while *next <= now {
                *next += timing.ping;
            }
        }
        false
    }
}

impl Session {
    /// How long the last ping of this end took to be answered; at a client before the first one, how long the handshake
    /// took. `None` without a link.
    pub fn round_trip(&self) -> Option<Duration> {
        self.link.heartbeat.round_trip
    }

    /// The machine slept, or the network came back: deadlines that have passed are found first, then the other end is
    /// asked whether it is still there, and has [`Timing::wake`] to answer.
    pub fn handle_wake(&mut self, now: Instant) {
        if self.is_live() && self.role == Role::Client {
            // Before the timers: those of the link are late, and the link may well be alive.
            self.link.heartbeat.wake(now, &self.config.timing);
            self.restart_stalls(now);
        }
        self.handle_timeout(now);
    }

    pub(super) fn heartbeat_timeout(&self) -> Option<Instant> {
        let Phase::Live = self.link.phase else { return None };
        self.link.heartbeat.timeout(&self.config.timing, self.state.sent.oldest())
    }

    pub(super) fn beat(&mut self, now: Instant) {
        let oldest = self.state.sent.oldest();
        if self.link.heartbeat.handle_timeout(now, &self.config.timing, oldest) {
            self.give_up_link(now, CloseCode::NO_PONG, "no answer to a ping");
        }
    }
}
