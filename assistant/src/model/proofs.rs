//! What the catalog proves of a draft's datasets: that no two rows of one agree in some columns.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use headwater_engine::connector::TableInfo;
use headwater_pipelines::path::TaskPath;
use headwater_pipelines::spec::{CheckTask, ExtractTask, OnFailure, Rule, Task};
use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem,
    SetExpr, TableFactor, visit_expressions,
};

use crate::fresh;
use crate::known::Known;

/// Tasks by their paths.
pub(super) type Tasks<'a> = BTreeMap<TaskPath, &'a Task>;

/// What has been proven so far, and what was not.
pub(super) struct Proofs<'a> {
    tasks: &'a Tasks<'a>,
    known: &'a Known,
    /// A question that is being answered stands here as no: tasks of a draft may read each other in a circle.
    answers: BTreeMap<(TaskPath, Vec<String>), bool>,
}

impl<'a> Proofs<'a> {
    pub(super) fn new(tasks: &'a Tasks<'a>, known: &'a Known) -> Self {
        Self { tasks, known, answers: BTreeMap::new() }
    }

    /// Whether no two rows agree in these columns, in the dataset that a task calls `input`.
    pub(super) fn are_unique(&mut self, input: &str, reader: &TaskPath, columns: &[String]) -> bool {
        let Some((path, task)) = named(input, reader, self.tasks) else { return false };
        let question = (path.clone(), columns.to_vec());
        if let Some(answer) = self.answers.get(&question) {
            return *answer;
        }
        self.answers.insert(question.clone(), false);
        let answer = match task {
            Task { extract: Some(extract), .. } => {
                table_of(extract, self.known).is_some_and(|table| fresh::are_unique(table, columns))
            }
            Task { check: Some(check), .. } => {
                is_checked(check, columns) || self.are_unique(&check.input, path, columns)
            }
            _ => parsed(task).is_some_and(|query| {
                // A WITH can call something else by the name of a dataset.
                query.with.is_none() && select(&query).is_some_and(|select| self.keeps(select, path, columns))
            }),
        };
        self.answers.insert(question, answer);
        answer
    }

    /// Whether a statement passes each row of its first relation on at most once, with these columns, which are unique there.
    fn keeps(&mut self, select: &Select, path: &TaskPath, columns: &[String]) -> bool {
        let [from] = select.from.as_slice() else { return false };
        let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty());
        if is_grouped || select.distinct.is_some() || unnests(select) {
            return false;
        }
        let alias = alias_of(&from.relation);
        columns.iter().all(|column| select.projection.iter().any(|item| is_column(item, &alias, column)))
            && from.joins.iter().all(|join| self.meets_one(&join.relation, &join.join_operator, path))
            && self.are_unique(&relation(&from.relation), path, columns)
    }

    /// Whether a join finds at most one partner of a row: it compares a key of the other table.
    fn meets_one(&mut self, other: &TableFactor, operator: &JoinOperator, path: &TaskPath) -> bool {
        use JoinOperator::{Inner, Join, Left, LeftOuter};
        let (Join(constraint) | Inner(constraint) | Left(constraint) | LeftOuter(constraint)) = operator else {
            return false;
        };
        let JoinConstraint::On(condition) = constraint else { return false };
        let mut compared = Vec::new();
        equalities(condition, &alias_of(other), &mut compared);
        self.are_unique(&relation(other), path, &compared)
    }
}

/// Whether a check makes sure of it: rows that agree in some of these columns fail it.
fn is_checked(check: &CheckTask, columns: &[String]) -> bool {
    let is_among = |unique: &Vec<String>| unique.iter().all(|name| columns.contains(name));
    let says = |rule: &Rule| rule.unique.as_ref().is_some_and(is_among);
    check.on_failure == OnFailure::Fail && check.rules.iter().any(says)
}

