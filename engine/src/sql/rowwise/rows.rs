//! The rows that a subquery has for each outer row, all of them beside one another.
//!
//! Each step keeps every outer row at least once, and a mark says of a row whether it is one of the subquery's. Aggregates
//! are grouped by the outer row and pass over what is not marked, windows are divided by it, a condition takes marks away.
//! What could fail is computed of marked rows alone, as it would be in Postgres.

use std::sync::Arc;

use datafusion::common::{Column, JoinType, NullEquality, UnnestOptions};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::Sort as SortExpr;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprFunctionExt, FetchType, Filter, Join, Limit, LogicalPlan, LogicalPlanBuilder, Projection,
    SkipType, Subquery, Unnest, Window, lit,
};

use super::super::functions::of_theirs;
use super::super::series;
use super::super::types::{Operand, refused};
use super::pieces::{all, both, case, column, extended, filter, is_true, marked, named, own, projection, truth, under};
use super::{Names, reads};

/// Rows around a subquery, each with its number.
#[derive(Debug, Clone)]
pub(super) struct Outer {
    pub(super) plan: LogicalPlan,
    number: Expr,
}

impl Outer {
    /// What divides rows by the outer row, those that are marked from the others.
    fn parts(&self, mark: &Expr) -> Vec<Expr> {
        let mark = (!is_true(mark)).then(|| mark.clone());
        std::iter::once(self.number.clone()).chain(mark).collect()
    }
}

/// Outer rows with those of a part of the subquery.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) plan: LogicalPlan,
    /// The columns of the part, over those of the plan.
    pub(super) columns: Vec<Expr>,
    /// Whether a row is one of the part's.
    pub(super) mark: Expr,
    /// The places of elements of arrays: the order in which aggregates meet them.
    order: Vec<Expr>,
    /// Whether each outer row is there exactly once.
    pub(super) is_single: bool,
}

impl Names {
    /// Rows with their numbers.
    pub(super) fn outer(&mut self, plan: LogicalPlan) -> Result<Outer> {
        let (plan, number) = self.counted(plan, row_number())?;
        Ok(Outer { plan, number })
    }

    /// A plan with a function of windows as a further column.
    fn counted(&mut self, plan: LogicalPlan, function: Expr) -> Result<(LogicalPlan, Expr)> {
        let before = all(plan.schema());
        let windowed = LogicalPlan::Window(Window::try_new(vec![function], Arc::new(plan))?);
        let last = all(windowed.schema()).pop().ok_or_else(|| refused("a window has a column"))?;
        let name = self.next();
        let listed = before.into_iter().chain([last.alias_qualified(Some(own()), &name)]).collect();
        Ok((projection(windowed, listed)?, column(&name)))
    }

    /// The rows of a subquery, or of a part of it.
    pub(super) fn rows(&mut self, outer: &Outer, query: &LogicalPlan) -> Result<Rows> {
        match query {
            LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => Ok(Rows {
                plan: outer.plan.clone(),
                columns: Vec::new(),
                mark: truth(true),
                order: Vec::new(),
                is_single: true,
            }),
            _ if !reads(query, outer.plan.schema())? => self.joined(&outer.plan, query, |_| Ok(Vec::new())),
            LogicalPlan::Subquery(Subquery { subquery, .. }) => self.rows(outer, subquery),
            LogicalPlan::SubqueryAlias(alias) => self.rows(outer, &alias.input),
            LogicalPlan::Projection(projection) => self.projected(outer, projection),
            LogicalPlan::Filter(filter) => self.filtered(outer, filter),
            LogicalPlan::Aggregate(aggregate) => {
                self.aggregated(outer, &aggregate.input, &aggregate.group_expr, &aggregate.aggr_expr)
            }
            LogicalPlan::Unnest(unnest) => self.unnested(outer, unnest),
            LogicalPlan::Window(window) => self.windowed(outer, window),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.rows(outer, &sort.input),
            LogicalPlan::Limit(limit) => self.limited(outer, limit),
            LogicalPlan::Join(join) => self.beside(outer, join),
            _ => Err(refused("this part of a subquery can't depend on the row around it")),
        }
    }

    /// The rows of what depends on no outer row, joined by conditions over its columns.
    fn joined(
        &mut self,
        outer: &LogicalPlan,
        query: &LogicalPlan,
        on: impl FnOnce(&[Expr]) -> Result<Vec<Expr>>,
    ) -> Result<Rows> {
        let names: Vec<String> = query.schema().fields().iter().map(|_| self.next()).collect();
        let mark = self.next();
        let renamed = all(query.schema()).into_iter().zip(&names);
        let mut listed: Vec<Expr> = renamed.map(|(expr, name)| expr.alias_qualified(Some(own()), name)).collect();
        listed.push(truth(true).alias_qualified(Some(own()), &mark));
        let columns: Vec<Expr> = names.iter().map(|name| column(name)).collect();
        let right = projection(query.clone(), listed)?;
        let plan = LogicalPlanBuilder::from(outer.clone()).join_on(right, JoinType::Left, on(&columns)?)?.build()?;
        let is_single = is_one_row(query);
        Ok(Rows { plan, columns, mark: column(&mark).is_true(), order: Vec::new(), is_single })
    }

