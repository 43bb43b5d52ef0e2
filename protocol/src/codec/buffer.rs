use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use rkyv::util::AlignedVec;

/// What a received payload lives in.
#[derive(Debug, Clone)]
pub enum Buffer {
    /// A slice of the message that it arrived in, aligned by chance only.
    Small(Bytes),
    /// Assembled from chunks, aligned; clones share it.
    Assembled(Arc<AlignedVec>),
}

impl Buffer {
    /// Returns the bytes in aligned memory: a small payload is copied, so that a tiny view does not keep the whole
    /// message it came in; an assembled one is shared.
    pub fn into_aligned(self) -> Arc<AlignedVec> {
        match self {
            Self::Small(bytes) => copied(&bytes),
            Self::Assembled(aligned) => aligned,
        }
    }

    /// A copy of `bytes` in aligned memory.
    pub fn aligned(bytes: &[u8]) -> Self {
        Self::Assembled(copied(bytes))
    }
}

fn copied(bytes: &[u8]) -> Arc<AlignedVec> {
    let mut aligned = AlignedVec::with_capacity(bytes.len());
    aligned.extend_from_slice(bytes);
    Arc::new(aligned)
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

impl From<Arc<AlignedVec>> for Buffer {
    fn from(aligned: Arc<AlignedVec>) -> Self {
        Self::Assembled(aligned)
    }
}
