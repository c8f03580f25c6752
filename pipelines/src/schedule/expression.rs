//! Cron expressions: read, or refused with the field that is wrong and what it may hold.

use std::str::FromStr;

use cron::Cron;

/// The fields, what messages call them and the numbers they may hold.
const FIELDS: [(&str, u32, u32); 5] =
    [("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7)];

/// Reads an expression of five fields, or a nickname such as `@daily`.
pub(super) fn parse_cron(text: &str) -> Result<Cron, String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    if let [nickname] = fields.as_slice()
        && nickname.starts_with('@')
    {
        return Cron::from_str(nickname).map_err(|_| {
            format!("'{text}' is not a cron expression; expected five fields, or @hourly, @daily, @weekly, @monthly, @yearly")
        });
    }
    if fields.len() != FIELDS.len() {
        let count = match fields.len() {
            1 => "1 field".to_owned(),
            count => format!("{count} fields"),
        };
        return Err(format!("'{text}' has {count}; expected five: minute, hour, day of month, month, day of week"));
    }
    for (field, (name, least, most)) in fields.iter().zip(FIELDS) {
        if let Some(number) = beyond(field, least, most) {
            return Err(format!("the {name} is {number}; it can be {least} to {most}"));
        }
    }
    Cron::from_str(text)
        .map_err(|_| faulty_field(&fields).unwrap_or_else(|| format!("'{text}' is not a cron expression")))
}

/// A number of a field that is outside its range. Steps may be any number but 0.
fn beyond(field: &str, least: u32, most: u32) -> Option<&str> {
    let numbers = field.split(',').filter_map(|item| item.split('/').next()).flat_map(|range| range.split('-'));
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    numbers.filter(is_number).find(|number| !number.parse().is_ok_and(|number: u32| (least..=most).contains(&number)))
}

/// The first field that can't be read even if all others are `*`.
fn faulty_field(fields: &[&str]) -> Option<String> {
    fields.iter().zip(FIELDS).enumerate().find_map(|(index, (field, (name, least, most)))| {
        let mut alone = ["*"; FIELDS.len()];
        *alone.get_mut(index)? = field;
        Cron::from_str(&alone.join(" ")).is_err().then(|| {
            format!(
                "the {name} is '{field}'; expected *, a number from {least} to {most}, a range such as {least}-{most}, a list such as {least},{most} or a step such as */2"
            )
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn refused(text: &str) -> String {
        parse_cron(text).unwrap_err()
    }

    #[test]
    fn a_number_out_of_range_is_reported_with_its_field_and_the_range() {
        assert_eq!(refused("0 25 * * *"), "the hour is 25; it can be 0 to 23");
        assert_eq!(refused("61 6 * * *"), "the minute is 61; it can be 0 to 59");
        assert_eq!(refused("0 6 0 * *"), "the day of the month is 0; it can be 1 to 31");
        assert_eq!(refused("0 6 * 1-13 *"), "the month is 13; it can be 1 to 12");
        assert_eq!(refused("0 6 * * 1,8"), "the day of the week is 8; it can be 0 to 7");
        assert_eq!(refused("99999999999 6 * * *"), "the minute is 99999999999; it can be 0 to 59");
    }

    #[test]
    fn a_field_that_can_not_be_read_is_reported_with_what_it_may_hold() {
        for (text, start) in [
            ("x 6 * * *", "the minute is 'x'; expected *"),
            ("0 6 * FOO *", "the month is 'FOO'; expected *"),
            ("*/0 6 * * *", "the minute is '*/0'; expected *"),
            ("0 9-5 * * *", "the hour is '9-5'; expected *"),
        ] {
            assert!(refused(text).starts_with(start), "{text}: {}", refused(text));
        }
        assert!(refused("daily").starts_with("'daily' has 1 field; expected five"));
        assert!(refused("0 0 6 * * *").starts_with("'0 0 6 * * *' has 6 fields; expected five"));
        assert!(refused("@dayly").contains("@daily"));
    }

    #[test]
    fn names_steps_lists_and_nicknames_are_read() {
        for text in ["0 6 * * *", "*/15 0-6,22 1,15 JAN-MAR MON", "0 6 * * 7", "0 0 L * *", "@daily", "0 0 * * FRI#2"] {
            assert!(parse_cron(text).is_ok(), "{text}: {:?}", parse_cron(text).err());
        }
    }
}
