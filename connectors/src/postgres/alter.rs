//! Changes of a table's columns that a load's contract allows: columns that are added, types that become wider.
//!
//! They are made in the load's transaction, so that nobody sees the columns without the rows. An overwrite that builds a table beside the target
//! changes that one, and may give columns any type and leave some out.

use arrow::datatypes::{DataType, Field, Schema};
use headwater_engine::connector::{ColumnChanges, TargetColumn};
use headwater_engine::{EngineError, Result};

use super::names::{ident, literal};
use super::relation::{ColumnMeta, Relation, flag, text};
use super::session::Session;
use super::target::{NewColumn, fit_column, new_column};
use super::types::{MAX_PRECISION, numeric_modifier, oid};
use crate::NATIVE_TYPE;
use crate::conform::lake_type;
use crate::contract::Drift;

/// A change of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alter {
    pub change: Change,
    /// The column as it is afterwards, or as it was if it is dropped.
    pub column: NewColumn,
}

/// What becomes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    /// The new type holds every value of the old one.
    Widen,
    /// The table is empty, so that no value has to be kept.
    Replace,
    /// The table is empty.
    Drop,
}

impl Alter {
    /// The statement for a table by its quoted path.
    pub(super) fn sql(&self, table: &str) -> String {
        let NewColumn { name, native, .. } = &self.column;
        let name = ident(name);
        match self.change {
            Change::Add => format!("ALTER TABLE {table} ADD COLUMN {name} {native}"),
            Change::Widen => format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {native}"),
            Change::Replace => format!(
                "ALTER TABLE {table} ALTER COLUMN {name} DROP DEFAULT, ALTER COLUMN {name} TYPE {native} USING CAST(NULL AS {native})"
            ),
            Change::Drop => format!("ALTER TABLE {table} DROP COLUMN {name}"),
        }
    }

    /// What a table has in the column that a row of the old table goes into.
    pub(super) fn value(&self) -> String {
        let NewColumn { name, native, .. } = &self.column;
        match self.change {
            Change::Add => format!("CAST(NULL AS {native}) AS {}", ident(name)),
            _ => format!("CAST({0} AS {native}) AS {0}", ident(name)),
        }
    }
}

/// The changes, for plans and receipts.
pub(super) fn column_changes(alters: &[Alter]) -> ColumnChanges {
    let of = |changes: &[Change]| {
        let alters = alters.iter().filter(|alter| changes.contains(&alter.change));
        let column =
            |alter: &Alter| TargetColumn { name: alter.column.name.clone(), kind: alter.column.native.clone() };
        alters.map(column).collect()
    };
    ColumnChanges {
        columns_added: of(&[Change::Add]),
        columns_retyped: of(&[Change::Widen, Change::Replace]),
        columns_removed: of(&[Change::Drop]),
    }
}

/// What a contract makes of a table's columns for a dataset. `is_replaced` says that the rows go into a new, empty table.
pub(super) fn alters(
    incoming: &Schema,
    table: &[ColumnMeta],
    keys: &[String],
    is_replaced: bool,
    drift: &mut Drift<'_>,
) -> Result<Vec<Alter>> {
    let mut alters = Vec::new();
    for field in incoming.fields() {
        let Some(column) = table.iter().find(|column| column.name == *field.name()) else {
            alters.extend(added(field, table, keys, drift)?);
            continue;
        };
        if !column.generated {
            alters.extend(retyped(field, column, is_replaced, drift)?);
        }
    }
    let is_gone = |column: &&ColumnMeta| {
        let comes = incoming.field_with_name(&column.name).is_ok();
        // What has a value of its own is the table's own affair.
        !comes && !column.generated && !column.has_default && drift.replaces(&column.name)
    };
    let gone: Vec<&ColumnMeta> = table.iter().filter(|column| is_replaced && is_gone(column)).collect();
    for column in gone {
        let (name, native) = (column.name.clone(), column.native.clone());
        drift
            .notes
            .push(format!("column {name} ({native}) no longer comes: the overwrite leaves it out (schema: evolve)"));
        alters.push(Alter { change: Change::Drop, column: NewColumn { name, fallback: native.clone(), native } });
    }
    Ok(alters)
}

