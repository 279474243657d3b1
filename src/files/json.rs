//! JSON of results: whatever is written can be read again.
//!
//! JSON has no NaN and no infinity, and `serde_json` writes null for them, which it
//! cannot read as a number. Here they are the texts `"NaN"`, `"inf"` and `"-inf"`, and
//! where a number is wanted these texts are read as one. [`not_finite`] says where in a
//! value they are.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, IntoDeserializer};
use serde::ser::{self, Serialize};
use serde_json::{Error, Value};
use std::fmt::Write as _;

/// A value as JSON: indented by two spaces, or without any space.
pub fn to_text(value: &impl Serialize, is_indented: bool) -> Result<String, Error> {
    let mut writer = Writer {
        is_indented,
        ..Writer::default()
    };
    value.serialize(&mut writer)?;
    Ok(writer.text)
}

/// A value from JSON that [`to_text`] wrote.
pub fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    serde_path_to_error::deserialize(Node(&value)).map_err(|e| e.to_string())
}

/// A value as [`serde_json::Value`], with the texts for what is not finite.
pub(crate) fn to_value(value: &impl Serialize) -> Result<Value, Error> {
    serde_json::from_str(&to_text(value, false)?)
}

/// Places of the numbers of a value that are not finite, such as
/// `yields.after = inf`.
pub(crate) fn not_finite(value: &impl Serialize) -> Vec<String> {
    let mut writer = Writer::default();
    match value.serialize(&mut writer) {
        Ok(()) => writer.not_finite,
        Err(error) => vec![error.to_string()],
    }
}

/// The text of a number that is not finite.
fn name(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "inf"
    } else {
        "-inf"
    }
}

fn number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// One step from a value into it.
enum Step {
    Field(&'static str),
    Key(String),
    Place(usize),
}

#[derive(Default)]
struct Writer {
    text: String,
    is_indented: bool,
    path: Vec<Step>,
    not_finite: Vec<String>,
}

impl Writer {
    fn line(&mut self, depth: usize) {
        if self.is_indented {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n("  ", depth));
        }
    }

    fn key(&mut self, name: &str) -> Result<(), Error> {
        let colon = if self.is_indented { ": " } else { ":" };
        let _ = write!(self.text, "{}{colon}", serde_json::to_string(name)?);
        Ok(())
    }

    fn float(&mut self, value: f64, shown: &str) {
        if value.is_finite() {
            self.text.push_str(shown);
        } else {
            let name = name(value);
            let place = self.place();
            self.not_finite.push(format!("{place} = {name}"));
            let _ = write!(self.text, "\"{name}\"");
        }
    }

    fn place(&self) -> String {
        let mut place = String::new();
        for step in &self.path {
            let dot = if place.is_empty() { "" } else { "." };
            let _ = match step {
                Step::Place(index) => write!(place, "[{index}]"),
                Step::Field(name) => write!(place, "{dot}{name}"),
                Step::Key(name) => write!(place, "{dot}{name}"),
            };
        }
        place
    }

    fn open(&mut self, bracket: char, close: char) -> Parts<'_> {
        self.text.push(bracket);
        Parts {
            depth: self.path.len(),
            writer: self,
            count: 0,
            close,
            wraps: 0,
        }
    }

    fn tagged(
        &mut self,
        variant: &'static str,
        bracket: char,
        close: char,
    ) -> Result<Parts<'_>, Error> {
        self.text.push('{');
        self.path.push(Step::Field(variant));
        self.line(self.path.len());
        self.key(variant)?;
        let mut parts = self.open(bracket, close);
        parts.wraps = 1;
        Ok(parts)
    }
}

/// The elements of a list or the entries of a map.
struct Parts<'a> {
    writer: &'a mut Writer,
    /// Steps to the list or map.
    depth: usize,
    count: usize,
    close: char,
    /// Maps around it, of a variant's name.
    wraps: usize,
}

