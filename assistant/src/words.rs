//! Words of names and of sentences, so that `OrderItems`, `order_items` and "the order items" are the same.

/// The words of a name: split at anything but letters and digits, where the case changes, and between letters and digits.
pub fn split_name(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let letters: Vec<char> = name.chars().collect();
    for (place, &c) in letters.iter().enumerate() {
        let before = place.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(place + 1);
        if !c.is_alphanumeric() {
            finish(&mut words, &mut word);
            continue;
        }
        let rises = c.is_uppercase() && before.is_some_and(char::is_lowercase);
        // The last capital of `HTTPServer` begins the next word.
        let last_of_several =
            c.is_uppercase() && before.is_some_and(char::is_uppercase) && after.is_some_and(|next| next.is_lowercase());
        let changes = before.is_some_and(|before| before.is_alphanumeric() && before.is_numeric() != c.is_numeric());
        if rises || last_of_several || changes {
            finish(&mut words, &mut word);
        }
        word.push(c);
    }
    finish(&mut words, &mut word);
    words
}

fn finish(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        words.push(std::mem::take(word).to_lowercase());
    }
}

/// The words of a name or a sentence, folded.
pub fn tokens(text: &str) -> Vec<String> {
    split_name(text).iter().map(|word| fold(word)).filter(|word| !word.is_empty()).collect()
}

/// A word without accents and without the endings of its plural: what two forms of a word have in common. For comparing, not for showing.
pub fn fold(word: &str) -> String {
    let plain: String = word.to_lowercase().chars().map(plain).collect::<Vec<_>>().concat();
    singular(&plain)
}

/// A letter without its accent, in the spelling that people type instead.
fn plain(c: char) -> String {
    let letters = match c {
        'ä' | 'æ' => "ae",
        'ö' | 'œ' => "oe",
        'ü' => "ue",
        'ß' => "ss",
        'à' | 'á' | 'â' | 'ã' | 'å' => "a",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'ì' | 'í' | 'î' | 'ï' => "i",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' => "o",
        'ù' | 'ú' | 'û' => "u",
        'ñ' => "n",
        'ç' => "c",
        'ý' | 'ÿ' => "y",
        other => return other.to_string(),
    };
    letters.to_owned()
}

/// English plurals; what they have in common with the singular in other languages too. Short words stay.
fn singular(word: &str) -> String {
    let stem = |ending: &str| word.strip_suffix(ending).filter(|stem| stem.chars().count() >= 3);
    if let Some(stem) = stem("ies") {
        return format!("{stem}y");
    }
    for (ending, kept) in [("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("zes", "z")] {
        if let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.chars().count() >= 2) {
            return format!("{stem}{kept}");
        }
    }
    match stem("s") {
        Some(stem) if !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_case_underscores_and_digits() {
        assert_eq!(split_name("OrderItems2024"), ["order", "items", "2024"]);
        assert_eq!(split_name("customer_id"), ["customer", "id"]);
        assert_eq!(split_name("HTTPServerLog"), ["http", "server", "log"]);
        assert_eq!(split_name("Straße \"Nr.\" 7b"), ["straße", "nr", "7", "b"]);
        assert_eq!(split_name("__"), Vec::<String>::new());
    }

    #[test]
    fn two_forms_of_a_word_are_the_same() {
        for (one, other) in [
            ("orders", "order"),
            ("Categories", "category"),
            ("boxes", "box"),
            ("batches", "batch"),
            ("addresses", "address"),
            ("Straße", "strasse"),
            ("entités", "entite"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("status"), fold("statu"));
        assert_eq!(fold("gas"), "gas");
    }
}
