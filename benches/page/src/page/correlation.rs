//! What everybody writes who calls over a plain socket: who waits for which id.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use futures_channel::{mpsc, oneshot};
use futures_util::Stream;

use super::Outcome;
use crate::Tick;
use crate::wire::{Answer, Request};

/// Calls over a socket that sends requests; whoever owns the socket hands answers to [`Caller::handle`].
#[derive(Clone)]
pub(super) struct Caller {
    send: Rc<dyn Fn(&Request)>,
    table: Rc<RefCell<Table>>,
}

/// Who waits.
#[derive(Default)]
pub(super) struct Table {
    last_id: u64,
    calls: HashMap<u64, oneshot::Sender<Answer>>,
    streams: HashMap<u64, Box<dyn Fn(Answer)>>,
    is_open: bool,
    opening: Vec<oneshot::Sender<()>>,
}

impl Table {
    pub(super) fn handle(&mut self, answer: Answer) {
        let id = answer.id();
        match answer {
            Answer::Echo { .. } | Answer::Clock { .. } => {
                if let Some(call) = self.calls.remove(&id) {
                    let _ = call.send(answer);
                }
            }
            Answer::Item { .. } | Answer::Tick { .. } => {
                if let Some(stream) = self.streams.get(&id) {
                    stream(answer);
                }
            }
            Answer::End { .. } => {
                self.streams.remove(&id);
            }
        }
    }

    pub(super) fn handle_open(&mut self) {
        self.is_open = true;
        self.opening.drain(..).for_each(|waiting| {
            let _ = waiting.send(());
        });
    }
}

impl Caller {
    pub(super) fn new(table: Rc<RefCell<Table>>, send: impl Fn(&Request) + 'static) -> Self {
        Self { send: Rc::new(send), table }
    }

    /// Waits for the socket.
    pub(super) async fn open(&self) {
        let opened = {
            let mut table = self.table.borrow_mut();
            if table.is_open {
                return;
            }
            let (opening, opened) = oneshot::channel();
            table.opening.push(opening);
            opened
        };
        let _ = opened.await;
    }

    pub(super) async fn echo(&self, text: String) -> Outcome<String> {
        match self.call(|id| Request::Echo { id, text }).await? {
            Answer::Echo { text, .. } => Ok(text),
            other => Err(format!("{other:?} is no echo")),
        }
    }

    pub(super) async fn clock(&self) -> Outcome<u64> {
        match self.call(|id| Request::Clock { id }).await? {
            Answer::Clock { at, .. } => Ok(at),
            other => Err(format!("{other:?} is no clock")),
        }
    }

    pub(super) fn count(&self, limit: u64) -> impl Stream<Item = u64> + Unpin + use<> {
        let (items, counted) = mpsc::unbounded();
        let item = move |answer| {
            if let Answer::Item { number, .. } = answer {
                let _ = items.unbounded_send(number);
            }
        };
        self.stream(|id| Request::Count { id, limit }, item);
        counted
    }

    pub(super) fn ticks(&self, limit: u64, show: impl Fn(Tick) + 'static) {
        let item = move |answer| {
            if let Answer::Tick { tick, .. } = answer {
                show(tick);
            }
        };
        self.stream(|id| Request::Ticks { id, limit }, item);
    }

    /// Asks for ticks and leaves it to others to see them.
    pub(super) fn ask_for_ticks(&self, limit: u64) {
        let id = self.next_id();
        (self.send)(&Request::Ticks { id, limit });
    }

    async fn call(&self, request: impl FnOnce(u64) -> Request) -> Outcome<Answer> {
        let (call, answer) = oneshot::channel();
        let id = self.next_id();
        self.table.borrow_mut().calls.insert(id, call);
        (self.send)(&request(id));
        answer.await.map_err(|_| "no answer".into())
    }

    fn stream(&self, request: impl FnOnce(u64) -> Request, item: impl Fn(Answer) + 'static) {
        let id = self.next_id();
        self.table.borrow_mut().streams.insert(id, Box::new(item));
        (self.send)(&request(id));
    }

    fn next_id(&self) -> u64 {
        let mut table = self.table.borrow_mut();
        table.last_id += 1;
        table.last_id
    }
}
