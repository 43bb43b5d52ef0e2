use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use rkyv::util::AlignedVec;

use crate::spare::Spare;

/// What a received payload lives in.
#[derive(Debug, Clone)]
pub enum Buffer {
    /// A slice of the message that it arrived in, aligned by chance only.
    Small(Bytes),
    /// Assembled from chunks, aligned; clones share it.
    Assembled(Arc<Aligned>),
}

/// Bytes in memory that is aligned for every archive.
///
/// The memory of a large payload is kept for the next one when this is dropped, within a bound for the whole process.
#[derive(Debug)]
pub struct Aligned(Spare<AlignedVec>);

impl Aligned {
    /// A copy of `bytes`.
    pub fn copy_from_slice(bytes: &[u8]) -> Self {
        let mut aligned = Spare::<AlignedVec>::with_room(bytes.len());
        aligned.extend_from_slice(bytes);
        Self(aligned)
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Spare<AlignedVec>> for Aligned {
    fn from(aligned: Spare<AlignedVec>) -> Self {
        Self(aligned)
    }
}

impl Buffer {
    /// Returns the bytes in aligned memory: a small payload is copied, so that a tiny view does not keep the whole
    /// message it came in; an assembled one is shared.
    pub fn into_aligned(self) -> Arc<Aligned> {
        match self {
            Self::Small(bytes) => Arc::new(Aligned::copy_from_slice(&bytes)),
            Self::Assembled(aligned) => aligned,
        }
    }

    /// A copy of `bytes` in aligned memory.
    pub fn aligned(bytes: &[u8]) -> Self {
        Self::Assembled(Arc::new(Aligned::copy_from_slice(bytes)))
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Assembled(aligned) => aligned,
        }
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::Small(Bytes::new())
    }
}

impl From<Bytes> for Buffer {
    fn from(bytes: Bytes) -> Self {
        Self::Small(bytes)
    }
}

impl From<Arc<Aligned>> for Buffer {
    fn from(aligned: Arc<Aligned>) -> Self {
        Self::Assembled(aligned)
    }
}
