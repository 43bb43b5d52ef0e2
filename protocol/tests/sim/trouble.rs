//! What the network, and the machine that the node runs on, do to everybody.

use std::time::Duration;

use bowline_protocol::envelope::GapReason;

use crate::net::End;
use crate::note;
use crate::trace::ms;
use crate::world::{Ctx, Happening, World};

impl World {
    /// Chooses something bad.
    pub(crate) fn trouble(&mut self) {
        if self.cx.is_healed {
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
        match cx.random.below(10) {
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
            _ => {
                note!(cx, "TROUBLE the node restarts");
                self.restart();
            }
        }
    }

    /// The node loses all that it holds in memory.
    fn restart(&mut self) {
        for link in self.net.open_links() {
            self.node.lost(&mut self.cx, &mut self.net, link);
            let soon = Duration::from_millis(self.cx.random.below(100));
            self.net.lose(&mut self.cx, link, [Some(soon), None]);
        }
        for client in 0..self.clients.len() {
            self.cx.oracle.excuse(client, GapReason::StateLost);
        }
    }
}
