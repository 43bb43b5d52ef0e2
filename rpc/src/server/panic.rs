use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bowline_protocol::status::Status;

use crate::boxed::{internal_status, random_id};

/// Runs code of a handler or layer; a panic becomes a status that carries nothing but the id of its log entry.
///
/// Where panics abort (wasm), it just runs.
pub(crate) fn guarded<T>(method: &dyn Fn() -> String, run: impl FnOnce() -> T) -> Result<T, Status> {
    // What a panic left half done is dropped and never looked at again.
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let id = random_id();
        let method = method();
        tracing::error!(
            id = %format_args!("{id:016x}"),
            rpc.method = method,
            panic = message(payload.as_ref()),
            "a handler panicked"
        );
        // What it panicked with is foreign code as well, and so is what that panics with.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(again);
        }
        internal_status(id)
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

#[cfg(test)]
mod tests {
    use bowline_protocol::status::Code;

    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Self);
        }
    }

    #[test]
    fn what_a_handler_panicked_with_may_panic_when_it_is_dropped() {
        let failed = guarded(&|| "Probe/bomb".to_owned(), || -> () { std::panic::panic_any(Bomb) });
        assert_eq!(failed.unwrap_err().code, Code::Internal);
    }
}
