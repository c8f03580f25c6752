#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
use super::*;
use crate::diff::diff;

const SPEC: &str = r#"name: x
connections: # old: hunter2
  shop: { type: postgres, url: "postgres://app:hunter2@db/shop", password: 'hunter2' }
  # hunter2
  lake:
    type: delta
    location: s3://höhe/tables
    token: ${LAKE_TOKEN}
    options:
      key: |
        hunter2
        hunter2
      list: [hunter2, 12345678]
tasks:
  w: { wait: 1s } # a comment
"#;

fn document(text: &str) -> Document {
    Document::read("x.yaml", text)
}

#[test]
fn the_text_that_is_shown_and_kept_holds_no_setting_and_every_character_stands_where_it_stood() {
    let document = document(SPEC);
    insta::assert_snapshot!(document.stored_text(), @r#"
    name: x
    connections: # xxxx xxxxxxx
      shop: { type: postgres, url: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", password: 'xxxxxxx' }
      # xxxxxxx
      lake:
        type: delta
        location: xxxxxx×xxxxxxxxx
        token: ${LAKE_TOKEN}
        options:
          key: |
            xxxxxxx
            xxxxxxx
          list: [xxxxxxx, xxxxxxxx]
    tasks:
      w: { wait: 1s } # a comment
    "#);
    assert_eq!(document.stored_text().len(), SPEC.len());
    let lines = |text: &str| text.lines().map(str::len).collect::<Vec<_>>();
    assert_eq!(lines(document.stored_text()), lines(SPEC));
    assert!(!format!("{document:?}").contains("hunter2"), "not in a debug line either");
}

#[test]
fn the_stored_spec_and_the_diff_hold_names_and_types_of_connections_alone() {
    let before = document(SPEC);
    let after = document(&SPEC.replace("hunter2", "hunter3").replace("type: delta", "type: files"));
    let stored = serde_json::to_value(before.stored_spec()).unwrap();
    assert_eq!(
        stored["connections"],
        serde_json::json!({ "shop": { "type": "postgres" }, "lake": { "type": "delta" } })
    );
    // A version of an earlier build may hold more.
    let changes = diff(before.spec.as_ref().unwrap(), after.spec.as_ref().unwrap());
    let told: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(told, ["connections.lake.type"]);
}

#[test]
fn diagnostics_never_show_a_value_of_a_connection() {
    let faulty = [
        "name: x\nconnections: hunter2\ntasks: { w: { wait: 1s } }\n",
        "name: x\nconnections: { shop: hunter2 }\ntasks: { w: { wait: 1s } }\n",
        "name: x\nconnections: { shop: { type: [hunter2] } }\ntasks: { w: { wait: 1s } }\n",
        "name: x\nconections: { shop: { type: p, url: hunter2 } }\ntasks: { w: { wait: 1s } }\n",
        "name: x\nconnections: { shop: { type: p, url: hunter2, url: hunter2 } }\ntasks: { w: { wait: 1s } }\n",
        "name: x\nconnections: { a: {} }\nconnections: { shop: { type: p, url: hunter2 } }\ntasks: { w: { wait: 1s } }\n",
        "name: x\nconnections: { shop: { type: p, pw: !!str hunter2 } }\ntasks: { w: { wait: 1s } }\n",
        "name: x\nconnections: { shop: { type: p, pw: &a hunter2 } }\ntasks: { w: { wait: 1s } }\n",
        "name: x\nconnections: { shop: { type: p, pw: *hunter2 } }\ntasks: { w: { wait: 1s } }\n",
        "name: x\nconnections: { shop: { postgres://a:hunter2@b/c } }\ntasks: { w: { wait: 1s } }\n",
        "name: x\nconnections:\n  shop: { type: p, pw: hunter2\ntasks: { w: { wait: 1s } }\n",
        "name: x\nconnections:\n  shop:\n    type: p\n    pw: \"hunter2\n  lake: 5\ntasks: { w: { wait: 1s } }\n",
        "connections:\n  shop:\n    type: p\n     url: postgres://a:hunter2@b/c\n",
        "- postgres://a:hunter2@b/c\n",
        "name: x\ntasks: { w: { wait: postgres://a:hunter2@b/c } ]\n",
    ];
    for text in faulty {
        let document = document(text);
        let planned = crate::plan::plan(&document, &std::collections::BTreeSet::new());
        assert!(!planned.diagnostics.is_empty(), "{text}");
        let shown = document.source.render(&planned.diagnostics, false, 100);
        let json = serde_json::to_string(&planned.diagnostics).unwrap();
        assert!(!shown.contains("hunter2") && !json.contains("hunter2"), "{text}\n{shown}\n{json}");
    }
}

#[test]
fn secrets_that_are_written_out_are_found_at_their_place_and_not_repeated() {
    let found = literal_secrets(&document(SPEC));
    let told: Vec<String> = found.iter().map(|d| format!("{}:{} {}", d.line, d.column, d.message)).collect();
    assert_eq!(
        told,
        [
            "3:32 'url' of connection 'shop' holds a secret that is written out",
            "3:76 'password' of connection 'shop' holds a secret that is written out",
            "11:9 'options.key' of connection 'lake' holds a secret that is written out",
        ]
    );
    assert!(found.iter().all(|d| d.code == Code::LiteralSecret));
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn what_names_a_variable_or_holds_no_secret_is_no_literal_secret() {
    let literal = |setting: &str| {
        let text = format!("connections:\n  c: {{ type: p, {setting} }}\n");
        let document = document(&text);
        assert_eq!(document.diagnostics, [], "{setting}");
        !literal_secrets(&document).is_empty()
    };
    for fine in [
        "url: 'postgres://app:${PW}@db/shop'",
        "url: postgres://app@db:5432/shop?sslmode=require",
        "url: 'postgres://app@db/shop?password=${PW}'",
        "password: '${PW}'",
        "password: ''",
        "password:",
        "sslkey_file: /etc/key.pem",
        "access_key_id: AKIA",
        "location: s3://bucket/keys",
        "dsn: 'host=db password=${PW}'",
        "url: 'https://host:8080/a@b?time=12:30@x'",
    ] {
        assert!(!literal(fine), "{fine}");
    }
    for secret in [
        "url: postgres://app:pw@db/shop",
        "url: 'postgres://app:p${PW}@db/shop'",
        "url: 'postgres://app:p/w@db/shop'",
        "url: postgres://app@db/shop?sslpassword=pw",
        "password: 12345678",
        "PASSWORD: x",
        "secret_access_key: x",
        "options: { nested: { api-key: x } }",
        "tokens: [x]",
        "dsn: host=db password=pw",
    ] {
        assert!(literal(secret), "{secret}");
    }
}
