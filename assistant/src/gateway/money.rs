//! Money as integers: nano-dollars, and prices that hold from a day on.

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::request::Usage;

/// A price is for this many tokens.
const TOKENS_OF_A_PRICE: u128 = 1_000_000;

/// Nano-dollars in a dollar. Nine decimals of a dollar per million tokens are exact with it.
const NANOS_OF_A_DOLLAR: u64 = 1_000_000_000;

/// More dollars than this are a slip of the pen, and would overflow sums.
const MOST_DOLLARS: u64 = 1_000_000_000;

/// An amount in nano-dollars. In settings it is a decimal text of dollars with at most nine decimals: `"2.50"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Money(pub u64);

impl Money {
    /// Reads dollars such as `2.50`. `None` for anything but a plain decimal number of at most nine decimals.
    #[must_use]
    pub fn parse(dollars: &str) -> Option<Self> {
        let (whole, part) = dollars.split_once('.').unwrap_or((dollars, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 9 {
            return None;
        }
        let whole = whole.parse::<u64>().ok().filter(|dollars| *dollars <= MOST_DOLLARS)?;
        let part = format!("{part:0<9}").parse::<u64>().ok()?;
        Some(Self(whole * NANOS_OF_A_DOLLAR + part))
    }
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = format!("{:09}", self.0 % NANOS_OF_A_DOLLAR);
        let part = part.trim_end_matches('0');
        write!(f, "${}.{part:0<2}", self.0 / NANOS_OF_A_DOLLAR)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!("'{text}' is not an amount; expected dollars as a text, such as \"2.50\""))
        })
    }
}

/// What a model costs from a day on, in dollars per million tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The first day (UTC) that the price holds.
    pub from: NaiveDate,
    /// Tokens of the request.
    pub input: Money,
    /// Tokens of the request that the provider read from its cache; those of `input` if absent.
    pub cached_input: Option<Money>,
    /// Tokens of the request that the provider wrote to its cache; those of `input` if absent.
    pub cache_write: Option<Money>,
    /// Tokens of the answer, with those that the model thought in.
    pub output: Money,
}

impl Price {
    /// The price of a day; `None` if none is known for it.
    pub(super) fn on(prices: &[Self], day: NaiveDate) -> Option<&Self> {
        prices.iter().filter(|price| price.from <= day).max_by_key(|price| price.from)
    }

    /// What these tokens cost, rounded up once for the whole call.
    pub(super) fn cost(&self, usage: &Usage) -> Money {
        let parts = [
            (usage.input, self.input),
            (usage.cached, self.cached_input.unwrap_or(self.input)),
            (usage.cache_write, self.cache_write.unwrap_or(self.input)),
            (usage.output, self.output),
        ];
        let sum: u128 = parts.iter().map(|(tokens, rate)| u128::from(*tokens) * u128::from(rate.0)).sum();
        Money(u64::try_from(sum.div_ceil(TOKENS_OF_A_PRICE)).unwrap_or(u64::MAX))
    }

    /// Whether nothing is ever charged, as on a server of one's own.
    pub(super) fn is_free(&self) -> bool {
        let most = [Some(self.input), self.cached_input, self.cache_write, Some(self.output)];
        most.into_iter().flatten().all(|rate| rate.0 == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(from: &str, input: &str) -> Price {
        Price {
            from: from.parse().unwrap(),
            input: Money::parse(input).unwrap(),
            cached_input: Money::parse("0.0375"),
            cache_write: None,
            output: Money::parse("10").unwrap(),
        }
    }

    #[test]
    fn amounts_are_exact_decimal_texts() {
        assert_eq!(Money::parse("2.50"), Some(Money(2_500_000_000)));
        assert_eq!(Money::parse("0.000000001"), Some(Money(1)));
        for wrong in ["", ".", "1.", ".5", "-1", "1e3", "1,5", "0.0000000001", "99999999999", " 1"] {
            assert_eq!(Money::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Money(2_500_000_000).to_string(), "$2.50");
        assert_eq!(Money(1).to_string(), "$0.000000001");
    }

    #[test]
    fn the_price_of_a_day_is_the_newest_that_has_begun() {
        let prices = [price("2026-06-01", "2"), price("2026-01-01", "3")];
        let on = |day: &str| Price::on(&prices, day.parse().unwrap()).map(|price| price.input);
        assert_eq!(on("2025-12-31"), None);
        assert_eq!(on("2026-05-31"), Money::parse("3"));
        assert_eq!(on("2026-06-01"), Money::parse("2"));
    }

    #[test]
    fn a_call_is_rounded_up_once_and_tells_cached_tokens_apart() {
        let usage = Usage { input: 1, cached: 1, cache_write: 1, output: 0, reasoning: 0 };
        // 2,500 + 37.5 + 2,500 nano-dollars.
        assert_eq!(price("2026-01-01", "2.5").cost(&usage), Money(5_038));
    }
}
