//! What a target is, and what a load would change of it.

use arrow::datatypes::SchemaRef;
use headwater_engine::connector::refuse_without_history;
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::{LoadSchema, WriteMode};

use super::PostgresSink;
use crate::contract::Drift;
use crate::postgres::alter::{self, Alter, Change};
use crate::postgres::keyed;
use crate::postgres::known::{self, Within};
use crate::postgres::loads;
use crate::postgres::names::{self, literal};
use crate::postgres::patience::Patience;
use crate::postgres::relation::{self, ColumnMeta, Relation};
use crate::postgres::session::Session;
use crate::postgres::swap;
use crate::postgres::target::{self, Fit, NewColumn};

/// The target as it is now.
pub(super) struct Target {
    pub relation: Option<Relation>,
    /// How rows are written once the columns are changed.
    pub fit: Fit,
    pub create: Vec<String>,
    /// Changes of its columns.
    pub alters: Vec<Alter>,
    /// What keeps an overwrite from swapping.
    pub dependents: Vec<String>,
    /// A unique index says which rows are one.
    pub has_index: bool,
}

impl Target {
    /// The table that an overwrite builds anew and swaps.
    pub(super) fn swapped(&self, mode: WriteMode) -> Option<&Relation> {
        self.relation.as_ref().filter(|_| mode == WriteMode::Overwrite && self.dependents.is_empty())
    }
}

impl PostgresSink {
    /// Looks at the target and fits the dataset to it, or to the table that would be made.
    pub(super) async fn look(&self, session: &Session, incoming: &SchemaRef, within: Within) -> Result<Target> {
        let names = incoming.fields().iter().map(|field| ("column", field.name().as_str()));
        names::refuse_long(session, names.chain([("schema", self.schema.as_str()), ("table", self.name.as_str())]))
            .await?;
        let path = [self.schema.clone(), self.name.clone()];
        // What was looked at before counts only for a plan.
        let known = if within == Within::Nothing { self.shared.known.take(&path) } else { None };
        let exists = format!("SELECT to_regclass({}) IS NOT NULL", literal(&self.sql()));
        if known.is_none() && session.value("looking for the target", &exists).await?.as_deref() != Some("t") {
            return self.look_at_nothing(session, incoming, within).await;
        }
        let (relation, columns) = match known {
            Some(known) => known?,
            None => {
                let patience = if within == Within::Nothing { self.shared.patience() } else { Patience::Session };
                known::look(session, &self.shared.dialer.name, &path, patience).await?
            }
        };
        if !matches!(relation.kind, 'r' | 'p') {
            let kind = relation::kind_name(relation.kind);
            return Err(EngineError::config(format!("{} is a {kind}, which can't be loaded", self.label()))
                .hint("load into a table"));
        }
        if self.mode.is_keyed() {
            keyed::refuse_hidden(&relation)?;
            keyed::refuse_heirs(session, &relation).await?;
        }
        if self.mode == WriteMode::Scd2 {
            refuse_without_history(&self.label(), columns.iter().map(|column| column.name.as_str()))?;
        }
        let dependents = match self.mode {
            WriteMode::Overwrite => match self.shared.known.take_dependents(&relation) {
                Some(known) => known,
                None => swap::dependents(session, &relation).await?,
            },
            _ => Vec::new(),
        };
        let is_replaced = self.mode == WriteMode::Overwrite && dependents.is_empty();
        let (fit, alters) = self.judge(session, incoming, (&relation, columns), is_replaced, within).await?;
        let has_index = match self.unique.as_slice() {
            [] => true,
            keys => keyed::has_unique_index(session, &relation, keys).await?,
        };
        Ok(Target { relation: Some(relation), fit, create: Vec::new(), alters, dependents, has_index })
    }

    async fn look_at_nothing(&self, session: &Session, incoming: &SchemaRef, within: Within) -> Result<Target> {
        let mut columns = target::new_columns(incoming)?;
        let metas = self.described(session, &mut columns, within).await?;
        let frozen = LoadSchema::default();
        let mut drift = Drift::new(&frozen);
        let fit = target::fit(incoming, &metas, &mut drift)?;
        drift.settle(&self.label())?;
        let create = self.create(session, &columns).await?;
        Ok(Target { relation: None, fit, create, alters: Vec::new(), dependents: Vec::new(), has_index: true })
    }