    fn projected(&mut self, outer: &Outer, projection: &Projection) -> Result<Rows> {
        let mut rows = self.rows(outer, &projection.input)?;
        let (mut columns, mut added) = (Vec::with_capacity(projection.expr.len()), Vec::new());
        for expr in &projection.expr {
            let expr = under(expr, projection.input.schema(), &rows.columns, outer.plan.schema())?.unalias();
            if matches!(expr, Expr::Column(_)) {
                columns.push(expr);
                continue;
            }
            let name = self.next();
            added.push(named(&rows.plan, &rows.mark, &expr, Some(own()), &name)?);
            columns.push(column(&name));
        }
        if !added.is_empty() {
            rows.plan = extended(rows.plan, added)?;
        }
        Ok(Rows { columns, ..rows })
    }

    /// What depends on its row by the condition alone is joined by it.
    fn filtered(&mut self, outer: &Outer, filter: &Filter) -> Result<Rows> {
        let (inner, around) = (filter.input.schema(), outer.plan.schema());
        if !matches!(filter.input.as_ref(), LogicalPlan::EmptyRelation(_)) && !reads(&filter.input, around)? {
            let condition = |columns: &[Expr]| under(&filter.predicate, inner, columns, around);
            return self.joined(&outer.plan, &filter.input, |columns| Ok(vec![condition(columns)?]));
        }
        let rows = self.rows(outer, &filter.input)?;
        let predicate = under(&filter.predicate, inner, &rows.columns, around)?;
        self.kept(rows, &predicate)
    }

    /// The rows for which a condition is true.
    pub(super) fn kept(&mut self, rows: Rows, predicate: &Expr) -> Result<Rows> {
        let mark = self.next();
        let is_kept = case(&rows.mark, predicate.clone().is_true(), Some(truth(false)));
        let plan = extended(rows.plan, vec![is_kept.alias_qualified(Some(own()), &mark)])?;
        Ok(Rows { plan, mark: column(&mark), ..rows })
    }

