//! From a spec to a plan: names resolved, a graph without cycles, tasks cut into stages.
//!
//! Planning is structural: it knows names, not schemas. `headwater_engine::check` adds types to what it leaves.

use std::collections::{BTreeMap, BTreeSet};

use crate::decode::Step;
use crate::diagnostic::{Code, Diagnostic, Finding, has_errors, tidy};
use crate::document::Document;
use crate::spec::{CheckTask, ExtractTask, LoadTask, Rule, Spec};
use crate::sql::{self, Resolved, Scope, SqlFinding};

mod cursor;
mod deletes;
mod graph;
mod history;
mod names;
mod rejects;
mod stages;
mod stream;
pub mod tables;
mod tree;
mod types;
mod validate;
mod whole;

pub use crate::path::TaskPath;
pub use cursor::Cursor;
pub use deletes::{DELETED_AT, Deletes};
pub use history::{HISTORY_COLUMNS, History, IS_CURRENT, VALID_FROM, VALID_TO};
pub use names::CONTEXT_PARAMETERS;
pub use types::{
    CHANGE_PLAN_FORMAT, CLOSE_PLAN_FORMAT, CONTRACT_PLAN_FORMAT, CURSOR_PLAN_FORMAT, DELETE_PLAN_FORMAT, ExtractSource,
    HISTORY_PLAN_FORMAT, Head, LABELED_PLAN_FORMAT, PLAN_FORMAT, PLAN_FORMATS, Plan, PlannedTask, Quarantine,
    REJECT_PLAN_FORMAT, Relation, STREAM_PLAN_FORMAT, Stage, TableRef, Work,
};
pub use validate::check_value;

use graph::{Edge, TaskGraph};
use names::{Connections, GroupScope};
use tree::{Placed, Tree};

/// More findings than this are not looked for.
const MAX_FINDINGS: usize = 100;

/// More dependencies than this are refused: a group that needs a group is every pair of their tasks.
const MAX_DEPENDENCIES: usize = 200_000;

/// What planning a document gave.
#[derive(Debug)]
pub struct Planned {
    /// The plan, if nothing is wrong.
    pub plan: Option<Plan>,
    /// Every task whose names resolved, for checks that go further even when others failed.
    pub works: BTreeMap<TaskPath, Work>,
    /// Parsed transforms, with positions of the original text.
    pub queries: BTreeMap<TaskPath, Resolved>,
    /// The path of each task in the document.
    pub steps: BTreeMap<TaskPath, Vec<Step>>,
    /// Everything that is wrong, those of reading the document included.
    pub diagnostics: Vec<Diagnostic>,
}

/// Plans a document. `connections` are the names that exist besides those the document brings.
pub fn plan(document: &Document, connections: &BTreeSet<String>) -> Planned {
    let mut planned = Planned {
        plan: None,
        works: BTreeMap::new(),
        queries: BTreeMap::new(),
        steps: BTreeMap::new(),
        diagnostics: document.diagnostics.clone(),
    };
    if document.connections_alone().is_some() {
        let finding = Finding::error(Code::NotASpec, "the file holds connections and no pipeline")
            .hint("`headwater apply` accepts it; a pipeline needs `name` and `tasks`");
        planned.diagnostics.push(document.at_key(&[Step::from("connections")], finding));
    }
    if let Some(spec) = &document.spec {
        let connections = known_connections(document, spec, connections);
        let tree = Tree::new(document, spec);
        planned.diagnostics.extend(validate::validate(document, spec, &tree, &connections.known));
        let of_tables = tables::findings(document, &tree, &connections).into_iter();
        planned.diagnostics.extend(of_tables.map(|(steps, finding)| document.at(&steps, finding)));
        Planner { document, spec, tree: &tree, connections: &connections, planned: &mut planned }.plan();
    }
    whole::overwritten_twice(document, &mut planned);
    planned.diagnostics.retain(|found| !document.follows_from_secret(found));
    tidy(&mut planned.diagnostics);
    limit(&mut planned.diagnostics);
    if has_errors(&planned.diagnostics) {
        planned.plan = None;
    }
    planned
}

fn known_connections(document: &Document, spec: &Spec, others: &BTreeSet<String>) -> Connections {
    let field = [Step::from("connections")];
    let lost = document.lost();
    Connections {
        known: others.iter().chain(spec.connections.keys()).cloned().collect(),
        unknown: lost.names(&field).map(str::to_owned).collect(),
        all_unknown: lost.at(&field),
    }
}

/// Not every mistake of a file that holds nothing else is reported.
fn limit(diagnostics: &mut Vec<Diagnostic>) {
    if diagnostics.len() > MAX_FINDINGS {
        let severity = diagnostics.iter().map(|found| found.severity).min();
        diagnostics.truncate(MAX_FINDINGS);
        if let Some(last) = diagnostics.last_mut() {
            last.code = Code::TooMany;
            last.severity = severity.unwrap_or(last.severity);
            last.message = format!("the first {} mistakes are reported; there are more", MAX_FINDINGS - 1);
            last.hint = Some("correct these and try again".to_owned());
            last.replacements.clear();
        }
    }
}

