//! Every bound and every duration of a session, with its default and what happens when it is reached.

use std::time::Duration;

/// What one end of a session accepts and holds. Counts and bytes.
///
/// `Default` is meant for a public server; each field says why, and what happens at the bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Unary calls and client streams that the other end may have in flight: 256.
    /// The caller's further calls wait for credit; a caller that ignores credit is closed with 4501.
    pub calls: u32,
    /// Server streams, bidirectional calls and watches that the other end may have in flight: 256. As `calls`.
    pub streams: u32,
    /// How many of `calls` and of `streams` are kept for calls made inside a handler of this session: 32, and at most an
    /// eighth of what the other end allows.
    /// Such calls never wait (they could wait for each other): without credit they are `ResourceExhausted`.
    pub nested: u32,
    /// How many handlers deep calls may nest: 4. A deeper one is `ResourceExhausted`.
    pub depth: u8,
    /// The largest WebSocket message that is read: 1 MiB, and never below 96 KiB, which is the largest envelope and room
    /// for control beside it. A larger one closes the link with 1009, and twice as many bytes on the wire without a whole
    /// message close it with 4007, however they are cut into frames.
    pub message_in: usize,
    /// Bytes per second that a message under way has to make over [`Timing::message_pace`]: 512. A slower one closes the
    /// link with 4007. Slow links get through: this is a quarter of what the slowest mobile networks carry. Counted where
    /// a link sees parts of messages: by native sockets, not in browsers.
    pub message_pace: usize,
    /// The largest WebSocket message that is written, 63 KiB: control must get its turn. What ends it may exceed it, by up to
    /// 64 KiB where that is a payload that is not cut. A piece of a large one exceeds it by its header, which fits into the
    /// segment that a loopback interface carries at once (64 KiB with all headers): a message in two segments wakes its reader twice.
    pub message_out: usize,
    /// The same while the link is slow: 16 KiB, or what the link carries in a quarter of [`Timing::flight`] if that is less.
    pub message_out_slow: usize,
    /// Bytes per second below which a link is a slow one: 64 KiB. Each link begins as slow, until acknowledgements show
    /// that it carries twice as much; it is slow again when they show that it carries less. On a slow link messages are
    /// no larger than `message_out_slow`, and what is under way is bounded by [`Timing::flight`]. 0: no link is slow.
    pub slow_link: usize,
    /// The largest single payload that is read: 16 MiB; more is a stream. A larger one fails its call.
    pub payload_in: usize,
    /// Bytes of large payloads under assembly at one time: 16 MiB, never below `payload_in`.
    /// The writer of a further one waits.
    pub assembly: usize,
    /// Bytes of items in flight per stream and direction, at first: 64 KiB. The writer waits.
    pub stream_window: usize,
    /// What a stream's window may grow to while its reader keeps pace: 1 MiB.
    pub stream_window_max: usize,
    /// What all windows of the session may have grown by, together: 4 MiB.
    pub stream_window_extra: usize,
    /// Bytes written and not yet acknowledged: 1 MiB. New data waits; control does not.
    pub replay_bytes: usize,
    /// Envelopes written and not yet acknowledged: 4,096. As `replay_bytes`.
    pub replay_envelopes: usize,
    /// Watch values, their chunks and notifies written on a link and not yet acknowledged: 64.
    /// Then watches wait, first come first served, and notifies are dropped and counted.
    pub unsequenced_envelopes: usize,
    /// The same in bytes: 256 KiB.
    pub unsequenced_bytes: usize,
    /// The largest payload of a notify: 64 KiB. A larger one is an error to its caller.
    pub notify_payload: usize,
    /// Handlers of notifies that run at one time: 64. Further notifies are dropped and counted.
    pub notifies_running: usize,
    /// Calls that wait for a live session, a declaration or credit: 1,000. A further one is `ResourceExhausted`.
    pub waiting_calls: usize,
    /// Bytes of arguments of such calls: 1 MiB, or one call of any allowed size. A further one is `ResourceExhausted`.
    /// Calls that were under way when their session was lost wait for the next one in any number: they had their place.
    pub waiting_bytes: usize,
    /// Entries and bytes (names and values) of a call's metadata: 64 entries, 8 KiB. More fails the call.
    pub metadata_entries: usize,
    /// See `metadata_entries`.
    pub metadata_bytes: usize,
    /// Pings that a server takes on one link: 10 per 50 s. Our own clients ping every 5 s at most. More closes the link
    /// with 4006, as do the rates below; the session can be continued.
    pub pings: Rate,
    /// New credentials that a server takes on one link: 3 per minute, since each may cost it a look elsewhere.
    pub auths: Rate,
    /// Acknowledgements without news that a server takes on one link: 200 per second. Ours always carry news, but for
    /// the one after the welcome and those in pongs.
    pub idle_acks: Rate,
    /// Cancels that a server takes on one link: 1,000 per 10 s. Each may have cost the start of a handler.
    pub cancels: Rate,
}

