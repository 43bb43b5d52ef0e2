//! The field to write in, and who else is writing.

use bowline::State;
use bowline::leptos::UseWebSocketReturn;
use leptos::ev::SubmitEvent;
use leptos::html;
use leptos::prelude::*;

use super::Outbox;
use crate::draft::Draft;
use crate::{ChatClient, PostError, checked};

/// Writing goes on while the connection is away: what was written waits in the outbox.
#[component]
pub(super) fn Composer(
    socket: UseWebSocketReturn,
    chat: ChatClient,
    room: RwSignal<String>,
    name: Signal<String>,
    outbox: Outbox,
    newest: RwSignal<u64>,
) -> impl IntoView {
    let field = NodeRef::<html::Input>::new();
    let refused = RwSignal::new(None::<PostError>);
    let typing = chat.typing_action();
    let writers = chat.writers_signal(move || room.get());
    let told = StoredValue::new(0.0);
    let tell = move |_| {
        let now = js_sys::Date::now();
        if now - told.get_value() > 1000.0 && socket.state.get_untracked().is_live() {
            told.set_value(now);
            typing.dispatch((room.get_untracked(), name.get_untracked()));
        }
    };
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(field) = field.get() else { return };
        match checked(&field.value()) {
            Ok(text) => {
                outbox.dispatch(Draft {
                    room: room.get_untracked(),
                    author: name.get_untracked(),
                    text: text.to_owned(),
                    after: newest.get_untracked(),
                });
                refused.set(None);
                field.set_value("");
            }
            // What is refused stays in the field.
            Err(error) => refused.set(Some(error)),
        }
    };
    let hint = move || {
        let me = name.get();
        // Not those of the room before.
        let mut others = writers.value.get().filter(|_| !writers.stale.get()).unwrap_or_default();
        others.retain(|writer| *writer != me);
        let writing = match others.as_slice() {
            [] => String::new(),
            [one] => format!("{one} is writing…"),
            [one, two] => format!("{one} and {two} are writing…"),
            many => format!("{} people are writing…", many.len()),
        };
        let state = socket.state.get();
        match (state.is_live(), outbox.waiting.get()) {
            _ if matches!(state, State::Refused { .. } | State::Closed) => "There is no connection.".into(),
            (true, _) => writing,
            (false, 0) => "What you write is sent when the connection is back.".into(),
            (false, 1) => "Your message waits for the connection.".into(),
            (false, many) => format!("{many} messages wait for the connection."),
        }
    };
    view! {
        <footer>
            <p class="hint" id="hint">{move || match refused.get() {
                Some(error) => view! { <span class="error" id="problem" role="alert">{error.to_string()}</span> }.into_any(),
                None => hint().into_any(),
            }}</p>
            <form on:submit=send>
                <input id="text" node_ref=field on:input=tell autocomplete="off" placeholder="Message" aria-label="Message"/>
                <button id="send" class="primary">"Send"</button>
            </form>
        </footer>
    }
}
