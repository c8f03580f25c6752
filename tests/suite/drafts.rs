//! Drafts end to end: stored, shown, answered, approved by the hash of what a person saw, and never run before that.

use serde_json::{Value, json};

use crate::assistant::world;
use crate::support::{Done, World};

const SENTENCE: &str = "Every weekday at 6:00 in Europe/Berlin load order no and total of orders where status is paid into lake.paid, overwrite";

/// A draft of the sentence, and its file `paid.yaml`.
fn draft(world: &World) -> Value {
    world.json(&["compile", SENTENCE, "-o", "paid.yaml", "--json"])
}

fn text<'a>(document: &'a Value, field: &str) -> &'a str {
    document[field].as_str().unwrap_or_else(|| panic!("{field} is no text: {document:#}"))
}

fn approve(world: &World, draft: &Value) -> Done {
    world.run(&["drafts", "approve", text(draft, "draft_id"), "--hash", text(draft, "hash"), "--json"])
}

fn shown(world: &World, draft: &Value) -> Value {
    world.json(&["drafts", "show", text(draft, "draft_id"), "--json"])
}

fn refused(done: &Done, words: &[&str]) {
    assert_eq!(done.code(), Some(1), "{done}");
    for word in words {
        assert!(done.stderr.contains(word), "'{word}' is missing: {done}");
    }
}

fn versions(world: &World) -> String {
    world.control("SELECT count(*) FROM versions")
}

/// Tables of the control plane that hold a text anywhere.
fn tables_with(world: &World, word: &str) -> String {
    let tables = world.control("SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'headwater'");
    let queries = tables.split(' ').map(|table| {
        format!("SELECT '{table}' AS name WHERE EXISTS (SELECT FROM headwater.{table} t WHERE t::text LIKE '%{word}%')")
    });
    let all = queries.collect::<Vec<_>>().join(" UNION ALL ");
    world.control(&format!("SELECT string_agg(name, ' ') FROM ({all}) AS found"))
}

