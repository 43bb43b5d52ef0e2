use std::time::Duration;

use bowline_protocol::{Instant, envelope::GapReason, limits::Timing, status::CloseCode};
use bowline_transport::{Backoff, Endpoints};

use super::{Action, Arrival, Fall, Machine, Patience, State, machine::Delays};

/// The n-th delay is n seconds, so that tests see which one was asked for.
#[derive(Debug, Default, Clone)]
struct Counting(u64);

impl Delays for Counting {
    fn next_delay(&mut self) -> Duration {
        self.0 += 1;
        Duration::from_secs(self.0)
    }

    fn next_long_delay(&mut self) -> Duration {
        self.next_delay()
    }

    fn reset(&mut self) {
        self.0 = 0;
    }
}

fn machine_at(endpoints: Endpoints) -> Machine<Counting> {
    Machine::new(endpoints, Patience::new(&Timing::default()), Counting::default())
}

fn machine() -> Machine<Counting> {
    machine_at(Endpoints::new("a"))
}

fn clock() -> impl Fn(u64) -> Instant {
    let origin = bowline_runtime::now();
    move |seconds| origin + Duration::from_secs(seconds)
}

fn actions<D: Delays>(machine: &mut Machine<D>) -> Vec<Action> {
    std::iter::from_fn(|| machine.poll_action()).collect()
}

fn live<D: Delays>(machine: &mut Machine<D>, now: Instant) {
    machine.reconnect(now);
    welcome(machine, now);
}

/// What was begun succeeds.
fn welcome<D: Delays>(machine: &mut Machine<D>, now: Instant) {
    machine.handle_linked(now);
    machine.handle_live(now, Arrival::New);
    actions(machine);
    assert!(machine.state().is_live());
}

fn closed(code: CloseCode, reason: &str) -> Fall {
    Fall::Closed { code, reason: reason.into() }
}

/// How long the machine waits before its next try, and which one that is.
fn waits<D: Delays>(machine: &Machine<D>) -> (u32, Duration) {
    match machine.state() {
        State::Reconnecting { attempt, next_in } | State::Suspended { attempt, next_in } => {
            (attempt, next_in)
        }
        state => panic!("{state}"),
    }
}

#[test]
fn an_open_link_is_not_live_before_the_welcome() {
    let (at, mut machine) = (clock(), machine());
    assert_eq!(machine.state(), State::Idle);
    machine.reconnect(at(0));
    assert_eq!(actions(&mut machine), [Action::Connect]);
    machine.handle_linked(at(1));
    assert_eq!(machine.state(), State::Connecting);
    machine.handle_live(at(2), Arrival::New);
    assert_eq!(machine.state(), State::Live(Arrival::New));
    assert_eq!(machine.poll_timeout(), None);
}

#[test]
fn the_state_says_how_the_session_came() {
    let (at, mut machine) = (clock(), machine());
    for arrival in [Arrival::New, Arrival::Resumed, Arrival::Gap(GapReason::Expired)] {
        machine.reconnect(at(0));
        machine.handle_linked(at(0));
        machine.handle_live(at(0), arrival);
        assert_eq!(machine.state(), State::Live(arrival));
    }
}

#[test]
fn tries_go_on_with_growing_delays_until_one_succeeds() {
    let (at, mut machine) = (clock(), machine());
    machine.reconnect(at(0));
    let mut now = 0;
    for attempt in 1..=5 {
        machine.handle_fall(at(now), Fall::Lost);
        let delay = u64::from(attempt) + 2;
        assert_eq!(waits(&machine), (attempt, Duration::from_secs(delay)));
        actions(&mut machine);
        machine.handle_timeout(at(now + delay - 1));
        assert_eq!(actions(&mut machine), [], "not before its time");
        now += delay;
        machine.handle_timeout(at(now));
        assert_eq!(actions(&mut machine), [Action::Connect]);
        assert_eq!(waits(&machine), (attempt, Duration::ZERO));
    }
    welcome(&mut machine, at(now));
}

