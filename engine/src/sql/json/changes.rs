//! Documents made of documents.

use super::paths::index;
use super::value::{Failure, Value};

/// What becomes of the place that a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Its value is another one, or there is one now.
    Create,
    /// Its value is another one.
    Replace,
    /// There is a value before it, or under a new key.
    Before,
    /// There is a value behind it, or under a new key.
    After,
    Delete,
}

impl Change {
    fn inserts(self) -> bool {
        matches!(self, Self::Before | Self::After)
    }

    fn adds(self) -> bool {
        self == Self::Create || self.inserts()
    }
}

/// `jsonb || jsonb`
pub(super) fn joined(left: Value, right: Value) -> Value {
    let elements = |value: Value| match value {
        Value::Array(elements) => elements,
        other => vec![other],
    };
    match (left, right) {
        (Value::Object(mut left), Value::Object(right)) => {
            left.extend(right);
            Value::object(left)
        }
        (left, right) => Value::Array(elements(left).into_iter().chain(elements(right)).collect()),
    }
}

/// `jsonb - key` and `jsonb - keys`
pub(super) fn without(value: Value, keys: &[&str]) -> Result<Value, Failure> {
    match value {
        Value::Object(pairs) => {
            Ok(Value::Object(pairs.into_iter().filter(|(key, _)| !keys.contains(&key.as_str())).collect()))
        }
        Value::Array(elements) => {
            let is_kept = |element: &Value| !matches!(element, Value::Text(text) if keys.contains(&text.as_str()));
            Ok(Value::Array(elements.into_iter().filter(is_kept).collect()))
        }
        _ => Err("nothing can be taken out of a scalar".to_owned()),
    }
}

/// `jsonb - index`
pub(super) fn without_element(value: Value, index: i32) -> Result<Value, Failure> {
    match value {
        Value::Array(mut elements) => {
            let place = match usize::try_from(index) {
                Ok(place) => Some(place),
                Err(_) => usize::try_from(index.unsigned_abs()).ok().and_then(|back| elements.len().checked_sub(back)),
            };
            if let Some(place) = place.filter(|place| *place < elements.len()) {
                elements.remove(place);
            }
            Ok(Value::Array(elements))
        }
        Value::Object(_) => Err("an object has keys, and no elements to take out by an index".to_owned()),
        _ => Err("nothing can be taken out of a scalar".to_owned()),
    }
}

/// `jsonb_strip_nulls`
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(pairs) => {
            let kept = pairs.into_iter().filter(|(_, value)| *value != Value::Null);
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(elements) => Value::Array(elements.into_iter().map(without_nulls).collect()),
        scalar => scalar,
    }
}

/// `jsonb_set`, `jsonb_insert` and `#-`: a document whose place under the path has changed.
pub(super) fn changed(value: Value, path: &[Option<&str>], new: &Value, change: Change) -> Result<Value, Failure> {
    let is_empty = match &value {
        Value::Array(elements) => elements.is_empty(),
        Value::Object(pairs) => pairs.is_empty(),
        _ => return Err("a scalar has no parts that a path leads to".to_owned()),
    };
    if path.is_empty() || (is_empty && !change.adds()) {
        return Ok(value);
    }
    at(value, path, 0, new, change)
}

fn at(value: Value, path: &[Option<&str>], level: usize, new: &Value, change: Change) -> Result<Value, Failure> {
    let Some(Some(step)) = path.get(level) else {
        return Err(format!("step {} of the path is NULL", level + 1));
    };
    let is_last = level + 1 == path.len();
    match value {
        Value::Object(mut pairs) => {
            match pairs.iter().position(|(key, _)| key == step) {
                Some(_) if is_last && change.inserts() => {
                    return Err(format!("there is a value under '{step}': jsonb_set replaces it"));
                }
                Some(place) if is_last && change == Change::Delete => {
                    pairs.remove(place);
                }
                Some(place) => {
                    let old = std::mem::replace(&mut pairs[place].1, Value::Null);
                    pairs[place].1 = if is_last { new.clone() } else { at(old, path, level + 1, new, change)? };
                }
                None if is_last && change.adds() => pairs.push(((*step).to_owned(), new.clone())),
                None => {}
            }
            Ok(Value::object(pairs))
        }
        Value::Array(elements) => {
            let found = index(step).ok_or_else(|| {
                format!("step {} of the path leads into an array and is no whole number: '{step}'", level + 1)
            })?;
            if is_last {
                return Ok(Value::Array(placed(elements, found, new, change)));
            }
            let mut elements = elements;
            let place = match usize::try_from(found) {
                Ok(place) => Some(place),
                Err(_) => usize::try_from(found.unsigned_abs()).ok().and_then(|back| elements.len().checked_sub(back)),
            };
            if let Some(element) = place.and_then(|place| elements.get_mut(place)) {
                let old = std::mem::replace(element, Value::Null);
                *element = at(old, path, level + 1, new, change)?;
            }
            Ok(Value::Array(elements))
        }
        scalar => Ok(scalar),
    }
}

/// The elements with a change at an index. What lies before the first is the first, what lies behind the last comes last.
fn placed(mut elements: Vec<Value>, index: i32, new: &Value, change: Change) -> Vec<Value> {
    let count = elements.len();
    let place = match usize::try_from(index) {
        Ok(place) => Some(place.min(count)),
        Err(_) => usize::try_from(index.unsigned_abs()).ok().and_then(|back| count.checked_sub(back)),
    };
    match place.filter(|_| count > 0) {
        None if change.adds() => elements.insert(0, new.clone()),
        Some(place) if place == count && change.adds() => elements.push(new.clone()),
        Some(place) if place < count => match change {
            Change::Create | Change::Replace => elements[place] = new.clone(),
            Change::Before => elements.insert(place, new.clone()),
            Change::After => elements.insert(place + 1, new.clone()),
            Change::Delete => {
                elements.remove(place);
            }
        },
        _ => {}
    }
    elements
}
