use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bowline_protocol::codec::Payload;
use bowline_protocol::schema::ServiceDescriptor;

use super::CallKey;
use super::call_future::failure;
use super::exchange::Exchange;
use super::prepared::Prepared;
use super::setters::setters;
use crate::reply::Outcome;
use crate::{CallError, Channel, Reply, error};

/// A one-way call.
///
/// Nothing is sent before the first poll. It ends when the call was handed to a living session, which says nothing
/// about its arrival: it may be dropped under load or with the link, and is never kept for a later session.
///
/// # Errors
///
/// [`CallError::Unavailable`] when no session is live, [`CallError::ResourceExhausted`] when it was dropped here.
#[must_use = "a call does nothing until it is awaited"]
pub struct NotifyFuture {
    exchange: Exchange,
    service: &'static ServiceDescriptor,
    method: usize,
}

impl NotifyFuture {
    /// Describes a one-way call. Generated code calls this.
    pub fn new<A: Payload>(
        channel: &Channel,
        service: &'static ServiceDescriptor,
        method: usize,
        arguments: &A,
    ) -> Self {
        let exchange = Exchange::new(Prepared::new(channel, service, method, arguments, None));
        Self { exchange, service, method }
    }

    /// What the call says, for a cache; `None` once it was polled.
    pub fn key(&self) -> Option<CallKey> {
        self.exchange.prepared().map(Prepared::key)
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Prepared)) {
        self.exchange.edit(edit);
    }
}

setters!(one_way [] NotifyFuture);

impl Future for NotifyFuture {
    type Output = Result<(), CallError<Infallible>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = std::task::ready!(self.exchange.poll(cx));
        Poll::Ready(match reply.0 {
            Outcome::Done => Ok(()),
            other => {
                let name = || error::name(self.service, &self.service.methods[self.method]);
                Err(failure(Reply(other), &name, Infallible::decode))
            }
        })
    }
}

impl fmt::Debug for NotifyFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyFuture")
            .field("service", &self.service.name)
            .field("method", &self.service.methods[self.method].name)
            .finish_non_exhaustive()
    }
}