#[test]
fn credentials_a_link_and_a_welcome_have_ten_seconds_each() {
    let (at, mut machine) = (clock(), machine());
    machine.reconnect(at(0));
    actions(&mut machine);
    assert_eq!(machine.poll_timeout(), Some(at(10)), "credentials");
    machine.handle_credentials(at(9));
    assert_eq!(machine.poll_timeout(), Some(at(19)), "a link");
    machine.handle_linked(at(18));
    assert_eq!(machine.poll_timeout(), Some(at(28)), "a welcome");
    machine.handle_timeout(at(27));
    assert_eq!(actions(&mut machine), []);
    machine.handle_timeout(at(28));
    assert_eq!(actions(&mut machine), [Action::Drop]);
    machine.handle_timeout(at(31));
    assert_eq!(actions(&mut machine), [Action::Connect]);
    machine.handle_timeout(at(41));
    assert_eq!(actions(&mut machine), [Action::Drop]);
    assert_eq!(waits(&machine).0, 2);
}

#[test]
fn failures_are_forgotten_only_after_a_settled_session() {
    let (at, mut machine) = (clock(), machine());
    machine.reconnect(at(0));
    machine.handle_fall(at(0), Fall::Lost);
    live(&mut machine, at(10));
    machine.handle_fall(at(19), Fall::Lost);
    assert_eq!(waits(&machine).0, 2, "lived 9 s");
    live(&mut machine, at(30));
    machine.handle_fall(at(40), Fall::Lost);
    assert_eq!(waits(&machine).0, 1, "lived 10 s");
}

#[test]
fn only_an_accident_after_a_long_life_is_tried_again_soon() {
    let delay = |lived, fall| {
        let (at, mut machine) = (clock(), machine());
        live(&mut machine, at(0));
        machine.handle_fall(at(lived), fall);
        waits(&machine).1.as_secs()
    };
    assert_eq!(delay(61, Fall::Lost), 1);
    assert_eq!(delay(60, Fall::Lost), 3);
    assert_eq!(delay(61, closed(CloseCode::SLOW, "")), 1);
    for farewell in [1001, 1011, 1012, 1013, 4001] {
        assert_eq!(delay(61, closed(CloseCode::new(farewell), "")), 3, "{farewell}");
    }
}

#[test]
fn a_go_away_that_came_before_is_no_accident_either() {
    let (at, mut machine) = (clock(), machine());
    live(&mut machine, at(0));
    machine.handle_go_away(at(90), Duration::from_secs(30));
    assert!(machine.state().is_live(), "the session goes on as before");
    machine.handle_fall(at(100), Fall::Lost);
    assert_eq!(waits(&machine).1.as_secs(), 3);
}

#[test]
fn a_session_whose_end_is_announced_is_left_once_at_the_moment_that_was_drawn() {
    let (at, mut machine) = (clock(), machine_at(Endpoints::new("a").with("b")));
    live(&mut machine, at(0));
    assert!(!machine.poll_leave(at(80)));
    machine.handle_go_away(at(90), Duration::from_secs(12));
    assert_eq!(machine.poll_timeout(), Some(at(102)));
    machine.handle_go_away(at(95), Duration::from_secs(30));
    assert!(!machine.poll_leave(at(101)), "not before its time, and the first word counts");
    assert!(machine.poll_leave(at(102)));
    assert!(!machine.poll_leave(at(103)));
    assert_eq!(machine.poll_timeout(), None);
    assert!(machine.state().is_live());

    let mut beside = machine.beside(at(103));
    assert_eq!(actions(&mut beside), [Action::Connect]);
    assert_eq!(beside.endpoint(), Some("b"), "elsewhere first");
    welcome(&mut beside, at(104));

    machine.leave(at(104));
    machine.handle_wake(at(105));
    assert_eq!(actions(&mut machine), [Action::Probe]);
    machine.handle_fall(at(105), Fall::Lost);
    assert_eq!(actions(&mut machine), [Action::Stop], "its server is gone, and nothing is looked for");
}

#[test]
fn a_session_that_was_left_goes_on_where_it_was_after_a_person_was_away() {
    let (at, mut machine) = (clock(), machine_at(Endpoints::new("a").with("b")));
    live(&mut machine, at(0));
    machine.leave(at(1));
    machine.disconnect(at(2));
    machine.handle_fall(at(2), Fall::Lost);
    machine.go_on(at(3));
    assert_eq!(actions(&mut machine), [Action::Disconnect, Action::Connect]);
    assert_eq!(machine.endpoint(), Some("a"), "its calls can end only where they are");
    machine.handle_fall(at(4), Fall::Lost);
    assert_eq!(actions(&mut machine), [Action::Stop]);
}

