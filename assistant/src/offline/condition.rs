//! Conditions in words, and the literals in them.

use super::lexer::Token;
use super::period::{self, Period};
use super::selection::Test;
use super::sql::opposite;
use super::stop::Stop;

/// What kinds of literals a column is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Text,
    Number,
    Boolean,
    /// A date, or a time with or without a zone.
    Time,
    /// Nothing that a sentence can write.
    Other,
}

impl Family {
    /// The family of an Arrow type, in its display form.
    pub(super) fn of(arrow_type: &str) -> Self {
        let begins = |names: &[&str]| names.iter().any(|name| arrow_type.starts_with(name));
        if begins(&["Utf8", "LargeUtf8"]) {
            Self::Text
        } else if begins(&["Int", "UInt", "Float", "Decimal"]) && !arrow_type.starts_with("Interval") {
            Self::Number
        } else if begins(&["Boolean"]) {
            Self::Boolean
        } else if begins(&["Date", "Timestamp"]) {
            Self::Time
        } else {
            Self::Other
        }
    }
}

/// Reads the test of a column from the tokens behind it; answers with how many it took. `at` is the place of the first one in the sentence.
pub(super) fn test(said: &[Token], at: usize, family: Family) -> Result<(usize, Test), Stop> {
    let mut reading = Reading { said, at, place: 0, family };
    let test = reading.test()?;
    Ok((reading.place, test))
}

struct Reading<'a> {
    said: &'a [Token],
    at: usize,
    place: usize,
    family: Family,
}

/// Words that compare, longest first, and what they mean.
const COMPARISONS: [(&[&str], &str); 37] = [
    (&["greater", "than", "or", "equal", "to"], ">="),
    (&["less", "than", "or", "equal", "to"], "<="),
    (&["on", "or", "after"], ">="),
    (&["on", "or", "before"], "<="),
    (&["no", "later", "than"], "<="),
    (&["no", "earlier", "than"], ">="),
    (&["equal", "to"], "="),
    (&["greater", "than"], ">"),
    (&["higher", "than"], ">"),
    (&["more", "than"], ">"),
    (&["larger", "than"], ">"),
    (&["later", "than"], ">"),
    (&["less", "than"], "<"),
    (&["lower", "than"], "<"),
    (&["smaller", "than"], "<"),
    (&["earlier", "than"], "<"),
    (&["other", "than"], "<>"),
    (&["at", "least"], ">="),
    (&["at", "most"], "<="),
    (&["up", "to"], "<="),
    (&["since"], ">="),
    (&["until"], "<="),
    (&["till"], "<="),
    (&["exceeds"], ">"),
    (&["exceeding"], ">"),
    (&["above"], ">"),
    (&["over"], ">"),
    (&["below"], "<"),
    (&["under"], "<"),
    (&["after"], ">"),
    (&["before"], "<"),
    (&[">="], ">="),
    (&["<="], "<="),
    (&[">"], ">"),
    (&["<"], "<"),
    (&["!="], "<>"),
    (&["<>"], "<>"),
];

/// What stands behind a number or a day: `4 or more`.
const BOUNDS: [(&str, &[&str]); 2] = [
    (">=", &["more", "higher", "above", "greater", "later", "up", "newer"]),
    ("<=", &["less", "lower", "below", "fewer", "smaller", "earlier", "older"]),
];

