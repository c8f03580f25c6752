//! Replacing a table's rows: built beside and swapped, or deleted and inserted where something depends on the table.

use std::collections::HashMap;

use headwater_engine::connector::LoadContext;
use headwater_engine::{EngineError, Result};

use super::exclusive;
use super::loads::LOADS;
use super::names::{ident, literal, path};
use super::relation::{Relation, flag, number, optional, text};
use super::session::Session;
use super::sink::LOCK_TIMEOUT;

/// Everything that a swap would break or lose, each with its name for the plan, found by indexes of the catalog alone, so that it costs the same among
/// many tables. LIKE … INCLUDING ALL carries the rest:
/// columns, defaults, checks, indexes, comments on columns, extended statistics.
const DEPENDENTS: &str = "
SELECT DISTINCT 'the view ' || v.oid::regclass::text FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
  JOIN pg_class v ON v.oid = r.ev_class
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $T AND v.oid <> $T
UNION ALL SELECT DISTINCT 'the foreign key ' || f.conname FROM pg_depend d JOIN pg_constraint f ON f.oid = d.objid AND f.contype = 'f'
  WHERE d.classid = 'pg_constraint'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $T
UNION ALL SELECT 'the trigger ' || tgname FROM pg_trigger WHERE tgrelid = $T AND NOT tgisinternal
UNION ALL SELECT 'the policy ' || polname FROM pg_policy WHERE polrelid = $T
UNION ALL SELECT 'the publication ' || p.pubname FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
  WHERE r.prrelid = $T
UNION ALL SELECT 'the sequence ' || s.oid::regclass::text FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $T AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
UNION ALL SELECT 'inheritance or partitions' FROM pg_inherits WHERE inhparent = $T OR inhrelid = $T
UNION ALL SELECT 'the function ' || p.proname FROM pg_class c
  JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = c.reltype AND d.classid = 'pg_proc'::regclass
  JOIN pg_proc p ON p.oid = d.objid WHERE c.oid = $T
UNION ALL SELECT 'a rule' FROM pg_rewrite WHERE ev_class = $T AND rulename <> '_RETURN'
UNION ALL SELECT 'privileges on columns' FROM pg_attribute WHERE attrelid = $T AND attacl IS NOT NULL HAVING count(*) > 0
UNION ALL SELECT 'row security' FROM pg_class WHERE oid = $T AND (relrowsecurity OR relforcerowsecurity)
UNION ALL SELECT 'storage options' FROM pg_class WHERE oid = $T AND reloptions IS NOT NULL
UNION ALL SELECT 'its tablespace' FROM pg_class WHERE oid = $T AND reltablespace <> 0
UNION ALL SELECT 'its replica identity' FROM pg_class WHERE oid = $T AND relreplident <> 'd'
UNION ALL SELECT 'being a partitioned or unlogged table' FROM pg_class WHERE oid = $T AND (relkind <> 'r' OR relpersistence <> 'p')
UNION ALL SELECT 'a row type in use' FROM pg_class c
  JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = c.reltype AND d.classid = 'pg_class'::regclass
  WHERE c.oid = $T HAVING count(*) > 0
UNION ALL SELECT 'another owner' FROM pg_class WHERE oid = $T AND NOT pg_has_role(relowner, 'MEMBER')
LIMIT 5";

/// What keeps the table from being swapped; empty if nothing does.
pub(super) async fn dependents(session: &Session, table: &Relation) -> Result<Vec<String>> {
    let sql = DEPENDENTS.replace("$T", &format!("{}::oid", table.oid));
    let rows = session.rows("looking for what depends on the table", &sql).await?;
    rows.iter().map(|row| text(row, 0)).collect()
}

