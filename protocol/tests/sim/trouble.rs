//! What the network, and the machine that the node runs on, do to everybody.

use std::time::Duration;

use crate::net::End;
use crate::note;
use crate::once::Once;
use crate::trace::ms;
use crate::world::{Ctx, Happening, World};

impl World {
    /// Chooses something bad.
    pub(crate) fn trouble(&mut self) {
        if self.cx.is_healed || self.cx.profile.is_calm {
            return;
        }
        let next = Duration::from_millis(self.cx.random.below(self.cx.profile.troubles));
        self.cx.queue.at(self.cx.now + next, Happening::Trouble);
        let links = self.net.sound_links();
        if links.is_empty() {
            return;
        }
        let Self { cx, net, .. } = self;
        let link = links[cx.random.below(links.len() as u64) as usize];
        let end = if cx.random.below(2) == 0 { End::Client } else { End::Server };
        let soon = |cx: &mut Ctx| Some(Duration::from_millis(cx.random.below(300)));
        match cx.random.below(16) {
            0..=2 => {
                note!(cx, "TROUBLE l{link} is lost");
                let notice = [soon(cx), soon(cx)];
                net.lose(cx, link, notice);
            }
            3..=4 => {
                let bytes = cx.random.below(20_000);
                note!(cx, "TROUBLE l{link} breaks {bytes} bytes from now, from {end:?}");
                net.lose_after(link, end, bytes);
            }
            5..=7 => {
                let most = [500, 5000, 20_000][cx.random.below(3) as usize];
                let time = Duration::from_millis(cx.random.below(most));
                note!(cx, "TROUBLE l{link} stalls from {end:?} for {} ms", ms(time));
                net.stall(cx, link, end, time);
            }
            8 => {
                let client = net.get(link).map_or(0, |it| it.client);
                let most = [100, 5000, 40_000][cx.random.below(3) as usize];
                let time = Duration::from_millis(cx.random.below(most));
                note!(cx, "TROUBLE c{client} is offline for {} ms", ms(time));
                self.clients[client].offline_until = cx.now + time;
                let notice = [soon(cx), soon(cx)];
                net.lose(cx, link, notice);
            }
            9 => {
                note!(cx, "TROUBLE l{link} goes silent from {end:?}");
                net.silence(link, end);
            }
            10..=11 => {
                note!(cx, "TROUBLE only {end:?} learns that l{link} is lost");
                let mut notice = [None; 2];
                notice[end as usize] = soon(cx);
                net.lose(cx, link, notice);
            }
            12 => {
                let client = net.get(link).map_or(0, |it| it.client);
                let most = [2000, 30_000, 150_000][cx.random.below(3) as usize];
                let time = Duration::from_millis(cx.random.below(most));
                note!(cx, "TROUBLE c{client} sleeps for {} ms", ms(time));
                self.clients[client].asleep_until = cx.now + time;
                cx.queue.at(cx.now + time, Happening::Wake(client));
            }
            13 => {
                let client = net.get(link).map_or(0, |it| it.client);
                note!(cx, "TROUBLE c{client} signs in as somebody else");
                let it = &mut self.clients[client];
                // Not back to who it was before anybody heard of the change: what was asked meanwhile would be sent
                // as that one, and no machine knows who the credentials name.
                if it.next_identity.is_none() && it.peer.machine.is_live() {
                    it.next_identity = Some(it.peer.app.identity + 10);
                    let notice = [soon(cx), soon(cx)];
                    net.lose(cx, link, notice);
                }
            }
            14 => {
                note!(cx, "TROUBLE the node loses its links");
                for link in self.net.open_links() {
                    self.node.lost(&mut self.cx, &mut self.net, link, None);
                    let soon = Duration::from_millis(self.cx.random.below(100));
                    self.net.lose(&mut self.cx, link, [Some(soon), None]);
                }
            }
            _ => {
                note!(cx, "TROUBLE the node restarts");
                self.restart();
            }
        }
    }

    /// The node loses all that it holds in memory.
    pub(crate) fn restart(&mut self) {
        self.node.vanish(&mut self.cx);
        let id = u128::from(self.cx.random.number());
        let fresh = Once::new(id, self.cx.profile.once.clone());
        std::mem::replace(&mut self.cx.once, fresh).vanish(&mut self.cx.oracle);
        for link in self.net.open_links() {
            self.net.forget(link, End::Server);
            let soon = Duration::from_millis(self.cx.random.below(100));
            self.net.lose(&mut self.cx, link, [Some(soon), None]);
        }
    }
}
