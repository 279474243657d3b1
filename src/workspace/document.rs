//! JSON from elsewhere: of bounded depth and size, without names that are there twice.

use super::source::Source;
use crate::error::{Error, Result};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// Most values of a document: numbers and texts, and what takes as much room, about 100 bytes:
/// lists and objects with one element or none count as four, and each name of an object as one.
pub(super) const VALUES: usize = 1 << 23;
/// What a list or an object counts beside its elements.
const HOLDER: usize = 4;
/// Most lists and objects in each other.
pub(super) const DEPTH: usize = 64;

/// How many values may still come, of one document or of all that are there at a time.
pub(super) struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(VALUES))
    }
}

/// The value of a document.
///
/// # Errors
/// If it is no JSON, is too deep or, with those before it, too large, or an object names something
/// twice.
pub(super) fn parse(source: &Source, budget: &Budget) -> Result<Value> {
    let node = Node {
        budget: &budget.0,
        depth: 0,
    };
    let mut reader = serde_json::Deserializer::from_slice(&source.bytes);
    let parsed = node.deserialize(&mut reader);
    let parsed = parsed.and_then(|value| reader.end().map(|()| value));
    parsed.map_err(|error| {
        let hint = hint(&source.bytes, &error);
        Error::data(format!("{}: this is no JSON: {error}{hint}", source.name))
    })
}

/// What to do about what JSON does not have.
fn hint(bytes: &[u8], error: &serde_json::Error) -> &'static str {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let line = lines.nth(error.line().saturating_sub(1));
    // the reader stops at the first byte, or behind it
    let from = error.column().saturating_sub(2);
    let rest = line.and_then(|line| line.get(from..)).unwrap_or_default();
    let near = &rest[..rest.len().min(12)];
    let has = |word: &str| near.windows(word.len()).any(|w| w == word.as_bytes());
    match () {
        () if bytes.is_empty() => "; it is empty",
        () if has("NaN") || has("Inf") => {
            "; NaN and Infinity are no numbers of JSON: write finite ones"
        }
        () => "",
    }
}

/// A value at some depth, of which so many may still come.
#[derive(Clone, Copy)]
struct Node<'a> {
    budget: &'a Cell<usize>,
    depth: usize,
}

impl<'a> Node<'a> {
    fn inside<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH {
            return Err(E::custom(format!(
                "lists and objects are more than {DEPTH} deep in each other"
            )));
        }
        let depth = self.depth + 1;
        Ok(Self { depth, ..self })
    }

    fn count<E: de::Error>(self, values: usize) -> Result<(), E> {
        match self.budget.get().checked_sub(values) {
            Some(left) => {
                self.budget.set(left);
                Ok(())
            }
            None => Err(E::custom(format!(
                "it has more than {VALUES} values, with what was read before it"
            ))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        self.count(1)?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let finite = Number::from_f64(value).map(Value::Number);
        finite.ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        self.count(HOLDER - 1)?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        self.count(HOLDER - 1)?;
        let mut map = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            self.count(1)?;
            if map.contains_key(&key) {
                let text = format!("an object has the name {key:?} twice");
                return Err(de::Error::custom(text));
            }
            map.insert(key, object.next_value_seed(inside)?);
        }
        Ok(Value::Object(map))
    }
}

/// How large a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Values in it, itself among them, as [`VALUES`] counts them.
    pub(super) values: usize,
    /// Bytes of its texts and names.
    pub(super) text: usize,
}

impl Size {
    pub(super) fn of(value: &Value) -> Self {
        let mut size = Self { values: 1, text: 0 };
        match value {
            Value::String(text) => size.text += text.len(),
            Value::Array(list) => {
                size.values = HOLDER;
                list.iter().for_each(|value| size.add(Self::of(value)));
            }
            Value::Object(map) => {
                size.values = HOLDER + map.len();
                for (key, value) in map {
                    size.text += key.len();
                    size.add(Self::of(value));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        size
    }

    pub(super) fn add(&mut self, other: Self) {
        self.values += other.values;
        self.text += other.text;
    }

    pub(super) fn remove(&mut self, other: Self) {
        self.values = self.values.saturating_sub(other.values);
        self.text = self.text.saturating_sub(other.text);
    }
}

/// What kind of value it is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Value> {
        within(text, &Budget::default())
    }

    fn within(text: &str, budget: &Budget) -> Result<Value> {
        let source = Source {
            name: "ws.json".to_owned(),
            bytes: text.as_bytes().to_vec(),
        };
        parse(&source, budget)
    }

    #[test]
    fn values_are_those_of_the_text() {
        for text in [
            "null",
            r#"{"a":[1,-2,3.5,true,"x",{"b":{}}],"c":18446744073709551615}"#,
            &("[".repeat(DEPTH) + &"]".repeat(DEPTH)),
        ] {
            assert_eq!(parsed(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_json_is_named() {
        let deep = "[".repeat(DEPTH + 1) + &"]".repeat(DEPTH + 1);
        for (text, words) in [
            ("", "it is empty"),
            ("{} x", "trailing characters at line 1 column 4"),
            ("[1,\n 2, NaN]", "line 2 column 5; NaN and Infinity"),
            ("[-Infinity]", "NaN and Infinity are no numbers of JSON"),
            ("[1e400]", "number out of range at line 1"),
            (r#"{"a": 1, "a": 2}"#, r#"the name "a" twice at line 1"#),
            (&deep, "more than 64 deep"),
        ] {
            let error = parsed(text).unwrap_err().to_string();
            assert!(error.starts_with("ws.json: this is no JSON: "), "{error}");
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_are_those_of_all_that_is_inside() {
        let value = parsed(r#"{"ab": [1, "xyz", null], "c": {}}"#).unwrap();
        // two objects and a list, two names, three others
        let size = Size {
            values: 3 * HOLDER + 2 + 3,
            text: 6,
        };
        assert_eq!(Size::of(&value), size);
    }

    #[test]
    fn room_is_bounded_by_what_lists_and_objects_take() {
        // three bytes of text each, and seventy of memory
        for inner in ["{}", "[]"] {
            let list = |number: usize| format!("[{}]", vec![inner; number].join(","));
            let error = parsed(&list(VALUES / HOLDER)).unwrap_err().to_string();
            assert!(error.contains("more than 8388608 values"), "{error}");
            let size = Size::of(&parsed(&list(1000)).unwrap());
            assert_eq!(size.values, HOLDER + 1000 * HOLDER);
        }
    }

    #[test]
    fn documents_that_are_there_at_a_time_share_the_room() {
        let half = format!("[{}]", vec!["1"; VALUES / 2].join(","));
        let budget = Budget::default();
        assert!(within(&half, &budget).is_ok());
        let error = within(&half, &budget).unwrap_err().to_string();
        let said = "more than 8388608 values, with what was read before it";
        assert!(error.contains(said), "{error}");
    }
}
