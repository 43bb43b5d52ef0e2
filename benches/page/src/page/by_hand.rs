//! A socket written by hand: `web-sys`, text messages, `serde_json`.

use std::cell::RefCell;
use std::rc::Rc;

use leptos::prelude::window;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{MessageEvent, WebSocket};

use super::correlation::{Caller, Table};

pub(super) fn connect() -> Caller {
    let host = window().location().host().expect("the page has an address");
    let socket = WebSocket::new(&format!("ws://{host}/ws/web-sys")).expect("the address is one");
    let table = Rc::<RefCell<Table>>::default();

    let at = table.clone();
    let open = Closure::<dyn FnMut()>::new(move || at.borrow_mut().handle_open());
    let at = table.clone();
    let message = Closure::<dyn FnMut(_)>::new(move |event: MessageEvent| {
        let text = event.data().as_string().expect("the host sends text");
        let answer = serde_json::from_str(&text).expect("the host sends answers");
        at.borrow_mut().handle(answer);
    });
    socket.set_onopen(Some(open.as_ref().unchecked_ref()));
    socket.set_onmessage(Some(message.as_ref().unchecked_ref()));
    // They live as long as the page.
    open.forget();
    message.forget();

    Caller::new(table, move |request| {
        let text = serde_json::to_string(request).expect("a request is JSON");
        socket.send_with_str(&text).expect("the socket is open");
    })
}
