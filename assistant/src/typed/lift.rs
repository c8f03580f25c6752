//! A spec becomes a typed plan: what an edit starts from.

use std::collections::{BTreeMap, BTreeSet};

use headwater_pipelines::kind::Kind;
use headwater_pipelines::path::TaskPath;
use headwater_pipelines::spec::{AUTO_CURSOR, LoadTask, Spec, Task};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::TypedPlan;
use super::nodes::{self, KEPT, KINDS};
use super::schema::target_id;
use crate::known::{Known, TableId};

/// A spec as a typed plan, and what such a plan can't express.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Lifted {
    /// The plan.
    pub(crate) plan: TypedPlan,
    /// Tasks that stay as they are.
    pub(crate) kept: BTreeMap<TaskPath, Task>,
    /// Where the spec's loads write, and how.
    pub(crate) targets: BTreeMap<String, LoadTask>,
}

/// Makes the typed plan of a spec.
pub(crate) fn lift(spec: &Spec, known: &Known, targets: &[String]) -> Lifted {
    let mut names = BTreeSet::new();
    list_names(&TaskPath::root(), &spec.tasks, &mut names);
    let mut lifting =
        Lifting { known, writable: targets, names, nodes: Vec::new(), kept: BTreeMap::new(), targets: BTreeMap::new() };
    lifting.tasks(&TaskPath::root(), &spec.tasks);
    let plan = TypedPlan {
        name: spec.name.clone(),
        description: spec.description.clone(),
        params: spec.params.clone(),
        asked_by: Vec::new(),
        schedule: spec.schedule.clone(),
        stream: spec.stream.clone(),
        tasks: lifting.nodes,
    };
    Lifted { plan, kept: lifting.kept, targets: lifting.targets }
}

struct Lifting<'a> {
    known: &'a Known,
    writable: &'a [String],
    /// What SQL of the spec's tasks can name.
    names: BTreeSet<String>,
    nodes: Vec<Value>,
    kept: BTreeMap<TaskPath, Task>,
    targets: BTreeMap<String, LoadTask>,
}

impl Lifting<'_> {
    fn tasks(&mut self, group: &TaskPath, tasks: &IndexMap<String, Task>) {
        for (name, task) in tasks {
            let path = group.child(name);
            match self.node(task) {
                Some((kind, fields)) => {
                    self.push(kind.as_str(), &path, fields);
                    if let Some(inside) = &task.group {
                        self.tasks(&path, inside);
                    }
                }
                None => {
                    self.push(KEPT, &path, Map::new());
                    self.kept.insert(path, task.clone());
                }
            }
        }
    }

    fn push(&mut self, kind: &str, path: &TaskPath, fields: Map<String, Value>) {
        let parent = path.parent().filter(|parent| !parent.is_root());
        let mut node = Map::from_iter([
            ("kind".to_owned(), kind.into()),
            ("name".to_owned(), path.name().into()),
            ("parent".to_owned(), parent.map_or(Value::Null, |parent| parent.as_str().into())),
            ("asked_by".to_owned(), json!([])),
        ]);
        node.extend(fields);
        self.nodes.push(Value::Object(node));
    }

    /// The fields of a task; `None` if a typed plan can't say the same.
    fn node(&mut self, task: &Task) -> Option<(Kind, Map<String, Value>)> {
        let [kind] = Kind::of(task)[..] else { return None };
        if !KINDS.contains(&kind) {
            return None;
        }
        let mut alone = task.clone();
        if kind == Kind::Group {
            alone.group = Some(IndexMap::new());
        }
        let Ok(Value::Object(written)) = serde_json::to_value(&alone) else { return None };
        let mut node = nodes::to_node(kind, &written);
        // Fields that the plan does not have would be lost.
        let back = nodes::from_node(kind, &node, "").ok()?;
        let back: Task = serde_json::from_value(Value::Object(back)).ok()?;
        if back != alone {
            return None;
        }
        match kind {
            Kind::Extract => self.source(&mut node)?,
            Kind::Load => self.target(task.load.as_ref()?, &mut node)?,
            Kind::Transform => self.statement(&node)?,
            _ => {}
        }
        Some((kind, node))
    }

    fn source(&self, node: &mut Map<String, Value>) -> Option<()> {
        let (table, _) =
            self.known.tables().find(|(_, table)| Some(table.full_name().as_str()) == node["from"].as_str())?;
        node.insert("from".to_owned(), table.to_string().into());
        if let Some(Value::String(name)) = node.get_mut("cursor")
            && name != AUTO_CURSOR
        {
            *name = self.column(table, name)?;
        }
        for item in node.get_mut("columns").and_then(Value::as_array_mut).into_iter().flatten() {
            match item {
                Value::String(name) => *name = self.column(table, name)?,
                Value::Object(entry) => {
                    if let Some(Value::String(name)) = entry.get_mut("name") {
                        *name = self.column(table, name)?;
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    fn column(&self, table: TableId, name: &str) -> Option<String> {
        self.known.columns(table).find(|(_, column)| column.name == name).map(|(id, _)| id.to_string())
    }

    fn target(&mut self, load: &LoadTask, node: &mut Map<String, Value>) -> Option<()> {
        let (connection, table) = load.into.split_once('.')?;
        let place = self.writable.iter().position(|name| name == connection)?;
        let into = json!({ "words": "", "connection": target_id(place), "table": table });
        node.insert("into".to_owned(), into);
        self.targets.insert(load.into.clone(), load.clone());
        Some(())
    }

    /// A statement that reads a connection itself, or calls what answers may not call, stays as it is.
    fn statement(&self, node: &Map<String, Value>) -> Option<()> {
        let text = node["transform"].as_str()?;
        let is_same = super::sql::with_names(text, self.known, "").ok()? == text;
        let query = headwater_pipelines::sql::parse(text).ok()?;
        (is_same && super::sql::check(&query, &self.names, "").0.is_empty()).then_some(())
    }
}

fn list_names(group: &TaskPath, tasks: &IndexMap<String, Task>, names: &mut BTreeSet<String>) {
    for (name, task) in tasks {
        let path = group.child(name);
        names.extend(super::sql::names_of(&path));
        task.group.iter().for_each(|inside| list_names(&path, inside, names));
    }
}
