//! The queue of turns: who may write data next.

use crate::envelope::Sequenced;
use crate::session::Session;
use crate::session::lean::Lean;
use crate::session::notify::Outgoing;
use crate::session::types::{CallId, Origin};

/// A place in the queue of data.
#[derive(Debug)]
pub(in crate::session) enum Turn {
    /// Whatever is next of this call, of either end.
    Call(CallId),
    /// Watches that are parked, in the order they came.
    Parked,
    /// The cancel of the call with this id on the wire.
    Cancel(u32),
    Notify(Box<Outgoing>),
    Declare(u16),
    Data(Box<Sequenced>),
}

/// Data to be written, first come first served.
#[derive(Debug, Default)]
pub(in crate::session) struct Queue {
    pub(super) turns: Lean<Turn>,
    /// Places that belong to nobody any more.
    pub(super) forgotten: usize,
}

impl Queue {
    pub(in crate::session) fn push(&mut self, turn: Turn) {
        self.turns.push_back(turn);
    }

    /// Places that will be used.
    pub(in crate::session) fn len(&self) -> usize {
        self.turns.len().saturating_sub(self.forgotten)
    }

    /// Gives back what was allocated ahead.
    pub(in crate::session) fn trim(&mut self) {
        self.turns.trim();
    }

    /// A call went whose place is still here.
    pub(in crate::session) fn forget_one(&mut self) {
        self.forgotten += 1;
    }

    /// One-way calls don't wait for another link.
    pub(in crate::session) fn drop_notifies(&mut self) {
        self.turns.retain(|turn| !matches!(turn, Turn::Notify(_)));
    }

    pub(super) fn is_mostly_forgotten(&self) -> bool {
        self.forgotten > 1024 && self.forgotten > self.turns.len() / 2
    }
}

impl Session {
    /// Gives a call a place in the queue of data, if it has something to write there.
    #[inline]
    pub(in crate::session) fn give_turn(&mut self, call: CallId) {
        let wants = match call.origin {
            Origin::Local => self.own.get_mut(call).is_some_and(|own| {
                let wants = own.wants_turn();
                own.has_turn |= wants;
                wants
            }),
            Origin::Remote => self.incoming.get_mut(call).is_some_and(|incoming| {
                let wants = incoming.wants_turn();
                incoming.has_turn |= wants;
                wants
            }),
        };
        if wants {
            self.state.queue.push(Turn::Call(call));
        }
    }

    /// Clears the queue of places that belong to nobody.
    pub(super) fn tidy_queue(&mut self) {
        let Self { state, own, incoming, .. } = self;
        state.queue.turns.retain(|turn| match turn {
            Turn::Call(call) if call.origin == Origin::Local => own.get(*call).is_some_and(|it| it.has_turn),
            Turn::Call(call) => incoming.get(*call).is_some_and(|it| it.has_turn),
            _ => true,
        });
        state.queue.forgotten = 0;
    }
}
