//! The values of a message's fields, by their places: fields come in any order, and some several times.

use std::collections::HashMap;

use super::Fault;
use super::schema::Type;
use super::wire::{Cursor, Span, Wire};

/// A value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// The field, by its place in the type.
    pub slot: usize,
    /// How it is written.
    pub wire: Wire,
    pub span: Span,
}

/// A fault, and the field that it is in, if there is one.
pub(super) type FieldFault = (Option<usize>, Fault);

/// Finds the values of a type's fields in a message, or in the pieces of one: they are as good as one behind the other. They come by fields, those of one in the order of the
/// message. Other fields are passed over.
pub(super) fn collect(kind: &Type, message: &[u8], pieces: &[Span], out: &mut Vec<Part>) -> Result<(), FieldFault> {
    out.clear();
    let mut is_sorted = true;
    for piece in pieces {
        let mut cursor = Cursor::new(message, piece.from, piece.to);
        while !cursor.is_at_end() {
            let at = cursor.at;
            let (number, wire) = cursor.tag().map_err(|fault| (None, fault))?;
            let slot = kind.slot(number);
            let span = cursor.value(number, wire).map_err(|fault| (slot, fault))?;
            let Some((slot, field)) = slot.and_then(|slot| Some((slot, kind.fields.get(slot)?))) else { continue };
            if !field.takes(wire) {
                let reason = "the field is written in another way than the type that its schema gives it";
                return Err((Some(slot), Fault { at, reason }));
            }
            is_sorted &= out.last().is_none_or(|last| last.slot <= slot);
            out.push(Part { slot, wire, span });
        }
    }
    if !is_sorted {
        out.sort_by_key(|part| part.slot);
    }
    if kind.has_oneofs {
        settle(kind, out);
    }
    Ok(())
}

/// Leaves of each oneof the member that comes last, as it is from where it took the place of another.
fn settle(kind: &Type, parts: &mut Vec<Part>) {
    let oneof = |part: &Part| kind.fields.get(part.slot).and_then(|field| field.oneof);
    if parts.iter().filter_map(oneof).nth(1).is_none() {
        return;
    }
    // By oneof: where the last member is, and which it is; then where another one was last.
    let mut last: HashMap<usize, (usize, usize)> = HashMap::new();
    for part in parts.iter() {
        let Some(oneof) = oneof(part) else { continue };
        let place = last.entry(oneof).or_default();
        *place = (*place).max((part.span.from, part.slot));
    }
    let mut others: HashMap<usize, usize> = HashMap::new();
    for part in parts.iter() {
        let Some(oneof) = oneof(part).filter(|oneof| last.get(oneof).is_some_and(|(_, slot)| *slot != part.slot))
        else {
            continue;
        };
        let place = others.entry(oneof).or_default();
        *place = (*place).max(part.span.from);
    }
    parts.retain(|part| {
        let Some(oneof) = oneof(part) else { return true };
        let is_last = last.get(&oneof).is_some_and(|(_, slot)| *slot == part.slot);
        is_last && others.get(&oneof).is_none_or(|other| part.span.from > *other)
    });
}

/// The parts of each field in turn, which may be none.
pub(super) struct ByField<'a> {
    rest: &'a [Part],
}

impl<'a> ByField<'a> {
    pub(super) fn new(parts: &'a [Part]) -> Self {
        Self { rest: parts }
    }

    /// Those of a field. Fields are asked for in their order.
    pub(super) fn of(&mut self, slot: usize) -> &'a [Part] {
        let count = self.rest.iter().take_while(|part| part.slot == slot).count();
        let (own, rest) = self.rest.split_at(count);
        self.rest = rest;
        own
    }
}

/// Where parts are.
pub(super) fn spans(parts: &[Part]) -> Vec<Span> {
    parts.iter().map(|part| part.span).collect()
}
