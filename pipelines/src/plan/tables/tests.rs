#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use super::*;
use crate::diagnostic::Code;
use crate::document::Document;
use crate::plan::{Planned, Work, plan};

fn column(name: &str, scale: Scale, nullable: bool) -> SourceColumn {
    SourceColumn { name: name.to_owned(), scale, nullable }
}

/// A table with a primary key `id` and, if asked for, a column `updated_at`.
fn table(path: &str, columns: &[&str]) -> SourceTable {
    let mut all = vec![column("id", Scale::Integer, false), column("note", Scale::Other, true)];
    all.extend(columns.iter().map(|name| column(name, Scale::Timestamp, false)));
    SourceTable {
        path: path.split('.').map(str::to_owned).collect(),
        kind: "table".to_owned(),
        columns: all,
        primary_key: vec!["id".to_owned()],
        unique_keys: Vec::new(),
    }
}

fn keyless(path: &str) -> SourceTable {
    SourceTable { primary_key: Vec::new(), ..table(path, &["updated_at"]) }
}

fn view(path: &str) -> SourceTable {
    SourceTable { kind: "view".to_owned(), ..keyless(path) }
}

fn connections() -> BTreeSet<String> {
    ["shop", "lake", "other"].map(str::to_owned).into()
}

fn expanded(text: &str, tables: Vec<SourceTable>) -> (Document, Planned) {
    let catalogs = Catalogs::from([("shop".to_owned(), Ok(tables))]);
    let document = expand(Document::read("p.yaml", text), &connections(), &catalogs);
    let planned = plan(&document, &connections());
    (document, planned)
}

fn told(planned: &Planned) -> Vec<String> {
    planned.diagnostics.iter().map(|d| format!("{}:{} {} {}", d.line, d.column, d.code, d.message)).collect()
}

/// Extracts as `task: table cursor`, loads as `task: input into mode keys`.
fn tasks(text: &str, tables: Vec<SourceTable>) -> Vec<String> {
    let (_, planned) = expanded(text, tables);
    assert_eq!(told(&planned), [] as [&str; 0]);
    let works = planned.plan.unwrap().tasks.into_iter().filter_map(|(path, task)| match task.work {
        Work::Extract { source: crate::plan::ExtractSource::Table(table), cursor, .. } => {
            Some(format!("{path}: {table} {}", cursor.and_then(|cursor| cursor.column).unwrap_or_default()))
        }
        Work::Load { input, into, mode, keys, .. } => {
            Some(format!("{path}: {} {into} {mode} {}", input.internal_name(), keys.join(",")))
        }
        _ => None,
    });
    works.map(|line| line.trim_end().to_owned()).collect()
}

fn spec(extract: &str, mode: &str) -> String {
    format!(
        "name: p\ntasks:\n  raw: {{ extract: {{ {extract} }} }}\n  publish:\n    load:\n      input: raw\n      into: lake.\"{{{{ table }}}}\"\n{mode}"
    )
}

#[test]
fn each_table_gets_an_extract_and_a_load_with_what_its_catalog_says() {
    let unique =
        SourceTable { unique_keys: vec![vec!["id".to_owned()], vec!["note".to_owned()]], ..keyless("public.links") };
    let tables =
        vec![table("public.orders", &["updated_at"]), table("public.plain", &[]), keyless("public.events"), unique];
    let spec = spec("tables: shop.public.*, cursor: auto", "");
    assert_eq!(
        tasks(&spec, tables),
        [
            "raw.events: shop.public.events",
            "raw.links: shop.public.links updated_at",
            "raw.orders: shop.public.orders updated_at",
            "raw.plain: shop.public.plain",
            "publish.events: raw.events lake.events overwrite",
            "publish.links: raw.links lake.links upsert id",
            "publish.orders: raw.orders lake.orders upsert id",
            "publish.plain: raw.plain lake.plain upsert id",
        ]
    );
}

#[test]
fn new_rows_alone_are_appended_by_a_number_that_is_the_primary_key() {
    let tables = vec![
        table("public.events", &[]),
        keyless("public.orders"),
        SourceTable { columns: vec![column("note", Scale::Other, true)], ..keyless("public.zero") },
    ];
    let spec = spec("tables: shop.public.*, cursor: auto", "      mode: append\n");
    assert_eq!(
        tasks(&spec, tables),
        [
            "raw.events: shop.public.events id",
            "raw.orders: shop.public.orders updated_at",
            "raw.zero: shop.public.zero",
            "publish.events: raw.events lake.events append",
            "publish.orders: raw.orders lake.orders append",
            "publish.zero: raw.zero lake.zero overwrite",
        ]
    );
}

