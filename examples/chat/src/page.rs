//! The page.

use std::collections::BTreeMap;

use bowline::leptos::{UseWebSocketReturn, action, use_websocket};
use bowline::prelude::*;
use leptos::ev::SubmitEvent;
use leptos::html;
use leptos::prelude::*;

use crate::{ChatClient, Message};

/// How many messages that arrive while the page is open stay on it.
const KEEP: usize = 500;

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
    let members = chat.members_signal(move || (room.get(), name.get()));
    view! {
        <main class="chat">
            <header>
                <h1>"Chat"</h1>
                <nav class="rooms" aria-label="Rooms">
                    <For each=move || rooms.data.get().unwrap_or_default() key=Clone::clone let:entry>
                        <RoomButton entry room/>
                    </For>
                </nav>
                <ConnectionState socket/>
            </header>
            <Talk socket chat=chat.clone() room name/>
            <aside class="people" class:stale=members.stale>
                <h2>"In this room"</h2>
                <ul id="members">
                    <For each=move || members.value.get().unwrap_or_default() key=Clone::clone let:member>
                        <li data-letter=initial(&member)>{member.clone()}</li>
                    </For>
                </ul>
            </aside>
            <Composer socket chat room name/>
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

/// The state of the connection, in words.
#[component]
fn ConnectionState(socket: UseWebSocketReturn) -> impl IntoView {
    let class = move || match socket.state.get() {
        bowline::State::Live(_) => "state live",
        bowline::State::Refused { .. } | bowline::State::Closed => "state refused",
        _ => "state waiting",
    };
    view! { <span id="state" class=class role="status">{move || socket.state.get().to_string()}</span> }
}

/// The messages of a room: history, and what came since.
#[component]
fn Talk(
    socket: UseWebSocketReturn,
    chat: ChatClient,
    room: RwSignal<String>,
    name: Signal<String>,
) -> impl IntoView {
    let history = chat.history_query(move || (room.get(), None));
    let live = chat.messages_signal(move || room.get()).keep(KEEP);
    let older = action(move |before: u64| chat.history(room.get_untracked(), Some(before)));
    let earlier = RwSignal::new(Vec::<Message>::new());
    Effect::new(move || {
        room.track();
        earlier.set(Vec::new());
    });
    Effect::new(move || {
        if let Some(page) = older.value.get() {
            earlier.update(|earlier| earlier.extend(page));
        }
    });
    // What was said while the connection was away stands in the history.
    Effect::new(move || {
        if live.interrupted.get() > 0 {
            history.refetch();
        }
    });
    let messages = Memo::new(move |_| {
        let mut all = BTreeMap::new();
        earlier.with(|page| all.extend(page.iter().map(|message| (message.id, message.clone()))));
        history
            .data
            .with(|page| all.extend(page.iter().flatten().map(|message| (message.id, message.clone()))));
        live.items.with(|items| all.extend(items.iter().map(|message| (message.id, message.clone()))));
        all.into_values().collect::<Vec<_>>()
    });
    let more = move || {
        let full = older.value.get().or_else(|| history.data.get()).is_some_and(|page| page.len() >= 50);
        full.then(|| messages.with(|messages| messages.first().map(|message| message.id))).flatten()
    };
    let list = NodeRef::<html::Ol>::new();
    Effect::new(move || {
        messages.with(|messages| messages.last().map(|message| message.id));
        if let Some(list) = list.get() {
            request_animation_frame(move || list.set_scroll_top(list.scroll_height()));
        }
    });
    view! {
        <ol id="messages" class="talk" class:stale=move || !socket.state.get().is_live() node_ref=list aria-live="polite">
            {move || more().map(|before| view! {
                <button class="older" on:click=move |_| older.dispatch(before)>"Show older messages"</button>
            })}
            {move || history.error.get().map(|error| view! { <li class="error">{problem(&error)}</li> })}
            {move || live.error.get().map(|error| view! { <li class="error">{error.to_string()}</li> })}
            {move || (live.missed.get() > 0).then(|| view! {
                <li class="gap">{format!("{} messages are missing here: reload to see them", live.missed.get())}</li>
            })}
            {move || (history.loading.get() && messages.with(Vec::is_empty)).then(|| view! {
                <li class="empty">"Loading…"</li>
            })}
            {move || (history.data.get().is_some() && messages.with(Vec::is_empty)).then(|| view! {
                <li class="empty">"Nobody has said anything here yet." <br/> "Be the first."</li>
            })}
            <For each=move || messages.get() key=|message| message.id let:message>
                <li class:mine={let author = message.author.clone(); move || author == name.get()}>
                    <p class="who">{message.author.clone()} <time>{clock(message.at)}</time></p>
                    <p class="text">{message.text.clone()}</p>
                </li>
            </For>
        </ol>
    }
}

/// The field to write in, and who else is writing.
#[component]
fn Composer(
    socket: UseWebSocketReturn,
    chat: ChatClient,
    room: RwSignal<String>,
    name: Signal<String>,
) -> impl IntoView {
    let field = NodeRef::<html::Input>::new();
    let post = chat.post_action();
    let typing = chat.typing_action();
    let writers = chat.writers_signal(move || room.get());
    let told = StoredValue::new(0.0);
    let tell = move |_| {
        let now = js_sys::Date::now();
        if now - told.get_value() > 1000.0 {
            told.set_value(now);
            typing.dispatch((room.get_untracked(), name.get_untracked()));
        }
    };
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        if let Some(field) = field.get() {
            post.dispatch((room.get_untracked(), name.get_untracked(), field.value()));
        }
    };
    // What was refused stays in the field.
    Effect::new(move || {
        if post.value.get().is_some()
            && let Some(field) = field.get_untracked()
        {
            field.set_value("");
        }
    });
    let hint = move || {
        if post.pending.get() && !socket.state.get().is_live() {
            return "Your message waits for the connection…".to_owned();
        }
        let me = name.get();
        let others: Vec<_> =
            writers.value.get().unwrap_or_default().into_iter().filter(|w| *w != me).collect();
        match others.as_slice() {
            [] => String::new(),
            [one] => format!("{one} is writing…"),
            [one, two] => format!("{one} and {two} are writing…"),
            many => format!("{} people are writing…", many.len()),
        }
    };
    view! {
        <footer>
            <p class="hint" id="hint">{move || match post.error.get() {
                Some(error) => view! { <span class="error" id="problem" role="alert">{problem(&error)}</span> }.into_any(),
                None => hint().into_any(),
            }}</p>
            <form on:submit=send>
                <input id="text" node_ref=field on:input=tell autocomplete="off" placeholder="Message" aria-label="Message"/>
                <button id="send" class="primary" disabled=post.pending>"Send"</button>
            </form>
        </footer>
    }
}

/// An error for people: the chat's own in its words, the connection's in Bowline's.
fn problem<E: std::error::Error>(error: &CallError<E>) -> String {
    match error {
        CallError::Application(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn initial(name: &str) -> String {
    name.chars().next().map(|c| c.to_uppercase().collect()).unwrap_or_default()
}

fn clock(at: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit a double")]
    let date = js_sys::Date::new(&(at as f64).into());
    format!("{:02}:{:02}", date.get_hours(), date.get_minutes())
}