impl Reading<'_> {
    fn test(&mut self) -> Result<Test, Stop> {
        let modal = self.take(&["must"]) || self.take(&["should"]) || self.take(&["has", "to"]);
        let not_before = modal && self.take(&["not"]);
        let is = (modal && self.take(&["be"]))
            || ["is", "are", "was", "were", "=", "equals", "has", "have", "of"].iter().any(|word| self.take(&[word]));
        let not = not_before || self.take(&["not"]) || (is && self.take(&["never"]));
        if ["empty", "null", "missing", "blank"].iter().any(|word| self.take(&[word])) {
            return Ok(if not { Test::NotEmpty } else { Test::Empty });
        }
        if self.family == Family::Number {
            for (word, sign) in [("positive", ">"), ("negative", "<"), ("zero", "=")] {
                if self.take(&[word]) {
                    return Ok(Test::Compare(if not { opposite(sign) } else { sign }, "0".to_owned()));
                }
            }
        }
        if self.take(&["between"]) {
            return self.between("and", not);
        }
        if self.begins_a_range() && self.take(&["from"]) {
            return self.between("to", not);
        }
        if self.take(&["one", "of"]) || self.take(&["any", "of"]) {
            let values = self.values()?;
            return Ok(negated(not, Test::Among(values)));
        }
        if let Some(pattern) = self.pattern(not)? {
            return Ok(Test::Like(pattern));
        }
        if let Some(sign) = COMPARISONS.iter().find(|(words, _)| self.take(words)).map(|(_, sign)| *sign) {
            let sign = if not { opposite(sign) } else { sign };
            return match self.family {
                Family::Time => self.dated(sign),
                _ => Ok(Test::Compare(sign, self.value()?)),
            };
        }
        if self.family == Family::Time {
            let period = self.period()?;
            let sign = if not { "<>" } else { self.bound().unwrap_or("=") };
            return Ok(beside(sign, period));
        }
        // `with newsletter true` has no word between column and value.
        self.take(&["either"]);
        let values = self.alternatives()?;
        if !not
            && let [value] = values.as_slice()
            && let Some(sign) = self.bound()
        {
            return Ok(Test::Compare(sign, value.clone()));
        }
        match values.as_slice() {
            [value] => Ok(Test::Compare(if not { "<>" } else { "=" }, value.clone())),
            _ => Ok(negated(not, Test::Among(values))),
        }
    }

    /// `from 10 to 20`; `from 10` alone is a bound.
    fn begins_a_range(&self) -> bool {
        let rest = &self.said[self.place..];
        rest.first().is_some_and(|token| token.is("from")) && rest.iter().take(5).any(|token| token.is("to"))
    }

    /// `until March` leaves open whether March is in it; a day is.
    fn dated(&mut self, sign: &str) -> Result<Test, Stop> {
        let at = self.place;
        let period = self.period()?;
        if sign == "<=" && !period.is_day() {
            self.place = at;
            return Err(self.expected("a day, which is in it, or 'before' and a period, which is not"));
        }
        Ok(beside(sign, period))
    }

    fn begins_a_bound(&self) -> bool {
        let next = self.said.get(self.place + 1);
        let is_bound = |word: &&str| next.is_some_and(|next| next.is(word));
        self.family == Family::Number && BOUNDS.iter().any(|(_, words)| words.iter().any(&is_bound))
    }

    /// `or more`
    fn bound(&mut self) -> Option<&'static str> {
        if !matches!(self.family, Family::Number | Family::Time) {
            return None;
        }
        for (sign, words) in BOUNDS {
            if words.iter().any(|word| self.take(&["or", *word]) || (*word == "up" && self.take(&["and", *word]))) {
                return Some(sign);
            }
        }
        None
    }

    fn period(&mut self) -> Result<Period, Stop> {
        let mut read = period::read(&self.said[self.place..]);
        if read.is_none() && self.take(&["the"]) {
            read = period::read(&self.said[self.place..]);
        }
        let Some((length, period)) = read else {
            return Err(self.expected("a date such as 2026-03-29, or a period such as this month"));
        };
        self.place += length;
        Ok(period)
    }

    fn between(&mut self, joint: &str, not: bool) -> Result<Test, Stop> {
        if self.family == Family::Time {
            let first = self.period()?;
            if !self.take(&[joint]) {
                return Err(self.expected(&format!("'{joint}' and the last day")));
            }
            let at = self.place;
            let both = first.through(self.period()?);
            self.place = if both.is_none() { at } else { self.place };
            let both = both.ok_or_else(|| self.expected("a day or a period with its year"))?;
            return Ok(negated(not, Test::During(both)));
        }
        let low = self.value()?;
        if !self.take(&[joint]) {
            return Err(self.expected(&format!("'{joint}' and the upper bound")));
        }
        let high = self.value()?;
        Ok(negated(not, Test::Between(low, high)))
    }

    fn pattern(&mut self, not: bool) -> Result<Option<String>, Stop> {
        if self.family != Family::Text || not {
            return Ok(None);
        }
        let shapes: [(&[&str], bool, bool); 3] =
            [(&["contains"], true, true), (&["starts", "with"], false, true), (&["ends", "with"], true, false)];
        let Some((_, before, after)) = shapes.into_iter().find(|(words, ..)| self.take(words)) else { return Ok(None) };
        let Some(token) = self.said.get(self.place).filter(|token| !token.is_sign() || token.is_quoted) else {
            return Err(self.expected("a text"));
        };
        self.place += 1;
        Ok(Some(pattern(&token.text, before, after)))
    }

    /// `paid or open`
    fn alternatives(&mut self) -> Result<Vec<String>, Stop> {
        let mut values = vec![self.value()?];
        while !self.begins_a_bound() && self.take(&["or"]) {
            values.push(self.value()?);
        }
        Ok(values)
    }

    fn values(&mut self) -> Result<Vec<String>, Stop> {
        let mut values = vec![self.value()?];
        loop {
            let comma = self.take(&[","]);
            // What `and` leads to is the last one: another `and` begins another condition.
            let is_last = self.take(&["and"]) || self.take(&["or"]);
            if !comma && !is_last {
                return Ok(values);
            }
            values.push(self.value()?);
            if is_last {
                return Ok(values);
            }
        }
    }

    /// One literal, as SQL.
    fn value(&mut self) -> Result<String, Stop> {
        let Some(token) = self.said.get(self.place) else { return Err(self.expected("a value")) };
        let literal = match self.family {
            Family::Text if token.is_quoted || (!token.is_sign() && !is_predicate(&token.text)) => {
                Some(text(&token.text))
            }
            Family::Number => number(&token.text),
            Family::Boolean => boolean(&token.text),
            _ => None,
        };
        let Some(literal) = literal else {
            let expected = match self.family {
                Family::Text => "a text; one of several words stands in quotes",
                Family::Number => "a number such as 12 or 0.5",
                Family::Boolean => "true or false",
                Family::Time => "a date such as 2026-03-29, or a period such as this month",
                Family::Other => "'is empty' or 'is not empty': values of this type can't be written in a sentence",
            };
            return Err(self.expected(expected));
        };
        self.place += 1;
        // `1,000` would be two numbers.
        if self.family == Family::Number
            && let [comma, digits, ..] = &self.said[self.place..]
            && comma.is(",")
            && comma.span.start == token.span.end
            && digits.span.start == comma.span.end
        {
            return Err(self.expected("a number without separators, or a blank behind the comma"));
        }
        Ok(literal)
    }

    fn take(&mut self, words: &[&str]) -> bool {
        let rest = &self.said[self.place..];
        let are = rest.len() >= words.len() && words.iter().zip(rest).all(|(word, token)| token.is(word));
        if are {
            self.place += words.len();
        }
        are
    }

    fn expected(&self, what: &str) -> Stop {
        Stop::at(self.at + self.place, what)
    }
}

