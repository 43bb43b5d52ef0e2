use std::future::Future;

use tokio::runtime::{Builder, Runtime};

use super::{Cores, Cpu};
use crate::Result;

/// Two runtimes of one worker each: one for servers, one for clients.
#[derive(Debug)]
pub struct Stage {
    /// Where servers run.
    pub server: Runtime,
    /// Where clients run.
    pub client: Runtime,
}

impl Stage {
    /// Starts both, on these cores.
    ///
    /// # Errors
    ///
    /// When a thread can't be started.
    pub fn new(cores: Cores) -> Result<Self> {
        let runtime = |name, is_server| {
            let mut builder = Builder::new_multi_thread();
            builder
                .worker_threads(1)
                .thread_name(name)
                .enable_all()
                .on_thread_start(move || cores.bind(is_server))
                .build()
        };
        Ok(Self { server: runtime("server", true)?, client: runtime("client", false)? })
    }

    /// Runs a future on the server's worker.
    pub fn on_server<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.client.block_on(self.server.spawn(work))?
    }

    /// Runs a future on the client's worker.
    pub fn on_client<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.client.block_on(self.client.spawn(work))?
    }

    /// What the server's worker has used so far.
    pub fn server_cpu(&self) -> Result<Cpu> {
        self.on_server(async { Cpu::of_thread() })
    }
}
