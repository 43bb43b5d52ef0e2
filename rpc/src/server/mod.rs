mod dispatcher;
mod guard;
mod once;
mod panic;
mod running;
mod streams;
mod tasks;
mod turn;
mod waiting;

pub use dispatcher::Dispatcher;

pub(crate) use panic::guarded;
pub(crate) use tasks::Tasks;
