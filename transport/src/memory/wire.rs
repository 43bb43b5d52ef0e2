//! What lies between the two ends of a pair.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bowline_runtime::Instant;
use bytes::Bytes;

use crate::CloseFrame;

/// What one direction holds before its writer has to wait: 64 KiB, like the buffers of a socket. One message of any
/// size goes when there is less.
pub(super) const CAPACITY: usize = 64 * 1024;

/// How the wire treats what is put on it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Behaviour {
    pub(super) delay: Duration,
    pub(super) flow: Flow,
    /// Messages that still pass before the wire is cut.
    pub(super) remaining: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Flow {
    /// Everything arrives.
    #[default]
    Running,
    /// What is sent waits on the wire.
    Stalled,
    /// What is sent never arrives, and neither end is told.
    HalfOpen,
}

/// One of the two ends, as the index of the direction that it writes.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    First,
    Second,
}

#[derive(Debug)]
pub(super) enum Item {
    Message(Bytes),
    Close(CloseFrame),
    /// The writer was dropped.
    Gone,
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Close(_) | Self::Gone => 0,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Wire(Mutex<State>);

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) behaviour: Behaviour,
    pub(super) cut: bool,
    directions: [Direction; 2],
}

#[derive(Debug, Default)]
pub(super) struct Direction {
    items: VecDeque<(Instant, Item)>,
    /// Bytes of all items.
    held: usize,
    /// Bytes that went nowhere since the link is half open: a dead network doesn't empty the buffers of a socket.
    swallowed: usize,
    pub(super) written: u64,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// What a reader finds.
pub(super) enum Front {
    Item(Item),
    /// Something is on its way until then.
    Due(Instant),
    Nothing,
}

impl Wire {
    pub(super) fn new(behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { behaviour, ..State::default() })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of the state is complete before anything that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how the wire behaves and lets both ends look again.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        if state.behaviour.flow != Flow::HalfOpen {
            for direction in &mut state.directions {
                direction.swallowed = 0;
            }
        }
        state.wake();
    }
}

impl State {
    pub(super) fn outgoing(&mut self, end: End) -> &mut Direction {
        &mut self.directions[end as usize]
    }

    pub(super) fn incoming(&mut self, end: End) -> &mut Direction {
        &mut self.directions[1 - end as usize]
    }

    pub(super) fn put(&mut self, now: Instant, end: End, item: Item) {
        if self.cut {
            return;
        }
        let behaviour = self.behaviour;
        let counts = matches!(item, Item::Message(_));
        let direction = self.outgoing(end);
        direction.written += item.len() as u64;
        if behaviour.flow == Flow::HalfOpen {
            direction.swallowed += item.len();
        } else {
            direction.held += item.len();
            direction.items.push_back((now + behaviour.delay, item));
            wake(&mut direction.reader);
        }
        if counts && let Some(remaining) = &mut self.behaviour.remaining {
            *remaining -= 1;
            if *remaining == 0 {
                self.cut();
            }
        }
    }

    /// Takes what has arrived for `end`.
    pub(super) fn take(&mut self, now: Instant, end: End) -> Front {
        if self.behaviour.flow != Flow::Running {
            return Front::Nothing;
        }
        let direction = self.incoming(end);
        match direction.items.front() {
            Some((due, _)) if *due > now => Front::Due(*due),
            Some(_) => {
                let (_, item) = direction.items.pop_front().expect("the front was just seen");
                direction.held -= item.len();
                wake(&mut direction.writer);
                Front::Item(item)
            }
            None => Front::Nothing,
        }
    }

    pub(super) fn is_full(&mut self, end: End) -> bool {
        let direction = self.outgoing(end);
        direction.held + direction.swallowed >= CAPACITY
    }

    /// Loses the link for both ends; what is on its way is lost with it.
    pub(super) fn cut(&mut self) {
        self.cut = true;
        for direction in &mut self.directions {
            direction.items.clear();
        }
        self.wake();
    }

    fn wake(&mut self) {
        for direction in &mut self.directions {
            wake(&mut direction.reader);
            wake(&mut direction.writer);
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
