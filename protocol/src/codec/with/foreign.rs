//! The foreign types that rkyv does not know. `#[message]` applies these by itself; JSON uses the types' own form.

#[cfg(feature = "chrono")]
use chrono::{DateTime as ChronoDateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};

use super::With;
use crate::schema::{Form, Hasher, Schema};

macro_rules! named {
    ($type:ident, $schema:literal, $form:expr) => {
        impl Schema for $type {
            const HASH: u128 = Hasher::new("with").str($schema).finish();
            const FORM: Form = $form;
        }
    };
}

/// `chrono::DateTime<Utc>` as seconds since 1970 and nanoseconds.
///
/// Not as one number of microseconds: JSON keeps all digits, and both codecs have to mean the same.
#[cfg(feature = "chrono")]
#[derive(Debug)]
pub struct UtcTime;

#[cfg(feature = "chrono")]
named!(UtcTime, "bowline/utc-time/1", Form::KEY);

#[cfg(feature = "chrono")]
impl With<ChronoDateTime<Utc>> for UtcTime {
    type Wire = (i64, u32);
    type Error = &'static str;

    fn to_wire(value: &ChronoDateTime<Utc>) -> Self::Wire {
        (value.timestamp(), value.timestamp_subsec_nanos())
    }

    fn from_wire((seconds, nanoseconds): Self::Wire) -> Result<ChronoDateTime<Utc>, Self::Error> {
        ChronoDateTime::from_timestamp(seconds, nanoseconds).ok_or("no such time")
    }
}

/// `chrono::NaiveDateTime`, in the same form as [`UtcTime`].
#[cfg(feature = "chrono")]
#[derive(Debug)]
pub struct DateTime;

#[cfg(feature = "chrono")]
named!(DateTime, "bowline/date-time/1", Form::KEY);

#[cfg(feature = "chrono")]
impl With<NaiveDateTime> for DateTime {
    type Wire = (i64, u32);
    type Error = &'static str;

    fn to_wire(value: &NaiveDateTime) -> Self::Wire {
        UtcTime::to_wire(&value.and_utc())
    }

    fn from_wire(wire: Self::Wire) -> Result<NaiveDateTime, Self::Error> {
        UtcTime::from_wire(wire).map(|time| time.naive_utc())
    }
}

/// `chrono::NaiveDate` as days since the first day of the year 1.
#[cfg(feature = "chrono")]
#[derive(Debug)]
pub struct Date;

#[cfg(feature = "chrono")]
named!(Date, "bowline/date/1", Form::KEY);

#[cfg(feature = "chrono")]
impl With<NaiveDate> for Date {
    type Wire = i32;
    type Error = &'static str;

    fn to_wire(value: &NaiveDate) -> Self::Wire {
        chrono::Datelike::num_days_from_ce(value)
    }

    fn from_wire(days: Self::Wire) -> Result<NaiveDate, Self::Error> {
        NaiveDate::from_num_days_from_ce_opt(days).ok_or("no such date")
    }
}

/// `chrono::NaiveTime` as seconds since midnight and nanoseconds.
#[cfg(feature = "chrono")]
#[derive(Debug)]
pub struct Time;

#[cfg(feature = "chrono")]
named!(Time, "bowline/time/1", Form::KEY);

#[cfg(feature = "chrono")]
impl With<NaiveTime> for Time {
    type Wire = (u32, u32);
    type Error = &'static str;

    fn to_wire(value: &NaiveTime) -> Self::Wire {
        (value.num_seconds_from_midnight(), value.nanosecond())
    }

    fn from_wire((seconds, nanoseconds): Self::Wire) -> Result<NaiveTime, Self::Error> {
        NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanoseconds).ok_or("no such time of day")
    }
}

/// `serde_json::Value` as JSON text.
#[cfg(feature = "json")]
#[derive(Debug)]
pub struct JsonText;

#[cfg(feature = "json")]
named!(JsonText, "bowline/json/1", Form::NULL);

#[cfg(feature = "json")]
impl With<serde_json::Value> for JsonText {
    type Wire = String;
    type Error = serde_json::Error;

    fn to_wire(value: &serde_json::Value) -> String {
        value.to_string()
    }

    fn from_wire(text: String) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_str(&text)
    }
}