#[test]
fn a_session_beside_an_only_one_is_looked_for_at_the_same_endpoint() {
    let (at, mut machine) = (clock(), machine());
    live(&mut machine, at(0));
    machine.handle_go_away(at(1), Duration::ZERO);
    assert!(machine.poll_leave(at(1)));
    assert_eq!(machine.beside(at(1)).endpoint(), Some("a"));
}

/// Else a server that says it to every session would have one after the other made, as fast as it can answer.
#[test]
fn a_session_is_stayed_with_for_a_second_whatever_is_announced() {
    let (at, mut machine) = (clock(), machine());
    live(&mut machine, at(0));
    machine.handle_go_away(at(0), Duration::ZERO);
    assert!(!machine.poll_leave(at(0)));
    assert_eq!(machine.poll_timeout(), Some(at(1)));
    assert!(machine.poll_leave(at(1)));
}

#[test]
fn a_wait_that_the_server_asks_for_comes_before_our_own() {
    let delay = |reason| {
        let (at, mut machine) = (clock(), machine());
        live(&mut machine, at(0));
        machine.handle_fall(at(90), closed(CloseCode::RATE_LIMITED, reason));
        waits(&machine).1.as_secs()
    };
    assert_eq!(delay("full, retry after 30 s"), 31);
    assert_eq!(delay("retry after 99999999 s"), 601);
    assert_eq!(delay("retry after a while"), 1);
}

#[test]
fn a_wait_that_the_server_asked_for_is_ended_by_a_person_and_by_nothing_else() {
    let (at, mut machine) = (clock(), machine());
    machine.reconnect(at(0));
    machine.handle_fall(at(0), closed(CloseCode::TRY_AGAIN, "retry after 30 s"));
    actions(&mut machine);
    machine.handle_wake(at(5));
    assert_eq!(actions(&mut machine), [], "the network has nothing to do with it");
    assert_eq!(waits(&machine).1.as_secs(), 25, "what we added ourselves is left out");
    machine.reconnect(at(6));
    assert_eq!(actions(&mut machine), [Action::Connect]);
}

#[test]
fn a_stop_code_stops_until_someone_asks_again() {
    let (at, mut machine) = (clock(), machine());
    live(&mut machine, at(0));
    machine.handle_fall(at(5), closed(CloseCode::FORBIDDEN, "members only"));
    let (code, reason) = (CloseCode::FORBIDDEN, String::from("members only"));
    assert_eq!(machine.state(), State::Refused { code, reason: reason.clone() });
    assert_eq!(actions(&mut machine), [Action::Refuse { code, reason }]);
    assert_eq!(machine.poll_timeout(), None);
    machine.handle_timeout(at(1000));
    machine.handle_fall(at(1000), Fall::Lost);
    machine.handle_wake(at(1000));
    assert_eq!(actions(&mut machine), []);
    machine.reconnect(at(1001));
    assert_eq!(actions(&mut machine), [Action::Connect]);
    machine.handle_timeout(at(1002));
    assert!(matches!(machine.state(), State::Reconnecting { .. }), "not suspended: it did not try");
}

#[test]
fn two_minutes_without_a_session_show_and_change_nothing_else() {
    let (at, mut machine) = (clock(), machine());
    live(&mut machine, at(0));
    machine.handle_fall(at(1000), Fall::Lost);
    let mut now = 1000;
    while now < 1119 {
        now = (now + 20).min(1119);
        machine.handle_timeout(at(now));
        machine.handle_fall(at(now), Fall::Lost);
        assert!(matches!(machine.state(), State::Reconnecting { .. }), "after {} s", now - 1000);
    }
    let (attempt, next_in) = waits(&machine);
    assert_eq!(machine.poll_timeout(), Some(at(1120)));
    machine.handle_timeout(at(1120));
    let left = next_in - Duration::from_secs(1);
    assert_eq!(machine.state(), State::Suspended { attempt, next_in: left }, "the wait counts from now");
    assert_eq!(machine.poll_timeout(), Some(at(1120) + left));
    machine.handle_timeout(at(1120) + left);
    assert_eq!(machine.state(), State::Suspended { attempt, next_in: Duration::ZERO });
    machine.handle_fall(at(1300), Fall::Lost);
    assert!(matches!(machine.state(), State::Suspended { .. }));
    live(&mut machine, at(1400));
    machine.handle_fall(at(1500), Fall::Lost);
    assert!(matches!(machine.state(), State::Reconnecting { attempt: 1, .. }), "counted anew");
}

