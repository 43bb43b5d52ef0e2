//! From what is published at the host to the effect that sees it.

use std::cell::RefCell;
use std::rc::Rc;

use futures_channel::oneshot;
use leptos::prelude::*;

use super::contender::Contenders;
use super::{Outcome, now};
use crate::wire::Answer;
use crate::{Tick, WARM_UP};

pub(super) async fn measure(contenders: &Contenders, how: &str, n: u64) -> Outcome<Vec<f64>> {
    let (full, filled) = oneshot::channel();
    let log = Rc::new(RefCell::new(Log { wanted: n, first: None, late: Vec::new(), full: Some(full) }));
    let owner = contenders.owner.child();
    owner.with(|| show(contenders, how, n + WARM_UP, log.clone()))?;
    filled.await.map_err(|_| "the effect is gone")?;
    // Cancels what was subscribed to.
    owner.cleanup();
    let late = std::mem::take(&mut log.borrow_mut().late);
    Ok(late)
}

/// One signal with the newest item and one effect that reads it, as a page would show it.
fn show(contenders: &Contenders, how: &str, published: u64, log: Rc<RefCell<Log>>) -> Outcome<()> {
    match how {
        "bowline-watch" => follow(contenders.bowline.newest_signal().value.into(), log),
        "bowline" => follow(contenders.bowline.ticks_signal().latest().value.into(), log),
        "web-sys" => {
            let newest = RwSignal::new(None);
            contenders.web_sys.ticks(published, move |tick| newest.set(Some(tick)));
            follow(newest.into(), log);
        }
        "leptos-use" => {
            let message = contenders.leptos_use.message;
            Effect::new(move |_| {
                if let Some(Answer::Tick { tick, .. }) = message.get() {
                    log.borrow_mut().see(tick);
                }
            });
            contenders.leptos_use.caller.ask_for_ticks(published);
        }
        _ => return Err(format!("nobody is called `{how}`")),
    }
    Ok(())
}

fn follow(newest: Signal<Option<Tick>>, log: Rc<RefCell<Log>>) {
    Effect::new(move |_| {
        if let Some(tick) = newest.get() {
            log.borrow_mut().see(tick);
        }
    });
}

struct Log {
    wanted: u64,
    first: Option<u64>,
    late: Vec<f64>,
    full: Option<oneshot::Sender<()>>,
}

impl Log {
    fn see(&mut self, tick: Tick) {
        let number = tick.number - *self.first.get_or_insert(tick.number);
        if number >= WARM_UP && self.full.is_some() {
            self.late.push(now() * 1e3 - tick.at as f64);
        }
        if number + 1 >= self.wanted + WARM_UP
            && let Some(full) = self.full.take()
        {
            let _ = full.send(());
        }
    }
}
