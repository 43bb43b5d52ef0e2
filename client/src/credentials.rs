use std::future::Future;

use bowline_protocol::envelope::{Secret, bounds::MAX_CREDENTIALS};
use bowline_rpc::BoxError;
use bowline_runtime::{BoxFuture, MaybeSend};
use bytes::Bytes;

/// Asked for credentials before each attempt to connect.
pub(crate) trait Provider: MaybeSend + 'static {
    fn ask(&mut self) -> BoxFuture<'static, Result<Secret, BoxError>>;
}

/// A provider made of a function.
pub(crate) struct Asked<F>(pub(crate) F);

impl<F, Fut, C, E> Provider for Asked<F>
where
    F: FnMut() -> Fut + MaybeSend + 'static,
    Fut: Future<Output = Result<C, E>> + MaybeSend + 'static,
    C: Into<Bytes>,
    E: Into<BoxError>,
{
    fn ask(&mut self) -> BoxFuture<'static, Result<Secret, BoxError>> {
        let asked = (self.0)();
        Box::pin(async move {
            let credentials: Bytes = asked.await.map_err(Into::into)?.into();
            if credentials.len() > MAX_CREDENTIALS {
                let length = credentials.len();
                return Err(
                    format!("{length} bytes of credentials, where {MAX_CREDENTIALS} are allowed").into()
                );
            }
            Ok(Secret::from(credentials))
        })
    }
}
