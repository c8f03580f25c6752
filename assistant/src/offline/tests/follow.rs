//! Questions that go on with the one before.

use super::*;

fn after(before: &str, question: &str) -> (Outcome<Statement>, Option<String>) {
    with_setting(|setting| ask_after(Some(before), question, setting))
}

fn sentence(before: &str, question: &str) -> String {
    match after(before, question) {
        (Outcome::Made(_), Some(sentence)) => sentence,
        other => panic!("{before} + {question}: {other:?}"),
    }
}

#[test]
fn a_question_that_goes_on_becomes_one_sentence_with_the_one_before() {
    for (before, question, expected) in [
        ("count orders", "and in 2025?", "count orders in 2025"),
        (
            "How many orders did we get in March 2026?",
            "what about last month?",
            "How many orders did we get last month",
        ),
        ("count orders in 2024 per status", "and in 2025?", "count orders in 2025 per status"),
        ("count orders per status", "in 2025", "count orders in 2025 per status"),
        ("count orders per status", "per month instead", "count orders per month"),
        ("count orders per status", "now by country of the customer", "count orders per country of the customer"),
        ("count orders per status", "also by month", "count orders per status and month"),
        ("count orders", "by status", "count orders per status"),
        ("count orders per status", "just the top 3", "count orders per status, the 3 highest"),
        ("orders", "only those with total over 100", "orders with total over 100"),
        ("orders where status is paid", "where total is over 5", "orders where status is paid where total is over 5"),
        ("orders where status is paid", "the same where status is open", "orders where status is open"),
        ("customers", "without orders", "customers without orders"),
        ("Wie viele Bestellungen gab es 2024", "count brands", "count brands"),
        ("Anzahl der Bestellungen", "und im Jahr 2025?", "Anzahl der Bestellungen im Jahr 2025"),
        ("Anzahl der Bestellungen", "pro Monat", "Anzahl der Bestellungen per Monat"),
    ] {
        assert_eq!(sentence(before, question), expected, "{before} + {question}");
    }
}

#[test]
fn groups_beside_others_are_asked_about_if_it_is_not_said_which_stay() {
    let (Outcome::Asked(question), None) = after("count orders per status", "by month") else {
        panic!("{:?}", after("count orders per status", "by month"))
    };
    let sentences: Vec<&str> = question.choices.iter().map(|choice| choice.sentence.as_str()).collect();
    assert_eq!(sentences, ["count orders per month", "count orders per status and month"]);
}

#[test]
fn what_goes_on_with_nothing_is_not_understood() {
    let alone = with_setting(|setting| ask_after(None, "and in 2025?", setting));
    assert!(matches!(alone, (Outcome::NotUnderstood(_), None)), "{alone:?}");
    for (before, question) in [
        ("count brands", "and in 2025?"),
        ("orders", "without cancelled ones"),
        ("orders", "only those in Germany"),
        ("orders where status is paid", "where status is open"),
        ("nonsense", "and in 2025?"),
    ] {
        let after = after(before, question);
        assert!(matches!(after, (Outcome::NotUnderstood(_), None)), "{before} + {question}: {after:?}");
    }
}