#[test]
fn a_named_cursor_is_used_where_a_table_has_it() {
    let mut dated = table("public.dated", &[]);
    dated.columns.push(column("Day", Scale::Date, true));
    let with = |further: &str| spec(&format!("tables: shop.public.*, cursor: day{further}"), "      mode: upsert\n");
    let found = tasks(&with(", cursor_nulls: include, lookback: 2d"), vec![dated.clone(), table("public.orders", &[])]);
    assert_eq!(found[..2], ["raw.dated: shop.public.dated Day", "raw.orders: shop.public.orders"]);
    let found = tasks(&with(""), vec![dated]);
    assert_eq!(found[0], "raw.dated: shop.public.dated", "a column that can be NULL needs `cursor_nulls`");
}

#[test]
fn of_a_table_that_one_load_needs_whole_no_load_takes_new_rows_alone() {
    let text = "
name: p
tasks:
  raw: { extract: { tables: shop.public.*, cursor: auto } }
  log: { load: { input: raw, into: 'lake.\"log_{{ table }}\"', mode: append } }
  now: { load: { input: raw, into: 'lake.\"{{table}}\"' } }
";
    assert_eq!(
        tasks(text, vec![keyless("public.events"), table("public.orders", &["modified_at"])]),
        [
            "raw.events: shop.public.events",
            "raw.orders: shop.public.orders modified_at",
            "log.events: raw.events lake.log_events overwrite",
            "log.orders: raw.orders lake.log_orders append",
            "now.events: raw.events lake.events overwrite",
            "now.orders: raw.orders lake.orders upsert id",
        ]
    );
}

#[test]
fn patterns_mean_tables_in_any_case_and_names_anything() {
    let tables = || {
        [
            "public.orders",
            "public.Order Items",
            "public.tmp_x",
            "public._headwater_cursors",
            "pg_catalog.orders",
            "sales.orders",
        ]
        .map(|path| table(path, &[]))
        .into_iter()
        .chain([view("public.order_totals"), view("public.latest")])
        .collect::<Vec<_>>()
    };
    let extracts = |extract: &str| {
        let all = tasks(&spec(extract, ""), tables());
        all.into_iter().filter(|line| line.starts_with("raw.")).collect::<Vec<_>>()
    };
    assert_eq!(
        extracts("tables: SHOP.Public.ORD*"),
        ["raw.Order_Items: shop.public.Order Items", "raw.orders: shop.public.orders"]
    );
    assert_eq!(
        extracts("tables: ['shop.public.*', shop.public.latest], exclude: ['tmp%', '\"Order Items\"']"),
        ["raw.latest: shop.public.latest", "raw.orders: shop.public.orders"]
    );
    assert_eq!(extracts("tables: shop.public.orders"), ["raw.orders: shop.public.orders"]);
}

#[test]
fn names_of_tasks_are_those_of_tables_as_far_as_tasks_can_have_them() {
    let paths =
        ["public.a-b", "public.a_b", "public.1st", "public.lake", "public.raw", "public.Orders", "public.orders"];
    let tables = paths.map(|path| table(path, &[])).to_vec();
    let found = tasks(&spec("tables: shop.public.*", ""), tables);
    let names: BTreeSet<&str> = found.iter().filter_map(|line| line.strip_prefix("raw.")?.split(':').next()).collect();
    assert_eq!(Vec::from_iter(names), ["Orders", "a_b", "a_b_2", "orders", "t_1st", "t_lake", "t_raw"]);
    assert!(found.contains(&"publish.a_b: raw.a_b lake.a_b upsert id".to_owned()), "{found:?}");
}

#[test]
fn tables_of_one_name_need_the_schema_in_their_targets() {
    let tables = || vec![table("public.orders", &[]), table("sales.orders", &[])];
    let text = |into: &str| {
        format!(
            "name: p\ntasks:\n  raw: {{ extract: {{ tables: [shop.public.*, shop.sales.*] }} }}\n  publish: {{ load: {{ input: raw, into: '{into}' }} }}\n"
        )
    };
    let (_, planned) = expanded(&text("lake.\"{{ table }}\""), tables());
    assert_eq!(told(&planned), ["4:40 same_target tables public.orders and sales.orders both go into lake.orders"]);
    assert_eq!(
        tasks(&text("lake.{{ schema }}.{{ table }}"), tables())[2..],
        [
            "publish.public_orders: raw.public_orders lake.public.orders upsert id",
            "publish.sales_orders: raw.sales_orders lake.sales.orders upsert id",
        ]
    );
}

