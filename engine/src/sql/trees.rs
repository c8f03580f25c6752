//! Pieces of syntax trees: queries, calls and names that no statement has written.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Ident, ObjectName, OrderByExpr, Query, Select, SelectFlavor, SelectItem, SetExpr,
    TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, Value, WindowSpec, WindowType,
};

use super::syntax::binary;

/// The name of a subquery in FROM that no statement has written.
pub(super) const SET: &str = "?set";

/// The SELECT that a query is.
pub(super) fn select_of(query: &mut Query) -> Option<&mut Select> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

/// The query with one value as its select list.
pub(super) fn project(query: &mut Query, value: Expr) -> Option<()> {
    query.order_by = None;
    let select = select_of(query)?;
    select.distinct = None;
    select.projection = vec![SelectItem::ExprWithAlias { expr: value, alias: ident("?value") }];
    Some(())
}

/// The query with a further condition.
pub(super) fn restrict(query: &mut Query, condition: Expr) -> Option<()> {
    let select = select_of(query)?;
    select.selection = Some(match select.selection.take() {
        Some(before) => binary(Expr::Nested(Box::new(before)), BinaryOperator::And, condition),
        None => condition,
    });
    Some(())
}

/// `SELECT 1 FROM (query) AS "?set" (names)`
pub(super) fn over(inner: Query, names: Vec<Ident>) -> Query {
    let mut select = select();
    select.from = vec![TableWithJoins { relation: derived(inner, alias(ident(SET), names)), joins: Vec::new() }];
    select.projection = vec![SelectItem::UnnamedExpr(number(1))];
    query(select)
}

/// A query in FROM.
pub(super) fn derived(query: Query, alias: TableAlias) -> TableFactor {
    TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None }
}

/// `AS name (columns)`
pub(super) fn alias(name: Ident, columns: Vec<Ident>) -> TableAlias {
    let columns = columns.into_iter().map(|name| TableAliasColumnDef { name, data_type: None }).collect();
    TableAlias { explicit: true, name, columns, at: None }
}

/// A SELECT of nothing.
pub(super) fn select() -> Select {
    Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: Vec::new(),
        exclude: None,
        into: None,
        from: Vec::new(),
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    }
}

/// A query of one SELECT.
pub(super) fn query(select: Select) -> Query {
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

/// The expression of an item of a select list.
pub(super) fn item(item: &SelectItem) -> Option<Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
        _ => None,
    }
}

/// An operand in parentheses, if it needs them.
pub(super) fn operand(expr: Expr) -> Expr {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) | Expr::Nested(_) => expr,
        other => Expr::Nested(Box::new(other)),
    }
}

/// A name in quotes.
pub(super) fn ident(name: impl Into<String>) -> Ident {
    Ident::with_quote('"', name)
}

/// A number.
pub(super) fn number(value: u8) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).with_empty_span())
}

/// A call of an aggregate, of everything if there is no value.
pub(super) fn call(name: &str, value: Option<Expr>, order: Vec<OrderByExpr>) -> Expr {
    let argument = value.map_or(FunctionArgExpr::Wildcard, FunctionArgExpr::Expr);
    let clauses = if order.is_empty() { Vec::new() } else { vec![FunctionArgumentClause::OrderBy(order)] };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(argument)],
            clauses,
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// A function over a window.
pub(super) fn window(name: &str, partition_by: Vec<Expr>, order_by: Vec<OrderByExpr>) -> Expr {
    let mut found = call(name, None, Vec::new());
    if let Expr::Function(function) = &mut found {
        if let FunctionArguments::List(list) = &mut function.args {
            list.args.clear();
        }
        let window = WindowSpec { window_name: None, partition_by, order_by, window_frame: None };
        function.over = Some(WindowType::WindowSpec(window));
    }
    found
}

/// Whether a SELECT has a GROUP BY clause.
pub(super) fn is_grouped(select: &Select) -> bool {
    !matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty())
}
