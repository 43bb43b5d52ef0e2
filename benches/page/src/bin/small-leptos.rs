//! The counter's page with a number of its own: what Leptos alone weighs.

#[cfg(not(target_arch = "wasm32"))]
fn main() {}

#[cfg(target_arch = "wasm32")]
fn main() {
    use leptos::prelude::*;
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(|| {
        let number = RwSignal::new(Some(0));
        let add = move |by: i64| number.update(|number| *number = number.map(|number| number + by));
        let (pending, error, state) = (RwSignal::new(false), RwSignal::new(None), RwSignal::new("live"));
        bench_page::small::card(number.into(), pending.into(), error.into(), state.into(), add)
    });
}
