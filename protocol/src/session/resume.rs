//! A session that goes on on another link.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::callee::Handling;
use super::caller::{Class, WireId};
use super::closing::Phase;
use super::heartbeat::Heartbeat;
use super::payloads::{WHOLE, Writing};
use super::types::{CallId, Event, Origin, Welcoming};
use super::unsequenced::{SentUnsequenced, What};
use super::{Link, Session};
use crate::Instant;
use crate::codec::Codec;
use crate::envelope::{CallRef, GapReason, Hello, Opener, Outcome, Payload, Resume, Sequenced, Welcome};

/// Closes for cause, without progress in between, after which a session is given up.
const STRIKES: u8 = 2;

impl Session {
    /// Server: whether this session can go on for a client that asks for it so. Changes nothing.
    ///
    /// Whether the token is right, and whose session it is, is for the caller to know.
    ///
    /// # Errors
    ///
    /// The reason of the gap that the client is to be told of.
    pub fn can_resume(&self, resume: &Resume) -> Result<(), GapReason> {
        let Some(identity) = &self.state.identity else { return Err(GapReason::Unknown) };
        if identity.session != resume.session {
            return Err(GapReason::Unknown);
        }
        if identity.epoch != resume.epoch || !self.state.sent.could_be_processed(resume.last_processed) {
            return Err(GapReason::StateLost);
        }
        if identity.declarations != resume.declarations {
            return Err(GapReason::SchemaChanged);
        }
        if self.is_stuck() { Err(GapReason::NoProgress) } else { Ok(()) }
    }

    /// Server: goes on with this session on the link that `hello` came on.
    ///
    /// From here on this machine belongs to that link; what still comes on an older one must not be given to it. Of
    /// `welcoming`, the token, the generation and the table count; the rest is this session's. Does nothing unless
    /// [`can_resume`](Self::can_resume) is true of what the hello asks for.
    pub fn attach(&mut self, now: Instant, hello: &Hello, welcoming: Welcoming) {
        let (Some(resume), Some(identity)) = (&hello.resume, &self.state.identity) else { return };
        if self.can_resume(resume).is_err() {
            return;
        }
        let welcoming = Welcoming {
            session: identity.session,
            epoch: identity.epoch,
            identity: identity.caller,
            ..welcoming
        };
        if !matches!(self.link.phase, Phase::Idle) {
            self.handle_disconnect(now, None);
        }
        let counted = self.counted_on(resume.generation);
        let processed = self.last_processed();
        let welcome = self.make_welcome(welcoming, Outcome::Resumed, Some(processed), counted);
        self.link = Link {
            phase: Phase::Live,
            has_lived: true,
            welcome: Some(Box::new(welcome)),
            heartbeat: Heartbeat::server(now, &self.config.timing, welcoming.session),
            ..Link::new(&self.config)
        };
        if welcoming.once.is_some() {
            self.state.once = welcoming.once;
        }
        if let Some(identity) = &mut self.state.identity {
            identity.generation = welcoming.generation;
        }
        self.take_up(now, resume.last_processed, (resume.generation, resume.unsequenced));
        self.events.push_back(Event::Live { outcome: Outcome::Resumed, session: welcoming.session });
        self.route_offline();
    }

    /// Client: whether the server goes on with the session that this end has.
    pub(super) fn accepts_resume(&self, welcome: &Welcome) -> bool {
        let Some(identity) = &self.state.identity else { return false };
        identity.session == welcome.session
            && identity.epoch == welcome.epoch
            && welcome.generation > identity.generation
            && welcome.identity == identity.caller
            && welcome.peer_last_processed.is_some_and(|seq| self.state.sent.could_be_processed(seq))
    }

    /// Client: the session goes on.
    pub(super) fn go_on(&mut self, now: Instant, welcome: &Welcome) {
        let Some(identity) = &mut self.state.identity else { return };
        let generation = std::mem::replace(&mut identity.generation, welcome.generation);
        identity.token = welcome.token.clone();
        if welcome.once.is_some() {
            self.state.once = welcome.once;
        }
        let processed = welcome.peer_last_processed.unwrap_or_default();
        self.take_up(now, processed, (generation, welcome.peer_unsequenced));
    }

