//! A world in which only happens what a test says, judged by the same oracle: for the cases that have a name.

use std::time::Duration;

use bowline_protocol::envelope::{Control, Decoder, Encoder, Envelope, GapReason, Hello};
use bowline_protocol::session::{CallId, Held, Session};
use bowline_test_support::Random;

use crate::app::{App, Ask};
use crate::net::{Cargo, End, LinkId, Weather};
use crate::once;
use crate::oracle::{Counts, Ended, Party};
use crate::profile::Profile;
use crate::service::SIM;
use crate::world::{Ctx, Happening, Place, World};

/// One client and the node, live, with nothing under way.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) world: World,
}

pub(crate) const fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

pub(crate) const fn secs(time: u64) -> Duration {
    Duration::from_secs(time)
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// With settings of its own.
    pub(crate) fn with(change: impl FnOnce(&mut Profile)) -> Self {
        let mut profile = Profile::quiet();
        change(&mut profile);
        let mut scene = Self { world: World::with(profile, Random::new(1), None) };
        scene.advance(secs(2));
        assert!(scene.is_live(), "{}", scene.world.cx.trace.text());
        // So that a call is written when it is made.
        for party in [Party::Client, Party::Server] {
            scene.at(party, |cx, _, machine| machine.declare(cx.now, &SIM));
        }
        scene.advance(secs(2));
        scene
    }

    /// The client made a call, and it has arrived.
    pub(crate) fn asked(method: usize) -> (Self, u32) {
        let mut scene = Self::new();
        let call = scene.ask(Party::Client, method, 50);
        scene.advance(secs(1));
        (scene, call)
    }

    pub(crate) fn advance(&mut self, time: Duration) {
        let end = self.world.cx.now + time;
        self.world.run_until(end);
    }

    pub(crate) fn is_live(&self) -> bool {
        self.world.clients[0].peer.machine.is_live()
    }

    /// The place of the client, or of the session of the node that it is in.
    pub(crate) fn place(&mut self, party: Party) -> Place {
        match party {
            Party::Client => Place::Client(0),
            Party::Server => {
                let session = self.world.clients[0].peer.machine.session_id();
                let slots = self.world.node.slots();
                let found = slots
                    .into_iter()
                    .find(|&slot| self.world.node.peer(slot).is_some_and(|peer| peer.session == session));
                Place::Slot(found.expect("the node has the session"), 0)
            }
        }
    }

    fn at<T>(&mut self, party: Party, does: impl FnOnce(&mut Ctx, &mut App, &mut Session) -> T) -> T {
        let place = self.place(party);
        let mut result = None;
        self.world.with_app(place, |cx, app, machine| result = Some(does(cx, app, machine)));
        result.expect("the place has an application")
    }

    /// Makes a call that must be taken in.
    pub(crate) fn ask(&mut self, caller: Party, method: usize, len: usize) -> u32 {
        self.ask_for(caller, Ask { method, len, time: None, queued: None, depth: 0 })
    }

    pub(crate) fn ask_for(&mut self, caller: Party, ask: Ask) -> u32 {
        self.try_ask(caller, ask).expect("the call is taken in")
    }

    pub(crate) fn try_ask(&mut self, caller: Party, ask: Ask) -> Option<u32> {
        self.at(caller, |cx, app, machine| app.ask(cx, machine, ask))
    }

    fn on(&mut self, party: Party, number: u32, does: impl FnOnce(&mut Ctx, &mut App, &mut Session, CallId)) {
        self.at(party, |cx, app, machine| {
            let call = app.find(number).expect("the application has the call");
            does(cx, app, machine, call);
        });
    }

    /// Sends an item, or a watch's value, which must have room.
    pub(crate) fn send(&mut self, party: Party, number: u32, len: usize) {
        self.on(party, number, |cx, app, machine, call| assert!(app.send_item(cx, machine, call, len)));
    }

    pub(crate) fn leave_out(&mut self, party: Party, number: u32, missed: u32) {
        self.on(party, number, |cx, app, machine, call| app.leave_out(cx, machine, call, missed));
    }

    /// A handler ends well.
    pub(crate) fn answer(&mut self, party: Party, number: u32, len: usize) {
        self.on(party, number, |cx, app, machine, call| app.end_run(cx, machine, call, Some(len)));
    }

    /// The node's handler ends well, and its caller hears of it.
    #[track_caller]
    pub(crate) fn complete(&mut self, number: u32) {
        self.answer(Party::Server, number, 50);
        self.advance(secs(1));
        self.assert_complete([number]);
    }

    /// All handlers of this end that were told to stop, or did all that they had to.
    pub(crate) fn answer_all(&mut self, party: Party) {
        for number in self.handled(party) {
            self.answer(party, number, 50);
        }
    }

    /// Calls that are handled at this end.
    pub(crate) fn handled(&mut self, party: Party) -> Vec<u32> {
        self.at(party, |_, app, _| app.handled())
    }

    /// Whether the node's handler of this call was told to stop.
    pub(crate) fn is_stopped(&mut self, number: u32) -> bool {
        self.at(Party::Server, |_, app, _| {
            app.runs.values().any(|run| run.number == number && run.is_stopped)
        })
    }

    /// Tasks of `once` calls end.
    pub(crate) fn pay(&mut self) {
        once::finish(&mut self.world.cx, true);
        self.world.answer_once();
    }

    pub(crate) fn cancel(&mut self, party: Party, number: u32) {
        self.on(party, number, |cx, app, machine, call| app.cancel_call(cx, machine, call));
    }

    pub(crate) fn read_all(&mut self, party: Party) {
        self.at(party, |cx, app, machine| app.read_all(cx, machine));
    }

    pub(crate) fn ended(&self, number: u32) -> Option<Ended> {
        self.world.cx.oracle.ended(number)
    }

    pub(crate) fn runs(&self, number: u32) -> usize {
        self.world.cx.oracle.runs(number)
    }

    /// Each ran once, and its caller has the answer.
    #[track_caller]
    pub(crate) fn assert_complete(&self, calls: impl IntoIterator<Item = u32>) {
        for call in calls {
            assert_eq!((self.runs(call), self.ended(call)), (1, Some(Ended::Complete)), "call {call}");
        }
    }

    /// How often the client's session was resumed, and how often lost.
    pub(crate) fn sessions(&self) -> (u64, u64) {
        (self.counts().resumed, self.counts().gaps)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.world.cx.oracle.counts
    }

    pub(crate) fn held(&mut self, party: Party) -> Held {
        self.at(party, |_, _, machine| machine.stats().held)
    }

    /// The client's link.
    pub(crate) fn link(&self) -> LinkId {
        self.world.clients[0].peer.link.expect("the client has a link")
    }

    /// The link is lost at once, with all that is under way; nobody tries again before [`connect`](Self::connect).
    pub(crate) fn cut(&mut self) {
        let link = self.link();
        for end in [End::Client, End::Server] {
            self.world.net.silence(link, end);
        }
        self.world.net.lose(&mut self.world.cx, link, [Some(ms(0)), Some(ms(0))]);
        self.advance(ms(0));
        self.hold();
    }

    /// The client believes that its link is lost, and it alone: what is under way arrives at the node.
    pub(crate) fn forget_link(&mut self) {
        let link = self.link();
        self.world.cx.queue.at(self.world.cx.now, Happening::Lost(link, End::Client));
        self.advance(ms(0));
        self.connect();
    }

    /// The client makes no link by itself.
    pub(crate) fn hold(&mut self) {
        let World { clients, cx, .. } = &mut self.world;
        clients[0].plan(cx, secs(1_000_000));
    }

    /// The client connects: its hello is there after 100 ms.
    pub(crate) fn connect(&mut self) {
        let World { clients, cx, .. } = &mut self.world;
        clients[0].plan(cx, ms(0));
    }

    /// Connects, and waits until the session is live and all is said that can be.
    pub(crate) fn reconnect(&mut self) {
        self.connect();
        self.advance(secs(3));
        assert!(self.is_live(), "{}", self.world.cx.trace.end(40));
    }

    /// The link is lost, and the session goes on, or another begins, on the next.
    pub(crate) fn relink(&mut self) {
        self.cut();
        self.reconnect();
    }

    /// The welcome of the attempt that begins now is lost, and the link with it.
    pub(crate) fn lose_welcome(&mut self) {
        self.connect();
        // Opened after 80 ms, the hello arrives after 100, the welcome would after 120.
        self.advance(ms(110));
        self.cut();
    }

    /// What the client would say next, taken off the wire; its link is lost then.
    pub(crate) fn next_hello(&mut self) -> Hello {
        self.connect();
        self.advance(ms(81));
        let (link, later) = (self.link(), self.world.cx.now + secs(1));
        let Some(Cargo::Message(message)) = self.world.net.arrival(later, link, End::Client) else {
            panic!("a message")
        };
        let Some(Ok(Envelope::Control(Control::Hello(hello)))) = Decoder::new(message).next() else {
            panic!("a hello")
        };
        self.cut();
        *hello
    }

    /// Somebody says hello to the node, on a link of its own.
    pub(crate) fn say(&mut self, hello: &Hello) -> LinkId {
        let World { cx, net, node, .. } = &mut self.world;
        let link = net.make(cx.now, 0, Weather::fair());
        node.opened(cx, net, link, 0);
        let slot = node.of_link(link).expect("the node has the link");
        let mut out = Vec::new();
        Encoder::new(&mut out).push(&Envelope::Control(Control::Hello(Box::new(hello.clone()))));
        if let Some(peer) = node.peer(slot) {
            peer.receive(cx, out.into());
        }
        node.pump(cx, net, slot);
        link
    }

    /// The node loses all that it held in memory.
    pub(crate) fn restart(&mut self) {
        self.world.restart();
        self.advance(secs(1));
    }

    /// The next gap is in order, for this reason.
    pub(crate) fn expect_gap(&mut self, reason: GapReason) {
        let session = self.world.clients[0].peer.machine.session_id().expect("there is a session");
        self.world.cx.oracle.session_gone(session, reason);
    }

    /// Nothing was wrong so far.
    pub(crate) fn check(&self) {
        if let Some(violation) = self.world.cx.oracle.violation() {
            panic!("{violation:?}\n{}", self.world.cx.trace.end(60));
        }
    }

    /// Everything ends, and everything was right.
    pub(crate) fn end(mut self) -> Counts {
        self.check();
        if self.world.clients[0].peer.link.is_none() {
            self.connect();
        }
        self.world.heal();
        let report = self.world.finish();
        if let Some(violation) = &report.violation {
            panic!("{violation:?}\n{}", report.trace.end(60));
        }
        report.counts
    }
}
