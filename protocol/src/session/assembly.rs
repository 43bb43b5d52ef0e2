use rkyv::util::AlignedVec;

use super::pool::Share;
use super::types::{CallId, IncomingCall, Origin};
use crate::Instant;
use crate::codec::Codec;
use crate::spare::Spare;

/// Transfer numbers are below this, so that the table of transfers has a bound that no peer can move.
pub(super) const MAX_TRANSFERS: usize = 1024;

/// Memory that is reserved ahead of what has arrived, at most. Source: our choice; a MiB of samples, and what an archive has around
/// them, is not moved for its last bytes.
const AHEAD: usize = (1024 + 16) * 1024;

/// Large payloads of the other end under assembly, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Assemblies {
    places: Vec<Option<Assembly>>,
    len: usize,
}

/// One large payload under assembly.
#[derive(Debug)]
pub(super) struct Assembly {
    /// The call that it belongs to, as the wire names it.
    pub(super) wire: (Origin, u32),
    pub(super) len: usize,
    pub(super) arrived: usize,
    pub(super) sink: Sink,
    /// When bytes last came.
    pub(super) progress: Instant,
    /// A watch value: its chunks carry no sequence numbers.
    pub(super) unsequenced: bool,
    /// The call ends with it.
    pub(super) ends: bool,
    /// What it has of the node's pool.
    pub(super) share: Option<Share>,
}

/// What becomes of the bytes.
#[derive(Debug)]
pub(super) enum Sink {
    Keep(Purpose, Spare<AlignedVec>),
    /// Nobody waits for them any more; the number is free once all of them came or the writer gave up.
    Discard,
}

/// What a payload is for.
#[derive(Debug)]
pub(super) enum Purpose {
    Arguments(Box<IncomingCall>),
    Item(CallId, Codec),
    Response(CallId, Codec),
    Failure(CallId, Codec),
    Value(CallId, Codec),
    LastValue(CallId, Codec),
}

impl Purpose {
    pub(super) fn call(&self) -> CallId {
        match self {
            Self::Arguments(call) => call.call,
            Self::Item(call, _)
            | Self::Response(call, _)
            | Self::Failure(call, _)
            | Self::Value(call, _)
            | Self::LastValue(call, _) => *call,
        }
    }
}

/// A chunk that belongs to nothing, or does not fit what it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misplaced;

impl Assemblies {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.iter().map(Assembly::memory).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Assembly> {
        self.places.iter().flatten()
    }

    /// Whether `transfer` may begin.
    pub(super) fn is_free(&self, transfer: u32) -> bool {
        (transfer as usize) < MAX_TRANSFERS && !matches!(self.places.get(transfer as usize), Some(Some(_)))
    }

    pub(super) fn begin(&mut self, transfer: u32, assembly: Assembly) {
        while self.places.len() <= transfer as usize {
            self.places.push(None);
        }
        self.places[transfer as usize] = Some(assembly);
        self.len += 1;
    }

    /// Takes a chunk in; returns the assembly if it is whole now.
    pub(super) fn push(
        &mut self,
        now: Instant,
        transfer: u32,
        bytes: &[u8],
        unsequenced: bool,
    ) -> Result<Option<Assembly>, Misplaced> {
        let place = self.places.get_mut(transfer as usize).ok_or(Misplaced)?;
        let assembly = place.as_mut().ok_or(Misplaced)?;
        let left = assembly.len - assembly.arrived;
        if assembly.unsequenced != unsequenced || bytes.len() > left {
            return Err(Misplaced);
        }
        if let Sink::Keep(_, buffer) = &mut assembly.sink {
            if buffer.capacity() - buffer.len() < bytes.len() {
                // Memory follows arrival, not the declared length.
                buffer.reserve_exact(left.min(bytes.len() + AHEAD));
            }
            buffer.extend_from_slice(bytes);
        }
        assembly.arrived += bytes.len();
        assembly.progress = now;
        if assembly.arrived < assembly.len {
            return Ok(None);
        }
        self.len -= 1;
        Ok(place.take())
    }

    /// Forgets the transfers of a call that the writer gave up; returns the bytes that were still reserved.
    pub(super) fn forget(&mut self, wire: (Origin, u32)) -> u64 {
        let mut reserved = 0;
        if self.len == 0 {
            return 0;
        }
        for place in &mut self.places {
            if let Some(assembly) = place
                && assembly.wire == wire
            {
                if matches!(assembly.sink, Sink::Keep(..)) {
                    reserved += assembly.len as u64;
                }
                *place = None;
                self.len -= 1;
            }
        }
        reserved
    }

    /// The link is gone, and with it what travels without numbers; returns the bytes that were reserved.
    pub(super) fn drop_unsequenced(&mut self) -> u64 {
        let mut reserved = 0;
        for place in &mut self.places {
            if let Some(assembly) = place
                && assembly.unsequenced
            {
                if matches!(assembly.sink, Sink::Keep(..)) {
                    reserved += assembly.len as u64;
                }
                *place = None;
                self.len -= 1;
            }
        }
        reserved
    }

    /// Another link begins: time without one does not count.
    pub(super) fn restart(&mut self, now: Instant) {
        for assembly in self.places.iter_mut().flatten() {
            assembly.progress = now;
        }
    }

