//! How a sentence becomes a draft and a question an answer: everything that calls a language model, and what does the same without one.
//!
//! The crate makes drafts and read-only statements. It applies nothing and runs nothing.

mod accounts;
mod chart;
mod draft;
mod edit;
mod face;
mod fresh;
pub mod gateway;
mod known;
mod model;
mod offline;
mod retrieval;
mod seen;
mod typed;
mod words;

pub use chart::{Chart, ChartKind, DrawingError, MOST_ROWS};
pub use draft::{Choice, Drafted, NotUnderstood, Outcome, Question, Refusal, RefusalReason, Requirement};
pub use face::{
    AnswerReport, AskReport, Asked, Assistant, CompileReport, DraftReport, QuestionReport, StatementReport, Turn,
    Watcher,
};
pub use known::{ColumnId, Known, KnownTable, TableId};
pub use model::{ModelError, Trail};
pub use offline::{Setting, Statement, Term, ask, compile};
pub use retrieval::{Budget, Found, Hint, Left, Retrieval};
pub use typed::{Fault, Phase, executing_schema, model_schema};
pub use words::{fold, split_name, tokens};

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_operations::{ErrorKind, OperationError, Operations};

use gateway::{
    AssistantSettings, Gateway, GatewaySettings, ModelSettings, Recording, Secret, SettingsError, SystemClock,
};

/// Starts the models of the settings, whose answers may be recorded or come from recordings. A model without `api_key` uses the key that is stored for it, if there is one.
pub async fn start_models(
    operations: &Operations,
    mut models: BTreeMap<String, ModelSettings>,
    assistant: AssistantSettings,
    recording: Recording,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Arc<Gateway>, OperationError> {
    for (name, model) in models.iter_mut().filter(|(_, model)| model.api_key.is_none()) {
        model.api_key = operations.stored_model_key(name).await?.map(Secret::new);
    }
    let wrong = |error: SettingsError| OperationError::new(ErrorKind::Invalid, format!("headwater.toml: {error}"));
    let settings = GatewaySettings::new(models, assistant, variable).map_err(wrong)?;
    let ledger = Arc::new(accounts::Accounts(operations.clone()));
    let gateway = Gateway::new(settings, ledger, Arc::new(SystemClock::default())).map_err(wrong)?;
    Ok(Arc::new(gateway.with_recording(recording)))
}
