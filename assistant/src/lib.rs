//! How a sentence becomes a draft and a question an answer: everything that calls a language model, and what does the same without one.
//!
//! The crate makes drafts and read-only statements. It applies nothing and runs nothing.

mod known;
mod retrieval;
mod words;

pub use known::{ColumnId, Known, KnownTable, TableId};
pub use retrieval::{Budget, Found, Left, Retrieval, Term};
pub use words::{fold, split_name, tokens};