#[test]
fn a_draft_is_listed_shown_and_becomes_a_version_under_its_hash() {
    let world = world();
    let draft = draft(&world);
    assert_eq!(draft["next_fires"].as_array().unwrap().len(), 5, "{draft:#}");
    assert_eq!(draft["plan"]["diff"], Value::Null, "no version is approved yet");
    let listed = world.json(&["drafts", "list", "--state", "open", "--json"]);
    assert_eq!(
        (&listed["drafts"][0]["draft_id"], &listed["drafts"][0]["prompt"]),
        (&draft["draft_id"], &json!(SENTENCE))
    );
    let open = shown(&world, &draft);
    for field in ["hash", "text", "requirements", "assumptions"] {
        assert_eq!(open[field], draft[field], "{field}");
    }
    assert_eq!((&open["valid"], &open["changes"]), (&json!(true), &json!([])));
    let short = &text(&draft, "draft_id")[..35];
    assert!(world.run(&["drafts", "show", short]).stderr.contains("approve it with: headwater drafts approve"));

    let done = approve(&world, &draft);
    assert_eq!(done.code(), Some(0), "{done}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let approval = &report["approvals"][0];
    assert_eq!((&approval["outcome"], &approval["version"]), (&json!("approved"), &json!(1)), "{report:#}");
    assert!(world.succeed(&["schedules", "list"]).contains("Europe/Berlin"));
    let again: Value = serde_json::from_str(&approve(&world, &draft).stdout).unwrap();
    assert_eq!((&again["approvals"][0]["version"], &again["approvals"][0]["already"]), (&json!(1), &json!(true)));
    assert_eq!((shown(&world, &draft)["state"].clone(), versions(&world)), (json!("approved"), "1".to_owned()));
}

#[test]
fn a_draft_of_an_approved_pipeline_shows_what_it_changes() {
    let world = world();
    approve(&world, &draft(&world));
    let changed = SENTENCE.replace("at 6:00", "at 7:00");
    let draft = world.json(&["compile", &changed, "--json"]);
    let diff = draft["plan"]["diff"].as_array().unwrap();
    assert!(diff.iter().any(|change| change["path"] == "schedule.cron"), "{draft:#}");
    assert_eq!(shown(&world, &draft)["based_on"], 1);
}

#[test]
fn an_approval_is_refused_after_a_column_changed_and_says_which() {
    let world = world();
    let draft = draft(&world);
    world.query("ALTER TABLE orders ALTER total TYPE numeric(14,2)");
    let column = "shop.public.orders: column total was numeric(12,2), is numeric(14,2)";
    refused(&approve(&world, &draft), &[column, "its hash is now"]);
    assert_eq!(versions(&world), "0");
    let now = shown(&world, &draft);
    assert_eq!(now["changes"][0]["what"], "schema", "{now:#}");
    assert_ne!(now["hash"], draft["hash"]);
    refused(&world.run(&["apply", "paid.yaml", "--approved", text(&draft, "hash")]), &[column]);
    let done = approve(&world, &now);
    assert_eq!(done.code(), Some(0), "{done}");
    assert_eq!(shown(&world, &draft)["hash"], now["hash"], "the approval is bound to what was seen last");
}

#[test]
fn a_column_that_the_draft_does_not_read_changes_nothing() {
    let world = world();
    let draft = draft(&world);
    world.query("ALTER TABLE customers ADD phone text; COMMENT ON TABLE orders IS 'what was sold'");
    let done = approve(&world, &draft);
    assert_eq!(done.code(), Some(0), "{done}");
}

#[test]
fn a_policy_that_changed_after_the_draft_was_seen_is_to_be_seen_first() {
    let world = world();
    let draft = draft(&world);
    world.succeed(&["connections", "mask", "shop.public.orders.order_no", "redact"]);
    let words = "masks of connection shop: was none, is public.orders.order_no redact";
    refused(&approve(&world, &draft), &[words]);
    world.succeed(&["connections", "mask", "shop.public.orders.order_no", "none"]);
    let done = approve(&world, &draft);
    assert_eq!(done.code(), Some(0), "what was seen holds again: {done}");
}

#[test]
fn a_file_of_an_unapproved_draft_does_not_run() {
    let world = world();
    let draft = draft(&world);
    let approves = format!("headwater drafts approve {}", text(&draft, "draft_id"));
    refused(&world.run(&["run", "paid.yaml"]), &["which nobody has approved", &approves, "headwater apply FILE"]);
    world.write("printed.yaml", &world.succeed(&["compile", SENTENCE]));
    refused(&world.run(&["run", "printed.yaml"]), &["which nobody has approved"]);
    assert!(!world.folder.join("lake/paid").exists(), "nothing was loaded");
    assert_eq!(world.control("SELECT count(*) FROM runs"), "0");
    assert_eq!(approve(&world, &draft).code(), Some(0));
    world.succeed(&["run", "paid.yaml"]);
    assert_eq!(versions(&world), "1", "the file is the approved version");
}

#[test]
fn an_edited_file_is_a_new_spec_that_apply_approves() {
    let world = world();
    let draft = draft(&world);
    let file = std::fs::read_to_string(world.folder.join("paid.yaml")).unwrap();
    assert_eq!(file.lines().next().unwrap(), format!("# headwater draft {}", text(&draft, "draft_id")));
    assert_eq!(approve(&world, &draft).code(), Some(0));
    world.write("paid.yaml", &file.replace("'paid'", "'open'"));
    refused(&world.run(&["run", "paid.yaml"]), &["it was edited", "headwater apply FILE"]);
    refused(&world.run(&["apply", "paid.yaml", "--approved", text(&draft, "hash")]), &["is not what was approved"]);
    world.succeed(&["apply", "paid.yaml"]);
    world.succeed(&["run", "paid.yaml"]);
    assert_eq!(shown(&world, &draft)["version"], 1, "the draft is what it was");
}

#[test]
fn an_unedited_file_that_is_applied_approves_its_draft() {
    let world = world();
    let draft = draft(&world);
    let told = world.succeed(&["apply", "paid.yaml", "--approved", text(&draft, "hash")]);
    assert!(told.contains(&format!("draft {} is approved with it", text(&draft, "draft_id"))), "{told}");
    assert_eq!(shown(&world, &draft)["state"], "approved");
    assert!(!world.succeed(&["pipelines", "show", "paid"]).contains("# headwater draft"));
}

#[test]
fn a_question_is_answered_by_number_or_words_and_becomes_a_draft() {
    let world = world();
    let asked = world.run(&["compile", "load orders into lake.x", "--json"]);
    let question: Value = serde_json::from_str(&asked.stdout).unwrap();
    assert_eq!((asked.code(), &question["outcome"]), (Some(1), &json!("question")), "{asked}");
    let id = text(&question, "draft_id");
    refused(&world.run(&["drafts", "approve", id, "--yes"]), &["is a question: answer it first"]);
    refused(&world.run(&["drafts", "answer", id, "3"]), &["'3' is none of the answers", "2: append"]);
    let draft = world.json(&["drafts", "answer", id, "append", "--json"]);
    assert_eq!((&draft["outcome"], &draft["valid"]), (&json!("draft"), &json!(true)), "{draft:#}");
    assert!(text(&draft, "text").contains("mode: append"), "{draft:#}");
    let stored = shown(&world, &draft);
    assert_eq!((&stored["base"], &shown(&world, &question)["state"]), (&question["draft_id"], &json!("discarded")));
    refused(&world.run(&["drafts", "answer", id, "1"]), &["has no open question"]);
}

#[test]
fn a_sentence_that_is_refused_or_not_understood_is_not_stored() {
    let world = world();
    for sentence in ["delete orders older than a year", "load ordrs into lake.x, overwrite"] {
        assert_eq!(world.run(&["compile", sentence]).code(), Some(1));
    }
    assert_eq!(world.json(&["drafts", "list", "--json"])["drafts"], json!([]));
}

#[test]
fn a_password_in_a_sentence_is_stored_nowhere() {
    let world = world();
    world.query("INSERT INTO orders VALUES (41, 'password=hunter22', 1, 'paid', 1, now())");
    for sentence in [
        "load orders where order no is \"password=hunter22\" into lake.x, overwrite",
        "load orders where order no is \"postgres://ada:hunter22@db/shop\" into lake.x",
        "load order no as \"hunter22\" of orders into lake.x, overwrite with password hunter22",
    ] {
        let done = world.run(&["compile", sentence]);
        assert_eq!(done.code(), Some(1), "{done}");
    }
    assert_eq!(tables_with(&world, "hunter22"), "");
    assert_eq!(tables_with(&world, "public"), "catalog_snapshots", "the search finds what is there");
}

#[test]
fn two_approvals_at_once_make_one_version() {
    let world = world();
    let draft = draft(&world);
    let arguments = ["drafts", "approve", text(&draft, "draft_id"), "--hash", text(&draft, "hash"), "--json"];
    for done in [0, 1].map(|_| world.start(world.command(&arguments))).map(crate::support::Running::wait) {
        assert_eq!(done.code(), Some(0), "{done}");
        let report: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(report["approvals"][0]["version"], 1, "{report:#}");
    }
    assert_eq!(versions(&world), "1");
    assert_eq!(world.control("SELECT count(*) FROM audit WHERE action = 'drafts.approve'"), "1");
}

#[test]
fn several_drafts_are_approved_on_their_own_and_each_is_reported() {
    let world = world();
    let one = draft(&world);
    let other = world.json(&["compile", "load customers into lake.customers, overwrite", "--json"]);
    let gone = world.json(&["compile", "load customers into lake.others, overwrite", "--json"]);
    world.succeed(&["drafts", "discard", text(&gone, "draft_id")]);
    let ids = [&one, &gone, &other].map(|draft| text(draft, "draft_id"));
    let without = world.run(&["drafts", "approve", ids[0], ids[2]]);
    refused(&without, &["--hash HASH", "--yes"]);
    assert_eq!(versions(&world), "0", "nobody was asked");
    let done = world.run(&["drafts", "approve", ids[0], ids[1], ids[2], "--yes", "--json"]);
    assert_eq!(done.code(), Some(1), "{done}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let outcomes: Vec<&str> = report["approvals"].as_array().unwrap().iter().map(|one| text(one, "outcome")).collect();
    assert_eq!(outcomes, ["approved", "refused", "approved"], "{report:#}");
    refused(&world.run(&["drafts", "approve", ids[0], ids[2], "--hash", "6d1f"]), &["the hash of one draft"]);
}

#[test]
fn an_approval_replaces_no_version_that_the_person_has_not_seen() {
    let world = world();
    let drafted = draft(&world);
    let pipeline = text(&drafted["plan"], "pipeline").to_owned();
    world.write(
        "other.yaml",
        &format!("name: {pipeline}\ntasks:\n  orders: {{ extract: {{ from: shop.public.orders }} }}\n  publish: {{ load: {{ input: orders, into: lake.paid, mode: append }} }}\n"),
    );
    world.succeed(&["apply", "other.yaml"]);
    refused(&approve(&world, &drafted), &["the pipeline's approved version was none, is 1"]);
    let seen = shown(&world, &drafted);
    assert!(seen["changes"].to_string().contains("version"), "{seen:#}");
    let approved =
        world.run(&["drafts", "approve", text(&drafted, "draft_id"), "--hash", text(&seen, "hash"), "--json"]);
    assert_eq!(approved.code(), Some(0), "{approved}");
}

#[test]
fn a_file_whose_line_was_moved_is_an_edited_one_and_does_not_run() {
    let world = world();
    draft(&world);
    let file = std::fs::read_to_string(world.folder.join("paid.yaml")).unwrap();
    for before in ["\n", " ", "\u{feff}", "# a licence\n"] {
        world.write("moved.yaml", &format!("{before}{file}"));
        refused(&world.run(&["run", "moved.yaml"]), &["draft"]);
    }
}
