//! Personal data: recognised in values, and masked.
//!
//! What a language model or a person without a grant sees of a source passes through here. Recognition prefers to hide too much: a value that only looks like
//! a card number is hidden too.

mod ids;
mod mask;
mod names;
mod recognise;

pub use mask::{Mask, MaskKey, Rounding};
pub use names::is_private;
pub use recognise::{Personal, recognise};
