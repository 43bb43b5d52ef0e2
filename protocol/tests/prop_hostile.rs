//! A session whose peer and application do anything, in any order: it never panics, never holds more than its limits,
//! closes with a code that is in the table, and leaves nothing behind.

mod hostile;

use bowline_protocol::session::Role;
use bowline_protocol::status::CloseCode;
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_server_stands_any_client(script in vec(any::<u8>(), 0..4000)) {
        hostile::run(Role::Server, &script);
    }

    #[test]
    fn a_client_stands_any_server(script in vec(any::<u8>(), 0..4000)) {
        hostile::run(Role::Client, &script);
    }
}

/// The peer of these tests gets far: scripts reach calls, items, large payloads and closes of many kinds.
#[test]
fn scripts_reach_the_inside_of_a_session() {
    for tested in [Role::Server, Role::Client] {
        let mut total = hostile::Report::default();
        // Numbers without a meaning, the same in each run.
        let mut state = 1_u64;
        for _ in 0..200 {
            let script: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .take(3000)
            .collect();
            let report = hostile::run(tested, &script);
            total.closed.extend(report.closed);
            total.live += report.live;
            total.resumed += report.resumed;
            total.misled += report.misled;
            total.forged += report.forged;
            total.calls += report.calls;
            total.answers += report.answers;
            total.items += report.items;
            total.large += report.large;
        }
        let closes = |code| total.closed.iter().filter(|refusal| refusal.code == code).count();
        assert!(total.live > 500, "{tested:?}: live {} times", total.live);
        assert!(total.resumed > 50, "{tested:?}: resumed {} times", total.resumed);
        assert!(total.misled > 10, "{tested:?}: lied to {} times", total.misled);
        if tested == Role::Client {
            assert!(total.forged > 50, "offered another session {} times", total.forged);
        }
        assert!(total.calls > 500, "{tested:?}: {} calls came in", total.calls);
        assert!(total.answers > 100, "{tested:?}: {} results came back", total.answers);
        assert!(total.items > 50, "{tested:?}: {} items came in", total.items);
        assert!(total.large > 20, "{tested:?}: {} large payloads came in", total.large);
        for code in [
            CloseCode::MALFORMED,
            CloseCode::OUT_OF_STEP,
            CloseCode::NO_HELLO,
            CloseCode::VERSION,
            CloseCode::SLOW,
            CloseCode::UNSUPPORTED,
        ] {
            assert!(closes(code) > 0, "{tested:?}: never closed with {code}");
        }
    }
}
