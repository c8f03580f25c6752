//! Replacing a table's rows: built beside and swapped, or deleted and inserted where something depends on the table.

use headwater_engine::Result;

use super::names::{ident, literal, path};
use super::relation::{Relation, text};
use super::session::Session;

/// Everything that a swap would break or lose, each with its name for the plan. LIKE … INCLUDING ALL carries the rest:
/// columns, defaults, checks, indexes, comments on columns, extended statistics.
const DEPENDENTS: &str = "
SELECT DISTINCT 'the view ' || v.oid::regclass::text FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
  JOIN pg_class v ON v.oid = r.ev_class
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = $T AND v.oid <> $T
UNION ALL SELECT 'the foreign key ' || conname FROM pg_constraint WHERE contype = 'f' AND (conrelid = $T OR confrelid = $T)
UNION ALL SELECT 'the trigger ' || tgname FROM pg_trigger WHERE tgrelid = $T AND NOT tgisinternal
UNION ALL SELECT 'the policy ' || polname FROM pg_policy WHERE polrelid = $T
UNION ALL SELECT 'the publication ' || p.pubname FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
  WHERE r.prrelid = $T
UNION ALL SELECT 'the sequence ' || s.oid::regclass::text FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  WHERE d.refobjid = $T AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
UNION ALL SELECT 'inheritance or partitions' FROM pg_inherits WHERE inhparent = $T OR inhrelid = $T
UNION ALL SELECT 'the function ' || p.proname FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
  JOIN pg_class c ON c.reltype = d.refobjid WHERE d.classid = 'pg_proc'::regclass AND c.oid = $T
UNION ALL SELECT 'a rule' FROM pg_rewrite WHERE ev_class = $T AND rulename <> '_RETURN'
UNION ALL SELECT 'privileges on columns' FROM pg_attribute WHERE attrelid = $T AND attacl IS NOT NULL HAVING count(*) > 0
UNION ALL SELECT 'row security' FROM pg_class WHERE oid = $T AND (relrowsecurity OR relforcerowsecurity)
UNION ALL SELECT 'storage options' FROM pg_class WHERE oid = $T AND reloptions IS NOT NULL
UNION ALL SELECT 'its replica identity' FROM pg_class WHERE oid = $T AND relreplident <> 'd'
UNION ALL SELECT 'being a partitioned or unlogged table' FROM pg_class WHERE oid = $T AND (relkind <> 'r' OR relpersistence <> 'p')
UNION ALL SELECT 'a row type in use' FROM pg_attribute a JOIN pg_class c ON c.reltype = a.atttypid WHERE c.oid = $T
  HAVING count(*) > 0
UNION ALL SELECT 'another owner' FROM pg_class WHERE oid = $T AND NOT pg_has_role(relowner, 'MEMBER')
LIMIT 5";

/// What keeps the table from being swapped; empty if nothing does.
pub(super) async fn dependents(session: &Session, table: &Relation) -> Result<Vec<String>> {
    let sql = DEPENDENTS.replace("$T", &format!("{}::oid", table.oid));
    let rows = session.rows("looking for what depends on the table", &sql).await?;
    rows.iter().map(|row| text(row, 0)).collect()
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
pub(super) async fn swap(session: &Session, table: &Relation, beside: &str) -> Result<()> {
    let new = path(&[table.schema.as_str(), beside]);
    session.run("locking the target", &format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", table.sql())).await?;
    let mut statements = privileges(session, table, &new).await?;
    let indexes = index_names(session, table, &new).await?;
    statements.push(format!("DROP TABLE {}", table.sql()));
    statements.push(format!("ALTER TABLE {new} RENAME TO {}", ident(&table.name)));
    for (built, wanted) in indexes {
        let built = path(&[table.schema.as_str(), &built]);
        statements.push(format!("ALTER INDEX {built} RENAME TO {}", ident(&wanted)));
    }
    session.run("swapping the tables", &statements.join("; ")).await
}

/// Statements that give the new table the owner, privileges and comment of the old one.
async fn privileges(session: &Session, table: &Relation, new: &str) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT pg_get_userbyid(c.relowner), obj_description(c.oid, 'pg_class') FROM pg_class c WHERE c.oid = {}",
        table.oid
    );
    let row = session.rows("reading the owner", &sql).await?.into_iter().next().unwrap_or_default();
    let mut statements = vec![format!("ALTER TABLE {new} OWNER TO {}", ident(&text(&row, 0)?))];
    if let Some(comment) = row.get(1).cloned().flatten() {
        statements.push(format!("COMMENT ON TABLE {new} IS {}", literal(&comment)));
    }
    let sql = format!(
        "SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, a.privilege_type,
                a.is_grantable
         FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = {} AND a.grantee <> c.relowner",
        table.oid
    );
    for row in session.rows("reading the privileges", &sql).await? {
        let option = if super::relation::flag(&row, 2) { " WITH GRANT OPTION" } else { "" };
        statements.push(format!("GRANT {} ON {new} TO {}{option}", text(&row, 1)?, text(&row, 0)?));
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
