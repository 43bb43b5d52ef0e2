use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Channel;
use crate::client::Endpoint;
use crate::peer::Peer;

/// Where calls go when one session may take another's place: the one that was last put there. Cheap to clone.
///
/// A client makes its channel of a line, so that stubs which are in use go on with the session that follows when a server
/// has said that it will go away. What was begun on a session stays on it, but for streams that can go over without a loss,
/// see [`Streaming`](crate::Streaming).
#[derive(Clone)]
pub struct Line(Arc<Shared>);

struct Shared {
    id: LineId,
    current: Mutex<Peer>,
    extensions: Extensions,
}

impl Line {
    /// A line to `peer`.
    pub fn new(peer: Peer) -> Self {
        let (id, current, extensions) = (LineId::new(), Mutex::new(peer), Extensions::default());
        Self(Arc::new(Shared { id, current, extensions }))
    }

    /// Where a call would go now.
    pub fn peer(&self) -> Peer {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets calls that begin from now on go to `peer`, and streams that lose nothing by it subscribe again there.
    pub fn switch(&self, peer: Peer) {
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, peer);
        before.note_successor();
        drop(current);
        before.wake_readers();
        // Not under the lock: it may be the last one, and run foreign code when dropped.
        drop(before);
    }

    /// A channel for stubs, without layers.
    pub fn channel(&self) -> Channel {
        Channel::new(Target::Line(self.clone()), 0)
    }

    pub(crate) fn id(&self) -> LineId {
        self.0.id
    }

    /// The innermost `tower` service of a caller's stack, as [`Peer::endpoint`].
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(Target::Line(self.clone()))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

/// Tells lines of a process apart, without holding one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineId(NonZeroU64);

impl LineId {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NonZeroU64::MIN.saturating_add(NEXT.fetch_add(1, Ordering::Relaxed)))
    }
}

/// Where the calls of a channel go.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Session(Peer),
    Line(Line),
}

impl Target {
    pub(crate) fn peer(&self) -> Peer {
        match self {
            Self::Session(peer) => peer.clone(),
            Self::Line(line) => line.peer(),
        }
    }

    /// `None` for a session that is meant itself.
    pub(crate) fn line(&self) -> Option<&Line> {
        match self {
            Self::Session(_) => None,
            Self::Line(line) => Some(line),
        }
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        match self {
            Self::Session(peer) => peer.extensions(),
            Self::Line(line) => &line.0.extensions,
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(this), Self::Session(other)) => this.is_same(other),
            (Self::Line(this), Self::Line(other)) => this.id() == other.id(),
            _ => false,
        }
    }
}

/// One value of each type.
#[derive(Default)]
pub(crate) struct Extensions(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Extensions {
    /// The value of type `T`, made when first asked for.
    pub(crate) fn get<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default()));
        Arc::clone(slot).downcast().expect("each slot holds a value of the type that it is under")
    }
}
