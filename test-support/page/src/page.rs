//! The page. What it saw stands in `window.trial`, oldest first:
//!
//! - `states`: what the connection did, in words
//! - `numbers`, `log`: items as `run:number`, or `gap`, or why the stream is over
//! - `lives`: which server answers
//! - `calls`, `effects`: `number answer`, or `number` and the error, as they ended
//!
//! `trial.sending` set to true makes a call of each kind every 10 ms; `trial.asked` counts the rounds. `trial.effect()` makes one
//! call that is once.

use std::cell::Cell;
use std::fmt::Display;
use std::rc::Rc;
use std::time::Duration;

use bowline::prelude::*;
use bowline::{Arrival, Client, State};
use bowline_runtime::{sleep, spawn};
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};

use crate::{Item, TrialClient};

/// Between two rounds of calls.
const PACE: Duration = Duration::from_millis(10);
/// Longer than any test keeps the page offline.
const DEADLINE: Duration = Duration::from_secs(120);

/// What the page saw.
#[derive(Clone)]
struct Seen(Object);

impl Seen {
    fn new() -> Self {
        let seen = Self(Object::new());
        for list in ["states", "numbers", "log", "lives", "calls", "effects"] {
            seen.set(list, &Array::new());
        }
        seen.set("sending", &JsValue::FALSE);
        seen.set("asked", &JsValue::from(0));
        Reflect::set(&js_sys::global(), &"trial".into(), &seen.0).expect("a plain object takes anything");
        seen
    }

    fn set(&self, name: &str, value: &JsValue) {
        Reflect::set(&self.0, &name.into(), value).expect("a plain object takes anything");
    }

    fn get(&self, name: &str) -> JsValue {
        Reflect::get(&self.0, &name.into()).expect("a plain object has anything")
    }

    fn add(&self, list: &str, line: impl Display) {
        self.get(list).unchecked_into::<Array>().push(&line.to_string().into());
    }
}

/// Starts the page.
pub fn run() {
    let seen = Seen::new();
    let client = Client::builder("/ws").connect_lazy();
    let trial = client.client::<TrialClient>();
    // No two pages, and no two lives of one page, have the same.
    let page = (js_sys::Math::random() * 9e15) as u64;
    seen.set("page", &JsValue::from(page as f64));
    spawn(states(client, seen.clone())).detach();
    spawn(read("numbers", trial.clone(), seen.clone())).detach();
    spawn(read("log", trial.clone(), seen.clone())).detach();
    spawn(lives(trial.clone(), seen.clone())).detach();
    let caller = Caller { trial, seen, page, effects: Rc::default() };
    let asked = caller.clone();
    let effect = Closure::<dyn Fn()>::new(move || asked.effect());
    caller.seen.set("effect", &effect.into_js_value());
    spawn(caller.send()).detach();
}

async fn states(client: Client, seen: Seen) {
    let mut states = client.states();
    while let Some(state) = states.next().await {
        seen.add("states", in_words(&state));
    }
}

fn in_words(state: &State) -> String {
    match state {
        State::Live(Arrival::New) => "live new".into(),
        State::Live(Arrival::Resumed) => "live resumed".into(),
        State::Live(Arrival::Gap(reason)) => format!("live gap {reason:?}"),
        State::Reconnecting { attempt, next_in } => format!("reconnecting {attempt} {}", next_in.as_millis()),
        other => other.to_string(),
    }
}

async fn read(list: &'static str, trial: TrialClient, seen: Seen) {
    let opened = match list {
        "log" => trial.log(None).no_deadline().await,
        _ => trial.numbers().no_deadline().await,
    };
    let mut items = match opened {
        Ok(items) => items,
        Err(error) => return seen.add(list, error),
    };
    while let Some(item) = items.next().await {
        match item {
            Ok(Item { run, number }) => seen.add(list, format!("{run}:{number}")),
            Err(StreamError::Gap { .. }) => seen.add(list, "gap"),
            Err(error) => seen.add(list, error),
        }
    }
    seen.add(list, "over");
}

async fn lives(trial: TrialClient, seen: Seen) {
    match trial.life().no_deadline().await {
        Ok(mut lives) => {
            while let Some(life) = lives.next().await {
                match life {
                    Ok(life) => seen.add("lives", life),
                    Err(error) => seen.add("lives", error),
                }
            }
        }
        Err(error) => seen.add("lives", error),
    }
}

#[derive(Clone)]
struct Caller {
    trial: TrialClient,
    seen: Seen,
    page: u64,
    effects: Rc<Cell<u64>>,
}

impl Caller {
    /// Calls for as long as it is wanted.
    async fn send(self) {
        for number in 0_u64.. {
            while self.seen.get("sending").is_falsy() {
                sleep(PACE).await;
            }
            let call = self.trial.call(self.page, number).deadline(DEADLINE);
            let seen = self.seen.clone();
            spawn(async move {
                match call.await {
                    Ok(answer) => seen.add("calls", format!("{number} {answer}")),
                    Err(error) => seen.add("calls", format!("{number} {error}")),
                }
            })
            .detach();
            self.effect();
            self.seen.set("asked", &JsValue::from(number as f64 + 1.0));
            sleep(PACE).await;
        }
    }

    fn effect(&self) {
        let number = self.effects.get();
        self.effects.set(number + 1);
        let call = self.trial.effect(self.page, number).deadline(DEADLINE);
        let seen = self.seen.clone();
        spawn(async move {
            match call.await {
                Ok(answer) => seen.add("effects", format!("{number} {answer}")),
                Err(error) => seen.add("effects", format!("{number} {error}")),
            }
        })
        .detach();
    }
}
