//! From a stage's tasks to one logical plan: sources, staged inputs, transforms and checks as relations of one session.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::functions_window::expr_fn::rank;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, ident, lit};
use headwater_pipelines::plan::{ExtractSource, Relation, Stage, TaskPath, Work};
use headwater_pipelines::spec::{OnFailure, Rule};

use super::cursors::Cursors;
use super::{Attempt, head_plan};
use crate::connector::{Position, Source};
use crate::control::LogLevel;
use crate::error::{EngineError, Result};
use crate::memory::StagePool;
use crate::nodes::{Barrier, BarrierNode, CheckRule, compile, extension};
use crate::rejects::Rejects;
use crate::relations::{Connections, Relations, direct_name};
use crate::staging;
use crate::transform::{self, Parameters};

/// What building needs.
pub(super) struct Builder<'a> {
    pub(super) attempt: &'a Attempt<'a>,
    pub(super) connections: &'a Connections,
    pub(super) parameters: &'a Parameters,
    pub(super) pool: &'a Arc<StagePool>,
    /// Where the extracts of a load go on.
    pub(super) cursors: &'a Cursors,
    /// Set if all rows are read, whatever cursors say, to know the keys that there are: nothing of them is checked.
    pub(super) is_complete: bool,
}

/// A stage's logical plan and its checks.
pub(super) struct Built {
    pub(super) relations: Relations,
    pub(super) checks: Vec<(TaskPath, Arc<Barrier>)>,
    pub(super) plan: LogicalPlan,
    /// How far the extracts with cursors are read.
    pub(super) reached: BTreeMap<TaskPath, Position>,
    /// What is set aside when it is read.
    pub(super) rejects: Rejects,
}

impl Built {
    fn new(relations: Relations) -> Self {
        let (checks, plan, reached, rejects) = Default::default();
        Self { relations, checks, plan, reached, rejects }
    }
}

