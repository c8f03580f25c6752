//! The pass over sorted changes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, ListBuilder, StringBuilder};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Int64Type, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::row::{OwnedRow, RowConverter, SortField};
use arrow::util::display::array_value_to_string;
use datafusion::error::{DataFusionError, Result};

use super::{Folding, internal};
use crate::connector::{DELETED, KEPT, PART_BITS, POSITION};
use crate::error::EngineError;

/// A row: its batch among those that are held, and its place there.
type Place = (usize, usize);

/// Folds sorted changes, batch by batch.
pub(super) struct Folder {
    folding: Arc<Folding>,
    schema: SchemaRef,
    keys: Vec<usize>,
    position: usize,
    gone: usize,
    unchanged: usize,
    /// Columns that a change may leave out, by their names.
    by_name: HashMap<String, usize>,
    converter: RowConverter,
    /// Batches with rows of keys that are not handed on.
    held: Vec<RecordBatch>,
    /// The key that more changes may come of.
    current: Option<Group>,
    done: Vec<Group>,
}

/// The row of one key.
struct Group {
    key: OwnedRow,
    last: Place,
    /// Where the change stands that was seen last.
    position: i64,
    /// Where columns come from that the last change did not send.
    earlier: Vec<(usize, Place)>,
    /// Columns that are still not known.
    unknown: Vec<usize>,
    /// Whether changes of another row of the key stand before.
    is_begun: bool,
}

/// A batch of changes.
struct Changes<'a> {
    batch: &'a RecordBatch,
    positions: &'a Int64Array,
    gone: &'a BooleanArray,
    unchanged: &'a ListArray,
}

impl Folder {
    pub(super) fn new(folding: Arc<Folding>, schema: &SchemaRef) -> Result<Self> {
        let place = |name: &str| schema.index_of(name).map_err(DataFusionError::from);
        let keys = folding.keys.iter().map(|key| place(key)).collect::<Result<Vec<_>>>()?;
        let (position, gone, unchanged) = (place(POSITION)?, place(DELETED)?, place(KEPT)?);
        let own = [POSITION, DELETED, KEPT];
        let is_kept = |name: &String| {
            !folding.keys.contains(name) && !own.contains(&name.as_str()) && !folding.computed.contains(name)
        };
        let names = schema.fields().iter().enumerate().map(|(index, field)| (field.name().clone(), index));
        let by_name = names.filter(|(name, _)| is_kept(name)).collect();
        let sorts = keys.iter().map(|key| SortField::new(schema.field(*key).data_type().clone())).collect();
        let converter = RowConverter::new(sorts)?;
        let (schema, held, current, done) = (Arc::clone(schema), Vec::new(), None, Vec::new());
        Ok(Self { folding, schema, keys, position, gone, unchanged, by_name, converter, held, current, done })
    }

    /// Takes a batch and gives the rows of all keys that end in it.
    pub(super) fn take(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let keys: Vec<ArrayRef> = self.keys.iter().map(|key| Arc::clone(batch.column(*key))).collect();
        let rows = self.converter.convert_columns(&keys)?;
        let changes = self.changes(&batch)?;
        let here = self.held.len();
        let mut current = self.current.take();
        for row in 0..batch.num_rows() {
            let (key, position, is_gone) = (rows.row(row), changes.positions.value(row), changes.gone.value(row));
            match &mut current {
                Some(group) if group.key.row() == key => {
                    if group.position == position || part_of(group.position) != part_of(position) {
                        return Err(self.scattered(&batch, row));
                    }
                    group.position = position;
                    // What was deleted before is another row. A source that sends changes again may begin behind what the row was created with.
                    group.is_begun |= is_gone;
                    if !group.is_begun && !group.unknown.is_empty() {
                        group.learn(&self.left_out(&changes, row)?, (here, row));
                    }
                }
                _ => {
                    let unknown = if is_gone { Vec::new() } else { self.left_out(&changes, row)? };
                    self.refuse_computed(&changes, row, is_gone)?;
                    let (key, last, earlier) = (key.owned(), (here, row), Vec::new());
                    self.done.extend(current.replace(Group { key, last, position, earlier, unknown, is_begun: false }));
                }
            }
        }
        self.current = current;
        self.held.push(batch);
        self.hand_on()
    }

