use std::time::Duration;

/// The one instant type: `std`'s on native targets, the browser's `performance` clock in wasm.
pub use web_time::Instant;

/// What the wall clock says, since 1970. It may jump, in both directions, and counts time that the device slept.
pub fn wall_clock() -> Duration {
    use web_time::SystemTime;
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The instant now.
///
/// On native targets this is tokio's clock, so that a test with paused time moves it.
pub fn now() -> Instant {
    #[cfg(not(target_arch = "wasm32"))]
    return tokio::time::Instant::now().into_std();
    #[cfg(target_arch = "wasm32")]
    return Instant::now();
}