    /// Whether the session was closed for cause again and again, and nothing moved.
    pub(super) fn is_stuck(&self) -> bool {
        self.state.strikes >= STRIKES
    }

    /// How much without numbers arrived on the link of that generation.
    fn counted_on(&self, generation: u64) -> u64 {
        let (of, count) = self.state.counted;
        if of == generation { count } else { 0 }
    }

    /// The link of a session that may go on is gone.
    pub(super) fn detach(&mut self, was_live: bool, unsequenced: SentUnsequenced) {
        let generation = self.state.identity.as_ref().map_or(0, |identity| identity.generation);
        if was_live {
            self.state.unresolved = Some((generation, unsequenced));
            let count = self.state.received.processed().unsequenced;
            if count > 0 {
                self.state.counted = (generation, count);
            }
        }
        self.drop_notifies();
        self.drop_values();
        self.state.taken_due = None;
        let calls: Vec<_> = self.own.ids().chain(self.incoming.ids()).collect();
        for call in calls {
            if let Some(stream) = self.stream_mut(call) {
                stream.writable = false;
            }
            if let Some(own) = self.own.get_mut(call).filter(|_| call.origin == Origin::Local) {
                own.is_stale = own.is_accepted;
            }
            if let Some(incoming) = self.incoming.get_mut(call).filter(|_| call.origin == Origin::Remote) {
                incoming.is_parked = false;
            }
        }
        self.state.parked.clear();
        self.state.values_wait = false;
        if was_live {
            self.events.push_back(Event::Disconnected);
        }
    }

    /// Values of watches travel without numbers: what was under way is gone.
    fn drop_values(&mut self) {
        let reserved = self.state.assemblies.drop_unsequenced();
        self.state.granted.give_back_assembly(reserved);
        for call in self.state.transfers.drop_unsequenced() {
            let Some(incoming) = self.incoming.get_mut(call) else { continue };
            incoming.transfer = Writing::Nothing;
            if let Some(stream) = &mut incoming.stream {
                let value = stream.sending.take();
                stream.latest = stream.latest.take().or(value);
            }
        }
    }

    /// The session goes on behind what the other end processed: `seq` of what has numbers, and of what has none `count`
    /// envelopes on the link of that generation.
    fn take_up(&mut self, now: Instant, seq: u64, (generation, count): (u64, u64)) {
        let lost = self.resolve(generation, count);
        let kept = self.state.sent.rewind(seq);
        self.tell_acknowledged();
        let mut kept = self.withdraw_unprocessed(kept);
        for (call, codec, value) in lost {
            self.restore_value(call, codec, value, &mut kept);
        }
        self.state.sent.replay(kept);
        self.state.received.begin_link();
        self.state.assemblies.restart(now);
        self.state.granted.restate();
        let calls: Vec<_> = self.own.ids().chain(self.incoming.ids()).collect();
        for call in calls {
            self.restate_items(now, call);
            if let Some(own) = self.own.get_mut(call).filter(|_| call.origin == Origin::Local) {
                own.is_stale = false;
            }
            self.give_turn(call);
            self.update_writable(call);
        }
        self.admit_waiting(Class::Call);
        self.admit_waiting(Class::Stream);
        self.grant_large();
    }

    /// What became of the envelopes without numbers; returns the values that did not arrive.
    fn resolve(&mut self, generation: u64, count: u64) -> Vec<(CallId, Codec, Bytes)> {
        let Some((of, unsequenced)) = self.state.unresolved.take() else { return Vec::new() };
        // On a link whose welcome was lost nothing was read.
        let count = if of == generation { count } else { 0 };
        let mut values: Vec<(CallId, Codec, Bytes)> = Vec::new();
        for entry in unsequenced.lost(count) {
            match entry.what {
                What::Notify => self.counted.notifies_dropped += 1,
                // The other end never took it from its window.
                What::Announcement(len) => self.state.assembly_opening.used -= len,
                What::Chunk => {}
                What::Value { call, codec, value } => {
                    values.retain(|(earlier, ..)| *earlier != call);
                    values.push((call, codec, value));
                }
            }
        }
        values
    }

