//! Avro's schemas: JSON, in which names stand for types (Avro 1.11, "Schema Declaration").

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Types of a schema, at most: what claims to have more is no schema that a person has written.
const MOST_NODES: usize = 20_000;

/// A type of a schema, by its place there.
pub(crate) type Id = usize;

/// A type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    /// Bytes of one length.
    Fixed(usize),
    /// One of these symbols.
    Enum(Vec<String>),
    Record(Vec<Field>),
    Array(Id),
    Map(Id),
    Union(Vec<Id>),
    Date,
    /// Of day, an int of milliseconds.
    TimeMillis,
    /// Of day, a long of microseconds.
    TimeMicros,
    /// A long since 1970: milliseconds or else microseconds; in UTC or else local.
    Timestamp {
        millis: bool,
        utc: bool,
    },
    /// A string, or 16 bytes.
    Uuid {
        fixed: bool,
    },
    /// Unscaled, big-endian, in bytes or in a fixed length.
    Decimal {
        precision: usize,
        scale: usize,
        fixed: Option<usize>,
    },
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub name: String,
    pub node: Id,
    /// As the schema writes it.
    pub default: Option<Value>,
}

/// A schema whose root is a record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schema {
    /// The registry's number.
    pub id: i32,
    nodes: Vec<Node>,
    root: Id,
}

impl Schema {
    /// Reads a schema. The texts of the schemas that it refers to come first, each behind those that it refers to itself.
    pub(crate) fn parse(id: i32, text: &str, references: &[String]) -> Result<Self, String> {
        let mut parser = Parser::default();
        for reference in references {
            parser.text(reference).map_err(|what| format!("in a schema that it refers to, {what}"))?;
        }
        let root = parser.text(text)?;
        match parser.nodes.get(root) {
            Some(Node::Record(_)) => Ok(Self { id, nodes: parser.nodes, root }),
            _ => Err("it is not a record, whose fields would be columns".to_owned()),
        }
    }

    /// A type. Ids come from this schema alone.
    #[inline]
    pub(crate) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id).unwrap_or(&Node::Null)
    }

    /// The fields of the record that a message is.
    pub(crate) fn fields(&self) -> &[Field] {
        match self.node(self.root) {
            Node::Record(fields) => fields,
            _ => &[],
        }
    }
}

#[derive(Debug, Default)]
struct Parser {
    nodes: Vec<Node>,
    /// Named types by their full names.
    names: HashMap<String, Id>,
}

impl Parser {
    fn text(&mut self, text: &str) -> Result<Id, String> {
        // serde_json refuses what is nested too deeply.
        let json: Value = serde_json::from_str(text).map_err(|error| format!("the schema is not JSON: {error}"))?;
        self.node(&json, "")
    }

