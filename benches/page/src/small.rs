//! What the small pages share, which exist to be weighed (`cargo xtask size`): a number that everybody sees, and two buttons.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// From a small page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Ask {
    /// Wants the number, now and after each change.
    Watch {
        /// Of the request.
        id: u64,
    },
    /// Wants it changed.
    Add {
        /// Of the request.
        id: u64,
        /// By how much.
        by: i64,
    },
}

/// To a small page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Told {
    /// The number.
    Value(i64),
    /// The sum, to who asked for it.
    Sum {
        /// Of the request.
        id: u64,
        /// The number now.
        sum: i64,
    },
    /// Why there is none.
    Refused {
        /// Of the request.
        id: u64,
        /// In words.
        why: String,
    },
}

/// The page of the counter example, whoever brings the number.
pub fn card(
    number: Signal<Option<i64>>,
    pending: Signal<bool>,
    error: Signal<Option<String>>,
    state: Signal<&'static str>,
    add: impl Fn(i64) + Clone + 'static,
) -> impl IntoView {
    let less = add.clone();
    view! {
        <main class="stage"><section class="card">
            <h1>"Counter"</h1>
            <output class="count" class:stale=move || state.get() != "live">{move || number.get()}</output>
            <div class="row">
                <button id="less" on:click=move |_| less(-1)>"−1"</button>
                <button id="more" class="primary" on:click=move |_| add(1)>"+1"</button>
            </div>
            <p id="added" class="soft" role="status" class:late=pending>{move || if pending.get() { Some("adding…".into()) } else { error.get() }}</p>
            <p id="state" class="soft" role="status">{state}</p>
        </section></main>
    }
}
