//! The tables that each part of a statement sees.
//!
//! Every query gets a frame with the tables of its FROM clause. A name is looked for in the innermost frame first, then in
//! those of the queries around it. The columns of subqueries and common table expressions are those their own select list
//! gives, so that names are settled through any depth.

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableWithJoins, Value, VisitMut,
    WildcardAdditionalOptions, With,
};
use headwater_pipelines::sql::SqlFinding;

use super::Relations;
use super::expressions::{Expressions, Order};
use super::rows::rows;
use super::titles::title;

/// The columns of a table or subquery.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    pub(super) names: Vec<String>,
    /// Whether there may be more, whose names only planning knows.
    pub(super) is_open: bool,
}

impl Columns {
    fn unknown() -> Self {
        Self { names: Vec::new(), is_open: true }
    }

    /// The columns under the names that an alias gives the first of them.
    fn renamed(mut self, alias: Option<&TableAlias>) -> Self {
        for (index, column) in alias.into_iter().flat_map(|alias| &alias.columns).enumerate() {
            let name = column.name.value.clone();
            match self.names.get_mut(index) {
                Some(old) => *old = name,
                None => self.names.push(name),
            }
        }
        self
    }
}

/// A table of a FROM clause under its visible name.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Columns,
}

/// What one query sees.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) tables: Vec<Table>,
    /// Names of its select list, which ORDER BY, GROUP BY and HAVING may use.
    pub(super) outputs: Vec<String>,
}