impl Builder<'_> {
    /// Builds the stage's plan with joins that hash; `pull` builds it again if a build side might not fit into memory.
    pub(super) async fn build(&self, stage: &Stage) -> Result<Built> {
        self.build_with(stage, true).await
    }

    pub(super) async fn build_with(&self, stage: &Stage, hash_joins: bool) -> Result<Built> {
        let pool: Arc<dyn MemoryPool> = Arc::clone(self.pool) as Arc<dyn MemoryPool>;
        let session = self.attempt.engine.sessions.session(pool, hash_joins)?;
        let plan = &self.attempt.job.plan;
        let mut built = Built::new(Relations::new(session));
        for input in &stage.staged_inputs {
            let manifest = self.attempt.job.manifests.get(input).ok_or_else(|| {
                EngineError::transient(format!("the staged dataset '{input}' is gone"))
                    .hint("rerun the run: its producer runs again")
            })?;
            let staged = self.attempt.stopped_by_cancel(staging::table(&self.attempt.job.staging, manifest));
            built.relations.add_table(input, staged.await?, self.attempt.progress)?;
        }
        for task in &stage.tasks {
            let work = &plan.tasks[task].work;
            let adding = self.attempt.stopped_by_cancel(self.task(task, work, &mut built));
            adding.await.map_err(|error| error.in_task(task))?;
        }
        built.plan = head_plan(&built, plan, stage)?;
        Ok(built)
    }

    async fn task(&self, task: &TaskPath, work: &Work, built: &mut Built) -> Result<()> {
        let is_compared = self.is_complete || self.attempt.job.plan.is_compared(task);
        for relation in work.reads() {
            if let Relation::Table(table) = relation
                && !built.relations.contains(&direct_name(table))
            {
                let source = ExtractSource::Table(table.clone());
                let read = self.connections.read(&source, None, None, self.attempt.cancel).await?;
                refuse_incomplete(&read, is_compared)?;
                built.relations.add_table(&direct_name(table), read.table, self.attempt.progress)?;
            }
        }
        match work {
            Work::Extract { source, columns, cursor, quarantine } => {
                let cursor = cursor.as_ref().filter(|_| !self.is_complete);
                let cursor = cursor.map(|cursor| self.cursors.request(task, cursor)).transpose()?;
                let aside = quarantine.map(|quarantine| {
                    let progress = self.attempt.progress.task(task);
                    built.rejects.quarantine(task, "messages", quarantine.max_rejected, progress)
                });
                let reading = self.connections.read_aside(source, columns.as_ref(), cursor, aside, self.attempt.cancel);
                let read = reading.await?;
                refuse_incomplete(&read, is_compared)?;
                // A stream says it once.
                if self.attempt.batch.is_none_or(|batch| batch.first) {
                    let say = |note: &String| self.attempt.control.log(LogLevel::Info, Some(task), note);
                    read.notes.iter().for_each(say);
                }
                built.reached.extend(read.position.map(|position| (task.clone(), position)));
                built.relations.add_table(task, read.table, self.attempt.progress)
            }
            Work::Transform { sql, .. } => {
                let plan = transform::plan_text(sql, &built.relations, self.parameters).await?;
                built.relations.add_plan(task, plan, self.attempt.progress)
            }
            Work::Check { input, .. } if self.is_complete => {
                let plan = built.relations.plan(input)?;
                built.relations.add_plan(task, plan, self.attempt.progress)
            }
            Work::Check { .. } => self.check(task, work, built),
            Work::Load { .. } | Work::Wait { .. } | Work::Group => Ok(()),
        }
    }

    /// Puts a barrier behind everything that fails if two rows have one key, between which `order_by` does not choose.
    pub(super) fn once_by_keys(
        &self,
        built: &mut Built,
        task: &str,
        keys: &[String],
        order_by: Option<&str>,
    ) -> Result<()> {
        let rule = Rule { unique: Some(keys.to_vec()), ..Rule::default() };
        let mut input = std::mem::take(&mut built.plan);
        if let Some(order_by) = order_by {
            input = last_of_each(input, keys, order_by)?;
        }
        let way_out = "the load replaces its target, and takes one row of each key: choose it in a transform, e.g. by DISTINCT ON";
        let barrier = Arc::new(self.barrier(task, OnFailure::Fail, &built.relations).with_way_out(way_out));
        let rules = self.compiled(&[rule], input.schema(), &built.relations)?;
        built.plan = extension(BarrierNode { barrier: Arc::clone(&barrier), rules, input });
        built.checks.push((task.into(), barrier));
        Ok(())
    }

    fn compiled(&self, rules: &[Rule], schema: &DFSchema, relations: &Relations) -> Result<Vec<CheckRule>> {
        let state = relations.session().state();
        let compiled = rules.iter().map(|rule| {
            compile(rule, schema, &state, self.parameters).map_err(|findings| {
                let messages: Vec<String> = findings.into_iter().map(|found| found.finding.finding.message).collect();
                EngineError::config(format!("rule {}: {}", rule.label(), messages.join("; ")))
            })
        });
        compiled.collect()
    }

    fn barrier(&self, task: &str, on_failure: OnFailure, relations: &Relations) -> Barrier {
        Barrier::new(task, on_failure, Arc::clone(self.attempt.control), relations.session().clone())
    }

    fn check(&self, task: &TaskPath, work: &Work, built: &mut Built) -> Result<()> {
        let Work::Check { input: relation, rules, on_failure, max_rejected } = work else { return Ok(()) };
        let input = built.relations.plan(relation)?;
        let rules = self.compiled(rules, input.schema(), &built.relations)?;
        let mut barrier = self.barrier(task, *on_failure, &built.relations);
        if *on_failure == OnFailure::Quarantine {
            let progress = self.attempt.progress.task(task);
            let quarantine = built.rejects.quarantine(task, "rows", *max_rejected, progress);
            barrier = barrier.setting_aside(quarantine, relation.internal_name());
        }
        let barrier = Arc::new(barrier);
        built.checks.push((task.clone(), Arc::clone(&barrier)));
        built.relations.add_plan(task, extension(BarrierNode { barrier, rules, input }), self.attempt.progress)
    }
}

/// The rows of each key that are last by a column.
fn last_of_each(input: LogicalPlan, keys: &[String], order_by: &str) -> Result<LogicalPlan> {
    const RANK: &str = "_hw_rank";
    let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let last = rank().partition_by(keys.iter().map(ident).collect()).order_by(vec![ident(order_by).sort(false, false)]);
    let ranked = LogicalPlanBuilder::from(input).window(vec![last.build()?.alias(RANK)])?;
    Ok(ranked.filter(ident(RANK).eq(lit(1_u64)))?.project(columns)?.build()?)
}

/// A plan has judged its sources; what one has become since must not delete rows.
fn refuse_incomplete(source: &Source, is_compared: bool) -> Result<()> {
    match source.incomplete.as_ref().filter(|_| is_compared) {
        Some(what) => Err(EngineError::config(format!("it is {what}, and a row that is not read would be deleted"))
            .hint("the source has changed since the version was made: run `headwater plan`")),
        None => Ok(()),
    }
}