#[test]
fn a_first_connection_that_does_not_come_about_is_suspended_too() {
    let (at, mut machine) = (clock(), machine());
    machine.reconnect(at(0));
    machine.handle_fall(at(1), Fall::Lost);
    machine.handle_timeout(at(119));
    assert!(matches!(machine.state(), State::Reconnecting { .. }));
    machine.handle_timeout(at(120));
    assert!(matches!(machine.state(), State::Suspended { .. }));
}

#[test]
fn waking_ends_a_wait_and_looks_at_a_link_that_is_there() {
    let (at, mut machine) = (clock(), machine());
    machine.handle_wake(at(0));
    assert_eq!(actions(&mut machine), [], "nobody wants a connection");
    machine.reconnect(at(0));
    actions(&mut machine);
    machine.handle_wake(at(0));
    assert_eq!(actions(&mut machine), [], "a try is under way");
    machine.handle_fall(at(1), Fall::Lost);
    machine.handle_wake(at(1));
    assert_eq!(actions(&mut machine), [Action::Connect]);
    assert_eq!(waits(&machine), (1, Duration::ZERO));
    welcome(&mut machine, at(2));
    machine.handle_wake(at(3));
    assert_eq!(actions(&mut machine), [Action::Probe]);
    assert!(machine.state().is_live());
}

#[test]
fn a_link_that_was_dead_before_a_wake_up_is_replaced_at_once() {
    let at = clock();
    let woken_then = |fall: Fall, after: u64| {
        let mut machine = machine();
        live(&mut machine, at(0));
        machine.handle_wake(at(2));
        assert_eq!(actions(&mut machine), [Action::Probe]);
        machine.handle_fall(at(2 + after), fall);
        actions(&mut machine)
    };
    assert_eq!(woken_then(Fall::Lost, 0), [Action::Connect], "its end was told after the wake-up");
    assert_eq!(woken_then(closed(CloseCode::NO_PONG, ""), 5), [Action::Connect], "the probe found it");
    assert_eq!(woken_then(Fall::Lost, 7), [], "that is another loss");
    assert_eq!(
        woken_then(closed(CloseCode::DRAIN, ""), 0),
        [],
        "a server that stops loses everybody at once"
    );
    assert_eq!(woken_then(closed(CloseCode::SLOW, "retry after 30 s"), 0), [], "it asked for patience");

    let mut machine = machine();
    live(&mut machine, at(0));
    machine.handle_wake(at(2));
    machine.handle_fall(at(2), Fall::Lost);
    actions(&mut machine);
    welcome(&mut machine, at(3));
    machine.handle_fall(at(4), Fall::Lost);
    assert_eq!(actions(&mut machine), [], "one wake-up ends one wait");
}

#[test]
fn failing_fast_ends_with_the_first_failure_and_not_after_the_first_welcome() {
    let (at, mut machine) = (clock(), machine().fail_fast());
    machine.reconnect(at(0));
    actions(&mut machine);
    machine.handle_fall(at(1), Fall::Lost);
    assert_eq!(actions(&mut machine), [Action::Stop]);
    assert_eq!(machine.state(), State::Closed);

    let mut machine = self::machine().fail_fast();
    machine.reconnect(at(0));
    actions(&mut machine);
    machine.handle_fall(at(1), closed(CloseCode::FORBIDDEN, ""));
    assert_eq!(actions(&mut machine), [Action::Stop]);

    let mut machine = self::machine().fail_fast();
    live(&mut machine, at(0));
    machine.handle_fall(at(1), Fall::Lost);
    assert!(matches!(machine.state(), State::Reconnecting { .. }));
}

