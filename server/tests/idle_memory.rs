//! A connection that was busy and is idle again takes as much memory as one that never was. In a binary of its own, because
//! the counting allocator is everybody's.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::time::Duration;

use allocation_counter::measure;
use bowline::prelude::*;
use bowline_protocol::session::Config;
use bowline_rpc::Peer;
use bowline_runtime::{Task, spawn};
use bowline_server::Server;
use bowline_transport::drive;
use bowline_transport::memory::{Faults, pair};
use futures_util::future::join_all;
use tokio::runtime::Builder;
use tokio::time::sleep;

#[bowline::rpc]
trait Numbers {
    async fn twice(&self, number: u32) -> u32;
}

struct Doubling;

impl Numbers for Doubling {
    async fn twice(&self, number: u32) -> u32 {
        number * 2
    }
}

/// A client that serves nothing.
struct Connection {
    peer: Peer,
    _driver: Task,
}

impl Connection {
    fn new(server: &Server) -> Self {
        let (near, far) = pair(&Faults::default());
        server.accept(far);
        let peer = Peer::client(Config::default());
        let driven = peer.clone();
        let driver = spawn(async move {
            drive(near, &driven, std::future::pending()).await;
        });
        Self { peer, _driver: driver }
    }

    /// Makes so many calls at once.
    async fn call(&self, count: u32) {
        let numbers = NumbersClient::from_channel(self.peer.channel());
        let answers = join_all((0..count).map(|number| numbers.twice(number))).await;
        assert!(answers.into_iter().eq((0..count).map(|number| Ok(number * 2))));
    }
}

#[test]
fn an_idle_connection_keeps_no_room_for_its_busiest_moment() {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let server = Server::builder().service(NumbersServer::new(Doubling)).build();
    let mut connections = Vec::with_capacity(3);
    let mut held_after = |calls| {
        let measured = measure(|| {
            runtime.block_on(async {
                let connection = Connection::new(&server);
                connection.call(1).await;
                connection.call(calls).await;
                // Long enough for whatever looks now and then, and for acknowledgements.
                sleep(Duration::from_secs(5)).await;
                connection.peer.trim();
                connections.push(connection);
            });
        });
        measured.bytes_current
    };
    // All that a server makes once is made.
    held_after(250);
    let (quiet, busy) = (held_after(1), held_after(250));
    // The caller keeps the numbers that its calls had.
    assert!(busy <= quiet + 8 * 1024, "{busy} bytes, and {quiet} of one that was never busy");
}
