//! Numbers of accounts, cards and persons, told from other numbers by their check digits.
//!
//! Sources: ISO 13616 (IBAN), ISO/IEC 7812 (cards, Luhn), and of each state's number the rule that its agency publishes; named at each.

/// Whether a piece of text holds an IBAN: in one group, or in groups of four as it is printed.
pub(super) fn holds_iban(piece: &str) -> bool {
    is_iban(&joined(piece))
        || piece.split([' ', '.', '-', '/']).any(is_iban)
        || starts(piece).any(|rest| is_iban(&printed(rest)))
}

/// Whether a piece of text holds the number of a payment card: 13 to 19 digits whose Luhn digit is right, and of an issuer that there is.
pub(super) fn holds_card(piece: &str) -> bool {
    let is_card = |digits: &str| {
        (13..=19).contains(&digits.len())
            && is_number(digits)
            && digits.starts_with(['2', '3', '4', '5', '6'])
            && luhn(digits)
    };
    digit_runs(piece).any(|digits| is_card(&digits))
}

/// Whether a piece of text holds a number that a state gives to a person.
pub(super) fn holds_national_id(piece: &str) -> bool {
    is_us(piece)
        || words_of(piece).any(|word| is_letters_and_digits_id(&word))
        || digit_runs(piece).any(|digits| is_digits_id(&digits))
}

/// Without what separates groups, in upper case.
fn joined(piece: &str) -> String {
    piece.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
}

/// The piece from each of its groups on.
fn starts(piece: &str) -> impl Iterator<Item = &str> {
    let breaks = piece.char_indices().filter(|(_, c)| !c.is_ascii_alphanumeric()).map(|(at, _)| at + 1);
    std::iter::once(0).chain(breaks).map(|at| &piece[at..])
}

/// Groups of four and the shorter one that ends them, joined.
fn printed(piece: &str) -> String {
    let mut text = String::new();
    for group in piece.split([' ', '.', '-', '/']) {
        text.push_str(group);
        if group.len() != 4 {
            break;
        }
    }
    text.to_ascii_uppercase()
}

/// Its words, and neighbouring words as one: an id may be written with its parts apart.
fn words_of(piece: &str) -> impl Iterator<Item = String> {
    let words = piece.split([' ', '.', '-', '/']).map(str::to_ascii_uppercase);
    words.chain(std::iter::once(joined(piece)))
}