#[test]
fn failing_fast_asks_each_endpoint_once_and_without_a_pause() {
    let (at, mut machine) = (clock(), machine_at(Endpoints::new("a").with("b")).fail_fast());
    machine.reconnect(at(0));
    machine.handle_fall(at(1), Fall::Lost);
    assert_eq!(actions(&mut machine), [Action::Connect, Action::Connect]);
    assert_eq!(machine.endpoint(), Some("b"));
    machine.handle_fall(at(2), Fall::Lost);
    assert_eq!(actions(&mut machine), [Action::Stop]);
}

/// The endpoints that are tried from now on, where all fail with `fall` and none keeps the machine waiting.
fn tried(machine: &mut Machine<Counting>, now: Instant, tries: usize, fall: &Fall) -> String {
    let mut names = String::new();
    for _ in 0..tries {
        machine.handle_fall(now, fall.clone());
        machine.reconnect(now);
        names += machine.endpoint().unwrap();
    }
    names
}

#[test]
fn a_lost_session_is_looked_for_where_it_was_and_then_elsewhere() {
    let (at, mut machine) = (clock(), machine_at(Endpoints::new("a").with("b").with("c")));
    live(&mut machine, at(0));
    assert_eq!(tried(&mut machine, at(10), 5, &Fall::Lost), "abcab");
    welcome(&mut machine, at(20));
    assert_eq!(tried(&mut machine, at(40), 3, &Fall::Lost), "bca");
}

#[test]
fn an_endpoint_whose_sessions_do_not_last_or_that_says_farewell_has_failed() {
    for (lived, fall) in [(9, Fall::Lost), (90, closed(CloseCode::DRAIN, ""))] {
        let (at, mut machine) = (clock(), machine_at(Endpoints::new("a").with("b")));
        live(&mut machine, at(0));
        assert_eq!(tried(&mut machine, at(lived), 1, &fall), "b", "{fall:?}");
    }
    let (at, mut machine) = (clock(), machine_at(Endpoints::new("a").with("b")));
    live(&mut machine, at(0));
    machine.handle_go_away(at(90), Duration::from_secs(30));
    assert_eq!(tried(&mut machine, at(95), 1, &Fall::Lost), "b");
}

#[test]
fn a_wait_that_one_endpoint_asks_for_delays_no_other() {
    let (at, mut machine) = (clock(), machine_at(Endpoints::new("a").with("b")));
    machine.reconnect(at(0));
    machine.handle_fall(at(0), closed(CloseCode::TRY_AGAIN, "retry after 60 s"));
    assert_eq!(waits(&machine).1.as_secs(), 3);
    machine.handle_timeout(at(3));
    assert_eq!(machine.endpoint(), Some("b"));
    machine.handle_fall(at(3), closed(CloseCode::TRY_AGAIN, "retry after 20 s"));
    assert_eq!(waits(&machine).1.as_secs(), 20 + 4);
}

#[test]
fn what_is_no_endpoint_refuses_only_if_there_is_no_other() {
    let useless = || Fall::Useless { reason: "no URL".into() };
    let (at, mut machine) = (clock(), machine_at(Endpoints::new("a").with("b")));
    machine.reconnect(at(0));
    machine.handle_fall(at(0), useless());
    assert!(matches!(machine.state(), State::Reconnecting { .. }));
    machine.handle_timeout(at(3));
    assert_eq!(machine.endpoint(), Some("b"));
    machine.handle_fall(at(3), useless());
    assert_eq!(machine.state(), State::Refused { code: CloseCode::POLICY, reason: "no URL".into() });
}

#[test]
fn close_says_goodbye_only_where_someone_listens_and_waits_a_moment_at_most() {
    let (at, mut machine) = (clock(), machine());
    live(&mut machine, at(0));
    machine.close(at(1));
    assert_eq!(actions(&mut machine), [Action::SayGoodbye]);
    assert_eq!(machine.state(), State::Closed);
    machine.close(at(1));
    machine.reconnect(at(1));
    assert_eq!(actions(&mut machine), []);
    machine.handle_timeout(at(2));
    assert_eq!(actions(&mut machine), [Action::Stop]);

    let mut machine = self::machine();
    machine.reconnect(at(0));
    machine.handle_fall(at(0), Fall::Lost);
    actions(&mut machine);
    machine.close(at(1));
    assert_eq!(actions(&mut machine), [Action::Stop]);
}

