//! What generated code calls: one function for each shape of a method.
//!
//! Each takes the received call, decodes its arguments, and gives the reply's future. The handler is a closure that
//! owns its service, so that its one future may borrow service and context. Not meant to be called by hand.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use bowline_protocol::codec::{Buffer, Codec};
use bowline_protocol::schema::{MethodDescriptor, ServiceDescriptor};
use bowline_protocol::status::{Code, Status};
use bowline_runtime::MaybeSend;

use crate::call::Content;
use crate::reply::Outcome;
use crate::stream::{Accepting, Stage};
use crate::{Reply, error};

pub use bowline_protocol::codec::{Argument, DecodePayloadError, Output, Payload, View, ViewPayload};

pub use crate::stream::{Item, Items, Place, Sink, StreamOutput, Streaming};
pub use crate::{
    Call, CallFuture, Channel, Context, NotifyFuture, ReplyFuture, Service, ServiceClient, StreamFuture,
};

/// Takes the arguments of a method apart where they lie: some stay views, the others become values.
pub type Read<A, B> = fn(View<A>) -> Result<B, DecodePayloadError>;

/// A unary method.
pub fn unary<A, R, F, Fut>(call: Call, handler: F) -> ReplyFuture
where
    A: Payload,
    R: Output,
    F: FnOnce(Context, A) -> Fut + MaybeSend + 'static,
    Fut: Future<Output = R> + MaybeSend + 'static,
{
    value(call, owned::<A>, handler)
}

/// A unary method that reads an argument in place.
pub fn unary_view<A, B, R, F, Fut>(call: Call, read: Read<A, B>, handler: F) -> ReplyFuture
where
    A: ViewPayload,
    B: 'static,
    R: Output,
    F: FnOnce(Context, B) -> Fut + MaybeSend + 'static,
    Fut: Future<Output = R> + MaybeSend + 'static,
{
    value(call, viewed(read), handler)
}

/// A method that takes a stream and gives one value.
pub fn client_streaming<A, U, R, F, Fut>(call: Call, handler: F) -> ReplyFuture
where
    A: Payload,
    U: Payload,
    R: Output,
    F: FnOnce(Context, A, Streaming<U>) -> Fut + MaybeSend + 'static,
    Fut: Future<Output = R> + MaybeSend + 'static,
{
    value(call, owned::<A>, |context, arguments| {
        let upload = upload(&context);
        handler(context, arguments, upload)
    })
}

/// As [`client_streaming`], with an argument that is read in place.
pub fn client_streaming_view<A, B, U, R, F, Fut>(call: Call, read: Read<A, B>, handler: F) -> ReplyFuture
where
    A: ViewPayload,
    B: 'static,
    U: Payload,
    R: Output,
    F: FnOnce(Context, B, Streaming<U>) -> Fut + MaybeSend + 'static,
    Fut: Future<Output = R> + MaybeSend + 'static,
{
    value(call, viewed(read), |context, arguments| {
        let upload = upload(&context);
        handler(context, arguments, upload)
    })
}

/// A method that gives a stream; a watch as well, which the sink knows.
pub fn streaming<A, F, Fut>(call: Call, handler: F) -> ReplyFuture
where
    A: Payload,
    F: FnOnce(Context, A, Sink) -> Fut + MaybeSend + 'static,
    Fut: Future<Output = ()> + MaybeSend + 'static,
{
    stream(call, owned::<A>, handler)
}

/// As [`streaming`], with an argument that is read in place.
pub fn streaming_view<A, B, F, Fut>(call: Call, read: Read<A, B>, handler: F) -> ReplyFuture
where
    A: ViewPayload,
    B: 'static,
    F: FnOnce(Context, B, Sink) -> Fut + MaybeSend + 'static,
    Fut: Future<Output = ()> + MaybeSend + 'static,
{
    stream(call, viewed(read), handler)
}

/// A method that takes a stream and gives one.
pub fn bidirectional<A, U, F, Fut>(call: Call, handler: F) -> ReplyFuture
where
    A: Payload,
    U: Payload,
    F: FnOnce(Context, A, Streaming<U>, Sink) -> Fut + MaybeSend + 'static,
    Fut: Future<Output = ()> + MaybeSend + 'static,
{
    stream(call, owned::<A>, |context, arguments, sink| {
        let upload = upload(&context);
        handler(context, arguments, upload, sink)
    })
}

/// As [`bidirectional`], with an argument that is read in place.
pub fn bidirectional_view<A, B, U, F, Fut>(call: Call, read: Read<A, B>, handler: F) -> ReplyFuture
where
    A: ViewPayload,
    B: 'static,
    U: Payload,
    F: FnOnce(Context, B, Streaming<U>, Sink) -> Fut + MaybeSend + 'static,
    Fut: Future<Output = ()> + MaybeSend + 'static,
{
    stream(call, viewed(read), |context, arguments, sink| {
        let upload = upload(&context);
        handler(context, arguments, upload, sink)
    })
}

