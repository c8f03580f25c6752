//! The transaction of a load, from its beginning to the last row.

use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use headwater_engine::connector::{Changes, LoadContext, without_flag};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::WriteMode;

use super::look::Target;
use super::{IDLE_TIMEOUT, LOCK_TIMEOUT, PostgresSink};
use crate::postgres::alter::{self, Alter, Change};
use crate::postgres::casts;
use crate::postgres::copy;
use crate::postgres::exclusive;
use crate::postgres::gone::{self, Removal};
use crate::postgres::keyed::{self, Merge};
use crate::postgres::known::Within;
use crate::postgres::names::literal;
use crate::postgres::relation::Relation;
use crate::postgres::session::Session;
use crate::postgres::swap;
use crate::postgres::target::Fit;

/// What a transaction holds.
pub(super) struct Filled {
    pub rows: u64,
    pub bytes: u64,
    /// The target and the table built beside it.
    pub swap: Option<(Relation, String)>,
    /// What a merge did.
    pub changes: Option<Changes>,
    /// What became of the target's columns.
    pub alters: Vec<Alter>,
}

impl PostgresSink {
    /// Begins the transaction and brings all rows into it.
    pub(super) async fn fill(
        &self,
        session: &Session,
        load: &LoadContext,
        input: SendableRecordBatchStream,
    ) -> Result<Filled> {
        let incoming = without_flag(&input.schema(), self.deletes.as_ref());
        let target = self.begin(session, load, &incoming).await?;
        let into = self.sql();
        let (mut swapped, mut changes) = (None, None);
        let (rows, bytes) = if self.mode.is_keyed() {
            let (rows, bytes, merged) = self.merge(session, load, &target, &incoming, input).await?;
            changes = Some(merged);
            (rows, bytes)
        } else if let Some(relation) = target.swapped(self.mode) {
            let beside = swap::beside(load.load_id, load.attempt);
            session.run("making the new table", &swap::create_beside(relation, &beside)).await?;
            let path = crate::postgres::names::path(&[self.schema.as_str(), &beside]);
            for alter in &target.alters {
                session.run("changing the columns of the new table", &alter.sql(&path)).await?;
            }
            swapped = Some((relation.clone(), beside));
            self.send(session, &target.fit, &path, input).await?
        } else if target.alters.is_empty() {
            self.clear(session, &target).await?;
            self.send(session, &target.fit, &into, input).await?
        } else {
            self.send_then_alter(session, load, &target, &incoming, input).await?
        };
        Ok(Filled { rows, bytes, swap: swapped, changes, alters: target.alters })
    }