/// The pattern of a LIKE: a text, and whether others may stand before and behind it.
pub(super) fn pattern(value: &str, before: bool, after: bool) -> String {
    let escape = |c| if matches!(c, '%' | '_' | '\\') { vec!['\\', c] } else { vec![c] };
    let escaped: String = value.chars().flat_map(escape).collect();
    let any = |is: bool| if is { "%" } else { "" };
    text(&format!("{}{escaped}{}", any(before), any(after)))
}

/// A day is a stretch of time: what is after it comes when it has ended.
pub(super) fn beside(sign: &str, period: Period) -> Test {
    match sign {
        "<" => Test::Before(period),
        "<=" => Test::Until(period),
        ">" => Test::After(period),
        ">=" => Test::From(period),
        "<>" => Test::Not(Box::new(Test::During(period))),
        _ => Test::During(period),
    }
}

/// Words that say something of a column rather than being in it; as a text they stand in quotes.
#[rustfmt::skip]
const PREDICATES: [&str; 68] = [
    "unique", "duplicated", "duplicate", "duplicates", "valid", "invalid", "distinct", "not", "like", "in",
    "set", "unset", "present", "the", "a", "an", "no", "one", "either", "neither", "between", "more", "less",
    "at", "over", "under", "above", "below", "most", "fewest", "highest", "lowest", "per", "by", "before",
    "after", "since", "until", "from", "than", "sorted", "descending", "ascending", "only", "which", "that",
    "who", "with", "without", "today", "yesterday", "empty", "null", "missing", "blank", "none", "nothing",
    "is", "are", "and", "masked", "hidden", "hashed", "encrypted", "removed", "dropped", "renamed",
    "anonymised",
];

