//! The state of the connection, in words, and the button that cuts it.

use std::time::Duration;

use bowline::State;
use bowline::leptos::UseWebSocketReturn;
use leptos::prelude::*;

/// What the connection is doing, and what a person can do about it.
#[component]
pub(super) fn ConnectionState(socket: UseWebSocketReturn) -> impl IntoView {
    let state = socket.state;
    let waited = waited(state);
    let class = move || match state.get() {
        State::Live(_) => "state live",
        State::Offline | State::Refused { .. } | State::Closed => "state refused",
        _ => "state waiting",
    };
    // The seconds change each second: only the words before them are read out.
    let detail = move || match state.get() {
        State::Live(_) => socket.latency.get().map(|trip| format!(" · {} ms", trip.as_millis().max(1))),
        State::Offline => Some(": you cut the connection".into()),
        State::Reconnecting { next_in, .. } | State::Suspended { next_in, .. } => {
            Some(again(next_in.saturating_sub(waited.get())))
        }
        State::Refused { reason, .. } if !reason.is_empty() => Some(format!(": {reason}")),
        _ => None,
    };
    let label = move || match state.get() {
        State::Live(_) | State::Connecting => "Cut the connection",
        State::Offline => "Reconnect",
        _ => "Try now",
    };
    let press = move |_| match state.get_untracked() {
        State::Live(_) | State::Connecting => socket.disconnect(),
        _ => socket.reconnect(),
    };
    view! {
        <div class="connection">
            <span id="state" class=class role="status" title="What the connection is doing">
                <span>{move || word(&state.get())}</span>
                <span class="detail" aria-hidden="true">{detail}</span>
            </span>
            <button id="cut" on:click=press disabled=move || state.get() == State::Closed>{label}</button>
        </div>
    }
}

/// The state in words for people; the sentence begins with it.
fn word(state: &State) -> &'static str {
    match state {
        State::Idle => "idle",
        State::Connecting => "connecting",
        State::Live(_) => "live",
        State::Reconnecting { .. } => "connection lost",
        State::Suspended { .. } => "no connection",
        State::Offline => "offline",
        State::Refused { .. } => "refused",
        _ => "closed",
    }
}

/// When the next try is.
fn again(next_in: Duration) -> String {
    match next_in.as_millis().div_ceil(1000) {
        0 => "; trying again".into(),
        seconds => format!("; trying again in {seconds} s"),
    }
}

/// How long the state has been what it is, in whole seconds.
fn waited(state: ReadSignal<State>) -> ReadSignal<Duration> {
    const SECOND: Duration = Duration::from_secs(1);
    let waited = RwSignal::new(Duration::ZERO);
    Effect::new(move || {
        state.track();
        waited.set(Duration::ZERO);
    });
    if let Ok(ticking) = set_interval_with_handle(move || waited.update(|waited| *waited += SECOND), SECOND) {
        on_cleanup(move || ticking.clear());
    }
    waited.read_only()
}
