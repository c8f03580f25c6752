//! Recognises personal data in text, wherever in the text it stands.

use std::net::IpAddr;
use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids;

/// A kind of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Personal {
    /// An e-mail address.
    Email,
    /// An international bank account number whose check digits are right.
    Iban,
    /// The number of a payment card whose check digit is right.
    Card,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A number that a state gives to a person.
    NationalId,
    /// A telephone number.
    Phone,
}

impl Personal {
    /// What stands in the place of a value.
    pub fn words(self) -> &'static str {
        match self {
            Self::Email => "e-mail address",
            Self::Iban => "bank account",
            Self::Card => "card number",
            Self::Ip => "IP address",
            Self::NationalId => "national id",
            Self::Phone => "phone number",
        }
    }
}

/// Longer text is not shown at all, so that it need not be looked through.
const LONGEST: usize = 4_096;

/// `local@domain` with a dot in the domain; letters of any script, since addresses may have them.
static EMAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(\.[\w-]+)+").ok());

/// Pieces that could be an account, a card or an id: letters and digits, in groups that blanks, dots, slashes or hyphens separate.
static GROUPS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9]+(?:[ .\-/][A-Za-z0-9]+)*").ok());

/// A number with an optional country code, as people write it.
static PHONE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?:\+|\b00|\(|\b)\d[\d ()./\-]{5,22}\d\b").ok());

/// Pieces that could be an address of the Internet Protocol.
static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[0-9A-Fa-f:.]{3,45}").ok());

/// The first kind of personal data that a text holds. Text of over 4,096 bytes counts as a telephone number would: it is not looked through.
pub fn recognise(text: &str) -> Option<Personal> {
    if text.len() > LONGEST {
        return Some(Personal::Phone);
    }
    let text = &plain(text);
    let found = |pattern: &LazyLock<Option<Regex>>, holds: fn(&str) -> bool| match pattern.as_ref() {
        Some(pattern) => pattern.find_iter(text).any(|piece| holds(piece.as_str())),
        // A pattern that does not compile would show everything: it hides everything.
        None => true,
    };
    let kinds: [(Personal, bool); 6] = [
        (Personal::Email, text.contains('@') && found(&EMAIL, |_| true)),
        (Personal::Iban, found(&GROUPS, ids::holds_iban)),
        (Personal::Card, found(&GROUPS, ids::holds_card)),
        (Personal::Ip, found(&ADDRESS, is_address)),
        (Personal::NationalId, found(&GROUPS, ids::holds_national_id)),
        (Personal::Phone, found(&PHONE, is_phone)),
    ];
    kinds.into_iter().find(|(_, is)| *is).map(|(kind, _)| kind)
}

/// The text with the wide signs and the digits of other scripts as the ones that patterns know.
fn plain(text: &str) -> String {
    let digit = |value: u32, c: char| char::from_digit(value, 10).unwrap_or(c);
    let sign = |c: char| match u32::from(c) {
        wide @ 0xff01..=0xff5e => char::from_u32(wide - 0xfee0).unwrap_or(c),
        arabic @ 0x660..=0x669 => digit(arabic - 0x660, c),
        persian @ 0x6f0..=0x6f9 => digit(persian - 0x6f0, c),
        devanagari @ 0x966..=0x96f => digit(devanagari - 0x966, c),
        _ => c,
    };
    text.chars().map(sign).collect()
}

fn is_address(piece: &str) -> bool {
    let piece = piece.trim_end_matches(['.', ':']);
    // `::` alone and version numbers of three parts are none.
    piece.len() > 3 && piece.parse::<IpAddr>().is_ok()
}

/// Seven to fifteen digits, as many as E.164 allows, that are no date and no plain number.
fn is_phone(piece: &str) -> bool {
    let digits = piece.chars().filter(char::is_ascii_digit).count();
    let groups: Vec<&str> = piece.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
    let international = piece.starts_with('+') || piece.starts_with("00");
    let is_date = matches!(groups.as_slice(), [a, b, c, ..]
        if (a.len() == 4 && b.len() <= 2 && c.len() <= 2) || (a.len() <= 2 && b.len() <= 2 && c.len() == 4));
    // One group with a leading zero is a number that was dialled at home; without it it is any number.
    let written_apart = groups.len() > 1 && !piece.contains(['/']) && !is_decimal(&groups, piece);
    (7..=15).contains(&digits)
        && !is_date
        && (international || written_apart || (groups.len() == 1 && piece.starts_with('0')))
}

/// `1234567.89` or `1.234.567`: a number, not a number to call.
fn is_decimal(groups: &[&str], piece: &str) -> bool {
    let dots_only = piece.chars().all(|c| c.is_ascii_digit() || c == '.');
    dots_only && (groups.len() == 2 || groups[1..].iter().all(|group| group.len() == 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_is_recognised_alone_and_in_a_sentence() {
        let samples = [
            (Personal::Email, "mario.rossi+x@example.co.uk"),
            (Personal::Email, "jürgen@müller.de"),
            (Personal::Email, "x.o＠oberhuber.de"),
            (Personal::Phone, "+٤٩ ٣٠ ٩٠١٨٢٠"),
            (Personal::Phone, "+४९ ३० ९०१८२०"),
            (Personal::Iban, "DE89 3704 0044 0532 0130 00"),
            (Personal::Iban, "gb82west12345698765432"),
            (Personal::Card, "4111 1111 1111 1111"),
            (Personal::Card, "378282246310005"),
            (Personal::Ip, "192.168.17.4"),
            (Personal::Ip, "2001:db8::8a2e:370:7334"),
            (Personal::NationalId, "078-05-1120"),
            (Personal::NationalId, "12345678Z"),
            (Personal::NationalId, "RSSMRA85T10A562S"),
            (Personal::NationalId, "44051401359"),
            (Personal::NationalId, "529.982.247-25"),
            (Personal::Phone, "+49 30 901820"),
            (Personal::Phone, "(030) 9018-20123"),
            (Personal::Phone, "0151 23456789"),
        ];
        for (kind, text) in samples {
            assert_eq!(recognise(text), Some(kind), "{text}");
            assert_eq!(recognise(&format!("call ({text}), please.")), Some(kind), "in a sentence: {text}");
        }
    }

    #[test]
    fn ordinary_values_are_shown() {
        let ordinary = [
            "paid",
            "DE",
            "2026-03-29",
            "29.03.2026",
            "12:30:00",
            "2026-03-29T10:00:00Z",
            "1234567.89",
            "1.234.567",
            "A-1042",
            "v1.2.3",
            "4711",
            "1000000",
            "user @ home",
            "North West",
            "SKU 12-34",
            "100 %",
            "",
            "::",
            "f00",
            "3f2504e0",
        ];
        for text in ordinary {
            assert_eq!(recognise(text), None, "{text}");
        }
    }

    #[test]
    fn text_that_is_too_long_to_look_through_is_hidden() {
        assert!(recognise(&"a ".repeat(5_000)).is_some());
    }
}
