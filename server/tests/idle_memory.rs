//! A connection that was busy and is idle again takes as much memory as one that never was. In a binary of its own, because
//! the counting allocator is everybody's.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::time::Duration;

use allocation_counter::measure;
use bowline::Client;
use bowline::transport::memory::network;
use bowline_server::Server;
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

async fn connect(server: &Server) -> Client {
    let (mut listener, connector) = network();
    let builder = Client::builder("memory").connector(connector);
    let accepting = async { server.accept(listener.accept().await.unwrap()) };
    tokio::join!(builder.connect(), accepting).0.unwrap()
}

/// Makes so many calls at once.
async fn call(client: &Client, count: u32) {
    let numbers = client.client::<NumbersClient>();
    let answers = join_all((0..count).map(|number| numbers.twice(number))).await;
    assert!(answers.into_iter().eq((0..count).map(|number| Ok(number * 2))));
}

#[test]
fn an_idle_connection_keeps_no_room_for_its_busiest_moment_at_either_end() {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let server = Server::builder().service(NumbersServer::new(Doubling)).build();
    let mut clients = Vec::with_capacity(3);
    let mut held_after = |calls| {
        let measured = measure(|| {
            runtime.block_on(async {
                let client = connect(&server).await;
                call(&client, 1).await;
                call(&client, calls).await;
                // Long enough for whatever looks now and then, and for acknowledgements.
                sleep(Duration::from_secs(12)).await;
                clients.push(client);
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
