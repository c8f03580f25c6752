//! Columns that take messages one by one, each by the schema that it names.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;

use super::cursor::Cursor;
use super::schema::{Id, Node, Schema};
use super::shape::Shape;
use super::{HEADER, Reason, Refusal, Rules, Schemas, default, scalar, schema_id, walk};
use crate::kafka::json::store::{Store, Values};
use crate::kafka::json::{Reading, Wanted};

/// Columns for records.
#[derive(Debug)]
pub(crate) struct Decoder {
    columns: Vec<Column>,
    /// Set if no other fields may come: those that the topic's columns are, read or not.
    known: Option<Arc<HashSet<Vec<u8>>>>,
    rules: Rules,
    schemas: Arc<dyn Schemas>,
    /// What to do with messages, by the ids of their schemas.
    programs: HashMap<i32, Arc<Program>>,
    /// Messages mostly have the schema of the one before.
    last: Option<(i32, Arc<Program>)>,
    rows: usize,
}

#[derive(Debug)]
struct Column {
    wanted: Wanted,
    store: Store,
}

/// How messages of a schema become rows.
#[derive(Debug)]
struct Program {
    schema: Arc<Schema>,
    /// For each field of the record in turn: its type, and its column if it has one.
    steps: Vec<(Id, Option<usize>)>,
    /// Columns without a field.
    missing: Vec<(usize, Option<Fallback>)>,
}

/// The default of a field in another schema.
#[derive(Debug)]
struct Fallback {
    schema: Arc<Schema>,
    node: Id,
    bytes: Vec<u8>,
}

/// A reason, and the column at fault.
type Fault = (Option<usize>, Reason);

impl Decoder {
    /// Empty columns; nothing if a type is none that messages have. Fields besides the known ones, if those are given, are refused.
    pub(crate) fn new(
        wanted: &[Wanted],
        known: Option<Arc<HashSet<Vec<u8>>>>,
        rules: Rules,
        schemas: Arc<dyn Schemas>,
    ) -> Option<Self> {
        let column = |wanted: &Wanted| Some(Column { wanted: wanted.clone(), store: Store::new(&wanted.data_type)? });
        let columns = wanted.iter().map(column).collect::<Option<Vec<_>>>()?;
        Some(Self { columns, known, rules, schemas, programs: HashMap::new(), last: None, rows: 0 })
    }

    /// Adds a row of NULLs.
    pub(crate) fn push_nulls(&mut self) {
        self.columns.iter_mut().for_each(|column| column.store.push_null());
        self.rows += 1;
    }

