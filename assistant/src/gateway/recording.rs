//! Answers in files by the hash of their request, so that an evaluation can be repeated without a model.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::Failure;
use super::money::Money;
use super::request::{Answer, Origin, Request, Usage};

/// What happens with recordings.
#[derive(Debug, Clone, Default)]
pub enum Recording {
    /// Nothing.
    #[default]
    Off,
    /// Answers and refusals are written into this folder.
    Record(PathBuf),
    /// Answers come from this folder alone; no model is called, and none has to be configured.
    Replay(PathBuf),
}

/// A file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    model: String,
    usage: Option<Usage>,
    cost: Option<u64>,
    document: Option<Value>,
    failure: Option<Failure>,
}

impl Recording {
    /// The recorded outcome, if outcomes come from recordings.
    pub(super) async fn replay(&self, request: &Request) -> Option<Result<Answer, Failure>> {
        let Self::Replay(folder) = self else { return None };
        Some(read(folder, &request.hash()).await)
    }

    /// Writes an outcome, if outcomes are recorded. Failures of a server or a network are none, and an answer from the cache was one earlier.
    pub(super) async fn keep(&self, request: &Request, outcome: &Result<Answer, Failure>) -> Result<(), Failure> {
        let Self::Record(folder) = self else { return Ok(()) };
        let recorded = match outcome {
            Ok(answer) if answer.from_cache() => return Ok(()),
            Ok(answer) => Recorded {
                model: answer.model.clone(),
                usage: answer.usage,
                cost: answer.cost.map(|cost| cost.0),
                document: Some(answer.document.clone()),
                failure: None,
            },
            Err(failure) if failure.is_an_outcome() => Recorded {
                model: String::new(),
                usage: None,
                cost: None,
                document: None,
                failure: Some(failure.clone()),
            },
            Err(_) => return Ok(()),
        };
        write(folder, &request.hash(), &recorded).await
    }
}

async fn read(folder: &Path, hash: &str) -> Result<Answer, Failure> {
    let file = file(folder, hash);
    let bytes = match tokio::fs::read(&file).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::NotRecorded { hash: hash.to_owned() });
        }
        Err(error) => return Err(unusable(&file, &error)),
    };
    let recorded: Recorded = serde_json::from_slice(&bytes).map_err(|error| unusable(&file, &error))?;
    match (recorded.document, recorded.failure) {
        (Some(document), None) => Ok(Answer {
            document,
            model: recorded.model,
            usage: recorded.usage,
            cost: recorded.cost.map(Money),
            origin: Origin::Replay,
            // The same in every replay, as everything else.
            id: uuid::Uuid::nil(),
        }),
        (None, Some(failure)) => Err(failure),
        _ => Err(unusable(&file, &"expected either a document or a failure")),
    }
}

/// A file is complete or absent: it gets its name when it is written.
async fn write(folder: &Path, hash: &str, recorded: &Recorded) -> Result<(), Failure> {
    let file = file(folder, hash);
    let fail = |error: std::io::Error| unusable(&file, &error);
    let mut bytes = serde_json::to_vec_pretty(recorded).map_err(|error| unusable(&file, &error))?;
    bytes.push(b'\n');
    let unfinished = folder.join(format!("{hash}.{}.tmp", uuid::Uuid::new_v4().simple()));
    tokio::fs::create_dir_all(folder).await.map_err(fail)?;
    tokio::fs::write(&unfinished, bytes).await.map_err(fail)?;
    tokio::fs::rename(&unfinished, &file).await.map_err(fail)
}

fn file(folder: &Path, hash: &str) -> PathBuf {
    folder.join(format!("{hash}.json"))
}

fn unusable(file: &Path, problem: &dyn std::fmt::Display) -> Failure {
    Failure::Recording { file: file.display().to_string(), problem: problem.to_string() }
}
