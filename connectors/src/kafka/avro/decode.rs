//! Columns that take messages one by one, each by the schema that it names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use headwater_engine::EngineError;

use super::cursor::Cursor;
use super::schema::{Id, Node, Schema};
use super::{default, scalar, shape, walk};
use crate::kafka::json::store::{Store, Values};
use crate::kafka::json::{Reading, Wanted};
use crate::kafka::schemas::{self, HEADER, Reason, Records, Refusal, Rules, Schemas, Target, refusal, schema_id};

/// Columns for records.
#[derive(Debug)]
pub(crate) struct Decoder {
    target: Target,
    stores: Vec<Store>,
    schemas: Arc<dyn Schemas>,
    /// What to do with messages, by the ids of their schemas.
    programs: HashMap<i32, Arc<Program>>,
    /// Messages mostly have the schema of the one before.
    last: Option<(i32, Arc<Program>)>,
    rows: usize,
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

impl Records for Decoder {
    fn push_nulls(&mut self) {
        self.stores.iter_mut().for_each(Store::push_null);
        self.rows += 1;
    }

    fn push(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let id = schema_id(message).map_err(|reason| refusal(None, 0, reason))?;
        let program = self.program(id)?;
        let mut cursor = Cursor::new(message, HEADER);
        if let Err((column, reason)) = self.record(&program, &mut cursor) {
            self.stores.iter_mut().for_each(|store| store.truncate(self.rows));
            let column = column.and_then(|index| self.target.wanted.get(index));
            return Err(refusal(column.map(|wanted| wanted.name.clone()), cursor.at, reason));
        }
        self.rows += 1;
        Ok(())
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.rows = 0;
        self.stores.iter_mut().map(Store::take).collect()
    }
}

impl Decoder {
    /// Empty columns; nothing if a type is none that messages have. Fields besides the known ones, if those are given, are refused.
    pub(crate) fn new(
        wanted: &[Wanted],
        known: Option<Arc<HashSet<Vec<u8>>>>,
        rules: Rules,
        schemas: Arc<dyn Schemas>,
    ) -> Option<Self> {
        let stores = wanted.iter().map(|wanted| Store::new(&wanted.data_type)).collect::<Option<_>>()?;
        let target = Target { wanted: wanted.to_vec(), known, rules };
        Some(Self { target, stores, schemas, programs: HashMap::new(), last: None, rows: 0 })
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
                None => self.stores.iter_mut().skip(*index).take(1).for_each(Store::push_null),
            }
        }
        Ok(())
    }

    #[inline]
    fn value(&mut self, index: usize, schema: &Schema, id: Id, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        match (self.target.wanted.get(index), self.stores.get_mut(index)) {
            (Some(wanted), Some(store)) => value(wanted.reading, store, schema, id, cursor),
            _ => walk::skip(schema, id, cursor),
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
                let program = Arc::new(self.compile(&schema)?);
                self.programs.insert(id, Arc::clone(&program));
                program
            }
        };
        self.last = Some((id, Arc::clone(&program)));
        Ok(program)
    }

    /// Compares a schema with the columns.
    fn compile(&self, found: &schemas::Schema) -> Result<Program, Refusal> {
        let schemas::Schema::Avro(schema) = found else {
            return Err(Refusal::Schema(EngineError::bug("a schema is not of Avro")));
        };
        let places = self.target.places(found)?;
        let missing = self.target.without(&places).into_iter().map(|index| {
            let wanted = self.target.wanted.get(index);
            Ok((index, wanted.map(|wanted| self.fallback(wanted)).transpose()?.flatten()))
        });
        let missing = missing.collect::<Result<_, Refusal>>()?;
        let steps = schema.fields().iter().map(|field| field.node).zip(places).collect();
        Ok(Program { schema: Arc::clone(schema), steps, missing })
    }

    /// The default that a column has in the latest schema.
    fn fallback(&self, wanted: &Wanted) -> Result<Option<Fallback>, Refusal> {
        let Some(schemas::Schema::Avro(latest)) = &self.target.rules.latest else { return Ok(None) };
        let field = latest.fields().iter().find(|field| field.name == wanted.name);
        let Some((field, json)) = field.and_then(|field| Some((field, field.default.as_ref()?))) else {
            return Ok(None);
        };
        if self.target.is_news(shape::some(latest, field.node), wanted) {
            return Err(Refusal::Unseen { id: latest.id, field: field.name.clone() });
        }
        let wrong = || {
            let what = format!("its default in schema {}, the latest, does not fit the column's type", latest.id);
            refusal(Some(field.name.clone()), 0, what)
        };
        let bytes = default::encode(latest, field.node, json).map_err(|_| wrong())?;
        let mut trial = Store::new(&wanted.data_type).filter(|_| fits(latest, field.node, wanted)).ok_or_else(wrong)?;
        value(wanted.reading, &mut trial, latest, field.node, &mut Cursor::new(&bytes, 0)).map_err(|_| wrong())?;
        Ok(Some(Fallback { schema: Arc::clone(latest), node: field.node, bytes }))
    }
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

/// Whether values of a field, by its place, can be read into a column.
pub(crate) fn is_readable(schema: &Schema, index: usize, wanted: &Wanted) -> bool {
    schema.fields().get(index).is_some_and(|field| fits(schema, field.node, wanted))
}

fn fits(schema: &Schema, id: Id, wanted: &Wanted) -> bool {
    wanted.reading == Reading::Raw || scalar::fits(schema, id, &wanted.data_type, wanted.reading == Reading::Typed)
}
