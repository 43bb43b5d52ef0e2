//! The counter's page over `leptos-use` with codee's JSON.

#[cfg(not(target_arch = "wasm32"))]
fn main() {}

#[cfg(target_arch = "wasm32")]
fn main() {
    use bench_page::small::{Ask, Told, card};
    use codee::string::JsonSerdeCodec;
    use leptos::prelude::*;
    use leptos_use::core::ConnectionReadyState;
    use leptos_use::{UseWebSocketOptions, UseWebSocketReturn, use_websocket_with_options};

    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(|| {
        let (number, error) = (RwSignal::new(None), RwSignal::new(None));
        let waiting = RwSignal::new(std::collections::HashSet::new());
        let options = UseWebSocketOptions::default()
            .on_error(move |problem| error.set(Some(format!("{problem:?}"))))
            .on_message(move |told: &Told| match told {
                Told::Value(value) => number.set(Some(*value)),
                Told::Sum { id, .. } => waiting.update(|waiting| {
                    waiting.remove(id);
                }),
                Told::Refused { id, why } => {
                    waiting.update(|waiting| {
                        waiting.remove(id);
                    });
                    error.set(Some(why.clone()));
                }
            });
        let UseWebSocketReturn { ready_state, send, .. } =
            use_websocket_with_options::<Ask, Told, JsonSerdeCodec, _, _>("/ws", options);
        let ask = send.clone();
        Effect::new(move |_| {
            if ready_state.get() == ConnectionReadyState::Open {
                ask(&Ask::Watch { id: 0 });
            }
        });
        let state = Signal::derive(move || match ready_state.get() {
            ConnectionReadyState::Connecting => "connecting",
            ConnectionReadyState::Open => "live",
            ConnectionReadyState::Closing => "closing",
            ConnectionReadyState::Closed => "closed",
        });
        let last_id = RwSignal::new(0);
        let add = move |by| {
            let id = last_id.get_untracked() + 1;
            last_id.set(id);
            waiting.update(|waiting| {
                waiting.insert(id);
            });
            send(&Ask::Add { id, by });
        };
        let pending = Signal::derive(move || waiting.with(|waiting| !waiting.is_empty()));
        card(number.into(), pending, error.into(), state, add)
    });
}
