//! Specs made from numbers, so that a failing case shrinks.

use std::time::Duration;

use headwater_pipelines::spec::{
    Backoff, Catchup, CheckTask, ColumnContracts, Columns, Contract, ExtractTask, LoadSchema, LoadTask, OnFailure,
    Overlap, Param, ParamType, Retry, Rule, Schedule, Spec, Task, Values, WriteMode,
};
use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::json;

/// Numbers to choose with; 0 when they are used up.
pub(crate) struct Dice {
    numbers: Vec<u32>,
    next: usize,
}

impl Dice {
    pub(crate) fn new(numbers: Vec<u32>) -> Self {
        Self { numbers, next: 0 }
    }

    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        let number = self.numbers.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        number as usize % sides
    }

    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        let index = self.roll(of.len());
        of[index].clone()
    }

    pub(crate) fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == sides - 1
    }
}

/// Valid specs: they plan without a finding.
pub(crate) fn valid() -> impl Strategy<Value = Spec> {
    prop::collection::vec(any::<u32>(), 20..120).prop_map(|numbers| spec(&mut Dice::new(numbers)))
}

fn spec(dice: &mut Dice) -> Spec {
    let mut params = IndexMap::new();
    for index in 0..dice.roll(3) {
        let (kind, default) = dice.pick(&[
            (ParamType::String, json!("DE")),
            (ParamType::Integer, json!(5)),
            (ParamType::Date, json!("2026-01-31")),
            (ParamType::Boolean, json!(true)),
            (ParamType::Number, json!(0.5)),
        ]);
        params.insert(format!("param{index}"), Param { kind, default: Some(default), description: None });
    }
    let mut names = Names { number: 0, params: params.keys().cloned().collect() };
    let count = 1 + dice.roll(5);
    let tasks = tasks(dice, &mut names, count, 0);
    let schedule = dice.one_in(3).then(|| schedule(dice));
    Spec {
        name: "generated".to_owned(),
        description: dice.one_in(2).then(|| "Made: by a test, #1".to_owned()),
        params,
        schedule,
        connections: IndexMap::new(),
        stream: None,
        tasks,
    }
}

fn schedule(dice: &mut Dice) -> Schedule {
    if dice.one_in(2) {
        return Schedule { every: Some(Duration::from_secs(900)), ..Schedule::default() };
    }
    Schedule {
        cron: Some(dice.pick(&["0 6 * * *", "*/15 * * * 1-5", "30 2 1 * *"]).to_owned()),
        timezone: dice.one_in(2).then(|| "Europe/Berlin".to_owned()),
        catchup: dice.pick(&[Catchup::Last, Catchup::None]),
        overlap: dice.pick(&[Overlap::Skip, Overlap::Allow]),
        ..Schedule::default()
    }
}

struct Names {
    number: usize,
    params: Vec<String>,
}

impl Names {
    fn next(&mut self, what: &str) -> String {
        self.number += 1;
        format!("{what}{}", self.number)
    }
}

fn tasks(dice: &mut Dice, names: &mut Names, count: usize, depth: usize) -> IndexMap<String, Task> {
    let mut tasks = IndexMap::new();
    let mut datasets: Vec<String> = Vec::new();
    for _ in 0..count {
        match dice.roll(if depth < 2 { 5 } else { 4 }) {
            0 => {
                let name = names.next("wait");
                let wait = Some(Duration::from_millis(dice.pick(&[0, 250, 1_000, 5_400_000])));
                let needs = tasks.keys().last().cloned().filter(|_| dice.one_in(2)).into_iter().collect();
                tasks.insert(name, action(dice, Task { wait, needs, ..Task::default() }));
            }
            4 => {
                let inner = 1 + dice.roll(3);
                let group = Some(self::tasks(dice, names, inner, depth + 1));
                tasks.insert(names.next("group"), action(dice, Task { group, ..Task::default() }));
            }
            kind => {
                let input = match datasets.last() {
                    Some(known) if dice.one_in(2) => known.clone(),
                    _ => {
                        let name = names.next("orders");
                        tasks.insert(name.clone(), Task { extract: Some(extract(dice)), ..Task::default() });
                        datasets.push(name.clone());
                        name
                    }
                };
                match kind {
                    1 => {
                        let name = names.next("joined");
                        tasks.insert(name.clone(), transform(dice, names, &input));
                        datasets.push(name);
                    }
                    2 => {
                        let name = names.next("clean");
                        tasks.insert(name.clone(), Task { check: Some(check(dice, input)), ..Task::default() });
                        datasets.push(name);
                    }
                    _ => {
                        let load = Some(load(dice, input, names.number));
                        tasks.insert(names.next("publish"), action(dice, Task { load, ..Task::default() }));
                    }
                }
            }
        }
    }
    tasks
}

