//! What a connection can see: its health and its tables.

use std::collections::HashMap;

use headwater_engine::connector::{ColumnInfo, ForeignKey, Health, TableInfo};
use headwater_engine::{EngineError, Result};

use super::Shared;
use super::relation::{self, ColumnMeta, flag, kind_name, letter, number, optional, text};
use super::session::{NOT_ENCRYPTED, Session, TextRow};
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
    let mut keys = Keys::default();
    if with_columns {
        for (table, column) in relation::columns(session, READABLE).await? {
            columns.entry(table).or_default().push(info(column));
        }
        keys = self::keys(session).await?;
    }
    rows.iter()
        .map(|row| {
            let oid = number(row, 0)?;
            Ok(TableInfo {
                path: vec![text(row, 1)?, text(row, 2)?],
                kind: kind_name(letter(row, 3).unwrap_or('r')).to_owned(),
                rows: optional::<i64>(row, 4).and_then(|rows| u64::try_from(rows).ok()),
                comment: row.get(5).cloned().flatten(),
                columns: columns.remove(&oid).unwrap_or_default(),
                unique_keys: keys.unique.remove(&oid).unwrap_or_default(),
                foreign_keys: keys.foreign.remove(&oid).unwrap_or_default(),
            })
        })
        .collect()
}

/// Keys of tables, by their oid.
#[derive(Default)]
struct Keys {
    unique: HashMap<u32, Vec<Vec<String>>>,
    foreign: HashMap<u32, Vec<ForeignKey>>,
}

/// Unique indexes over plain columns of all rows, but for primary keys, and foreign keys between readable tables. Column names come as JSON.
async fn keys(session: &Session) -> Result<Keys> {
    let names = |table: &str, numbers: &str| {
        format!(
            "(SELECT json_agg(a.attname ORDER BY k.n) FROM unnest({numbers}) WITH ORDINALITY AS k (attnum, n)
              JOIN pg_attribute a ON a.attrelid = {table} AND a.attnum = k.attnum)"
        )
    };
    let unique = format!(
        "SELECT c.oid, {} FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE i.indisunique AND i.indisvalid AND NOT i.indisprimary AND i.indpred IS NULL AND i.indexprs IS NULL AND {READABLE}
         ORDER BY c.oid, i.indexrelid",
        names("c.oid", "(i.indkey::int2[])[0:i.indnkeyatts - 1]")
    );
    let foreign = format!(
        "SELECT c.oid, {}, json_build_array(o.nspname, t.relname), {}
         FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_class t ON t.oid = f.confrelid JOIN pg_namespace o ON o.oid = t.relnamespace
         WHERE f.contype = 'f' AND {READABLE} ORDER BY c.oid, f.conname",
        names("c.oid", "f.conkey"),
        names("t.oid", "f.confkey")
    );
    let mut keys = Keys::default();
    for row in session.rows("reading the catalog", &unique).await? {
        keys.unique.entry(number(&row, 0)?).or_default().push(list(&row, 1)?);
    }
    for row in session.rows("reading the catalog", &foreign).await? {
        let key = ForeignKey { columns: list(&row, 1)?, table: list(&row, 2)?, references: list(&row, 3)? };
        keys.foreign.entry(number(&row, 0)?).or_default().push(key);
    }
    // In an order that says nothing of when an index was made.
    keys.unique.values_mut().for_each(|unique| unique.sort());
    Ok(keys)
}

fn list(row: &TextRow, index: usize) -> Result<Vec<String>> {
    let json = text(row, index)?;
    serde_json::from_str(&json).map_err(|error| EngineError::bug("a key's columns can't be read").caused_by(error))
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
