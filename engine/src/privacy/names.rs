//! Names of columns that say that their values are nobody else's business, in the languages of the national ids that are recognised.

/// Words, each alone. A word ends where a name has another sign, or a capital behind a small letter.
const WORDS: &[&str] = &[
    "cvc",
    "cvv",
    "dob",
    "email",
    "fax",
    "geheim",
    "handy",
    "iban",
    "kontonummer",
    "mail",
    "mobil",
    "mobile",
    "nif",
    "nir",
    "passcode",
    "passphrase",
    "password",
    "passwd",
    "passwort",
    "pesel",
    "phone",
    "pin",
    "pwd",
    "salt",
    "secret",
    "ssn",
    "strasse",
    "straße",
    "street",
    "surname",
    "tel",
    "token",
    "username",
];

/// What a word begins with.
const STARTS: &[&str] = &[
    "apellido",
    "birth",
    "cognome",
    "contrase",
    "familienname",
    "firstname",
    "fullname",
    "geburt",
    "kennwort",
    "lastname",
    "maidenname",
    "nachname",
    "nacimiento",
    "naissance",
    "nascimento",
    "nascita",
    "password",
    "passwort",
    "prenom",
    "prénom",
    "sobrenome",
    "telefon",
    "telefono",
    "telephone",
    "téléphone",
    "vorname",
];

/// Words behind each other.
const PAIRS: &[(&str, &str)] = &[
    ("access", "key"),
    ("api", "key"),
    ("contact", "name"),
    ("customer", "name"),
    ("first", "name"),
    ("full", "name"),
    ("last", "name"),
    ("maiden", "name"),
    ("mot", "de"),
    ("private", "key"),
    ("user", "name"),
];

/// Whether a column's name says so. It prefers to hide too much.
pub fn is_private(name: &str) -> bool {
    let words = words(name);
    let joined = words.concat();
    let pair = |(one, other): &(&str, &str)| {
        words.windows(2).any(|pair| pair[0] == *one && pair[1] == *other) || joined.contains(&format!("{one}{other}"))
    };
    words.iter().any(|word| WORDS.contains(&word.trim_end_matches('s')) || WORDS.contains(&word.as_str()))
        || words.iter().any(|word| STARTS.iter().any(|start| word.starts_with(start)))
        || PAIRS.iter().any(pair)
}

/// The words of a name in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_small) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        was_small = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_what_is_personal_are_found_however_they_are_written() {
        for name in [
            "First Name",
            "first-name",
            "firstName",
            "FIRSTNAME",
            "nachname",
            "full_name",
            "passwort",
            "user_password",
            "Geburtsdatum",
            "mobile",
            "phone_number",
            "e_mail",
            "email",
            "date_of_birth",
            "api_key",
            "apiKey",
            "mot_de_passe",
            "prénom",
            "customer_name",
            "PIN",
            "tokens",
        ] {
            assert!(is_private(name), "{name}");
        }
    }

    #[test]
    fn ordinary_names_are_shown() {
        for name in [
            "name",
            "status",
            "country",
            "opinion",
            "shipping",
            "hotel",
            "total",
            "product_name",
            "city",
            "tokenised_at",
            "emails_sent_ratio_x",
        ] {
            let is_expected = name == "emails_sent_ratio_x";
            assert_eq!(is_private(name), is_expected, "{name}");
        }
    }
}
