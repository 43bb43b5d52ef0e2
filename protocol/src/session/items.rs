//! Items of streams, in both directions and at both ends: credit, order, reading and writing.

use bytes::Bytes;

use super::Session;
use super::answers::reserved_by;
use super::assembly::Purpose;
use super::batch::{Batch, SMALL};
use super::callee::{Handling, Incoming};
use super::caller::{Own, Stage, WireId, earlier, too_large};
use super::payloads::PINNED_BY_ITEM;
use super::run::Run;
use super::stream::{Inbound, Items, Outbound, Stream, cost};
use super::table::Table;
use super::types::{CallId, Event, Failure, Origin, Read};
use crate::Instant;
use crate::codec::{Buffer, Codec};
use crate::envelope::{CallRef, Decoder, Opener, Payload};
use crate::schema::MethodKind;
use crate::status::CloseCode;

/// The first of several items that is too large: which, where it starts, and how long it is.
fn first_above(max: usize, bytes: &Bytes, ends: &[usize]) -> Option<(usize, (usize, usize))> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let ends = ends.iter().copied().chain([bytes.len()]);
    starts.zip(ends).map(|(start, end)| (start, end - start)).enumerate().find(|(_, (_, len))| *len > max)
}

/// The stream of a call, for who needs other parts of its session beside it.
#[inline]
pub(super) fn stream_of<'a>(
    own: &'a mut Table<Own>,
    incoming: &'a mut Table<Incoming>,
    call: CallId,
) -> Option<&'a mut Stream> {
    match call.origin {
        Origin::Local => own.get_mut(call)?.stream.as_deref_mut(),
        Origin::Remote => incoming.get_mut(call)?.stream.as_deref_mut(),
    }
}

impl Session {
    pub(super) fn stream_mut(&mut self, call: CallId) -> Option<&mut Stream> {
        stream_of(&mut self.own, &mut self.incoming, call)
    }

    /// The codec of the next item, when one may be sent now: the session is live, the codec is agreed, there is credit.
    ///
    /// `None` while not; then [`Event::Writable`] follows, unless the call ends.
    pub fn capacity(&self, call: CallId) -> Option<Codec> {
        self.ready_sender(call).map(|(codec, _)| codec)
    }

    fn ready_sender(&self, call: CallId) -> Option<(Codec, &Stream)> {
        if !self.is_live() {
            return None;
        }
        let bound = self.config.limits.stream_window_max as u64;
        self.sender(call).filter(|(_, stream)| !stream.sent_end && stream.may_queue(bound))
    }

    /// Begins an empty run, to be filled with items that are sent together; `false` where [`capacity`](Self::capacity) is `None`.
    pub fn begin_run(&self, call: CallId, run: &mut Run) -> bool {
        let Some((codec, stream)) = self.ready_sender(call) else { return false };
        run.begin(codec, stream.queued, stream.send, self.config.limits.stream_window_max as u64);
        true
    }

    /// The stream of a call whose items this end may still send, now or when the session is live again, and their codec: the
    /// link may be lost between a look at [`capacity`](Self::capacity) and the item that was made because of it.
    fn sender(&self, call: CallId) -> Option<(Codec, &Stream)> {
        match call.origin {
            Origin::Local => {
                let own = self.own.get(call)?;
                Some((own.sends_items()?, own.stream.as_deref()?))
            }
            Origin::Remote => {
                let incoming = self.incoming.get(call)?;
                Some((incoming.sends_items()?, incoming.stream.as_deref()?))
            }
        }
    }

    /// The same, unless they are over.
    fn sender_mut(&mut self, call: CallId) -> Option<&mut Stream> {
        let stream = match call.origin {
            Origin::Local => {
                let own = self.own.get_mut(call)?;
                own.sends_items().and(own.stream.as_deref_mut())?
            }
            Origin::Remote => {
                let incoming = self.incoming.get_mut(call)?;
                incoming.sends_items().and(incoming.stream.as_deref_mut())?
            }
        };
        (!stream.sent_end).then_some(stream)
    }

