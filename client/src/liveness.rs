use std::sync::Arc;

use bowline_rpc::Channel;
use futures_core::Stream;
use tokio::sync::watch;

/// Whether calls on a channel go through now: of its [`State`](crate::State), what somebody needs who has no client but
/// only what was made from it.
///
/// Always live for channels that are none of a client's, such as that to a server in the same process.
#[derive(Debug)]
pub struct Liveness(watch::Sender<bool>);

impl Liveness {
    /// The one of `channel`; all channels of a client share it. It does not keep the client alive.
    pub fn of(channel: &Channel) -> Arc<Self> {
        channel.extension()
    }

    /// Whether the client is live.
    pub fn is_live(&self) -> bool {
        *self.0.borrow()
    }

    /// Whether it is live now, and then each change; a slow reader sees the newest.
    pub fn changes(&self) -> impl Stream<Item = bool> + Send + Unpin + use<> {
        let mut live = self.0.subscribe();
        live.mark_changed();
        Box::pin(futures_util::stream::unfold(live, async |mut live| {
            live.changed().await.ok()?;
            let now = *live.borrow_and_update();
            Some((now, live))
        }))
    }

    pub(crate) fn set(&self, live: bool) {
        self.0.send_if_modified(|shown| std::mem::replace(shown, live) != live);
    }
}

impl Default for Liveness {
    fn default() -> Self {
        Self(watch::Sender::new(true))
    }
}
