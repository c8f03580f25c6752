//! How a sentence becomes a draft and a question an answer: everything that calls a language model, and what does the same without one.
//!
//! The crate makes drafts and read-only statements. It applies nothing and runs nothing.

mod draft;
mod face;
pub mod gateway;
mod known;
mod offline;
mod retrieval;
mod words;

pub use draft::{Choice, Drafted, NotUnderstood, Outcome, Question, Refusal, RefusalReason, Requirement};
pub use face::{AskReport, Asked, Assistant, CompileReport, DraftReport, StatementReport};
pub use known::{ColumnId, Known, KnownTable, TableId};
pub use offline::{Setting, Statement, Term, ask, compile};
pub use retrieval::{Budget, Found, Hint, Left, Retrieval};
pub use words::{fold, split_name, tokens};
