//! Schemas as registries have them, to tables: the text of a .proto file, or its descriptor in base64, which some serializers register.

use std::collections::HashMap;

use protox::file::{File as Source, FileResolver, GoogleFileResolver};
use protox::prost_reflect::prost::Message as _;
use protox::prost_reflect::prost_types::FileDescriptorProto;
use protox::prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, Kind as Described, MessageDescriptor, Syntax,
};
use protox::{Compiler, Error};

use super::schema::{Count, Enum, Field, File, Id, Kind, Meaning, Type};
use crate::kafka::json::base64;
use crate::kafka::schemas::Named;

/// What the schema itself is called, which has no name: no import is called so.
const ROOT: &str = "(the schema)";

/// Fields of all types: what claims to have more is no schema that a person has written.
const MOST_FIELDS: usize = 20_000;

/// Brackets inside of each other: the compiler calls itself for each.
const MOST_BRACKETS: usize = 100;

/// Files that registries have without being asked for, besides Google's own types.
const BUILT_IN: [(&str, &str); 3] = [
    (
        "google/type/date.proto",
        "syntax = \"proto3\"; package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }",
    ),
    (
        "confluent/type/decimal.proto",
        "syntax = \"proto3\"; package confluent.type; message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }",
    ),
    (
        "confluent/meta.proto",
        "syntax = \"proto3\"; package confluent; import \"google/protobuf/descriptor.proto\";
         message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
         extend google.protobuf.FileOptions { Meta file_meta = 1088; }
         extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
         extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
         extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
         extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }",
    ),
];

/// Reads a schema and what it imports.
pub(super) fn file(text: &str, references: &[Named]) -> Result<File, String> {
    let mut files: HashMap<String, String> =
        BUILT_IN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    files.extend(references.iter().map(|reference| (reference.name.clone(), reference.text.clone())));
    files.insert(ROOT.to_owned(), text.to_owned());
    for text in files.values() {
        if depth(text) > MOST_BRACKETS {
            return Err("its brackets are nested too deeply".to_owned());
        }
    }
    let mut compiler = Compiler::with_file_resolver(Files { files, google: GoogleFileResolver::new() });
    compiler.open_file(ROOT).map_err(|error| shown(&error))?;
    tables(&compiler.descriptor_pool())
}

