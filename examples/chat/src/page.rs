//! The page.

#[expect(unreachable_pub, reason = "components make public items")]
mod composer;
#[expect(unreachable_pub, reason = "components make public items")]
mod connection;
#[expect(unreachable_pub, reason = "components make public items")]
mod people;
#[expect(unreachable_pub, reason = "components make public items")]
mod talk;

use std::collections::{HashMap, HashSet};

use bowline::leptos::{Submission, Submissions, UseWebSocketReturn, submissions, use_websocket};
use bowline::prelude::*;
use leptos::ev::SubmitEvent;
use leptos::html;
use leptos::prelude::*;

use crate::draft::Draft;
use crate::{ChatClient, Message, PostError};

use composer::Composer;
use connection::ConnectionState;
use people::People;
use talk::Talk;

/// What was written here, with what became of it.
type Outbox = Submissions<Draft, u64, PostError>;

/// Which of the outbox may have left this page: what was under way while there was a connection. The rest only waits.
type Left = RwSignal<HashSet<u64>>;

/// The last messages of the rooms that were looked at.
type Rooms = StoredValue<HashMap<String, Vec<Message>>>;

/// The whole page: a name first, then the room.
#[component]
pub fn App() -> impl IntoView {
    let socket = use_websocket("ws");
    let name = RwSignal::new(None::<String>);
    view! {
        <Show when=move || name.get().is_some() fallback=move || view! { <Welcome name/> }>
            <Room socket name=Signal::derive(move || name.get().unwrap_or_default())/>
        </Show>
    }
}

#[component]
fn Welcome(name: RwSignal<Option<String>>) -> impl IntoView {
    let field = NodeRef::<html::Input>::new();
    let enter = move |event: SubmitEvent| {
        event.prevent_default();
        let typed = field.get().map(|field| field.value()).unwrap_or_default();
        if !typed.trim().is_empty() {
            name.set(Some(typed.trim().to_owned()));
        }
    };
    view! {
        <main class="stage"><section class="card">
            <h1>"Chat"</h1>
            <p class="soft">"Under which name shall the others see you?"</p>
            <form on:submit=enter>
                <input id="name" node_ref=field maxlength="40" autocomplete="nickname" aria-label="Your name" autofocus/>
                <button id="enter" class="primary">"Enter"</button>
            </form>
        </section></main>
    }
}

#[component]
fn Room(socket: UseWebSocketReturn, name: Signal<String>) -> impl IntoView {
    let chat = socket.client::<ChatClient>();
    let room = RwSignal::new("general".to_owned());
    let rooms = chat.rooms_query();
    // A query asks once: what kept it from asking may be over.
    Effect::new(move || {
        if socket.state.get().is_live() && rooms.error.with_untracked(Option::is_some) {
            rooms.refetch();
        }
    });
    let poster = chat.clone();
    // Each waits for the connection for up to a day.
    let outbox: Outbox =
        submissions(move |draft: Draft| poster.post(draft.room, draft.author, draft.text).queued());
    let left = Left::default();
    Effect::new(move || {
        let (list, _) = (outbox.list.get(), outbox.waiting.get());
        if socket.state.get().is_live() {
            let under_way = list.iter().filter(|sent| sent.pending().get_untracked());
            left.set(under_way.map(Submission::id).collect());
        }
    });
    // The id of the newest message that the page has shown.
    let newest = RwSignal::new(0);
    let rooms_before = Rooms::default();
    // Another room is another component: what belongs to the one before ends with it.
    let talk = {
        let chat = chat.clone();
        move || view! { <Talk socket chat=chat.clone() room=room.get() name outbox left newest rooms=rooms_before/> }
    };
    let people = {
        let chat = chat.clone();
        move || view! { <People socket chat=chat.clone() room=room.get() name/> }
    };
    view! {
        <main class="chat">
            <header>
                <h1>"Chat"</h1>
                <nav class="rooms" aria-label="Rooms">
                    <For
                        each=move || rooms.data.get().unwrap_or_else(|| vec![room.get_untracked()])
                        key=Clone::clone
                        let:entry
                    >
                        <RoomButton entry room/>
                    </For>
                </nav>
                <ConnectionState socket/>
            </header>
            {talk}
            {people}
            <Composer socket chat room name outbox newest/>
        </main>
    }
}

#[component]
fn RoomButton(entry: String, room: RwSignal<String>) -> impl IntoView {
    let pressed = {
        let entry = entry.clone();
        move || (room.get() == entry).to_string()
    };
    let label = format!("# {entry}");
    let id = format!("room-{entry}");
    view! { <button id=id aria-pressed=pressed on:click=move |_| room.set(entry.clone())>{label}</button> }
}

/// An error for people: the chat's own in its words, the connection's in Bowline's.
fn problem<E: std::error::Error>(error: &CallError<E>) -> String {
    match error {
        CallError::Application(error) => error.to_string(),
        CallError::Disconnected(_) | CallError::DeadlineExceeded(_) => "The connection was lost.".into(),
        other => other.to_string(),
    }
}
