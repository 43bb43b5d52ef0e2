//! The counter's page over a socket written by hand: `web-sys` and `serde_json`. It does not connect again.

#[cfg(not(target_arch = "wasm32"))]
fn main() {}

#[cfg(target_arch = "wasm32")]
fn main() {
    use bench_page::small::{Ask, Told, card};
    use leptos::prelude::*;
    use send_wrapper::SendWrapper;
    use wasm_bindgen::JsCast;
    use wasm_bindgen::closure::Closure;
    use web_sys::{MessageEvent, WebSocket};

    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(|| {
        let (number, error) = (RwSignal::new(None), RwSignal::new(None));
        let (state, waiting) = (RwSignal::new("connecting"), RwSignal::new(std::collections::HashSet::new()));
        let host = window().location().host().expect("the page has an address");
        let socket = WebSocket::new(&format!("ws://{host}/ws")).expect("the address is one");

        let watched = socket.clone();
        let open = Closure::<dyn FnMut()>::new(move || {
            state.set("live");
            let ask = serde_json::to_string(&Ask::Watch { id: 0 }).expect("a request is JSON");
            let _ = watched.send_with_str(&ask);
        });
        let close = Closure::<dyn FnMut()>::new(move || state.set("closed"));
        let message = Closure::<dyn FnMut(_)>::new(move |event: MessageEvent| {
            let text = event.data().as_string().unwrap_or_default();
            match serde_json::from_str(&text) {
                Ok(Told::Value(value)) => number.set(Some(value)),
                Ok(Told::Sum { id, .. }) => waiting.update(|waiting| {
                    waiting.remove(&id);
                }),
                Ok(Told::Refused { id, why }) => {
                    waiting.update(|waiting| {
                        waiting.remove(&id);
                    });
                    error.set(Some(why));
                }
                Err(problem) => error.set(Some(problem.to_string())),
            }
        });
        socket.set_onopen(Some(open.as_ref().unchecked_ref()));
        socket.set_onclose(Some(close.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(message.as_ref().unchecked_ref()));
        // They live as long as the page.
        open.forget();
        close.forget();
        message.forget();

        let last_id = RwSignal::new(0);
        let socket = SendWrapper::new(socket);
        let add = move |by| {
            let id = last_id.get_untracked() + 1;
            last_id.set(id);
            waiting.update(|waiting| {
                waiting.insert(id);
            });
            let ask = serde_json::to_string(&Ask::Add { id, by }).expect("a request is JSON");
            let _ = socket.send_with_str(&ask);
        };
        let pending = Signal::derive(move || waiting.with(|waiting| !waiting.is_empty()));
        card(number.into(), pending, error.into(), state.into(), add)
    });
}
