//! The block of one kind: extract, check, load.

use super::{Findings, below};
use crate::decode::Step;
use crate::diagnostic::{Code, Finding};
use crate::kind::Kind;
use crate::plan::tables;
use crate::plan::tree::Placed;
use crate::spec::{
    AUTO_CURSOR, CheckTask, ColumnOverride, Columns, Contract, ExtractTask, LoadSchema, LoadTask, OnFailure, OnReject,
    Rule, WriteMode,
};

impl Findings<'_> {
    pub(super) fn block(&mut self, placed: &Placed<'_>, kind: Kind) {
        let task = placed.task;
        let steps = placed.inside(&[kind.as_str()]);
        if let Some(extract) = &task.extract {
            self.extract(extract, &steps);
        }
        if let Some(load) = &task.load {
            self.load(load, &steps);
        }
        if let Some(check) = &task.check {
            self.check(check, &steps);
        }
        if kind == Kind::Group {
            self.not_empty(&steps, "task names");
        }
    }

    fn extract(&mut self, extract: &ExtractTask, steps: &[Step]) {
        let named =
            [extract.from.is_some(), extract.tables.is_some(), extract.connection.is_some() || extract.query.is_some()];
        let count = named.iter().filter(|named| **named).count();
        let query_whole = extract.connection.is_some() == extract.query.is_some();
        // A source may be what could not be read; two sources are two whatever else there is.
        let unknown = count <= 1 && self.document.lost().within(steps);
        if (count != 1 || !query_whole) && !unknown {
            let finding = Finding::error(Code::BadExtract, "an extract needs exactly one source");
            self.add_at_key(steps, finding.hint("give `from`, or `tables`, or `connection` and `query` together"));
        }
        if extract.max_rejected.is_some() && extract.on_reject != Some(OnReject::Quarantine) {
            let finding =
                Finding::error(Code::BadExtract, "`max_rejected` says how much may be set aside, and nothing is");
            self.add_at_key(&below(steps, "max_rejected"), finding.hint("add `on_reject: quarantine`, or remove it"));
        }
        if extract.on_value.is_some() {
            self.not_yet(&below(steps, "on_value"), "'on_value' of an extract");
        }
        for (field, finding) in tables::misfits(extract) {
            // `tables` may be what could not be read.
            if field != "exclude" || !self.document.lost().within(steps) {
                self.add_at_key(&below(steps, field), finding);
            }
        }
        self.cursor(extract, steps);
        match &extract.columns {
            Some(Columns::Only(names)) => self.columns(names, &below(steps, "columns")),
            Some(Columns::Override(columns)) => {
                let steps = below(steps, "columns");
                self.not_empty(&steps, "column names");
                let masked = columns
                    .iter()
                    .filter(|(_, rule)| matches!(rule, ColumnOverride::Full(rule) if rule.mask.is_some()));
                for (name, _) in masked {
                    self.not_yet(&below(&below(&steps, name), "mask"), "masks");
                }
            }
            None => {}
        }
    }

    fn cursor(&mut self, extract: &ExtractTask, steps: &[Step]) {
        let at = below(steps, "cursor");
        let fields = [
            ("lookback", extract.lookback.is_some()),
            ("lag", extract.lag.is_some()),
            ("cursor_nulls", extract.cursor_nulls.is_some()),
        ];
        let written = fields.into_iter().filter(|(_, written)| *written).map(|(field, _)| field);
        match extract.cursor.as_deref() {
            None if self.document.lost().within(&at) => {}
            None => {
                for field in written {
                    let finding = Finding::error(
                        Code::BadCursor,
                        format!("`{field}` says how a cursor reads, and there is none"),
                    );
                    self.add_at_key(
                        &below(steps, field),
                        finding.hint("add `cursor`, the column whose growth marks new rows"),
                    );
                }
            }
            Some(AUTO_CURSOR) if extract.tables.is_none() => {
                for field in written {
                    let finding =
                        Finding::error(Code::BadCursor, format!("the source's own position has no `{field}`"));
                    self.add_at_key(&below(steps, field), finding.hint("name a column as `cursor`, or remove it"));
                }
            }
            Some(column) if column.trim().is_empty() => {
                self.add(&at, Finding::error(Code::BadName, "a column's name is empty"));
            }
            Some(_) if extract.query.is_some() && extract.lag.is_none() => {
                let finding = Finding::error(Code::BadCursor, "the cursor of a query needs a `lag`");
                let hint = "a source can't say which rows of a query are new: `lag: 1h` reads the last hour again each time, for mode upsert";
                self.add(&at, finding.hint(hint));
            }
            Some(_) if extract.lag.is_some() && extract.lookback.is_some() => {
                let finding = Finding::error(Code::BadCursor, "`lag` and `lookback` exclude each other");
                self.add_at_key(
                    &below(steps, "lookback"),
                    finding.hint("tables have a lookback; views, foreign tables and queries a lag"),
                );
            }
            Some(_) => {}
        }
    }

    fn load(&mut self, load: &LoadTask, steps: &[Step]) {
        // Loads of several tables have the keys and modes of each of them.
        let is_single = !tables::has_placeholders(&load.into);
        match load.mode {
            Some(mode) if is_single => self.keys(load, mode, steps),
            None if is_single && !self.document.lost().within(steps) => {
                self.add_at_key(steps, Finding::error(Code::MissingField, "'load' needs the field 'mode'"));
            }
            _ => {}
        }
        self.columns(&load.keys, &below(steps, "keys"));
        self.order_by(load, &below(steps, "order_by"));
        self.columns(&load.track, &below(steps, "track"));
        self.columns(&load.partition_by, &below(steps, "partition_by"));
        self.contract(load, &below(steps, "schema"));
        self.deletes(load, steps);
        self.history(load, steps);
        if load.verify.is_some() {
            self.not_yet(&below(steps, "verify"), "'verify' of a load");
        }
    }

    fn keys(&mut self, load: &LoadTask, mode: WriteMode, steps: &[Step]) {
        let keys = below(steps, "keys");
        let written = !load.keys.is_empty() || self.document.node(&keys).is_some();
        if mode.is_keyed() {
            if !written && !self.document.lost().within(&keys) {
                let finding = Finding::error(Code::BadLoad, format!("mode {mode} needs `keys`"));
                self.add_at_key(steps, finding.hint("name the columns that identify a row, e.g. keys: [id]"));
            }
        } else if !load.keys.is_empty() {
            let finding = Finding::error(Code::BadLoad, format!("mode {mode} accepts no `keys`"));
            self.add_at_key(&keys, finding.hint("remove them, or choose mode upsert"));
        }
    }

    fn order_by(&mut self, load: &LoadTask, steps: &[Step]) {
        let Some(column) = &load.order_by else { return };
        self.columns(std::slice::from_ref(column), steps);
        let is_single = !tables::has_placeholders(&load.into);
        if let Some(mode) = load
            .mode
            .filter(|mode| is_single && !matches!(mode, WriteMode::Upsert | WriteMode::InsertNew | WriteMode::Scd2))
        {
            let finding = Finding::error(Code::BadLoad, format!("mode {mode} accepts no `order_by`"));
            self.add_at_key(
                steps,
                finding.hint("it says which of several rows of one key counts: for upsert, insert_new and scd2"),
            );
        }
    }

    /// Contracts of columns: none for nothing, and none that a key or a partition column can't keep.
    fn contract(&mut self, load: &LoadTask, steps: &[Step]) {
        let Some(LoadSchema::ByColumn(contracts)) = &load.schema else { return };
        let steps = below(steps, "columns");
        self.not_empty(&steps, "column names");
        for (name, contract) in &contracts.columns {
            let (at, refused) = (below(&steps, name), *contract != Contract::Freeze);
            if name.trim().is_empty() {
                self.add_at_key(&at, Finding::error(Code::BadName, "a column's name is empty"));
            } else if refused && load.partition_by.contains(name) {
                let message = format!("{name} is a partition column, which can't be added or changed");
                let hint = "remove it here: a table keeps the partition columns that it was made with";
                self.add_at_key(&at, Finding::error(Code::BadLoad, message).hint(hint));
            } else if *contract == Contract::AddColumns && load.keys.contains(name) {
                let message = format!("{name} is a key, which can't be added to a table");
                let hint = "remove it here: a key has to be there, and `evolve` lets its type become wider";
                self.add_at_key(&at, Finding::error(Code::BadLoad, message).hint(hint));
            }
        }
    }

    fn check(&mut self, check: &CheckTask, steps: &[Step]) {
        let is_quarantine = check.on_failure == OnFailure::Quarantine;
        if check.max_rejected.is_some() && !is_quarantine {
            let finding =
                Finding::error(Code::BadRule, "`max_rejected` says how much may be set aside, and nothing is");
            self.add_at_key(&below(steps, "max_rejected"), finding.hint("add `on_failure: quarantine`, or remove it"));
        }
        let rules = below(steps, "rules");
        self.not_empty(&rules, "at least one rule");
        for (index, rule) in check.rules.iter().enumerate() {
            let steps: Vec<Step> = rules.iter().cloned().chain([Step::from(index)]).collect();
            if is_quarantine && rule.unique.is_some() {
                self.not_yet(&below(&steps, "unique"), "unique rules of a check that sets rows aside");
            }
            self.rule(rule, &steps);
        }
    }

    fn rule(&mut self, rule: &Rule, steps: &[Step]) {
        let kinds = [
            rule.not_null.is_some(),
            rule.unique.is_some(),
            rule.accepted_values.is_some(),
            rule.range.is_some(),
            rule.sql.is_some(),
        ];
        match kinds.iter().filter(|set| **set).count() {
            1 if rule.range.is_some() => self.not_yet(&below(steps, "range"), "range rules"),
            1 => {}
            // Its kind is probably what could not be read.
            0 if self.document.lost().within(steps) => {}
            _ => {
                let finding = Finding::error(Code::BadRule, "a rule has exactly one kind");
                self.add(steps, finding.hint("one of not_null, unique, accepted_values, range, sql"));
            }
        }
        for (field, names) in [("not_null", &rule.not_null), ("unique", &rule.unique)] {
            self.columns(names.as_deref().unwrap_or_default(), &below(steps, field));
        }
        if let Some(accepted) = &rule.accepted_values {
            let steps = below(&below(steps, "accepted_values"), "values");
            self.not_empty(&steps, "at least one value");
            for (index, value) in accepted.values.iter().enumerate() {
                if value.is_null() || value.is_array() || value.is_object() {
                    let finding = Finding::error(Code::BadRule, "accepted values are strings, numbers or booleans");
                    self.add(&[steps.as_slice(), &[Step::from(index)]].concat(), finding);
                }
            }
        }
    }

    /// A list of columns that is written holds at least one, and each has a name.
    fn columns(&mut self, names: &[String], steps: &[Step]) {
        self.not_empty(steps, "column names");
        for (index, _) in names.iter().enumerate().filter(|(_, name)| name.trim().is_empty()) {
            let finding = Finding::error(Code::BadName, "a column's name is empty");
            self.add(&[steps, &[Step::from(index)]].concat(), finding);
        }
    }
}
