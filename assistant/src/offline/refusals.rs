//! Sentences that are refused: a pipeline changes no source.

use super::lexer::Token;
use super::stop::Stop;
use crate::draft::{Refusal, RefusalReason};

/// Words that begin a request to change or remove what is there.
const CHANGING: [&str; 24] = [
    "delete",
    "remove",
    "drop",
    "truncate",
    "update",
    "insert",
    "alter",
    "purge",
    "erase",
    "raise",
    "increase",
    "decrease",
    "set",
    "change",
    "rename",
    "grant",
    "lösche",
    "entferne",
    "erhöhe",
    "senke",
    "aktualisiere",
    "setze",
    "ändere",
    "Ändere",
];

/// A request to change a source is refused, whatever else the sentence says.
pub(super) fn refuse_changes(said: &[Token]) -> Result<(), Stop> {
    let first = said.iter().find(|token| !["please", "can", "could", "you", "now"].iter().any(|word| token.is(word)));
    // `make a pipeline that deletes …`
    let within = said.windows(2).find(|two| {
        let leads = ["that", "which", "and", "to", "then"].iter().any(|word| two[0].is(word));
        leads
            && ["deletes", "removes", "drops", "truncates", "purges", "delete", "truncate", "purge"]
                .iter()
                .any(|word| two[1].is(word))
    });
    match first.filter(|token| CHANGING.iter().any(|word| token.is(word))).or(within.map(|two| &two[1])) {
        Some(token) => Err(Stop::Refuse(Refusal {
            reason: RefusalReason::ChangesData,
            message: format!(
                "'{}' would change what is in a source. Pipelines read sources and write their own targets; change the source with its own tools",
                token.text
            ),
        })),
        None => Ok(()),
    }
}