/// How deep brackets are nested, at most: those in comments and strings are counted too.
fn depth(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' | b'<' | b'(' => open += 1,
            b'}' | b']' | b'>' | b')' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// The first line says what is wrong.
fn shown(error: &Error) -> String {
    const MOST_CHARACTERS: usize = 200;
    let text = error.to_string();
    let line: String = text.lines().next().unwrap_or_default().chars().take(MOST_CHARACTERS).collect();
    match error.file().filter(|file| *file != ROOT) {
        Some(file) if !line.contains(file) => format!("{line} (in {file})"),
        _ => line,
    }
}

/// The schema and what it refers to.
struct Files {
    files: HashMap<String, String>,
    google: GoogleFileResolver,
}

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<Source, Error> {
        match self.google.open_file(name) {
            Err(error) if error.is_file_not_found() => {}
            found => return found,
        }
        let text = self.files.get(name).ok_or_else(|| Error::file_not_found(name))?;
        let mut bytes = Vec::new();
        if base64::decode(text.trim().as_bytes(), &mut bytes).is_err() {
            return Source::from_source(name, text);
        }
        let described = FileDescriptorProto::decode(bytes.as_slice()).map_err(Error::new)?;
        Ok(Source::from_file_descriptor_proto(FileDescriptorProto { name: Some(name.to_owned()), ..described }))
    }
}

fn tables(pool: &DescriptorPool) -> Result<File, String> {
    let root = pool.get_file_by_name(ROOT).ok_or("it was not read")?;
    let mut tables = Tables::default();
    let mut open: Vec<(Vec<u64>, MessageDescriptor)> =
        numbered(root.messages()).map(|(place, message)| (vec![place], message)).collect();
    while let Some((path, message)) = open.pop() {
        let id = tables.message(&message);
        // Serializers do not agree whether the entries of maps, types that are not in the text, take places: types behind one could be taken for another, and have none.
        let is_clear =
            message.child_messages().skip_while(|inner| !inner.is_map_entry()).all(|inner| inner.is_map_entry());
        let inner = message.child_messages().filter(|inner| is_clear && !inner.is_map_entry());
        open.extend(numbered(inner).map(|(place, inner)| ([path.as_slice(), &[place]].concat(), inner)));
        tables.file.places.insert(path, id);
    }
    let mut fields = 0;
    while let Some((id, message)) = tables.open.pop() {
        fields += message.fields().len();
        if fields > MOST_FIELDS {
            return Err(format!("there are more than {MOST_FIELDS} fields"));
        }
        tables.file.types[id] = tables.fill(&message);
    }
    Ok(tables.file)
}

fn numbered<T>(items: impl Iterator<Item = T>) -> impl Iterator<Item = (u64, T)> {
    (0..).zip(items)
}

#[derive(Default)]
struct Tables {
    file: File,
    messages: HashMap<String, Id>,
    enums: HashMap<String, usize>,
    /// Types whose fields were not looked at yet.
    open: Vec<(Id, MessageDescriptor)>,
}

impl Tables {
    /// The place of a type, which is made at first.
    fn message(&mut self, message: &MessageDescriptor) -> Id {
        if let Some(id) = self.messages.get(message.full_name()) {
            return *id;
        }
        let id = self.file.types.len();
        self.file.types.push(Type::default());
        self.messages.insert(message.full_name().to_owned(), id);
        self.open.push((id, message.clone()));
        id
    }

    fn fill(&mut self, message: &MessageDescriptor) -> Type {
        // The library has them by number.
        let described = message.descriptor_proto().field.iter();
        let fields = described.filter_map(|field| message.get_field(u32::try_from(field.number()).ok()?));
        let fields: Vec<(u32, Field)> = fields.map(|field| (field.number(), self.field(&field))).collect();
        let mut numbers: Vec<(u32, usize)> =
            fields.iter().enumerate().map(|(slot, (number, _))| (*number, slot)).collect();
        numbers.sort_unstable();
        let fields: Vec<Field> = fields.into_iter().map(|(_, field)| field).collect();
        let has_oneofs = fields.iter().any(|field| field.oneof.is_some());
        let name = message.full_name().to_owned();
        let by_number: Vec<(u32, Kind, Count)> = numbers
            .iter()
            .filter_map(|(number, slot)| fields.get(*slot).map(|field| (*number, field.kind, field.count)))
            .collect();
        let meaning = meaning(&name, &by_number);
        Type { name, fields, numbers, has_oneofs, meaning }
    }

    fn field(&mut self, field: &FieldDescriptor) -> Field {
        let count = match field.cardinality() {
            _ if field.is_map() => Count::Map,
            Cardinality::Repeated => Count::List,
            Cardinality::Required => Count::Required,
            Cardinality::Optional if field.supports_presence() => Count::Optional,
            Cardinality::Optional => Count::Implicit,
        };
        // `optional` of proto3 is a oneof of one field, which excludes nothing.
        let oneof = field.containing_oneof().filter(|oneof| oneof.fields().len() > 1);
        let oneof = oneof.and_then(|oneof| usize::try_from(*oneof.path().last()?).ok());
        Field { name: field.name().to_owned(), kind: self.kind(field), count, oneof }
    }

    fn kind(&mut self, field: &FieldDescriptor) -> Kind {
        match field.kind() {
            Described::Double => Kind::Double,
            Described::Float => Kind::Float,
            Described::Int32 => Kind::Int32,
            Described::Int64 => Kind::Int64,
            Described::Uint32 => Kind::Uint32,
            Described::Uint64 => Kind::Uint64,
            Described::Sint32 => Kind::Sint32,
            Described::Sint64 => Kind::Sint64,
            Described::Fixed32 => Kind::Fixed32,
            Described::Fixed64 => Kind::Fixed64,
            Described::Sfixed32 => Kind::Sfixed32,
            Described::Sfixed64 => Kind::Sfixed64,
            Described::Bool => Kind::Bool,
            Described::String => Kind::String,
            Described::Bytes => Kind::Bytes,
            Described::Enum(described) => Kind::Enum(self.symbols(&described)),
            Described::Message(message) if field.is_group() => Kind::Group(self.message(&message)),
            Described::Message(message) => Kind::Message(self.message(&message)),
        }
    }

    fn symbols(&mut self, described: &EnumDescriptor) -> usize {
        if let Some(index) = self.enums.get(described.full_name()) {
            return *index;
        }
        let values = &described.enum_descriptor_proto().value;
        let mut names: Vec<(i32, String)> =
            values.iter().map(|value| (value.number(), value.name().to_owned())).collect();
        let first = names.first().map_or(0, |(number, _)| *number);
        // Stable, so that the first name of a number stays.
        names.sort_by_key(|(number, _)| *number);
        names.dedup_by_key(|(number, _)| *number);
        let is_open = described.parent_file().syntax() == Syntax::Proto3;
        self.file.enums.push(Enum { names, first, is_open });
        self.enums.insert(described.full_name().to_owned(), self.file.enums.len() - 1);
        self.file.enums.len() - 1
    }
}

/// What a type means, if its fields, by number, are those of Google's.
fn meaning(name: &str, fields: &[(u32, Kind, Count)]) -> Meaning {
    match (name, fields) {
        ("google.protobuf.Timestamp", [(1, Kind::Int64, _), (2, Kind::Int32, _)]) => Meaning::Timestamp,
        ("google.protobuf.Duration", [(1, Kind::Int64, _), (2, Kind::Int32, _)]) => Meaning::Duration,
        ("google.type.Date", [(1, Kind::Int32, _), (2, Kind::Int32, _), (3, Kind::Int32, _)]) => Meaning::Date,
        ("google.protobuf.Struct", [(1, _, Count::Map)]) => Meaning::Struct,
        ("google.protobuf.ListValue", [(1, _, Count::List)]) => Meaning::List,
        ("google.protobuf.Value", [_, _, _, _, _, _]) => Meaning::Value,
        (name, [(1, kind, Count::Implicit)]) if kind.message().is_none() && WRAPPERS.contains(&name) => {
            Meaning::Wrapper
        }
        _ => Meaning::None,
    }
}

const WRAPPERS: [&str; 9] = [
    "google.protobuf.DoubleValue",
    "google.protobuf.FloatValue",
    "google.protobuf.Int64Value",
    "google.protobuf.UInt64Value",
    "google.protobuf.Int32Value",
    "google.protobuf.UInt32Value",
    "google.protobuf.BoolValue",
    "google.protobuf.StringValue",
    "google.protobuf.BytesValue",
];
