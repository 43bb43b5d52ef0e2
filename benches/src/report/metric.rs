/// What a number says.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its stable name, for machines.
    pub id: &'static str,
    /// The heading of its column, with the unit.
    pub heading: &'static str,
    /// A sentence for people.
    pub meaning: &'static str,
    /// Which of two is the better one.
    pub better: Better,
}

/// Which of two numbers is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The smaller.
    Less,
    /// The greater.
    More,
}

/// Everything that is measured; a scenario picks.
pub mod metrics {
    use super::{Better, Metric};

    const fn less(id: &'static str, heading: &'static str, meaning: &'static str) -> Metric {
        Metric { id, heading, meaning, better: Better::Less }
    }

    const fn more(id: &'static str, heading: &'static str, meaning: &'static str) -> Metric {
        Metric { id, heading, meaning, better: Better::More }
    }

    /// Processor time of an operation.
    pub static CPU: Metric = less(
        "cpu_us",
        "CPU µs each",
        "processor time of client and server together, user and system, for one operation",
    );
    /// Processor time of an operation at the server alone.
    pub static SERVER_CPU: Metric = less(
        "server_cpu_us",
        "server CPU µs each",
        "processor time of the server alone, user and system, for one delivery or operation",
    );
    /// Operations in a second.
    pub static RATE: Metric =
        more("rate", "each second", "operations that were finished in a second of the clock on the wall");
    /// Payload in a second.
    pub static THROUGHPUT: Metric =
        more("mb_s", "MB/s", "payload that arrived in a second of the clock on the wall, in 1,000,000 bytes");
    /// Memory of a connection.
    pub static MEMORY: Metric =
        less("kib", "server KiB", "what the server's process grew by, for each connection");
    /// Memory of a slow reader.
    pub static GROWN: Metric =
        less("grown_kib", "server grew KiB", "what the server held at most because one reader was slow");
    /// Items that did not arrive.
    pub static LOST: Metric = less("lost", "items lost", "items that were sent and never read");
    /// What the others kept of their rate.
    pub static KEPT: Metric = more(
        "kept",
        "rate kept",
        "the rate of other calls in the presence of a slow reader, as part of that without",
    );
    /// Writing system calls of the server.
    pub static SERVER_SENDS: Metric =
        less("server_sends", "server sends", "system calls with which the server wrote, for one operation");
    /// Writing system calls of the client.
    pub static CLIENT_SENDS: Metric =
        less("client_sends", "client sends", "system calls with which the client wrote, for one operation");
    /// Other system calls of the server.
    pub static SERVER_OTHERS: Metric = less(
        "server_others",
        "server others",
        "system calls with which the server read, waited or woke a thread, for one operation",
    );
    /// Other system calls of the client.
    pub static CLIENT_OTHERS: Metric = less(
        "client_others",
        "client others",
        "system calls with which the client read, waited or woke a thread, for one operation",
    );
    /// Waiting of the unluckiest.
    pub static P99: Metric =
        less("p99_us", "p99 µs", "how long the unluckiest one in a hundred calls took, on the wall");
    /// The same with nothing beside it.
    pub static P99_ALONE: Metric =
        less("p99_alone_us", "alone p99 µs", "the same while nothing else was under way");
    /// How much worse it got.
    pub static SLOWER: Metric = less("slower", "times slower", "the p99 with, divided by the p99 without");
}