    /// Groups for each outer row. Without keys it has one, whatever is in it.
    fn aggregated(&mut self, outer: &Outer, input: &LogicalPlan, keys: &[Expr], aggregates: &[Expr]) -> Result<Rows> {
        if !keys.is_empty() {
            return Err(refused("groups can't depend on the row around them"));
        }
        if aggregates.iter().any(|call| call.contains_outer() && call.column_refs().is_empty()) {
            return Err(refused(
                "an aggregate of columns that a subquery does not read itself belongs to the query around it",
            ));
        }
        let rows = self.rows(outer, input)?;
        let (inner, around) = (input.schema(), outer.plan.schema());
        let groups = all(around);
        let mut columns = Vec::new();
        let plan = rows.plan;
        let calls = aggregates.iter().map(|call| {
            let call = under(call, inner, &rows.columns, around)?.unalias();
            marked(call, &rows.mark, &rows.order)
        });
        let calls = calls.collect::<Result<Vec<_>>>()?;
        let grouped = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(plan), groups.clone(), calls)?);
        let results = all(grouped.schema()).split_off(groups.len());
        let mut listed = groups;
        for result in results {
            let name = self.next();
            listed.push(result.alias_qualified(Some(own()), &name));
            columns.push(column(&name));
        }
        Ok(Rows { plan: projection(grouped, listed)?, columns, mark: truth(true), order: Vec::new(), is_single: true })
    }

    /// The elements of arrays. An outer row without any is kept by an array that is NULL.
    fn unnested(&mut self, outer: &Outer, unnest: &Unnest) -> Result<Rows> {
        let is_plain = unnest.struct_type_columns.is_empty()
            && unnest.list_type_columns.iter().all(|(_, list)| list.depth == 1)
            && unnest.dependency_indices.iter().copied().eq(0..unnest.input.schema().fields().len());
        if !is_plain || unnest.options.preserve_nulls() {
            return Err(refused("only arrays of one dimension are unnested for each row"));
        }
        let mut rows = self.rows(outer, &unnest.input)?;
        let places: Vec<usize> = unnest.list_type_columns.iter().map(|(place, _)| *place).collect();
        let operand = |place: &usize| Operand::new(rows.columns[*place].clone(), rows.plan.schema());
        let ordinals = series::ordinals(places.iter().map(operand).collect::<Result<Vec<_>>>()?)?;
        let lists = places.iter().map(|place| rows.columns[*place].clone()).chain([ordinals]);
        let (mut added, mut names) = (Vec::new(), Vec::new());
        for list in lists {
            let name = self.next();
            let length = of_theirs("cardinality", vec![list.clone()])?;
            let has_elements = both(&rows.mark, length.gt(lit(0_u64)));
            added.push(case(&has_elements, list, None).alias_qualified(Some(own()), &name));
            names.push(name);
        }
        let exec = names.iter().map(|name| Column::new(Some(own()), name)).collect();
        let options = UnnestOptions::new().with_preserve_nulls(true);
        let plan = extended(rows.plan, added)?;
        rows.plan = LogicalPlan::Unnest(Unnest::try_new(Arc::new(plan), exec, options)?);
        // Elements have no table: DataFusion leaves it out.
        let element = |name: &String| Expr::Column(Column::new_unqualified(name));
        for (place, name) in places.iter().zip(&names) {
            rows.columns[*place] = element(name);
        }
        let mark = names.last().map(element).ok_or_else(|| refused("unnest needs an array"))?;
        rows.order.push(mark.clone());
        Ok(Rows { mark: mark.is_not_null(), is_single: false, ..rows })
    }

    fn windowed(&mut self, outer: &Outer, window: &Window) -> Result<Rows> {
        let mut rows = self.rows(outer, &window.input)?;
        let mut columns = rows.columns.clone();
        for function in &window.window_expr {
            let function = under(function, window.input.schema(), &rows.columns, outer.plan.schema())?.unalias();
            let Expr::WindowFunction(mut function) = function else {
                return Err(refused("this window can't depend on the row around it"));
            };
            function.params.partition_by.extend(outer.parts(&rows.mark));
            let (plan, value) = self.counted(rows.plan, Expr::WindowFunction(function))?;
            rows.plan = plan;
            columns.push(value);
        }
        Ok(Rows { columns, ..rows })
    }

    /// The first rows in an order.
    fn limited(&mut self, outer: &Outer, limit: &Limit) -> Result<Rows> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch), LogicalPlan::Sort(sort)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?, limit.input.as_ref())
        else {
            return Err(refused("a limit for each row needs an order"));
        };
        let rows = self.rows(outer, &sort.input)?;
        let key = |key: &SortExpr| -> Result<SortExpr> {
            let expr = under(&key.expr, sort.input.schema(), &rows.columns, outer.plan.schema())?;
            Ok(expr.sort(key.asc, key.nulls_first))
        };
        let keys = sort.expr.iter().map(key).collect::<Result<Vec<_>>>()?;
        let number = row_number().partition_by(outer.parts(&rows.mark)).order_by(keys).build()?;
        let (plan, number) = self.counted(rows.plan, number)?;
        let count = |count: usize| lit(u64::try_from(count).unwrap_or(u64::MAX));
        let mut within = number.clone().gt(count(skip));
        if let Some(fetch) = fetch {
            within = within.and(number.lt_eq(count(skip.saturating_add(fetch))));
        }
        self.kept(Rows { plan, is_single: false, ..rows }, &within)
    }

    /// Tables beside each other within the subquery.
    fn beside(&mut self, outer: &Outer, join: &Join) -> Result<Rows> {
        let is_right_fixed = !reads(&join.right, outer.plan.schema())?;
        let is_known = match join.join_type {
            JoinType::Inner => true,
            JoinType::Left => is_right_fixed,
            _ => false,
        };
        if !is_known || join.null_equality != NullEquality::NullEqualsNothing {
            return Err(refused("this join can't depend on the row around it"));
        }
        let left = self.rows(outer, &join.left)?;
        let around = outer.plan.schema();
        let keys = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
        let conditions: Vec<Expr> = keys.chain(join.filter.clone()).collect();
        let on = |columns: &[Expr]| {
            let columns = [left.columns.as_slice(), columns].concat();
            let condition = |condition: &Expr| under(condition, &join.schema, &columns, around);
            conditions.iter().map(condition).collect::<Result<Vec<_>>>()
        };
        if is_right_fixed {
            let right = self.joined(&left.plan, &join.right, on)?;
            let mark = if join.join_type == JoinType::Left { left.mark } else { both(&left.mark, right.mark) };
            let columns = [left.columns, right.columns].concat();
            return Ok(Rows { plan: right.plan, columns, mark, order: left.order, is_single: false });
        }
        let within = self.outer(left.plan.clone())?;
        let right = self.rows(&within, &join.right)?;
        let condition = on(&right.columns)?.into_iter().reduce(Expr::and);
        let mark = both(&left.mark, right.mark);
        let is_single = left.is_single && right.is_single;
        let columns = [left.columns, right.columns].concat();
        let rows = Rows { plan: right.plan, columns, mark, order: [left.order, right.order].concat(), is_single };
        match condition {
            Some(condition) => self.kept(rows, &condition),
            None => Ok(rows),
        }
    }

    /// Marked rows, and one that is not marked for each outer row that has none.
    pub(super) fn filled(&mut self, rows: Rows, outer: &Outer) -> Result<Rows> {
        if rows.is_single {
            return Ok(rows);
        }
        let first = rows.mark.clone().sort(false, false);
        let number = row_number().partition_by(vec![outer.number.clone()]).order_by(vec![first]).build()?;
        let (plan, number) = self.counted(rows.plan, number)?;
        let is_first = number.eq(lit(1_u64));
        Ok(Rows { plan: filter(plan, rows.mark.clone().or(is_first))?, ..rows })
    }
}

/// Whether a query gives exactly one row, whatever it reads: an outer row is joined to it once.
fn is_one_row(query: &LogicalPlan) -> bool {
    match query {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => is_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_one_row(&alias.input),
        _ => false,
    }
}