impl Parts<'_> {
    fn begin(&mut self, step: Step) {
        if self.count > 0 {
            self.writer.text.push(',');
        }
        self.count += 1;
        self.writer.line(self.depth + 1);
        self.writer.path.truncate(self.depth);
        self.writer.path.push(step);
    }

    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.begin(Step::Place(self.count));
        value.serialize(&mut *self.writer)
    }

    fn entry(
        &mut self,
        step: Step,
        name: &str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Error> {
        self.begin(step);
        self.writer.key(name)?;
        value.serialize(&mut *self.writer)
    }

    fn finish(self) {
        self.writer.path.truncate(self.depth);
        if self.count > 0 {
            self.writer.line(self.depth);
        }
        self.writer.text.push(self.close);
        for _ in 0..self.wraps {
            self.writer.path.pop();
            self.writer.line(self.writer.path.len());
            self.writer.text.push('}');
        }
    }
}

macro_rules! written_as_shown {
    ($($name:ident: $kind:ty),*) => {$(
        fn $name(self, value: $kind) -> Result<(), Error> {
            let _ = write!(self.text, "{value}");
            Ok(())
        }
    )*};
}

impl<'a> ser::Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    written_as_shown!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16,
        serialize_i32: i32, serialize_i64: i64, serialize_i128: i128, serialize_u8: u8,
        serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128);

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        let shown = serde_json::to_string(&value)?;
        self.float(f64::from(value), &shown);
        Ok(())
    }
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        let shown = serde_json::to_string(&value)?;
        self.float(value, &shown);
        Ok(())
    }
    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.text.push_str(&serde_json::to_string(value)?);
        Ok(())
    }
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Error> {
        self.text.push_str("null");
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut parts = self.open('{', '}');
        parts.entry(Step::Field(variant), variant, value)?;
        parts.finish();
        Ok(())
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        Ok(self.open('[', ']'))
    }
    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Error> {
        Ok(self.open('[', ']'))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        Ok(self.open('[', ']'))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Error> {
        self.tagged(variant, '[', ']')
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        Ok(self.open('{', '}'))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        Ok(self.open('{', '}'))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Error> {
        self.tagged(variant, '{', '}')
    }
}

macro_rules! list_of_parts {
    ($($kind:ident: $method:ident),*) => {$(
        impl ser::$kind for Parts<'_> {
            type Ok = ();
            type Error = Error;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }
            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

macro_rules! fields_of_parts {
    ($($kind:ident),*) => {$(
        impl ser::$kind for Parts<'_> {
            type Ok = ();
            type Error = Error;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.entry(Step::Field(name), name, value)
            }
            fn end(self) -> Result<(), Error> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

list_of_parts!(SerializeSeq: serialize_element, SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field);
fields_of_parts!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let name = match serde_json::to_value(key)? {
            Value::String(name) => name,
            name @ (Value::Number(_) | Value::Bool(_)) => name.to_string(),
            _ => return Err(<Error as ser::Error>::custom("a key is no text")),
        };
        self.begin(Step::Key(name.clone()));
        self.writer.key(&name)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self.writer)
    }
    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}

/// A JSON value that gives a number for the text of one that is not finite.
#[derive(Clone, Copy)]
struct Node<'a>(&'a Value);

impl<'a> IntoDeserializer<'a, Error> for Node<'a> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'a> Node<'a> {
    fn float<V: de::Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.as_str().and_then(number) {
            Some(value) => visitor.visit_f64(value),
            None => de::Deserializer::deserialize_f64(self.0, visitor),
        }
    }
}