    /// Sends one item, encoded with the codec that [`capacity`](Self::capacity) gave.
    ///
    /// At the callee it accepts the stream, if that was not done. An item that the other end does not take in, because
    /// of its size, fails the call.
    pub fn send_item(&mut self, _now: Instant, call: CallId, item: Bytes) {
        self.send_items(call, item, Vec::new());
    }

    /// Sends the items of a run, as [`send_item`](Self::send_item) does with one. The run is empty then, and
    /// [begins](Self::begin_run) anew: says whether it did. Nothing of this depends on the time, which costs as much to find out.
    pub fn send_run(&mut self, call: CallId, run: &mut Run) -> bool {
        let (items, bytes, ends) = run.take_parts();
        if items > 0 {
            self.send_items(call, bytes, ends);
        }
        self.begin_run(call, run)
    }

    fn send_items(&mut self, call: CallId, mut bytes: Bytes, mut ends: Vec<usize>) {
        let max = self.state.peer_payload();
        // All of them together mostly have no more than one may have.
        let refused = if bytes.len() > max { first_above(max, &bytes, &ends) } else { None };
        if let Some((place, (start, len))) = refused {
            if self.sender(call).is_none() {
                return;
            }
            if place == 0 {
                return self.end_behind(call, too_large("an item", len, max));
            }
            // What came before it still goes.
            bytes.truncate(start);
            ends.truncate(place - 1);
        }
        let bound = self.config.limits.stream_window_max as u64;
        let is_live = self.is_live();
        let Some(stream) = self.sender_mut(call) else { return };
        stream.queued += cost(bytes.len()) + ends.len() as u64 * cost(0);
        stream.outbox.push_back(Outbound::Items(Items::new(bytes, ends)));
        // As `capacity` has it: a writer that waits for the next link is told only when this changes.
        stream.writable = is_live && stream.may_queue(bound);
        self.accept_stream(call);
        self.give_turn(call);
        if let Some((_, (_, len))) = refused {
            self.end_behind(call, too_large("an item", len, max));
        }
    }

    /// Tells the reader that items are missing here.
    pub fn send_gap(&mut self, now: Instant, call: CallId, missed: u64) {
        let Some(stream) = self.sender_mut(call) else { return };
        match stream.outbox.back_mut() {
            Some(Outbound::Gap(earlier)) => *earlier = earlier.saturating_add(missed),
            _ => stream.outbox.push_back(Outbound::Gap(missed)),
        }
        self.accept(now, call);
        self.give_turn(call);
    }

    /// The items of this end are over: a caller's upload, or a callee's stream, which ends the call.
    pub fn send_end(&mut self, _now: Instant, call: CallId) {
        match call.origin {
            Origin::Remote => self.finish_stream(call),
            Origin::Local => {
                if self.sender(call).is_none() && !self.uploads_later(call) {
                    return;
                }
                let Some(stream) = self.stream_mut(call).filter(|stream| !stream.sent_end) else { return };
                stream.sent_end = true;
                stream.writable = false;
                stream.outbox.push_back(Outbound::End);
                self.give_turn(call);
            }
        }
    }

    /// Whether a call that can't send items yet will.
    fn uploads_later(&self, call: CallId) -> bool {
        let own = self.own.get(call);
        own.is_some_and(|own| own.kind.has_upload() && matches!(own.stage, Stage::Waiting))
    }

    /// Takes the next thing that came in a stream. Taking an item returns its credit.
    pub fn read(&mut self, now: Instant, call: CallId) -> Read {
        let Some(stream) = self.stream_mut(call) else { return Read::Failed(Failure::Closed) };
        match stream.inbox.pop_front() {
            Some(Inbound::Gap(missed)) => Read::Gap(missed),
            Some(Inbound::Item { codec, buffer, reserved }) => {
                let taken = cost(buffer.len());
                self.state.granted.give_back_assembly(reserved);
                self.take_item(now, call, taken);
                Read::Item(codec, buffer)
            }
            Some(Inbound::Items(mut batch)) => {
                let codec = batch.codec();
                let item = Bytes::copy_from_slice(batch.take_next().unwrap_or_default());
                let taken = cost(item.len());
                if !batch.is_empty() {
                    batch.forget(taken);
                    stream.inbox.push_front(Inbound::Items(batch));
                }
                self.take_item(now, call, taken);
                Read::Item(codec, Buffer::Small(item))
            }
            None => self.read_end(call),
        }
    }