/// Walks a statement from the outside in.
pub(super) struct Walk<'a> {
    relations: &'a Relations,
    common: Vec<Vec<(String, Columns)>>,
    pub(super) frames: Vec<Frame>,
    pub(super) findings: Vec<SqlFinding>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(relations: &'a Relations) -> Self {
        Self { relations, common: Vec::new(), frames: Vec::new(), findings: Vec::new() }
    }

    /// A condition over the columns of one table.
    pub(super) fn condition(&mut self, expr: &mut Expr, columns: &[&str]) {
        let names = columns.iter().map(|column| (*column).to_owned()).collect();
        let table = Table { name: String::new(), columns: Columns { names, is_open: false } };
        self.frames.push(Frame { tables: vec![table], outputs: Vec::new() });
        self.settle(expr, Order::Inputs);
        self.frames.pop();
    }

    /// A query and everything in it; the columns that it gives.
    pub(super) fn query(&mut self, query: &mut Query) -> Columns {
        self.common.push(Vec::new());
        if let Some(with) = &mut query.with {
            self.with(with);
        }
        self.frames.push(Frame::default());
        let columns = self.body(&mut query.body);
        self.outputs(columns.names.clone());
        // Of a set operation only the select list is visible.
        if columns.is_open && self.frames.last().is_some_and(|frame| frame.tables.is_empty()) {
            self.add(String::new(), Columns::unknown());
        }
        self.settle(&mut query.order_by, Order::OutputsFirst);
        self.settle(&mut query.limit_clause, Order::Inputs);
        self.frames.pop();
        self.common.pop();
        columns
    }

    fn with(&mut self, with: &mut With) {
        for cte in &mut with.cte_tables {
            let name = cte.alias.name.value.clone();
            if with.recursive {
                let itself = Columns::unknown().renamed(Some(&cte.alias));
                self.declare(name.clone(), itself);
            }
            let columns = self.query(&mut cte.query).renamed(Some(&cte.alias));
            self.declare(name, columns);
        }
    }

    fn declare(&mut self, name: String, columns: Columns) {
        if let Some(scope) = self.common.last_mut() {
            scope.push((name, columns));
        }
    }

    fn outputs(&mut self, names: Vec<String>) {
        if let Some(frame) = self.frames.last_mut() {
            frame.outputs = names;
        }
    }

    /// The body of the query whose frame is the last one.
    fn body(&mut self, body: &mut SetExpr) -> Columns {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                let columns = self.framed(left);
                self.framed(right);
                columns
            }
            SetExpr::Values(values) => {
                let width = values.rows.first().map_or(0, |row| row.content.len());
                self.settle(&mut values.rows, Order::Inputs);
                Columns { names: (1..=width).map(|number| format!("column{number}")).collect(), is_open: false }
            }
            _ => Columns::unknown(),
        }
    }

    fn framed(&mut self, body: &mut SetExpr) -> Columns {
        self.frames.push(Frame::default());
        let columns = self.body(body);
        self.frames.pop();
        columns
    }

    fn select(&mut self, select: &mut Select) -> Columns {
        for from in &mut select.from {
            self.joined(from);
        }
        if !select.lateral_views.is_empty() {
            self.add(String::new(), Columns::unknown());
        }
        self.settle(&mut select.selection, Order::Inputs);
        let mut columns = Columns::default();
        let given: Vec<String> = select.projection.iter().filter_map(given_name).collect();
        for item in &mut select.projection {
            self.item(item, &mut columns, &given);
        }
        self.outputs(columns.names.clone());
        if let GroupByExpr::Expressions(expressions, _) = &mut select.group_by {
            self.settle(expressions, Order::InputsFirst);
        }
        self.settle(&mut select.distinct, Order::InputsFirst);
        self.settle(&mut select.having, Order::InputsFirst);
        self.settle(&mut select.named_window, Order::InputsFirst);
        self.settle(&mut select.qualify, Order::InputsFirst);
        self.settle(&mut select.sort_by, Order::OutputsFirst);
        columns
    }

    /// An item of a select list in which these names are given.
    fn item(&mut self, item: &mut SelectItem, columns: &mut Columns, given: &[String]) {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = plain_name(expr);
                self.settle(expr, Order::Inputs);
                match (name, plain_name(expr)) {
                    (_, Some(settled)) => columns.names.push(settled.value),
                    // An unknown column keeps its name, so that it is not reported again where it is read; if the name is
                    // a misspelling, it is read under another one.
                    (Some(alias), None) => {
                        columns.names.push(alias.value.clone());
                        columns.is_open = true;
                        *item = SelectItem::ExprWithAlias { expr: Expr::Value(Value::Null.with_empty_span()), alias };
                    }
                    (None, None) => {
                        let alias = Ident::with_quote('"', unused(title(expr), &columns.names, given));
                        let expr = std::mem::replace(expr, Expr::Value(Value::Null.with_empty_span()));
                        columns.names.push(alias.value.clone());
                        *item = SelectItem::ExprWithAlias { expr, alias };
                    }
                }
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                self.settle(expr, Order::Inputs);
                columns.names.push(alias.value.clone());
            }
            SelectItem::ExprWithAliases { expr, aliases } => {
                self.settle(expr, Order::Inputs);
                columns.names.extend(aliases.iter().map(|alias| alias.value.clone()));
            }
            SelectItem::QualifiedWildcard(kind, options) => {
                if let SelectItemQualifiedWildcardKind::ObjectName(name) = kind {
                    self.star(name, columns);
                }
                self.options(options, columns);
            }
            SelectItem::Wildcard(options) => {
                for table in self.frames.last().into_iter().flat_map(|frame| &frame.tables) {
                    columns.names.extend(table.columns.names.iter().cloned());
                    columns.is_open |= table.columns.is_open;
                }
                self.options(options, columns);
            }
        }
    }

    /// `table.*`
    fn star(&mut self, name: &mut ObjectName, columns: &mut Columns) {
        let idents: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
        if let [only] = idents.as_slice() {
            let mut table = only.clone();
            match self.table(&mut table) {
                Some(found) => {
                    columns.names.extend(found.names);
                    columns.is_open |= found.is_open;
                    *name = ObjectName::from(vec![table]);
                }
                None => {
                    self.unknown_table(only);
                    columns.is_open = true;
                }
            }
        } else {
            columns.is_open = true;
        }
    }

    /// `* EXCLUDE (a)`, `* REPLACE (x AS a)`: what is left is for planning to find out.
    fn options(&mut self, options: &mut WildcardAdditionalOptions, columns: &mut Columns) {
        self.settle(&mut options.opt_replace, Order::Inputs);
        let changed = options.opt_exclude.is_some()
            || options.opt_except.is_some()
            || options.opt_rename.is_some()
            || options.opt_ilike.is_some();
        columns.is_open |= changed;
    }

    fn joined(&mut self, from: &mut TableWithJoins) {
        self.factor(&mut from.relation);
        for join in &mut from.joins {
            self.factor(&mut join.relation);
            if let Some(constraint) = constraint(&mut join.join_operator) {
                match constraint {
                    JoinConstraint::On(expr) => self.settle(expr, Order::Inputs),
                    JoinConstraint::Using(names) => names.iter_mut().for_each(|name| self.using(name)),
                    JoinConstraint::Natural | JoinConstraint::None => {}
                }
            }
        }
    }

    fn using(&mut self, name: &mut ObjectName) {
        if let [part] = name.0.as_slice()
            && let Some(mut ident) = part.as_ident().cloned()
            && self.column(&mut ident, Order::Inputs)
        {
            *name = ObjectName::from(vec![ident]);
        }
    }

    fn factor(&mut self, factor: &mut TableFactor) {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let last = name.0.last().and_then(|part| part.as_ident());
                let internal = last.map(|ident| ident.value.clone()).unwrap_or_default();
                let columns = self.relation(&internal).renamed(alias.as_ref());
                self.add(alias.as_ref().map_or(internal, |alias| alias.name.value.clone()), columns);
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                // Only a lateral subquery sees the tables beside it.
                let hidden = match self.frames.last_mut() {
                    Some(frame) if !*lateral => std::mem::take(&mut frame.tables),
                    _ => Vec::new(),
                };
                let columns = self.query(subquery).renamed(alias.as_ref());
                if let Some(frame) = self.frames.last_mut()
                    && !*lateral
                {
                    frame.tables = hidden;
                }
                self.add(alias.as_ref().map(|alias| alias.name.value.clone()).unwrap_or_default(), columns);
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                self.joined(table_with_joins);
                if let Some(alias) = alias {
                    self.add(alias.name.value.clone(), Columns::unknown());
                }
            }
            // A table function, an unnested array and the like: what it gives is for planning to find out.
            other => {
                self.settle(other, Order::Inputs);
                if let Some(known) = rows(other) {
                    let names = known.columns.into_iter().map(|column| column.value).collect();
                    return self.add(known.table.value, Columns { names, is_open: false });
                }
                let alias = alias_of(other);
                let columns = Columns::unknown().renamed(alias);
                let name = alias.map(|alias| alias.name.value.clone()).unwrap_or_default();
                self.add(name, columns);
            }
        }
    }

    fn relation(&self, name: &str) -> Columns {
        let mut common = self.common.iter().rev().flat_map(|scope| scope.iter().rev());
        if let Some((_, columns)) = common.find(|(other, _)| other == name) {
            return columns.clone();
        }
        let known = self.relations.get(name);
        known.map_or_else(Columns::unknown, |names| Columns { names: names.clone(), is_open: false })
    }

    fn add(&mut self, name: String, columns: Columns) {
        if let Some(frame) = self.frames.last_mut() {
            frame.tables.push(Table { name, columns });
        }
    }

    /// Settles the names of expressions in the last frame.
    fn settle(&mut self, part: &mut impl VisitMut, order: Order) {
        let mut expressions = Expressions::new(self, order);
        let _ = part.visit(&mut expressions);
    }
}

/// The name that an item of a select list says.
fn given_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => plain_name(expr).map(|name| name.value),
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        _ => None,
    }
}

/// A name that no other column of the list has. Postgres lets two have one; no table does.
fn unused(title: String, before: &[String], given: &[String]) -> String {
    let is_used = |name: &String| before.contains(name) || given.contains(name);
    let numbered = (2..).map(|number| format!("{title}_{number}"));
    std::iter::once(title.clone()).chain(numbered).find(|name| !is_used(name)).unwrap_or(title)
}

fn plain_name(expr: &Expr) -> Option<Ident> {
    match expr {
        Expr::Identifier(ident) => Some(ident.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().cloned(),
        _ => None,
    }
}

fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint)
        | JoinOperator::StraightJoin(constraint)
        | JoinOperator::AsOf { constraint, .. } => Some(constraint),
        _ => None,
    }
}

fn alias_of(factor: &TableFactor) -> Option<&TableAlias> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. } => alias.as_ref(),
        _ => None,
    }
}
