//! Functions in FROM that give rows of one column, and what their columns are called.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, TableAlias, TableFactor};

/// What a function gives is known for these.
const FUNCTIONS: [&str; 10] = [
    "unnest",
    "generate_series",
    "string_to_table",
    "regexp_split_to_table",
    "json_array_elements",
    "json_array_elements_text",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "json_object_keys",
    "jsonb_object_keys",
];

/// A function in FROM: its name, and the names of its table and columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) function: String,
    pub(crate) table: Ident,
    pub(crate) columns: Vec<Ident>,
}

/// The rows of a function, if it is one of those known. Its column is called as the alias, or without one as the function.
pub(crate) fn rows(factor: &TableFactor) -> Option<Rows> {
    let (function, width, has_places, alias) = match factor {
        TableFactor::Table { name, alias, args: Some(_), with_ordinality, .. }
        | TableFactor::Function { name, alias, with_ordinality, .. } => {
            (function(name)?, 1, *with_ordinality, alias.as_ref())
        }
        TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality, .. } => {
            ("unnest".to_owned(), array_exprs.len(), *with_ordinality, alias.as_ref())
        }
        _ => return None,
    };
    let table = alias.map_or_else(|| Ident::with_quote('"', &function), |alias| alias.name.clone());
    let own = if width == 1 { table.clone() } else { Ident::with_quote('"', &function) };
    let numbered = |number: usize| match number {
        1 => own.clone(),
        number => Ident::with_quote('"', format!("{}_{number}", own.value)),
    };
    let places = has_places.then(|| Ident::with_quote('"', "ordinality"));
    let mut columns: Vec<Ident> = (1..=width).map(numbered).chain(places).collect();
    let given = given(alias);
    if given.len() > columns.len() {
        return None;
    }
    columns.iter_mut().zip(given).for_each(|(column, name)| *column = name);
    Some(Rows { function, table, columns })
}

fn function(name: &ObjectName) -> Option<String> {
    let [part] = name.0.as_slice() else { return None };
    let name = part.as_ident()?.value.to_lowercase();
    FUNCTIONS.contains(&name.as_str()).then_some(name)
}

fn given(alias: Option<&TableAlias>) -> Vec<Ident> {
    alias.into_iter().flat_map(|alias| &alias.columns).map(|column| column.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use datafusion::sql::sqlparser::ast::SetExpr;

    use super::*;

    fn named(from: &str) -> Option<String> {
        let query = headwater_pipelines::sql::parse(&format!("SELECT * FROM {from}")).unwrap();
        let SetExpr::Select(select) = query.body.as_ref() else { panic!("{query}") };
        let rows = rows(&select.from[0].relation)?;
        let columns: Vec<String> = rows.columns.iter().map(|column| column.value.clone()).collect();
        Some(format!("{}({})", rows.table.value, columns.join(", ")))
    }

    /// What psql of Postgres 15 calls them, but for the second column of one name.
    #[test]
    fn columns_are_called_as_the_alias_or_the_function() {
        for (from, names) in [
            ("generate_series(1, 3)", "generate_series(generate_series)"),
            ("generate_series(1, 3) AS g", "g(g)"),
            ("generate_series(1, 3) g (n)", "g(n)"),
            ("generate_series(1, 3) WITH ORDINALITY", "generate_series(generate_series, ordinality)"),
            ("generate_series(1, 3) WITH ORDINALITY AS g", "g(g, ordinality)"),
            ("generate_series(1, 3) WITH ORDINALITY AS g (n)", "g(n, ordinality)"),
            ("unnest(ARRAY[1]) WITH ORDINALITY AS u (x, n)", "u(x, n)"),
            ("unnest(ARRAY[1], ARRAY[2]) AS u", "u(unnest, unnest_2)"),
            ("jsonb_object_keys('{}')", "jsonb_object_keys(jsonb_object_keys)"),
        ] {
            assert_eq!(named(from).as_deref(), Some(names), "{from}");
        }
        assert_eq!(named("generate_series(1, 3) g (n, m)"), None);
        assert_eq!(named("jsonb_each('{}')"), None);
    }
}
