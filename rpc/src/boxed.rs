use std::error::Error;

use bowline_protocol::status::{Code, Status};

/// The error that tower's layers speak in.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Turns an error of a layer into the status that the caller gets.
///
/// Looks for a [`Status`] along `source()`. Anything else is an internal error: it is logged here under a random id,
/// and only the id reaches the caller. The middleware crate has a function that knows tower's own errors as well.
pub fn status_of(error: &BoxError) -> Status {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error.as_ref());
    while let Some(current) = cause {
        if let Some(status) = current.downcast_ref::<Status>() {
            return status.clone();
        }
        cause = current.source();
    }
    internal("a layer failed", "", error.as_ref())
}

/// Logs `cause` under a random id and returns the status that carries nothing but the id.
pub(crate) fn internal(what: &'static str, method: &str, cause: &(dyn Error + 'static)) -> Status {
    let id = random_id();
    tracing::error!(id = %format_args!("{id:016x}"), rpc.method = method, what, error = cause, "internal error");
    internal_status(id)
}

pub(crate) fn internal_status(id: u64) -> Status {
    Status::new(Code::Internal, "internal error").with_detail(id)
}

/// Never 0, which means "none".
pub(crate) fn random_id() -> u64 {
    u64::from_le_bytes(bowline_runtime::random_bytes()).max(1)
}
