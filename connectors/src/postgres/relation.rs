//! What the catalog says about a relation: its columns, its kind, how it can be read in ranges.

use std::collections::HashMap;

use headwater_engine::{EngineError, Result};

use super::names::{self, literal};
use super::patience::{self, Patience};
use super::session::{Session, TextRow};
use super::types::BaseType;

/// A column as the catalog describes it.
#[derive(Debug, Clone)]
pub(super) struct ColumnMeta {
    pub name: String,
    /// e.g. `numeric(12,2)`.
    pub native: String,
    /// The same without what limits its values, e.g. `numeric`. A cast to it changes none.
    pub unlimited: String,
    pub base: BaseType,
    pub nullable: bool,
    /// Position in the primary key, from 1.
    pub primary_key: Option<u32>,
    pub comment: Option<String>,
    /// Equal means the same bytes; false under a nondeterministic collation.
    pub bytewise: bool,
    /// Average width in bytes, where statistics say so.
    pub width: Option<usize>,
    /// GENERATED ALWAYS AS (…) STORED: never written.
    pub generated: bool,
    /// Has a default, so that a load may leave it out.
    pub has_default: bool,
}

/// What kind of relation it is and how large.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// `pg_class.relkind`.
    pub kind: char,
    /// The planner's estimate.
    pub rows: Option<u64>,
    /// Whether row security keeps rows from the role.
    pub hides_rows: bool,
    /// Parts that hold the rows: the table itself or the leaves of its partitions.
    pub parts: Vec<Part>,
}

/// Rows, or blocks where nobody has counted rows, of which a table is large enough for its statistics to matter.
const LARGE_ROWS: u64 = 10_000;
const LARGE_BLOCKS: u64 = 128;

/// A part of a relation that is read by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Quoted path.
    pub sql: String,
    /// Blocks of the heap, if it can be read by ranges of ctid.
    pub blocks: Option<u64>,
}

impl Relation {
    /// The quoted path.
    pub(super) fn sql(&self) -> String {
        names::path(&[&self.schema, &self.name])
    }

    /// As a user reads it.
    pub(super) fn label(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Why a read may not give all rows.
    pub(super) fn incomplete(&self) -> Option<String> {
        match (self.kind, self.hides_rows) {
            ('v' | 'm' | 'f', _) => Some(format!("a {}, which may leave rows out", kind_name(self.kind))),
            (_, true) => Some("a table of which row security hides rows from the connection's role".to_owned()),
            _ => None,
        }
    }

    fn is_large(&self) -> bool {
        let blocks = self.parts.iter().map(|part| part.blocks).sum::<Option<u64>>();
        self.rows.map_or_else(|| blocks.is_none_or(|blocks| blocks >= LARGE_BLOCKS), |rows| rows >= LARGE_ROWS)
    }

    /// Whether LOCK TABLE takes it.
    pub(super) fn is_lockable(&self) -> bool {
        matches!(self.kind, 'r' | 'p')
    }
}

/// The kind in words.
pub(super) fn kind_name(kind: char) -> &'static str {
    match kind {
        'v' => "view",
        'm' => "materialized view",
        'p' => "partitioned table",
        'f' => "foreign table",
        _ => "table",
    }
}

