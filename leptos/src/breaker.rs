use bowline_middleware::{BreakerHandle, BreakerState};
use futures_util::StreamExt;
use leptos::prelude::*;

use crate::follow::Slot;

/// What a circuit breaker does with calls to `service`, the name of its trait, where calls go now.
///
/// The handle is that of the layer that the connection was made with: `Client::builder(..).breaker(layer)`, and then
/// [`use_client`](crate::use_client). A breaker moves when calls come and end, so an open one stays so on the screen until
/// somebody calls after its time.
///
/// # Server-side rendering
///
/// Shows the state of the moment, mostly [`BreakerState::Closed`], since nothing is called there.
///
/// # Cleanup
///
/// The state is no longer followed when the owner of the hook ends.
pub fn use_breaker(handle: &BreakerHandle, service: &str) -> ReadSignal<BreakerState> {
    let state = ArcRwSignal::new(handle.state(service));
    let shown = state.read_only().into();
    if !cfg!(feature = "ssr") {
        let mut states = handle.states(service);
        Slot::new().run(async move {
            while let Some(now) = states.next().await {
                state.set(now);
            }
        });
    }
    shown
}
