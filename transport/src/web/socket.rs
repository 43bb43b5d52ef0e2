//! The page's WebSocket with its event handlers, which live and die with it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bowline_protocol::envelope::SUBPROTOCOL;
use bowline_protocol::status::CloseCode;
use bytes::Bytes;
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

use super::listener::{Listener, is_kept};
use crate::{CloseFrame, Received};

pub(super) struct Socket {
    pub(super) raw: WebSocket,
    events: Rc<RefCell<Events>>,
    _handlers: Handlers,
}

/// What the handlers have seen and the link has not yet.
#[derive(Default)]
struct Events {
    opened: bool,
    /// No bound: a page can't stop its socket from reading. The driver never stops reading either.
    received: VecDeque<Received>,
    ended: Option<Ended>,
    /// What still arrives is of no use.
    deaf: bool,
    waker: Option<Waker>,
}

#[derive(Clone)]
pub(super) enum Ended {
    Closed(CloseFrame),
    Lost,
}

/// Kept for as long as the socket may call them.
struct Handlers {
    _open: Closure<dyn FnMut()>,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _close: Closure<dyn FnMut(CloseEvent)>,
    _leave: Option<Listener>,
}

impl Socket {
    /// Starts to connect.
    pub(super) fn new(url: &str) -> Result<Self, JsValue> {
        let raw = WebSocket::new_with_str(url, SUBPROTOCOL)?;
        raw.set_binary_type(BinaryType::Arraybuffer);
        let events = Rc::new(RefCell::new(Events::default()));

        let seen = events.clone();
        let open =
            Closure::<dyn FnMut()>::new(move || seen.borrow_mut().handle(|events| events.opened = true));
        let seen = events.clone();
        let message = Closure::<dyn FnMut(_)>::new(move |event: MessageEvent| {
            let received = match event.data().dyn_into::<ArrayBuffer>() {
                Ok(buffer) => Received::Binary(Bytes::from(Uint8Array::new(&buffer).to_vec())),
                Err(_) => Received::Text,
            };
            seen.borrow_mut().handle(|events| {
                if !events.deaf {
                    events.received.push_back(received);
                }
            });
        });
        let seen = events.clone();
        // An error is always followed by a close, and says nothing.
        let close = Closure::<dyn FnMut(_)>::new(move |event: CloseEvent| {
            let ended = if event.was_clean() {
                Ended::Closed(CloseFrame::new(CloseCode::new(event.code()), event.reason()))
            } else {
                Ended::Lost
            };
            seen.borrow_mut().handle(|events| events.ended = Some(ended));
        });

        // A page that is closed or left for good has nobody who comes back to its session. One that the browser keeps may
        // come back: its socket is only lost.
        let leaving = raw.clone();
        let leave = Listener::new(&js_sys::global(), "pagehide", move |event| {
            if !is_kept(&event) {
                // It fails for a bad code alone.
                let _ = leaving.close_with_code(CloseCode::NORMAL.number());
            }
        });

        raw.set_onopen(Some(open.as_ref().unchecked_ref()));
        raw.set_onmessage(Some(message.as_ref().unchecked_ref()));
        raw.set_onclose(Some(close.as_ref().unchecked_ref()));
        let handlers = Handlers { _open: open, _message: message, _close: close, _leave: leave };
        Ok(Self { raw, events, _handlers: handlers })
    }

    /// Whether the open event came; `false` when the end came first.
    pub(super) fn poll_open(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut events = self.events.borrow_mut();
        match (events.opened, &events.ended) {
            (true, _) => Poll::Ready(true),
            (false, Some(_)) => Poll::Ready(false),
            (false, None) => events.wait(cx),
        }
    }

    /// The next message, or the end behind all of them.
    pub(super) fn poll_received(&self, cx: &Context<'_>) -> Poll<Result<Received, Ended>> {
        let mut events = self.events.borrow_mut();
        if let Some(received) = events.received.pop_front() {
            return Poll::Ready(Ok(received));
        }
        match &events.ended {
            Some(ended) => Poll::Ready(Err(ended.clone())),
            None => events.wait(cx),
        }
    }

    /// The end, whatever may still have arrived before it.
    pub(super) fn poll_ended(&self, cx: &Context<'_>) -> Poll<()> {
        let mut events = self.events.borrow_mut();
        events.deaf = true;
        events.received.clear();
        if events.ended.is_some() { Poll::Ready(()) } else { events.wait(cx) }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.events.borrow().ended.is_some()
    }
}

impl Events {
    fn handle(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The handlers are about to be freed: nothing may call them any more.
        self.raw.set_onopen(None);
        self.raw.set_onmessage(None);
        self.raw.set_onclose(None);
        // Without a close the browser would keep the socket for as long as the server does. It can't fail without a
        // code, and closing twice does nothing.
        let _ = self.raw.close();
    }
}
