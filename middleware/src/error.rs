use std::error::Error;

use bowline_protocol::status::{Code, Status};
use bowline_rpc::BoxError;

/// The status that a layer's error becomes for the caller.
///
/// Looks at the error and then at each [`source`](Error::source), and takes the first it knows:
///
/// | Error | Code |
/// |---|---|
/// | [`Status`] | itself: what a layer returns that wants to say something particular |
/// | `tower::timeout::error::Elapsed`, [`Elapsed`](bowline_runtime::Elapsed) | deadline exceeded |
/// | `tower::load_shed::error::Overloaded` | resource exhausted |
/// | `tower::buffer::error::Closed` | unavailable |
/// | anything else | internal, with an id |
///
/// An internal error is logged with all its causes beside the id; the caller gets the id and nothing else.
pub fn status_from_error(error: &BoxError) -> Status {
    known_status(error).unwrap_or_else(|| internal(&**error))
}

/// The same for an error that has a code of its own; `None` for one that is internal. Logs nothing.
pub(crate) fn known_status(error: &BoxError) -> Option<Status> {
    causes(&**error).find_map(known)
}

type Cause<'a> = &'a (dyn Error + 'static);

fn causes<'a>(error: Cause<'a>) -> impl Iterator<Item = Cause<'a>> {
    std::iter::successors(Some(error), |error: &Cause<'a>| (*error).source())
}

fn known(error: &(dyn Error + 'static)) -> Option<Status> {
    if let Some(status) = error.downcast_ref::<Status>() {
        return Some(status.clone());
    }
    if error.is::<bowline_runtime::Elapsed>() {
        return Some(elapsed());
    }
    if error.is::<tower::load_shed::error::Overloaded>() {
        return Some(Status::new(Code::ResourceExhausted, "too many calls at this time"));
    }
    tokio_based(error)
}

/// Layers that need tokio's clock or tasks and so don't exist in a browser.
#[cfg(not(target_arch = "wasm32"))]
fn tokio_based(error: &(dyn Error + 'static)) -> Option<Status> {
    if error.is::<tower::timeout::error::Elapsed>() {
        return Some(elapsed());
    }
    let closed = error.is::<tower::buffer::error::Closed>();
    closed.then(|| Status::new(Code::Unavailable, "the service has stopped"))
}

#[cfg(target_arch = "wasm32")]
fn tokio_based(_error: &(dyn Error + 'static)) -> Option<Status> {
    None
}

fn elapsed() -> Status {
    Status::new(Code::DeadlineExceeded, "a time limit on the way to the handler was reached")
}

fn internal(error: &(dyn Error + 'static)) -> Status {
    // 0 means "none".
    let id = u64::from_le_bytes(bowline_runtime::random_bytes()).max(1);
    tracing::error!(id = %format_args!("{id:016x}"), error, "a layer failed");
    Status::new(Code::Internal, "internal error").with_detail(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] BoxError);

    fn code(error: impl Into<BoxError>) -> Code {
        status_from_error(&error.into()).code
    }

    #[test]
    fn errors_of_known_layers_become_their_status() {
        assert_eq!(code(tower::timeout::error::Elapsed::new()), Code::DeadlineExceeded);
        assert_eq!(code(tower::load_shed::error::Overloaded::new()), Code::ResourceExhausted);
    }

    #[test]
    fn a_status_is_itself_however_deep_it_lies() {
        let status = Status::new(Code::PermissionDenied, "admins only").with_detail(7);
        let deep = Outer(Outer(status.clone().into()).into());
        assert_eq!(status_from_error(&deep.into()), status);
    }

    #[test]
    fn the_first_known_error_counts() {
        let status = Status::new(Code::Unavailable, "not now");
        let around = Outer(Box::new(status));
        assert_eq!(code(around), Code::Unavailable);
    }

    #[test]
    fn anything_else_is_internal_with_an_id_and_tells_nothing() {
        let status = status_from_error(&Outer("the password is swordfish".into()).into());
        assert_eq!((status.code, status.message.as_str()), (Code::Internal, "internal error"));
        assert_ne!(status.detail, 0);
    }
}
