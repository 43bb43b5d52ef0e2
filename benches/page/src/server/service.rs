//! Bowline's service.

use std::sync::Arc;

use bowline::prelude::*;
use futures_util::stream;
use tokio_stream::wrappers::{BroadcastStream, WatchStream};

use super::{Stage, Who};
use crate::{Bench, Tick};

pub(super) struct Service(pub(super) Arc<Stage>);

impl Service {
    fn counted(&self, ticks: impl Stream<Item = Tick> + Send) -> impl Stream<Item = Tick> + Send {
        let stage = self.0.clone();
        ticks.inspect(move |_| stage.count(Who::Bowline, |served| &served.ticks))
    }
}

impl Bench for Service {
    async fn echo(&self, text: String) -> String {
        self.0.count(Who::Bowline, |served| &served.calls);
        text
    }

    fn count(&self, limit: u64) -> impl Stream<Item = u64> {
        let stage = self.0.clone();
        stream::iter(0..limit).inspect(move |_| stage.count(Who::Bowline, |served| &served.items))
    }

    fn ticks(&self) -> impl Stream<Item = Tick> {
        let published = BroadcastStream::new(self.0.published.subscribe());
        self.counted(published.filter_map(async |tick| tick.ok()))
    }

    fn newest(&self) -> impl Stream<Item = Tick> {
        self.counted(WatchStream::new(self.0.newest.subscribe()))
    }
}
