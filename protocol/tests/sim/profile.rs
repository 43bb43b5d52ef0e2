//! How a run is: drawn from its seed.

use std::time::Duration;

use bowline_protocol::limits::Limits;
use bowline_protocol::once::OnceLimits;
use bowline_protocol::registry::NodeLimits;
use bowline_protocol::session::Config;
use bowline_test_support::Random;

use crate::net::Weather;
use crate::service::SIM;

/// How a run is, by its seed.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) limits: Limits,
    pub(crate) node: NodeLimits,
    pub(crate) once: OnceLimits,
    pub(crate) clients: usize,
    /// How long the storm is.
    pub(crate) storm: Duration,
    /// Milliseconds between two acts, and between two troubles, at most.
    pub(crate) acts: u64,
    pub(crate) troubles: u64,
    /// Milliseconds by which timers are late, at most.
    pub(crate) lateness: u64,
    /// Whether nothing bad happens.
    pub(crate) is_calm: bool,
    /// What every link is like, if that is not left to chance.
    pub(crate) weather: Option<Weather>,
    /// Whether there are payloads in chunks.
    pub(crate) large: bool,
}

impl Profile {
    pub(crate) fn random(random: &mut Random) -> Self {
        let scarce = random.scarce_limits();
        // Mostly everything is scarce; sometimes it is as it is by default.
        let limits = match random.below(5) {
            0 => Limits { payload_in: 200_000, assembly: 400_000, ..Limits::default() },
            _ => scarce,
        };
        let node = NodeLimits {
            resume_window: Duration::from_secs([120, 120, 3, 20][random.below(4) as usize]),
            detached: [20_000, 20_000, 1][random.below(3) as usize],
            detached_bytes: [usize::MAX, usize::MAX, 20_000][random.below(3) as usize],
            bytes: [usize::MAX, usize::MAX, usize::MAX, 700_000][random.below(4) as usize],
            tombstones: [100_000, 1, 0][random.below(3) as usize],
            // A storm cuts more often than a network that is only bad.
            resumes: 100_000,
            ..NodeLimits::default()
        };
        let once = OnceLimits {
            identity_entries: 1 + random.below(40) as usize,
            keep: Duration::from_secs(1 + random.below(300)),
            ..OnceLimits::default()
        };
        let acts = 20 + random.below(400);
        Self {
            limits,
            node,
            once,
            clients: 1 + random.below(3) as usize,
            storm: Duration::from_millis(acts * (40 + random.below(200))),
            acts,
            troubles: 500 + random.below(20_000),
            lateness: random.below(2) * random.below(50),
            is_calm: false,
            weather: None,
            large: random.below(3) == 0,
        }
    }

    /// As the product is by default, and nothing happens by itself.
    pub(crate) fn quiet() -> Self {
        Self {
            limits: Limits::default(),
            node: NodeLimits::default(),
            once: OnceLimits::default(),
            clients: 1,
            storm: Duration::ZERO,
            acts: 1,
            troubles: 1,
            lateness: 0,
            is_calm: true,
            weather: Some(Weather::fair()),
            large: true,
        }
    }

    pub(crate) fn config(&self) -> Config {
        Config { limits: self.limits.clone(), services: vec![&SIM], ..Config::default() }
    }
}