/// The task that another one calls by this name: the nearest one, from its group outwards.
pub(super) fn named<'b, 'a>(name: &str, reader: &TaskPath, tasks: &'b Tasks<'a>) -> Option<(&'b TaskPath, &'a Task)> {
    std::iter::successors(reader.parent(), TaskPath::parent).find_map(|group| {
        let path = group.child(name);
        let found = tasks.get_key_value(&path);
        let found = found.or_else(|| tasks.iter().find(|(other, _)| other.eq_ignore_ascii_case(&path)))?;
        Some((found.0, *found.1))
    })
}

/// The table that an extract reads, if the catalog has it.
pub(super) fn table_of<'a>(extract: &ExtractTask, known: &'a Known) -> Option<&'a TableInfo> {
    let from = extract.from.as_deref()?;
    known.tables().map(|(_, known)| known).find(|known| known.full_name() == from).map(|known| &known.table)
}

/// The statement of a transform.
pub(super) fn parsed(task: &Task) -> Option<Query> {
    headwater_pipelines::sql::parse(task.transform.as_deref()?).ok().map(|query| *query)
}

/// The SELECT of a statement that is one.
pub(super) fn select(query: &Query) -> Option<&Select> {
    match &*query.body {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

/// A name without its quotes.
pub(super) fn dotted(name: &ObjectName) -> String {
    name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.as_str()).collect::<Vec<_>>().join(".")
}

/// The name of a relation; empty if it has none.
pub(super) fn relation(factor: &TableFactor) -> String {
    match factor {
        TableFactor::Table { name, .. } => dotted(name),
        _ => String::new(),
    }
}

/// What a statement calls a relation: by its alias, or by the last part of its name.
fn alias_of(factor: &TableFactor) -> String {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } => alias.name.value.clone(),
        _ => relation(factor).rsplit('.').next().unwrap_or_default().to_owned(),
    }
}

/// Whether a statement makes several rows of one.
fn unnests(select: &Select) -> bool {
    let is_unnest = |expr: &Expr| match expr {
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("unnest") => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    visit_expressions(&select.projection, is_unnest).is_break()
}

/// The relation and column of a name of two parts.
fn of_relation(expr: &Expr) -> Option<(&Ident, &Ident)> {
    match expr {
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [relation, column] => Some((relation, column)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether an output is the column of this name of a relation.
fn is_column(item: &SelectItem, of: &str, name: &str) -> bool {
    let is_it = |expr: &Expr| match expr {
        Expr::Identifier(column) => column.value == name,
        _ => of_relation(expr)
            .is_some_and(|(relation, column)| relation.value.eq_ignore_ascii_case(of) && column.value == name),
    };
    match item {
        SelectItem::Wildcard(_) => true,
        SelectItem::QualifiedWildcard(relation, _) => relation.to_string().eq_ignore_ascii_case(&format!("{of}.*")),
        SelectItem::UnnamedExpr(expr) => is_it(expr),
        SelectItem::ExprWithAlias { expr, alias } => alias.value == name && is_it(expr),
        _ => false,
    }
}

/// Columns of a relation that a condition holds equal to one value for each row of the others, in parts that all have to be true.
fn equalities(condition: &Expr, alias: &str, found: &mut Vec<String>) {
    let is_own = |relation: &Ident| relation.value.eq_ignore_ascii_case(alias);
    let own = |side: &Expr| of_relation(side).filter(|(of, _)| is_own(of)).map(|(_, column)| column.value.clone());
    let is_given = |side: &Expr| {
        matches!(side, Expr::Value(_)) || of_relation(side).is_some_and(|(relation, _)| !is_own(relation))
    };
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            equalities(left, alias, found);
            equalities(right, alias, found);
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            found.extend(own(left).filter(|_| is_given(right)));
            found.extend(own(right).filter(|_| is_given(left)));
        }
        Expr::Nested(inner) => equalities(inner, alias, found),
        _ => {}
    }
}
