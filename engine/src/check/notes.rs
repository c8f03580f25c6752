//! What sources say of themselves: a guess, a fallback.

use headwater_pipelines::plan::TaskPath;

use super::Checker;
use crate::connector::Source;

impl Checker<'_> {
    /// Keeps the notes of what a task reads, each once.
    pub(super) fn note(&mut self, task: &TaskPath, source: &Source) {
        for note in &source.notes {
            let notes = self.checked.notes.entry(task.clone()).or_default();
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
    }
}
