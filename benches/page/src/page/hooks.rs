//! `leptos-use`: its hook with codee's JSON. Answers to calls come by the option `on_message`, as the signal shows only the newest
//! message; what is published is read from the signal.

use std::cell::RefCell;
use std::rc::Rc;

use codee::string::JsonSerdeCodec;
use leptos::prelude::*;
use leptos_use::{UseWebSocketOptions, UseWebSocketReturn, use_websocket_with_options};
use send_wrapper::SendWrapper;

use super::correlation::{Caller, Table};
use crate::wire::{Answer, Request};

pub(super) struct Hooked {
    pub(super) caller: Caller,
    /// The newest message.
    pub(super) message: Signal<Option<Answer>>,
}

pub(super) fn connect() -> Hooked {
    let table = Rc::<RefCell<Table>>::default();
    let (opened, told) = (SendWrapper::new(table.clone()), SendWrapper::new(table.clone()));
    let options = UseWebSocketOptions::default()
        .on_open(move |_| opened.borrow_mut().handle_open())
        .on_message(move |answer: &Answer| told.borrow_mut().handle(answer.clone()));
    let UseWebSocketReturn { message, send, .. } =
        use_websocket_with_options::<Request, Answer, JsonSerdeCodec, _, _>("/ws/leptos-use", options);
    Hooked { caller: Caller::new(table, send), message }
}