fn added(field: &Field, table: &[ColumnMeta], keys: &[String], drift: &mut Drift<'_>) -> Result<Option<Alter>> {
    let name = field.name();
    let column = new_column(field);
    let kind = column.as_ref().map_or_else(|_| field.data_type().to_string(), |column| column.native.clone());
    if keys.contains(name) {
        drift.refuse(format!("the table has no column {name} ({kind}), which is a key"), None);
        return Ok(None);
    }
    let is_added = drift.adds(name, &kind, table.iter().map(|column| column.name.as_str()));
    Ok(if is_added { Some(Alter { change: Change::Add, column: column? }) } else { None })
}

/// A column whose type does not hold what comes.
fn retyped(field: &Field, column: &ColumnMeta, is_replaced: bool, drift: &mut Drift<'_>) -> Result<Option<Alter>> {
    let fits = fit_column(field, column)?.is_some();
    let altered = |change: Change, native: String| {
        let name = column.name.clone();
        Some(Alter { change, column: NewColumn { name, fallback: native.clone(), native } })
    };
    if let Some(wider) = wider(field, column)? {
        if drift.widens(&column.name, &column.native, &wider) {
            return Ok(altered(Change::Widen, wider));
        }
        if !fits {
            let what = format!("column {} is {}, in the table {}", field.name(), field.data_type(), column.native);
            drift.refuse_for(headwater_pipelines::spec::Contract::Evolve, field.name(), what);
        }
        return Ok(None);
    }
    if fits {
        return Ok(None);
    }
    if is_replaced && drift.replaces(&column.name) {
        let new = new_column(field)?;
        drift.notes.push(format!(
            "column {} is {} now, in the table {}: the overwrite replaces it (schema: evolve)",
            new.name, new.native, column.native
        ));
        return Ok(Some(Alter { change: Change::Replace, column: new }));
    }
    let what = format!("column {} is {}, in the table {}", field.name(), field.data_type(), column.native);
    drift.refuse(what, None);
    Ok(None)
}

/// The type that holds the column's values and those that come, if it is a wider one of the same kind.
fn wider(field: &Field, column: &ColumnMeta) -> Result<Option<String>> {
    let incoming = lake_type(field.name(), field.data_type())?;
    let plain = |name: &str| column.unlimited == name;
    let wider = match (column.base.oid, &incoming) {
        (oid::INT2, DataType::Int32) if plain("smallint") => Some("integer".to_owned()),
        (oid::INT2, DataType::Int64) if plain("smallint") => Some("bigint".to_owned()),
        (oid::INT4, DataType::Int64) if plain("integer") => Some("bigint".to_owned()),
        (oid::FLOAT4, DataType::Float64) if plain("real") => Some("double precision".to_owned()),
        (oid::DATE, DataType::Timestamp(_, None)) if plain("date") => Some("timestamp without time zone".to_owned()),
        (oid::NUMERIC, DataType::Decimal128(precision, scale)) if plain("numeric") => {
            numeric_modifier(column.base.modifier)
                .and_then(|old| wider_numeric(old, (i32::from(*precision), i32::from(*scale))))
        }
        (oid::VARCHAR, DataType::Utf8) if plain("character varying") => longer(field, &column.native),
        _ => None,
    };
    Ok(wider)
}

/// A numeric of the digits before and behind the point that either has; `None` if it is the old one, or too large to be read back.
fn wider_numeric(old: (i32, i32), new: (i32, i32)) -> Option<String> {
    let scale = old.1.max(new.1);
    let precision = (old.0 - old.1).max(new.0 - new.1) + scale;
    let fits = (0..=i32::from(MAX_PRECISION)).contains(&precision) && old.1 >= 0;
    (fits && (precision, scale) != old).then(|| format!("numeric({precision},{scale})"))
}

/// The type of a text at the source, if that is a longer one.
fn longer(field: &Field, native: &str) -> Option<String> {
    let most = |native: &str| native.strip_prefix("character varying(")?.strip_suffix(')')?.parse::<u32>().ok();
    let (source, most_here) = (field.metadata().get(NATIVE_TYPE)?, most(native)?);
    let is_longer = match source.as_str() {
        "text" | "character varying" => true,
        source => most(source).is_some_and(|most| most > most_here),
    };
    is_longer.then(|| source.clone())
}

