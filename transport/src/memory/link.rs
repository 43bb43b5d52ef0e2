use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bowline_runtime::{Sleep, now, sleep_until};
use bytes::Bytes;

use super::Faults;
use super::wire::{End, Front, Item, Wire};
use crate::{CloseFrame, Link, LinkError, Received};

/// Makes two connected links whose faults are controlled through `faults`.
///
/// Each direction holds 64 KiB before its writer has to wait. A message of any size goes when there is less.
pub fn pair(faults: &Faults) -> (MemoryLink, MemoryLink) {
    let wire = faults.wire();
    (MemoryLink::new(wire.clone(), End::First), MemoryLink::new(wire, End::Second))
}

/// One end of a pair.
#[derive(Debug)]
pub struct MemoryLink {
    wire: Arc<Wire>,
    end: End,
    phase: Phase,
    /// Waits for a delayed item.
    arrival: Option<Sleep>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// We sent a close and wait for the other end's.
    Closing,
    Ended,
}

impl MemoryLink {
    fn new(wire: Arc<Wire>, end: End) -> Self {
        Self { wire, end, phase: Phase::Open, arrival: None }
    }

    /// The next item that has arrived; `None` once the wire is cut.
    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        loop {
            let due = {
                let mut state = self.wire.lock();
                if state.cut {
                    return Poll::Ready(None);
                }
                match state.take(now(), self.end) {
                    Front::Item(item) => return Poll::Ready(Some(item)),
                    front => {
                        // Also while something is on its way: the wire may be cut before it is there.
                        state.incoming(self.end).reader = Some(cx.waker().clone());
                        match front {
                            Front::Due(due) => due,
                            _ => return Poll::Pending,
                        }
                    }
                }
            };
            let sleep = self.arrival.get_or_insert_with(|| sleep_until(due));
            if sleep.deadline() != due {
                sleep.reset(due);
            }
            std::task::ready!(Pin::new(sleep).poll(cx));
            self.arrival = None;
        }
    }

    fn put(&self, item: Item) {
        self.wire.lock().put(now(), self.end, item);
    }

    fn check(&self) -> Result<(), LinkError> {
        match self.phase {
            Phase::Open if !self.wire.lock().cut => Ok(()),
            _ => Err(LinkError::Lost(None)),
        }
    }
}

impl Link for MemoryLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.check()?;
        let mut state = self.wire.lock();
        if state.is_full(self.end) {
            state.outgoing(self.end).writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), LinkError> {
        self.check()?;
        self.put(Item::Message(message));
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(self.check())
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        if self.phase != Phase::Open {
            return Poll::Ready(Err(LinkError::Lost(None)));
        }
        Poll::Ready(match std::task::ready!(self.poll_item(cx)) {
            Some(Item::Message(message)) => Ok(Received::Binary(message)),
            Some(Item::Close(frame)) => {
                self.put(Item::Close(frame.clone()));
                self.phase = Phase::Ended;
                Ok(Received::Closed(frame))
            }
            Some(Item::Gone) | None => {
                self.phase = Phase::Ended;
                Err(LinkError::Lost(None))
            }
        })
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, frame: &CloseFrame) -> Poll<()> {
        if self.phase == Phase::Open {
            self.put(Item::Close(frame.clone()));
            self.phase = Phase::Closing;
        }
        while self.phase == Phase::Closing {
            match std::task::ready!(self.poll_item(cx)) {
                Some(Item::Message(_)) => {}
                Some(Item::Close(_) | Item::Gone) | None => self.phase = Phase::Ended,
            }
        }
        Poll::Ready(())
    }

    fn written(&self) -> u64 {
        self.wire.lock().outgoing(self.end).written
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        self.put(Item::Gone);
    }
}