    /// Begins the transaction, looks at the target in it and makes it if it isn't there. Whatever the role's default is, each statement sees what
    /// others have committed while the load waited for its turn.
    async fn begin(&self, session: &Session, load: &LoadContext, incoming: &SchemaRef) -> Result<Target> {
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SET LOCAL idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}';
             SET LOCAL statement_timeout = 0; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL extra_float_digits = 1"
        );
        session.run("beginning the load", &begin).await?;
        let into = self.sql();
        let exists = format!("SELECT to_regclass({}) IS NOT NULL", literal(&into));
        let exists = session.value("looking for the target", &exists).await?.as_deref() == Some("t");
        // Who replaces, merges into or makes the table has it to themselves, and only then looks at it.
        let is_alone = self.mode != WriteMode::Append || !exists;
        if is_alone {
            swap::exclude_others(session, load, &self.schema, &into).await?;
        }
        let mut target = self.look(session, incoming, Within::Transaction).await?;
        if !is_alone && !target.alters.is_empty() {
            // So has who changes its columns: of two that add one column the second finds it there.
            swap::exclude_others(session, load, &self.schema, &into).await?;
            target = self.look(session, incoming, Within::Transaction).await?;
        }
        for statement in &target.create {
            session.run(&format!("making {}", self.label()), statement).await?;
        }
        Ok(target)
    }

    /// An overwrite that can't swap deletes the rows.
    async fn clear(&self, session: &Session, target: &Target) -> Result<()> {
        if self.mode != WriteMode::Overwrite || target.relation.is_none() {
            return Ok(());
        }
        let into = self.sql();
        let delete = format!("LOCK TABLE {into} IN SHARE ROW EXCLUSIVE MODE; DELETE FROM {into}");
        session.run("deleting the old rows", &delete).await
    }

    /// Sends all rows; answers their number and bytes.
    async fn send(
        &self,
        session: &Session,
        fit: &Fit,
        into: &str,
        input: SendableRecordBatchStream,
    ) -> Result<(u64, u64)> {
        let columns = if fit.columns.is_empty() { String::new() } else { format!(" ({})", fit.names()) };
        if !fit.casts() {
            return copy::copy(session, fit, &format!("COPY {into}{columns} FROM STDIN (FORMAT BINARY)"), input).await;
        }
        session.run("making room for the texts", &casts::create(fit, into)).await?;
        let into_incoming = format!("COPY {}{columns} FROM STDIN (FORMAT BINARY)", casts::INCOMING);
        let sent = copy::copy(session, fit, &into_incoming, input).await?;
        casts::refuse_changed(session, fit).await?;
        session.run("casting the texts", &casts::insert(fit, into)).await?;
        Ok(sent)
    }

    /// Changes the columns once all rows are on the server, so that readers of the table wait for no source.
    async fn send_then_alter(
        &self,
        session: &Session,
        load: &LoadContext,
        target: &Target,
        incoming: &SchemaRef,
        input: SendableRecordBatchStream,
    ) -> Result<(u64, u64)> {
        let (into, fit) = (self.sql(), &target.fit);
        session.run("making room for the rows", &keyed::create_rows(fit, &into, &target.alters)).await?;
        let sent = self.send(session, fit, keyed::ROWS, input).await?;
        self.alter(session, load, target, incoming).await?;
        self.clear(session, target).await?;
        let names = fit.names();
        let insert =
            format!("INSERT INTO {into} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {}", keyed::ROWS);
        session.run("inserting the rows", &insert).await?;
        Ok(sent)
    }

    /// Changes the target's columns, if they are still what the load was judged by. From here to the commit nobody else reads the table.
    async fn alter(&self, session: &Session, load: &LoadContext, target: &Target, incoming: &SchemaRef) -> Result<()> {
        let into = self.sql();
        exclusive::lock(session, load, &into).await?;
        let now = self.look(session, incoming, Within::Transaction).await?;
        let oid = |target: &Target| target.relation.as_ref().map(|relation| relation.oid);
        if oid(&now) != oid(target) || now.alters != target.alters {
            return Err(alter::changed(&self.label()));
        }
        for alter in &target.alters {
            session.run(&format!("changing the columns of {}", self.label()), &alter.sql(&into)).await?;
        }
        Ok(())
    }

    /// Sends all keys of the source beside the target.
    async fn send_keys(&self, session: &Session, fit: &Fit, keys: SendableRecordBatchStream) -> Result<()> {
        let fit = fit.only(&self.keys);
        session.run("making room for the keys", &gone::create_keys(&fit, &self.sql())).await?;
        session.run("clearing the rows' texts", &casts::clear()).await?;
        self.send(session, &fit, gone::KEYS, keys).await?;
        session.run("looking at the keys", &format!("ANALYZE {}", gone::KEYS)).await
    }

    /// Sends all rows beside the target and merges them into it.
    async fn merge(
        &self,
        session: &Session,
        load: &LoadContext,
        target: &Target,
        incoming: &SchemaRef,
        input: SendableRecordBatchStream,
    ) -> Result<(u64, u64, Changes)> {
        let (fit, into) = (&target.fit, self.sql());
        if let Some(key) = self.keys.iter().find(|key| !fit.columns.iter().any(|column| column.name == **key)) {
            return Err(EngineError::config(format!(
                "{}: the load writes no column {key}, which is a key",
                self.label()
            )));
        }
        let deletes = self.deletes.as_ref();
        let sent = match deletes.filter(|deletes| deletes.when.is_some()) {
            Some(deletes) if deletes.changes => &fit.with_flag().with_kept(),
            Some(_) => &fit.with_flag(),
            None => fit,
        };
        session.run("making room for the rows", &keyed::create_rows(sent, &into, &target.alters)).await?;
        let (rows, bytes) = self.send(session, sent, keyed::ROWS, input).await?;
        let is_scanned = match load.keys.take() {
            Some(keys) => self.send_keys(session, fit, keys).await.map(|()| true)?,
            None => false,
        };
        if !target.alters.is_empty() {
            self.alter(session, load, target, incoming).await?;
        }
        let label = self.label();
        let removal = deletes.map(|deletes| Removal { deletes, label: &label, is_scanned });
        let merge = Merge {
            mode: self.mode,
            into: &into,
            keys: &self.keys,
            order_by: self.order_by.as_deref(),
            fit,
            is_partitioned: target.relation.as_ref().is_some_and(|relation| relation.kind == 'p'),
            removal,
            history: self.history.as_ref().filter(|_| self.mode == WriteMode::Scd2),
            added: target
                .alters
                .iter()
                .filter(|alter| alter.change == Change::Add)
                .map(|alter| alter.column.name.as_str())
                .collect(),
        };
        Ok((rows, bytes, merge.run(session, target.has_index).await?))
    }
}
