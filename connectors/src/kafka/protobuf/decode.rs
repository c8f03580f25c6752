//! Columns that take messages one by one, each by the schema and the type that it names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use headwater_engine::EngineError;

use super::parts::{ByField, FieldFault, Part, collect};
use super::schema::{Count, Field, File, Schema};
use super::wire::Span;
use super::{Fault, json};
use crate::kafka::json::store::{Store, Values};
use crate::kafka::json::{Reading, Wanted};
use crate::kafka::schemas::put::OTHER;
use crate::kafka::schemas::{self, Language, Mark, Records, Refusal, Rules, Schemas, Target, refusal};

/// Columns for messages.
#[derive(Debug)]
pub(crate) struct Decoder {
    target: Target,
    stores: Vec<Store>,
    schemas: Arc<dyn Schemas>,
    /// What to do with messages, by their schemas and types.
    programs: HashMap<Mark, Arc<Program>>,
    /// Messages mostly begin as the one before: what it began with.
    last: Option<(Vec<u8>, Arc<Program>)>,
    /// The parts of a message, kept for the room that they take.
    parts: Vec<Part>,
    rows: usize,
}

/// How messages of a type become rows.
#[derive(Debug)]
struct Program {
    schema: Schema,
    /// The column of each field, if it has one.
    places: Vec<Option<usize>>,
    /// Columns without a field.
    missing: Vec<usize>,
}

impl Records for Decoder {
    fn push_nulls(&mut self) {
        self.stores.iter_mut().for_each(Store::push_null);
        self.rows += 1;
    }

    fn push(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let (program, start) = self.program(message)?;
        let mut parts = std::mem::take(&mut self.parts);
        let pushed = self.message(&program, message, start, &mut parts);
        self.parts = parts;
        if let Err((slot, Fault { at, reason })) = pushed {
            self.stores.iter_mut().for_each(|store| store.truncate(self.rows));
            let field = slot.and_then(|slot| program.schema.root().fields.get(slot));
            return Err(refusal(field.map(|field| field.name.clone()), at, reason));
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
        let (programs, parts) = (HashMap::new(), Vec::new());
        Some(Self { target, stores, schemas, programs, last: None, parts, rows: 0 })
    }

    fn message(
        &mut self,
        program: &Program,
        message: &[u8],
        start: usize,
        parts: &mut Vec<Part>,
    ) -> Result<(), FieldFault> {
        let (file, root) = (&program.schema.file, program.schema.root());
        collect(root, message, &[Span { from: start, to: message.len() }], parts)?;
        let mut by_field = ByField::new(parts);
        for (slot, (field, column)) in root.fields.iter().zip(&program.places).enumerate() {
            let own = by_field.of(slot);
            if field.count == Count::Required && own.is_empty() {
                return Err((Some(slot), Fault { at: message.len(), reason: json::MISSING }));
            }
            let column = column.and_then(|index| Some((self.target.wanted.get(index)?, self.stores.get_mut(index)?)));
            let Some((wanted, store)) = column else { continue };
            if field.count == Count::Optional && own.is_empty() {
                store.push_null();
                continue;
            }
            value(file, field, wanted.reading, message, own, store).map_err(|fault| (Some(slot), fault))?;
            store.valid();
        }
        for index in &program.missing {
            self.stores.iter_mut().skip(*index).take(1).for_each(Store::push_null);
        }
        Ok(())
    }

    /// What to do with a message, and where its fields begin.
    fn program(&mut self, message: &[u8]) -> Result<(Arc<Program>, usize), Refusal> {
        // What a message begins with says itself where it ends.
        if let Some((start, program)) = &self.last
            && message.starts_with(start)
        {
            return Ok((Arc::clone(program), start.len()));
        }
        let (mark, start) = Mark::of(Language::Protobuf, message).map_err(|reason| refusal(None, 0, reason))?;
        let program = match self.programs.get(&mark) {
            Some(program) => Arc::clone(program),
            None => {
                let program = Arc::new(self.compile(&mark)?);
                self.programs.insert(mark, Arc::clone(&program));
                program
            }
        };
        self.last = message.get(..start).map(|bytes| (bytes.to_vec(), Arc::clone(&program)));
        Ok((program, start))
    }

    /// Compares a type with the columns.
    fn compile(&self, mark: &Mark) -> Result<Program, Refusal> {
        let found = self.schemas.schema(mark.id).map_err(Refusal::Schema)?;
        let found = found.at(&mark.path).ok_or_else(|| {
            let what = format!("schema {} has no message type in the place that the message names", mark.id);
            refusal(None, schemas::HEADER, what)
        })?;
        let places = self.target.places(&found)?;
        let missing = self.target.without(&places);
        match found {
            schemas::Schema::Protobuf(schema) => Ok(Program { schema, places, missing }),
            _ => Err(Refusal::Schema(EngineError::bug("a schema is not of Protobuf"))),
        }
    }
}

/// Adds the value of a field to a column.
#[inline]
fn value(
    file: &File,
    field: &Field,
    reading: Reading,
    message: &[u8],
    parts: &[Part],
    store: &mut Store,
) -> Result<(), Fault> {
    if let (Reading::Raw, Values::Text(bytes)) = (reading, &mut store.values) {
        let mut at = 0;
        let written = bytes.push(|out| {
            json::write(file, field, message, parts, out).map_err(|fault| {
                at = fault.at;
                fault.reason
            })
        });
        return written.map_err(|reason| Fault { at, reason });
    }
    let at = parts.last().map_or(0, |part| part.span.from);
    let scalar = file.value(message, field.kind, parts)?;
    let put = scalar.ok_or(OTHER).and_then(|scalar| scalar.put(store));
    put.map_err(|reason| Fault { at, reason })
}
