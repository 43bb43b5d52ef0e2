//! Two ends under drivers that do nothing unasked: they run when they were woken, when a message came or when their timer is
//! due. What a session forgets to tell them of hangs here, and each look at its timer is compared with the truth by a debug
//! assertion.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use bowline_protocol::limits::Limits;
use bowline_protocol::session::{Config, Welcoming};
use bowline_rpc::{Dispatcher, Peer, Router, SessionInfo, Transmit, status_of};
use bowline_runtime::{Instant, now};
use bowline_test_support::Random;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::support::service::{Method, Served};
use crate::support::{Handlers, Stub};

struct Flag(AtomicBool);

impl Flag {
    fn raised() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    fn is_up(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One end, and the driver of it.
struct End {
    peer: Peer,
    woken: Arc<Flag>,
    inbox: VecDeque<Bytes>,
    timer: Option<Instant>,
    gathered: bool,
    /// Whether its socket takes messages, and whether the session was told that it does not.
    takes: bool,
    is_blocked: bool,
}

impl End {
    fn new(peer: Peer) -> Self {
        let (woken, inbox) = (Flag::raised(), VecDeque::new());
        Self { peer, woken, inbox, timer: None, gathered: false, takes: true, is_blocked: false }
    }

    fn is_due(&self) -> bool {
        self.woken.is_up() || !self.inbox.is_empty() || self.timer.is_some_and(|due| due <= now())
    }

    /// One turn, as [`bowline_rpc`]'s documentation of a driver has it; gives what was written.
    fn turn(&mut self, random: &mut Random, mut background: impl FnMut(&mut Context<'_>)) -> Vec<Bytes> {
        self.woken.take();
        let waker = Waker::from(self.woken.clone());
        let cx = &mut Context::from_waker(&waker);
        let mut written = Vec::new();
        self.peer.attend();
        let most = 1 + random.below(4) as usize;
        let messages: Vec<_> = self.inbox.drain(..most.min(self.inbox.len())).collect();
        let heard = !messages.is_empty();
        messages.into_iter().for_each(|message| self.peer.handle_message(message));
        background(cx);
        let mut gathers = (!std::mem::take(&mut self.gathered)).then_some(heard);
        let rest = loop {
            if !self.takes {
                self.peer.register(cx);
                if !std::mem::replace(&mut self.is_blocked, true) {
                    self.peer.handle_blocked();
                }
                break self.peer.rest();
            }
            let (message, rest) = match self.peer.transmit(cx, gathers.take()) {
                Transmit::Message(message) => (Some(message), None),
                Transmit::Last(message, rest) => (Some(message), Some(rest)),
                Transmit::Nothing(rest) => (None, Some(rest)),
                Transmit::Later => {
                    self.gathered = true;
                    cx.waker().wake_by_ref();
                    return written;
                }
            };
            written.extend(message);
            let was_blocked = std::mem::take(&mut self.is_blocked);
            if was_blocked {
                self.peer.handle_progress();
            }
            match rest {
                Some(_) if was_blocked => break self.peer.rest(),
                Some(rest) => break rest,
                None => {}
            }
        };
        self.timer = rest.unwrap_or_else(|refusal| panic!("nobody did anything wrong: {refusal:?}"));
        if self.timer.is_some_and(|due| due <= now()) {
            self.peer.handle_timeout();
            cx.waker().wake_by_ref();
        }
        written
    }
}

/// Something that a client asked for, and whether it ends by itself.
struct Work {
    woken: Arc<Flag>,
    future: Pin<Box<dyn Future<Output = ()>>>,
    ends: bool,
}

impl Work {
    /// What is answered is noted in `answers`.
    fn some(stub: &Stub, random: &mut Random, answers: &Arc<AtomicUsize>) -> Self {
        let (stub, kind, number) = (stub.clone(), random.below(8), random.below(5));
        let text = "x".repeat(random.below(100_000) as usize);
        let answers = answers.clone();
        let future = Box::pin(async move {
            let is_answered = match kind {
                0 | 1 => stub.echo(number).await.is_ok(),
                2 => stub.slow(number * 1000, number).await.is_ok(),
                3 => stub.length(&text, 1).await.is_ok(),
                4 => stub.sum(1, stream::iter(0..number * 100)).await.is_ok(),
                5 => stub.hang().await.is_err(),
                6 => match stub.count(number * 200).await {
                    Ok(items) => items.count().await as u64 == number * 200,
                    Err(_) => false,
                },
                _ => match stub.news(Method::oldest).await {
                    Ok(items) => items.take(30).count().await == 30,
                    Err(_) => false,
                },
            };
            answers.fetch_add(usize::from(is_answered), Ordering::SeqCst);
        });
        Self { woken: Flag::raised(), future, ends: kind < 7 }
    }

    /// Whether it goes on.
    fn turn(&mut self) -> bool {
        let waker = Waker::from(self.woken.clone());
        !self.woken.take() || self.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
    }
}

fn limits(random: &mut Random) -> Limits {
    match random.below(3) {
        0 => Limits::default(),
        1 => Limits {
            message_out: 3000,
            replay_bytes: 20_000,
            replay_envelopes: 40,
            stream_window: 4000,
            ..Limits::default()
        },
        _ => Limits { calls: 5, streams: 4, ..Limits::default() },
    }
}

/// How much was asked for, and how much of it was answered.
async fn world(seed: u64) -> (usize, usize) {
    let random = &mut Random::new(seed);
    let handlers = Handlers::new();
    let router = Router::new().add(Served(handlers.clone()));
    let serving = Config { services: router.descriptors(), limits: limits(random), ..Config::default() };
    let calling = Config { limits: limits(random), ..Config::default() };
    let mut client = End::new(Peer::client(calling));
    let mut server = End::new(Peer::server(serving));
    let mut dispatcher = Dispatcher::new(&server.peer, router, SessionInfo::default(), status_of);
    let stub = Stub::new(&client.peer.channel());
    client.peer.handle_connected();
    server.peer.handle_connected();
    server.inbox.extend(client.turn(random, |_| {}));
    server.turn(random, |_| {});
    assert!(server.peer.poll_hello(&mut Context::from_waker(Waker::noop())).is_ready());
    server.peer.welcome(Welcoming::new(1, [0; 32], 1));
    let (mut works, mut asked, answers) = (Vec::<Work>::new(), 0, Arc::default());
    let mut healed = 0;
    for step in 0.. {
        let is_healed = step >= 300;
        match if is_healed { 99 } else { random.below(30) } {
            0..=6 => {
                asked += 1;
                works.push(Work::some(&stub, random, &answers));
            }
            7 if !works.is_empty() => drop(works.swap_remove(random.below(works.len() as u64) as usize)),
            8 | 9 => {
                for _ in 0..random.below(60) {
                    handlers.topic.publish("y".repeat(300));
                }
            }
            10 => client.peer.trim(),
            11 => server.peer.trim(),
            12 => client.peer.handle_wake(),
            13 => client.takes ^= true,
            14 => server.takes ^= true,
            15 => tokio::time::advance(Duration::from_millis(random.below(400))).await,
            16..=20 => tokio::time::advance(Duration::from_millis(random.below(100))).await,
            99 => (client.takes, server.takes) = (true, true),
            _ => {}
        }
        for end in [&client, &server] {
            if end.takes && end.is_blocked {
                // The socket says so.
                end.woken.0.store(true, Ordering::SeqCst);
            }
        }
        if client.is_due() && (is_healed || random.below(3) > 0) {
            server.inbox.extend(client.turn(random, |_| {}));
        }
        if server.is_due() && (is_healed || random.below(3) > 0) {
            client.inbox.extend(server.turn(random, |cx| assert!(dispatcher.poll(cx).is_pending())));
        }
        tokio::task::yield_now().await;
        works.retain_mut(Work::turn);
        if is_healed && !client.is_due() && !server.is_due() && !works.iter().any(|work| work.woken.is_up()) {
            if !works.iter().any(|work| work.ends) {
                break;
            }
            healed += 1;
            assert!(healed < 2000, "seed {seed}: {:?} {:?}", client.peer.stats(), server.peer.stats());
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    }
    (asked, answers.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn what_a_driver_is_not_told_of_is_not_needed() {
    let (mut asked, mut answered) = (0, 0);
    for seed in 0..100 {
        let of_one = world(seed).await;
        asked += of_one.0;
        answered += of_one.1;
    }
    // Some is dropped, and some waits for its turn until its deadline.
    assert!(answered > asked / 2, "{answered} of {asked}");
}
