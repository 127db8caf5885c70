//! Dates and instants from text. A local time becomes an instant by the plan's zone, never by the
//! machine's; one that does not exist or exists twice is decided by the plan.

use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems, parse};
use chrono::{
    DateTime, Datelike, FixedOffset, LocalResult, NaiveDateTime, NaiveTime, Offset, SecondsFormat,
    TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;
use contract::plan::{Ambiguous, Field, Gap, Type};

/// How dates of one field are written.
#[derive(Debug)]
pub(super) struct Moments {
    forms: Vec<Form>,
    zone: Option<Tz>,
    gap: Gap,
    ambiguous: Ambiguous,
}

#[derive(Debug)]
struct Form {
    text: String,
    items: Vec<Item<'static>>,
    timed: bool,
}

enum Moment {
    Local(NaiveDateTime),
    Instant(DateTime<FixedOffset>),
}

impl Moments {
    /// Prepares the forms of a field.
    ///
    /// # Errors
    ///
    /// Says which form or zone makes no sense.
    pub(super) fn new(field: &Field, plan_zone: Option<&str>) -> Result<Self, String> {
        let zone = field.zone.as_deref().or(plan_zone).map(|name| {
            name.parse::<Tz>().map_err(|_| format!("there is no zone `{name}`: expected a name such as `America/Los_Angeles` or `UTC`"))
        });
        let zone = zone.transpose()?;
        let standard = ["%+".to_owned(), "%Y-%m-%d".to_owned()];
        let texts = if field.formats.is_empty() {
            &standard[..]
        } else {
            &field.formats
        };
        let forms = texts
            .iter()
            .map(|text| form(text))
            .collect::<Result<Vec<_>, _>>()?;
        let local = forms
            .iter()
            .find(|form| !form.items.iter().any(fixes_offset));
        if let (Type::Timestamp, None, Some(form)) = (field.kind, zone, local) {
            return Err(format!(
                "values of the form `{}` carry no zone: give the plan or the field a `zone`",
                form.text
            ));
        }
        Ok(Self {
            forms,
            zone,
            gap: field.gap,
            ambiguous: field.ambiguous,
        })
    }

    /// Reads a day, `YYYY-MM-DD`. Of an instant it is the day in the zone.
    ///
    /// # Errors
    ///
    /// Says why it is none, to stand after the value.
    pub(super) fn date(&self, text: &str) -> Result<String, String> {
        let day = match (self.read(text)?, self.zone) {
            (Moment::Local(local), _) => local.date(),
            (Moment::Instant(instant), Some(zone)) => instant.with_timezone(&zone).date_naive(),
            (Moment::Instant(_), None) => {
                return Err(
                    "is an instant, whose day depends on a zone: give the field a `zone`".into(),
                );
            }
        };
        Ok(day.format("%Y-%m-%d").to_string())
    }

    /// Reads an instant, RFC 3339 in UTC.
    ///
    /// # Errors
    ///
    /// Says why it is none, to stand after the value.
    pub(super) fn timestamp(&self, text: &str) -> Result<String, String> {
        let instant = match self.read(text)? {
            Moment::Instant(instant) => instant.with_timezone(&Utc),
            Moment::Local(local) => self.instant(local)?,
        };
        Ok(instant.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }

    fn instant(&self, local: NaiveDateTime) -> Result<DateTime<Utc>, String> {
        let zone = self
            .zone
            .ok_or("carries no zone: give the field a `zone`")?;
        let first = match zone.from_local_datetime(&local) {
            LocalResult::Single(instant) => return Ok(instant.with_timezone(&Utc)),
            LocalResult::Ambiguous(first, second) => match self.ambiguous {
                Ambiguous::Reject => {
                    return Err(format!(
                        "exists twice in {zone}, when the clock is set back: say which is meant, `ambiguous = \"first\"` or \"second\""
                    ));
                }
                Ambiguous::First => first,
                Ambiguous::Second => second,
            },
            LocalResult::None => {
                // A jump is shorter than a day, so the offsets a day away are those around it.
                let side = match self.gap {
                    Gap::Reject => {
                        return Err(format!(
                            "does not exist in {zone}, where the clock is set forward over it: say how it is meant, `gap = \"before\"` or \"after\""
                        ));
                    }
                    Gap::Before => local - TimeDelta::days(1),
                    Gap::After => local + TimeDelta::days(1),
                };
                let offset = zone.offset_from_utc_datetime(&side).fix();
                return Ok((local - offset).and_utc());
            }
        };
        Ok(first.with_timezone(&Utc))
    }

    fn read(&self, text: &str) -> Result<Moment, String> {
        let mut why = None;
        for form in &self.forms {
            match form.read(text) {
                Ok(Some(moment)) => return Ok(moment),
                Ok(None) => {}
                Err(reason) => why = Some(reason),
            }
        }
        Err(why.unwrap_or_else(|| {
            let forms = self.forms.iter().map(|form| match form.text.as_str() {
                "%+" => "RFC 3339".to_owned(),
                text => format!("`{text}`"),
            });
            format!(
                "has none of the forms {}",
                forms.collect::<Vec<_>>().join(", ")
            )
        }))
    }
}

fn form(text: &str) -> Result<Form, String> {
    let items = StrftimeItems::new(text)
        .parse_to_owned()
        .map_err(|_| format!("the form `{text}` is not strftime"))?;
    if items.contains(&Item::Fixed(Fixed::TimezoneName)) {
        return Err(format!(
            "the form `{text}` has `%Z`: a zone's name is not read; take `%z`, or `zone`"
        ));
    }
    let timed = items.iter().any(|item| match item {
        Item::Numeric(numeric, _) => matches!(
            numeric,
            Numeric::Hour
                | Numeric::Hour12
                | Numeric::Minute
                | Numeric::Second
                | Numeric::Timestamp
        ),
        Item::Fixed(fixed) => matches!(fixed, Fixed::RFC3339 | Fixed::RFC2822),
        _ => false,
    });
    Ok(Form {
        text: text.to_owned(),
        items,
        timed,
    })
}

fn fixes_offset(item: &Item) -> bool {
    match item {
        Item::Numeric(numeric, _) => *numeric == Numeric::Timestamp,
        Item::Fixed(fixed) => matches!(
            fixed,
            Fixed::TimezoneOffset
                | Fixed::TimezoneOffsetColon
                | Fixed::TimezoneOffsetDoubleColon
                | Fixed::TimezoneOffsetTripleColon
                | Fixed::TimezoneOffsetColonZ
                | Fixed::TimezoneOffsetZ
                | Fixed::RFC2822
                | Fixed::RFC3339
        ),
        _ => false,
    }
}

impl Form {
    /// Reads a text of this form: `None` where it is of another, an error where it names what does
    /// not exist.
    fn read(&self, text: &str) -> Result<Option<Moment>, String> {
        let mut parsed = Parsed::new();
        if parse(&mut parsed, text, self.items.iter()).is_err() {
            return Ok(None);
        }
        if has_long_fraction(text) {
            return Err("has more than nine digits of a second".into());
        }
        let moment = if let Some(seconds) = parsed.timestamp() {
            let nanos = parsed.nanosecond().unwrap_or_default();
            let instant = DateTime::from_timestamp(seconds, nanos);
            Moment::Instant(instant.ok_or("is out of range")?.fixed_offset())
        } else {
            let date = parsed.to_naive_date().map_err(|_| {
                format!("names a day that does not exist (read as `{}`)", self.text)
            })?;
            let local = date.and_time(self.time(&mut parsed)?);
            match parsed.offset() {
                None => Moment::Local(local),
                Some(seconds) => {
                    let offset =
                        FixedOffset::east_opt(seconds).ok_or("has an offset out of range")?;
                    let instant = offset.from_local_datetime(&local).single();
                    Moment::Instant(instant.ok_or("is out of range")?)
                }
            }
        };
        let year = match &moment {
            Moment::Local(local) => local.year(),
            Moment::Instant(instant) => instant.with_timezone(&Utc).year(),
        };
        if (1000..=9999).contains(&year) {
            Ok(Some(moment))
        } else {
            Err(format!(
                "names the year {year} (read as `{}`): expected four digits",
                self.text
            ))
        }
    }

    fn time(&self, parsed: &mut Parsed) -> Result<NaiveTime, String> {
        if !self.timed {
            return Ok(NaiveTime::MIN);
        }
        if parsed.minute().is_none() {
            parsed.set_minute(0).ok();
        }
        let time = parsed.to_naive_time().map_err(|_| {
            format!(
                "names a time of day that does not exist (read as `{}`)",
                self.text
            )
        })?;
        if time.nanosecond() >= 1_000_000_000 {
            return Err("is a leap second, which no target keeps".into());
        }
        Ok(time)
    }
}

/// Digits after the ninth would be dropped by the parser without a word.
fn has_long_fraction(text: &str) -> bool {
    text.split(['.', ','])
        .skip(1)
        .any(|rest| rest.bytes().take_while(u8::is_ascii_digit).count() > 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(formats: &[&str], zone: &str) -> Field {
        Field {
            kind: Type::Timestamp,
            formats: formats.iter().map(|form| (*form).to_owned()).collect(),
            zone: (!zone.is_empty()).then(|| zone.to_owned()),
            ..Field::default()
        }
    }

    fn at(field: &Field, text: &str) -> Result<String, String> {
        Moments::new(field, None)?.timestamp(text)
    }

    #[test]
    fn every_form_of_a_day_is_local_midnight() {
        let field = field(
            &["%m/%d/%Y", "%Y-%m-%d", "%m/%d/%Y %H:%M"],
            "America/Los_Angeles",
        );
        assert_eq!(at(&field, "01/15/2024").unwrap(), "2024-01-15T08:00:00Z");
        assert_eq!(at(&field, "2024-01-15").unwrap(), "2024-01-15T08:00:00Z");
        assert_eq!(at(&field, "7/4/2024 9:30").unwrap(), "2024-07-04T16:30:00Z");
    }

    #[test]
    fn an_offset_wins_over_the_zone_and_fractions_stay() {
        let field = field(&[], "Asia/Tokyo");
        assert_eq!(
            at(&field, "2024-01-15T20:00:00.25-04:00").unwrap(),
            "2024-01-16T00:00:00.250Z"
        );
        assert_eq!(
            at(&field, "2024-01-15T20:00:00Z").unwrap(),
            "2024-01-15T20:00:00Z"
        );
        assert!(at(&field, "2024-01-15T20:00:00.1234567891Z").is_err());
        assert!(at(&field, "2024-01-15T20:00:00").is_err());
    }

    #[test]
    fn a_local_time_in_a_gap_or_overlap_is_decided_by_the_plan() {
        let mut field = field(&["%Y-%m-%d %H:%M"], "America/Los_Angeles");
        let (gap, twice) = ("2024-03-10 02:30", "2024-11-03 01:30");
        assert!(
            at(&field, gap)
                .unwrap_err()
                .contains("does not exist in America/Los_Angeles")
        );
        assert!(
            at(&field, twice)
                .unwrap_err()
                .contains("exists twice in America/Los_Angeles")
        );
        (field.gap, field.ambiguous) = (Gap::Before, Ambiguous::First);
        assert_eq!(at(&field, gap).unwrap(), "2024-03-10T10:30:00Z");
        assert_eq!(at(&field, twice).unwrap(), "2024-11-03T08:30:00Z");
        (field.gap, field.ambiguous) = (Gap::After, Ambiguous::Second);
        assert_eq!(at(&field, gap).unwrap(), "2024-03-10T09:30:00Z");
        assert_eq!(at(&field, twice).unwrap(), "2024-11-03T09:30:00Z");
    }

    #[test]
    fn what_does_not_exist_is_said() {
        let field = field(&["%m/%d/%Y", "%Y-%m-%dT%H:%M:%S"], "UTC");
        for (text, said) in [
            ("02/30/2024", "names a day that does not exist"),
            (
                "13/01/2024",
                "has none of the forms `%m/%d/%Y`, `%Y-%m-%dT%H:%M:%S`",
            ),
            ("1/5/24", "names the year 24"),
            ("2024-06-30T23:59:60", "is a leap second"),
            ("TBD", "has none of the forms"),
            ("01/15/2024 ", "has none of the forms"),
        ] {
            let found = at(&field, text).unwrap_err();
            assert!(found.starts_with(said), "{text}: {found}");
        }
    }

    #[test]
    fn the_day_of_an_instant_is_that_of_the_zone() {
        let day = |zone: &str| {
            let field = Field {
                kind: Type::Date,
                zone: Some(zone.into()),
                ..Field::default()
            };
            Moments::new(&field, None)
                .unwrap()
                .date("2024-01-15T20:00:00-04:00")
                .unwrap()
        };
        assert_eq!(
            (day("UTC").as_str(), day("America/New_York").as_str()),
            ("2024-01-16", "2024-01-15")
        );
        let field = Field {
            kind: Type::Date,
            ..Field::default()
        };
        let none = Moments::new(&field, None).unwrap();
        assert_eq!(none.date("2024-01-15").unwrap(), "2024-01-15");
        assert!(
            none.date("2024-01-15T20:00:00Z")
                .unwrap_err()
                .contains("depends on a zone")
        );
    }

    #[test]
    fn forms_and_zones_that_make_no_sense_are_refused() {
        for (formats, zone, said) in [
            (&["%Q"][..], "UTC", "is not strftime"),
            (&["%H:%M %Z"], "UTC", "`%Z`"),
            (&["%Y"], "Mars/Base", "there is no zone `Mars/Base`"),
            (&["%Y-%m-%d"], "", "carry no zone"),
        ] {
            let found = Moments::new(&field(formats, zone), None).unwrap_err();
            assert!(found.contains(said), "{found}");
        }
        assert!(Moments::new(&field(&["%Y-%m-%dT%H:%M:%S%:z", "%s"], ""), None).is_ok());
    }
}