impl<'de> de::Deserializer<'de> for Node<'de> {
    type Error = Error;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(list) => {
                let mut list = SeqDeserializer::new(list.iter().map(Node));
                let value = visitor.visit_seq(&mut list)?;
                list.end()?;
                Ok(value)
            }
            Value::Object(map) => {
                let entries = map.iter().map(|(key, value)| (key.as_str(), Node(value)));
                let mut map = MapDeserializer::new(entries);
                let value = visitor.visit_map(&mut map)?;
                map.end()?;
                Ok(value)
            }
            plain => plain.deserialize_any(visitor),
        }
    }
    fn deserialize_f32<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.float(visitor)
    }
    fn deserialize_f64<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.float(visitor)
    }
    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }
    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(map) if map.len() == 1 => {
                let entries = map.iter().map(|(key, value)| (key.as_str(), Node(value)));
                let access = de::value::MapAccessDeserializer::new(MapDeserializer::new(entries));
                de::Deserializer::deserialize_enum(access, name, variants, visitor)
            }
            plain => plain.deserialize_enum(name, variants, visitor),
        }
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indexmap::IndexMap;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Plain,
        Wrapped(f64),
        Pair(f64, f32),
        Named { value: f64 },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct All {
        name: String,
        count: u64,
        below: i64,
        value: f64,
        small: f32,
        maybe: Option<f64>,
        list: Vec<f64>,
        table: Vec<Vec<Option<f64>>>,
        pair: [f64; 2],
        mixed: (Vec<f64>, String),
        map: IndexMap<String, f64>,
        kinds: Vec<Kind>,
        empty: Vec<f64>,
        is_so: bool,
    }

    fn all(x: f64) -> All {
        All {
            // texts stay texts
            name: "inf".to_owned(),
            count: u64::MAX,
            below: i64::MIN,
            value: x,
            small: x as f32,
            maybe: Some(x),
            list: vec![1.5, x],
            table: vec![vec![None, Some(x)], Vec::new()],
            pair: [x, 0.1],
            mixed: (vec![x], "NaN".to_owned()),
            map: [("b".to_owned(), x), ("a".to_owned(), 2.0)].into(),
            kinds: vec![
                Kind::Plain,
                Kind::Wrapped(x),
                Kind::Pair(x, 0.25),
                Kind::Named { value: x },
            ],
            empty: Vec::new(),
            is_so: true,
        }
    }

    #[test]
    fn finite_values_are_what_serde_json_writes() {
        for x in [0.0, -1.0, 0.1, 1e300, f64::MIN_POSITIVE] {
            let value = all(x);
            if !(x as f32).is_finite() {
                assert_eq!(not_finite(&value).len(), 1);
                continue;
            }
            let (pretty, plain) = (to_text(&value, true), to_text(&value, false));
            assert_eq!(
                pretty.unwrap(),
                serde_json::to_string_pretty(&value).unwrap()
            );
            assert_eq!(plain.unwrap(), serde_json::to_string(&value).unwrap());
            assert!(not_finite(&value).is_empty());
        }
    }

    #[test]
    fn every_value_is_read_as_it_was() {
        for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1] {
            for indented in [false, true] {
                let value = all(x);
                let text = to_text(&value, indented).unwrap();
                let read: All = from_text(&text).unwrap();
                assert_eq!(format!("{value:?}"), format!("{read:?}"), "{text}");
                // plain JSON for everybody else
                serde_json::from_str::<Value>(&text).unwrap();
            }
        }
    }

    #[test]
    fn places_are_named() {
        let mut value = all(1.0);
        value.table[0][1] = Some(f64::NAN);
        value.map.insert("c".to_owned(), f64::INFINITY);
        let below = f64::NEG_INFINITY;
        value.kinds[3] = Kind::Named { value: below };
        let expected = [
            "table[0][1] = NaN",
            "map.c = inf",
            "kinds[3].Named.value = -inf",
        ];
        assert_eq!(not_finite(&value), expected);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let text = to_text(&all(1.0), false).unwrap();
        let wrong = text.replace("[1.5,1.0]", "[1.5,null]");
        let error = from_text::<All>(&wrong).unwrap_err();
        assert!(error.contains("list[1]"), "{error}");
    }
}