struct Planner<'a> {
    document: &'a Document,
    spec: &'a Spec,
    tree: &'a Tree<'a>,
    connections: &'a Connections,
    planned: &'a mut Planned,
}

impl Planner<'_> {
    fn plan(&mut self) {
        let declared = self.spec.params.keys().map(String::as_str);
        let lost = self.lost_parameters();
        let parameters: Vec<&str> = declared.chain(lost.iter().map(String::as_str)).chain(CONTEXT_PARAMETERS).collect();
        let mut graph = TaskGraph::default();
        for (path, placed) in &self.tree.tasks {
            self.planned.steps.insert(path.clone(), placed.steps.clone());
            if placed.task.group.is_none() {
                graph.add_task(path);
            }
        }
        for (path, placed) in &self.tree.tasks {
            if self.planned.diagnostics.len() > MAX_FINDINGS {
                return;
            }
            let scope = GroupScope {
                tree: self.tree,
                group: &placed.group,
                connections: self.connections,
                parameters: &parameters,
            };
            if !self.needs(path, placed, &scope, &mut graph) {
                return;
            }
            let Some(work) = self.work(path, placed, &scope).filter(|work| self.is_known(work, &lost)) else {
                continue;
            };
            for relation in work.reads() {
                if let Relation::Task(above) = relation {
                    graph.add_edge(above, path, Edge::Data);
                }
            }
            self.planned.works.insert(path.clone(), work);
        }
        match graph.order() {
            Err(cycle) => self.cycle(&cycle),
            Ok(order) => self.cut(&graph, &order),
        }
    }

    /// Parameters that could not be read: statements may name them, and nothing is known about their types.
    fn lost_parameters(&self) -> BTreeSet<String> {
        self.document.lost().names(&[Step::from("params")]).map(str::to_owned).collect()
    }

    /// Whether everything that a task names is known, so that it can be checked further.
    fn is_known(&self, work: &Work, lost_parameters: &BTreeSet<String>) -> bool {
        let connections = work.connections();
        let parameters = || work.statements().into_iter().flat_map(sql::parameters);
        !connections.iter().any(|name| self.connections.is_unknown(name))
            && (lost_parameters.is_empty() || !parameters().any(|name| lost_parameters.contains(&name)))
    }

    /// A group's `needs` hold for all tasks in it; needing a group is needing all its tasks. Whether the graph stays small
    /// enough to go on.
    fn needs(&mut self, path: &TaskPath, placed: &Placed<'_>, scope: &GroupScope<'_>, graph: &mut TaskGraph) -> bool {
        for (index, name) in placed.task.needs.iter().enumerate() {
            let steps = [placed.inside(&["needs"]), vec![Step::from(index)]].concat();
            let target = sql::split_parts(name)
                .and_then(|parts| scope.task(&parts).unwrap_or_else(|| Err(scope.unknown(&parts))));
            let target = match target {
                Ok(target) => target,
                Err(finding) => {
                    self.add(&steps, finding);
                    continue;
                }
            };
            for below in self.tree.leaves(path) {
                for above in self.tree.leaves(&target) {
                    graph.add_edge(above, below, Edge::Needs);
                }
                if graph.edge_count() > MAX_DEPENDENCIES {
                    let message = format!("the tasks have more than {MAX_DEPENDENCIES} dependencies");
                    let hint = "a group that needs a group is every pair of their tasks: put a task such as `wait: 0s` between them";
                    self.add(&steps, Finding::error(Code::TooMany, message).hint(hint));
                    return false;
                }
            }
        }
        true
    }

    fn work(&mut self, path: &TaskPath, placed: &Placed<'_>, scope: &GroupScope<'_>) -> Option<Work> {
        let task = placed.task;
        if let Some(extract) = &task.extract {
            return self.extract(extract, placed);
        }
        if let Some(sql) = &task.transform {
            return self.transform(path, sql, placed, scope);
        }
        if let Some(check) = &task.check {
            return self.check(check, placed, scope);
        }
        if let Some(load) = &task.load {
            return self.load(load, placed, scope);
        }
        if let Some(duration) = task.wait {
            return Some(Work::Wait { duration });
        }
        task.group.is_some().then_some(Work::Group)
    }

    fn extract(&mut self, extract: &ExtractTask, placed: &Placed<'_>) -> Option<Work> {
        let columns = extract.columns.clone();
        let quarantine = Quarantine::of(extract);
        if let (Some(connection), Some(query)) = (&extract.connection, &extract.query) {
            let connection = match self.connections.settle(connection, false) {
                Ok(connection) => connection,
                Err(finding) => {
                    self.add(&placed.inside(&["extract", "connection"]), finding);
                    return None;
                }
            };
            let source = ExtractSource::Query { connection, query: query.clone() };
            return Some(Work::Extract { source, columns, cursor: Cursor::of(extract), quarantine });
        }
        let table = self.table(extract.from.as_ref()?, &placed.inside(&["extract", "from"]))?;
        let source = ExtractSource::Table(table);
        Some(Work::Extract { source, columns, cursor: Cursor::of(extract), quarantine })
    }

    fn transform(&mut self, path: &TaskPath, text: &str, placed: &Placed<'_>, scope: &GroupScope<'_>) -> Option<Work> {
        match sql::resolve(text, scope) {
            Ok(resolved) => {
                let work = Work::Transform { sql: resolved.sql(), reads: resolved.reads.iter().cloned().collect() };
                self.planned.queries.insert(path.clone(), resolved);
                Some(work)
            }
            Err(findings) => {
                self.add_in_text(&placed.inside(&["transform"]), findings);
                None
            }
        }
    }

    fn check(&mut self, check: &CheckTask, placed: &Placed<'_>, scope: &GroupScope<'_>) -> Option<Work> {
        for (index, rule) in check.rules.iter().enumerate() {
            let mut steps = placed.inside(&["check", "rules"]);
            steps.extend([Step::from(index), Step::from("sql")]);
            self.rule(rule, &steps, scope);
        }
        let input = self.relation(&check.input, &placed.inside(&["check", "input"]), scope)?;
        let CheckTask { on_failure, max_rejected, .. } = *check;
        Some(Work::Check { input, rules: check.rules.clone(), on_failure, max_rejected })
    }

    fn rule(&mut self, rule: &Rule, steps: &[Step], scope: &GroupScope<'_>) {
        if let Some(text) = &rule.sql
            && let Err(findings) = sql::condition(text, &scope.parameters())
        {
            self.add_in_text(steps, findings);
        }
    }

    fn load(&mut self, load: &LoadTask, placed: &Placed<'_>, scope: &GroupScope<'_>) -> Option<Work> {
        let task = sql::split_parts(&load.input).ok().and_then(|parts| scope.task(&parts)?.ok());
        if task.is_some_and(|task| self.tree.is_several(&task)) {
            return None;
        }
        let input = self.relation(&load.input, &placed.inside(&["load", "input"]), scope);
        if tables::has_placeholders(&load.into) {
            return None;
        }
        let into = self.table(&load.into, &placed.inside(&["load", "into"]));
        let LoadTask { mode, keys, order_by, partition_by, schema, .. } = load;
        Some(Work::Load {
            input: input?,
            into: into?,
            mode: (*mode)?,
            keys: keys.clone(),
            order_by: order_by.clone(),
            partition_by: partition_by.clone(),
            schema: schema.clone().unwrap_or_default(),
            deletes: self.deletes(load, placed, scope),
            history: History::of(load),
        })
    }

    fn relation(&mut self, name: &str, steps: &[Step], scope: &GroupScope<'_>) -> Option<Relation> {
        match sql::split_parts(name).and_then(|parts| scope.relation(&parts)) {
            Ok(relation) => Some(relation),
            Err(finding) => {
                self.add(steps, finding);
                None
            }
        }
    }

    fn table(&mut self, name: &str, steps: &[Step]) -> Option<TableRef> {
        let table = sql::split_parts(name).and_then(|parts| {
            let Some((first, rest)) = parts.split_first() else { return Err(no_table(name)) };
            let connection = self.connections.settle(&first.text, first.is_quoted)?;
            if rest.is_empty() {
                return Err(no_table(name));
            }
            Ok(TableRef { connection, path: rest.iter().map(|part| part.text.clone()).collect() })
        });
        table.map_err(|finding| self.add(steps, finding)).ok()
    }

    fn cycle(&mut self, cycle: &[TaskPath]) {
        let told: Vec<&str> = cycle.iter().chain(cycle.first()).map(TaskPath::as_str).collect();
        let message = format!("these tasks wait for each other: {}", told.join(" → "));
        if let Some(placed) = cycle.first().and_then(|path| self.tree.tasks.get(path)) {
            let finding = Finding::error(Code::Cycle, message)
                .hint("remove one of the edges: a name that is read, or an entry of `needs`");
            self.planned.diagnostics.push(self.document.at_key(&placed.steps, finding));
        }
    }

    fn add(&mut self, steps: &[Step], finding: Finding) {
        if self.planned.diagnostics.len() <= MAX_FINDINGS {
            self.planned.diagnostics.push(self.document.at(steps, finding));
        }
    }

    fn add_in_text(&mut self, steps: &[Step], findings: Vec<SqlFinding>) {
        let placed = findings.into_iter().map(|SqlFinding { line, column, length, finding }| {
            self.document.at_text(steps, line, column, length, finding)
        });
        self.planned.diagnostics.extend(placed);
    }
}

fn no_table(name: &str) -> Finding {
    Finding::error(Code::UnknownTable, format!("'{name}' names a connection and no table"))
        .hint("write connection.table")
}

#[cfg(test)]
mod tests;
