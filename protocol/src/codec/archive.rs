//! The rkyv side: a writer that counts from 0 wherever it starts, and checked access with a bound on depth.

use std::cell::Cell;
use std::num::NonZeroUsize;

use rkyv::api::high::{HighDeserializer, HighSerializer, HighValidator};
use rkyv::api::{access_with_context, deserialize_using, serialize_using};
use rkyv::bytecheck::CheckBytes;
use rkyv::de::Pool;
use rkyv::rancor::Error;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::ser::sharing::Share;
use rkyv::ser::{Positional, Writer};
use rkyv::util::{AlignedVec, with_arena};
use rkyv::validation::Validator;
use rkyv::validation::archive::ArchiveValidator;
use rkyv::validation::shared::SharedValidator;
use rkyv::{Archive, Deserialize, Portable, Serialize};

use super::{Aligned, MAX_DEPTH};
use crate::spare;

/// What archives are written with.
pub(super) type Serializer<'a> = HighSerializer<Tail, ArenaHandle<'a>, Error>;
/// What archives are read back with.
pub(super) type Deserializer = HighDeserializer<Error>;
/// What archives are checked with.
pub(super) type Checker<'a> = HighValidator<'a, Error>;

/// The alignment that satisfies every archived type: what rkyv gives its own buffers.
const ALIGNMENT: usize = 16;
/// A longer piece of a value, such as a vector of numbers, is most of it.
const LARGE: usize = 16 * 1024;
/// A scratch that grew beyond this is freed rather than kept for the thread's life.
const SCRATCH_KEPT: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<AlignedVec> = Cell::new(AlignedVec::new());
}

/// Writes behind what a vector holds, as if the vector began there.
///
/// So that an archive keeps its inner padding wherever its envelope stands in a message.
#[derive(Debug)]
pub struct Tail {
    bytes: Vec<u8>,
    start: usize,
}

impl Positional for Tail {
    #[inline]
    fn pos(&self) -> usize {
        self.bytes.len() - self.start
    }
}

impl<E> Writer<E> for Tail {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), E> {
        let room = bytes.len() + LARGE;
        if bytes.len() > LARGE && self.bytes.capacity() - self.bytes.len() < room {
            // Room for the little that follows it: else the vector doubles for that, and copies all of this. But where there is more
            // than this already, as much again: many like it may follow, and what there is would be moved for each.
            let room = room.max(self.bytes.len());
            spare::reserve(&mut self.bytes, room);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// Appends the archive of `value` to `out`, whose content is what it was if that fails.
pub(super) fn write<T>(value: &T, out: &mut Vec<u8>) -> Result<(), Error>
where
    T: for<'a> Serialize<Serializer<'a>>,
{
    let start = out.len();
    // The writer owns the vector, so that no lifetime appears in the bounds of every payload.
    let tail = Tail { bytes: std::mem::take(out), start };
    let (result, tail) = with_arena(|arena| {
        let mut serializer = rkyv::ser::Serializer::new(tail, arena.acquire(), Share::new());
        let result = serialize_using::<_, Error>(value, &mut serializer);
        (result, serializer.into_writer())
    });
    *out = tail.bytes;
    if result.is_err() {
        out.truncate(start);
    }
    result.map(|_| ())
}

/// Makes an archive that can be viewed.
pub(super) fn to_aligned<T>(value: &T) -> Result<Aligned, Error>
where
    T: for<'a> Serialize<Serializer<'a>>,
{
    let mut bytes = Vec::new();
    write(value, &mut bytes)?;
    Ok(Aligned::copy_from_slice(&bytes))
}

/// Validates `bytes`, which must be aligned, and returns the archive in place.
pub(super) fn access<A>(bytes: &[u8]) -> Result<&A, Error>
where
    A: Portable + for<'a> CheckBytes<Checker<'a>>,
{
    // One more than the depth, since the validator stops when its counter reaches zero.
    let depth = NonZeroUsize::new(MAX_DEPTH + 1);
    let mut validator =
        Validator::new(ArchiveValidator::with_max_depth(bytes, depth), SharedValidator::new());
    access_with_context::<A, _, Error>(bytes, &mut validator)
}

/// Validates `bytes`, wherever they lie, and makes the value of them.
pub(super) fn read<T>(bytes: &[u8]) -> Result<T, Error>
where
    T: Archive,
    T::Archived: Deserialize<T, Deserializer> + for<'a> CheckBytes<Checker<'a>>,
{
    if bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
        return read_aligned(bytes);
    }
    // Taken rather than borrowed: a `Deserialize` of the application may come back here.
    let mut scratch = SCRATCH.take();
    scratch.clear();
    scratch.extend_from_slice(bytes);
    let value = read_aligned(&scratch);
    if scratch.capacity() <= SCRATCH_KEPT {
        SCRATCH.set(scratch);
    }
    value
}

/// Makes the value of an archive that was validated.
pub(super) fn deserialize<A, T>(archived: &A) -> Result<T, Error>
where
    A: Deserialize<T, Deserializer>,
{
    deserialize_using(archived, &mut Pool::new())
}

fn read_aligned<T>(bytes: &[u8]) -> Result<T, Error>
where
    T: Archive,
    T::Archived: Deserialize<T, Deserializer> + for<'a> CheckBytes<Checker<'a>>,
{
    deserialize(access::<T::Archived>(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_not_moved_for_each_of_many_long_pieces() {
        let mut tail = Tail { bytes: Vec::new(), start: 0 };
        let piece = vec![7; LARGE + 1];
        let mut moves = 0;
        for _ in 0..1000 {
            let room = tail.bytes.capacity();
            Writer::<Error>::write(&mut tail, &piece).unwrap();
            moves += usize::from(tail.bytes.capacity() != room);
        }
        assert!(moves <= 20, "{moves}");
        assert!(tail.bytes.len() == 1000 * piece.len() && tail.bytes.iter().all(|byte| *byte == 7));
    }
}
