//! The messages of a room: those that were said, and those that are on their way.

use std::collections::BTreeMap;

use bowline::leptos::{Submission, UseWebSocketReturn, action};
use leptos::html;
use leptos::prelude::*;

use super::{Outbox, problem};
use crate::draft::{Draft, arrived};
use crate::{ChatClient, Message, PostError};

/// How many messages that arrive while the page is open stay on it.
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
    newest: RwSignal<u64>,
) -> impl IntoView {
    let here = StoredValue::new(room);
    let live = chat.messages_signal(move || (here.get_value(), None)).keep(KEEP);
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
        let first = live.items.with(|items| items.first().map(|it| it.id));
        let all = older.with(|older| older.before == first && older.is_all);
        messages.with(|messages| messages.first().filter(|_| messages.len() >= PAGE && !all).map(|it| it.id))
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
    Effect::new(move || newest.set(messages.with(|messages| messages.last().map_or(0, |it| it.id))));
    let list = NodeRef::<html::Ol>::new();
    Effect::new(move || {
        messages.with(|messages| messages.last().map(|message| message.id));
        on_the_way.track();
        // One that has failed is taller.
        outbox.waiting.track();
        if let Some(list) = list.get() {
            request_animation_frame(move || list.set_scroll_top(list.scroll_height()));
        }
    });
    let nothing = move || messages.with(Vec::is_empty) && on_the_way.with(Vec::is_empty);
    let empty = move || match (nothing(), live.loading.get(), socket.state.get().is_live()) {
        (false, ..) => None,
        _ if live.error.with(Option::is_some) => None,
        (true, true, false) => Some("The messages are read as soon as there is a connection."),
        (true, true, true) => Some("Loading…"),
        (true, false, _) => Some("Nobody has said anything here yet. Be the first."),
    };
    view! {
        <ol id="messages" class="talk" class:stale=live.stale node_ref=list aria-live="polite">
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
                <OnTheWay socket sent=sent.0 outbox/>
            </For>
        </ol>
    }
}

/// A message that the others do not see yet.
#[component]
fn OnTheWay(
    socket: UseWebSocketReturn,
    sent: Submission<Draft, u64, PostError>,
    outbox: Outbox,
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
            (true, false) => "waiting for the connection",
            (true, true) => "sending",
            _ if failed.with(Option::is_some) => "failed",
            _ => "",
        }
    };
    let why = move || {
        error.get().map(|error| {
            view! {
                <p class="why" role="alert">
                    <span>{problem(&error)}</span>
                    <span class="choice">
                        <button class="again" on:click=move |_| outbox.retry(id)>"Send again"</button>
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

/// Equal when it is the same submission: its own signals tell what becomes of it.
#[derive(Clone)]
struct Sent(Submission<Draft, u64, PostError>);

impl PartialEq for Sent {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl Older {
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
