//! A typed plan becomes a spec, by code alone.

use std::collections::{BTreeMap, BTreeSet};

use headwater_pipelines::kind::Kind;
use headwater_pipelines::path::TaskPath;
use headwater_pipelines::spec::{Spec, Task};
use headwater_pipelines::sql::parse;
use headwater_pipelines::write::Comments;
use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::blocks::replace_ids;
use super::fault::{Fault, Phase};
use super::lift::Lifted;
use super::nodes::{self, KEPT, KINDS};
use super::said::Said;
use super::{Contract, TypedPlan, modes, size, sql};
use crate::draft::{Choice, Question, Requirement};
use crate::known::Known;

/// What an answer is read with.
pub(crate) struct Frame<'a> {
    pub(crate) known: &'a Known,
    /// Connections that can be written to.
    pub(crate) targets: &'a [String],
    /// The person's words.
    pub(crate) said: &'a Said,
    /// The pipeline that is edited; an empty one if there is none.
    pub(crate) base: &'a Lifted,
}

impl Frame<'_> {
    /// An answer to a question: the prompt with the person's answer behind it.
    pub(super) fn choice(&self, text: &str, said: &str) -> Choice {
        Choice { text: text.to_owned(), sentence: format!("{}\n({said})", self.said.text()) }
    }
}

/// What became of a typed plan.
pub(crate) struct Compiled {
    pub(crate) spec: Spec,
    pub(crate) comments: Comments,
    pub(crate) requirements: Vec<Requirement>,
    pub(crate) assumptions: Vec<String>,
    /// Words that no requirement covers.
    pub(crate) not_understood: Vec<String>,
    /// What only the person can say; the spec is not to be used before.
    pub(crate) question: Option<Question>,
}

/// Makes the spec, or says everything that is wrong with the plan.
pub(crate) fn compile(plan: &TypedPlan, contract: &Contract, frame: &Frame<'_>) -> Result<Compiled, Vec<Fault>> {
    let mut compiler = Compiler {
        frame,
        contract,
        faults: Vec::new(),
        tasks: BTreeMap::new(),
        order: Vec::new(),
        asked_by: BTreeMap::new(),
        reads: BTreeMap::new(),
        assumptions: contract.assumptions.clone(),
        question: None,
    };
    compiler.place(plan);
    compiler.stream(plan);
    let nodes = std::mem::take(&mut compiler.order);
    let names = compiler.names(&nodes);
    for (path, node) in &nodes {
        compiler.task(path, node, &names);
    }
    compiler.order = nodes;
    let paths: Vec<&TaskPath> = compiler.order.iter().map(|(path, _)| path).collect();
    let faults = size::faults(&paths, &compiler.reads);
    compiler.faults.extend(faults);
    let quotes = compiler.quotes();
    if !compiler.faults.is_empty() {
        compiler.faults.sort();
        compiler.faults.dedup();
        return Err(compiler.faults);
    }
    let order: Vec<TaskPath> = compiler.order.iter().map(|(path, _)| path.clone()).collect();
    let spec = Spec {
        name: plan.name.clone(),
        description: plan.description.clone(),
        params: plan.params.clone(),
        schedule: plan.schedule.clone(),
        connections: IndexMap::new(),
        stream: plan.stream.clone(),
        tasks: nest(&TaskPath::root(), &order, &mut compiler.tasks),
    };
    let requirements = compiler.requirements();
    Ok(Compiled {
        comments: compiler.comments(),
        not_understood: frame.said.uncovered(&quotes),
        assumptions: compiler.assumptions,
        question: compiler.question,
        requirements,
        spec,
    })
}

