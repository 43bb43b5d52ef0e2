/// The one instant type: `std`'s on native targets, the browser's `performance` clock in wasm.
pub use web_time::Instant;

/// The instant now.
///
/// On native targets this is tokio's clock, so that a test with paused time moves it.
pub fn now() -> Instant {
    #[cfg(not(target_arch = "wasm32"))]
    return tokio::time::Instant::now().into_std();
    #[cfg(target_arch = "wasm32")]
    return Instant::now();
}