    /// Goes on taking the transfers of a call in, for nobody; returns the bytes that were reserved.
    pub(super) fn discard(&mut self, wire: (Origin, u32)) -> u64 {
        if self.len == 0 {
            return 0;
        }
        let mut reserved = 0;
        for assembly in self.places.iter_mut().flatten() {
            if assembly.wire == wire && matches!(assembly.sink, Sink::Keep(..)) {
                reserved += assembly.len as u64;
                assembly.sink = Sink::Discard;
                assembly.share = None;
            }
        }
        reserved
    }
}

impl Assembly {
    pub(super) fn new(now: Instant, wire: (Origin, u32), len: usize, purpose: Purpose) -> Self {
        let unsequenced = matches!(purpose, Purpose::Value(..));
        let ends = matches!(purpose, Purpose::Response(..) | Purpose::Failure(..) | Purpose::LastValue(..));
        // Nothing has arrived: one step ahead of that.
        let sink = Sink::Keep(purpose, Spare::with_room(len.min(AHEAD)));
        Self { wire, len, arrived: 0, sink, progress: now, unsequenced, ends, share: None }
    }

    pub(super) fn discarded(
        now: Instant,
        wire: (Origin, u32),
        len: usize,
        unsequenced: bool,
        ends: bool,
    ) -> Self {
        Self { wire, len, arrived: 0, sink: Sink::Discard, progress: now, unsequenced, ends, share: None }
    }

    fn memory(&self) -> usize {
        match &self.sink {
            Sink::Keep(_, buffer) => buffer.memory(),
            Sink::Discard => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::origin;
    use super::*;

    const CALL: CallId = CallId { id: 0, generation: 0, origin: Origin::Local };
    const WIRE: (Origin, u32) = (Origin::Local, 0);

    fn item(now: Instant, len: usize) -> Assembly {
        Assembly::new(now, WIRE, len, Purpose::Item(CALL, Codec::Rkyv))
    }

    #[test]
    fn memory_follows_arrival() {
        let now = origin();
        let mut assemblies = Assemblies::default();
        assemblies.begin(0, item(now, 16 << 20));
        let chunk = vec![7; 32 * 1024];
        for arrived in 1..=100 {
            assert_eq!(assemblies.push(now, 0, &chunk, false).unwrap().map(|_| ()), None);
            assert!(assemblies.bytes() <= arrived * chunk.len() + AHEAD);
        }
    }

    #[test]
    fn a_mib_in_an_archive_is_assembled_in_one_place() {
        let now = origin();
        let mut assemblies = Assemblies::default();
        let len = (1 << 20) + 1000;
        assemblies.begin(0, item(now, len));
        let reserved = assemblies.bytes();
        assert!(assemblies.push(now, 0, &vec![7; 1 << 20], false).unwrap().is_none());
        assert_eq!(assemblies.bytes(), reserved, "moved for its last bytes");
        let whole = assemblies.push(now, 0, &[7; 1000], false).unwrap().unwrap();
        assert!(
            matches!(whole.sink, Sink::Keep(_, buffer) if buffer.len() == len && buffer.memory() == reserved)
        );
    }

    #[test]
    fn a_payload_is_whole_with_its_last_byte() {
        let now = origin();
        let mut assemblies = Assemblies::default();
        assemblies.begin(3, item(now, 5));
        assert!(!assemblies.is_free(3) && assemblies.is_free(2));
        assert!(assemblies.push(now, 3, b"abc", false).unwrap().is_none());
        let whole = assemblies.push(now, 3, b"de", false).unwrap().unwrap();
        assert!(matches!(whole.sink, Sink::Keep(_, buffer) if buffer.as_slice() == b"abcde"));
        assert!(assemblies.is_free(3));
        assert_eq!(assemblies.len(), 0);
    }

    #[test]
    fn chunks_that_do_not_fit_are_refused() {
        let now = origin();
        let mut assemblies = Assemblies::default();
        assemblies.begin(0, item(now, 5));
        assert_eq!(assemblies.push(now, 1, b"a", false).unwrap_err(), Misplaced);
        assert_eq!(assemblies.push(now, 0, b"abcdef", false).unwrap_err(), Misplaced);
        assert_eq!(assemblies.push(now, 0, b"a", true).unwrap_err(), Misplaced);
        assert!(!assemblies.is_free(MAX_TRANSFERS as u32));
    }

    #[test]
    fn what_is_discarded_takes_no_memory_and_still_ends() {
        let now = origin();
        let mut assemblies = Assemblies::default();
        assemblies.begin(0, item(now, 5));
        assert_eq!(assemblies.discard(WIRE), 5);
        assert_eq!(assemblies.discard(WIRE), 0);
        assert_eq!(assemblies.bytes(), 0);
        assert!(assemblies.push(now, 0, b"abcde", false).unwrap().is_some());
        assert_eq!(assemblies.len(), 0);
    }

    #[test]
    fn what_the_writer_gave_up_is_forgotten_at_once() {
        let now = origin();
        let mut assemblies = Assemblies::default();
        assemblies.begin(0, item(now, 5));
        assemblies.begin(1, item(now, 6));
        assert_eq!(assemblies.forget(WIRE), 11);
        assert_eq!(assemblies.forget(WIRE), 0);
        assert!(assemblies.is_free(0) && assemblies.is_free(1));
    }
}