#[test]
fn a_link_that_falls_while_closing_ends_it_too() {
    let (at, mut machine) = (clock(), machine());
    live(&mut machine, at(0));
    machine.close(at(1));
    actions(&mut machine);
    machine.handle_fall(at(1), closed(CloseCode::NORMAL, ""));
    assert_eq!(actions(&mut machine), [Action::Stop]);
}

#[test]
fn reconnect_goes_on_at_once_and_from_a_living_link_too() {
    let (at, mut machine) = (clock(), machine());
    live(&mut machine, at(0));
    machine.reconnect(at(5));
    assert_eq!(actions(&mut machine), [Action::Connect]);
    assert_eq!(machine.state(), State::Reconnecting { attempt: 1, next_in: Duration::ZERO });
    machine.handle_fall(at(6), Fall::Lost);
    machine.reconnect(at(6));
    assert_eq!(actions(&mut machine), [Action::Connect]);
}

/// The first `COUNT` waits after a session that lived for `lived` seconds and ended with `fall`, in seconds, drawn as in
/// life. All tries fail at once.
fn drawn<const COUNT: usize>(lived: u64, fall: &Fall) -> [f64; COUNT] {
    let at = clock();
    let mut machine =
        Machine::new(Endpoints::new("a"), Patience::new(&Timing::default()), Backoff::default());
    live(&mut machine, at(0));
    let mut now = at(lived);
    machine.handle_fall(now, fall.clone());
    std::array::from_fn(|_| {
        let begin = now;
        while machine.poll_action().is_none() {
            now = machine.poll_timeout().unwrap();
            machine.handle_timeout(now);
        }
        machine.handle_fall(now, Fall::Lost);
        (now - begin).as_secs_f64()
    })
}

/// Checks, over many draws, that each wait lies within its bounds and that it is spread over all of them.
fn check<const COUNT: usize>(lived: u64, fall: &Fall, bounds: [(f64, f64); COUNT]) {
    let runs: Vec<[f64; COUNT]> = (0..2000).map(|_| drawn(lived, fall)).collect();
    for (number, (low, high)) in bounds.into_iter().enumerate() {
        let waits = || runs.iter().map(|run| run[number]);
        let (least, most) = (waits().fold(f64::MAX, f64::min), waits().fold(0.0, f64::max));
        assert!(least >= low && most <= high, "try {number}: {least} to {most}, not {low} to {high}");
        let margin = (high - low) / 50.0;
        assert!(least < low + margin && most > high - margin, "try {number}: only {least} to {most}");
    }
}

#[test]
fn waits_after_an_accident_are_spread_over_all_of_doubling_spans() {
    let spans = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0].map(|high| (0.0, high));
    check(61, &Fall::Lost, spans);
}

#[test]
fn waits_after_anything_else_begin_with_a_second_at_least() {
    let spans = [(1.0, 2.0), (0.0, 4.0), (0.0, 8.0), (0.0, 16.0), (0.0, 30.0), (0.0, 30.0)];
    check(60, &Fall::Lost, spans);
    check(3600, &closed(CloseCode::DRAIN, ""), spans);
}

#[test]
fn waits_that_were_asked_for_are_spread_too() {
    let fall = closed(CloseCode::TRY_AGAIN, "full, retry after 30 s");
    check(3600, &fall, [(31.0, 32.0), (0.0, 4.0)]);
}

#[test]
fn states_read_as_sentences() {
    let next_in = Duration::from_millis(2_100);
    let reconnecting = State::Reconnecting { attempt: 2, next_in };
    assert_eq!(reconnecting.to_string(), "reconnecting in 3 s (attempt 2)");
    let suspended = State::Suspended { attempt: 9, next_in };
    assert_eq!(suspended.to_string(), "suspended, trying again in 3 s (attempt 9)");
    let suspended = State::Suspended { attempt: 9, next_in: Duration::ZERO };
    assert_eq!(suspended.to_string(), "suspended, trying again (attempt 9)");
    assert_eq!(State::Live(Arrival::Resumed).to_string(), "live");
    assert_eq!(State::Offline.to_string(), "offline");
    let refused = |reason: &str| State::Refused { code: CloseCode::FORBIDDEN, reason: reason.into() };
    assert_eq!(refused("members only").to_string(), "refused: members only");
    assert_eq!(refused("").to_string(), "refused: 4503 (forbidden)");
}