/// The same of many tables, by their oids.
pub(super) async fn dependents_of(session: &Session, tables: &[u32]) -> Result<HashMap<u32, Vec<String>>> {
    let mut found: HashMap<u32, Vec<String>> = tables.iter().map(|oid| (*oid, Vec::new())).collect();
    if tables.is_empty() {
        return Ok(found);
    }
    let oids: Vec<String> = tables.iter().map(|oid| format!("({oid}::oid)")).collect();
    let sql = format!(
        "SELECT o.oid, d.what FROM (VALUES {}) AS o (oid) CROSS JOIN LATERAL ({}) AS d (what)",
        oids.join(", "),
        DEPENDENTS.replace("$T", "o.oid")
    );
    for row in session.rows("looking for what depends on the tables", &sql).await? {
        found.entry(number(&row, 0)?).or_default().push(text(&row, 1)?);
    }
    Ok(found)
}

/// How long another load into the same table may take. Whoever is killed is waited for no longer than its open transaction lasts.
const OTHERS_TIMEOUT: &str = "20min";

/// Waits until no other load replaces or makes the table, and keeps them out until the transaction ends. (A lock on the table itself would be too late:
/// two that copy its definition would wait for each other.)
pub(super) async fn exclude_others(session: &Session, load: &LoadContext, schema: &str, table: &str) -> Result<()> {
    let key = format!("hashtextextended({}, 0)", literal(&format!("headwater load into {table}")));
    let free = format!("SELECT pg_try_advisory_xact_lock({key})");
    if session.value("asking for other loads", &free).await?.as_deref() != Some("t") {
        load.progress.wait_for(Some(format!("another load into {table}")));
        let wait = format!(
            "SET LOCAL lock_timeout = '{OTHERS_TIMEOUT}'; SELECT pg_advisory_xact_lock({key}); SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"
        );
        let waited = session.run("waiting for another load into the table", &wait).await;
        load.progress.wait_for(None);
        waited?;
    }
    // A session looks for a table in its own cache, which it renews when it locks something: what another load has made is seen from here on.
    let renew = format!("LOCK TABLE {} IN ACCESS SHARE MODE", path(&[schema, LOADS]));
    session.run("looking for what other loads have made", &renew).await
}

/// The name under which the new table is built.
pub(super) fn beside(load_id: uuid::Uuid, attempt: i32) -> String {
    format!("_hw_{}_{attempt}", &load_id.simple().to_string()[16..])
}

/// Makes the empty table beside the target.
pub(super) fn create_beside(table: &Relation, beside: &str) -> String {
    format!("CREATE TABLE {} (LIKE {} INCLUDING ALL)", path(&[&table.schema, beside]), table.sql())
}

/// Swaps the tables within the load's transaction. The lock is held only from here to the commit.
pub(super) async fn swap(session: &Session, load: &LoadContext, table: &Relation, beside: &str) -> Result<()> {
    let new = path(&[table.schema.as_str(), beside]);
    exclusive::lock(session, load, &table.sql()).await?;
    refuse_changed(session, table).await?;
    let mut statements = belongings(session, table, &new).await?;
    let indexes = index_names(session, table, &new).await?;
    statements.push(format!("DROP TABLE {}", table.sql()));
    statements.push(format!("ALTER TABLE {new} RENAME TO {}", ident(&table.name)));
    for (built, wanted) in indexes {
        let built = path(&[table.schema.as_str(), &built]);
        statements.push(format!("ALTER INDEX {built} RENAME TO {}", ident(&wanted)));
    }
    session.run("swapping the tables", &statements.join("; ")).await
}

/// The table may have been replaced, or got what a swap would lose, since the load looked at it.
async fn refuse_changed(session: &Session, table: &Relation) -> Result<()> {
    let same = format!("SELECT to_regclass({}) = {}::oid", literal(&table.sql()), table.oid);
    let is_same = session.value("looking at the target again", &same).await?.as_deref() == Some("t");
    let new = if is_same { dependents(session, table).await? } else { vec!["another table of its name".to_owned()] };
    match new.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!("{} changed while the load ran: it has {first} now", table.label());
            Err(EngineError::transient(message).hint("run again: the next load sees the table as it is then"))
        }
    }
}

