use super::Against::{Nothing, Peer};
use super::Bound::{AtLeast, AtMost};
use super::Level::{Aim, Must};
use super::{Against, Bound, Goal, Level};
use crate::report::{Metric, metrics};

const fn goal(
    number: u8,
    level: Level,
    scenario: &'static str,
    metric: &'static Metric,
    bound: Bound,
    against: Against,
) -> Goal {
    Goal { number, level, scenario, of: "bowline", metric, against, bound }
}

const JSONRPSEE: Against = Peer("jsonrpsee");
const TARPC: Against = Peer("tarpc");
const TONIC: Against = Peer("tonic");
/// One flush for each message, with the library's defaults.
const RAW: Against = Peer("tungstenite");
const BATCHED: Against = Peer("tungstenite, batched");
const BROADCAST: Against = Peer("axum + broadcast");

/// Every bound that has to hold, and every one that is aimed at.
pub static ALL: &[Goal] = &[
    goal(1, Must, "calls-64", &metrics::RATE, AtLeast(10.0), JSONRPSEE),
    goal(1, Must, "calls-64", &metrics::RATE, AtLeast(5.0), TARPC),
    goal(1, Must, "calls-64", &metrics::RATE, AtLeast(5.0), RAW),
    goal(1, Aim, "calls-64", &metrics::RATE, AtLeast(25.0), JSONRPSEE),
    goal(1, Aim, "calls-64", &metrics::RATE, AtLeast(12.0), TARPC),
    goal(1, Aim, "calls-64", &metrics::RATE, AtLeast(30.0), TONIC),
    goal(1, Aim, "calls-64", &metrics::RATE, AtLeast(0.9), BATCHED),
    goal(2, Must, "calls-256", &metrics::RATE, AtLeast(12.0), JSONRPSEE),
    goal(2, Aim, "calls-256", &metrics::RATE, AtLeast(35.0), JSONRPSEE),
    goal(2, Aim, "calls-256", &metrics::RATE, AtLeast(0.9), BATCHED),
    goal(3, Must, "calls-16", &metrics::RATE, AtLeast(6.0), JSONRPSEE),
    goal(3, Must, "calls-16", &metrics::RATE, AtLeast(3.0), TARPC),
    goal(3, Aim, "calls-16", &metrics::RATE, AtLeast(15.0), JSONRPSEE),
    goal(3, Aim, "calls-16", &metrics::RATE, AtLeast(1.0), BATCHED),
    goal(4, Must, "calls-1", &metrics::CPU, AtMost(1.15), RAW),
    goal(4, Must, "calls-1", &metrics::CPU, AtMost(0.7), JSONRPSEE),
    goal(4, Aim, "calls-1", &metrics::CPU, AtMost(0.95), RAW),
    goal(4, Aim, "calls-1", &metrics::CPU, AtMost(0.85), TARPC),
    Goal { of: "bowline, json", ..goal(5, Must, "calls-64-json", &metrics::RATE, AtLeast(5.0), JSONRPSEE) },
    Goal { of: "bowline, json", ..goal(5, Aim, "calls-64-json", &metrics::RATE, AtLeast(15.0), JSONRPSEE) },
    goal(6, Must, "upload", &metrics::THROUGHPUT, AtLeast(1.0), RAW),
    goal(6, Must, "upload", &metrics::THROUGHPUT, AtLeast(1.3), TARPC),
    goal(6, Must, "upload", &metrics::THROUGHPUT, AtLeast(40.0), JSONRPSEE),
    goal(6, Aim, "upload", &metrics::THROUGHPUT, AtLeast(1.9), RAW),
    goal(7, Must, "items", &metrics::CPU, AtMost(0.1), JSONRPSEE),
    goal(7, Aim, "items", &metrics::CPU, AtMost(1.0), TONIC),
    goal(8, Must, "slow-reader", &metrics::GROWN, AtMost(256.0), Nothing),
    goal(8, Must, "slow-reader", &metrics::LOST, AtMost(0.0), Nothing),
    goal(8, Must, "slow-reader", &metrics::KEPT, AtLeast(0.9), Nothing),
    goal(8, Aim, "slow-reader", &metrics::GROWN, AtMost(64.0), Nothing),
    goal(9, Must, "fan-out-paced", &metrics::SERVER_CPU, AtMost(1.0), BROADCAST),
    goal(9, Must, "fan-out-burst", &metrics::SERVER_CPU, AtMost(0.1), BROADCAST),
    goal(9, Aim, "fan-out-paced", &metrics::SERVER_CPU, AtMost(0.85), BROADCAST),
    goal(9, Aim, "fan-out-burst", &metrics::SERVER_CPU, AtMost(0.04), BROADCAST),
    goal(10, Must, "idle", &metrics::MEMORY, AtMost(12.0), Nothing),
    goal(10, Aim, "idle", &metrics::MEMORY, AtMost(7.0), Nothing),
    goal(11, Must, "sends", &metrics::SERVER_SENDS, AtMost(0.1), Nothing),
    goal(11, Must, "sends", &metrics::CLIENT_SENDS, AtMost(0.1), Nothing),
    goal(11, Aim, "sends", &metrics::SERVER_SENDS, AtMost(0.03), Nothing),
    goal(11, Aim, "sends", &metrics::CLIENT_SENDS, AtMost(0.03), Nothing),
    goal(12, Must, "head-of-line", &metrics::SLOWER, AtMost(3.0), Nothing),
    goal(12, Aim, "head-of-line", &metrics::SLOWER, AtMost(1.5), Nothing),
    Goal {
        of: "bowline, tracing + metrics",
        ..goal(13, Must, "layers", &metrics::CPU, AtMost(1.3), Peer("bowline"))
    },
    Goal {
        of: "bowline, tracing + metrics",
        ..goal(13, Aim, "layers", &metrics::CPU, AtMost(1.1), Peer("bowline"))
    },
];
