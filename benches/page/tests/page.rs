//! Every back end answers the page, every answer is checked there, and what reached the host is counted here.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "a test")]

use bench_page::drive::{Error, WAYS, open};
use bench_page::server::{Direction, Host, Who};
use bowline_test_support::browser::Browser;

#[tokio::test]
async fn every_contender_does_the_work_it_is_measured_by() -> Result<(), Error> {
    let site = std::env::var_os("BOWLINE_SITE").ok_or("BOWLINE_SITE is not set: run `cargo xtask test`")?;
    let host = Host::start(&std::path::Path::new(&site).join("bench-page")).await?;
    let browser = Browser::launch().await?;
    let page = open(&browser, &host).await?;
    assert_eq!(page.eval("crossOriginIsolated").await?, true, "the clock is fine");
    for who in Who::ALL {
        let name = who.name();
        assert_eq!(host.calls(who), 1, "{name}: `ready` asks each once");
        for (in_flight, n) in [(1, 10), (16, 100)] {
            let before = (host.calls(who), host.traffic(who).unwrap().so_far(Direction::Up));
            page.eval(&format!("bench.calls('{name}', {in_flight}, {n})")).await?;
            assert_eq!(host.calls(who) - before.0, n, "{name}");
            let (bytes, messages) = host.traffic(who).unwrap().so_far(Direction::Up);
            assert!(bytes - before.1.0 >= n * 64, "{name}: every text has 64 bytes: {}", bytes - before.1.0);
            assert!(messages > before.1.1, "{name}");
        }
        let before = host.traffic(who).unwrap().so_far(Direction::Down).0;
        page.eval(&format!("bench.items('{name}', 500)")).await?;
        assert_eq!(host.items(who), 500, "{name}");
        assert!(host.traffic(who).unwrap().so_far(Direction::Down).0 - before > 500, "{name}");
    }
    for (way, name) in WAYS {
        let who = Who::ALL.into_iter().find(|who| way.starts_with(who.name())).unwrap();
        let before = host.ticks(who);
        let late = page.eval(&format!("bench.ticks('{way}', 20)")).await?;
        let effects = late.as_array().unwrap().len();
        assert!((1..=20).contains(&effects), "{name}: {effects}");
        assert!(host.ticks(who) - before >= effects as u64, "{name}: what an effect saw was published");
    }
    let clock = page.eval("bench.clock(3)").await?;
    assert!(clock[1].as_f64().unwrap() > 0.0, "a round trip takes time: {clock}");
    assert!(page.eval("bench.calls('nobody', 1, 1)").await.is_err());
    assert_eq!(page.complaints(), [""; 0]);
    browser.close().await
}
