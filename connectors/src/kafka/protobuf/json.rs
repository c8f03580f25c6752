//! Values of any type, written as JSON.
//!
//! Messages are objects with the names of the schema, lists are arrays, maps are objects with texts as names; bytes are base64, enums their names, timestamps, dates and durations
//! strings (`2024-12-31T23:59:59.5+00:00`, `2024-12-31`, `1.5s`), integers have all their digits, and wrappers are what they wrap. A field that is absent has its default,
//! or is left out if the schema tells both apart. NaN and infinity have no JSON, and are refused.

use std::collections::HashMap;

use super::parts::{ByField, Part, collect, spans};
use super::schema::{Count, Field, File, Id, Kind, Meaning};
use super::wire::{Cursor, Span};
use super::{Fault, MOST_DEPTH, TOO_DEEP};
use crate::kafka::schemas::put::extend;
use crate::kafka::schemas::{Reason, Steps, text};

/// Writes the value of a field, of which these are the parts. It is there, or has a default.
pub(super) fn write(
    file: &File,
    field: &Field,
    message: &[u8],
    parts: &[Part],
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    Writer { file, message, out, steps: Steps::of(message) }.field(field, parts, 0)
}

struct Writer<'a> {
    file: &'a File,
    message: &'a [u8],
    out: &'a mut Vec<u8>,
    steps: Steps,
}

pub(super) const MISSING: Reason = "a field is missing that the schema requires";

impl Writer<'_> {
    fn field(&mut self, field: &Field, parts: &[Part], depth: usize) -> Result<(), Fault> {
        match field.count {
            Count::List => self.list(field.kind, parts, depth),
            Count::Map => self.map(field.kind, parts, depth),
            Count::Implicit | Count::Optional | Count::Required => self.one(field.kind, parts, depth),
        }
    }

    /// A value that is there, or a default.
    fn one(&mut self, kind: Kind, parts: &[Part], depth: usize) -> Result<(), Fault> {
        let at = parts.last().map_or(0, |part| part.span.from);
        let fault = |reason| Fault { at, reason };
        self.steps.step().map_err(fault)?;
        if depth > MOST_DEPTH {
            return Err(fault(TOO_DEEP));
        }
        match (self.file.value(self.message, kind, parts)?, kind.message()) {
            (Some(scalar), _) => scalar.json(self.out).map_err(fault),
            (None, Some(id)) => self.of_type(id, &spans(parts), depth),
            (None, None) => self.put(b"null"),
        }
    }

    fn of_type(&mut self, id: Id, pieces: &[Span], depth: usize) -> Result<(), Fault> {
        let (file, kind) = (self.file, self.file.get(id));
        let mut found = Vec::new();
        collect(kind, self.message, pieces, &mut found).map_err(|(_, fault)| fault)?;
        match (kind.meaning, kind.fields.first()) {
            // Their only field.
            (Meaning::Struct | Meaning::List, Some(field)) => return self.field(field, &found, depth),
            (Meaning::Value, _) => {
                let field = found.first().and_then(|part| kind.fields.get(part.slot));
                // The first of its fields is null.
                return match field.filter(|field| !matches!(field.kind, Kind::Enum(_))) {
                    Some(field) => self.field(field, &found, depth + 1),
                    None => self.put(b"null"),
                };
            }
            _ => {}
        }
        let (mut by_field, mut is_first) = (ByField::new(&found), true);
        self.put(b"{")?;
        for (slot, field) in file.get(id).fields.iter().enumerate() {
            let parts = by_field.of(slot);
            match field.count {
                Count::Required if parts.is_empty() => {
                    return Err(Fault { at: pieces.last().map_or(0, |piece| piece.from), reason: MISSING });
                }
                Count::Optional if parts.is_empty() => continue,
                _ => {}
            }
            self.put(if std::mem::take(&mut is_first) { b"" } else { b"," })?;
            text::json_string(&field.name, self.out).map_err(|reason| Fault { at: 0, reason })?;
            self.put(b":")?;
            self.field(field, parts, depth + 1)?;
        }
        self.put(b"}")
    }

    fn list(&mut self, kind: Kind, parts: &[Part], depth: usize) -> Result<(), Fault> {
        let mut is_first = true;
        self.put(b"[")?;
        for part in parts {
            if part.wire == kind.wire() {
                self.put(if std::mem::take(&mut is_first) { b"" } else { b"," })?;
                self.one(kind, std::slice::from_ref(part), depth + 1)?;
                continue;
            }
            // Several numbers at once.
            let mut cursor = Cursor::new(self.message, part.span.from, part.span.to);
            while !cursor.is_at_end() {
                let fault = |reason| Fault { at: part.span.from, reason };
                self.steps.step().map_err(fault)?;
                self.put(if std::mem::take(&mut is_first) { b"" } else { b"," })?;
                self.file.scalar(kind, &mut cursor)?.json(self.out).map_err(fault)?;
            }
        }
        self.put(b"]")
    }

    /// Of two entries with one key the last counts.
    fn map(&mut self, kind: Kind, parts: &[Part], depth: usize) -> Result<(), Fault> {
        let Some(entry) = kind.message().map(|id| self.file.get(id)) else { return self.put(b"{}") };
        let (Some(key), Some(value)) = (entry.fields.first(), entry.fields.get(1)) else { return self.put(b"{}") };
        let mut entries = Vec::new();
        for part in parts {
            let fault = |reason| Fault { at: part.span.from, reason };
            self.steps.step().map_err(fault)?;
            let mut found = Vec::new();
            collect(entry, self.message, &[part.span], &mut found).map_err(|(_, fault)| fault)?;
            let values = found.iter().position(|part| part.slot > 0).unwrap_or(found.len());
            let (keys, values) = found.split_at(values);
            let mut name = Vec::new();
            if let Some(scalar) = self.file.value(self.message, key.kind, keys)? {
                scalar.json_name(&mut name).map_err(fault)?;
            }
            entries.push((name, values.to_vec()));
        }
        let last: HashMap<&[u8], usize> =
            entries.iter().enumerate().map(|(index, (name, _))| (name.as_slice(), index)).collect();
        let mut is_first = true;
        self.put(b"{")?;
        for (index, (name, values)) in entries.iter().enumerate() {
            if last.get(name.as_slice()) != Some(&index) {
                continue;
            }
            self.put(if std::mem::take(&mut is_first) { b"" } else { b"," })?;
            self.put(name)?;
            self.put(b":")?;
            self.one(value.kind, values, depth + 1)?;
        }
        self.put(b"}")
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        extend(self.out, bytes).map_err(|reason| Fault { at: 0, reason })
    }
}