/// Every run of groups of digits, joined.
fn digit_runs(piece: &str) -> impl Iterator<Item = String> {
    let groups: Vec<String> = piece.split([' ', '.', '-', '/']).map(str::to_owned).collect();
    let longest = groups.len().min(6);
    (0..groups.len()).flat_map(move |from| {
        let groups = groups.clone();
        (1..=longest.min(groups.len() - from)).map(move |length| groups[from..from + length].concat())
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn digits(text: &str) -> impl DoubleEndedIterator<Item = u32> + '_ {
    text.bytes().map(|b| u32::from(b - b'0'))
}

/// The sum of digits, each times its weight.
fn weighted(text: &str, weights: &[u32]) -> u32 {
    digits(text).zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// The remainder of a decimal number of any length.
fn remainder(text: &str, of: u32) -> u32 {
    digits(text).fold(0, |rest, digit| (rest * 10 + digit) % of)
}

fn luhn(text: &str) -> bool {
    let sum: u32 = digits(text)
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { digit })
        .sum();
    sum.is_multiple_of(10)
}

/// Two letters, two check digits, 11 to 30 more: the number of all of it, with the first four at the end and letters as 10 to 35, leaves 1 of 97.
fn is_iban(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shaped = (15..=34).contains(&bytes.len())
        && bytes[..2].iter().all(u8::is_ascii_alphabetic)
        && bytes[2..4].iter().all(u8::is_ascii_digit)
        && bytes.iter().all(u8::is_ascii_alphanumeric);
    if !shaped {
        return false;
    }
    let turned = bytes[4..].iter().chain(&bytes[..4]).map(|b| (*b as char).to_digit(36).unwrap_or(0));
    turned.fold(0, |rest, value| if value > 9 { (rest * 100 + value) % 97 } else { (rest * 10 + value) % 97 }) == 1
}

/// The United States' social security number, `AAA-GG-SSSS`; areas 000, 666 and 900 and above are not given out.
fn is_us(piece: &str) -> bool {
    let groups: Vec<&str> = piece.split('-').collect();
    groups.windows(3).any(|three| {
        let [area, group, serial] = three else { return false };
        let area = area.rsplit(' ').next().unwrap_or(area);
        let serial = serial.split(' ').next().unwrap_or(serial);
        [area, group, serial].iter().all(|part| is_number(part))
            && (area.len(), group.len(), serial.len()) == (3, 2, 4)
            && !matches!(area, "000" | "666")
            && !area.starts_with('9')
            && *group != "00"
            && serial != "0000"
    })
}

/// Ids with letters: Spain (DNI, NIE), Italy (codice fiscale), the United Kingdom (national insurance number).
fn is_letters_and_digits_id(word: &str) -> bool {
    word.is_ascii() && (is_spanish(word) || is_italian(word) || is_british(word))
}

/// Eight digits and the letter that their remainder of 23 selects; X, Y, Z in the first place stand for 0, 1, 2.
fn is_spanish(word: &str) -> bool {
    const LETTERS: &[u8] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let [first, .., last] = word.as_bytes() else { return false };
    let number = match first {
        b'X' => format!("0{}", &word[1..word.len() - 1]),
        b'Y' => format!("1{}", &word[1..word.len() - 1]),
        b'Z' => format!("2{}", &word[1..word.len() - 1]),
        _ => word[..word.len() - 1].to_owned(),
    };
    word.len() == 9 && is_number(&number) && LETTERS.get(remainder(&number, 23) as usize) == Some(last)
}

/// Sixteen characters of a fixed shape: six letters, two digits, a letter, two digits, a letter, three digits, a letter.
fn is_italian(word: &str) -> bool {
    const SHAPE: &[u8] = b"AAAAAA00A00A000A";
    word.len() == SHAPE.len()
        && word.bytes().zip(SHAPE).all(|(b, shape)| match shape {
            b'A' => b.is_ascii_uppercase(),
            _ => b.is_ascii_digit() || b"LMNPQRSTUV".contains(&b),
        })
}

/// Two letters, six digits, a letter from A to D.
fn is_british(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() == 9
        && bytes[..2].iter().all(|b| b.is_ascii_uppercase() && !b"DFIQUV".contains(b))
        && bytes[2..8].iter().all(u8::is_ascii_digit)
        && matches!(bytes[8], b'A'..=b'D')
}

/// Ids of digits alone. Each rule lets about one number of ten or fewer through that is none.
fn is_digits_id(text: &str) -> bool {
    if !is_number(text) {
        return false;
    }
    match text.len() {
        10 => is_swedish(text),
        11 => is_german(text) || is_polish(text) || is_brazilian(text) || is_belgian(text),
        12 => is_indian(text),
        15 => is_french(text),
        _ => false,
    }
}

/// Sweden's personnummer: a date and a Luhn digit.
fn is_swedish(text: &str) -> bool {
    is_month_and_day(&text[2..6]) && luhn(text)
}

/// Germany's tax id: no leading zero, one digit repeats among the first ten, ISO 7064 MOD 11,10.
fn is_german(text: &str) -> bool {
    let mut seen = [0_u32; 10];
    digits(&text[..10]).for_each(|digit| seen[digit as usize] += 1);
    let repeated = seen.iter().filter(|count| **count > 1).count() == 1 && seen.iter().all(|count| *count <= 3);
    let product = digits(&text[..10]).fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    !text.starts_with('0') && repeated && digits(text).next_back() == Some((11 - product) % 10)
}

/// Poland's PESEL: a date whose month tells the century, and weights 1, 3, 7, 9.
fn is_polish(text: &str) -> bool {
    let month = remainder(&text[2..4], 100) % 20;
    let day = remainder(&text[4..6], 100);
    (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && weighted(text, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

/// Brazil's CPF: two check digits of 11, and not the same digit throughout.
fn is_brazilian(text: &str) -> bool {
    let check = |length: u32| {
        let weights: Vec<u32> = (2..=length + 1).rev().collect();
        weighted(text, &weights) * 10 % 11 % 10
    };
    let mut last = digits(&text[9..]);
    let same = digits(text).all(|digit| Some(digit) == digits(text).next());
    !same && last.next() == Some(check(9)) && last.next() == Some(check(10))
}

/// Belgium's national number: a date, and 97 minus the remainder of 97, of the number with a 2 before it for births from 2000 on.
fn is_belgian(text: &str) -> bool {
    let check = remainder(&text[9..], 100);
    let of = |number: &str| 97 - remainder(number, 97);
    is_month_and_day(&text[2..6]) && (of(&text[..9]) == check || of(&format!("2{}", &text[..9])) == check)
}

/// India's Aadhaar: no leading 0 or 1, Verhoeff's check digit.
fn is_indian(text: &str) -> bool {
    const TIMES: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const TURNED: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let check = digits(text)
        .rev()
        .enumerate()
        .fold(0_u8, |check, (place, digit)| TIMES[check as usize][TURNED[place % 8][digit as usize] as usize]);
    !text.starts_with(['0', '1']) && check == 0
}

/// France's NIR: sex, year and month of birth, and 97 minus the remainder of 97.
fn is_french(text: &str) -> bool {
    text.starts_with(['1', '2']) && 97 - remainder(&text[..13], 97) == remainder(&text[13..], 100)
}

/// `MMDD`
fn is_month_and_day(text: &str) -> bool {
    (1..=12).contains(&remainder(&text[..2], 100)) && (1..=31).contains(&remainder(&text[2..4], 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_states_number_is_told_by_its_check_digit() {
        // Numbers that the agencies publish as examples, and the same with another last digit.
        let real = [
            "86095742719",
            "44051401359",
            "52998224725",
            "85073003328",
            "234123412346",
            "255081416802538",
            "8112189876",
        ];
        for number in real {
            assert!(is_digits_id(number), "{number}");
            let last = number.as_bytes()[number.len() - 1] - b'0';
            let changed = format!("{}{}", &number[..number.len() - 1], (last + 1) % 10);
            assert!(!is_digits_id(&changed), "{changed}");
        }
    }

    #[test]
    fn an_iban_is_found_in_groups_and_in_the_middle_of_a_sentence() {
        assert!(holds_iban("IBAN DE89 3704 0044 0532 0130 00 thanks"));
        assert!(holds_iban("FR1420041010050500013M02606"));
        assert!(!holds_iban("DE88 3704 0044 0532 0130 00"));
    }

    #[test]
    fn a_card_is_found_in_groups_and_its_check_digit_counts() {
        assert!(holds_card("4111-1111-1111-1111"));
        assert!(!holds_card("4111-1111-1111-1112"));
        assert!(!holds_card("1234567890123"));
    }
}
