//! The state machines: one enum and one pure `next(event)` each.
//!
//! SQL repeats them as CHECKs and as conditions of its updates; docs/state_machine.md draws them. A test compares all three.

mod attempt;
mod backfill;
mod draft;
mod load;
mod reject;
mod run;
mod stage_run;
mod stream;
mod task_run;

pub use attempt::{AttemptEvent, AttemptState};
pub use backfill::{BackfillEvent, BackfillState};
pub use draft::{DraftEvent, DraftState};
pub use load::{LoadEvent, LoadState};
pub use reject::{RejectEvent, RejectState};
pub use run::{RunEvent, RunState};
pub use stage_run::{StageRunEvent, StageRunState};
pub use stream::{StreamEvent, StreamState};
pub use task_run::{TaskEnd, TaskRunState, ends_after_failure};

/// Gives an enum of states its text, as the database and the command line spell it.
macro_rules! text_of_states {
    ($name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        impl $name {
            /// Every state.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As it is stored and shown.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::StoreError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|state| state.as_str() == text).ok_or_else(|| {
                    let valid: Vec<&str> = Self::ALL.iter().map(|state| state.as_str()).collect();
                    crate::StoreError::invalid(format!("there is no state '{text}'"))
                        .hint(format!("the states are {}", valid.join(", ")))
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($text),+] })
            }
        }
    };
}
pub(crate) use text_of_states;

#[cfg(test)]
mod tests;
