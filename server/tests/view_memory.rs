//! A handler that reads one element of a large argument costs nothing that grows with it. In a binary of its own,
//! because the counting allocator is everybody's.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use allocation_counter::{AllocationInfo, measure};
use bowline::prelude::*;
use bowline_protocol::codec::{Codec, Payload as _};
use bowline_protocol::envelope::{CallRef, Chunk, Opener, Payload, Sequenced};
use bowline_server::Server;
use bytes::Bytes;
use support::{Socket, start};

const MIB: usize = 1024 * 1024;

#[bowline::message]
struct Frame {
    samples: Vec<u32>,
}

#[bowline::rpc]
trait Frames {
    /// Reads in place.
    async fn peek(&self, frame: View<Frame>) -> u32;
    /// The same with a value of its own, to show that the counter sees it.
    async fn take(&self, frame: Frame) -> u32;
    /// Small.
    async fn ping(&self) -> u32;
}

const PEEK: u32 = 0;
const TAKE: u32 = 1;
const PING: u32 = 2;

struct Reader;

impl Frames for Reader {
    async fn peek(&self, frame: View<Frame>) -> u32 {
        frame.samples[1000].into()
    }

    async fn take(&self, frame: Frame) -> u32 {
        frame.samples[1000]
    }

    async fn ping(&self) -> u32 {
        0
    }
}

/// The arguments of `peek` and `take`, as the macro lays them out.
#[bowline::message]
struct Arguments {
    frame: Frame,
}

/// Sends 1 MiB to the method and counts what is allocated, in this whole process, from the moment when all but the
/// last chunk is assembled until the answer is here.
fn allocated_after_assembly(method: u32) -> AllocationInfo {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut socket, call, last) = runtime.block_on(async {
        let server = Server::builder().service(FramesServer::new(Reader)).build();
        let mut socket = Socket::connect(start(&server).await, &[FramesClient::SERVICE]).await;

        // A little more, so that the buffer grows for the last time (1 MiB ahead of arrival) before the last chunk.
        let samples = (0..(MIB + 64 * 1024) as u32 / 4).collect();
        let arguments = Arguments { frame: Frame { samples } };
        let mut bytes = Vec::new();
        arguments.encode(Codec::Rkyv, &mut bytes).unwrap();
        assert!(bytes.len() > MIB);
        let mut bytes = Bytes::from(bytes);

        let payload = Payload::Chunked { transfer: 0, len: bytes.len() as u64 };
        let open = socket.call_open(0, method, Codec::Rkyv, payload);
        let call = CallRef { id: open.id, opener: Opener::Writer };
        socket.send_numbered(Sequenced::Call(open)).await;
        let last = bytes.split_off(bytes.len() - 1024);
        while !bytes.is_empty() {
            let next = bytes.split_to(bytes.len().min(32 * 1024));
            socket.send_numbered(Sequenced::Chunk(Chunk { transfer: 0, bytes: next })).await;
        }
        // Answered after everything before it was assembled.
        socket.call(PING, "{}").await.unwrap();
        (socket, call, last)
    });
    let mut answer = Bytes::new();
    let info = measure(|| {
        runtime.block_on(async {
            socket.send_numbered(Sequenced::Chunk(Chunk { transfer: 0, bytes: last })).await;
            answer = socket.ended(call).await.unwrap();
        });
    });
    assert_eq!(u32::decode(Codec::Rkyv, &bowline_protocol::codec::Buffer::Small(answer)).unwrap(), 1000);
    info
}

#[test]
fn a_view_of_a_large_argument_allocates_nothing_in_proportion_to_it() {
    let view = allocated_after_assembly(PEEK);
    assert!(view.bytes_total < 64 * 1024, "{view:?}");
    let owned = allocated_after_assembly(TAKE);
    assert!(owned.bytes_total >= MIB as u64, "{owned:?}");
}