#[test]
fn what_several_tables_can_not_have_is_reported_with_hints() {
    let text = "
name: p
tasks:
  one: { extract: { tables: shop.public.*, from: shop.public.t } }
  two: { extract: { tables: [shop.public.*, other.public.t] } }
  three: { extract: { from: shop.public.t, exclude: [a] } }
  four: { extract: { tables: shop.*.*, columns: [id] } }
  five: { extract: { tables: shop.public.*, cursor: auto } }
  plain: { extract: { from: shop.public.t } }
  to_one: { load: { input: five, into: lake.t, mode: append } }
  keyed: { load: { input: five, into: 'lake.\"{{ tabel }}\"', mode: upsert, keys: [id] } }
  whole: { load: { input: five, into: 'lake.\"x{{ table }}\"', mode: overwrite } }
  of_plain: { load: { input: plain, into: 'lake.\"{{ table }}\"', mode: append } }
  read: { transform: SELECT * FROM five }
  alone: { extract: { tables: shop.public.* } }
";
    let (_, planned) = expanded(text, vec![table("public.orders", &[])]);
    assert_eq!(
        told(&planned),
        [
            "4:10 bad_extract an extract needs exactly one source",
            "5:45 bad_extract the tables are those of two connections, shop and other",
            "6:44 bad_extract `exclude` leaves tables out of `tables`, and there is no `tables`",
            "7:40 bad_extract an extract of several tables accepts no `columns`",
            "10:40 bad_load 'five' is several tables, and 'lake.t' is one target",
            "11:39 bad_load there is no '{{ tabel }}' in the name of a target",
            "11:81 bad_load a load of several tables accepts no `keys`",
            "12:68 bad_cursor mode overwrite would leave the targets with new rows alone",
            "13:43 bad_load 'plain' is one dataset, and only a load of several tables has placeholders in its target",
            "14:36 not_a_dataset 'five' is several tables",
            "15:31 bad_extract no load takes the tables of 'alone'",
        ]
    );
    assert!(
        planned.diagnostics.iter().filter(|found| found.line > 4).all(|found| found.hint.is_some() || found.line == 6)
    );
}

#[test]
fn patterns_that_match_nothing_are_reported_with_what_is_near() {
    let told = |extract: &str, tables: Vec<SourceTable>| {
        let (_, planned) = expanded(&spec(extract, ""), tables);
        let told = planned
            .diagnostics
            .iter()
            .map(|d| format!("{} {}; {}", d.code, d.message, d.hint.as_deref().unwrap_or("-")));
        told.collect::<Vec<_>>()
    };
    let tables = || vec![table("public.orders", &[]), table("public.items", &[]), view("public.totals")];
    assert_eq!(
        told("tables: shop.public.order_*", tables()),
        ["unknown_table no table matches 'shop.public.order_*'; did you mean 'orders'?"]
    );
    assert_eq!(
        told("tables: shop.publik.*", tables()),
        ["unknown_table connection shop has no readable table in a schema 'publik'; did you mean 'public'?"]
    );
    assert_eq!(
        told("tables: shop.public.tot*", tables()),
        [
            "unknown_table the pattern matches views alone, e.g. public.totals; patterns mean tables; a view is read if it is named"
        ]
    );
    assert_eq!(
        told("tables: shop.public.*, exclude: [itms]", tables()),
        ["unknown_table no table matches 'itms', so that it leaves nothing out; did you mean 'items'?"]
    );
    assert_eq!(
        told("tables: shop.public.*, exclude: ['*']", tables()),
        ["unknown_table `exclude` leaves out all 3 tables that match; -"]
    );
    let finding = Finding::error(Code::Unreachable, "connection shop can't be reached");
    let catalogs = Catalogs::from([("shop".to_owned(), Err(finding))]);
    let document = expand(Document::read("p.yaml", spec("tables: shop.public.*", "")), &connections(), &catalogs);
    let planned = plan(&document, &connections());
    assert_eq!(
        planned.diagnostics.iter().map(|d| d.message.as_str()).collect::<Vec<_>>(),
        ["connection shop can't be reached"]
    );
}