/// What keeps a role from changing the columns of a table, and a column from getting another type. Keys and indexes follow by themselves.
const DEPENDENTS: &str = "
SELECT DISTINCT a.attname, d.what FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid CROSS JOIN LATERAL (
  SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
      AND (d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_proc'::regclass, 'pg_publication_rel'::regclass)
           OR d.classid = 'pg_attrdef'::regclass AND f.adnum <> a.attnum
           OR d.classid = 'pg_class'::regclass AND d.objid = a.attrelid AND d.objsubid > 0)
  UNION ALL SELECT 'the partitions of the table' FROM pg_partitioned_table p WHERE p.partrelid = a.attrelid AND a.attnum = ANY (p.partattrs::int2[])
  UNION ALL SELECT 'the table that it is inherited from' WHERE a.attinhcount > 0
  UNION ALL SELECT 'its own collation' WHERE a.attcollation <> t.typcollation) d (what)
WHERE a.attrelid = $T AND a.attname IN ($C) ORDER BY 1, 2";

/// Refuses changes that the server would refuse once the rows are there.
pub(super) async fn refuse_kept(
    session: &Session,
    table: &Relation,
    alters: &[Alter],
    drift: &mut Drift<'_>,
) -> Result<()> {
    let oid = format!("{}::oid", table.oid);
    let sql = format!(
        "SELECT c.relispartition, pg_has_role(c.relowner, 'USAGE'), pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = {oid}"
    );
    let row = session.rows("reading the owner", &sql).await?.into_iter().next().unwrap_or_default();
    if flag(&row, 0) {
        let hint = "load into the table that it is a part of";
        drift.refuse(format!("{} is a partition, which has its parent's columns", table.label()), Some(hint));
    }
    if !flag(&row, 1) {
        let what = format!("the columns of {} can only be changed by its owner, {}", table.label(), text(&row, 2)?);
        drift.refuse(what, Some("GRANT the owner TO the connection's role"));
    }
    let widened = alters.iter().filter(|alter| alter.change == Change::Widen);
    let names: Vec<String> = widened.map(|alter| format!("{}::name", literal(&alter.column.name))).collect();
    if names.is_empty() {
        return Ok(());
    }
    let sql = DEPENDENTS.replace("$T", &oid).replace("$C", &names.join(", "));
    for row in session.rows("looking for what depends on the columns", &sql).await? {
        let hint = "drop it, load, and make it again; or add the values as a new column";
        drift.refuse(format!("column {} can't be widened because of {}", text(&row, 0)?, text(&row, 1)?), Some(hint));
    }
    Ok(())
}

