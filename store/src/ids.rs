//! Beginnings of ids, which people write instead of whole ones.

use uuid::Uuid;

use crate::{Result, StoreError, Suggest};

/// Ids that an ambiguous beginning names.
pub(crate) const AMBIGUOUS_SHOWN: i64 = 5;

/// The beginning of an id: digits of it, dashes or not.
pub(crate) struct Beginning<'a> {
    /// The smallest id that begins like this.
    pub(crate) from: Uuid,
    /// The largest one.
    pub(crate) to: Uuid,
    /// What has such an id, e.g. `run`.
    what: &'a str,
    text: &'a str,
    list: Suggest,
}

impl<'a> Beginning<'a> {
    /// Reads one. `list` is the operation that shows the ids there are.
    pub(crate) fn read(what: &'a str, text: &'a str, list: Suggest) -> Result<Self> {
        let Some((from, to)) = range(text) else {
            return Err(StoreError::invalid(format!("'{text}' is not the beginning of a {what}'s id"))
                .hint(format!(
                    "an id consists of 32 hexadecimal digits; its beginning is enough if no other {what} shares it"
                ))
                .suggest(list));
        };
        Ok(Self { from, to, what, text, list })
    }

    /// The only id of those that were found, newest first: up to one more than [`AMBIGUOUS_SHOWN`].
    pub(crate) fn only(self, found: &[Uuid]) -> Result<Uuid> {
        let Self { what, text, list, .. } = self;
        match found {
            [id] => Ok(*id),
            [] => Err(StoreError::not_found(format!("there is no {what} {text}")).suggest(list)),
            several => {
                let shown = several.iter().take(usize::try_from(AMBIGUOUS_SHOWN).unwrap_or(usize::MAX));
                let shown: Vec<String> = shown.map(Uuid::to_string).collect();
                let more = if several.len() > shown.len() { ", …" } else { "" };
                Err(StoreError::invalid(format!("several {what}s begin with {text}"))
                    .hint(format!("the newest are {}{more}", shown.join(", "))))
            }
        }
    }
}

/// The smallest and the largest id that begin like this.
fn range(prefix: &str) -> Option<(Uuid, Uuid)> {
    let digits: String = prefix.chars().filter(|c| *c != '-').collect();
    if digits.is_empty() || digits.len() > 32 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let smallest = u128::from_str_radix(&format!("{digits:0<32}"), 16).ok()?;
    let largest = u128::from_str_radix(&format!("{digits:f<32}"), 16).ok()?;
    Some((Uuid::from_u128(smallest), Uuid::from_u128(largest)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_beginning_of_an_id_stands_for_a_range() {
        let (from, to) = range("0199c2c0-7d").unwrap();
        assert_eq!(from.to_string(), "0199c2c0-7d00-0000-0000-000000000000");
        assert_eq!(to.to_string(), "0199c2c0-7dff-ffff-ffff-ffffffffffff");
        assert_eq!((range(""), range("latest"), range(&"0".repeat(33))), (None, None, None));
    }
}