    /// Takes a message as a row.
    pub(crate) fn push(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let id = schema_id(message).map_err(|reason| refusal(None, 0, reason))?;
        let program = self.program(id)?;
        let mut cursor = Cursor::new(message, HEADER);
        if let Err((column, reason)) = self.record(&program, &mut cursor) {
            self.columns.iter_mut().for_each(|column| column.store.truncate(self.rows));
            let column = column.and_then(|index| self.columns.get(index));
            return Err(refusal(column.map(|column| column.wanted.name.clone()), cursor.at, reason));
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows as arrays, in the order of what is wanted; nothing is left.
    pub(crate) fn take(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.rows = 0;
        self.columns.iter_mut().map(|column| column.store.take()).collect()
    }

    fn record(&mut self, program: &Program, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        for (node, column) in &program.steps {
            match column {
                None => walk::skip(&program.schema, *node, cursor).map_err(|reason| (None, reason))?,
                Some(index) => self.value(*index, &program.schema, *node, cursor)?,
            }
        }
        if cursor.left() > 0 {
            return Err((None, "something stands behind the record"));
        }
        for (index, fallback) in &program.missing {
            match fallback {
                // It was tried when the program was made.
                Some(Fallback { schema, node, bytes }) => {
                    self.value(*index, schema, *node, &mut Cursor::new(bytes, 0))?;
                }
                None => self.columns.iter_mut().skip(*index).take(1).for_each(|column| column.store.push_null()),
            }
        }
        Ok(())
    }

    #[inline]
    fn value(&mut self, index: usize, schema: &Schema, id: Id, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        match self.columns.get_mut(index) {
            Some(Column { wanted, store }) => value(wanted.reading, store, schema, id, cursor),
            None => walk::skip(schema, id, cursor),
        }
        .map_err(|reason| (Some(index), reason))
    }

    #[inline]
    fn program(&mut self, id: i32) -> Result<Arc<Program>, Refusal> {
        match &self.last {
            Some((last, program)) if *last == id => return Ok(Arc::clone(program)),
            _ => {}
        }
        let program = match self.programs.get(&id) {
            Some(program) => Arc::clone(program),
            None => {
                let schema = self.schemas.schema(id).map_err(Refusal::Schema)?;
                let program = Arc::new(self.compile(schema)?);
                self.programs.insert(id, Arc::clone(&program));
                program
            }
        };
        self.last = Some((id, Arc::clone(&program)));
        Ok(program)
    }

    /// Compares a schema with the columns.
    fn compile(&self, schema: Arc<Schema>) -> Result<Program, Refusal> {
        let mut steps = Vec::new();
        for field in schema.fields() {
            let column = self.columns.iter().position(|column| column.wanted.name == field.name);
            let unseen = || Refusal::Unseen { id: schema.id, field: field.name.clone() };
            match column.and_then(|index| self.columns.get(index)) {
                Some(Column { wanted, .. }) => {
                    if self.rules.follows && is_news(&schema, field.node, wanted) {
                        return Err(unseen());
                    }
                    if !is_readable(&schema, field.node, wanted) {
                        let what = format!("its type in schema {} does not fit the column's type", schema.id);
                        return Err(refusal(Some(field.name.clone()), 0, what));
                    }
                }
                None if self.known.as_ref().is_some_and(|known| !known.contains(field.name.as_bytes())) => {
                    return Err(unseen());
                }
                None => {}
            }
            steps.push((field.node, column));
        }
        let filled: HashSet<usize> = steps.iter().filter_map(|(_, column)| *column).collect();
        let missing = self.columns.iter().enumerate().filter(|(index, _)| !filled.contains(index));
        let missing = missing.map(|(index, column)| Ok((index, self.fallback(&column.wanted)?)));
        Ok(Program { missing: missing.collect::<Result<_, Refusal>>()?, schema, steps })
    }

    /// The default that a column has in the latest schema.
    fn fallback(&self, wanted: &Wanted) -> Result<Option<Fallback>, Refusal> {
        let Some(latest) = &self.rules.latest else { return Ok(None) };
        let field = latest.fields().iter().find(|field| field.name == wanted.name);
        let Some((field, json)) = field.and_then(|field| Some((field, field.default.as_ref()?))) else {
            return Ok(None);
        };
        if self.rules.follows && is_news(latest, field.node, wanted) {
            return Err(Refusal::Unseen { id: latest.id, field: field.name.clone() });
        }
        let wrong = || {
            let what = format!("its default in schema {}, the latest, does not fit the column's type", latest.id);
            refusal(Some(field.name.clone()), 0, what)
        };
        let bytes = default::encode(latest, field.node, json).map_err(|_| wrong())?;
        let mut trial =
            Store::new(&wanted.data_type).filter(|_| is_readable(latest, field.node, wanted)).ok_or_else(wrong)?;
        value(wanted.reading, &mut trial, latest, field.node, &mut Cursor::new(&bytes, 0)).map_err(|_| wrong())?;
        Ok(Some(Fallback { schema: Arc::clone(latest), node: field.node, bytes }))
    }
}

fn refusal(field: Option<String>, at: usize, reason: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::Message { field, at, reason: reason.into() }
}

/// Takes the value that stands here.
#[inline]
fn value(reading: Reading, store: &mut Store, schema: &Schema, id: Id, cursor: &mut Cursor<'_>) -> Result<(), Reason> {
    cursor.step()?;
    let mut id = id;
    if let Node::Union(branches) = schema.node(id) {
        id = branches[cursor.index(branches.len(), walk::NO_BRANCH)?];
    }
    match (schema.node(id), reading, &mut store.values) {
        (Node::Null, ..) => {
            store.push_null();
            return Ok(());
        }
        (_, Reading::Raw, Values::Text(bytes)) => bytes.push(|out| walk::write(schema, id, cursor, out))?,
        (node, ..) => scalar::take(node, cursor, store)?,
    }
    store.valid();
    Ok(())
}

/// Whether values of a type can be read into a column.
pub(super) fn is_readable(schema: &Schema, id: Id, wanted: &Wanted) -> bool {
    wanted.reading == Reading::Raw || scalar::fits(schema, id, &wanted.data_type, wanted.reading == Reading::Typed)
}

/// Whether a type needs another column than the one that was chosen after other schemas.
fn is_news(schema: &Schema, id: Id, wanted: &Wanted) -> bool {
    let only_null = || match schema.node(id) {
        Node::Null => true,
        Node::Union(branches) => branches.iter().all(|branch| *schema.node(*branch) == Node::Null),
        _ => false,
    };
    wanted.reading == Reading::Guessed && !only_null() && !Shape::of(schema, id).is_within(&wanted.data_type)
}
