#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use headwater_pipelines::spec::Columns;
use proptest::prelude::*;

use super::*;
use crate::typed::generator::{Dice, valid};
use crate::typed::seeded;

const TEXT: &str = r#"# Revenue by country.
name: revenue
schedule: { cron: "0 6 * * *", timezone: Europe/Berlin } # before the shops open
tasks:
  # From the shop.
  orders: { extract: { from: shop.public.orders } }
  paid:
    # Only what was paid.
    transform: |
      SELECT id, total -- in euros
      FROM orders
      WHERE status = 'paid'

  # To the lake.
  publish:
    load: { input: paid, into: lake.paid, mode: append } # every day
    timeout: 10m
"#;

fn spec(text: &str) -> Spec {
    let read = Document::read("x.yaml", text);
    assert_eq!(read.diagnostics, []);
    read.spec.unwrap()
}

fn changed(change: impl Fn(&mut Spec)) -> String {
    let before = spec(TEXT);
    let mut after = before.clone();
    change(&mut after);
    patch(TEXT, &before, &after).unwrap()
}

#[test]
fn a_changed_field_is_the_only_text_that_changes() {
    let text = changed(|spec| {
        spec.tasks.get_mut("publish").unwrap().load.as_mut().unwrap().mode =
            Some(headwater_pipelines::spec::WriteMode::Overwrite);
    });
    assert_eq!(text, TEXT.replace("append", "overwrite"));
    let text = changed(|spec| spec.schedule.as_mut().unwrap().timezone = Some("UTC".to_owned()));
    assert_eq!(text, TEXT.replace("Europe/Berlin", "UTC"));
    let text = changed(|spec| spec.tasks.get_mut("publish").unwrap().timeout = None);
    assert_eq!(text, TEXT.replace("    timeout: 10m\n", ""));
}

#[test]
fn a_changed_statement_stays_a_block_at_its_place() {
    let sql = "SELECT id, total\nFROM orders\nWHERE status <> 'open'\n";
    let text = changed(|spec| spec.tasks.get_mut("paid").unwrap().transform = Some(sql.to_owned()));
    let block = "    transform: |\n      SELECT id, total\n      FROM orders\n      WHERE status <> 'open'\n";
    assert!(
        text.contains(block) && text.contains("# Only what was paid.") && text.contains("  # To the lake.\n"),
        "{text}"
    );
}

#[test]
fn tasks_come_and_go_with_their_comments_and_leave_the_others_as_they_are() {
    let text = changed(|spec| {
        let task = Task { wait: Some(std::time::Duration::from_secs(5)), ..Task::default() };
        spec.tasks.insert("pause".to_owned(), task);
    });
    assert_eq!(text, format!("{TEXT}  pause: {{ wait: 5s }}\n"));
    let text = changed(|spec| {
        spec.tasks.shift_remove("paid");
        spec.tasks.get_mut("publish").unwrap().load.as_mut().unwrap().input = "orders".to_owned();
    });
    assert!(
        !text.contains("Only what was paid") && text.contains("# From the shop.") && text.contains("# every day"),
        "{text}"
    );
}

#[test]
fn a_text_that_is_not_the_specs_is_not_patched() {
    let before = spec(TEXT);
    let mut other = before.clone();
    other.name = "other".to_owned();
    assert_eq!(patch("name: x\n", &before, &other), None);
    assert_eq!(patch("", &before, &other), None);
}

#[test]
fn what_an_edit_touches_is_named_by_tasks() {
    let before = spec(TEXT);
    let mut after = before.clone();
    after.tasks.get_mut("paid").unwrap().transform = Some("SELECT 1".to_owned());
    after.schedule = None;
    let names: Vec<String> = touched(&before, &after).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["paid", "schedule"]);
}

/// A random change of a spec.
fn change(spec: &mut Spec, other: &Spec, dice: &mut Dice) {
    let names: Vec<String> = spec.tasks.keys().cloned().collect();
    let name = dice.pick(&names);
    let taken = other.tasks.values().next().cloned();
    match (dice.roll(6), taken) {
        (0, Some(task)) => {
            spec.tasks.insert(format!("new{}", spec.tasks.len()), task);
        }
        (1, Some(task)) => {
            spec.tasks.insert(name, task);
        }
        (2, _) if names.len() > 1 => {
            spec.tasks.shift_remove(&name);
        }
        (3, _) => spec.schedule.clone_from(&other.schedule),
        (4, _) => spec.description = Some("Changed: \"so\" # it is\nthere".to_owned()),
        _ => {
            let Some(task) = spec.tasks.get_mut(&name) else { return };
            match (&mut task.extract, &mut task.transform, &mut task.load) {
                (Some(extract), ..) => extract.columns = Some(Columns::Only(vec!["id".to_owned(), "a b".to_owned()])),
                (_, Some(sql), _) => *sql = "SELECT 1\n\nFROM t -- two\n".to_owned(),
                (.., Some(load)) => load.partition_by = vec!["id".to_owned()],
                _ => task.description = Some("what".to_owned()),
            }
        }
    }
}

proptest! {
    #![proptest_config(seeded(200))]

    #[test]
    fn an_edited_text_reads_as_the_edited_spec_and_keeps_every_other_task_with_its_comment(
        before in valid(),
        other in valid(),
        numbers in prop::collection::vec(any::<u32>(), 8),
    ) {
        let mut after = before.clone();
        let mut dice = Dice::new(numbers);
        for _ in 0..=dice.roll(2) {
            change(&mut after, &other, &mut dice);
        }
        let tasks = before.tasks.keys().map(|name| (TaskPath::root().child(name), format!("about {name}")));
        let comments = Comments { top: Some("By hand".to_owned()), tasks: tasks.collect() };
        let text = write::yaml(&before, &comments);
        let patched = patch(&text, &before, &after);
        prop_assert!(patched.is_some(), "{}\n{:#?}", text, touched(&before, &after));
        let patched = patched.unwrap_or_default();
        for (name, task) in &before.tasks {
            if after.tasks.get(name) == Some(task) {
                let written = format!("  # about {name}\n{}", whole(name, task, 2));
                prop_assert!(patched.contains(&written), "{}\nis not in\n{}", written, patched);
            }
        }
        prop_assert!(patched.starts_with("# By hand\n"));
    }
}
