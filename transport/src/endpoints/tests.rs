use super::*;

fn clock() -> impl Fn(u64) -> Instant {
    let origin = bowline_runtime::now();
    move |seconds| origin + Duration::from_secs(seconds)
}

fn three() -> Endpoints {
    Endpoints::new("a").with("b").with("c")
}

/// Where none is ailing.
fn pick(endpoints: &Endpoints, now: Instant) -> EndpointId {
    endpoints.pick(now, |_| false)
}

fn picked(endpoints: &Endpoints, now: Instant) -> &str {
    endpoints.url(pick(endpoints, now))
}

/// The attempt at the endpoint that is picked fails.
fn fail(endpoints: &mut Endpoints, now: Instant) -> String {
    let id = pick(endpoints, now);
    endpoints.handle_failure(now, id);
    endpoints.url(id).to_owned()
}

#[test]
fn the_order_is_the_one_in_which_they_were_given() {
    let (at, mut endpoints) = (clock(), three());
    assert_eq!(fail(&mut endpoints, at(0)), "a");
    assert_eq!(fail(&mut endpoints, at(1)), "b");
    assert_eq!(fail(&mut endpoints, at(2)), "c");
}

#[test]
fn those_that_failed_take_turns() {
    let (at, mut endpoints) = (clock(), three());
    // Over more than an hour: nothing is forgotten in the middle of it, or the last of many would never be tried.
    let tried: String = (0..300).map(|number| fail(&mut endpoints, at(number * 20))).collect();
    assert_eq!(tried, "abc".repeat(100));
}

#[test]
fn an_only_endpoint_is_the_choice_whatever_it_did() {
    let (at, mut endpoints) = (clock(), Endpoints::new("a").with("a"));
    for number in 0..10 {
        assert_eq!(fail(&mut endpoints, at(number)), "a");
        assert_eq!(endpoints.earliest(at(number)), at(number), "health adds no delay");
    }
}

#[test]
fn the_one_that_had_the_session_is_the_choice_until_it_fails() {
    let (at, mut endpoints) = (clock(), three());
    fail(&mut endpoints, at(0));
    let b = pick(&endpoints, at(1));
    endpoints.handle_success(b);
    assert_eq!(picked(&endpoints, at(2)), "b", "a lost link is no failure of its endpoint");
    endpoints.handle_failure(at(3), b);
    assert_eq!(picked(&endpoints, at(3)), "c");
}

#[test]
fn a_success_makes_up_for_failures() {
    let (at, mut endpoints) = (clock(), three());
    let a = pick(&endpoints, at(0));
    for second in 0..3 {
        fail(&mut endpoints, at(second));
    }
    endpoints.handle_success(a);
    let b = EndpointId(1);
    endpoints.handle_success(b);
    endpoints.handle_failure(at(5), b);
    assert_eq!(picked(&endpoints, at(5)), "a");
}

#[test]
fn those_that_recovered_come_back_to_their_place() {
    for (later, next) in [(599, "c"), (600, "a")] {
        let (at, mut endpoints) = (clock(), three());
        fail(&mut endpoints, at(0));
        let b = pick(&endpoints, at(0));
        endpoints.handle_success(b);
        endpoints.handle_failure(at(later), b);
        assert_eq!(picked(&endpoints, at(later)), next, "after {later} s");
    }
}

#[test]
fn one_that_asked_for_patience_is_left_alone_while_there_are_others() {
    let (at, mut endpoints) = (clock(), Endpoints::new("a").with("b"));
    let a = pick(&endpoints, at(0));
    endpoints.handle_refusal(at(0), a, Duration::from_secs(30));
    assert_eq!(endpoints.earliest(at(0)), at(0), "b may be tried");
    for second in 0..30 {
        assert_eq!(fail(&mut endpoints, at(second)), "b");
    }
    assert_eq!(picked(&endpoints, at(30)), "a");
}

#[test]
fn where_all_asked_for_patience_the_shortest_wait_counts() {
    let (at, mut endpoints) = (clock(), Endpoints::new("a").with("b"));
    let a = pick(&endpoints, at(0));
    endpoints.handle_refusal(at(0), a, Duration::from_secs(30));
    let b = pick(&endpoints, at(1));
    endpoints.handle_refusal(at(1), b, Duration::from_secs(20));
    assert_eq!((endpoints.earliest(at(2)), picked(&endpoints, at(2))), (at(21), "b"));
    endpoints.forget_waits();
    assert_eq!((endpoints.earliest(at(2)), picked(&endpoints, at(2))), (at(2), "a"));
}

#[test]
fn the_one_in_use_can_ask_for_patience_too() {
    let (at, mut endpoints) = (clock(), Endpoints::new("a"));
    let a = pick(&endpoints, at(0));
    endpoints.handle_success(a);
    endpoints.handle_refusal(at(5), a, Duration::from_secs(30));
    assert_eq!(endpoints.earliest(at(6)), at(35));
    endpoints.handle_success(a);
    assert_eq!(endpoints.earliest(at(7)), at(7));
}

#[test]
fn what_is_no_endpoint_is_tried_only_when_there_is_no_other() {
    let (at, mut endpoints) = (clock(), Endpoints::new("a").with("b"));
    let a = pick(&endpoints, at(0));
    assert!(endpoints.handle_useless(a));
    for second in 0..5 {
        assert_eq!(fail(&mut endpoints, at(second)), "b");
    }
    assert!(!endpoints.has_fresh());
    assert!(!endpoints.handle_useless(EndpointId(1)), "none is left");
    assert_eq!(picked(&endpoints, at(9)), "a");
}

#[test]
fn one_that_is_ailing_is_tried_after_those_that_are_well_and_before_those_that_failed() {
    let (at, mut endpoints) = (clock(), three());
    let a = pick(&endpoints, at(0));
    endpoints.handle_success(a);
    let next = |endpoints: &Endpoints, ill: &str| {
        endpoints.url(endpoints.pick(at(1), |url| ill.contains(url))).to_owned()
    };
    assert_eq!(next(&endpoints, "a"), "b", "although the session was at a");
    assert_eq!(next(&endpoints, "ab"), "c");
    assert_eq!(next(&endpoints, "abc"), "a", "where all are, their order counts");
    assert_eq!(next(&endpoints, ""), "a", "nothing of it is kept");
    endpoints.handle_failure(at(1), EndpointId(1));
    endpoints.handle_failure(at(1), EndpointId(2));
    assert_eq!(next(&endpoints, "a"), "a", "it can be reached");
    endpoints.handle_refusal(at(1), a, Duration::from_secs(30));
    assert_eq!(next(&endpoints, "bc"), "b", "those that failed take turns, ailing or not");
}

#[test]
fn an_only_endpoint_is_the_choice_although_it_is_ailing() {
    let (at, mut endpoints) = (clock(), Endpoints::new("a"));
    let a = endpoints.pick(at(0), |_| true);
    assert_eq!((endpoints.url(a), endpoints.earliest(at(0))), ("a", at(0)));
    endpoints.handle_success(a);
    assert_eq!(endpoints.pick(at(1), |_| true), a);
}
