//! What a connection can see: its health and its tables.

use std::collections::HashMap;

use headwater_engine::Result;
use headwater_engine::connector::{ColumnInfo, Health, TableInfo};

use super::Shared;
use super::relation::{self, ColumnMeta, flag, kind_name, letter, number, optional, text};
use super::session::{NOT_ENCRYPTED, Session};
use super::types::MIN_BARE_SCALE;

/// Relations that the role may read, in any schema that is its users' own. Leaves of partitioned tables are left out.
const READABLE: &str = "c.relkind IN ('r', 'v', 'm', 'p', 'f') AND NOT c.relispartition
    AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.relname <> '_headwater_loads'
    AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')";

/// The oldest server that the catalog's queries are written for.
const OLDEST: i32 = 120_000;

pub(super) async fn check(shared: &Shared, session: &Session) -> Result<Health> {
    let sql = format!(
        "SELECT split_part(current_setting('server_version'), ' ', 1), current_user,
                current_setting('server_version_num')::int, pg_is_in_recovery(),
                (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {READABLE})"
    );
    let rows = session.rows("checking the connection", &sql).await?;
    let row = rows.into_iter().next().unwrap_or_default();
    let tables: u64 = number(&row, 4)?;
    let mut notes = Vec::new();
    if number::<i32>(&row, 2)? < OLDEST {
        notes.push("servers older than 12 are not supported".to_owned());
    } else if number::<i32>(&row, 2)? < 140_000 {
        notes.push("before version 14 each table is read by one COPY".to_owned());
    }
    if flag(&row, 3) {
        notes.push("this is a standby: it can be read and not written".to_owned());
    }
    if tables == 0 {
        notes.push(format!("role {} may read no table; GRANT SELECT ON … TO it", text(&row, 1)?));
    }
    Ok(Health {
        version: format!("PostgreSQL {}", text(&row, 0)?),
        identity: Some(text(&row, 1)?),
        transport: if session.transport == NOT_ENCRYPTED && shared.is_socket() {
            "Unix socket".to_owned()
        } else {
            session.transport.clone()
        },
        latency_us: u64::try_from(session.latency().await?.as_micros()).unwrap_or(u64::MAX),
        tables,
        notes,
    })
}

pub(super) async fn catalog(session: &Session, with_columns: bool) -> Result<Vec<TableInfo>> {
    let sql = format!(
        "SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltuples::bigint, obj_description(c.oid, 'pg_class')
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {READABLE} ORDER BY 2, 3"
    );
    let rows = session.rows("reading the catalog", &sql).await?;
    let mut columns: HashMap<u32, Vec<ColumnInfo>> = HashMap::new();
    if with_columns {
        for (table, column) in relation::columns(session, READABLE).await? {
            columns.entry(table).or_default().push(info(column));
        }
    }
    rows.iter()
        .map(|row| {
            Ok(TableInfo {
                path: vec![text(row, 1)?, text(row, 2)?],
                kind: kind_name(letter(row, 3).unwrap_or('r')).to_owned(),
                rows: optional::<i64>(row, 4).and_then(|rows| u64::try_from(rows).ok()),
                comment: row.get(5).cloned().flatten(),
                columns: columns.remove(&number(row, 0)?).unwrap_or_default(),
            })
        })
        .collect()
}

fn info(column: ColumnMeta) -> ColumnInfo {
    ColumnInfo {
        arrow_type: column.base.read_as(MIN_BARE_SCALE).wire.arrow().to_string(),
        name: column.name,
        native_type: column.native,
        nullable: column.nullable,
        primary_key: column.primary_key,
        comment: column.comment,
    }
}
