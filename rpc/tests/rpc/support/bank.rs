//! A service whose methods are `once`, and which can be asked what ran.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bowline_protocol::schema::{Retry, ServiceDescriptor};
use bowline_rpc::{Call, Cancellation, ReplyFuture, Service, macros};
use tokio::sync::Notify;

use super::unary;

pub static SERVICE: ServiceDescriptor = ServiceDescriptor {
    name: "Bank",
    methods: &[
        unary("pay", Retry::Once),
        unary("hold", Retry::Once),
        unary("explode", Retry::Once),
        unary("refuse", Retry::Once),
        unary("look", Retry::Idempotent),
        unary("also_pay", Retry::Once),
    ],
};

pub const PAY: usize = 0;
/// Runs until it is released.
pub const HOLD: usize = 1;
pub const EXPLODE: usize = 2;
pub const REFUSE: usize = 3;
pub const LOOK: usize = 4;
pub const ALSO_PAY: usize = 5;

#[derive(Default)]
pub struct Bank {
    pub started: AtomicU64,
    pub ended: AtomicU64,
    pub dropped: AtomicU64,
    pub release: Notify,
    pub cancellation: std::sync::Mutex<Option<Cancellation>>,
    pub order: std::sync::Mutex<Vec<u64>>,
}

impl Bank {
    pub fn counts(&self) -> (u64, u64) {
        (self.started.load(Ordering::SeqCst), self.ended.load(Ordering::SeqCst))
    }
}

struct Dropped(Arc<Bank>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Clone)]
pub struct Served(pub Arc<Bank>);

impl Service for Served {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &SERVICE
    }

    fn dispatch(&self, call: Call) -> ReplyFuture {
        let bank = self.0.clone();
        let index = call.method_index();
        macros::unary(call, move |cx, amount: u64| async move {
            let number = bank.started.fetch_add(1, Ordering::SeqCst) + 1;
            bank.order.lock().unwrap().push(amount);
            *bank.cancellation.lock().unwrap() = Some(cx.cancellation());
            let _dropped = Dropped(bank.clone());
            if matches!(index, HOLD | EXPLODE | LOOK) {
                bank.release.notified().await;
            }
            assert!(index != EXPLODE, "the bank is gone");
            bank.ended.fetch_add(1, Ordering::SeqCst);
            if index == REFUSE { Err(format!("refused {number}")) } else { Ok(number * 1000 + amount) }
        })
    }
}
