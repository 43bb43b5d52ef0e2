//! Who is measured: each library behind the same two traits, driven in its best documented way.

mod axum;
pub(crate) mod bowline;
#[cfg(test)]
mod defaults;
#[cfg(feature = "peers")]
mod fastwebsockets;
#[cfg(feature = "peers")]
mod jsonrpsee;
mod raw;
#[cfg(feature = "peers")]
mod remoc;
#[cfg(feature = "peers")]
mod tarpc;
#[cfg(feature = "peers")]
mod tonic;

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

/// A connected client. What a library can't do it is not asked for.
pub trait Caller: Send + Sync {
    /// Makes `n` echo calls, `in_flight` at any time, and looks at each answer.
    fn calls(&self, text: Arc<str>, in_flight: usize, n: u64) -> Doing<'_, ()>;

    /// Sends the samples `n` times, one after the other; the server answers with that at [`PICKED`].
    fn uploads(&self, _samples: Arc<[f32]>, _n: u64) -> Doing<'_, ()> {
        Box::pin(async { Err("is not asked to take large arguments".into()) })
    }

    /// Reads one stream of `n` items, which the server counts from 0.
    fn items(&self, _n: u64) -> Doing<'_, ()> {
        Box::pin(async { Err("is not asked for streams".into()) })
    }
}

/// Which of the samples of an upload the server answers with.
pub const PICKED: usize = 1000;

/// Those that are compared by echo calls, Bowline first.
pub fn callers() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(bowline::Bowline),
        Box::new(raw::NAIVE),
        Box::new(raw::SMALL_BUFFER),
        Box::new(raw::BATCHED),
        Box::new(axum::Axum),
        #[cfg(feature = "peers")]
        Box::new(fastwebsockets::Fastwebsockets),
        #[cfg(feature = "peers")]
        Box::new(jsonrpsee::Jsonrpsee),
        #[cfg(feature = "peers")]
        Box::new(tarpc::Tarpc),
        #[cfg(feature = "peers")]
        Box::new(tonic::Tonic),
        #[cfg(feature = "peers")]
        Box::new(remoc::Remoc),
    ]
}

/// Those whose calls are JSON, and what everybody is compared with.
pub fn json_callers() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(bowline::OverJson),
        Box::new(bowline::Bowline),
        Box::new(raw::NAIVE),
        Box::new(raw::BATCHED),
        #[cfg(feature = "peers")]
        Box::new(jsonrpsee::Jsonrpsee),
    ]
}

/// Those that take large arguments.
pub fn uploaders() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(bowline::Bowline),
        Box::new(raw::NAIVE),
        Box::new(axum::Axum),
        #[cfg(feature = "peers")]
        Box::new(fastwebsockets::Fastwebsockets),
        #[cfg(feature = "peers")]
        Box::new(jsonrpsee::Jsonrpsee),
        #[cfg(feature = "peers")]
        Box::new(tarpc::Tarpc),
        #[cfg(feature = "peers")]
        Box::new(tonic::Tonic),
        #[cfg(feature = "peers")]
        Box::new(remoc::Remoc),
    ]
}

/// Those that have streams from the server.
pub fn streamers() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(bowline::Bowline),
        Box::new(raw::NAIVE),
        Box::new(raw::BATCHED),
        #[cfg(feature = "peers")]
        Box::new(jsonrpsee::Jsonrpsee),
        #[cfg(feature = "peers")]
        Box::new(tonic::Tonic),
        #[cfg(feature = "peers")]
        Box::new(remoc::Remoc),
    ]
}

/// The one that has this name: so another process names it.
///
/// # Errors
///
/// When there is none.
pub fn named(name: &str) -> Result<Box<dyn Peer>> {
    let mut all = callers().into_iter().chain(json_callers());
    let named = all.find(|peer| peer.name() == name);
    named.ok_or_else(|| format!("there is no peer `{name}`").into())
}

/// Splits `n` calls among `in_flight` tasks, each of which makes its share one after the other.
pub(crate) async fn in_tasks<F>(in_flight: usize, n: u64, calls: impl Fn(u64) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let tasks = in_flight as u64;
    let mut set = tokio::task::JoinSet::new();
    for task in 0..tasks {
        set.spawn(calls(n / tasks + u64::from(task < n % tasks)));
    }
    while let Some(result) = set.join_next().await {
        result??;
    }
    Ok(())
}

/// An answer that is not what was asked is an error.
pub(crate) fn same<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(wanted: T, came: U) -> Result<()> {
    if wanted == came { Ok(()) } else { Err(format!("wanted {wanted:?}, got {came:?}").into()) }
}

/// What a hand-written client sends for an upload.
pub(crate) fn sample_bytes(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// What a hand-written server answers to it.
pub(crate) fn picked(bytes: &[u8]) -> Result<[u8; 4]> {
    let at = bytes.get(PICKED * 4..PICKED * 4 + 4).ok_or("an upload that is too short")?;
    Ok(at.try_into()?)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test]
    async fn tasks_share_all_calls_and_hand_on_an_error() {
        let made = Arc::new(AtomicU64::new(0));
        let count = |share| {
            let made = Arc::clone(&made);
            async move {
                made.fetch_add(share, Ordering::Relaxed);
                Ok(())
            }
        };
        in_tasks(7, 100, count).await.unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 100);
        let error = in_tasks(3, 3, |_| async { same("a", "b") }).await.unwrap_err();
        assert_eq!(error.to_string(), "wanted \"a\", got \"b\"");
    }

    #[test]
    fn a_hand_written_server_finds_the_sample() {
        let samples: Vec<f32> = (0..=PICKED as u16).map(f32::from).collect();
        assert_eq!(f32::from_le_bytes(picked(&sample_bytes(&samples)).unwrap()), 1000.0);
        assert!(picked(&sample_bytes(&samples[..PICKED])).is_err());
    }

    /// Else a scenario that has both measures a lock of this program.
    #[tokio::test]
    async fn a_small_call_comes_between_uploads() {
        for peer in uploaders() {
            let caller = peer.connect(peer.serve().await.unwrap()).await.unwrap();
            let samples: Arc<[f32]> = vec![0.5; 2 * PICKED].into();
            tokio::select! {
                biased;
                done = caller.uploads(samples, 200) => panic!("{}: {done:?} comes first", peer.name()),
                called = caller.calls("small".into(), 1, 1) => called.unwrap(),
            }
        }
    }
}
