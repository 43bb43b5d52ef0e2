use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::link::Ended;
use super::*;

/// Two sockets that are connected: ours first.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (ours, listener.accept().await.unwrap().0)
}

/// A link through a plan: the client's socket, the server's, and the task in between.
async fn through(plan: Plan) -> (TcpStream, TcpStream, tokio::task::JoinHandle<Ended>) {
    let (client, inner) = pair().await;
    let (server, outer) = pair().await;
    (client, server, tokio::spawn(carry(inner, outer, plan, None, |_| ())))
}

fn ending(cut: Cut, direction: Direction, at: u64) -> Plan {
    Plan { end: Some((cut, direction, at)), ..Plan::CLEAN }
}

/// Everything until the end, and how that came.
async fn all(socket: &mut TcpStream) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let end = socket.read_to_end(&mut bytes).await.map(drop);
    (bytes, end)
}

#[tokio::test]
async fn a_clean_link_carries_both_ways_and_passes_the_end_on() {
    let (mut client, mut server, link) = through(Plan::CLEAN).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(all(&mut server).await.0, b"question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    assert_eq!(all(&mut client).await.0, b"answer");
    assert_eq!(link.await.unwrap(), Ended::ByAnEnd);
}

#[tokio::test]
async fn a_close_lets_exactly_its_bytes_through() {
    let (mut client, mut server, link) = through(ending(Cut::Close, Direction::Up, 3)).await;
    client.write_all(b"abcdef").await.unwrap();
    let (bytes, end) = all(&mut server).await;
    assert_eq!((bytes.as_slice(), end.is_ok()), (b"abc".as_slice(), true));
    assert_eq!(link.await.unwrap(), Ended::Cut(Cut::Close));
}

#[tokio::test]
async fn a_reset_is_seen_as_one_at_both_ends() {
    let (mut client, mut server, link) = through(ending(Cut::Reset, Direction::Down, 2)).await;
    server.write_all(b"abcdef").await.unwrap();
    assert_eq!(link.await.unwrap(), Ended::Cut(Cut::Reset));
    for socket in [&mut client, &mut server] {
        let (bytes, end) = all(socket).await;
        assert!(bytes.len() <= 2, "{bytes:?}");
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_black_hole_keeps_both_sockets_and_gives_nothing_on() {
    let (mut client, mut server, link) = through(ending(Cut::BlackHole, Direction::Up, 2)).await;
    client.write_all(b"ab").await.unwrap();
    let mut two = [0; 2];
    server.read_exact(&mut two).await.unwrap();
    client.write_all(b"more").await.unwrap();
    server.write_all(b"answer").await.unwrap();
    // Both ends close, which neither learns of the other.
    client.shutdown().await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(link.await.unwrap(), Ended::Cut(Cut::BlackHole));
    assert_eq!(all(&mut server).await.0, b"");
    assert_eq!(all(&mut client).await.0, b"");
}

#[tokio::test]
async fn a_link_that_is_dead_one_way_lives_the_other() {
    let (mut client, mut server, link) = through(ending(Cut::OneWay, Direction::Up, 0)).await;
    client.write_all(b"lost").await.unwrap();
    server.write_all(b"arrives").await.unwrap();
    let mut bytes = [0; 7];
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"arrives");
    client.shutdown().await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(link.await.unwrap(), Ended::Cut(Cut::OneWay));
    assert_eq!(all(&mut server).await.0, b"");
}

#[tokio::test]
async fn a_direction_that_lives_on_loses_nothing_that_waits() {
    // Byte by byte, so that some of it waits in the middle of the link when the other direction dies.
    let plan = Plan { sliced: 100_000, ..ending(Cut::OneWay, Direction::Up, 1) };
    let (mut client, mut server, link) = through(plan).await;
    let sent: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    let writing = tokio::spawn({
        let sent = sent.clone();
        async move {
            let ended = server.write_all(&sent).await;
            (ended.and(server.shutdown().await), server)
        }
    });
    client.readable().await.unwrap();
    client.write_all(b"x").await.unwrap();
    let mut bytes = vec![0; sent.len()];
    client.read_exact(&mut bytes).await.unwrap();
    assert!(bytes == sent, "bytes were lost in the middle");
    client.shutdown().await.unwrap();
    writing.await.unwrap().0.unwrap();
    assert_eq!(link.await.unwrap(), Ended::Cut(Cut::OneWay));
}

#[tokio::test]
async fn slices_carry_everything() {
    let plan = Plan { sliced: 100, ..Plan::CLEAN };
    let (mut client, mut server, link) = through(plan).await;
    let sent: Vec<u8> = (0..=255).collect();
    client.write_all(&sent).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(all(&mut server).await.0, sent);
    drop((client, server));
    link.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stall_holds_what_comes_behind_it_and_then_goes_on() {
    let stall = Stall { direction: Direction::Up, at: 2, lasts: Duration::from_millis(300) };
    let (mut client, mut server, _link) = through(Plan { stall: Some(stall), ..Plan::CLEAN }).await;
    let start = tokio::time::Instant::now();
    client.write_all(b"abcd").await.unwrap();
    let mut two = [0; 2];
    server.read_exact(&mut two).await.unwrap();
    server.read_exact(&mut two).await.unwrap();
    assert_eq!(&two, b"cd");
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_too_quiet_for_its_cut_is_cut_all_the_same() {
    let plan = Plan { patience: Duration::from_secs(3), ..ending(Cut::Close, Direction::Up, 1000) };
    let (_client, mut server, link) = through(plan).await;
    assert!(all(&mut server).await.0.is_empty());
    assert_eq!(link.await.unwrap(), Ended::Cut(Cut::Close));
}

/// A server that sends back what it gets, behind a relay.
async fn echo() -> (Relay, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let relay = Relay::start(Some(listener.local_addr().unwrap())).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut echoes = JoinSet::new();
        loop {
            let mut socket = listener.accept().await.unwrap().0;
            echoes.spawn(async move {
                let (mut read, mut write) = socket.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    (relay, tasks)
}

#[tokio::test]
async fn a_relay_ends_all_links_at_once_and_takes_the_next() {
    let (relay, _server) = echo().await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = TcpStream::connect(relay.address()).await.unwrap();
        client.write_all(b"x").await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
        clients.push(client);
    }
    assert_eq!(relay.links(), Links { open: 2, made: 2, refused: 0 });
    relay.cut();
    for mut client in clients {
        assert_eq!(all(&mut client).await.0, b"");
    }
    relay.until(|links| links.open == 0).await.unwrap();

    let server = relay.shared.upstream.send_replace(None);
    let mut refused = TcpStream::connect(relay.address()).await.unwrap();
    let _ = all(&mut refused).await;
    assert_eq!(relay.until(|links| links.refused == 1).await.unwrap().open, 0);
    relay.lead_to(server);
    let mut client = TcpStream::connect(relay.address()).await.unwrap();
    client.write_all(b"y").await.unwrap();
    client.read_exact(&mut [0]).await.unwrap();
}

#[tokio::test]
async fn what_is_held_one_way_waits_and_is_lost_by_a_cut() {
    let (relay, _server) = echo().await;
    let mut client = TcpStream::connect(relay.address()).await.unwrap();
    relay.hold(Held { down: true, up: false });
    client.write_all(b"ab").await.unwrap();
    let mut two = [0; 2];
    let early = timeout(Duration::from_millis(50), client.read_exact(&mut two)).await;
    assert!(early.is_err(), "held");
    relay.hold(Held::default());
    client.read_exact(&mut two).await.unwrap();
    assert_eq!(&two, b"ab");

    relay.hold(Held { up: true, down: true });
    client.write_all(b"cd").await.unwrap();
    relay.cut();
    assert_eq!(all(&mut client).await.0, b"");
}
