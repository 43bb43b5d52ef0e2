//! One link through the proxy: bytes go both ways until its plan ends it.

use std::io;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::plan::{Cut, Direction, Plan};

/// How long a black hole keeps its sockets: longer than either end takes to find it, and not for ever.
const HOLE: Duration = Duration::from_secs(60);
/// How long the second half of a link that one end has closed may take to follow.
const GOODBYE: Duration = Duration::from_secs(5);
/// What is read at once.
const BUFFER: usize = 16 * 1024;

/// Which directions of all links of a relay are held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// From client to server.
    pub up: bool,
    /// From server to client.
    pub down: bool,
}

impl Held {
    fn holds(self, direction: Direction) -> bool {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        }
    }
}

/// What became of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The plan ended it.
    Cut(Cut),
    /// An end closed it.
    ByAnEnd,
}

/// Carries a link until it has ended. `cut` is told of the plan's end at the moment it happens.
///
/// With `gates`, bytes of a direction that is held wait, in order, here and with the kernel.
///
/// # Cancel safety
///
/// Dropping the future closes both sockets.
pub async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    plan: Plan,
    gates: Option<watch::Receiver<Held>>,
    cut: impl FnOnce(Cut),
) -> Ended {
    // Slices are to arrive as slices.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let hit = {
        let (mut client_read, mut client_write) = client.split();
        let (mut server_read, mut server_write) = server.split();
        let mut up = Box::pin(pump(Direction::Up, &mut client_read, &mut server_write, plan, gates.clone()));
        let mut down = Box::pin(pump(Direction::Down, &mut server_read, &mut client_write, plan, gates));
        let first = tokio::select! {
            hit = &mut up => (hit, Direction::Up),
            hit = &mut down => (hit, Direction::Down),
            () = sleep(plan.patience) => (plan.end.map(|end| end.0), plan.end.map_or(Direction::Up, |end| end.1)),
        };
        let (hit, direction, is_half) = match first {
            (None, Direction::Up) => {
                (timeout(GOODBYE, &mut down).await.ok().flatten(), Direction::Down, true)
            }
            (None, Direction::Down) => (timeout(GOODBYE, &mut up).await.ok().flatten(), Direction::Up, true),
            (hit, direction) => (hit, direction, false),
        };
        let Some(hit) = hit else { return Ended::ByAnEnd };
        cut(hit);
        if hit == Cut::OneWay {
            // The other direction goes on where it is: a network that loses bytes ends the connection, and never goes on behind them.
            match direction {
                Direction::Up => {
                    drop(up);
                    let goes_on = async { if is_half { None } else { down.await } };
                    let _ = timeout(HOLE, async { tokio::join!(swallow(&mut client_read), goes_on) }).await;
                }
                Direction::Down => {
                    drop(down);
                    let goes_on = async { if is_half { None } else { up.await } };
                    let _ = timeout(HOLE, async { tokio::join!(swallow(&mut server_read), goes_on) }).await;
                }
            }
        }
        hit
    };
    match hit {
        Cut::Close | Cut::OneWay => {}
        Cut::Reset => {
            for socket in [&client, &server] {
                // Fails when the other end was faster.
                let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
            }
        }
        Cut::BlackHole => {
            let (mut client_read, _client_write) = client.split();
            let (mut server_read, _server_write) = server.split();
            let swallowed = async { tokio::join!(swallow(&mut client_read), swallow(&mut server_read)) };
            let _ = timeout(HOLE, swallowed).await;
        }
    }
    Ended::Cut(hit)
}

/// Moves bytes one way until the plan's cut is due (`Some`) or an end is done (`None`).
async fn pump(
    direction: Direction,
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    plan: Plan,
    mut gates: Option<watch::Receiver<Held>>,
) -> Option<Cut> {
    let mut buffer = vec![0; BUFFER];
    let mut gone = 0;
    loop {
        // Before the read: a cut at byte 0 waits for nothing.
        if let Some(cut) = plan.cut_at(direction, gone) {
            return Some(cut);
        }
        let read = from.read(&mut buffer).await;
        if let Some(gates) = &mut gates {
            // An end waits behind the bytes before it.
            let _ = gates.wait_for(|closed| !closed.holds(direction)).await;
        }
        let read = match read {
            Ok(read) if read > 0 => read,
            _ => {
                let _ = to.shutdown().await;
                return None;
            }
        };
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            if let Some(cut) = plan.cut_at(direction, gone) {
                return Some(cut);
            }
            if let Some(lasts) = plan.stall_at(direction, gone) {
                sleep(lasts).await;
            }
            let (now, later) = rest.split_at(plan.step(direction, gone, rest.len()));
            if write(to, now).await.is_err() {
                return None;
            }
            gone += now.len() as u64;
            rest = later;
        }
    }
}

async fn write(to: &mut WriteHalf<'_>, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Reads to the end and gives nothing on.
async fn swallow(from: &mut ReadHalf<'_>) -> Option<Cut> {
    let mut buffer = vec![0; BUFFER];
    while from.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    None
}
