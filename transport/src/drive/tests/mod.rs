//! The loop beside an end of a session that follows a script.

mod asked;
mod blocked;
mod bulk;
mod ending;
mod last;
mod pieces;
mod timer;
mod turns;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::pending;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use bowline_protocol::envelope::Refusal;
use bowline_protocol::limits::Limits;
use bowline_runtime::{Instant, Lines};
use bytes::Bytes;

use super::*;
use crate::memory::{Faults, MemoryLink, pair};

/// An end of a session that follows a script and keeps a diary.
#[derive(Default)]
struct Script(RefCell<State>);

#[derive(Default)]
struct State {
    diary: Vec<&'static str>,
    received: Vec<Bytes>,
    arriving: Vec<Arriving>,
    outgoing: VecDeque<Bytes>,
    /// `outgoing` never runs dry.
    endless: Option<Bytes>,
    refusal: Option<Refusal>,
    due: Option<Instant>,
    waker: Option<Waker>,
    /// Others may add to what is written next.
    company: bool,
    /// It says which message is the last.
    says_last: bool,
    /// How often it was asked what it waits for.
    asked: usize,
    foreseen: Vec<[Lines; 3]>,
}

impl State {
    fn rest(&mut self) -> Rest {
        self.refusal.take().map_or(Ok(self.due), Err)
    }
}

impl Script {
    fn note(&self, what: &'static str) {
        self.0.borrow_mut().diary.push(what);
    }

    fn diary(&self) -> Vec<&'static str> {
        self.0.borrow().diary.clone()
    }

    fn count(&self, what: &str) -> usize {
        self.0.borrow().diary.iter().filter(|noted| **noted == what).count()
    }

    fn asked(&self) -> usize {
        self.0.borrow().asked
    }

    fn command(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.borrow_mut();
        change(&mut state);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn close(&self, code: CloseCode) {
        self.command(|state| state.refusal = Some(Refusal { code, reason: "why".to_owned() }));
    }
}

impl Core for Script {
    fn handle_connected(&self) {
        self.note("connected");
    }

    fn foresee(&self, parts: [Lines; 3]) {
        self.0.borrow_mut().foreseen.push(parts);
    }

    fn attend(&self) {}

    fn handle_disconnect(&self, _code: Option<CloseCode>) {
        self.note("disconnect");
    }

    fn handle_message(&self, message: Bytes) {
        self.note("message");
        self.0.borrow_mut().received.push(message);
    }

    fn handle_received(&self, arriving: Arriving) {
        self.note("received");
        self.0.borrow_mut().arriving.push(arriving);
    }

    fn handle_text(&self) {
        self.note("text");
    }

    fn handle_timeout(&self) {
        self.note("timeout");
        self.0.borrow_mut().due = None;
    }

    fn handle_blocked(&self) {
        self.note("blocked");
    }

    fn handle_progress(&self) {
        self.note("progress");
    }

    fn transmit(&self, cx: &mut Context<'_>, heard: Option<bool>) -> Transmit {
        let mut state = self.0.borrow_mut();
        if state.company && heard.is_some_and(|heard| heard || !state.outgoing.is_empty()) {
            return Transmit::Later;
        }
        let endless = state.endless.clone();
        let message = state.outgoing.pop_front().or(endless);
        if message.is_some() {
            state.diary.push("transmit");
        }
        let has_more = state.endless.is_some() || !state.outgoing.is_empty();
        if let Some(message) = message.clone().filter(|_| has_more || !state.says_last) {
            return Transmit::Message(message);
        }
        state.waker = Some(cx.waker().clone());
        let rest = state.rest();
        message.map_or(Transmit::Nothing(rest.clone()), |message| Transmit::Last(message, rest))
    }

    fn rest(&self) -> Rest {
        let mut state = self.0.borrow_mut();
        state.asked += 1;
        state.rest()
    }

    fn park(&self, cx: &mut Context<'_>) {
        self.0.borrow_mut().waker = Some(cx.waker().clone());
    }
}

fn links() -> (Faults, MemoryLink, MemoryLink) {
    let faults = Faults::default();
    let (ours, theirs) = pair(&faults);
    (faults, ours, theirs)
}

async fn receive(link: &mut MemoryLink) -> Result<Received, LinkError> {
    poll_fn(|cx| link.poll_receive(cx)).await
}

/// Lets the loop run until it waits.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Runs the loop beside `test`, which has to outlive it or to end it.
async fn beside<T>(link: MemoryLink, script: &Script, test: impl AsyncFnOnce() -> T) -> (Option<Ended>, T) {
    let mut ended = None;
    let mut driving = pin!(run(link, script, pending()));
    let mut test = pin!(test());
    let result = poll_fn(|cx| {
        if ended.is_none()
            && let Poll::Ready(end) = driving.as_mut().poll(cx)
        {
            ended = Some(end);
        }
        test.as_mut().poll(cx)
    })
    .await;
    (ended, result)
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