    fn add(&mut self, node: Node) -> Result<Id, String> {
        if self.nodes.len() == MOST_NODES {
            return Err(format!("there are more than {MOST_NODES} types"));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// Reads a type; `space` is the namespace that names without one belong to.
    fn node(&mut self, json: &Value, space: &str) -> Result<Id, String> {
        match json {
            Value::String(name) => match primitive(name) {
                Some(node) => self.add(node),
                None => self.named(name, space),
            },
            Value::Array(branches) => self.union(branches, space),
            Value::Object(object) => self.object(object, space),
            _ => Err("a type is neither a name nor an object nor a list".to_owned()),
        }
    }

    fn named(&self, name: &str, space: &str) -> Result<Id, String> {
        let found = self.names.get(&full(name, space)).or_else(|| self.names.get(name));
        found.copied().ok_or_else(|| format!("the type {name} is not defined"))
    }

    fn union(&mut self, branches: &[Value], space: &str) -> Result<Id, String> {
        if branches.iter().any(Value::is_array) {
            return Err("a union holds a union".to_owned());
        }
        let branches = branches.iter().map(|branch| self.node(branch, space)).collect::<Result<Vec<_>, _>>()?;
        self.add(Node::Union(branches))
    }

    fn object(&mut self, object: &Map<String, Value>, space: &str) -> Result<Id, String> {
        let kind = match object.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(inner) => return self.node(inner, space),
            None => return Err("an object has no type".to_owned()),
        };
        let inner = |name: &str| object.get(name).ok_or_else(|| format!("the type {kind} lacks its {name}"));
        match kind {
            "record" | "error" => self.record(object, space),
            "enum" => {
                let symbols = inner("symbols")?.as_array().into_iter().flatten();
                let symbols = symbols.map(|symbol| symbol.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
                let symbols = symbols.ok_or("a symbol of an enum is no text")?;
                self.define(object, space, Node::Enum(symbols)).map(|(id, _)| id)
            }
            "fixed" => {
                let size = inner("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or("the size of a fixed is not a number")?;
                let node = logical(Node::Fixed(size), object);
                self.define(object, space, node).map(|(id, _)| id)
            }
            "array" => {
                let items = self.node(inner("items")?, space)?;
                self.add(Node::Array(items))
            }
            "map" => {
                let values = self.node(inner("values")?, space)?;
                self.add(Node::Map(values))
            }
            name => match primitive(name) {
                Some(node) => self.add(logical(node, object)),
                None => self.named(name, space),
            },
        }
    }

    /// Adds a named type. Returns the namespace inside of it too.
    fn define(&mut self, object: &Map<String, Value>, space: &str, node: Node) -> Result<(Id, String), String> {
        let name = object.get("name").and_then(Value::as_str).ok_or("a named type has no name")?;
        let name = full(name, object.get("namespace").and_then(Value::as_str).unwrap_or(space));
        let id = self.add(node)?;
        let inside = name.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        match self.names.insert(name.clone(), id) {
            None => Ok((id, inside)),
            Some(_) => Err(format!("the type {name} is defined twice")),
        }
    }

    fn record(&mut self, object: &Map<String, Value>, space: &str) -> Result<Id, String> {
        // Its fields may name it.
        let (id, inside) = self.define(object, space, Node::Record(Vec::new()))?;
        let mut fields: Vec<Field> = Vec::new();
        for field in object.get("fields").and_then(Value::as_array).ok_or("a record has no list of fields")? {
            let name = field.get("name").and_then(Value::as_str).ok_or("a field has no name")?;
            if fields.iter().any(|known| known.name == name) {
                return Err(format!("a record has two fields named {name}"));
            }
            let json = field.get("type").ok_or_else(|| format!("the field {name} has no type"))?;
            let node = self.node(json, &inside)?;
            fields.push(Field { name: name.to_owned(), node, default: field.get("default").cloned() });
        }
        self.nodes[id] = Node::Record(fields);
        Ok(id)
    }
}

fn full(name: &str, space: &str) -> String {
    if name.contains('.') || space.is_empty() { name.to_owned() } else { format!("{space}.{name}") }
}

fn primitive(name: &str) -> Option<Node> {
    Some(match name {
        "null" => Node::Null,
        "boolean" => Node::Boolean,
        "int" => Node::Int,
        "long" => Node::Long,
        "float" => Node::Float,
        "double" => Node::Double,
        "bytes" => Node::Bytes,
        "string" => Node::String,
        _ => return None,
    })
}

/// What a type means by its logical type. One that is unknown, or does not fit the type, is ignored, as the specification says.
fn logical(node: Node, object: &Map<String, Value>) -> Node {
    let kind = object.get("logicalType").and_then(Value::as_str).unwrap_or_default();
    match (kind, &node) {
        ("date", Node::Int) => Node::Date,
        ("time-millis", Node::Int) => Node::TimeMillis,
        ("time-micros", Node::Long) => Node::TimeMicros,
        ("timestamp-millis", Node::Long) => Node::Timestamp { millis: true, utc: true },
        ("timestamp-micros", Node::Long) => Node::Timestamp { millis: false, utc: true },
        ("local-timestamp-millis", Node::Long) => Node::Timestamp { millis: true, utc: false },
        ("local-timestamp-micros", Node::Long) => Node::Timestamp { millis: false, utc: false },
        ("uuid", Node::String) => Node::Uuid { fixed: false },
        ("uuid", Node::Fixed(16)) => Node::Uuid { fixed: true },
        ("decimal", Node::Bytes) => decimal(object, None).unwrap_or(node),
        ("decimal", Node::Fixed(size)) => decimal(object, Some(*size)).unwrap_or(node),
        _ => node,
    }
}

fn decimal(object: &Map<String, Value>, fixed: Option<usize>) -> Option<Node> {
    /// Digits, at most: more are taken for a mistake.
    const MOST_DIGITS: usize = 1_000;
    let number =
        |name: &str| object.get(name).map(|value| value.as_u64().and_then(|value| usize::try_from(value).ok()));
    let precision = number("precision")??;
    let scale = number("scale").unwrap_or(Some(0))?;
    let fits = (1..=MOST_DIGITS).contains(&precision) && scale <= precision && fixed != Some(0);
    fits.then_some(Node::Decimal { precision, scale, fixed })
}