/// The target's columns are no longer what the load was judged by.
pub(super) fn changed(label: &str) -> EngineError {
    EngineError::transient(format!("the columns of {label} changed while the load ran"))
        .hint("run again: the next load sees the table as it is then")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use headwater_pipelines::spec::{Contract, LoadSchema};

    use super::super::types::BaseType;
    use super::*;

    fn column(name: &str, native: &str, oid: u32, modifier: i32) -> ColumnMeta {
        let unlimited = native.split('(').next().unwrap_or(native).to_owned();
        ColumnMeta {
            name: name.to_owned(),
            native: native.to_owned(),
            unlimited,
            base: BaseType { oid, modifier, kind: 'b', element: None },
            nullable: true,
            primary_key: None,
            comment: None,
            bytewise: true,
            width: None,
            generated: false,
            has_default: false,
        }
    }

    fn numeric(precision: i32, scale: i32) -> ColumnMeta {
        column("c", &format!("numeric({precision},{scale})"), oid::NUMERIC, ((precision << 16) | scale) + 4)
    }

    /// The statements, or the refusal and its hint.
    fn judged(contract: Contract, field: Field, table: &[ColumnMeta], is_replaced: bool) -> (Vec<String>, String) {
        let schema = LoadSchema::All(contract);
        let mut drift = Drift::new(&schema);
        let alters = alters(&Schema::new(vec![field]), table, &[], is_replaced, &mut drift).unwrap();
        let refused =
            drift.settle("t").err().map(|error| format!("{error} | {}", error.hint.as_deref().unwrap_or_default()));
        (alters.iter().map(|alter| alter.sql("t")).collect(), refused.unwrap_or_default())
    }

    fn widened(data_type: DataType, column: &ColumnMeta) -> Option<String> {
        let (statements, _) =
            judged(Contract::Evolve, Field::new("c", data_type, true), std::slice::from_ref(column), false);
        statements.first().and_then(|statement| Some(statement.split_once(" TYPE ")?.1.to_owned()))
    }

    #[test]
    fn types_become_wider_and_never_narrower() {
        let (small, int) = (column("c", "smallint", oid::INT2, -1), column("c", "integer", oid::INT4, -1));
        assert_eq!(widened(DataType::Int32, &small).as_deref(), Some("integer"));
        assert_eq!(widened(DataType::Int64, &int).as_deref(), Some("bigint"));
        assert_eq!(widened(DataType::Int16, &int), None);
        assert_eq!(widened(DataType::Utf8, &int), None);
        assert_eq!(widened(DataType::Decimal128(12, 2), &numeric(9, 2)).as_deref(), Some("numeric(12,2)"));
        assert_eq!(widened(DataType::Decimal128(9, 4), &numeric(9, 2)).as_deref(), Some("numeric(11,4)"));
        assert_eq!(widened(DataType::Decimal128(9, 2), &numeric(12, 2)), None);
        assert_eq!(widened(DataType::Decimal128(38, 10), &numeric(38, 2)), None, "more digits than can be read back");
        let date = column("c", "date", oid::DATE, -1);
        let time =
            |zone: Option<&str>| DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, zone.map(Into::into));
        assert_eq!(widened(time(None), &date).as_deref(), Some("timestamp without time zone"));
        assert_eq!(widened(time(Some("UTC")), &date), None);
    }

    #[test]
    fn a_text_becomes_as_long_as_at_its_source() {
        let text = |native: &str| {
            Field::new("c", DataType::Utf8, true).with_metadata([(NATIVE_TYPE.to_owned(), native.to_owned())].into())
        };
        let short = [column("c", "character varying(3)", oid::VARCHAR, 7)];
        let of = |native: &str| judged(Contract::Evolve, text(native), &short, false).0;
        assert_eq!(of("text"), ["ALTER TABLE t ALTER COLUMN \"c\" TYPE text"]);
        assert_eq!(of("character varying(5)"), ["ALTER TABLE t ALTER COLUMN \"c\" TYPE character varying(5)"]);
        assert!(of("character varying(2)").is_empty() && of("uuid").is_empty());
        assert!(judged(Contract::AddColumns, text("text"), &short, false).0.is_empty());
    }

    #[test]
    fn a_refusal_names_the_line_to_paste() {
        let int = [column("c", "integer", oid::INT4, -1)];
        let new = || Field::new("note", DataType::Utf8, true);
        let (_, refused) = judged(Contract::Freeze, new(), &int, false);
        assert!(
            refused.contains("the table has no column note (text)") && refused.contains("`schema: add_columns`"),
            "{refused}"
        );
        let (_, refused) = judged(Contract::AddColumns, Field::new("c", DataType::Int64, true), &int, false);
        assert!(
            refused.contains("c is Int64, in the table integer") && refused.contains("`schema: evolve`"),
            "{refused}"
        );
        let (_, refused) = judged(Contract::Evolve, Field::new("C", DataType::Int64, true), &int, false);
        assert!(refused.contains("the table has no column C (bigint), only c"), "{refused}");
    }

    #[test]
    fn an_overwrite_that_evolves_leaves_out_and_replaces_what_has_no_default() {
        let own = ColumnMeta { has_default: true, ..column("own", "bigint", oid::INT8, -1) };
        let table = [column("c", "integer", oid::INT4, -1), column("gone", "text", oid::TEXT, -1), own];
        let text = || Field::new("c", DataType::Utf8, true);
        let (statements, refused) = judged(Contract::Evolve, text(), &table, true);
        assert_eq!(refused, "");
        assert_eq!(statements.len(), 2, "{statements:?}");
        assert!(statements[0].contains("TYPE text USING CAST(NULL AS text)"), "{statements:?}");
        assert_eq!(statements[1], "ALTER TABLE t DROP COLUMN \"gone\"");
        assert!(judged(Contract::Evolve, text(), &table, false).1.contains("c is Utf8, in the table integer"));
    }
}
