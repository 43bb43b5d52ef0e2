use std::fmt;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use web_sys::Event;

use super::listener::{Listener, is_kept, property};

/// Listens for the page's events that say that it woke or that the network may be back, until it is dropped.
///
/// These are `online` and `pageshow` of the page (the latter only for a page that comes back from the browser's cache), and
/// `visibilitychange` of its document when that has become visible. A worker has the first one alone.
pub struct WebWakeSignals {
    _listeners: Vec<Listener>,
}

impl WebWakeSignals {
    /// Calls `on_wake` at each such event.
    pub fn listen(on_wake: impl Fn() + 'static) -> Self {
        let on_wake = Rc::new(on_wake);
        let page = js_sys::global();
        let document = property(&page, "document");
        let mut listeners = Vec::new();
        let mut listen = |target: &JsValue, event, counts: fn(&Event) -> bool| {
            let on_wake = on_wake.clone();
            let listener = Listener::new(target, event, move |event| {
                if counts(&event) {
                    on_wake();
                }
            });
            listeners.extend(listener);
        };
        listen(&page, "online", |_| true);
        listen(&page, "pageshow", is_kept);
        listen(&document, "visibilitychange", |event| {
            event.target().is_some_and(|document| property(&document, "hidden").is_falsy())
        });
        Self { _listeners: listeners }
    }
}

impl fmt::Debug for WebWakeSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebWakeSignals").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use js_sys::Reflect;
    use wasm_bindgen::JsCast;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use web_sys::EventTarget;

    wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

    /// Lets `event` happen at the page, or at its document.
    fn happen(at_document: bool, event: &Event) {
        let page = js_sys::global();
        let target = if at_document { property(&page, "document") } else { page.into() };
        target.unchecked_ref::<EventTarget>().dispatch_event(event).unwrap();
    }

    #[wasm_bindgen_test]
    fn events_that_say_so_wake_until_nobody_listens() {
        let woken = Rc::new(Cell::new(0));
        let seen = woken.clone();
        let signals = WebWakeSignals::listen(move || seen.set(seen.get() + 1));
        happen(false, &Event::new("online").unwrap());
        assert_eq!(woken.get(), 1);
        happen(false, &Event::new("offline").unwrap());
        happen(false, &Event::new("pageshow").unwrap());
        assert_eq!(woken.get(), 1, "a page that was loaded did not sleep");
        let restored = Event::new("pageshow").unwrap();
        Reflect::set(&restored, &JsValue::from_str("persisted"), &JsValue::TRUE).unwrap();
        happen(false, &restored);
        assert_eq!(woken.get(), 2);
        let hidden = property(&property(&js_sys::global(), "document"), "hidden").is_truthy();
        happen(true, &Event::new("visibilitychange").unwrap());
        assert_eq!(woken.get(), if hidden { 2 } else { 3 });

        let before = woken.get();
        drop(signals);
        happen(false, &Event::new("online").unwrap());
        assert_eq!(woken.get(), before);
        assert_eq!(Rc::strong_count(&woken), 1, "the handlers are freed");
    }
}
