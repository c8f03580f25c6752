//! Which choice of a question is the person's answer.

use std::collections::BTreeSet;

use headwater_assistant::{Question, fold, split_name};

/// Letters that two words must share to count as forms of one.
const STEM: usize = 4;

/// The choice that has more of the answer's words than any other: as they are written, then in another form, then in the sentence that says it.
pub(super) fn chosen(question: &Question, answer: &str) -> Option<usize> {
    let answer = words(answer);
    let score = |text: &str, sentence: &str| {
        let (text, sentence) = (words(text), words(sentence));
        let exact = |among: &BTreeSet<String>| answer.intersection(among).count();
        let alike = answer.iter().filter(|word| text.iter().any(|other| are_alike(word, other))).count();
        (exact(&text), alike, exact(&sentence))
    };
    let scores: Vec<_> = question.choices.iter().map(|choice| score(&choice.text, &choice.sentence)).collect();
    let best = scores.iter().max().filter(|best| **best != (0, 0, 0))?;
    let mut places = (0..scores.len()).filter(|place| scores[*place] == *best);
    places.next().filter(|_| places.next().is_none())
}

/// Whether a question asks about these words: names of the catalog, or parts of them, which no language changes.
pub(super) fn asks_about(question: &Question, about: &str) -> bool {
    let choices = question.choices.iter().flat_map(|choice| [choice.text.as_str(), choice.sentence.as_str()]);
    let said: Vec<&str> = std::iter::once(question.text.as_str()).chain(choices).collect();
    about.split_whitespace().all(|word| said.iter().any(|text| text.contains(word)))
}

fn words(text: &str) -> BTreeSet<String> {
    split_name(text).into_iter().collect()
}

fn are_alike(one: &str, other: &str) -> bool {
    let (one, other) = (fold(one), fold(other));
    let begins = |long: &str, short: &str| short.chars().count() >= STEM && long.starts_with(short);
    one == other || begins(&one, &other) || begins(&other, &one)
}

#[cfg(test)]
mod tests {
    use headwater_assistant::Choice;

    use super::*;

    fn question(choices: &[(&str, &str)]) -> Question {
        let choice =
            |(text, sentence): &(&str, &str)| Choice { text: (*text).to_owned(), sentence: (*sentence).to_owned() };
        Question { text: "Which one?".to_owned(), choices: choices.iter().map(choice).collect() }
    }

    #[test]
    fn an_answer_is_the_choice_with_most_of_its_words() {
        let users =
            question(&[("DisplayName of Users by opened_by", "…"), ("DisplayName of Users by assigned_to", "…")]);
        assert_eq!(chosen(&users, "the user who opened it"), Some(0));
        assert_eq!(chosen(&users, "der zugewiesene: assigned"), Some(1));
        let units = question(&[("one value over all units", "x"), ("a value for each unit of Features", "x")]);
        assert_eq!(chosen(&units, "per account name and unit"), Some(1));
        let people = question(&[("pers_nr of ma by angelegt", "x"), ("pers_nr of ma by verantw", "x")]);
        assert_eq!(chosen(&people, "die verantwortliche Person"), Some(1));
    }

    #[test]
    fn an_answer_that_fits_no_choice_or_two_is_none() {
        let users = question(&[("by opened_by", "x"), ("by assigned_to", "x")]);
        assert_eq!(chosen(&users, "whatever"), None);
        assert_eq!(chosen(&users, "opened or assigned"), None);
    }

    #[test]
    fn a_question_is_about_names_of_the_catalog_as_they_are_written() {
        let asked = question(&[("city by billing_address_id", "x"), ("city by shipping_address_id", "x")]);
        assert!(asks_about(&asked, "billing shipping"));
        assert!(!asks_about(&asked, "billing home"));
        assert!(!asks_about(&asked, "Billing"));
    }
}
