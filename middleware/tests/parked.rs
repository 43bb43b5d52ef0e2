//! A thousand sessions that wait for a link: bounded, and nothing is left of them, as the server says and as its metrics do.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::time::Duration;

use bowline::{Client, NodeLimits, Server};
use bowline_protocol::registry::RegistryHeld;
use bowline_runtime::spawn;
use bowline_transport::memory::network;
use support::counted::Counted;
use tokio::time::{sleep, timeout};

#[bowline::rpc]
trait Store {
    /// So many bytes.
    async fn bytes(&self, count: u32) -> Vec<u8>;
}

struct Zeros;

impl Store for Zeros {
    async fn bytes(&self, count: u32) -> Vec<u8> {
        vec![0; count as usize]
    }
}

const SESSIONS: usize = 1000;
/// What each session holds when its link is lost: an answer that was not acknowledged.
const ANSWER: usize = 20 * 1024;
const BOUND: usize = 8 * 1024 * 1024;
const MEMORY: Duration = Duration::from_secs(300);

/// What the server's gauges say, without those that are 0.
fn gauges(counted: &mut Counted) -> Vec<(String, f64)> {
    let names = ["sessions{", "links{", "replay{", "outbox{", "calls.in_flight{"];
    let is_gauge = |series: &str| {
        series.strip_prefix("bowline.server.").is_some_and(|rest| names.iter().any(|it| rest.starts_with(it)))
    };
    counted.sums().into_iter().filter(|(series, _)| is_gauge(series)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_parked_sessions_stay_under_the_bound_and_leave_nothing() {
    let mut counted = Counted::default();
    let limits = NodeLimits { detached_bytes: BOUND, tombstone_age: MEMORY, ..NodeLimits::default() };
    let server = Server::builder().service(StoreServer::new(Zeros)).node_limits(limits).build();
    let (mut listener, connector) = network();
    let faults = connector.faults().clone();
    let accepting = server.clone();
    let _accepting = spawn(async move {
        while let Some(link) = listener.accept().await {
            accepting.accept(link);
        }
    });
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        clients.push(Client::builder("memory").connector(connector.clone()).connect().await.unwrap());
    }
    // The clients acknowledge everything before this, and of 33 answers in one moment all but the last.
    sleep(Duration::from_secs(5)).await;
    for client in &clients {
        let store = client.client::<StoreClient>();
        for len in std::iter::repeat_n(4096, 32).chain([ANSWER]) {
            assert_eq!(store.bytes(len as u32).await.unwrap().len(), len);
        }
    }
    assert_eq!(server.stats().held.attached, SESSIONS);
    assert_eq!(counted.sum("bowline.server.sessions{}"), SESSIONS as f64);
    assert_eq!(counted.sum("bowline.server.links{}"), SESSIONS as f64);

    faults.unplug();
    let parked = async {
        while server.stats().held.attached > 0 {
            assert!(server.stats().held.detached_bytes <= BOUND);
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), parked).await.unwrap();
    drop(clients);
    let stats = server.stats();
    let held = stats.held;
    assert!(held.detached_bytes <= BOUND && held.detached_bytes > BOUND - 2 * ANSWER, "{held:?}");
    assert_eq!(held.detached + held.ending + held.tombstones, SESSIONS, "{held:?}");
    assert_eq!(stats.counted.evicted as usize, SESSIONS - held.detached);
    sleep(Duration::from_secs(2)).await;
    let held = server.stats().held;
    assert_eq!(counted.sum("bowline.server.sessions{}"), held.detached as f64, "as many as there are");
    assert_eq!(counted.sum("bowline.server.links{}"), 0.0);
    let replay = counted.sum("bowline.server.replay{}");
    assert!(replay > 0.0 && replay <= BOUND as f64, "{replay}");

    // Their windows end, and then what is remembered of them.
    sleep(Duration::from_secs(121)).await;
    let left = server.stats();
    assert_eq!(left.held, RegistryHeld { tombstones: SESSIONS, ..RegistryHeld::default() });
    assert_eq!(left.counted.expired as usize, held.detached);
    assert_eq!(gauges(&mut counted), []);
    sleep(MEMORY).await;
    assert_eq!(server.stats().held, RegistryHeld::default());
    assert_eq!(server.sessions(), 0);
}