/// A one-way method. What it returns is dropped.
pub fn notify<A, R, F, Fut>(call: Call, handler: F) -> ReplyFuture
where
    A: Payload,
    R: 'static,
    F: FnOnce(Context, A) -> Fut + MaybeSend + 'static,
    Fut: Future<Output = R> + MaybeSend + 'static,
{
    one_way(call, owned::<A>, handler)
}

/// As [`notify`], with an argument that is read in place.
pub fn notify_view<A, B, R, F, Fut>(call: Call, read: Read<A, B>, handler: F) -> ReplyFuture
where
    A: ViewPayload,
    B: 'static,
    R: 'static,
    F: FnOnce(Context, B) -> Fut + MaybeSend + 'static,
    Fut: Future<Output = R> + MaybeSend + 'static,
{
    one_way(call, viewed(read), handler)
}

/// A method that the service does not have.
pub fn unimplemented(call: Call) -> ReplyFuture {
    let name = error::name(call.service(), call.descriptor());
    reply(Status::new(Code::Unimplemented, format!("there is no method `{name}` here")).into())
}

fn value<A, R, Fut>(
    call: Call,
    decode: impl FnOnce(Codec, Buffer) -> Result<A, DecodePayloadError>,
    handler: impl FnOnce(Context, A) -> Fut,
) -> ReplyFuture
where
    R: Output,
    Fut: Future<Output = R> + MaybeSend + 'static,
{
    let (context, arguments) = match open(call, decode) {
        Ok(opened) => opened,
        Err(refusal) => return reply(refusal.into()),
    };
    let (codec, service, method) = (context.codec(), context.service(), context.method());
    Box::pin(Answering { handler: handler(context, arguments), codec, service, method })
}

pin_project_lite::pin_project! {
    /// A handler's future, until its output is encoded. By hand, as an `async` block would move it before it is polled.
    struct Answering<Fut> {
        #[pin]
        handler: Fut,
        codec: Codec,
        service: &'static ServiceDescriptor,
        method: &'static MethodDescriptor,
    }
}

impl<Fut: Future<Output: Output>> Future for Answering<Fut> {
    type Output = Reply;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Reply> {
        let this = self.project();
        let output = ready!(this.handler.poll(cx));
        Poll::Ready(Reply::output(*this.codec, &|| error::name(this.service, this.method), output))
    }
}

fn stream<A, Fut>(
    call: Call,
    decode: impl FnOnce(Codec, Buffer) -> Result<A, DecodePayloadError>,
    handler: impl FnOnce(Context, A, Sink) -> Fut,
) -> ReplyFuture
where
    Fut: Future<Output = ()> + MaybeSend + 'static,
{
    let (context, arguments) = match open(call, decode) {
        Ok(opened) => opened,
        Err(refusal) => return reply(refusal.into()),
    };
    let stage = Arc::new(Stage::default());
    let sink = Sink::new(context.clone(), stage.clone());
    Box::pin(Accepting::new(Box::pin(handler(context, arguments, sink)), stage))
}

fn one_way<A, R, Fut>(
    call: Call,
    decode: impl FnOnce(Codec, Buffer) -> Result<A, DecodePayloadError>,
    handler: impl FnOnce(Context, A) -> Fut,
) -> ReplyFuture
where
    Fut: Future<Output = R> + MaybeSend + 'static,
{
    let (context, arguments) = match open(call, decode) {
        Ok(opened) => opened,
        Err(refusal) => return reply(refusal.into()),
    };
    let output = handler(context, arguments);
    Box::pin(async move {
        output.await;
        Reply(Outcome::Done)
    })
}

fn reply(reply: Reply) -> ReplyFuture {
    Box::pin(std::future::ready(reply))
}

/// Validates the arguments in place, then takes them apart.
fn viewed<A: ViewPayload, B>(
    read: Read<A, B>,
) -> impl FnOnce(Codec, Buffer) -> Result<B, DecodePayloadError> {
    move |codec, buffer| read(View::decode(codec, buffer)?)
}

fn owned<A: Payload>(codec: Codec, buffer: Buffer) -> Result<A, DecodePayloadError> {
    A::decode(codec, &buffer)
}

/// Decodes the arguments and makes the handler's context of the rest.
fn open<A>(
    call: Call,
    decode: impl FnOnce(Codec, Buffer) -> Result<A, DecodePayloadError>,
) -> Result<(Context, A), Status> {
    let Call { service, method, content, metadata, extensions, deadline, depth: _ } = call;
    let Content::Incoming { buffer, incoming, once: _ } = content else {
        return Err(Status::new(Code::Internal, "a call that was not received can't be dispatched"));
    };
    let codec = incoming.codec;
    let arguments = decode(codec, buffer).map_err(|cause| {
        error::undecodable(
            codec,
            "arguments",
            &error::name(service, &service.methods[method as usize]),
            &cause,
        )
    })?;
    Ok((Context::new(incoming, deadline, metadata, extensions), arguments))
}

fn upload<U: Payload>(context: &Context) -> Streaming<U> {
    let incoming = context.incoming();
    Streaming::received(incoming.home.peer.clone(), incoming.call, context.service(), context.method_index())
}
