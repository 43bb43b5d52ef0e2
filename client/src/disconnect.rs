use crate::Client;

impl Client {
    /// Goes offline: lets go of the link, as a network that fails would, and stays away until
    /// [`reconnect`](Self::reconnect).
    ///
    /// The session is not ended. The server keeps it for its resume window (two minutes by default), calls wait in the
    /// outbox within their deadline or their `.queued_for(expiry)`, streams and watches are stale; after `reconnect` all of
    /// it goes on as after any lost link. The state is [`State::Offline`](crate::State::Offline) meanwhile, and
    /// no sign that the network is back ends it: for a "work offline" in a program, and for seeing how a page heals.
    ///
    /// Nothing once the client is refused or closed, when there is no link and none is tried.
    pub fn disconnect(&self) {
        self.lease.disconnect();
    }
}
