mod dispatcher;
mod guard;
mod panic;
mod running;

pub use dispatcher::Dispatcher;
