use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bowline_rpc::BoxError;
use bowline_runtime::BoxFuture;
use bytes::Bytes;
use futures_util::TryFutureExt;
use futures_util::future::{Either, MapOk};
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::server::Server;

/// Answers upgrades on one path and passes everything else on; made by [`Server::layer`].
///
/// Around an Axum router, or any other service of HTTP requests:
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use bowline_server::Server;
///
/// let server = Server::builder().build();
/// let app: Router = Router::new().route("/", get(|| async { "a page" })).layer(server.layer("/ws"));
/// # let _ = app;
/// ```
#[derive(Debug, Clone)]
pub struct UpgradeLayer {
    server: Server,
    path: Arc<str>,
}

impl UpgradeLayer {
    pub(crate) fn new(server: Server, path: String) -> Self {
        Self { server, path: path.into() }
    }
}

impl<S> Layer<S> for UpgradeLayer {
    type Service = Upgrade<S>;

    fn layer(&self, inner: S) -> Upgrade<S> {
        Upgrade { layer: self.clone(), inner }
    }
}

/// The service of [`UpgradeLayer`].
#[derive(Debug, Clone)]
pub struct Upgrade<S> {
    layer: UpgradeLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Upgrade<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    B: Send + 'static,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Future, S::Error, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.uri().path() == &*self.layer.path {
            let server = self.layer.server.clone();
            Answer { inner: Either::Left(Box::pin(async move { Ok(server.answer(request).await) })) }
        } else {
            Answer {
                inner: Either::Right(self.inner.call(request).map_ok(|response| response.map(Body::new))),
            }
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Upgrade`].
    pub struct Answer<F, E, R> {
        #[pin]
        inner: Either<BoxFuture<'static, Result<Response<Body>, E>>, MapOk<F, IntoBody<R>>>,
    }
}

type IntoBody<R> = fn(Response<R>) -> Response<Body>;

impl<F, E, R> Future for Answer<F, E, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx)
    }
}

impl<F, E, R> fmt::Debug for Answer<F, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("ours", &matches!(self.inner, Either::Left(_))).finish_non_exhaustive()
    }
}