    /// As [`read`](Self::read), but small items are taken many at a time, into `batch`: then this is `None`.
    ///
    /// Called with an empty batch only: the credit of all that was in it returns. Items that are in a batch count as held
    /// by the session until then.
    pub fn read_batch(&mut self, now: Instant, call: CallId, batch: &mut Batch) -> Option<Read> {
        let used = std::mem::take(batch).cost();
        if used > 0 {
            if let Some(stream) = self.stream_mut(call) {
                stream.lent = stream.lent.saturating_sub(used);
            }
            self.take_item(now, call, used);
        }
        if let Some(stream) = self.stream_mut(call)
            && matches!(stream.inbox.front(), Some(Inbound::Items(_)))
            && let Some(Inbound::Items(next)) = stream.inbox.pop_front()
        {
            stream.lent += next.cost();
            *batch = next;
            return None;
        }
        Some(self.read(now, call))
    }

    fn read_end(&mut self, call: CallId) -> Read {
        match call.origin {
            Origin::Local => {
                let Some(own) = self.own.get_mut(call) else { return Read::Failed(Failure::Closed) };
                if !matches!(own.stage, Stage::Over(_)) {
                    if let Some(stream) = &mut own.stream {
                        stream.wants_read = true;
                    }
                    return Read::Pending;
                }
                let Some(mut own) = self.own.remove(call) else { return Read::Failed(Failure::Closed) };
                if let Some(stream) = &mut own.stream {
                    self.drop_stream(stream);
                }
                match own.stage {
                    Stage::Over(Err(failure)) => Read::Failed(failure),
                    _ => Read::End,
                }
            }
            Origin::Remote => {
                let Some(incoming) = self.incoming.get_mut(call) else {
                    return Read::Failed(Failure::Closed);
                };
                let runs = matches!(incoming.handling, Handling::Running);
                match &mut incoming.stream {
                    _ if !runs => Read::Failed(Failure::Closed),
                    Some(stream) if stream.received_end => Read::End,
                    Some(stream) => {
                        stream.wants_read = true;
                        Read::Pending
                    }
                    None => Read::End,
                }
            }
        }
    }

    /// Books an item that was read, and tells its writer when that is due.
    fn take_item(&mut self, now: Instant, call: CallId, taken: u64) {
        let is_open = match call.origin {
            Origin::Local => self
                .own
                .get(call)
                .is_some_and(|own| own.kind != MethodKind::Watch && !matches!(own.stage, Stage::Over(_))),
            Origin::Remote => true,
        };
        if !is_open {
            return;
        }
        let Self { own, incoming, config, state, .. } = self;
        let Some(stream) = stream_of(own, incoming, call) else { return };
        stream.receive.take(taken);
        let more = stream.receive.grow(&config.limits, state.extra_window);
        let is_due = stream.receive.is_due();
        let is_listed = std::mem::replace(&mut stream.is_taken_listed, true);
        self.state.extra_window += more;
        if !is_listed {
            self.state.taken.push(call);
        }
        let due = if is_due { now } else { now + stream.receive.patience() };
        self.state.taken_due = earlier(self.state.taken_due, Some(due));
    }

    /// An item came for a call that wants items.
    pub(super) fn receive_item(
        &mut self,
        now: Instant,
        call: CallId,
        wire: (Origin, u32),
        codec: Codec,
        payload: Payload,
    ) {
        let len = match &payload {
            Payload::Whole(bytes) => bytes.len(),
            Payload::Chunked { len, .. } => usize::try_from(*len).unwrap_or(usize::MAX / 2),
        };
        let Some(stream) = self.stream_mut(call) else { return };
        if stream.receive.receive(cost(len)).is_err() {
            return self.close(now, CloseCode::MALFORMED, "more items than allowed");
        }
        match payload {
            Payload::Whole(bytes) if bytes.len() <= SMALL => {
                stream.push_small(codec, &bytes);
                self.notify_reader(call);
            }
            Payload::Whole(bytes) => self.deliver_item(call, codec, self.keep(bytes, PINNED_BY_ITEM)),
            Payload::Chunked { transfer, len } => {
                self.begin_assembly(now, wire, transfer, len, Purpose::Item(call, codec));
            }
        }
    }