/// Columns of the relations that a condition on `c` (pg_class) selects, in order, with the relation's oid first.
const COLUMNS: &str = "
SELECT c.oid, a.attname, format_type(a.atttypid, a.atttypmod), b.oid, b.typmod, b.typtype, el.oid, el.typtype,
       a.attnotnull, CASE WHEN i.indexrelid IS NOT NULL THEN array_position(i.indkey::int2[], a.attnum) + 1 END,
       col_description(c.oid, a.attnum), coalesce(co.collisdeterministic, true),
       a.attgenerated <> '', a.atthasdef OR a.attidentity <> '', format_type(a.atttypid, -1)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN LATERAL (
  WITH RECURSIVE d(oid, typmod, typtype, typbasetype, typtypmod, typelem, typcategory) AS (
    SELECT t.oid, a.atttypmod, t.typtype, t.typbasetype, t.typtypmod, t.typelem, t.typcategory
    FROM pg_type t WHERE t.oid = a.atttypid
    UNION ALL
    SELECT t.oid, d.typtypmod, t.typtype, t.typbasetype, t.typtypmod, t.typelem, t.typcategory
    FROM d JOIN pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd')
  SELECT * FROM d WHERE typtype <> 'd') b
LEFT JOIN pg_type el ON b.typcategory = 'A' AND el.oid = b.typelem
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
LEFT JOIN pg_collation co ON co.oid = a.attcollation
WHERE has_column_privilege(c.oid, a.attnum, 'SELECT') AND ";

/// Columns of the relations that `condition` (over `c` and `n`) selects, with their relation's oid.
pub(super) async fn columns(session: &Session, condition: &str) -> Result<Vec<(u32, ColumnMeta)>> {
    let rows =
        session.rows("reading the catalog", &format!("{COLUMNS} ({condition}) ORDER BY c.oid, a.attnum")).await?;
    rows.iter().map(|row| Ok((number(row, 0)?, column(row)?))).collect()
}

/// Columns of relations, in order. Of large ones with their widths: for a small one, to ask for them takes longer than to read it.
pub(super) async fn columns_of(session: &Session, relations: &[&Relation]) -> Result<HashMap<u32, Vec<ColumnMeta>>> {
    let oids = |relations: &[&Relation]| -> Vec<String> {
        relations.iter().map(|relation| relation.oid.to_string()).collect()
    };
    let mut found: HashMap<u32, Vec<ColumnMeta>> = HashMap::new();
    if !relations.is_empty() {
        for (table, column) in columns(session, &format!("c.oid IN ({})", oids(relations).join(", "))).await? {
            found.entry(table).or_default().push(column);
        }
    }
    let large: Vec<&Relation> = relations.iter().copied().filter(|relation| relation.is_large()).collect();
    if !large.is_empty() {
        widths(session, &oids(&large), &mut found).await?;
    }
    Ok(found)
}

/// Average widths of columns. They are looked up column by column: joined, the view would be read whole. LIMIT keeps it from being joined.
async fn widths(session: &Session, oids: &[String], columns: &mut HashMap<u32, Vec<ColumnMeta>>) -> Result<()> {
    let sql = format!(
        "SELECT c.oid, a.attname, s.avg_width FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         JOIN LATERAL (
           SELECT p.avg_width FROM pg_stats p
           WHERE p.schemaname = n.nspname AND p.tablename = c.relname AND p.attname = a.attname AND NOT p.inherited LIMIT 1) s ON true
         WHERE c.oid IN ({})",
        oids.join(", ")
    );
    for row in session.rows("reading the statistics", &sql).await? {
        let (table, name): (u32, String) = (number(&row, 0)?, text(&row, 1)?);
        let column = columns.get_mut(&table).and_then(|columns| columns.iter_mut().find(|column| column.name == name));
        column.into_iter().for_each(|column| column.width = optional(&row, 2));
    }
    Ok(())
}

fn column(row: &TextRow) -> Result<ColumnMeta> {
    let element = match (optional::<u32>(row, 6), letter(row, 7)) {
        (Some(oid), Some(kind)) => Some((oid, kind)),
        _ => None,
    };
    let base =
        BaseType { oid: number(row, 3)?, modifier: number(row, 4)?, kind: letter(row, 5).unwrap_or('b'), element };
    Ok(ColumnMeta {
        name: text(row, 1)?,
        native: text(row, 2)?,
        unlimited: text(row, 14)?,
        base,
        nullable: !flag(row, 8),
        primary_key: optional(row, 9),
        comment: row.get(10).cloned().flatten(),
        bytewise: flag(row, 11),
        width: None,
        generated: flag(row, 12),
        has_default: flag(row, 13),
    })
}