/// Statements that give the new table what the old one has beyond its definition: owner, privileges, comment, what its columns tell the planner.
async fn belongings(session: &Session, table: &Relation, new: &str) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT pg_get_userbyid(c.relowner), obj_description(c.oid, 'pg_class'), c.relacl IS NOT NULL FROM pg_class c
         WHERE c.oid = {}",
        table.oid
    );
    let row = session.rows("reading the owner", &sql).await?.into_iter().next().unwrap_or_default();
    let owner = text(&row, 0)?;
    let mut statements = vec![format!("ALTER TABLE {new} OWNER TO {}", ident(&owner))];
    if let Some(comment) = row.get(1).cloned().flatten() {
        statements.push(format!("COMMENT ON TABLE {new} IS {}", literal(&comment)));
    }
    let of_owner = flag(&row, 2).then_some(owner.as_str());
    statements.extend(privileges(session, table, new, of_owner).await?);
    statements.extend(statistics(session, table, new).await?);
    Ok(statements)
}

/// Exactly the privileges that were there. A new table gets some by default, which may have been revoked on this one. The owner's own are named if any are
/// written down; else the owner has all.
async fn privileges(session: &Session, table: &Relation, new: &str, owner: Option<&str>) -> Result<Vec<String>> {
    let all = format!(
        "SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
         FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = {}::regclass AND a.grantee <> c.relowner",
        literal(new)
    );
    let mut statements = Vec::new();
    for row in session.rows("reading the new table's privileges", &all).await? {
        statements.push(format!("REVOKE ALL ON {new} FROM {}", text(&row, 0)?));
    }
    if let Some(owner) = owner {
        statements.push(format!("REVOKE ALL ON {new} FROM {}", ident(owner)));
    }
    let sql = format!(
        "SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, a.privilege_type,
                a.is_grantable AND a.grantee <> c.relowner
         FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = {}",
        table.oid
    );
    for row in session.rows("reading the privileges", &sql).await? {
        let option = if flag(&row, 2) { " WITH GRANT OPTION" } else { "" };
        statements.push(format!("GRANT {} ON {new} TO {}{option}", text(&row, 1)?, text(&row, 0)?));
    }
    Ok(statements)
}

/// Targets and options of the columns' statistics.
async fn statistics(session: &Session, table: &Relation, new: &str) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT quote_ident(attname), attstattarget, array_to_string(attoptions, ', ') FROM pg_attribute
         WHERE attrelid = {} AND attnum > 0 AND NOT attisdropped AND (attstattarget >= 0 OR attoptions IS NOT NULL)",
        table.oid
    );
    let mut statements = Vec::new();
    for row in session.rows("reading the statistics targets", &sql).await? {
        let column = text(&row, 0)?;
        if let Some(target) = optional::<i32>(&row, 1).filter(|target| *target >= 0) {
            statements.push(format!("ALTER TABLE {new} ALTER COLUMN {column} SET STATISTICS {target}"));
        }
        if let Some(options) = row.get(2).cloned().flatten() {
            statements.push(format!("ALTER TABLE {new} ALTER COLUMN {column} SET ({options})"));
        }
    }
    Ok(statements)
}

/// Pairs of the new table's index names and those they had, matched by definition, in order of creation.
async fn index_names(session: &Session, table: &Relation, new: &str) -> Result<Vec<(String, String)>> {
    let names = |relation: String| {
        // Definitions are compared without their names and tables.
        format!(
            "SELECT i.relname, regexp_replace(pg_get_indexdef(i.oid), ' INDEX .* USING ', ' INDEX USING '), x.indisprimary,
                    row_number() OVER (PARTITION BY regexp_replace(pg_get_indexdef(i.oid), ' INDEX .* USING ', ' INDEX USING '),
                                                    x.indisprimary ORDER BY i.oid) AS number
             FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = {relation}"
        )
    };
    let sql = format!(
        "SELECT n.relname, o.relname FROM ({}) o JOIN ({}) n USING (regexp_replace, indisprimary, number)",
        names(format!("{}::oid", table.oid)),
        names(format!("{}::regclass", literal(new))),
    );
    let rows = session.rows("comparing the indexes", &sql).await?;
    rows.iter().map(|row| Ok((text(row, 0)?, text(row, 1)?))).collect()
}