    /// Takes in the small items behind one that was taken in, as long as they are of the same call and codec: what is known
    /// of the first holds for them.
    pub(super) fn receive_run(&mut self, now: Instant, of: CallRef, codec: Codec, decoder: &mut Decoder) {
        let call = match of.opener {
            Opener::Reader => match self.state.wire.get(of.id) {
                WireId::Call(call) => Some(call),
                _ => None,
            },
            Opener::Writer => self.incoming.at(of.id).filter(|call| {
                self.incoming.get(*call).is_some_and(|it| matches!(it.handling, Handling::Running))
            }),
        };
        let Some(call) = call else { return };
        let Self { own, incoming, state, counted, .. } = self;
        let stream = stream_of(own, incoming, call).filter(|stream| !stream.received_end);
        let Some(stream) = stream else { return };
        while let Some(item) = decoder.next_item(of, codec, SMALL) {
            counted.envelopes_in += 1;
            state.received.accept_next();
            if stream.receive.receive(cost(item.len())).is_err() {
                return self.close(now, CloseCode::MALFORMED, "more items than allowed");
            }
            stream.push_small(codec, item);
        }
    }

    pub(super) fn deliver_item(&mut self, call: CallId, codec: Codec, buffer: Buffer) {
        let reserved = reserved_by(&buffer);
        match self.stream_mut(call) {
            Some(stream) => stream.inbox.push_back(Inbound::Item { codec, buffer, reserved }),
            None => self.state.granted.give_back_assembly(reserved),
        }
        self.notify_reader(call);
    }

    pub(super) fn receive_gap(&mut self, call: CallId, missed: u64) {
        if let Some(stream) = self.stream_mut(call) {
            stream.push_gap(missed);
        }
        self.notify_reader(call);
    }

    /// The other end took items of this one.
    pub(super) fn handle_item_credit(&mut self, now: Instant, call: CallRef, taken: u64, total: u64) {
        let call = match call.opener {
            Opener::Reader => match self.state.wire.get(call.id) {
                WireId::Call(call) => Some(call),
                _ => None,
            },
            Opener::Writer => self.incoming.at(call.id),
        };
        // Credit is no news about a call that is over.
        let Some(call) = call else { return };
        let Some(stream) = self.stream_mut(call) else {
            return self.close(now, CloseCode::MALFORMED, "item credit for a call without items");
        };
        if stream.send.raise(taken, total).is_err() {
            return self.close(now, CloseCode::MALFORMED, "credit for items that were never sent");
        }
        self.give_turn(call);
        self.update_writable(call);
    }

    /// Tells the application that capacity came back.
    pub(super) fn update_writable(&mut self, call: CallId) {
        let is_writable = self.capacity(call).is_some();
        let Some(stream) = self.stream_mut(call) else { return };
        let was_writable = std::mem::replace(&mut stream.writable, is_writable);
        if is_writable && !was_writable {
            self.events.push_back(Event::Writable { call });
        }
    }

    /// Tells a reader that found nothing that there is something.
    pub(super) fn notify_reader(&mut self, call: CallId) {
        if let Some(stream) = self.stream_mut(call)
            && std::mem::take(&mut stream.wants_read)
        {
            self.events.push_back(Event::Readable { call });
        }
    }

    /// Gives back what a stream that goes holds.
    pub(super) fn drop_stream(&mut self, stream: &mut Stream) {
        let reserved = stream.clear_inbox();
        self.state.granted.give_back_assembly(reserved);
        self.state.extra_window =
            self.state.extra_window.saturating_sub(stream.receive.extra(&self.config.limits));
    }
}
