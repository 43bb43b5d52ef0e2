//! Staying away on purpose, with everything that is under way kept for the time after.

use bowline_protocol::Instant;

use super::{Absence, Action, Delays, Machine, Phase};

impl<D: Delays> Machine<D> {
    /// Lets go of the link, or of the try for one, and tries nothing until [`reconnect`](Self::reconnect). Nothing where
    /// there is neither.
    pub(crate) fn disconnect(&mut self, now: Instant) {
        match self.phase {
            Phase::Live { .. } => self.absence = Absence::Since(now),
            Phase::Connecting { .. } | Phase::Greeting { .. } | Phase::Waiting { .. } => {}
            Phase::Idle | Phase::Offline | Phase::Refused { .. } | Phase::Closing { .. } | Phase::Closed => {
                return;
            }
        }
        self.phase = Phase::Offline;
        self.actions.push_back(Action::Disconnect);
    }

    /// Goes on if it was [`disconnect`](Self::disconnect)ed.
    pub(crate) fn go_on(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Offline) {
            self.reconnect(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::LazyLock, time::Duration};

    use bowline_protocol::{limits::Timing, status::CloseCode};
    use bowline_transport::{Backoff, Endpoints};

    use super::*;
    use crate::state::{Arrival, Fall, Patience, State};

    static ORIGIN: LazyLock<Instant> = LazyLock::new(bowline_runtime::now);

    fn at(seconds: u64) -> Instant {
        *ORIGIN + Duration::from_secs(seconds)
    }

    fn machine() -> Machine {
        Machine::new(Endpoints::new("a"), Patience::new(&Timing::default()), Backoff::default())
    }

    fn live(machine: &mut Machine, now: Instant) {
        machine.reconnect(now);
        machine.handle_linked(now);
        machine.handle_live(now, Arrival::New);
        assert!(machine.state().is_live());
        actions(machine);
    }

    fn actions(machine: &mut Machine) -> Vec<Action> {
        std::iter::from_fn(|| machine.poll_action()).collect()
    }

    #[test]
    fn it_stays_away_from_wherever_it_is_on_its_way() {
        for phase in ["connecting", "greeting", "live", "waiting"] {
            let mut machine = machine();
            machine.reconnect(at(0));
            match phase {
                "greeting" => machine.handle_linked(at(0)),
                "live" => live(&mut machine, at(0)),
                "waiting" => machine.handle_fall(at(0), Fall::Lost),
                _ => {}
            }
            actions(&mut machine);
            machine.disconnect(at(1));
            assert_eq!(actions(&mut machine), [Action::Disconnect], "{phase}");
            assert_eq!(machine.state(), State::Offline, "{phase}");
            assert_eq!(machine.poll_timeout(), None, "{phase}");
            machine.handle_timeout(at(1000));
            machine.handle_wake(at(1000));
            machine.handle_fall(at(1000), Fall::Lost);
            machine.disconnect(at(1000));
            assert_eq!(actions(&mut machine), [], "{phase}");
            assert_eq!(machine.state(), State::Offline, "{phase}");
            machine.reconnect(at(1001));
            assert_eq!(actions(&mut machine), [Action::Connect], "{phase}");
        }
    }

    #[test]
    fn there_is_nothing_to_let_go_of_once_it_is_refused_or_closed() {
        let mut machine = machine();
        live(&mut machine, at(0));
        machine.handle_fall(at(1), Fall::Closed { code: CloseCode::FORBIDDEN, reason: String::new() });
        actions(&mut machine);
        machine.disconnect(at(2));
        assert!(matches!(machine.state(), State::Refused { .. }));
        machine.close(at(3));
        actions(&mut machine);
        machine.disconnect(at(4));
        assert_eq!((actions(&mut machine), machine.state()), (vec![], State::Closed));
    }

    #[test]
    fn the_time_away_counts_as_time_without_a_session() {
        for (away, suspended) in [(119, false), (121, true)] {
            let mut machine = machine();
            live(&mut machine, at(0));
            machine.disconnect(at(100));
            machine.reconnect(at(100 + away));
            machine.handle_timeout(at(100 + away));
            assert_eq!(matches!(machine.state(), State::Suspended { .. }), suspended, "{away} s");
        }
    }

    #[test]
    fn only_one_that_stays_away_goes_on() {
        let mut machine = machine();
        live(&mut machine, at(0));
        machine.go_on(at(1));
        assert_eq!(actions(&mut machine), []);
        machine.disconnect(at(2));
        actions(&mut machine);
        machine.go_on(at(3));
        assert_eq!(actions(&mut machine), [Action::Connect]);
    }
}
