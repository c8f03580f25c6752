//! Names that several tables, columns or words of SQL have.

use super::*;

#[test]
fn tables_of_one_name_are_asked_about_and_the_target_is_no_source() {
    let mut tables: Vec<KnownTable> = shop().tables().map(|(_, table)| table.clone()).collect();
    let mut loaded = typed(&["brands"], &["id int", "name text"]);
    loaded.connection = "lake".to_owned();
    tables.push(loaded);
    let known = Known::new(tables);
    let (now, targets) = ("2026-03-31T22:30:00Z".parse().unwrap(), ["lake".to_owned()]);
    let setting = Setting { known: &known, targets: &targets, terms: &[], zone: chrono_tz::UTC, now };
    let Outcome::Asked(question) = ask("count brands", &setting) else { panic!("{:?}", ask("count brands", &setting)) };
    let names: Vec<&str> = question.choices.iter().map(|choice| choice.text.as_str()).collect();
    assert_eq!(names, ["lake.brands", "shop.public.brands"]);
    for choice in &question.choices {
        assert!(matches!(ask(&choice.sentence, &setting), Outcome::Made(_)), "{}", choice.sentence);
    }
    let Outcome::Made(draft) = compile("load brands into lake.brands, overwrite", &setting) else { panic!("no draft") };
    assert_eq!(draft.spec.tasks["brands"].extract.as_ref().unwrap().from.as_deref(), Some("shop.public.brands"));
    let itself = compile("load lake.brands into lake.brands, append", &setting);
    assert!(matches!(itself, Outcome::NotUnderstood(_)), "{itself:?}");
}

#[test]
fn names_that_differ_in_case_alone_are_asked_about_unless_they_are_in_quotes() {
    let known = Known::new(vec![typed(&["Loads"], &["id int key", "Status text", "status text", "total num"])]);
    let (now, targets) = ("2026-03-31T22:30:00Z".parse().unwrap(), ["lake".to_owned()]);
    let setting = Setting { known: &known, targets: &targets, terms: &[], zone: chrono_tz::UTC, now };
    for text in [
        "count loads per status",
        "loads where status is open",
        "sum of total of loads per STATUS",
        "Anzahl der loads je Status",
    ] {
        let Outcome::Asked(question) = ask(text, &setting) else { panic!("{text}: {:?}", ask(text, &setting)) };
        let made: Vec<String> = question
            .choices
            .iter()
            .map(|choice| match ask(&choice.sentence, &setting) {
                Outcome::Made(statement) => statement.sql,
                other => panic!("{}: {other:?}", choice.sentence),
            })
            .collect();
        assert_eq!(made.len(), 2, "{text}");
        assert!(matches!(ask("count loads per Status", &setting), Outcome::Made(_)), "a capital is meant");
        assert_ne!(made[0], made[1], "{text}");
    }
}

#[test]
fn tables_that_differ_in_case_alone_are_told_apart_by_their_full_names() {
    let known = Known::new(vec![typed(&["Load"], &["id int key"]), typed(&["load"], &["id int key"])]);
    let (now, targets) = ("2026-03-31T22:30:00Z".parse().unwrap(), ["lake".to_owned()]);
    let setting = Setting { known: &known, targets: &targets, terms: &[], zone: chrono_tz::UTC, now };
    let Outcome::Asked(question) = ask("count load", &setting) else { panic!("{:?}", ask("count load", &setting)) };
    let made: Vec<bool> =
        question.choices.iter().map(|choice| matches!(ask(&choice.sentence, &setting), Outcome::Made(_))).collect();
    assert_eq!(made, [true, true], "{question:?}");
}

#[test]
fn a_task_that_is_called_like_a_word_of_sql_is_quoted() {
    let known = Known::new(vec![typed(&["order"], &["id int key", "total num"])]);
    let (now, targets) = ("2026-03-31T22:30:00Z".parse().unwrap(), ["lake".to_owned()]);
    let setting = Setting { known: &known, targets: &targets, terms: &[], zone: chrono_tz::UTC, now };
    let made = compile("load order where total is over 5 into lake.big, overwrite", &setting);
    let Outcome::Made(drafted) = made else { panic!("{made:?}") };
    let sql = drafted.spec.tasks["big"].transform.clone().unwrap();
    assert!(sql.contains("FROM \"order\" AS t_order"), "{sql}");
}
