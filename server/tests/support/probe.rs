//! The service that most tests talk to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bowline::prelude::*;
use futures_util::stream;

#[bowline::message]
#[derive(Debug)]
pub struct Named {
    pub name: String,
    pub flag: bool,
}

#[bowline::rpc]
pub trait Probe {
    /// 0: the sum.
    async fn add(&self, a: u32, b: u32) -> u32;
    /// 1: a bug.
    async fn panics(&self) -> u32;
    /// 2: the numbers from 0.
    fn count(&self, to: u32) -> impl Stream<Item = u32>;
    /// 3: the sum of what is sent.
    async fn total(&self, numbers: Streaming<u32>) -> u32;
    /// 4: the name back.
    async fn name(&self, named: Named) -> String;
    /// 5: never ends.
    async fn hang(&self) -> u32;
    /// 6: how often `told` ran.
    async fn told_times(&self) -> u32;
    /// 7: one way.
    #[rpc(notify)]
    async fn tell(&self, what: String);
    /// 8: who is calling.
    async fn whoami(&self, cx: &Context) -> String;
    /// 9: reads nothing of what is sent, and never ends.
    async fn ignore(&self, numbers: Streaming<String>) -> u32;
    /// 10: a number that goes on.
    #[rpc(watch)]
    fn watch(&self) -> impl Stream<Item = u32>;
    /// 11: 7, once the gate was opened for it.
    async fn gate(&self) -> u32;
}

/// The methods' numbers.
pub mod method {
    pub const ADD: u32 = 0;
    pub const PANICS: u32 = 1;
    pub const COUNT: u32 = 2;
    pub const TOTAL: u32 = 3;
    pub const NAME: u32 = 4;
    pub const HANG: u32 = 5;
    pub const TOLD_TIMES: u32 = 6;
    pub const TELL: u32 = 7;
    pub const WHOAMI: u32 = 8;
    pub const IGNORE: u32 = 9;
    pub const GATE: u32 = 11;
    pub const UNKNOWN: u32 = 99;
}

/// Who a session belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User(pub String);

#[derive(Debug, Clone, Default)]
pub struct Service {
    pub told: Arc<AtomicUsize>,
    /// Handlers of `hang`, `ignore` and `gate` that run.
    pub running: Arc<Running>,
    pub gate: Arc<tokio::sync::Notify>,
}

#[derive(Debug, Default)]
pub struct Running {
    count: AtomicUsize,
    changed: tokio::sync::Notify,
}

impl Running {
    /// Ends when so many run.
    pub async fn wait_for(&self, count: usize) {
        loop {
            let changed = self.changed.notified();
            if self.count.load(Ordering::SeqCst) == count {
                return;
            }
            changed.await;
        }
    }

    fn enter(self: &Arc<Self>) -> Ran {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        Ran(self.clone())
    }
}

struct Ran(Arc<Running>);

impl Drop for Ran {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

impl Probe for Service {
    async fn add(&self, a: u32, b: u32) -> u32 {
        a + b
    }

    async fn panics(&self) -> u32 {
        panic!("the password is swordfish")
    }

    fn count(&self, to: u32) -> impl Stream<Item = u32> {
        stream::iter(0..to)
    }

    async fn total(&self, mut numbers: Streaming<u32>) -> u32 {
        let mut total = 0;
        while let Some(Ok(number)) = numbers.next().await {
            total += number;
        }
        total
    }

    async fn name(&self, named: Named) -> String {
        named.name
    }

    async fn hang(&self) -> u32 {
        let _ran = self.running.enter();
        std::future::pending().await
    }

    async fn told_times(&self) -> u32 {
        self.told.load(Ordering::SeqCst) as u32
    }

    async fn tell(&self, _what: String) {
        self.told.fetch_add(1, Ordering::SeqCst);
    }

    async fn whoami(&self, cx: &Context) -> String {
        cx.identity::<User>().map_or_else(|| "nobody".to_owned(), |user| user.0.clone())
    }

    async fn ignore(&self, _numbers: Streaming<String>) -> u32 {
        let _ran = self.running.enter();
        std::future::pending().await
    }

    async fn gate(&self) -> u32 {
        let _ran = self.running.enter();
        self.gate.notified().await;
        7
    }

    fn watch(&self) -> impl Stream<Item = u32> {
        stream::iter([1]).chain(stream::pending())
    }
}