pub(super) struct Compiler<'a> {
    pub(super) frame: &'a Frame<'a>,
    contract: &'a Contract,
    pub(super) faults: Vec<Fault>,
    tasks: BTreeMap<TaskPath, Task>,
    order: Vec<(TaskPath, Map<String, Value>)>,
    asked_by: BTreeMap<TaskPath, Vec<usize>>,
    /// What each transform reads, as often as it does.
    reads: BTreeMap<TaskPath, Vec<String>>,
    pub(super) assumptions: Vec<String>,
    pub(super) question: Option<Question>,
}

impl Compiler<'_> {
    /// Finds the path of each task and the requirements that ask for it.
    fn place(&mut self, plan: &TypedPlan) {
        let groups: BTreeSet<String> = plan.tasks.iter().filter(|node| node["kind"] == "group").map(path_of).collect();
        let mut seen = BTreeSet::new();
        for (number, node) in plan.tasks.iter().enumerate() {
            let (Some(fields), Some(name)) = (node.as_object(), node["name"].as_str()) else {
                self.faults.push(Fault::structure(&format!("tasks[{number}]"), "expected a task with a name"));
                continue;
            };
            let path = path_of(node);
            if let Some(parent) = node["parent"].as_str().filter(|parent| !groups.contains(*parent)) {
                let fault = Fault::name("unknown_group", &path, &format!("'{parent}' is no group of this plan"));
                self.faults.push(fault.candidates(&groups));
            }
            if name.contains('.') || !seen.insert(path.clone()) {
                self.faults.push(Fault::name(
                    "bad_name",
                    &path,
                    "a task's name has no dots and stands once in its group",
                ));
                continue;
            }
            let path = TaskPath::from(path.as_str());
            let places = node["asked_by"].as_array().into_iter().flatten().filter_map(Value::as_u64);
            let places = places.filter_map(|place| usize::try_from(place).ok()).collect();
            self.asked_by.insert(path.clone(), places);
            self.order.push((path, fields.clone()));
        }
    }

    /// A pipeline that runs until it is stopped is the person's to order. That of the pipeline that is edited stays without any word.
    fn stream(&mut self, plan: &TypedPlan) {
        let said = modes::says_stream(self.frame.said);
        let message = match (plan.stream == self.frame.base.plan.stream, plan.stream.is_some()) {
            (true, _) => return,
            (false, _) if said => return,
            (false, true) => "no word of the prompt asks for a stream",
            (false, false) => "no word of the prompt asks to end the stream",
        };
        self.faults.push(Fault::new(Phase::Meaning, "unasked", "stream", message));
    }

    /// What SQL of a task may name: every path, and the names that a path ends with.
    fn names(&self, nodes: &[(TaskPath, Map<String, Value>)]) -> BTreeSet<String> {
        let paths = nodes.iter().map(|(path, _)| path).chain(self.frame.base.kept.keys());
        paths.flat_map(sql::names_of).collect()
    }

    fn task(&mut self, path: &TaskPath, node: &Map<String, Value>, names: &BTreeSet<String>) {
        let kind = node.get("kind").and_then(Value::as_str).unwrap_or_default();
        if kind == KEPT {
            match self.frame.base.kept.get(path) {
                Some(task) => {
                    self.tasks.insert(path.clone(), task.clone());
                }
                None => self.faults.push(Fault::name("unknown_task", path, "there is no such task to keep")),
            }
            return;
        }
        let Some(kind) = KINDS.into_iter().find(|known| known.as_str() == kind) else {
            let fault = Fault::structure(path, &format!("'{kind}' is no kind of task"));
            return self.faults.push(fault.candidates(KINDS.map(Kind::as_str)));
        };
        match self.fields(kind, path, node, names) {
            Ok(task) => {
                self.tasks.insert(path.clone(), task);
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    fn fields(
        &mut self,
        kind: Kind,
        path: &TaskPath,
        node: &Map<String, Value>,
        names: &BTreeSet<String>,
    ) -> Result<Task, Fault> {
        let mut node = node.clone();
        match kind {
            Kind::Extract => self.source(path, &mut node)?,
            Kind::Transform => self.statement(path, &mut node, names)?,
            Kind::Load => self.target(path, &mut node)?,
            _ => {}
        }
        if matches!(kind, Kind::Check | Kind::Load) {
            for value in node.values_mut() {
                replace_ids(value, self.frame.known, path)?;
            }
        }
        let task = Value::Object(nodes::from_node(kind, &node, path)?);
        serde_json::from_value(task).map_err(|error| Fault::structure(path, &error.to_string()))
    }

    fn statement(
        &mut self,
        path: &TaskPath,
        node: &mut Map<String, Value>,
        names: &BTreeSet<String>,
    ) -> Result<(), Fault> {
        let at = format!("{path}.transform");
        let Some(Value::String(text)) = node.get_mut("transform") else { return Ok(()) };
        *text = sql::with_names(text, self.frame.known, &at)?;
        let query = parse(text).map_err(|error| {
            Fault::new(Phase::Types, "sql_syntax", &at, &format!("line {}: {}", error.line, error.finding.message))
        })?;
        self.faults.extend(sql::control_characters(text, &at));
        let (faults, reads) = sql::check(&query, names, &at);
        self.faults.extend(faults);
        self.reads.insert(path.clone(), reads);
        Ok(())
    }

    /// Where the requirements' quotes stand. A quote that is not in the prompt is a mistake.
    fn quotes(&mut self) -> Vec<std::ops::Range<usize>> {
        let mut places = Vec::new();
        for (number, wish) in self.contract.requirements.iter().enumerate() {
            match self.frame.said.find(&wish.quote) {
                Some(place) => places.push(place),
                None => {
                    let at = format!("requirements[{number}].quote");
                    self.faults.push(Fault::new(
                        Phase::Meaning,
                        "not_quoted",
                        &at,
                        "these words are not in the prompt",
                    ));
                }
            }
        }
        places
    }

    /// Each requirement with the first task that meets it; those of the schedule or a parameter have none.
    fn requirements(&self) -> Vec<Requirement> {
        let wishes = self.contract.requirements.iter().enumerate();
        let met = |place: usize| {
            let tasks = self.order.iter().map(|(path, _)| path);
            tasks.into_iter().find(|path| self.asked_by.get(*path).is_some_and(|places| places.contains(&place)))
        };
        wishes
            .map(|(place, wish)| Requirement {
                quote: wish.quote.clone(),
                task: met(place).map(|path| path.as_str().to_owned()),
                meaning: wish.meaning.clone(),
            })
            .collect()
    }

    /// Above each task the words that asked for it.
    fn comments(&self) -> Comments {
        let quoted = |places: &Vec<usize>| {
            let quotes = places.iter().filter_map(|place| self.contract.requirements.get(*place));
            quotes.map(|wish| format!("\"{}\"", wish.quote)).collect::<Vec<_>>().join(", ")
        };
        let tasks = self.asked_by.iter().map(|(path, places)| (path.clone(), quoted(places)));
        Comments { top: None, tasks: tasks.filter(|(_, text)| !text.is_empty()).collect() }
    }
}

fn path_of(node: &Value) -> String {
    let name = node["name"].as_str().unwrap_or_default();
    node["parent"].as_str().map_or_else(|| name.to_owned(), |parent| format!("{parent}.{name}"))
}

/// The tasks of a group, with theirs inside of them.
fn nest(group: &TaskPath, order: &[TaskPath], tasks: &mut BTreeMap<TaskPath, Task>) -> IndexMap<String, Task> {
    let mut nested = IndexMap::new();
    for path in order.iter().filter(|path| path.parent().as_ref() == Some(group)) {
        let Some(mut task) = tasks.remove(path) else { continue };
        if task.group.as_ref().is_some_and(IndexMap::is_empty) {
            task.group = Some(nest(path, order, tasks));
        }
        nested.insert(path.name().to_owned(), task);
    }
    nested
}
