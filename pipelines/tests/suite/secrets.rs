//! A secret that is written anywhere into a file is never shown, stored or compared.

use headwater_pipelines::diagnostic::has_errors;
use headwater_pipelines::diff::diff;
use headwater_pipelines::document::Document;
use headwater_pipelines::plan::{Planned, plan};
use headwater_pipelines::secrets::literal_secrets;
use headwater_pipelines::write::{Comments, yaml as write};
use headwater_pipelines::yaml::{self, Node, Span, Value};
use proptest::prelude::*;

use super::{config, connections, examples};
use crate::generator::{Dice, valid};

mod reported;
mod samples;

use samples::{KEYS, SETTINGS, with_keys, with_urls};

/// What no output may hold. Passwords of these tests have it inside.
const MARKER: &str = "hunter2";

/// Passwords as a URL in a plain scalar, a comment or a statement may hold them.
const PASSWORDS: [&str; 9] = [
    "hunter2",
    "%40hunter2%2F",
    "p@s/hunter2",
    "a#hunter2",
    "a?b=hunter2",
    "päss-hunter2",
    "x:hunter2:y",
    "$hunter2&z",
    "12/hunter2+x",
];

/// Everything that is made of a file and leaves this crate.
fn outputs(text: &str) -> (Document, Planned, Vec<(&'static str, String)>) {
    let document = Document::read("s.yaml", text);
    let planned = plan(&document, &connections());
    let secrets = literal_secrets(&document);
    let mut out = vec![
        ("rendered", document.source.render(&planned.diagnostics, false, 100)),
        ("diagnostics", serde_json::to_string(&planned.diagnostics).unwrap()),
        ("literal secrets", document.source.render(&secrets, false, 100)),
        ("stored text", document.stored_text().to_owned()),
        ("stored spec", serde_json::to_string(&document.stored_spec()).unwrap()),
        ("debug", format!("{document:?} {planned:?}")),
    ];
    if let Some(spec) = &document.spec {
        let other = Document::read("o.yaml", "name: o\ntasks: { w: { wait: 1s } }\n").spec.unwrap();
        out.push(("diff", format!("{:?} {:?}", diff(spec, &other), diff(&other, spec))));
    }
    (document, planned, out)
}

fn leak(text: &str) -> Result<(Document, Planned), String> {
    let (document, planned, outputs) = outputs(text);
    for (what, shown) in outputs {
        if shown.contains(MARKER) {
            return Err(format!("{what} of\n{text}\nshows the secret:\n{shown}"));
        }
    }
    let widths = |text: &str| text.lines().map(str::len).collect::<Vec<_>>();
    if !document.stored_text().is_empty() && widths(document.stored_text()) != widths(text) {
        return Err(format!("characters moved:\n{text}\n{}", document.stored_text()));
    }
    Ok((document, planned))
}

#[test]
fn a_password_in_a_url_is_shown_nowhere_wherever_it_is_written() {
    let mut leaks = Vec::new();
    for text in with_urls() {
        for password in PASSWORDS {
            let text = text.replace("@@", &format!("postgres://app:{password}@db/shop"));
            leaks.extend(leak(&text).err());
        }
        for url in [
            "postgres://db/shop?sslpassword=hunter2",
            "https://x.example/y?a=b&key=hunter2&c=d",
            "https://x.example/y?X-Amz-Signature=hunter2&sas_key=hunter2&DB_PASS=hunter2",
            "postgres://db/shop?password=hunter2%&token={hunter2}",
            "postgres://db/shop?user=a&password=hunter2%23",
            "redis://:hunter2@db",
            "POSTGRES+X://app:hunter2@[::1]:5432/shop?sslmode=require",
            "a://b,postgres://app:hunter2@db",
            "postgres://app:${PW}hunter2@db",
        ] {
            leaks.extend(leak(&text.replace("@@", url)).err());
        }
    }
    assert!(leaks.is_empty(), "{}:\n{}", leaks.len(), leaks.join("\n\n"));
}

#[test]
fn quotes_in_a_password_do_not_end_it() {
    for text in [
        "name: x\ntasks: { w: { extract: { from: 'postgres://app:it''s\"hunter2@db.t' } } }\n",
        "name: x\ntasks: { w: { extract: { from: \"postgres://app:it's\\\"hunter2@db.t\" } } }\n",
        "name: x\ntasks: { w: { extract: { from: \"postgres://app:\\x61\\u0062hunter2@db.t\" } } }\n",
        "name: x\ntasks: { w: { extract: { from: postgres://app:it's\"hunter2@db.t } } }\n",
        "name: x\ntasks: { w: { extract: { from: \"postgres://o'brien:hunter2@db.t\" } } }\n",
        "name: x\ntasks: { w: { extract: { from: \"postgres://app:fol\\\n    hunter2@db.t\" } } }\n",
        "name: x\ntasks: { w: { extract: { from: 'postgres://app:two words hunter2@db.t' } } }\n",
        "name: x\n# 'postgres://app:it''s hunter2@db'\ntasks: { w: { wait: 1s } }\n",
        "name: x\ntasks: { w: { transform: \"SELECT 'postgres://app:it''s-hunter2@db'\" } }\n",
        "name: x\ntasks: { w: { extract: { from: \"host=db password='it\\\\'s hunter2' user=x\" } } }\n",
        "name: x\ntasks: { w: { extract: { from: \"host=db password = 'two hunter2' user=x\" } } }\n",
    ] {
        leak(text).unwrap();
    }
}

#[test]
fn a_value_whose_key_says_that_it_is_secret_is_shown_nowhere() {
    let texts = with_keys();
    let of = |key: &str| texts.iter().map(|text| text.replace("@@", key)).collect::<Vec<_>>();
    let leaks: Vec<String> = KEYS.iter().flat_map(|key| of(key)).filter_map(|text| leak(&text).err()).collect();
    assert!(leaks.is_empty(), "{}:\n{}", leaks.len(), leaks.join("\n\n"));
}

#[test]
fn settings_of_a_connection_are_shown_nowhere_though_they_stand_at_the_wrong_place() {
    let leaks: Vec<String> = SETTINGS.iter().filter_map(|text| leak(text).err()).collect();
    assert!(leaks.is_empty(), "{}:\n{}", leaks.len(), leaks.join("\n\n"));
}

#[test]
fn a_file_that_is_broken_at_any_line_shows_no_secret_either() {
    let urls = with_urls().into_iter().map(|text| text.replace("@@", "postgres://app:p@s/hunter2@db/shop"));
    let keys = with_keys().into_iter().map(|text| text.replace("@@", "client-secret"));
    // Without a tree nothing tells that a mapping below `params` is a connection.
    let settings = SETTINGS.iter().filter(|text| !text.contains("params")).map(|text| (*text).to_owned());
    let mut leaks = Vec::new();
    for text in urls.chain(keys).chain(settings) {
        leaks.extend(leak(&text.replace('\n', "\r\n")).err());
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        for at in std::iter::once(0).chain(ends) {
            for piece in ["]\n", "\t- x\n", "  x: [\n", "\"\n", "? {\n", "%x\n", "a: *b\n", "---\n"] {
                let mut broken = text.clone();
                broken.insert_str(at, piece);
                leaks.extend(leak(&broken).err());
            }
        }
    }
    assert!(leaks.is_empty(), "{}:\n{}", leaks.len(), leaks.join("\n\n"));
}

#[test]
fn columns_tasks_and_statements_with_names_of_secrets_stay_as_they_are() {
    let text = r#"name: users
description: >-
  Counts tokens; the password_hash is dropped. See https://host:8080/a@b?time=12:30@x and mail ops@x.org. Rotates the
  token: every morning. Connect to postgres://<user>:<password>@host/shop with password=<yours> or password=...
# tokens are counted here, keys: none
params:
  token_count: { type: integer, default: 5 }
  token: { type: string, default: "" }
tasks:
  refresh_token:
    extract: { from: shop.public.users, columns: [id, token, password] }
  typed: { extract: { from: shop.public.users, columns: { token: text, password: { type: varchar } } } }
  asked:
    extract:
      connection: shop
      query: |
        SELECT id, token FROM users WHERE token = 'x' AND password='y' AND secret <> '' -- token = 'z'
  password:
    transform: |
      SELECT r.id, r.token::text AS secret, 'a: b' AS pair, ARRAY[1,2][1:2] AS part
      FROM refresh_token r JOIN typed t ON t.token = r.token JOIN asked q ON q.token=r.token
      WHERE r.password = '${X}' OR r.token = $token AND r.password='abc'
        AND r.url LIKE 'https://%:%@%' AND r.log NOT LIKE '%password=%' AND r.log ~ '^[a-z]+://[^:]+:[^@]+@'
        AND regexp_replace(r.log, 'password=\S+|token=([^&]+)', 'password=***') <> 'token=[0-9]+'
        AND r.url NOT LIKE '%utm_token=abc%' AND format('token=%s', r.id) <> 'https://x.example/?api_key={}'
        AND r.log <> 'token=REDACTED' AND 'postgres://'||r.id||':'||r.password||'@'||r.host <> 'https://host?token=%' -- token: see above
  connections:
    check:
      input: password
      rules:
        - { not_null: [token] }
        - { sql: "token <> 'abc' AND secret = 'x'", name: token_is_set }
        - { accepted_values: { column: token, values: [a, b] } }
  credentials: { load: { input: connections, into: lake.tokens, mode: append, partition_by: [token] } }
"#;
    let document = Document::read("u.yaml", text);
    assert_eq!(document.stored_text(), text);
    let planned = plan(&document, &connections());
    assert_eq!(planned.diagnostics, []);
}

#[test]
fn a_task_may_be_named_like_a_free_mapping() {
    for name in ["env", "headers", "body", "params", "stream", "description"] {
        let text = format!(
            "name: x\ntasks:\n  {name}: {{ transform: \"SELECT * FROM shop.t WHERE token='x'\" }}\n  l: {{ load: {{ input: {name}, into: lake.t, mode: append }} }}\n"
        );
        let planned = plan(&Document::read("x.yaml", text.as_str()), &connections());
        assert_eq!(planned.diagnostics, [], "{name}");
    }
}

#[test]
fn references_are_no_secrets() {
    let text = "name: x # postgres://app:${PW}@db\ndescription: from postgres://app:${PW}@db/shop?password=${PW} with password=${PW}\nconnections:\n  own: { type: postgres, url: 'postgres://app:${PW}@db' }\ntasks: { w: { wait: 1s } }\n";
    let document = Document::read("x.yaml", text);
    assert_eq!(plan(&document, &connections()).diagnostics, []);
    assert_eq!(document.stored_text().lines().nth(1), text.lines().nth(1));
    assert_eq!(document.stored_text().lines().next(), text.lines().next());
}

#[test]
fn a_diff_with_a_version_of_an_earlier_build_shows_no_secret() {
    let old = serde_json::json!({
        "name": "x",
        "description": "from postgres://app:hunter2@db",
        "params": { "token": { "type": "string", "default": "hunter2" }, "key": { "type": "string", "default": "a" } },
        "tasks": {
            "a": { "extract": { "connection": "shop", "query": "SELECT dblink('password=hunter2')" } },
            "b": { "extract": { "from": "shop.t", "columns": { "token": "text" } } },
            "c": { "http": { "url": "https://app:hunter2@x", "headers": { "Api-Key": "hunter2" } } },
        }
    });
    let old = serde_json::from_value(old).unwrap();
    let new = Document::read("x.yaml", "name: x\ntasks: { w: { wait: 1s } }\n").spec.unwrap();
    let shown = format!("{:?}", (diff(&old, &new), diff(&new, &old)));
    assert!(!shown.contains(MARKER), "{shown}");
    assert!(shown.contains("String(\"text\")") && shown.contains("String(\"a\")"), "types and other values: {shown}");
}

/// Places of the scalars of a tree, keys included, with whether they are written on one line.
fn scalars(text: &str, node: &Node, out: &mut Vec<(Span, bool)>) {
    let is_short = |span: &Span| !text[span.clone()].contains('\n') && !text[span.clone()].starts_with(['|', '>']);
    match &node.value {
        Value::Scalar { .. } => out.push((node.span.clone(), is_short(&node.span))),
        Value::Sequence(items) => items.iter().for_each(|item| scalars(text, item, out)),
        Value::Mapping(entries) => {
            for entry in entries {
                out.push((entry.key_span.clone(), true));
                scalars(text, &entry.node, out);
            }
        }
    }
}

/// A text with a secret put in at some place, and in one of four texts broken.
fn with_secret(text: &str, dice: &mut Dice) -> String {
    let mut places = Vec::new();
    scalars(text, &yaml::read(text).root.unwrap(), &mut places);
    let url = format!("postgres://app:{}@db/shop", dice.pick(&PASSWORDS));
    let pair = format!("{}: hunter2", dice.pick(&KEYS));
    let mut text = text.to_owned();
    match dice.roll(4) {
        0 => {
            let end = text.match_indices('\n').map(|(at, _)| at).nth(dice.roll(text.matches('\n').count())).unwrap();
            text.insert_str(end, &format!(" # {}", dice.pick(&[url, pair])));
        }
        1 => text.insert_str(0, &format!("{pair}\n")),
        2 => text.push_str(&format!("  {pair}\n")),
        _ => {
            let (span, is_short) = places.swap_remove(dice.roll(places.len()));
            let quoted = dice.pick(&[format!("'{url}'"), format!("\"{url}\"")]);
            match is_short {
                true => text.replace_range(span, &quoted),
                false => text.insert_str(span.end - text[span.clone()].trim_start().len().min(1), &url),
            }
        }
    }
    if dice.one_in(4) {
        text.push_str(dice.pick(&["  x: [\n", "}\n", "\t- \"\n", "a: 'b\n"]));
    }
    text
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn a_secret_at_any_place_of_a_spec_is_shown_nowhere_and_never_runs(
        spec in valid(),
        numbers in prop::collection::vec(any::<u32>(), 40),
        example in any::<prop::sample::Index>(),
    ) {
        let mut dice = Dice::new(numbers);
        let text = if dice.one_in(3) { example.get(&examples()).1.clone() } else { write(&spec, &Comments::default()) };
        let text = with_secret(&text, &mut dice);
        match leak(&text) {
            Err(shown) => prop_assert!(false, "{}", shown),
            Ok((document, planned)) => {
                let runs = planned.plan.is_some() && !has_errors(&planned.diagnostics);
                let stored = plan(&Document::read("s.yaml", document.stored_text()), &connections());
                prop_assert!(!runs || planned.plan == stored.plan, "the stored text is another pipeline:\n{}", text);
            }
        }
    }
}