/// How often something may come: `count` times at once, and over time `count` times in each `per`.
///
/// A `count` of 0 takes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub per: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * KIB;
        Self {
            calls: 256,
            streams: 256,
            nested: 32,
            depth: 4,
            message_in: MIB,
            message_pace: 512,
            message_out: 63 * KIB,
            message_out_slow: 16 * KIB,
            slow_link: 64 * KIB,
            payload_in: 16 * MIB,
            assembly: 16 * MIB,
            stream_window: 64 * KIB,
            stream_window_max: MIB,
            stream_window_extra: 4 * MIB,
            replay_bytes: MIB,
            replay_envelopes: 4096,
            unsequenced_envelopes: 64,
            unsequenced_bytes: 256 * KIB,
            notify_payload: 64 * KIB,
            notifies_running: 64,
            waiting_calls: 1000,
            waiting_bytes: MIB,
            metadata_entries: 64,
            metadata_bytes: 8 * KIB,
            pings: Rate { count: 10, per: Duration::from_secs(50) },
            auths: Rate { count: 3, per: Duration::from_secs(60) },
            idle_acks: Rate { count: 200, per: Duration::from_secs(1) },
            cancels: Rate { count: 1000, per: Duration::from_secs(10) },
        }
    }
}

/// Durations of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// How long a server waits for the hello: 10 s, then it closes with 4009.
    /// A client waits as long for the welcome, then it drops the link and tries again.
    pub hello: Duration,
    /// The longest that an acknowledgement waits for data to ride on: 1 s.
    pub ack_delay: Duration,
    /// The deadline of calls that name none, 10 s: none at all is a known trap. Also how long a stream may take
    /// to be accepted.
    pub deadline: Duration,
    /// The longest deadline that a server grants: 10 minutes. A longer one is shortened.
    pub deadline_max: Duration,
    /// How long a message under way may go without a byte: 10 s, then the link is closed with 4007. Counted where a link
    /// sees parts of messages: by native sockets, not in browsers.
    pub message_stall: Duration,
    /// Over how long [`Limits::message_pace`] is measured, from the beginning of each message: 60 s.
    pub message_pace: Duration,
    /// How long a socket may accept nothing while bytes wait: 10 s, then it is closed with 4002.
    pub write_stall: Duration,
    /// What a slow link carries in this time may be written and not acknowledged, 4 s; new data waits, so that control and
    /// small calls get their turn. Large payloads take three quarters of it: that still fills a link of 3 s there and back.
    /// Beside other data that fills the link they have half of it.
    pub flight: Duration,
    /// How old the oldest unacknowledged envelope may be on a living link: 30 s, then it is closed with 4002. On a slow link
    /// longer by the time that it takes for what was under way with that envelope, beyond what goes in [`flight`](Self::flight).
    pub ack_stall: Duration,
    /// How long a large payload may make no progress on a living link: 30 s, then its call ends.
    pub assembly_stall: Duration,
    /// How often a server pings, whatever flows: 25 s, since proxies cut links that were idle for 60 s. The first ping
    /// goes at a random moment of the first interval. Zero: never.
    pub ping: Duration,
    /// How long after a ping an end may say nothing at all: 10 s, then the link is closed with 4003. Each byte of a
    /// message counts where a link sees parts of messages, as native sockets do; in browsers only whole messages do.
    pub pong: Duration,
    /// How long a server may say nothing before the client pings: 40 s, or as long as the server's own pings allow
    /// if that is more.
    pub silence: Duration,
    /// How long something that a client sent may go unacknowledged before it pings: 10 s.
    pub unanswered: Duration,
    /// How long the answer to the ping after a wake-up may take: 5 s.
    pub wake: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(10),
            ack_delay: Duration::from_secs(1),
            deadline: Duration::from_secs(10),
            deadline_max: Duration::from_secs(600),
            message_stall: Duration::from_secs(10),
            message_pace: Duration::from_secs(60),
            write_stall: Duration::from_secs(10),
            flight: Duration::from_secs(4),
            ack_stall: Duration::from_secs(30),
            assembly_stall: Duration::from_secs(30),
            ping: Duration::from_secs(25),
            pong: Duration::from_secs(10),
            silence: Duration::from_secs(40),
            unanswered: Duration::from_secs(10),
            wake: Duration::from_secs(5),
        }
    }
}
