//! The numbers that the docs promise to whoever sets nothing.

use std::time::Duration;

use bowline_middleware::BreakerConfig;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_circuit_breaker_opens_and_finds_back_like_this() {
    let config = BreakerConfig::default();
    assert_eq!((config.window, config.min_calls, config.failure_ratio), (secs(30), 20, 0.5));
    assert_eq!((config.slow, config.open, config.open_max), (secs(5), secs(5), secs(60)));
    assert_eq!((config.jitter, config.probes, config.probing), (0.2, 3, secs(10)));
    assert_eq!(config.breakers, 256);
}
