use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Carries a [`MaybeSend`](crate::MaybeSend) value inside something that must be `Send` on every target.
///
/// On native targets it is the value and nothing more. In a browser it checks on each access that it is still on
/// the thread that made it.
///
/// # Panics
///
/// In a browser, when it is used or dropped on another thread (a web worker) than the one that made it.
pub struct Confined<T>(Inner<T>);

#[cfg(not(target_arch = "wasm32"))]
type Inner<T> = T;
#[cfg(target_arch = "wasm32")]
type Inner<T> = send_wrapper::SendWrapper<T>;

impl<T> Confined<T> {
    /// Confines `value` to this thread, where the target has no `Send` for it.
    pub fn new(value: T) -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        return Self(value);
        #[cfg(target_arch = "wasm32")]
        return Self(send_wrapper::SendWrapper::new(value));
    }

    /// The value.
    pub fn into_inner(self) -> T {
        #[cfg(not(target_arch = "wasm32"))]
        return self.0;
        #[cfg(target_arch = "wasm32")]
        return self.0.take();
    }
}

impl<T> Deref for Confined<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Confined<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Future + Unpin> Future for Confined<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        Pin::new(&mut **self).poll(cx)
    }
}

impl<T> fmt::Debug for Confined<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confined").finish_non_exhaustive()
    }
}
