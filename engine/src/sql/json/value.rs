//! Values of jsonb: what they are, and how they compare.

use std::cmp::Ordering;

use super::numbers;

/// Why there is no answer.
pub(super) type Failure = String;

/// A value of jsonb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A number as a numeric prints it.
    Number(String),
    Text(String),
    Array(Vec<Value>),
    /// Pairs in their order, each key once.
    Object(Vec<(String, Value)>),
}

/// The order of keys: shorter ones first, then by bytes.
pub(super) fn by_key(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

impl Value {
    /// An object of pairs in any order; the last of a key is its value.
    pub(super) fn object(mut pairs: Vec<(String, Value)>) -> Self {
        pairs.sort_by(|(left, _), (right, _)| by_key(left, right));
        let mut kept: Vec<(String, Value)> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            match kept.last_mut() {
                Some(last) if last.0 == key => last.1 = value,
                _ => kept.push((key, value)),
            }
        }
        Self::Object(kept)
    }

    /// The name that `jsonb_typeof` gives.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// Whether it holds other values.
    pub(super) fn is_container(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Object(_))
    }

    /// The value under a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(pairs) = self else { return None };
        let place = pairs.binary_search_by(|(found, _)| by_key(found, key)).ok()?;
        pairs.get(place).map(|(_, value)| value)
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Text(_) => 1,
            Self::Number(_) => 2,
            Self::Bool(_) => 3,
            Self::Array(_) => 4,
            Self::Object(_) => 5,
        }
    }
}

/// The order of two documents. A scalar is an array of one to Postgres, but one that comes before all arrays that hold
/// something.
pub(super) fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Array(elements), other) if !other.is_container() => {
            if elements.is_empty() {
                Ordering::Less
            } else {
                elements.len().cmp(&1).then(Ordering::Greater)
            }
        }
        (other, Value::Array(_)) if !other.is_container() => compare(right, left).reverse(),
        _ => within(left, right),
    }
}

/// The order of two values inside of documents.
pub(super) fn within(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => numbers::compare(left, right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Array(left), Value::Array(right)) => left.len().cmp(&right.len()).then_with(|| {
            let pairs = left.iter().zip(right);
            pairs.map(|(left, right)| within(left, right)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        }),
        (Value::Object(left), Value::Object(right)) => left.len().cmp(&right.len()).then_with(|| {
            let pairs = left.iter().zip(right);
            let order = |((key, value), (other, found)): (&(String, Value), &(String, Value))| {
                key.cmp(other).then_with(|| within(value, found))
            };
            pairs.map(order).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        }),
        _ => left.rank().cmp(&right.rank()),
    }
}
