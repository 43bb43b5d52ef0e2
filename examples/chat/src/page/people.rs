//! Who is in the room.

use bowline::leptos::UseWebSocketReturn;
use leptos::prelude::*;

use crate::ChatClient;

/// The members of one room.
#[component]
pub(super) fn People(
    socket: UseWebSocketReturn,
    chat: ChatClient,
    room: String,
    name: Signal<String>,
) -> impl IntoView {
    let members = chat.members_signal(move || (room.clone(), name.get()));
    let note = move || {
        let known = members.value.with(Option::is_some);
        match (known, members.stale.get(), socket.state.get().is_live()) {
            (true, true, _) => Some("as it was when the connection was lost"),
            (false, _, false) => Some("who is here is not known without a connection"),
            _ => None,
        }
    };
    view! {
        <aside class="people" class:stale=members.stale>
            <h2>"In this room"</h2>
            <p class="note">{note}</p>
            <ul id="members">
                <For each=move || members.value.get().unwrap_or_default() key=Clone::clone let:member>
                    <li data-letter=initial(&member)>{member.clone()}</li>
                </For>
            </ul>
        </aside>
    }
}

fn initial(name: &str) -> String {
    name.chars().next().map(|c| c.to_uppercase().collect()).unwrap_or_default()
}
