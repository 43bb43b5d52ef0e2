//! Control: answers to pings, grants of credit, acknowledgements.

use crate::Instant;
use crate::envelope::{CallRef, Control, Credit, Encoder, Envelope, Opener, Refusal};
use crate::session::Session;
use crate::session::types::{Origin, Role};
use crate::status::CloseCode;

impl Session {
    /// Control that does not depend on the data of this message.
    pub(super) fn write_control(&mut self, now: Instant, encoder: &mut Encoder<'_>) {
        self.write_welcome(encoder);
        if let Some(nonce) = self.link.pong.take() {
            let ack = self.state.received.restate();
            let once_tick =
                self.state.once.filter(|_| self.role == Role::Server).map_or(0, |table| table.tick);
            encoder.push(&Envelope::Control(Control::Pong { nonce, ack, once_tick }));
        }
        if self.link.heartbeat.has_ping()
            && let Some(nonce) = self.link.heartbeat.take_ping(now, self.extra(self.state.sent.in_flight()))
        {
            encoder.push(&Envelope::Control(Control::Ping { nonce }));
        }
        if let Some(spread_ms) = self.link.go_away.take() {
            encoder.push(&Envelope::Control(Control::GoAway { spread_ms }));
        }
        if std::mem::take(&mut self.link.auth_answer_due) {
            let reason = "credentials can't be renewed on a living link".to_owned();
            let refusal = Some(Refusal { code: CloseCode::BAD_CREDENTIALS, reason });
            encoder.push(&Envelope::Control(Control::AuthAnswer { refusal }));
        }
        let acknowledges = self.state.received.due().is_some_and(|due| due <= now);
        let has_company = acknowledges || !encoder.is_empty() || !self.state.queue.turns.is_empty();
        if !self.state.taken.is_empty()
            && !self.state.sent.replays()
            && (has_company || self.state.taken_due.is_some_and(|due| due <= now))
        {
            self.write_taken(encoder);
        }
    }

    /// Control that data of this message may have made due.
    pub(super) fn write_late_control(&mut self, now: Instant, encoder: &mut Encoder<'_>) {
        // Credit never overtakes a replay: a place is free for the other end once it has read the terminal that freed it.
        if !self.state.sent.replays() {
            self.write_grants(encoder);
        }
        if std::mem::take(&mut self.link.ack_due) {
            let ack = self.state.received.restate();
            return encoder.push(&Envelope::Control(Control::Ack(ack)));
        }
        let is_due = self.state.received.due().is_some_and(|due| due <= now);
        if (is_due || !encoder.is_empty())
            && let Some(ack) = self.state.received.take()
        {
            encoder.push(&Envelope::Control(Control::Ack(ack)));
        }
    }

    fn write_grants(&mut self, encoder: &mut Encoder<'_>) {
        for credit in self.state.granted.announce().into_iter().flatten().flatten() {
            encoder.push(&Envelope::Control(Control::Credit(credit)));
        }
    }

    fn write_taken(&mut self, encoder: &mut Encoder<'_>) {
        self.state.taken_due = None;
        for call in std::mem::take(&mut self.state.taken) {
            let reference = match call.origin {
                Origin::Remote => CallRef { id: call.id, opener: Opener::Reader },
                Origin::Local => match self.own.get(call).and_then(|own| own.wire()) {
                    Some(id) => CallRef { id, opener: Opener::Writer },
                    None => continue,
                },
            };
            let Some(stream) = self.stream_mut(call) else { continue };
            stream.is_taken_listed = false;
            if stream.receive.has_news() {
                let (taken, total) = stream.receive.announce();
                let credit = Credit::Items { call: reference, taken, total };
                encoder.push(&Envelope::Control(Control::Credit(credit)));
            }
        }
    }
}
