//! The test page: a server natively, a page in a browser.

#[cfg(not(target_arch = "wasm32"))]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    use lexopt::prelude::*;
    let mut options = test_page::server::Options::default();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") => options.port = arguments.value()?.parse()?,
            Long("site") => options.site = arguments.value()?.into(),
            Long("journal") => options.journal = arguments.value()?.into(),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(test_page::server::run(options).await?)
}

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
    test_page::page::run();
}
