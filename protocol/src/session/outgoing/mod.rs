//! Messages out: control first, then data in the order it came, and one chunk of a large payload beside it.

mod chunks;
mod control;
mod incoming;
mod items;
mod own;
mod queue;

use std::cell::Cell;

use bytes::Bytes;

use super::Session;
use super::caller::WireId;
use super::closing::Phase;
use super::payloads::WHOLE;
use super::sent::COPIED;
use super::services::declaration;
use super::types::Origin;
use super::unsequenced::What;
use crate::Instant;
use crate::envelope::{Encoder, Envelope, Sequenced};

use own::time_left;

pub(super) use queue::{Queue, Turn};

/// A piece of a large payload beside other traffic.
const CHUNK: usize = 32 * 1024;
/// What one envelope may add to a message that is nearly full.
const ONE_MORE: usize = WHOLE + 16 * 1024;

/// What a thread keeps to write messages in, at most: 64 KiB. Source: our choice, as much as most messages have.
const ROOM: usize = 64 * 1024;

thread_local! {
    /// Where messages are written, as nobody knows how long they will be. Empty between two of them, and at most [`ROOM`].
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A message of its own memory. One that is small, or has far less than there is room for, is copied: then it takes what it
/// needs and no more, in one piece, and the room serves the next.
fn cut_out(mut out: Vec<u8>) -> Bytes {
    if out.len() > COPIED && out.len() > out.capacity() / 4 {
        return out.into();
    }
    let message = Bytes::copy_from_slice(&out);
    out.clear();
    if out.capacity() <= ROOM {
        SCRATCH.set(out);
    }
    message
}

impl Session {
    /// The next whole message to hand to the socket, made of all that is ready.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        // Most messages don't grow: some small payload for each turn, and control.
        let turns = self.state.queue.turns.len();
        let mut out = SCRATCH.take();
        out.reserve((turns * 128 + 256).min(32 * 1024));
        let mut encoder = Encoder::new(&mut out);
        let before = self.written();
        match &self.link.phase {
            Phase::Live => {
                self.write_control(now, &mut encoder);
                self.write_data(now, &mut encoder);
                self.write_late_control(now, &mut encoder);
            }
            Phase::HelloDue => self.write_hello(now, &mut encoder),
            Phase::Closing { .. } => self.write_closing(&mut encoder),
            Phase::Idle | Phase::Waiting | Phase::Greeted(_) | Phase::Closed | Phase::Over => {}
        }
        if out.is_empty() {
            SCRATCH.set(out);
            return None;
        }
        let message = cut_out(out);
        let written = self.written();
        if written != before {
            self.state.sent.finish_message(now, &message, written.unsequenced);
        }
        self.counted.messages_out += 1;
        self.counted.bytes_out += message.len() as u64;
        Some(message)
    }

    /// Whether [`poll_transmit`](Self::poll_transmit), which has just given a message, may have another. If not, it has nothing
    /// until something is put in or its time comes.
    #[inline]
    pub fn has_more(&self) -> bool {
        let Self { link, state, .. } = self;
        // Control goes with the first message, but for the credit of items, which waits for a replay.
        !matches!(link.phase, Phase::Live)
            || !state.queue.turns.is_empty()
            || state.transfers.len() > 0
            || state.sent.replays()
            || !state.taken.is_empty()
    }

    fn write_data(&mut self, now: Instant, encoder: &mut Encoder<'_>) {
        if self.state.queue.turns.is_empty() && self.state.transfers.len() == 0 && !self.state.sent.replays()
        {
            return;
        }
        let peer_message = usize::try_from(self.state.peer.message).unwrap_or(usize::MAX);
        let budget = self.gathers().min(peer_message.saturating_sub(ONE_MORE));
        let start = encoder.len();
        if self.state.sent.replays() && !std::mem::replace(&mut self.link.values_came_first, true) {
            self.write_first_values(budget, encoder);
        }
        // What was written before comes again first, and nothing new before all of it.
        while encoder.len() < budget
            && self.link_has_room(encoder.len())
            && let Some((seq, sequenced)) = self.state.sent.next_replayed()
        {
            self.write_again(now, seq, sequenced, encoder);
        }
        if self.state.sent.replays() {
            return;
        }
        // A large payload gets its chunk in every message, however much else there is.
        let small = if self.state.transfers.len() > 0 { budget / 2 } else { budget };
        if encoder.len() > start && encoder.len() >= small {
            // Full of what came again, without room for a chunk.
            return;
        }
        // What bounds it but for the numbers stays as it is until the message is handed over.
        let limits = &self.config.limits;
        let max_envelopes = limits.replay_envelopes;
        let full = small.min(self.state.sent.room(limits.replay_bytes)).min(self.link_room());
        let piece = CHUNK.min(budget / 2).max(1);
        // Else who takes each gap as it comes would leave none that is wide enough for a piece.
        if self.state.transfers.is_next(piece) && self.new_has_room(encoder.len()) {
            self.write_chunk(piece, encoder);
        }
        let others_from = encoder.len();
        while encoder.len() < full && self.state.sent.has_numbers(max_envelopes) {
            let Some(turn) = self.state.queue.turns.pop_front() else { break };
            self.write_turn(now, turn, full, encoder);
        }
        if self.state.queue.is_mostly_forgotten() {
            self.tidy_queue();
        }
        if small == budget && encoder.len() >= budget {
            // What began to travel in chunks with this very message begins with the next.
            return;
        }
        if self.state.transfers.len() > 0 {
            self.state.transfers.count_others(encoder.len() - others_from);
            if self.chunk_has_room(encoder.len()) {
                let chunk = if encoder.len() == start { budget.max(1) } else { piece };
                self.write_chunk(chunk, encoder);
            }
        }
    }

    /// Writes an envelope under the number that it was given on an earlier link.
    // Apart, as `write_own`.
    #[inline(never)]
    fn write_again(&mut self, now: Instant, seq: u64, mut sequenced: Sequenced, encoder: &mut Encoder<'_>) {
        if let Sequenced::Call(open) = &mut sequenced {
            match self.state.wire.get(open.id) {
                // Time went on.
                WireId::Call(call) => {
                    let deadline = self.own.get(call).and_then(|own| own.deadline);
                    open.time_left_ms = deadline.map(|deadline| time_left(now, deadline));
                }
                // Withdrawn since the replay began: without time left, it is refused before it runs.
                _ => open.time_left_ms = Some(0),
            }
        }
        self.counted.envelopes_out += 1;
        encoder.push(&Envelope::Sequenced(seq, sequenced));
    }

    #[inline]
    fn write_sequenced(&mut self, encoder: &mut Encoder<'_>, sequenced: Sequenced) {
        let seq = self.state.sent.next();
        self.counted.envelopes_out += 1;
        encoder.push_sequenced(seq, &sequenced);
    }

    fn write_unsequenced(&mut self, encoder: &mut Encoder<'_>, len: usize, what: What, envelope: &Envelope) {
        self.link.unsequenced.write(len, what);
        self.counted.envelopes_out += 1;
        encoder.push(envelope);
    }

    #[inline]
    fn write_turn(&mut self, now: Instant, turn: Turn, full: usize, encoder: &mut Encoder<'_>) {
        match turn {
            Turn::Call(call) => {
                let had_turn = match call.origin {
                    Origin::Local => self.write_own(now, call, full, encoder),
                    Origin::Remote => self.write_incoming(call, full, encoder),
                };
                if had_turn {
                    self.give_turn(call);
                } else {
                    self.state.queue.forgotten = self.state.queue.forgotten.saturating_sub(1);
                }
            }
            Turn::Parked => self.write_parked(full, encoder),
            Turn::Cancel(wire) => self.write_cancel(wire, encoder),
            Turn::Notify(notify) => self.write_notify(*notify, encoder),
            Turn::Declare(number) => {
                let declaration = declaration(self.services[usize::from(number)]);
                let service = u32::from(number);
                self.write_sequenced(encoder, Sequenced::Declare { service, declaration });
            }
            Turn::Data(sequenced) => self.write_sequenced(encoder, *sequenced),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message that is kept until it is acknowledged held all the room that it might have needed.
    #[test]
    fn a_message_takes_no_more_memory_than_it_needs() {
        for (len, room, is_cut) in [
            (1, 400, true),
            (COPIED, COPIED, true),
            (COPIED + 1, COPIED + 1, false),
            (1000, 3999, false),
            (1000, 4000, true),
            (60_000, 64_000, false),
            (1000, ROOM, true),
            (1000, ROOM + 1, true),
        ] {
            SCRATCH.set(Vec::new());
            let mut out = Vec::with_capacity(room);
            out.resize(len, 7);
            let place = out.as_ptr();
            let message = cut_out(out);
            assert_eq!(message, vec![7; len]);
            assert_eq!(message.as_ptr() != place, is_cut, "{len} of {room}");
            let left = SCRATCH.take();
            let serves = is_cut && room <= ROOM;
            assert_eq!((left.capacity() > 0, left.len()), (serves, 0), "{room} for the next");
        }
    }
}
