//! An event handler that lives as long as its owner.

use js_sys::Reflect;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, EventTarget};

/// Listens for one kind of event until it is dropped.
pub(super) struct Listener {
    target: EventTarget,
    event: &'static str,
    handler: Closure<dyn FnMut(Event)>,
}

impl Listener {
    /// `None` for a target that has no events.
    pub(super) fn new(
        target: &JsValue,
        event: &'static str,
        handle: impl FnMut(Event) + 'static,
    ) -> Option<Self> {
        let target = target.dyn_ref::<EventTarget>()?.clone();
        let handler = Closure::<dyn FnMut(_)>::new(handle);
        // It fails for no target that is one.
        let _ = target.add_event_listener_with_callback(event, handler.as_ref().unchecked_ref());
        Some(Self { target, event, handler })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let Self { target, event, handler } = self;
        // The handler is about to be freed: nothing may call it any more.
        let _ = target.remove_event_listener_with_callback(event, handler.as_ref().unchecked_ref());
    }
}

/// Undefined where there is none.
pub(super) fn property(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

/// Whether a page that is shown or hidden is kept in the browser's cache, so that it may come back as it was.
pub(super) fn is_kept(event: &Event) -> bool {
    property(event, "persisted").is_truthy()
}