    /// The newest value of a watch did not arrive: it is written again, unless there is a newer one.
    fn restore_value(&mut self, call: CallId, codec: Codec, value: Bytes, kept: &mut [(u64, Sequenced)]) {
        if let Some(incoming) = self.incoming.get_mut(call) {
            let is_wanted = !matches!(incoming.handling, Handling::Stopped(_));
            if let Some(stream) = incoming.stream.as_mut().filter(|_| is_wanted) {
                stream.latest = stream.latest.take().or(Some(value));
            }
            return;
        }
        // The watch has ended since, and its end carries the value. Behind a large one no end was written.
        if value.len() > WHOLE {
            return;
        }
        for (_, sequenced) in kept {
            if let Sequenced::End { call: CallRef { id, opener: Opener::Reader }, last: last @ None } =
                sequenced
                && *id == call.id
            {
                *last = Some((codec, Payload::Whole(value.clone())));
            }
        }
    }

    /// Takes calls out of the replay that were withdrawn and that the other end has not seen: nothing but their
    /// numbers is left.
    fn withdraw_unprocessed(&mut self, kept: Vec<(u64, Sequenced)>) -> Vec<(u64, Sequenced)> {
        let mut calls = HashSet::new();
        // Whose chunks are whose: numbers of transfers come again.
        let mut transfers = HashMap::new();
        let mut replay = Vec::with_capacity(kept.len());
        for (seq, sequenced) in kept {
            let id = match &sequenced {
                Sequenced::Call(open) => {
                    calls.remove(&open.id);
                    if self.release_withdrawn(open.id) {
                        calls.insert(open.id);
                    }
                    Some(open.id)
                }
                Sequenced::Item { call, .. }
                | Sequenced::Cancel { call }
                | Sequenced::Gap { call, .. }
                | Sequenced::End { call, .. } => (call.opener == Opener::Writer).then_some(call.id),
                Sequenced::Chunk(chunk) => transfers.get(&chunk.transfer).copied(),
                _ => None,
            };
            let withdrawn = id.filter(|id| calls.contains(id));
            if let Some(Payload::Chunked { transfer, len }) = sequenced.payload() {
                transfers.remove(transfer);
                if let Some(id) = withdrawn {
                    transfers.insert(*transfer, id);
                    self.state.assembly_opening.used -= len;
                }
            }
            replay.push((
                seq,
                match withdrawn {
                    Some(id) => Sequenced::Void { call: CallRef { id, opener: Opener::Writer } },
                    None => sequenced,
                },
            ));
        }
        replay
    }

    /// Frees the id of a call that the other end never saw and nobody waits for; whether it was such a call.
    fn release_withdrawn(&mut self, wire: u32) -> bool {
        let (transfer, class) = match self.state.wire.get(wire) {
            WireId::Cancelling { transfer, class } => (transfer, class),
            WireId::Cancelled { class } => (None, class),
            WireId::Free | WireId::Call(_) | WireId::Ended { .. } => return false,
        };
        if let Some(transfer) = transfer {
            self.state.transfers.release(transfer);
        }
        self.state.wire.set(wire, WireId::Free);
        self.state.opening[class as usize].used -= 1;
        true
    }

    /// Says again what was taken of a stream's items: at once, for its writer may wait for nothing else.
    fn restate_items(&mut self, now: Instant, call: CallId) {
        let Some(stream) = self.stream_mut(call) else { return };
        if !stream.receive.restate() {
            return;
        }
        if !std::mem::replace(&mut stream.is_taken_listed, true) {
            self.state.taken.push(call);
        }
        self.state.taken_due = Some(now);
    }
}
