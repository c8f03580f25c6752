//! What a load says of the history of its target.

use super::{Findings, below};
use crate::decode::Step;
use crate::diagnostic::{Code, Finding};
use crate::plan::HISTORY_COLUMNS;
use crate::spec::{LateRows, LoadTask, WriteMode};

impl Findings<'_> {
    pub(super) fn history(&mut self, load: &LoadTask, steps: &[Step]) {
        let Some(mode) = load.mode else { return };
        if mode != WriteMode::Scd2 {
            for (field, written) in [("track", !load.track.is_empty()), ("late", load.late.is_some())] {
                if written {
                    let finding = Finding::error(Code::BadLoad, format!("mode {mode} accepts no `{field}`"));
                    self.add_at_key(&below(steps, field), finding.hint("it is for mode scd2, which keeps history"));
                }
            }
            return;
        }
        if let Some(LateRows::Split | LateRows::Reject) = load.late {
            self.not_yet(&below(steps, "late"), "'late' of a load");
        }
        let track = below(steps, "track");
        for (index, column) in load.track.iter().enumerate() {
            let what = match column.as_str() {
                name if load.keys.iter().any(|key| key == name) => {
                    "is a key, which identifies a row and does not change"
                }
                name if HISTORY_COLUMNS.contains(&name) => "is a column of the history itself",
                _ => continue,
            };
            let at: Vec<Step> = track.iter().cloned().chain([Step::from(index)]).collect();
            let finding = Finding::error(Code::BadLoad, format!("{column} {what}"));
            self.add(&at, finding.hint("track columns of the rows beside their keys"));
        }
    }
}
