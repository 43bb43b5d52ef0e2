//! The page. It offers `window.bench` to whoever drives it; every function gives a promise that fails when an answer was wrong:
//!
//! - `ready()`: once all contenders are connected
//! - `calls(who, inFlight, n)`: milliseconds that `n` calls took, so many at a time
//! - `items(who, n)`: milliseconds that a stream of `n` items took
//! - `ticks(how, n)`: for each of about `n` published items the microseconds of the page's clock at the effect that saw it, minus those
//!   of the host's clock when it was published
//! - `clock(n)`: what the host's clock is ahead of the page's in microseconds, and the shortest of `n` round trips that says so
//!
//! `who` is `bowline`, `web-sys` or `leptos-use`; `how` also `bowline-watch`.

mod bowline_client;
mod by_hand;
mod contender;
mod correlation;
mod hooks;
mod ticks;

use std::rc::Rc;

use futures_channel::oneshot;
use js_sys::{Array, Object, Promise, Reflect};
use leptos::prelude::*;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

use contender::{Contender, Contenders};

/// Milliseconds since the page first asked, by `performance.now()`: to 5 µs where the page is isolated from others.
pub(crate) fn now() -> f64 {
    thread_local!(static START: bowline_runtime::Instant = bowline_runtime::now());
    START.with(|start| (bowline_runtime::now() - *start).as_secs_f64() * 1e3)
}

/// What went wrong, as a sentence.
pub(crate) type Outcome<T> = Result<T, String>;

/// Connects all contenders and offers `window.bench`.
#[component]
pub fn App() -> impl IntoView {
    let contenders = Rc::new(Contenders::connect());
    let bench = Object::new();
    let all = contenders.clone();
    let ready = Closure::<dyn Fn() -> Promise>::new(move || {
        let all = all.clone();
        promise(async move { all.ready().await.map(|()| JsValue::UNDEFINED) })
    });
    let all = contenders.clone();
    let calls = Closure::<dyn Fn(String, u32, u32) -> Promise>::new(move |who: String, in_flight, n: u32| {
        let contender = all.named(&who);
        promise(async move { calls(contender?, in_flight, n.into()).await.map(JsValue::from) })
    });
    let all = contenders.clone();
    let items = Closure::<dyn Fn(String, u32) -> Promise>::new(move |who: String, n: u32| {
        let contender = all.named(&who);
        promise(async move { items(contender?, n.into()).await.map(JsValue::from) })
    });
    let all = contenders.clone();
    let published = Closure::<dyn Fn(String, u32) -> Promise>::new(move |how: String, n: u32| {
        let all = all.clone();
        promise(async move {
            let late = ticks::measure(&all, &how, n.into()).await?;
            Ok(late.into_iter().map(JsValue::from).collect::<Array>().into())
        })
    });
    let all = contenders;
    let clock = Closure::<dyn Fn(u32) -> Promise>::new(move |n| {
        let all = all.clone();
        promise(async move {
            let (ahead, round_trip) = clock(&all, n).await?;
            Ok([ahead, round_trip].into_iter().map(JsValue::from).collect::<Array>().into())
        })
    });
    let functions = [
        ("ready", ready.into_js_value()),
        ("calls", calls.into_js_value()),
        ("items", items.into_js_value()),
        ("ticks", published.into_js_value()),
        ("clock", clock.into_js_value()),
    ];
    for (name, function) in functions {
        Reflect::set(&bench, &name.into(), &function).expect("a plain object takes anything");
    }
    Reflect::set(&window(), &"bench".into(), &bench).expect("a window takes anything");
    view! { <p>"The host says what this page does."</p> }
}

fn promise(work: impl Future<Output = Outcome<JsValue>> + 'static) -> Promise {
    future_to_promise(async move { work.await.map_err(|sentence| js_sys::Error::new(&sentence).into()) })
}

/// Each of the `in_flight` is a task of its own, as if so many components called.
async fn calls(contender: Contender, in_flight: u32, n: u64) -> Outcome<f64> {
    let left = Rc::new(std::cell::Cell::new(n));
    let start = now();
    let workers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (ended, end) = oneshot::channel();
            let (contender, left) = (contender.clone(), left.clone());
            spawn_local(async move {
                let _ = ended.send(work(&contender, &left).await);
            });
            end
        })
        .collect();
    for worker in workers {
        worker.await.map_err(|_| "a worker was dropped")??;
    }
    Ok(now() - start)
}

async fn work(contender: &Contender, left: &std::cell::Cell<u64>) -> Outcome<()> {
    while let Some(number) = left.get().checked_sub(1) {
        left.set(number);
        let text = format!("{number:064}");
        let answer = contender.echo(text.clone()).await?;
        if answer != text {
            return Err(format!("`{answer}` is no answer to `{text}`"));
        }
    }
    Ok(())
}

async fn items(contender: Contender, n: u64) -> Outcome<f64> {
    let start = now();
    let counted = contender.count(n).await?;
    if counted != n {
        return Err(format!("{counted} items instead of {n}"));
    }
    Ok(now() - start)
}

async fn clock(contenders: &Contenders, n: u32) -> Outcome<(f64, f64)> {
    let mut best = (0.0, f64::INFINITY);
    for _ in 0..n {
        let asked = now() * 1e3;
        let host = contenders.web_sys.clock().await? as f64;
        let answered = now() * 1e3;
        if answered - asked < best.1 {
            best = (host - f64::midpoint(asked, answered), answered - asked);
        }
    }
    Ok(best)
}
