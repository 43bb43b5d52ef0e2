use std::collections::VecDeque;

use bytes::Bytes;

use super::batch::{BATCH, Batch};
use super::credit::{ITEM_COST, ReceiveWindow, SendWindow};
use super::lean::Lean;
use super::types::Config;
use crate::codec::{Buffer, Codec};
use crate::envelope::WireLimits;
use crate::schema::MethodKind;

/// What a call has beside its opening and its end when items belong to it, at either end.
// In this order: what each message asks for lies together.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) send: SendWindow,
    /// What the items in `outbox` cost.
    pub(super) queued: u64,
    /// This end's items are over.
    pub(super) sent_end: bool,
    /// What `capacity` last was, so that the application hears of its return.
    pub(super) writable: bool,
    /// The other end's items are over.
    pub(super) received_end: bool,
    /// The application found nothing and waits to be told.
    pub(super) wants_read: bool,
    /// In the list of streams whose writer is to be told what was taken.
    pub(super) is_taken_listed: bool,
    /// Items to be written, in order.
    pub(super) outbox: Lean<Outbound>,
    /// A watch's value that waits for its place.
    pub(super) latest: Option<Bytes>,
    /// Items that came, in order. Of a watch, the newest value alone.
    pub(super) inbox: VecDeque<Inbound>,
    /// What the items of a batch cost that the application has and did not say to have used.
    pub(super) lent: u64,
    /// What a batch of items costs at most: so little of the window that the writer does not miss it.
    batch: u64,
    pub(super) receive: ReceiveWindow,
    /// A large value of a watch, while its chunks are written: the whole of it.
    pub(super) sending: Option<Bytes>,
}

/// Something that came.
#[derive(Debug)]
pub(super) enum Inbound {
    /// `reserved` bytes of the assembly window are held by it.
    Item {
        codec: Codec,
        buffer: Buffer,
        reserved: u64,
    },
    Items(Batch),
    Gap(u64),
}

/// Something to be written.
#[derive(Debug)]
pub(super) enum Outbound {
    Items(Items),
    Gap(u64),
    End,
}

/// Items to be written, one behind the other; at least one until the last is taken out.
#[derive(Debug)]
pub(super) struct Items {
    bytes: Bytes,
    /// Where there are several. One alone, as mostly, is small: it lies in its stream.
    ends: Option<Box<Ends>>,
}

/// Where items end, but for the last one, which ends with the bytes.
#[derive(Debug)]
struct Ends {
    /// At least one, counted from where the first one began at first.
    ends: VecDeque<usize>,
    /// How many bytes of those counted were taken out.
    taken: usize,
}

impl Items {
    pub(super) fn new(bytes: Bytes, ends: Vec<usize>) -> Self {
        let ends = (!ends.is_empty()).then(|| Box::new(Ends { ends: ends.into(), taken: 0 }));
        Self { bytes, ends }
    }

    /// The length of the first.
    pub(super) fn next_len(&self) -> usize {
        let end = self.ends.as_ref().and_then(|it| Some(it.ends.front()? - it.taken));
        end.unwrap_or(self.bytes.len())
    }

    /// The first.
    pub(super) fn next(&self) -> &[u8] {
        &self.bytes[..self.next_len()]
    }

    /// Takes the first out, and says whether it was the last.
    pub(super) fn pop(&mut self) -> (Bytes, bool) {
        let item = self.bytes.split_to(self.next_len());
        let was_last = self.pass(item.len());
        (item, was_last)
    }

    /// As [`pop`](Self::pop), without a look at it.
    pub(super) fn skip(&mut self) -> bool {
        let len = self.next_len();
        bytes::Buf::advance(&mut self.bytes, len);
        self.pass(len)
    }

    /// The first, of `len` bytes, was taken out; says whether it was the last.
    fn pass(&mut self, len: usize) -> bool {
        let Some(it) = &mut self.ends else { return true };
        it.taken += len;
        it.ends.pop_front();
        if it.ends.is_empty() {
            self.ends = None;
        }
        false
    }
}

