/// Listens to nothing: natively there is no event that every system has. Programs that hear of one say so to their client.
#[derive(Debug)]
pub struct NativeWakeSignals(());

impl NativeWakeSignals {
    /// Never calls `on_wake`.
    pub fn listen(on_wake: impl Fn() + 'static) -> Self {
        drop(on_wake);
        Self(())
    }
}