    /// Gives the row of the last key.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        self.done.extend(self.current.take());
        self.hand_on()
    }

    fn changes<'b>(&self, batch: &'b RecordBatch) -> Result<Changes<'b>> {
        let positions = batch.column(self.position).as_primitive_opt::<Int64Type>();
        let gone = batch.column(self.gone).as_boolean_opt();
        let unchanged = batch.column(self.unchanged).as_list_opt::<i32>();
        match (positions, gone, unchanged) {
            (Some(positions), ..) if positions.null_count() > 0 => {
                let message = format!("{POSITION} is NULL, so that nobody knows which change is the later");
                Err(EngineError::data(message).hint("select the column as it is").into())
            }
            (Some(positions), Some(gone), Some(unchanged)) => Ok(Changes { batch, positions, gone, unchanged }),
            _ => Err(internal("changes have other types than a fold takes")),
        }
    }

    /// Columns that a change did not send. One that nobody loads is of no concern.
    fn left_out(&self, changes: &Changes<'_>, row: usize) -> Result<Vec<usize>> {
        let names = changes.unsent(row)?;
        let names = names.iter().flat_map(|names| names.as_string::<i32>().iter().flatten().collect::<Vec<&str>>());
        Ok(names.filter_map(|name| self.by_name.get(name).copied()).collect())
    }

    /// Refuses a last change that did not send what others are computed of.
    fn refuse_computed(&self, changes: &Changes<'_>, row: usize, is_gone: bool) -> Result<()> {
        let Some(names) = changes.unsent(row)?.filter(|_| !is_gone) else { return Ok(()) };
        let needed =
            |name: &&str| self.folding.computed_of.contains(*name) || self.folding.keys.iter().any(|key| key == name);
        match names.as_string::<i32>().iter().flatten().find(needed) {
            Some(name) => Err(self.not_computed(changes.batch, row, name)),
            None => Ok(()),
        }
    }

    /// The rows of keys that have ended. What is held afterwards are the changes of the key that has not.
    fn hand_on(&mut self) -> Result<RecordBatch> {
        let done = std::mem::take(&mut self.done);
        let folded = self.folded(&done)?;
        let Some(group) = &mut self.current else {
            self.held.clear();
            return Ok(folded);
        };
        let mut kept = Vec::new();
        let places = std::iter::once(&mut group.last).chain(group.earlier.iter_mut().map(|(_, place)| place));
        for (batch, _) in places {
            let held = kept.iter().position(|kept| kept == batch).unwrap_or_else(|| {
                kept.push(*batch);
                kept.len() - 1
            });
            *batch = held;
        }
        self.held = kept.into_iter().map(|batch| self.held[batch].clone()).collect();
        Ok(folded)
    }

    fn folded(&self, groups: &[Group]) -> Result<RecordBatch> {
        if groups.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        if self.folding.is_whole
            && let Some((group, column)) = groups.iter().find_map(|group| Some((group, group.unknown.first()?)))
        {
            return Err(self.unknown(group, *column));
        }
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for column in 0..self.schema.fields().len() {
            columns.push(match column == self.unchanged {
                true => self.kept(groups),
                false => {
                    let places: Vec<Place> = groups.iter().map(|group| group.place(column)).collect();
                    let arrays: Vec<&dyn Array> = self.held.iter().map(|batch| batch.column(column).as_ref()).collect();
                    interleave(&arrays, &places)?
                }
            });
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// The names of columns that are not known.
    fn kept(&self, groups: &[Group]) -> ArrayRef {
        let field = match self.schema.field(self.unchanged).data_type() {
            DataType::List(field) => Arc::clone(field),
            _ => Arc::new(Field::new_list_field(DataType::Utf8, true)),
        };
        let mut names = ListBuilder::new(StringBuilder::new()).with_field(field);
        for group in groups {
            group.unknown.iter().for_each(|column| names.values().append_value(self.schema.field(*column).name()));
            names.append(!group.unknown.is_empty());
        }
        Arc::new(names.finish())
    }

    fn key_text(&self, batch: &RecordBatch, row: usize) -> String {
        let text = |key: &usize| array_value_to_string(batch.column(*key), row).unwrap_or_default();
        let values: Vec<String> = self.keys.iter().map(text).collect();
        format!("{} = {}", self.folding.keys.join(", "), values.join(", "))
    }

    fn scattered(&self, batch: &RecordBatch, row: usize) -> DataFusionError {
        let key = self.key_text(batch, row);
        let message = format!(
            "changes of one row are in several partitions, so that nobody knows which of them is the last: {key}"
        );
        EngineError::data(message)
            .hint("`keys` have to be the columns of the messages' keys, which choose the partition (Debezium: the primary key, or message.key.columns); where partitions were added to the topic, read a new one with a new snapshot")
            .into()
    }

    fn not_computed(&self, batch: &RecordBatch, row: usize, name: &str) -> DataFusionError {
        let key = self.key_text(batch, row);
        let message = format!(
            "the source did not send column {name} of a changed row, which another column is computed of: {key}"
        );
        let hint = "load the column as it is, under its own name; or let the source send all columns: ALTER TABLE … REPLICA IDENTITY FULL";
        EngineError::data(message).hint(hint).into()
    }

    fn unknown(&self, group: &Group, column: usize) -> DataFusionError {
        let (batch, row) = group.last;
        let key = self.key_text(&self.held[batch], row);
        crate::connector::not_sent(self.schema.field(column).name(), &key).into()
    }
}

/// The part of the source that a position names.
fn part_of(position: i64) -> i64 {
    position & ((1 << PART_BITS) - 1)
}

impl Changes<'_> {
    /// The names of columns that a change did not send.
    fn unsent(&self, row: usize) -> Result<Option<ArrayRef>> {
        if self.unchanged.is_null(row) {
            return Ok(None);
        }
        let names = self.unchanged.value(row);
        match names.data_type() {
            DataType::Utf8 => Ok(Some(names)),
            _ => Err(internal("names of columns are texts")),
        }
    }
}

impl Group {
    /// Takes what an earlier change has sent.
    fn learn(&mut self, left_out: &[usize], place: Place) {
        let (unknown, known): (Vec<usize>, Vec<usize>) =
            self.unknown.iter().partition(|column| left_out.contains(column));
        self.earlier.extend(known.into_iter().map(|column| (column, place)));
        self.unknown = unknown;
    }

    /// Where a column of the row stands.
    fn place(&self, column: usize) -> Place {
        let earlier = self.earlier.iter().find(|(known, _)| *known == column);
        earlier.map_or(self.last, |(_, place)| *place)
    }
}
