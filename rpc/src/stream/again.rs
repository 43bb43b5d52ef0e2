//! How a stream that was lost is asked for again.

use bowline_protocol::session::Failure;
use bowline_protocol::status::Code;

use super::cursor::{Behind, Cursor};
use crate::client::{Exchange, Recipe};
use crate::peer::Peer;

/// What a stream at its caller knows about its next subscription.
pub(crate) struct Again<T> {
    recipe: Recipe,
    cursor: Option<Box<dyn Cursor<T>>>,
    /// Where it was asked for last, and who this end was there: what one identity asked for is never asked for as
    /// another.
    asked: (Peer, u64),
    /// An item came since the stream was last opened.
    is_fruitful: bool,
    /// The last subscription ended because its reader was too slow.
    has_lagged: bool,
    /// The reader is to be told that items may be missing.
    owes_gap: bool,
}

impl<T> Again<T> {
    pub(crate) fn new(recipe: Recipe, cursor: Option<Box<dyn Cursor<T>>>) -> Self {
        let asked = place(&recipe);
        Self { recipe, cursor, asked, is_fruitful: false, has_lagged: false, owes_gap: false }
    }

    /// The reader gets `item`.
    pub(crate) fn pass(&mut self, item: &T) {
        self.is_fruitful = true;
        if let Some(cursor) = &mut self.cursor {
            cursor.pass(item);
        }
    }

    /// Whether the reader is to be told now that items may be missing.
    pub(crate) fn take_gap(&mut self) -> bool {
        std::mem::take(&mut self.owes_gap)
    }

    /// Whether a stream that ended with `failure` is asked for again.
    pub(crate) fn follows(&self, failure: &Failure) -> bool {
        match failure {
            Failure::Disconnected(_) => {
                let (peer, identity) = &self.asked;
                peer.identity() == *identity
            }
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
        self.asked = place(&self.recipe);
        let Some(cursor) = &mut self.cursor else {
            self.owes_gap = true;
            return self.recipe.exchange(None);
        };
        match cursor.behind() {
            Ok(Behind { arguments, has_place }) => {
                self.owes_gap |= !has_place;
                self.recipe.exchange(Some(arguments))
            }
            Err(status) => Exchange::answered(status),
        }
    }
}

fn place(recipe: &Recipe) -> (Peer, u64) {
    let peer = recipe.peer();
    let identity = peer.identity();
    (peer, identity)
}
