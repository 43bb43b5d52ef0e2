//! How a stream that was lost is asked for again.

use bowline_protocol::session::Failure;
use bowline_protocol::status::Code;

use super::cursor::{Behind, Cursor};
use crate::client::{Asker, Exchange, Recipe};
use crate::peer::Peer;

/// Where a stream begins that is asked for again.
pub(crate) enum Start<T> {
    /// Wherever the other end lets it begin: items may be missing.
    Anew,
    /// Behind the last item.
    Behind(Box<dyn Cursor<T>>),
    /// With the newest value: a watch.
    Newest,
}

/// What a stream at its caller knows about its next subscription.
pub(crate) struct Again<T> {
    recipe: Recipe,
    start: Start<T>,
    /// Who asked for it last: what one identity asked for is never asked for as another.
    asker: Asker,
    /// An item came since the stream was last opened.
    is_fruitful: bool,
    /// This is not its first subscription.
    is_repeated: bool,
    /// The last subscription ended because its reader was too slow.
    has_lagged: bool,
    /// The reader is to be told that items may be missing.
    owes_gap: bool,
}

impl<T> Again<T> {
    pub(crate) fn new(recipe: Recipe, start: Start<T>) -> Self {
        let asker = Asker::of(recipe.target(), recipe.target().peer());
        Self {
            recipe,
            start,
            asker,
            is_fruitful: false,
            is_repeated: false,
            has_lagged: false,
            owes_gap: false,
        }
    }

    /// The reader gets `item`.
    pub(crate) fn pass(&mut self, item: &T) {
        self.is_fruitful = true;
        if let Start::Behind(cursor) = &mut self.start {
            cursor.pass(item);
        }
    }

    /// Whether the reader is to be told now that items may be missing.
    pub(crate) fn take_gap(&mut self) -> bool {
        std::mem::take(&mut self.owes_gap)
    }

    /// Whether it is a watch whose reader still has the value of the subscription before.
    pub(crate) fn awaits_value(&self) -> bool {
        self.is_repeated && !self.is_fruitful && matches!(self.start, Start::Newest)
    }

    /// Whether a stream that is open on `peer` is better asked for now where calls go meanwhile: another session has
    /// followed that one, and nothing is lost or told by going there.
    pub(crate) fn has_moved(&mut self, peer: &Peer) -> bool {
        let now = self.recipe.target().peer();
        // A layer may put the call on a session of its own choice: that it is another one says nothing.
        if now.is_same(peer) || self.asker.is_at(&now) || self.asker_now().is_none() {
            return false;
        }
        match &mut self.start {
            Start::Anew => false,
            Start::Behind(cursor) => cursor.has_place(),
            Start::Newest => true,
        }
    }

    /// Whether a stream that ended with `failure` is asked for again.
    pub(crate) fn follows(&self, failure: &Failure) -> bool {
        if self.asker_now().is_none() {
            return false;
        }
        match failure {
            Failure::Disconnected(_) => true,
            // One that lags again before its first item would do so for ever.
            Failure::Status(status) if status.code == Code::Lagged => self.is_fruitful || !self.has_lagged,
            _ => false,
        }
    }

    /// Asks for the stream that ended with `failure` once more. It waits for the session for as long as it takes:
    /// the reader of a stream has waited for items without a deadline so far.
    pub(crate) fn ask(&mut self, failure: &Failure) -> Exchange {
        self.has_lagged = !matches!(failure, Failure::Disconnected(_));
        self.is_fruitful = false;
        self.is_repeated = true;
        if let Some(asker) = self.asker_now() {
            self.asker = asker;
        }
        let asker = self.asker.clone();
        let cursor = match &mut self.start {
            Start::Behind(cursor) => cursor,
            Start::Newest => return self.recipe.exchange(asker, None),
            Start::Anew => {
                self.owes_gap = true;
                return self.recipe.exchange(asker, None);
            }
        };
        match cursor.behind() {
            Ok(Behind { arguments, has_place }) => {
                self.owes_gap |= !has_place;
                self.recipe.exchange(asker, Some(arguments))
            }
            Err(status) => Exchange::answered(status),
        }
    }

    /// Who asked, where the stream would be asked for now; `None` if this end is somebody else there.
    fn asker_now(&self) -> Option<Asker> {
        let target = self.recipe.target();
        self.asker.on(target, &target.peer())
    }
}