    /// What the contract changes of a table, and how the rows go into it then.
    async fn judge(
        &self,
        session: &Session,
        incoming: &SchemaRef,
        (relation, columns): (&Relation, Vec<ColumnMeta>),
        is_replaced: bool,
        within: Within,
    ) -> Result<(Fit, Vec<Alter>)> {
        let mut drift = Drift::new(&self.contract);
        let keys: &[String] = if self.mode.is_keyed() { &self.keys } else { &[] };
        let mut alters = alter::alters(incoming, &columns, keys, is_replaced, &mut drift)?;
        if !alters.is_empty() && !is_replaced {
            alter::refuse_kept(session, relation, &alters, &mut drift).await?;
        }
        let after = self.altered(session, columns, &mut alters, within).await?;
        let mut fit = target::fit(incoming, &after, &mut drift)?;
        fit.notes.extend(drift.settle(&self.label())?);
        Ok((fit, alters))
    }

    /// The columns as they are afterwards.
    async fn altered(
        &self,
        session: &Session,
        columns: Vec<ColumnMeta>,
        alters: &mut [Alter],
        within: Within,
    ) -> Result<Vec<ColumnMeta>> {
        if alters.is_empty() {
            return Ok(columns);
        }
        let is_dropped = |alter: &Alter| alter.change == Change::Drop;
        let dropped: Vec<&str> =
            alters.iter().filter(|alter| is_dropped(alter)).map(|alter| alter.column.name.as_str()).collect();
        let mut after: Vec<ColumnMeta> =
            columns.into_iter().filter(|column| !dropped.contains(&column.name.as_str())).collect();
        let kept = alters.iter_mut().filter(|alter| !is_dropped(alter));
        let kept: Vec<&mut Alter> = kept.collect();
        let mut new: Vec<NewColumn> = kept.iter().map(|alter| alter.column.clone()).collect();
        let metas = self.described(session, &mut new, within).await?;
        for ((alter, column), meta) in kept.into_iter().zip(new).zip(metas) {
            match after.iter_mut().find(|old| old.name == column.name) {
                Some(old) => {
                    let ColumnMeta { nullable, has_default, primary_key, .. } = *old;
                    *old = ColumnMeta { nullable, has_default, primary_key, ..meta };
                }
                None => after.push(meta),
            }
            alter.column = column;
        }
        Ok(after)
    }

    /// The statements that make the table, and its schema if there is none.
    async fn create(&self, session: &Session, columns: &[NewColumn]) -> Result<Vec<String>> {
        let mut statements = loads::create_schema(session, &self.schema).await?;
        statements.push(target::create_table(&self.schema, &self.name, columns, &self.unique));
        Ok(statements)
    }

    /// Columns that don't exist yet, by their types. A remembered type that this database does not have gives way to the one that holds the column's
    /// values.
    async fn described(&self, session: &Session, columns: &mut [NewColumn], within: Within) -> Result<Vec<ColumnMeta>> {
        let natives: Vec<&str> =
            columns.iter().flat_map(|column| [column.native.as_str(), column.fallback.as_str()]).collect();
        let types = self.shared.known.types(session, &natives, within).await?;
        let mut metas = Vec::with_capacity(columns.len());
        for (column, found) in columns.iter_mut().zip(types.chunks(2)) {
            let (meta, native) = match found {
                [Some(remembered), _] => (remembered, column.native.clone()),
                [None, Some(fallback)] => (fallback, column.fallback.clone()),
                _ => {
                    let (name, kind) = (&column.name, &column.fallback);
                    return Err(EngineError::config(format!("column {name}: the database has no type {kind}")));
                }
            };
            metas.push(ColumnMeta { name: column.name.clone(), nullable: true, ..meta.clone() });
            column.native = native;
        }
        Ok(metas)
    }
}
