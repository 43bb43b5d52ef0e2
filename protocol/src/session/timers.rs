//! Time: deadlines, stalls and the next moment at which something is due.

use super::Session;
use super::assembly::Sink;
use super::caller::{Stage, WireId, earlier};
use super::closing::Phase;
use super::heartbeat::SLEPT;
use super::types::{Failure, Origin, Stop};
use crate::Instant;
use crate::status::{CloseCode, Code, Status};

impl Session {
    /// When [`handle_timeout`](Self::handle_timeout) is due, at the latest. It may turn out that nothing is.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let mut due = earlier(self.link.hello_due, self.own_deadline);
        due = earlier(due, self.incoming_deadline);
        if !matches!(self.link.phase, Phase::Idle | Phase::Closed | Phase::Over) {
            due = earlier(due, self.link.blocked_since.map(|since| since + self.config.timing.write_stall));
        }
        due = earlier(due, self.heartbeat_timeout());
        due = earlier(due, self.arriving_timeout());
        if self.is_live() {
            // What only waits for the socket to take a message needs no second call.
            let waits = |due: &Instant| self.timed_out_at.is_none_or(|at| *due > at);
            due = earlier(due, self.state.received.due().filter(waits));
            due = earlier(due, self.state.taken_due.filter(waits));
            due = earlier(due, self.ack_stalls_at());
            due = earlier(due, self.oldest_assembly().map(|at| at + self.config.timing.assembly_stall));
        }
        due
    }

    /// Whether the next message makes nothing due earlier than it is: an older one waits to be acknowledged, it carries no ping,
    /// and no call of this end whose time may begin with it.
    #[inline]
    pub fn writes_in_time(&self) -> bool {
        self.state.sent.waits() && !self.link.heartbeat.has_ping() && self.own_deadline.is_none()
    }

    /// When what was sent has not been acknowledged for too long.
    fn ack_stalls_at(&self) -> Option<Instant> {
        let (oldest, ahead) = self.state.sent.oldest_with_ahead()?;
        Some(oldest + self.config.timing.ack_stall + self.extra(ahead))
    }

    fn oldest_assembly(&self) -> Option<Instant> {
        if self.state.assemblies.len() == 0 {
            return None;
        }
        let kept = self.state.assemblies.iter().filter(|it| matches!(it.sink, Sink::Keep(..)));
        kept.map(|assembly| assembly.progress).min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.timed_out_at = Some(now);
        self.expire_own(now);
        self.expire_incoming(now);
        if self.link.hello_due.is_some_and(|due| due <= now) {
            self.link.hello_due = None;
            return self.close(now, CloseCode::NO_HELLO, "no handshake in time");
        }
        if self.stalled_since_sleep(now) {
            self.restart_stalls(now);
        }
        let timing = &self.config.timing;
        let is_blocked = self.link.blocked_since.is_some_and(|since| since + timing.write_stall <= now);
        if is_blocked && !matches!(self.link.phase, Phase::Closed) {
            self.link.blocked_since = None;
            return self.give_up_link(now, CloseCode::SLOW, "the socket accepts nothing");
        }
        self.expire_arriving(now);
        if !self.is_live() {
            return;
        }
        if self.ack_stalls_at().is_some_and(|at| at <= now) {
            return self.give_up_link(now, CloseCode::SLOW, "what was sent is not acknowledged");
        }
        self.expire_assemblies(now);
        self.beat(now);
    }

    /// Whether a stall shows so late that this machine slept: then it says nothing about the other end.
    fn stalled_since_sleep(&self, now: Instant) -> bool {
        let timing = &self.config.timing;
        let blocked = self.link.blocked_since.map(|since| since + timing.write_stall);
        let unacknowledged = self.ack_stalls_at();
        let assembling = self.oldest_assembly().map(|at| at + timing.assembly_stall);
        let due = earlier(earlier(blocked, unacknowledged), earlier(assembling, self.arriving_timeout()));
        due.is_some_and(|due| due + SLEPT <= now)
    }

    /// What waits for the other end has waited since now.
    pub(super) fn restart_stalls(&mut self, now: Instant) {
        if let Some(since) = &mut self.link.blocked_since {
            *since = now;
        }
        self.link.progress.restart(now);
        self.state.sent.restart(now);
        self.state.assemblies.restart(now);
    }

    /// The link is closed without waiting for the socket, also where it is being closed already.
    pub(super) fn give_up_link(&mut self, now: Instant, code: CloseCode, reason: &str) {
        if let Phase::Closing { told, .. } = &mut self.link.phase {
            *told = true;
            return;
        }
        self.close(now, code, reason);
    }

    /// The socket does not accept what there is to write.
    pub fn handle_blocked(&mut self, now: Instant) {
        self.link.blocked_since.get_or_insert(now);
    }

    /// The socket accepted bytes.
    pub fn handle_progress(&mut self, _now: Instant) {
        self.link.blocked_since = None;
    }

    fn expire_own(&mut self, now: Instant) {
        if self.own_deadline.is_none_or(|due| due > now) {
            return;
        }
        let mut next = None;
        let mut over = Vec::new();
        for (call, own) in self.own.iter() {
            match own.deadline {
                Some(_) if matches!(own.stage, Stage::Over(_)) => {}
                Some(deadline) if deadline <= now => over.push((call, own.delivery())),
                deadline => next = earlier(next, deadline),
            }
        }
        self.own_deadline = next;
        for (call, delivery) in over {
            self.fail(call, Failure::DeadlineExceeded(delivery));
        }
    }

    fn expire_incoming(&mut self, now: Instant) {
        if self.incoming_deadline.is_none_or(|due| due > now) {
            return;
        }
        let mut next = None;
        let mut over = Vec::new();
        for (call, incoming) in self.incoming.iter() {
            match incoming.deadline {
                Some(deadline) if deadline <= now => over.push(call),
                deadline => next = earlier(next, deadline),
            }
        }
        self.incoming_deadline = next;
        for call in over {
            self.stop(call, Stop::DeadlineExceeded, None);
        }
    }

    /// Large payloads that make no progress end their calls.
    fn expire_assemblies(&mut self, now: Instant) {
        let stall = self.config.timing.assembly_stall;
        if self.oldest_assembly().is_none_or(|at| at + stall > now) {
            return;
        }
        let kept = self.state.assemblies.iter().filter(|it| matches!(it.sink, Sink::Keep(..)));
        let stalled: Vec<_> = kept.filter(|it| it.progress + stall <= now).map(|it| it.wire).collect();
        let status = || Status::new(Code::DeadlineExceeded, "a large payload made no progress");
        for (origin, id) in stalled {
            match origin {
                Origin::Remote => {
                    if let Some(call) = self.incoming.at(id) {
                        self.stop(call, Stop::DeadlineExceeded, Some(status()));
                    }
                }
                Origin::Local => {
                    if let WireId::Call(call) = self.state.wire.get(id) {
                        self.fail(call, Failure::Status(status()));
                    }
                }
            }
        }
    }
}