fn action(dice: &mut Dice, task: Task) -> Task {
    let retry = dice.one_in(3).then(|| Retry {
        attempts: 5,
        backoff: dice.pick(&[Backoff::Constant, Backoff::Exponential]),
        delay: Duration::from_secs(10),
        max_delay: Duration::from_secs(600),
    });
    Task {
        retry,
        timeout: dice.one_in(3).then(|| Duration::from_secs(1_800)),
        queue: dice.one_in(4).then(|| "big".to_owned()),
        labels: if dice.one_in(4) { vec!["gpu".to_owned()] } else { Vec::new() },
        priority: dice.one_in(4).then_some(-3),
        description: dice.one_in(4).then(|| "what it is for".to_owned()),
        ..task
    }
}

fn extract(dice: &mut Dice) -> ExtractTask {
    if dice.one_in(4) {
        return ExtractTask {
            connection: Some("shop".to_owned()),
            query: Some("SELECT id,\n  note\nFROM orders\n".to_owned()),
            ..ExtractTask::default()
        };
    }
    let columns = dice.one_in(3).then(|| Columns::Only(vec!["id".to_owned(), "note".to_owned()]));
    ExtractTask { from: Some("shop.public.orders".to_owned()), columns, ..ExtractTask::default() }
}

fn transform(dice: &mut Dice, names: &Names, input: &str) -> Task {
    let condition = match names.params.first() {
        Some(param) if dice.one_in(2) => format!("\nWHERE note = ${param}"),
        _ => String::new(),
    };
    Task { transform: Some(format!("SELECT t.id, t.note\nFROM {input} t{condition}\n")), ..Task::default() }
}

fn check(dice: &mut Dice, input: String) -> CheckTask {
    let columns = || Some(vec!["id".to_owned()]);
    let rules = [
        Rule { not_null: columns(), ..Rule::default() },
        Rule { unique: columns(), ..Rule::default() },
        Rule { sql: Some("note <> ''".to_owned()), name: Some("has_note".to_owned()), ..Rule::default() },
        Rule {
            accepted_values: Some(Values { column: "note".to_owned(), values: vec![json!("a"), json!(1)] }),
            ..Rule::default()
        },
    ];
    let count = 1 + dice.roll(3);
    let rules = (0..count).map(|_| dice.pick(&rules)).collect();
    CheckTask { input, rules, on_failure: dice.pick(&[OnFailure::Fail, OnFailure::Warn]), max_rejected: None }
}

fn schema(dice: &mut Dice) -> LoadSchema {
    let contracts = [Contract::Freeze, Contract::AddColumns, Contract::Evolve];
    if dice.one_in(2) {
        return LoadSchema::All(dice.pick(&contracts));
    }
    let columns = ["amount", "total amount"].map(|name| (name.to_owned(), dice.pick(&contracts)));
    LoadSchema::ByColumn(ColumnContracts { default: dice.pick(&contracts), columns: columns.into_iter().collect() })
}

/// A load into a table that no other load of the spec has.
fn load(dice: &mut Dice, input: String, number: usize) -> LoadTask {
    LoadTask {
        input,
        into: dice.pick(&[format!("lake.orders{number}"), format!("reports.\"a b{number}.csv\"")]),
        mode: Some(dice.pick(&[WriteMode::Append, WriteMode::Overwrite])),
        partition_by: if dice.one_in(3) { vec!["note".to_owned()] } else { Vec::new() },
        schema: dice.one_in(3).then(|| schema(dice)),
        ..LoadTask::default()
    }
}
