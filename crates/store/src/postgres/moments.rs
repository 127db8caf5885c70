//! Dates and instants out of the server's binary form, in the text that the server itself has of them with
//! `DateStyle` ISO in UTC: so no setting of the session changes it.

use std::fmt::Write as _;

/// Days from 0000-03-01 to 2000-01-01, where the server's days begin.
const EPOCH: i64 = 730_425;

const DAY: i64 = 86_400_000_000;

/// The text of a date, in days since 2000-01-01.
pub(super) fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".into(),
        i32::MIN => "-infinity".into(),
        days => {
            let (mut text, before_christ) = day(days.into());
            text.push_str(before_christ);
            text
        }
    }
}

/// The text of an instant, in microseconds since 2000-01-01; `zone` stands behind the time.
pub(super) fn instant(micros: i64, zone: &str) -> String {
    if micros == i64::MAX || micros == i64::MIN {
        return if micros > 0 { "infinity" } else { "-infinity" }.into();
    }
    let (mut text, before_christ) = day(micros.div_euclid(DAY));
    let time = micros.rem_euclid(DAY);
    let (seconds, fraction) = (time / 1_000_000, time % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(text, " {hour:02}:{minute:02}:{second:02}").ok();
    if fraction > 0 {
        let digits = format!("{fraction:06}");
        write!(text, ".{}", digits.trim_end_matches('0')).ok();
    }
    text.push_str(zone);
    text.push_str(before_christ);
    text
}

/// The text of a day, in days since 2000-01-01, and what stands behind a time before the year 1.
fn day(days: i64) -> (String, &'static str) {
    // Years of March to February, in eras of 400 of them.
    let days = days + EPOCH;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    if year > 0 {
        (format!("{year:04}-{month:02}-{day:02}"), "")
    } else {
        (format!("{:04}-{month:02}-{day:02}", 1 - year), " BC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_instants_are_written_as_the_server_writes_them() {
        for (days, text) in [
            (0, "2000-01-01"),
            (-1, "1999-12-31"),
            (59, "2000-02-29"),
            (-730_119, "0001-01-01"),
            (-730_120, "0001-12-31 BC"),
            (-2_451_545, "4714-11-24 BC"),
            (2_145_031_948, "5874897-12-31"),
            (i32::MAX, "infinity"),
            (i32::MIN, "-infinity"),
        ] {
            assert_eq!(date(days), text);
        }
        for (micros, text) in [
            (0, "2000-01-01 00:00:00+00"),
            (-1, "1999-12-31 23:59:59.999999+00"),
            (758_620_800_120_000, "2024-01-15 08:00:00.12+00"),
            (-63_082_281_600_000_001, "0001-12-31 23:59:59.999999+00 BC"),
            (i64::MAX, "infinity"),
            (i64::MIN, "-infinity"),
        ] {
            assert_eq!(instant(micros, "+00"), text);
        }
    }
}