#[test]
fn a_finding_about_an_expanded_task_points_at_what_was_written_and_names_the_tables() {
    let text = spec("tables: [shop.public.*]", "");
    let (document, _) = expanded(&text, (1..=5).map(|number| table(&format!("public.t{number}"), &[])).collect());
    let steps = |task: &str, field: &str| {
        let kind = if task.starts_with("raw") { "extract" } else { "load" };
        let (group, name) = task.split_once('.').unwrap();
        ["tasks", group, "group", name, kind, field].map(Step::from).to_vec()
    };
    let finding = || Finding::error(Code::SinkType, "it does not fit");
    let mut found: Vec<_> =
        (1..=5).map(|number| document.at(&steps(&format!("publish.t{number}"), "into"), finding())).collect();
    found.push(document.at(&steps("raw.t3", "from"), finding()));
    crate::diagnostic::tidy(&mut found);
    crate::diagnostic::tidy(&mut found);
    let told: Vec<String> = found.iter().map(|d| format!("{}:{} {}", d.line, d.column, d.message)).collect();
    assert_eq!(
        told,
        [
            "3:30 table public.t3: it does not fit",
            "7:13 tables public.t1, public.t2, public.t3 and 2 more: it does not fit",
        ]
    );
    assert_eq!(found[0].task.as_ref().unwrap(), "raw.t3");
}

#[test]
fn what_became_of_tables_is_counted_with_the_exceptions() {
    let spec = spec("tables: shop.public.*, exclude: [tmp_*], cursor: auto", "");
    let tables = vec![
        table("public.a", &["updated_at"]),
        table("public.b", &["updatedAt"]),
        table("public.c", &[]),
        keyless("public.d"),
        table("public.tmp_e", &[]),
        view("public.f"),
    ];
    let (document, _) = expanded(&spec, tables);
    let [set] = document.table_sets() else { panic!("{:?}", document.table_sets()) };
    assert_eq!((set.task.as_str(), set.tables), ("raw", 4));
    assert_eq!(set.cursors, BTreeMap::from([("updated_at".to_owned(), 1), ("updatedAt".to_owned(), 1)]));
    assert_eq!(set.loads[0].modes, BTreeMap::from([("upsert".to_owned(), 3), ("overwrite".to_owned(), 1)]));
    let notes: Vec<String> = set.notes.iter().map(|note| format!("{}: {}", note.what, note.tables.join(" "))).collect();
    assert_eq!(
        notes,
        [
            "without a key, loaded whole: public.d",
            "without a column for the cursor, read whole by each run: public.c",
            "left out by `exclude`: public.tmp_e",
            "left out: a view or foreign table is read if it is named: public.f",
        ]
    );
}

#[test]
fn tables_that_came_later_are_told_from_those_of_a_version() {
    let text = spec("tables: shop.public.*", "");
    let (before, _) = expanded(&text, vec![table("public.a", &[])]);
    let (after, _) = expanded(&text, vec![table("public.a", &[]), table("public.New One", &[])]);
    assert_eq!(new_tables(&before.stored_spec().unwrap(), &after), ["shop.public.\"New One\""]);
    assert_eq!(new_tables(&after.stored_spec().unwrap(), &before), [] as [&str; 0]);
}

#[test]
fn a_thousand_tables_are_expanded_and_planned_quickly() {
    let tables: Vec<SourceTable> =
        (0..1000).map(|number| table(&format!("public.t{number}"), &["updated_at"])).collect();
    let start = std::time::Instant::now();
    let (_, planned) = expanded(&spec("tables: shop.public.*, cursor: auto", ""), tables);
    assert_eq!(planned.plan.unwrap().stages.len(), 1000);
    assert!(start.elapsed() < std::time::Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn one_table_of_which_no_task_can_be_made_is_named_with_what_leaves_it_out() {
    let text = "name: p\ntasks:\n  raw: { extract: { tables: shop.public.* } }\n  publish: { load: { input: raw, into: 'lake.\"{{ table }}\"' } }\n";
    let bare = SourceTable { columns: Vec::new(), primary_key: Vec::new(), ..table("public.zero", &[]) };
    let (_, planned) = expanded(text, vec![table("public.good", &[]), bare, table("public.{{ x }}", &[])]);
    let said: Vec<(String, String)> =
        planned.diagnostics.iter().map(|d| (d.message.clone(), d.hint.clone().unwrap_or_default())).collect();
    let expected = [
        ("table public.zero has no columns, so that there is nothing to load", "leave it out: exclude: [zero]"),
        (
            "table public.{{ x }} has {{ in its name, which a target takes for a placeholder",
            "leave it out: exclude: ['\"{{ x }}\"']",
        ),
    ];
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (message, hint) in expected {
        assert!(said.contains(&(message.to_owned(), hint.to_owned())), "{said:?}");
    }
    let without = text.replace("shop.public.* }", "shop.public.*, exclude: [zero, '\"{{ x }}\"'] }");
    let bare = SourceTable { columns: Vec::new(), primary_key: Vec::new(), ..table("public.zero", &[]) };
    let (_, planned) = expanded(&without, vec![table("public.good", &[]), bare, table("public.{{ x }}", &[])]);
    assert_eq!(told(&planned), [] as [&str; 0]);
}
