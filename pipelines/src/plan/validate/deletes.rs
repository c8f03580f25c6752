//! What a load says of rows that are gone at the source.

use super::{Findings, below};
use crate::decode::Step;
use crate::diagnostic::{Code, Finding};
use crate::plan::tables;
use crate::spec::{LoadTask, OnDelete, WriteMode};

impl Findings<'_> {
    pub(super) fn deletes(&mut self, load: &LoadTask, steps: &[Step]) {
        // Loads of several tables accept none of it, which is reported with what else they don't.
        if tables::has_placeholders(&load.into) {
            return;
        }
        let fields = [
            ("on_delete", load.on_delete.is_some()),
            ("deleted_when", load.deleted_when.is_some()),
            ("deletes", load.deletes.is_some()),
            ("changes", load.changes),
            ("max_delete", load.max_delete.is_some()),
        ];
        let written: Vec<&str> = fields.into_iter().filter(|(_, written)| *written).map(|(field, _)| field).collect();
        match load.mode {
            Some(WriteMode::Upsert) if load.changes => self.changes(load, steps),
            Some(WriteMode::Scd2) if !load.changes => {
                if load.deleted_when.is_some() {
                    self.not_yet(&below(steps, "deleted_when"), "'deleted_when' of mode scd2");
                }
                self.deletes_by_keys(load, steps);
            }
            Some(WriteMode::Upsert) => self.deletes_by_keys(load, steps),
            Some(mode) => {
                for field in &written {
                    let finding = Finding::error(Code::BadLoad, format!("mode {mode} accepts no `{field}`"));
                    let hint = match mode {
                        _ if *field == "changes" => {
                            "changes are applied by keys: use mode upsert with keys; or remove it: they are loaded as rows, `_op` beside them"
                        }
                        WriteMode::Overwrite => "remove it: the target holds afterwards what the source has",
                        _ => "rows are found gone by their keys: use mode upsert with keys",
                    };
                    self.add_at_key(&below(steps, field), finding.hint(hint));
                }
            }
            // It is missing, or could not be read.
            None => {}
        }
    }

    /// Changes say themselves what is gone and which of them is the last.
    fn changes(&mut self, load: &LoadTask, steps: &[Step]) {
        let fields = [
            ("order_by", load.order_by.is_some(), "changes of one key follow each other by their `_position`"),
            ("deleted_when", load.deleted_when.is_some(), "the `_op` of a change says what is gone"),
            ("deletes", load.deletes.is_some(), "the `_op` of a change says what is gone"),
            ("max_delete", load.max_delete.is_some(), "changes delete what they say, however many"),
        ];
        for (field, _, why) in fields.into_iter().filter(|(_, written, _)| *written) {
            let finding = Finding::error(Code::BadLoad, format!("a load of changes accepts no `{field}`"));
            self.add_at_key(&below(steps, field), finding.hint(format!("remove it: {why}")));
        }
        if self.on_delete_fits(load, false, steps) && load.on_delete == Some(OnDelete::Ignore) {
            let message = "`on_delete: ignore` leaves in the target what changes say is gone";
            let hint = "write `on_delete: soft`, which marks such rows, or remove it";
            self.add(&below(steps, "on_delete"), Finding::error(Code::BadLoad, message).hint(hint));
        }
    }

    fn deletes_by_keys(&mut self, load: &LoadTask, steps: &[Step]) {
        let keeps_history = load.mode == Some(WriteMode::Scd2);
        if !self.on_delete_fits(load, keeps_history, steps) {
            return;
        }
        let ways = if keeps_history { "`on_delete: close`" } else { "`on_delete: hard` or `on_delete: soft`" };
        let on_delete = load.on_delete.unwrap_or_default();
        if load.deleted_when.as_ref().is_some_and(|text| text.trim().is_empty()) {
            let finding = Finding::error(Code::BadValue, "`deleted_when` is empty: expected a condition");
            self.add(&below(steps, "deleted_when"), finding.hint("for example: deleted_when: \"op = 'D'\""));
        }
        let finds = [("deleted_when", load.deleted_when.is_some()), ("deletes", load.deletes.is_some())];
        let finds = finds.into_iter().find(|(_, written)| *written).map(|(field, _)| field);
        if let (Some(OnDelete::Ignore), Some(field)) = (load.on_delete, finds) {
            let message = format!("`on_delete: ignore` leaves in the target what `{field}` finds gone");
            let hint = format!("write {ways}, or remove `{field}`");
            self.add(&below(steps, "on_delete"), Finding::error(Code::BadLoad, message).hint(hint));
        }
        let compares = load.deletes.is_some() || (load.deleted_when.is_none() && on_delete != OnDelete::Ignore);
        // What compares may be what could not be read.
        if load.max_delete.is_some() && !compares && !self.document.lost().within(steps) {
            let message = "`max_delete` limits what a comparison may find gone, and nothing is compared";
            let hint = match load.deleted_when {
                Some(_) => "remove it: `deleted_when` deletes what rows say, however many".to_owned(),
                None => format!("add {ways}, or remove it"),
            };
            self.add_at_key(&below(steps, "max_delete"), Finding::error(Code::BadLoad, message).hint(hint));
        }
    }

    /// Whether what becomes of rows that are gone is something that the mode can do.
    fn on_delete_fits(&mut self, load: &LoadTask, keeps_history: bool, steps: &[Step]) -> bool {
        let (message, hint) = match load.on_delete {
            Some(OnDelete::Close) if !keeps_history => (
                "`on_delete: close` ends versions, and the mode keeps none",
                "write `on_delete: soft`, which marks such rows, or `on_delete: hard`; or use mode scd2",
            ),
            Some(OnDelete::Soft | OnDelete::Hard) if keeps_history => (
                "mode scd2 keeps what rows were, and neither marks nor deletes them",
                "write `on_delete: close`: the version that holds ends",
            ),
            _ => return true,
        };
        self.add(&below(steps, "on_delete"), Finding::error(Code::BadLoad, message).hint(hint));
        false
    }
}
