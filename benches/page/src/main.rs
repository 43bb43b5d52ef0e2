//! The benchmark of the browser: a host natively, a page in the browser.

#[cfg(not(target_arch = "wasm32"))]
#[tokio::main]
async fn main() -> Result<(), bench_page::drive::Error> {
    use lexopt::prelude::*;
    let mut options = bench_page::drive::Options::default();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("site") => options.site = arguments.value()?.into(),
            Long("quick") => options.quick = true,
            Long("json") => options.json = Some(arguments.value()?.into()),
            Long("cpuprofile") => options.cpuprofile = Some(arguments.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    bench_page::drive::run(&options).await
}

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(bench_page::page::App);
}
