//! Rows that violate a rule are set aside, and the others go on.

use headwater_pipelines::spec::Values;

use super::*;
use crate::rejects::{Origin, Rejects};

/// A check that sets rows of `orders` aside, and what it has set aside.
fn aside(rules: Vec<Rule>) -> (Checked, Rejects) {
    let mut rejects = Rejects::default();
    let checked = checked_by(rules, OnFailure::Quarantine, |barrier, progress| {
        let quarantine = rejects.quarantine("checked", "rows", None, progress.task("checked"));
        barrier.setting_aside(quarantine, "orders".to_owned())
    });
    (checked, rejects)
}

fn kept(rejects: &Rejects) -> Vec<(String, String)> {
    let text = |content: Option<Vec<u8>>| String::from_utf8(content.unwrap()).unwrap();
    rejects.kept().into_iter().map(|reject| (reject.reason, text(reject.content))).collect()
}

#[tokio::test]
async fn a_row_is_set_aside_once_and_whole_and_null_violates_nothing() {
    let german = rule(|rule| {
        rule.accepted_values = Some(Values { column: "country".to_owned(), values: vec!["DE".into()] });
    });
    let numbered = rule(|rule| rule.sql = Some("id > 0".to_owned()));
    let (checked, rejects) = aside(vec![not_negative(), german, numbered]);
    assert_eq!(checked.run("SELECT id FROM checked").await.unwrap(), 3, "one of them has no id");
    assert_eq!(
        kept(&rejects),
        [
            (
                "rules amount >= 0, accepted_values(country) are violated".to_owned(),
                r#"{"id":2,"amount":-5,"country":"FR"}"#.to_owned()
            ),
            (
                "rule accepted_values(country) is violated".to_owned(),
                r#"{"id":3,"amount":30,"country":"FR"}"#.to_owned()
            ),
        ]
    );
    assert_eq!(rejects.kept()[0].origin, Origin::Row { dataset: "orders".to_owned() });
    assert_eq!(checked.progress.counts()["checked"].rejected, 2);
    rejects.judge().unwrap();
}

#[tokio::test]
async fn what_reads_a_check_hides_no_row_that_is_set_aside_and_doubles_none() {
    for (statement, rows) in [
        ("SELECT id FROM checked WHERE amount > 20", 3),
        ("SELECT id FROM checked LIMIT 1", 1),
        ("SELECT a.id FROM checked a JOIN checked b ON a.id = b.id", 5),
    ] {
        let (checked, rejects) = aside(vec![not_negative()]);
        assert_eq!(checked.run(statement).await.unwrap(), rows, "{statement}");
        assert_eq!(kept(&rejects).len(), 1, "{statement}");
        assert_eq!(checked.progress.counts()["checked"].rejected, 1, "{statement}");
    }
}