impl Stream {
    pub(super) fn new(config: &Config, peer: &WireLimits) -> Box<Self> {
        Box::new(Self {
            inbox: VecDeque::new(),
            lent: 0,
            batch: BATCH.min(config.limits.stream_window as u64 / 4),
            receive: ReceiveWindow::new(&config.limits),
            received_end: false,
            wants_read: true,
            is_taken_listed: false,
            outbox: Lean::default(),
            queued: 0,
            send: SendWindow::new(peer.stream_window),
            sent_end: false,
            writable: false,
            latest: None,
            sending: None,
        })
    }

    /// Empties what came and was not read; returns the assembly bytes that it held.
    pub(super) fn clear_inbox(&mut self) -> u64 {
        let reserved = self.inbox.iter().map(Inbound::reserved).sum();
        self.inbox.clear();
        reserved
    }

    /// Whether items of this end were written.
    pub(super) fn has_sent(&self) -> bool {
        self.send.has_written()
    }

    /// Bytes that came and were not read.
    pub(super) fn unread_bytes(&self) -> usize {
        let len = |inbound: &Inbound| match inbound {
            Inbound::Item { buffer, .. } => buffer.len() + ITEM_COST as usize,
            Inbound::Items(batch) => batch.cost() as usize,
            Inbound::Gap(_) => ITEM_COST as usize,
        };
        self.inbox.iter().map(len).sum::<usize>() + self.lent as usize
    }

    pub(super) fn clear_outbox(&mut self) {
        self.outbox.clear();
        self.queued = 0;
        self.latest = None;
        self.sending = None;
    }

    /// Puts a small item behind what came.
    #[inline]
    pub(super) fn push_small(&mut self, codec: Codec, item: &[u8]) {
        if let Some(Inbound::Items(batch)) = self.inbox.back_mut()
            && batch.push(codec, item, self.batch)
        {
            return;
        }
        self.inbox.push_back(Inbound::Items(Batch::new(codec, item)));
    }

    /// Puts a gap behind what came; neighbours become one, so that gaps can't pile up.
    pub(super) fn push_gap(&mut self, missed: u64) {
        match self.inbox.back_mut() {
            Some(Inbound::Gap(earlier)) => *earlier = earlier.saturating_add(missed),
            _ => self.inbox.push_back(Inbound::Gap(missed)),
        }
    }

    /// The session is over: what came can still be read, everything about credit starts anew.
    pub(super) fn disconnect(&mut self, config: &Config) {
        for inbound in &mut self.inbox {
            if let Inbound::Item { reserved, .. } = inbound {
                *reserved = 0;
            }
        }
        self.outbox.retain(|it| matches!(it, Outbound::End));
        self.queued = 0;
        self.writable = false;
        self.is_taken_listed = false;
        self.lent = 0;
        self.receive = ReceiveWindow::new(&config.limits);
        self.send = SendWindow::new(0);
    }

    /// Whether another item may be queued: the reader has room, and what waits here is bounded by this end too.
    pub(super) fn may_queue(&self, bound: u64) -> bool {
        may_queue(&self.send, self.queued, bound)
    }

    /// Whether what is next in `outbox` may be written as far as credit goes.
    pub(super) fn may_write(&self) -> bool {
        match self.outbox.front() {
            Some(Outbound::Items(items)) => self.send.admits(cost(items.next_len())),
            Some(Outbound::Gap(_) | Outbound::End) => true,
            None => false,
        }
    }
}

impl Inbound {
    pub(super) fn reserved(&self) -> u64 {
        match self {
            Self::Item { reserved, .. } => *reserved,
            Self::Items(_) | Self::Gap(_) => 0,
        }
    }
}

/// Whether another item may be queued behind those that cost `queued`.
pub(super) fn may_queue(window: &SendWindow, queued: u64, bound: u64) -> bool {
    (queued == 0 || queued < bound) && window.has_room(queued)
}

/// What an item of `len` bytes costs of a stream's window.
pub(super) fn cost(len: usize) -> u64 {
    len as u64 + ITEM_COST
}

/// What each kind of call is made of.
impl MethodKind {
    /// Items travel to the callee.
    pub(super) fn has_upload(self) -> bool {
        matches!(self, Self::ClientStream | Self::Bidirectional)
    }

    /// Items travel to the caller, under credit.
    pub(super) fn has_items(self) -> bool {
        matches!(self, Self::ServerStream | Self::Bidirectional)
    }

    /// The caller reads values until an end, instead of waiting for one response.
    pub(super) fn is_stream(self) -> bool {
        self.has_items() || self == Self::Watch
    }
}
