//! The messages of a room from the log, and then as they come.

use std::collections::VecDeque;
use std::time::Duration;

use bowline::prelude::*;

use crate::Message;
use crate::store::{STEP, Store};

/// How long to wait before the log is read again after that has failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What somebody reads of a room.
#[derive(Debug)]
pub(crate) struct Log {
    store: Store,
    room: String,
    /// Read and not yet handed out.
    page: VecDeque<Message>,
    /// Whether there are no more behind `page`: those that are not in it come by `live`.
    is_read: bool,
    /// The last that was handed out.
    last: u64,
    live: Subscription<Message>,
}

impl Log {
    /// Everything behind `after`, or from the newest stored messages on. `live` must have been subscribed before.
    pub(crate) async fn open(
        store: Store,
        room: String,
        after: Option<u64>,
        live: Subscription<Message>,
    ) -> Result<Self, sqlx::Error> {
        let (page, is_read) = match after {
            Some(after) => {
                let page = store.after(&room, after).await?;
                let is_read = page.len() < STEP;
                (page, is_read)
            }
            None => {
                let mut page = store.page(&room, None).await?;
                page.reverse();
                (page, true)
            }
        };
        Ok(Self { store, room, page: page.into(), is_read, last: after.unwrap_or_default(), live })
    }

    /// The messages, in order and each once.
    ///
    /// Reading the log goes on while its reader keeps up. Where it does not, the subscription ends as too slow, and its
    /// reader asks again behind the last one that came: nothing is skipped.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Shared<Message>> {
        futures_util::stream::unfold(self, async |mut log| {
            let message = log.next().await?;
            Some((message, log))
        })
    }

    async fn next(&mut self) -> Option<Shared<Message>> {
        loop {
            if let Some(message) = self.page.pop_front() {
                self.last = message.id;
                return Some(Shared::new(message));
            }
            if !self.is_read {
                self.read().await;
                continue;
            }
            let message = self.live.next().await?;
            if message.id > self.last {
                self.last = message.id;
                return Some(message);
            }
        }
    }

    async fn read(&mut self) {
        match self.store.after(&self.room, self.last).await {
            Ok(page) => {
                self.is_read = page.len() < STEP;
                self.page = page.into();
            }
            Err(error) => {
                eprintln!("chat: the log was not read: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
