//! What a plan says of its tasks: what sources say of themselves, and what is set aside.

use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::plan::{ExtractSource, Quarantine, TaskPath};
use headwater_pipelines::spec::MaxRejected;

use super::Checker;
use crate::connector::Source;

impl Checker<'_> {
    /// Keeps the notes of what a task reads, each once.
    pub(super) fn note(&mut self, task: &TaskPath, source: &Source) {
        for note in &source.notes {
            self.note_once(task, note.clone());
        }
    }

    fn note_once(&mut self, task: &TaskPath, note: String) {
        let notes = self.checked.notes.entry(task.clone()).or_default();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Says what becomes of messages that can't be read, if the source is one that has such.
    pub(super) fn note_quarantine(&mut self, task: &TaskPath, source: &ExtractSource, quarantine: Option<Quarantine>) {
        let Some(quarantine) = quarantine else { return };
        // A connection that is unknown is reported where it is named.
        if self.connections.spec(source.connection()).is_err() {
            return;
        }
        match self.connections.must_reject(source) {
            Ok(()) => {
                self.note_rejects(task, "messages that can't be read are", quarantine.max_rejected, "messages");
            }
            Err(error) => {
                let steps = self.steps(task, &["extract", "on_reject"]);
                let finding = Finding::error(Code::Abilities, error.message);
                self.add(&steps, finding.hint(error.hint.unwrap_or_default()));
            }
        }
    }

    /// Says what a task sets aside, and how much of it a load may.
    pub(super) fn note_rejects(&mut self, task: &TaskPath, what: &str, max: Option<MaxRejected>, of: &str) {
        let most = MaxRejected::words(max, of);
        self.note_once(
            task,
            format!("{what} set aside; a load that would set aside more than {most} fails (max_rejected)"),
        );
    }
}