/// Describes the columns of a statement by the types that the server gave for them.
pub(super) async fn described(session: &Session, columns: &[(String, u32, i32)]) -> Result<Vec<ColumnMeta>> {
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, (name, oid, modifier))| format!("({index}, {}, {oid}::oid, {modifier})", literal(name)))
        .collect();
    // The same columns as `COLUMNS` answers, so that one function reads both.
    let sql = format!(
        "SELECT 0, q.name, format_type(q.oid, q.modifier), b.oid, b.typmod, b.typtype, el.oid, el.typtype,
                false, NULL, NULL, false, false, false, format_type(q.oid, -1)
         FROM (VALUES {}) q(position, name, oid, modifier)
         CROSS JOIN LATERAL (
           WITH RECURSIVE d(oid, typmod, typtype, typbasetype, typtypmod, typelem, typcategory) AS (
             SELECT t.oid, q.modifier, t.typtype, t.typbasetype, t.typtypmod, t.typelem, t.typcategory
             FROM pg_type t WHERE t.oid = q.oid
             UNION ALL
             SELECT t.oid, d.typtypmod, t.typtype, t.typbasetype, t.typtypmod, t.typelem, t.typcategory
             FROM d JOIN pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd')
           SELECT * FROM d WHERE typtype <> 'd') b
         LEFT JOIN pg_type el ON b.typcategory = 'A' AND el.oid = b.typelem
         ORDER BY q.position",
        values.join(", ")
    );
    session.rows("reading the types of the query", &sql).await?.iter().map(column).collect()
}

/// What is asked of a relation that is looked for: `p` has its quoted path and its place in the list.
const FOUND: &str = "
SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltuples::bigint, c.relrowsecurity, coalesce(am.amname, ''),
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) / current_setting('block_size')::int END,
       has_any_column_privilege(c.oid, 'SELECT'), current_setting('server_version_num')::int,
       EXISTS (SELECT 1 FROM pg_inherits h WHERE h.inhparent = c.oid AND c.relkind = 'r'), p.place,
       row_security_active(c.oid)
FROM p JOIN pg_class c ON c.oid = to_regclass(p.path) JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_am am ON am.oid = c.relam
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f')";

/// Finds a relation by its path: `[schema, name]`, or `[name]` along the search path.
pub(super) async fn find(session: &Session, connection: &str, path: &[String], patience: Patience) -> Result<Relation> {
    if !is_path(path) {
        return Err(EngineError::config(format!("'{}' is not a table of connection '{connection}'", path.join(".")))
            .hint("name a table as connection.schema.table"));
    }
    match find_all(session, connection, &[path.to_vec()], patience).await?.pop() {
        Some((_, found)) => found,
        None => Err(missing(session, connection, path).await),
    }
}

/// Looks for many relations at once. Answers those that are there, with their places in the list.
pub(super) async fn find_all(
    session: &Session,
    connection: &str,
    paths: &[Vec<String>],
    patience: Patience,
) -> Result<Vec<(usize, Result<Relation>)>> {
    let quoted: Vec<(usize, String)> =
        paths.iter().map(|path| names::path(path)).enumerate().filter(|(place, _)| is_path(&paths[*place])).collect();
    let named: Vec<String> = quoted.iter().map(|(place, path)| format!("({}, {place})", literal(path))).collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("{}WITH p (path, place) AS (VALUES {}) {FOUND}", patience.sql(), named.join(", "));
    let rows = match session.rows("looking for the table", &sql).await {
        Ok(rows) => rows,
        Err(error) => {
            let paths: Vec<String> = quoted.into_iter().map(|(_, path)| path).collect();
            return Err(patience::named_of(session, connection, &paths, error).await);
        }
    };
    let mut found = Vec::with_capacity(paths.len());
    for row in rows {
        found.push((number(&row, 11)?, relation(session, connection, &row, patience).await));
    }
    Ok(found)
}

/// Whether it is a path of a relation in the database.
fn is_path(path: &[String]) -> bool {
    matches!(path, [_] | [_, _])
}

