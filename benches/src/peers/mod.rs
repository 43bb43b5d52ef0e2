//! Who is measured: each library behind the same two traits, driven in its best documented way.

mod bowline;
mod raw;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::Result;

/// A future that may go to another thread.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A library, or a way of using one.
pub trait Peer: Send + Sync + std::fmt::Debug {
    /// Its name and what is special about this way of using it.
    fn name(&self) -> &'static str;

    /// Starts its server on a free port of the runtime that polls this; it serves everything that [`Caller`] asks for.
    fn serve(&self) -> Doing<'static, SocketAddr>;

    /// Connects one client, whose tasks live on the runtime that polls this.
    fn connect(&self, server: SocketAddr) -> Doing<'static, Arc<dyn Caller>>;
}

/// A connected client.
pub trait Caller: Send + Sync {
    /// Makes `n` echo calls, `in_flight` at any time, and looks at each answer.
    fn calls(&self, text: Arc<str>, in_flight: usize, n: u64) -> Doing<'_, ()>;
}

/// Everybody who takes part in the comparison of small calls, Bowline first.
pub fn all() -> Vec<Box<dyn Peer>> {
    vec![Box::new(bowline::Bowline), Box::new(raw::Naive), Box::new(raw::Batched)]
}

/// Makes `n` calls from `in_flight` tasks that each wait for their answer before they ask again.
pub(crate) async fn in_tasks<F>(
    in_flight: usize,
    n: u64,
    call: impl Fn() -> F + Clone + Send + 'static,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send,
{
    let tasks = in_flight as u64;
    let mut set = tokio::task::JoinSet::<Result<()>>::new();
    for task in 0..tasks {
        let call = call.clone();
        let share = n / tasks + u64::from(task < n % tasks);
        set.spawn(async move {
            for _ in 0..share {
                call().await?;
            }
            Ok(())
        });
    }
    while let Some(result) = set.join_next().await {
        result??;
    }
    Ok(())
}

/// An answer that is not what was asked is an error.
pub(crate) fn same(asked: &str, answered: &str) -> Result<()> {
    if asked == answered { Ok(()) } else { Err(format!("asked `{asked}`, was answered `{answered}`").into()) }
}
