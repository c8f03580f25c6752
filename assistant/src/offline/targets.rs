//! Where a load writes: `lake.orders`, or a connection, in which rows go to a table that is called like theirs.

use super::data::Data;
use super::loads::Reader;
use super::selection::Selection;
use super::stop::Stop;
use crate::draft::{Choice, Question};
use crate::known::KnownTable;

impl Reader<'_> {
    /// `lake.orders`: a name below a connection that can be written to.
    pub(super) fn target(&self, at: usize) -> Option<(String, usize)> {
        let token = self.said.get(at)?;
        let parts = headwater_pipelines::sql::split_name(&token.text).ok()?;
        let known = parts.len() >= 2 && self.targets.contains(&parts[0]);
        known.then(|| (token.text.clone(), at + 1))
    }

    pub(super) fn no_target(&self, at: usize) -> Stop {
        let example = self.targets.first().map_or("connection", String::as_str);
        Stop::at(at, format!("'into' and a target such as {example}.name"))
    }

    pub(super) fn is_into(&self, at: usize) -> bool {
        let is_named = || self.target(at + 1).is_some() || self.connection(at + 1).is_some();
        (self.is(at, "into") || self.is(at, "to")) && is_named()
    }

    /// `the lake`: a connection that can be written to, and the place behind it.
    pub(super) fn connection(&self, at: usize) -> Option<(&str, usize)> {
        let at = at + usize::from(self.is(at, "the"));
        let found = self.targets.iter().find(|name| self.is(at, name))?;
        Some((found, at + 1))
    }

    /// The target of rows that go to a connection: a table that is called like theirs. One that is there already has to be named.
    pub(super) fn same_name(&self, at: usize, selection: &Selection) -> Result<(String, usize), Stop> {
        let Some((connection, behind)) = self.connection(at) else { return Err(self.no_target(at)) };
        let folds = !selection.groups.is_empty() || selection.items.iter().any(|item| item.value.is_folded());
        let table = self.names.known.table(selection.base).filter(|_| !folds);
        let table = table.ok_or_else(|| self.no_target(at))?;
        let target = format!("{connection}.{}", crate::known::quoted(table.name()));
        if !self.names.known.has_table(connection, table.name()) {
            return Ok((target, behind));
        }
        let words = self.span(at..behind);
        let sentence = format!("{}{target}{}", &self.sentence[..words.start], &self.sentence[words.end..]);
        let choices = vec![Choice { text: format!("yes, into {target}"), sentence }];
        Err(Stop::Ask(Question {
            text: format!("{target} exists, and you did not name it. Should it be written?"),
            choices,
        }))
    }

    pub(super) fn data(&self, target: Option<&str>) -> Data<'_> {
        let parts = target.and_then(|target| headwater_pipelines::sql::split_name(target).ok());
        // A schema may be left out.
        let is_at = |table: &KnownTable, parts: &[String]| {
            parts.first() == Some(&table.connection) && parts.len() > 1 && table.table.path.ends_with(&parts[1..])
        };
        let target = parts.and_then(|parts| {
            let mut tables = self.names.known.tables();
            tables.find(|(_, table)| is_at(table, &parts)).map(|(id, _)| id)
        });
        Data { sentence: self.sentence, said: self.said, names: self.names, target, loads: true }
    }
}