async fn relation(session: &Session, connection: &str, row: &TextRow, patience: Patience) -> Result<Relation> {
    let mut relation = Relation {
        oid: number(row, 0)?,
        schema: text(row, 1)?,
        name: text(row, 2)?,
        kind: letter(row, 3).unwrap_or('r'),
        rows: optional::<i64>(row, 4).and_then(|rows| u64::try_from(rows).ok()),
        hides_rows: flag(row, 12),
        parts: Vec::new(),
    };
    if !flag(row, 8) {
        return Err(EngineError::config(format!(
            "connection '{connection}': the role may not read {}",
            relation.label()
        ))
        .hint(format!("GRANT SELECT ON {} TO the connection's role", relation.sql())));
    }
    // Ranges of ctid need the TID range scan of Postgres 14, and a heap. Row security is only applied to the table itself.
    let ranges = number::<i32>(row, 9)? >= 140_000;
    let heap = ranges && row.get(6).and_then(Option::as_deref) == Some("heap") && !flag(row, 10);
    relation.parts = if relation.kind == 'p' && ranges && !flag(row, 5) {
        leaves(session, connection, &relation, patience).await?
    } else {
        vec![Part { sql: relation.sql(), blocks: optional(row, 7).filter(|_| heap) }]
    };
    Ok(relation)
}

/// The leaves of a partitioned table, if the role may read them all; else the table as one part.
async fn leaves(session: &Session, connection: &str, relation: &Relation, patience: Patience) -> Result<Vec<Part>> {
    let sql = format!(
        "{}SELECT n.nspname, l.relname, has_table_privilege(l.oid, 'SELECT') AND NOT l.relrowsecurity,
                CASE WHEN l.relkind = 'r' AND am.amname = 'heap'
                     THEN pg_relation_size(l.oid) / current_setting('block_size')::int END
         FROM pg_partition_tree({}) t JOIN pg_class l ON l.oid = t.relid JOIN pg_namespace n ON n.oid = l.relnamespace
         LEFT JOIN pg_am am ON am.oid = l.relam WHERE t.isleaf ORDER BY 1, 2",
        patience.sql(),
        relation.oid
    );
    let rows = match session.rows("reading the partitions", &sql).await {
        Ok(rows) => rows,
        Err(error) => return Err(patience::named_of(session, connection, &[relation.sql()], error).await),
    };
    if rows.is_empty() || !rows.iter().all(|row| flag(row, 2)) {
        return Ok(vec![Part { sql: relation.sql(), blocks: None }]);
    }
    rows.iter()
        .map(|row| Ok(Part { sql: names::path(&[text(row, 0)?, text(row, 1)?]), blocks: optional(row, 3) }))
        .collect()
}

/// The error for a table that isn't there, with the nearest names.
async fn missing(session: &Session, connection: &str, path: &[String]) -> EngineError {
    let wanted = path.join(".");
    let error = EngineError::config(format!("connection '{connection}' has no table {wanted}"));
    let sql = "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND NOT c.relispartition AND n.nspname !~ '^pg_'
                 AND n.nspname <> 'information_schema' AND has_schema_privilege(n.oid, 'USAGE') LIMIT 5000";
    let Ok(rows) = session.rows("looking for similar names", sql).await else { return error };
    let mut names: Vec<String> = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    let last = path.last().map(|name| name.to_lowercase()).unwrap_or_default();
    let distance = |name: &String| {
        let table = name.rsplit('.').next().unwrap_or(name).to_lowercase();
        strsim::damerau_levenshtein(&table, &last)
    };
    names.sort_by_cached_key(distance);
    names.truncate(3);
    if names.is_empty() {
        error.hint("the database has no table that this role can see")
    } else {
        error.hint(format!("the nearest names are {}", names.join(", ")))
    }
}

pub(super) fn text(row: &TextRow, index: usize) -> Result<String> {
    row.get(index)
        .cloned()
        .flatten()
        .ok_or_else(|| EngineError::bug(format!("the catalog answered nothing in column {index}")))
}

pub(super) fn number<T: std::str::FromStr>(row: &TextRow, index: usize) -> Result<T> {
    optional(row, index).ok_or_else(|| EngineError::bug(format!("the catalog answered no number in column {index}")))
}

pub(super) fn optional<T: std::str::FromStr>(row: &TextRow, index: usize) -> Option<T> {
    row.get(index)?.as_deref()?.parse().ok()
}

pub(super) fn flag(row: &TextRow, index: usize) -> bool {
    row.get(index).and_then(Option::as_deref) == Some("t")
}

pub(super) fn letter(row: &TextRow, index: usize) -> Option<char> {
    row.get(index)?.as_deref()?.chars().next()
}
