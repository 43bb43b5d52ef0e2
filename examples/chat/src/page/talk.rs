//! The messages of a room: those that were said, and those that are on their way.

use std::collections::BTreeMap;

use bowline::Delivery;
use bowline::leptos::{Submission, UseWebSocketReturn, action};
use bowline::prelude::*;
use leptos::html;
use leptos::prelude::*;

use super::{Left, Outbox, Rooms, problem};
use crate::draft::{Draft, arrived};
use crate::{ChatClient, Message, PostError};

/// How many messages that arrive while the page is open stay on it, and how many of a room that was left.
const KEEP: usize = 500;

/// How many older messages come at a time, and how many the stream begins with.
const PAGE: usize = 50;

/// Older messages that somebody asked for.
#[derive(Debug, Clone, Default)]
struct Older {
    messages: Vec<Message>,
    /// The message that they stand before.
    before: Option<u64>,
    /// There are no more.
    is_all: bool,
}

/// One room, with the newest message at its end.
#[component]
pub(super) fn Talk(
    socket: UseWebSocketReturn,
    chat: ChatClient,
    room: String,
    name: Signal<String>,
    outbox: Outbox,
    left: Left,
    newest: RwSignal<u64>,
    rooms: Rooms,
) -> impl IntoView {
    let before = rooms.with_value(|rooms| rooms.get(&room).cloned()).unwrap_or_default();
    let here = StoredValue::new(room);
    // The stream goes on behind what was here when somebody was in this room before.
    let last = before.last().map(|message| message.id);
    let live = chat.messages_signal(move || (here.get_value(), last)).keep(KEEP);
    let ask = action(move |before: u64| {
        let asked = chat.history(here.get_value(), Some(before));
        async move { asked.await.map(|page| (before, page)) }
    });
    let older = RwSignal::new(Older::default());
    Effect::new(move || {
        if let Some((before, page)) = ask.value.get() {
            older.update(|older| older.add(before, page));
        }
    });
    let messages = Memo::new(move |_| {
        let mut all: BTreeMap<u64, Message> =
            live.items.with(|items| items.iter().map(|it| (it.id, it.clone())).collect());
        // A full list may have lost its first messages, and something would be missing between.
        if all.len() < KEEP {
            all.extend(before.iter().map(|it| (it.id, it.clone())));
        }
        let first = all.keys().next().copied();
        // Once a newer message has pushed out the one that they stood before, something is missing between.
        older.with(|older| {
            if older.before == first {
                all.extend(older.messages.iter().map(|it| (it.id, it.clone())));
            }
        });
        all.into_values().collect::<Vec<_>>()
    });
    let more = move || {
        let first =
            messages.with(|messages| messages.first().filter(|_| messages.len() >= PAGE).map(|it| it.id));
        first.filter(|first| older.with(|older| !older.reaches(*first)))
    };
    let on_the_way = Memo::new(move |_| {
        let mut drafts = outbox.list.get();
        drafts.retain(|sent| here.with_value(|here| sent.input().room == *here));
        let ids: Vec<_> = drafts.iter().map(|sent| sent.value().get()).collect();
        let known = drafts.iter().map(Submission::input).zip(ids);
        let mut gone = messages.with(|messages| arrived(known, messages)).into_iter();
        drafts.retain(|_| !gone.next().unwrap_or_default());
        drafts.into_iter().map(Sent).collect::<Vec<_>>()
    });
    Effect::new(move || {
        messages.with(|messages| {
            // Ids count up over all rooms.
            newest.update(|newest| *newest = messages.last().map_or(*newest, |it| it.id.max(*newest)));
            let kept = messages[messages.len().saturating_sub(KEEP)..].to_vec();
            rooms.update_value(|rooms| _ = rooms.insert(here.get_value(), kept));
        });
    });
    // It stays at its end by itself, whatever grows or shrinks. Whoever writes wants to see it.
    let list = NodeRef::<html::Div>::new();
    Effect::new(move |last: Option<Option<u64>>| {
        let newest = on_the_way.with(|sent| sent.last().map(|Sent(sent)| sent.id()));
        if let Some(list) = list.get()
            && newest > last.flatten()
        {
            list.set_scroll_top(0);
        }
        newest
    });
    let away = move || live.loading.get() && !socket.state.get().is_live();
    let empty = move || match (messages.with(Vec::is_empty), live.loading.get()) {
        _ if live.error.with(Option::is_some) => None,
        (true, true) if away() => {
            Some("The messages of this room are read as soon as there is a connection.")
        }
        _ if on_the_way.with(|sent| !sent.is_empty()) => None,
        (true, true) => Some("Loading…"),
        (true, false) => Some("Nobody has said anything here yet. Be the first."),
        (false, _) => None,
    };
    view! {
        <div class="scroll" node_ref=list>
        <ol id="messages" class="talk" class:stale=move || live.stale.get() || away() aria-live="polite">
            {move || more().map(|before| view! {
                <button class="older" disabled=ask.pending on:click=move |_| ask.dispatch(before)>"Show older messages"</button>
            })}
            {move || ask.error.get().map(|error| view! { <li class="error">{problem(&error)}</li> })}
            {move || live.error.get().map(|error| view! { <li class="error">{problem(&error)}</li> })}
            {move || empty().map(|words| view! { <li class="empty">{words}</li> })}
            <For each=move || messages.get() key=|message| message.id let:message>
                <li class:mine={let author = message.author.clone(); move || author == name.get()}>
                    <p class="who">{message.author.clone()} <time>{clock(message.at)}</time></p>
                    <p class="text">{message.text.clone()}</p>
                </li>
            </For>
            <For each=move || on_the_way.get() key=|Sent(sent)| sent.id() let:sent>
                <OnTheWay socket sent=sent.0 outbox left/>
            </For>
        </ol>
        </div>
    }
}