fn is_predicate(word: &str) -> bool {
    PREDICATES.iter().any(|predicate| word.eq_ignore_ascii_case(predicate))
}

fn negated(not: bool, test: Test) -> Test {
    if not { Test::Not(Box::new(test)) } else { test }
}

/// A text as a literal.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn number(value: &str) -> Option<String> {
    let plain = value.strip_prefix(['-', '+']).unwrap_or(value);
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (digits(whole) && digits(fraction)).then(|| value.trim_start_matches('+').to_owned())
}

fn boolean(value: &str) -> Option<String> {
    let value = value.to_ascii_lowercase();
    match value.as_str() {
        "true" | "yes" => Some("true".to_owned()),
        "false" | "no" => Some("false".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::lexer::cut;
    use super::super::selection::Unit;
    use super::*;

    fn read(words: &str, family: Family) -> Test {
        let said = cut(words);
        let (length, read) = test(&said, 0, family).unwrap();
        assert_eq!(length, said.len(), "{words}");
        read
    }

    #[test]
    fn values_are_read_as_their_columns_type_says() {
        let compare = |sign, value: &str| Test::Compare(sign, value.to_owned());
        assert_eq!(read("is paid", Family::Text), compare("=", "'paid'"));
        assert_eq!(read("is \"O'Neill & Co\"", Family::Text), compare("=", "'O''Neill & Co'"));
        assert_eq!(read("is not 5", Family::Number), compare("<>", "5"));
        assert_eq!(read("is at least 1.50", Family::Number), compare(">=", "1.50"));
        assert_eq!(read("is not less than 3", Family::Number), compare(">=", "3"));
        assert_eq!(read(">= -3", Family::Number), compare(">=", "-3"));
        assert_eq!(read("is false", Family::Boolean), compare("=", "false"));
        assert_eq!(read("true", Family::Boolean), compare("=", "true"));
        let day = |day: &str| {
            let day = day.parse::<chrono::NaiveDate>().unwrap();
            Period::Fixed(day, day.succ_opt().unwrap())
        };
        assert_eq!(read("is before 2026-03-29", Family::Time), Test::Before(day("2026-03-29")));
        assert_eq!(read("is after 2026-03-29", Family::Time), Test::After(day("2026-03-29")));
        assert_eq!(read("is yesterday", Family::Time), Test::During(Period::Relative(Unit::Day, 1)));
        assert_eq!(read("is in this month", Family::Time), Test::During(Period::Relative(Unit::Month, 0)));
        assert_eq!(read("since March 2026", Family::Time), Test::From(Period::month(2026, 3).unwrap()));
        assert_eq!(read("is not empty", Family::Other), Test::NotEmpty);
        assert_eq!(read("of 4 or more", Family::Number), compare(">=", "4"));
        assert_eq!(read("from 1 to 5", Family::Number), Test::Between("1".to_owned(), "5".to_owned()));
        assert_eq!(
            read("is one of iO, niO and x", Family::Text),
            Test::Among(["'iO'", "'niO'", "'x'"].map(str::to_owned).to_vec())
        );
        assert_eq!(read("is between 1 and 5", Family::Number), Test::Between("1".to_owned(), "5".to_owned()));
        assert_eq!(read("contains '5%'", Family::Text), Test::Like("'%5\\%%'".to_owned()));
    }

    #[test]
    fn a_value_that_does_not_fit_is_reported_at_its_place() {
        for (words, family, at) in [
            ("is paid", Family::Number, 1),
            ("is maybe", Family::Boolean, 1),
            ("is", Family::Text, 1),
            ("is between 1 or 2", Family::Number, 3),
        ] {
            let Err(Stop::NotUnderstood(misread)) = test(&cut(words), 0, family) else { unreachable!("{words}") };
            assert_eq!(misread.at, at, "{words}");
        }
    }
}
