use super::*;

/// A gateway without any model that replays a folder.
async fn replay(folder: &std::path::Path) -> World {
    let World { gateway, ledger, clock, server } = world("", Rules::default(), good).await;
    World { gateway: gateway.with_recording(Recording::Replay(folder.to_owned())), ledger, clock, server }
}

async fn record(folder: &std::path::Path, script: Script) -> World {
    let World { gateway, ledger, clock, server } =
        world(&with(ASSISTANT), Rules::default(), in_turn(vec![script])).await;
    World { gateway: gateway.with_recording(Recording::Record(folder.to_owned())), ledger, clock, server }
}

#[tokio::test]
async fn a_replay_gives_the_recorded_answer_without_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let recorded = record(folder.path(), Script::Json(document())).await.ask().await.unwrap();
    let world = replay(folder.path()).await;
    let (first, second) = (world.ask().await.unwrap(), world.ask().await.unwrap());
    assert_eq!(first, second);
    let text = |answer: &Answer| serde_json::to_vec(&answer.document).unwrap();
    assert_eq!(text(&first), text(&recorded), "the bytes are the same, the order of fields too");
    assert_eq!((first.usage, first.cost, first.origin), (recorded.usage, recorded.cost, Origin::Replay));
    assert!(world.rows().await.is_empty());
}

#[tokio::test]
async fn recording_the_same_answer_twice_gives_the_same_bytes() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for folder in &folders {
        record(folder.path(), Script::Json(document())).await.ask().await.unwrap();
    }
    let file = format!("{}.json", request().hash());
    let [first, second] = folders.map(|folder| std::fs::read(folder.path().join(&file)).unwrap());
    assert_eq!(first, second);
    assert!(!String::from_utf8(first).unwrap().contains(KEY));
}

#[tokio::test]
async fn a_refusal_is_replayed_and_an_outage_is_not_recorded() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), Script::status(404)).await.ask().await.unwrap_err();
    let absent = replay(folder.path()).await.ask().await.unwrap_err();
    assert_eq!(absent, Failure::NotRecorded { hash: request().hash() });
    let refusal = record(folder.path(), Script::Refusal("no".to_owned())).await.ask().await.unwrap_err();
    assert_eq!(replay(folder.path()).await.ask().await.unwrap_err(), refusal);
}

#[tokio::test]
async fn a_damaged_recording_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("{}.json", request().hash()));
    for text in ["", "{}", "{\"model\":\"m\",\"usage\":null,\"cost\":null,\"document\":null,\"failure\":null}"] {
        std::fs::write(&file, text).unwrap();
        let failure = replay(folder.path()).await.ask().await.unwrap_err();
        assert!(matches!(&failure, Failure::Recording { file: named, .. } if named.ends_with(".json")), "{failure:?}");
    }
}

#[test]
fn the_hash_of_a_request_is_of_what_the_model_sees_alone() {
    let other = Request {
        scope: Scope { person: "bob".to_owned(), ..scope() },
        why: Why::Eval,
        model: Some("m".to_owned()),
        ..request()
    };
    assert_eq!(other.hash(), request().hash());
    assert_ne!(Request { system: String::new(), ..request() }.hash(), request().hash());
}

#[tokio::test]
async fn an_answer_from_the_cache_leaves_the_recording_of_the_model_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let world = record(folder.path(), Script::Json(document())).await;
    let first = world.ask().await.unwrap();
    assert_eq!(world.ask().await.unwrap().origin, Origin::Cache);
    assert_eq!(replay(folder.path()).await.ask().await.unwrap().usage, first.usage);
}