/// A message that the others do not see yet.
#[component]
fn OnTheWay(
    socket: UseWebSocketReturn,
    sent: Submission<Draft, u64, PostError>,
    outbox: Outbox,
    left: Left,
) -> impl IntoView {
    let id = sent.id();
    let Draft { author, text, .. } = sent.input().clone();
    let (pending, error) = (sent.pending(), sent.error());
    let failed = {
        let error = error.clone();
        move || error.with(Option::is_some)
    };
    let mark = {
        let (pending, failed) = (pending.clone(), error.clone());
        move || match (pending.get(), socket.state.get().is_live()) {
            (true, true) => "sending",
            (true, false) if left.with(|left| left.contains(&id)) => "sent, not confirmed yet",
            (true, false) => "waiting for the connection",
            // It stands among the messages as soon as the stream has come that far.
            _ => failed.with(|failed| failed.as_ref().map_or("sent", |error| not_posted(error).0)),
        }
    };
    let again = move |_| {
        left.update(|left| {
            left.remove(&id);
        });
        outbox.retry(id);
    };
    let why = move || {
        error.get().map(|error| {
            view! {
                <p class="why" role="alert">
                    <span>{not_posted(&error).1}</span>
                    <span class="choice">
                        <button class="again" on:click=again>"Send again"</button>
                        <button class="remove" on:click=move |_| outbox.remove(id)>"Remove"</button>
                    </span>
                </p>
            }
        })
    };
    view! {
        <li class="mine" class:waiting=pending class:failed=failed>
            <p class="who">{author} <span class="mark">{mark}</span></p>
            <p class="text">{text}</p>
            {why}
        </li>
    }
}

/// What became of a message that was not posted: in a word or two, and in a sentence.
fn not_posted(error: &CallError<PostError>) -> (&'static str, String) {
    match error {
        CallError::Disconnected(Delivery::OutcomeUnknown)
        | CallError::DeadlineExceeded(Delivery::OutcomeUnknown) => {
            let words = "The connection was lost before the server confirmed it. It may have arrived: sent again, it may stand here twice.";
            ("not confirmed", words.into())
        }
        CallError::Disconnected(_) | CallError::DeadlineExceeded(_) => {
            ("not sent", "It did not arrive: the connection was lost, or away for too long.".into())
        }
        other => ("failed", problem(other)),
    }
}

/// Equal when it is the same submission: its own signals tell what becomes of it.
#[derive(Clone)]
struct Sent(Submission<Draft, u64, PostError>);

impl PartialEq for Sent {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl Older {
    /// There is nothing before `first`, the first message on the page.
    fn reaches(&self, first: u64) -> bool {
        self.is_all && self.messages.last().map(|it| it.id).or(self.before) == Some(first)
    }

    /// Adds a page, whose newest message comes first.
    fn add(&mut self, before: u64, page: Vec<Message>) {
        let is_all = page.len() < PAGE;
        // It goes before what is there, or begins anew.
        if self.messages.last().is_none_or(|oldest| oldest.id != before) {
            *self = Self { messages: Vec::new(), before: Some(before), is_all };
        }
        self.is_all = is_all;
        self.messages.extend(page);
    }
}

fn clock(at: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit a double")]
    let date = js_sys::Date::new(&(at as f64).into());
    format!("{:02}:{:02}", date.get_hours(), date.get_minutes())
}
