//! Counts what each end allocates per call, per item and per delivery.
//!
//! Server and clients have a runtime of their own on one thread, and take turns: what is allocated in the turn of one is
//! its. Unlike on two threads, the same happens each time, and as much as possible travels together.

use std::process::ExitCode;

use allocation_counter::{AllocationInfo, measure};
use bench_micro::{Client, Result, calls, connect, deliveries, items, serve};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, yield_now};

fn main() -> ExitCode {
    match print_all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_all() -> Result<()> {
    let mut stage = Stage::new()?;
    let client = stage.client()?;
    for in_flight in [1, 64] {
        let (n, per) = (in_flight * 200, "call");
        let one = |client: Client| async move { calls(&client, in_flight, n).await };
        stage.run(one(client.clone()))?;
        stage.report(&format!("{in_flight}_in_flight"), per, n, one(client.clone()))?;
    }
    let n = 50_000;
    let one = |client: Client| async move { items(&client, n).await };
    stage.run(one(client.clone()))?;
    stage.report("stream", "item", n, one(client.clone()))?;

    for burst in [1, 100] {
        let mut stage = Stage::new()?;
        let publisher = stage.client()?;
        let readers = (0..100).map(|_| stage.client()).collect::<Result<Vec<_>>>()?;
        let mut streams = Vec::new();
        for reader in &readers {
            let reader = reader.clone();
            streams.push(stage.run(async move { reader.news().await })?);
        }
        let n = 100 * burst * 20;
        let one = |mut streams: Vec<_>| {
            let publisher = publisher.clone();
            async move {
                deliveries(&publisher, &mut streams, burst, n).await?;
                Ok(streams)
            }
        };
        streams = stage.run(one(streams))?;
        stage.report(&format!("fan_out_to_100_burst_{burst}"), "delivery", n, one(streams))?;
    }
    Ok(())
}

/// One runtime for a server, one for its clients.
struct Stage {
    server: Runtime,
    client: Runtime,
    connector: bench_micro::Connector,
}

/// What was allocated by whom.
#[derive(Default)]
struct Allocated {
    client: AllocationInfo,
    server: AllocationInfo,
}

impl Stage {
    fn new() -> Result<Self> {
        let runtime = || Builder::new_current_thread().enable_all().build();
        let server = runtime()?;
        let connector = server.block_on(serve());
        Ok(Self { server, client: runtime()?, connector })
    }

    fn client(&mut self) -> Result<Client> {
        let connector = self.connector.clone();
        self.run(async move { connect(&connector).await })
    }

    fn run<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        Ok(self.count(work)?.0)
    }

    /// Prints one line for each end.
    fn report<T: Send + 'static>(
        &mut self,
        what: &str,
        per: &str,
        n: u64,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<()> {
        let (_, allocated) = self.count(work)?;
        for (end, info) in [("client", allocated.client), ("server", allocated.server)] {
            let each = |total: u64| total as f64 / n as f64;
            println!(
                "allocations/{what}/{end}\t{:.3}\tallocations per {per}\t{:.0}",
                each(info.count_total),
                each(info.bytes_total)
            );
        }
        Ok(())
    }

    /// Runs `work` on the clients' runtime, the two taking turns.
    fn count<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<(T, Allocated)> {
        let mut allocated = Allocated::default();
        let task: JoinHandle<Result<T>> = self.client.spawn(work);
        while !task.is_finished() {
            allocated.client += measure(|| turn(&self.client));
            allocated.server += measure(|| turn(&self.server));
        }
        Ok((self.client.block_on(task)??, allocated))
    }
}

/// Long enough that everything which can go on has done so: each of these lets 61 tasks run.
fn turn(runtime: &Runtime) {
    runtime.block_on(async {
        for _ in 0..8 {
            yield_now().await;
        }
    });
}
