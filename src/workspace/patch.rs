//! Changes to a document: JSON Patch (RFC 6902), whose places are JSON Pointers (RFC 6901).
//!
//! A patch comes from elsewhere, like the document: how many operations it has, how large the
//! document may become and how much is moved and compared on the way are bounded.

use super::document::{DEPTH, Size, VALUES, kind};
use super::source::most_bytes;
use serde_json::{Map, Value};
use std::fmt;

/// Most operations of a patch.
const OPERATIONS: usize = 100_000;
/// Most values that all operations of a patch move, copy and compare.
const WORK: usize = 1 << 28;

/// What is wrong with a patch, in words.
pub(super) type Wrong = String;

/// A list of operations.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    operations: Vec<Operation>,
}

#[derive(Clone, Debug)]
struct Operation {
    action: Action,
    path: Pointer,
}

#[derive(Clone, Debug)]
enum Action {
    Add(Value),
    Remove,
    Replace(Value),
    Test(Value),
    Copy(Pointer),
    Move(Pointer),
}

impl Patch {
    /// Operations from their JSON.
    pub(super) fn from_value(value: Value) -> Result<Self, Wrong> {
        let list = match value {
            Value::Array(list) => list,
            other => {
                let found = kind(&other);
                return Err(format!("a patch is a list of operations and not {found}"));
            }
        };
        if list.len() > OPERATIONS {
            let found = list.len();
            return Err(format!(
                "{found} operations are more than the {OPERATIONS} that a patch may have"
            ));
        }
        let numbered = list.into_iter().enumerate();
        let parsed = numbered.map(|(number, value)| {
            let parsed = Operation::from_value(value);
            parsed.map_err(|wrong| format!("operation {number}: {wrong}"))
        });
        let operations = parsed.collect::<Result<_, _>>()?;
        Ok(Self { operations })
    }

    /// Number of operations.
    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    /// A document with all operations applied in their order. Both are used up: what a patch adds
    /// moves into the document.
    pub(super) fn apply(self, document: Value) -> Result<Value, Wrong> {
        let mut patched = Patched {
            size: Size::of(&document),
            root: document,
            work: 0,
        };
        for (number, operation) in self.operations.into_iter().enumerate() {
            let words = operation.to_string();
            let done = patched.operate(operation);
            done.map_err(|wrong| format!("operation {number}, {words}: {wrong}"))?;
        }
        Ok(patched.root)
    }
}

impl Operation {
    fn from_value(value: Value) -> Result<Self, Wrong> {
        let mut map = match value {
            Value::Object(map) => map,
            other => {
                let found = kind(&other);
                return Err(format!("it is {found} and not an object with `op`"));
            }
        };
        let value = map.shift_remove("value");
        let value = || value.ok_or_else(|| "it has no `value`".to_owned());
        let text = |name: &str| match map.get(name) {
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(other) => Err(format!("`{name}` is {} and not a text", kind(other))),
            None => Err(format!("it has no `{name}`")),
        };
        let pointer = |name: &str| Pointer::parse(text(name)?);
        let action = match text("op")? {
            "add" => Action::Add(value()?),
            "remove" => Action::Remove,
            "replace" => Action::Replace(value()?),
            "test" => Action::Test(value()?),
            "copy" => Action::Copy(pointer("from")?),
            "move" => Action::Move(pointer("from")?),
            other => {
                return Err(format!(
                    "`{other}` is no operation; there are add, remove, replace, test, copy and move"
                ));
            }
        };
        let path = pointer("path")?;
        Ok(Self { action, path })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.action {
            Action::Add(_) => write!(f, "add {path}"),
            Action::Remove => write!(f, "remove {path}"),
            Action::Replace(_) => write!(f, "replace {path}"),
            Action::Test(_) => write!(f, "test {path}"),
            Action::Copy(from) => write!(f, "copy {from} to {path}"),
            Action::Move(from) => write!(f, "move {from} to {path}"),
        }
    }
}

/// The way to a value: names in objects and places in lists.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pointer(Vec<String>);

impl Pointer {
    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("the path `{text}` does not begin with `/`"));
        };
        let step = |part: &str| {
            let is_escaped = |rest: &str| rest.starts_with(['0', '1']);
            let is_sound = part.split('~').skip(1).all(is_escaped);
            let unescaped = part.replace("~1", "/").replace("~0", "~");
            let wrong = || format!("the path `{text}` has a `~` that is neither ~0 nor ~1");
            is_sound.then_some(unescaped).ok_or_else(wrong)
        };
        let steps: Vec<String> = rest.split('/').map(step).collect::<Result<_, _>>()?;
        if steps.len() > DEPTH {
            return Err(format!("the path has more than {DEPTH} steps"));
        }
        Ok(Self(steps))
    }

    /// The first steps, for words.
    fn up_to(&self, steps: usize) -> Self {
        Self(self.0[..steps].to_vec())
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            write!(f, "/{}", step.replace('~', "~0").replace('/', "~1"))?;
        }
        match self.0.is_empty() {
            true => f.write_str("(the whole document)"),
            false => Ok(()),
        }
    }
}

/// A document on its way.
struct Patched {
    root: Value,
    size: Size,
    /// Values that were moved, copied and compared so far.
    work: usize,
}

/// What holds a value, and under which name or place.
enum Holder<'a> {
    Object(&'a mut Map<String, Value>, &'a str),
    List(&'a mut Vec<Value>, &'a str),
}

impl Patched {
    fn operate(&mut self, operation: Operation) -> Result<(), Wrong> {
        let Operation { action, path } = operation;
        let path = &path;
        match action {
            Action::Add(value) => self.add(path, value),
            Action::Remove => self.remove(path).map(drop),
            Action::Replace(value) => {
                self.check_depth(path, &value)?;
                let new = Size::of(&value);
                let old = self.at_mut(path)?;
                let before = std::mem::replace(old, value);
                self.size.remove(Size::of(&before));
                self.grow(new)
            }
            Action::Test(value) => {
                let found = self.at(path)?;
                let (size, is_same) = (Size::of(found), same(found, &value));
                self.work(size.values)?;
                match is_same {
                    true => Ok(()),
                    false => Err("there is another value".to_owned()),
                }
            }
            Action::Copy(from) => {
                let value = self.at(&from)?;
                let size = Size::of(value);
                // before there are two of it
                self.check_room(size)?;
                let value = value.clone();
                self.work(size.values)?;
                self.add(path, value)
            }
            Action::Move(from) if from == *path => self.at(&from).map(drop),
            Action::Move(from) => {
                if path.0.starts_with(&from.0) {
                    return Err("a value cannot move into itself".to_owned());
                }
                let value = self.remove(&from)?;
                self.work(Size::of(&value).values)?;
                self.add(path, value)
            }
        }
    }

    fn at(&self, path: &Pointer) -> Result<&Value, Wrong> {
        let mut value = &self.root;
        for (step, name) in path.0.iter().enumerate() {
            let next = match value {
                Value::Object(map) => map.get(name),
                Value::Array(list) => index(name, list.len())
                    .ok()
                    .and_then(|place| list.get(place)),
                _ => None,
            };
            value = next.ok_or_else(|| missing(path, step, value))?;
        }
        Ok(value)
    }

    fn at_mut(&mut self, path: &Pointer) -> Result<&mut Value, Wrong> {
        // what is there is found first, for the words of what is not
        self.at(path)?;
        let gone = || "nothing is there".to_owned();
        let mut value = &mut self.root;
        for name in &path.0 {
            let next = match value {
                Value::Object(map) => map.get_mut(name),
                Value::Array(list) => {
                    let place = index(name, list.len())?;
                    list.get_mut(place)
                }
                _ => None,
            };
            value = next.ok_or_else(gone)?;
        }
        Ok(value)
    }

    /// What holds the value at the end of a path, which has a step.
    fn holder<'a>(&'a mut self, path: &'a Pointer) -> Result<Holder<'a>, Wrong> {
        let (above, name) = match path.0.split_last() {
            Some((name, above)) => (Pointer(above.to_vec()), name),
            None => return Err("the whole document has nothing around it".to_owned()),
        };
        match self.at_mut(&above)? {
            Value::Object(map) => Ok(Holder::Object(map, name)),
            Value::Array(list) => Ok(Holder::List(list, name)),
            other => Err(missing(path, above.0.len(), other)),
        }
    }

    fn add(&mut self, path: &Pointer, value: Value) -> Result<(), Wrong> {
        self.check_depth(path, &value)?;
        let size = Size::of(&value);
        if path.0.is_empty() {
            self.root = value;
            self.size = Size::default();
            return self.grow(size);
        }
        let mut moved = 0;
        let before = match self.holder(path)? {
            Holder::Object(map, name) => map.insert(name.to_owned(), value),
            Holder::List(list, name) => {
                let length = list.len();
                let place = match name {
                    "-" => length,
                    name => index(name, length + 1)?,
                };
                moved = length - place;
                list.insert(place, value);
                None
            }
        };
        if let Some(before) = before {
            self.size.remove(Size::of(&before));
        }
        self.work(moved)?;
        self.grow(size)
    }

    fn remove(&mut self, path: &Pointer) -> Result<Value, Wrong> {
        self.at(path)?;
        let gone = || "nothing is there".to_owned();
        let (moved, value) = match self.holder(path)? {
            Holder::Object(map, name) => (map.len(), map.shift_remove(name)),
            Holder::List(list, name) => {
                let place = index(name, list.len())?;
                let value = (place < list.len()).then(|| list.remove(place));
                (list.len() - place.min(list.len()), value)
            }
        };
        let value = value.ok_or_else(gone)?;
        self.work(moved)?;
        self.size.remove(Size::of(&value));
        Ok(value)
    }

    fn work(&mut self, values: usize) -> Result<(), Wrong> {
        // an operation without any takes its time, too
        self.work += 1 + values;
        match self.work > WORK {
            true => Err(format!(
                "so far more than {WORK} values have been moved, copied and compared, which is the \
                 most that is done"
            )),
            false => Ok(()),
        }
    }

    fn grow(&mut self, by: Size) -> Result<(), Wrong> {
        self.check_room(by)?;
        self.size.add(by);
        Ok(())
    }

    /// Refuses what the document has no room for.
    fn check_room(&self, by: Size) -> Result<(), Wrong> {
        let mut size = self.size;
        size.add(by);
        if size.values > VALUES {
            return Err(format!("the document would have more than {VALUES} values"));
        }
        let most = most_bytes();
        if size.text > most {
            return Err(format!(
                "the document would have more than {most} bytes of texts"
            ));
        }
        Ok(())
    }

    fn check_depth(&self, path: &Pointer, value: &Value) -> Result<(), Wrong> {
        match path.0.len() + depth(value) > DEPTH {
            true => Err(format!("it would be more than {DEPTH} deep")),
            false => Ok(()),
        }
    }
}

/// Lists and objects in each other.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// A place in a list of so many, from its text.
fn index(text: &str, length: usize) -> Result<usize, Wrong> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_plain = digits && (text == "0" || !text.starts_with('0'));
    let place: Option<usize> = text.parse().ok().filter(|_| is_plain);
    match place {
        Some(place) if place < length => Ok(place),
        Some(place) => Err(format!(
            "{place} is beyond the end of the list, whose last place is {}",
            length.saturating_sub(1)
        )),
        None => Err(format!("`{text}` is no place in a list")),
    }
}

/// What is missing behind so many steps of a path, of which the value is what was reached.
fn missing(path: &Pointer, steps: usize, reached: &Value) -> Wrong {
    let name = path.0.get(steps).map_or("", String::as_str);
    let place = path.up_to(steps);
    match reached {
        Value::Object(map) => {
            let keys: Vec<&str> = map.keys().take(8).map(String::as_str).collect();
            format!("{place} has no `{name}`; it has {}", keys.join(", "))
        }
        Value::Array(list) => match index(name, list.len()) {
            Ok(_) => format!("{place} has nothing at {name}"),
            Err(wrong) => format!("{place}: {wrong}"),
        },
        other => format!("{place} is {}, which has nothing inside", kind(other)),
    }
}

/// Whether two values are the same: numbers by their value, objects in any order.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has = |(key, a): (&String, &Value)| b.get(key).is_some_and(|b| same(a, b));
            a.len() == b.len() && a.iter().all(has)
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(document: &Value, patch: &Value) -> Result<Value, Wrong> {
        Patch::from_value(patch.clone())?.apply(document.clone())
    }

    #[test]
    fn operations_do_what_the_memorandum_says() {
        // RFC 6902, appendix A, and what it leaves to the reader
        for (document, patch, expected) in [
            (
                json!({"foo": "bar"}),
                json!([{"op": "add", "path": "/baz", "value": "qux"}]),
                json!({"foo": "bar", "baz": "qux"}),
            ),
            (
                json!({"foo": ["bar", "baz"]}),
                json!([{"op": "add", "path": "/foo/1", "value": "qux"}]),
                json!({"foo": ["bar", "qux", "baz"]}),
            ),
            (
                json!({"foo": [1]}),
                json!([{"op": "add", "path": "/foo/-", "value": [2]}]),
                json!({"foo": [1, [2]]}),
            ),
            (
                json!({"foo": [1]}),
                json!([{"op": "add", "path": "/foo/1", "value": 2}]),
                json!({"foo": [1, 2]}),
            ),
            (
                json!({"baz": "qux", "foo": "bar"}),
                json!([{"op": "remove", "path": "/baz"}]),
                json!({"foo": "bar"}),
            ),
            (
                json!({"foo": ["bar", "qux", "baz"]}),
                json!([{"op": "remove", "path": "/foo/1"}]),
                json!({"foo": ["bar", "baz"]}),
            ),
            (
                json!({"baz": "qux"}),
                json!([{"op": "replace", "path": "/baz", "value": {"a": 1}}]),
                json!({"baz": {"a": 1}}),
            ),
            (
                json!({"foo": {"bar": 1, "waldo": "fred"}, "qux": {}}),
                json!([{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]),
                json!({"foo": {"bar": 1}, "qux": {"thud": "fred"}}),
            ),
            (
                json!({"foo": ["all", "grass", "cows", "eat"]}),
                json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
                json!({"foo": ["all", "cows", "eat", "grass"]}),
            ),
            (
                json!({"a": [1], "b": 0}),
                json!([{"op": "copy", "from": "/a", "path": "/b"}]),
                json!({"a": [1], "b": [1]}),
            ),
            (
                json!({"/": 9, "~1": 10}),
                json!([{"op": "test", "path": "/~01", "value": 10.0},
             {"op": "test", "path": "/~1", "value": 9}, {"op": "remove", "path": "/~1"}]),
                json!({"~1": 10}),
            ),
            (
                json!({"": {"0": 1}}),
                json!([{"op": "replace", "path": "//0", "value": 2}]),
                json!({"": {"0": 2}}),
            ),
            (
                json!([1]),
                json!([{"op": "add", "path": "", "value": {"a": 1}}]),
                json!({"a": 1}),
            ),
            (json!([1]), json!([]), json!([1])),
        ] {
            assert_eq!(patched(&document, &patch), Ok(expected), "{patch}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let document = json!({"a": [1, 2], "b": {"c": "x"}});
        for (patch, words) in [
            (
                json!({}),
                "a patch is a list of operations and not an object",
            ),
            (json!([1]), "operation 0: it is a number"),
            (json!([{"path": "/a"}]), "operation 0: it has no `op`"),
            (
                json!([{"op": "add", "path": "/a/0"}]),
                "operation 0: it has no `value`",
            ),
            (
                json!([{"op": "grow", "path": "/a"}]),
                "`grow` is no operation; there are add",
            ),
            (
                json!([{"op": "remove", "path": "a"}]),
                "the path `a` does not begin with `/`",
            ),
            (
                json!([{"op": "remove", "path": "/a~2"}]),
                "a `~` that is neither ~0 nor ~1",
            ),
            (
                json!([{"op": "remove", "path": 1}]),
                "`path` is a number and not a text",
            ),
            (json!([{"op": "move", "path": "/a"}]), "it has no `from`"),
            (
                json!([{"op": "add", "path": "/a/3", "value": 0}]),
                "operation 0, add /a/3: 3 is beyond the end of the list, whose last place is 2",
            ),
            (
                json!([{"op": "remove", "path": "/a/2"}]),
                "/a: 2 is beyond the end of the list",
            ),
            (
                json!([{"op": "remove", "path": "/a/-"}]),
                "`-` is no place in a list",
            ),
            (
                json!([{"op": "remove", "path": "/a/01"}]),
                "`01` is no place in a list",
            ),
            (
                json!([{"op": "replace", "path": "/d", "value": 0}]),
                "has no `d`; it has a, b",
            ),
            (
                json!([{"op": "add", "path": "/b/c/d", "value": 0}]),
                "/b/c is a text, which has nothing inside",
            ),
            (
                json!([{"op": "remove", "path": ""}]),
                "the whole document has nothing around it",
            ),
            (
                json!([{"op": "test", "path": "/a", "value": [2, 1]}]),
                "there is another value",
            ),
            (
                json!([{"op": "move", "from": "/b", "path": "/b/d"}]),
                "cannot move into itself",
            ),
        ] {
            let wrong = patched(&document, &patch).unwrap_err();
            assert!(wrong.contains(words), "{patch}: {wrong}");
        }
    }

    #[test]
    fn a_document_does_not_grow_without_end() {
        let doubled = || json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let patch: Vec<Value> = (0..40).map(|_| doubled()).collect();
        let wrong = patched(&json!({"a": [1]}), &json!(patch)).unwrap_err();
        assert!(wrong.contains("more than 8388608 values"), "{wrong}");
        let long = "x".repeat(1 << 20);
        let text = json!({"op": "copy", "from": "/t", "path": "/a/-"});
        let patch = json!(vec![text; 300]);
        let wrong = patched(&json!({"a": [], "t": long}), &patch).unwrap_err();
        assert!(wrong.contains("more than 268435456 bytes"), "{wrong}");
        let way = |depth: usize| "/a".to_owned() + &"/0".repeat(depth);
        let deeper = |depth| json!({"op": "add", "path": way(depth), "value": [[]]});
        let patch = json!((1..63).map(deeper).collect::<Vec<Value>>());
        let wrong = patched(&json!({"a": [1]}), &patch).unwrap_err();
        assert!(wrong.contains("more than 64 deep"), "{wrong}");
        let there_and_back = json!(vec![1; 100_001]);
        let wrong = Patch::from_value(there_and_back).unwrap_err();
        assert!(wrong.contains("100001 operations are more"), "{wrong}");
    }

    #[test]
    fn what_a_patch_adds_is_there_once() {
        let zeros = vec![0; 1 << 16];
        let patch = json!([{"op": "add", "path": "/a", "value": zeros},
            {"op": "replace", "path": "/b", "value": zeros}]);
        let patch = Patch::from_value(patch).unwrap();
        let document = json!({"b": zeros});
        let mut patched = None;
        let used = allocation_counter::measure(|| patched = Some(patch.apply(document)));
        assert_eq!(patched.unwrap().unwrap(), json!({"b": zeros, "a": zeros}));
        let one = (size_of::<Value>() * zeros.len()) as u64;
        assert!(used.bytes_max < one / 8, "{} of {one}", used.bytes_max);
        // what there is no room for is not copied first
        let copy = json!([{"op": "copy", "from": "/a", "path": "/b"}]);
        let copy = Patch::from_value(copy).unwrap();
        let long = json!({"a": "x".repeat(most_bytes() / 4 * 3)});
        let mut refused = None;
        let used = allocation_counter::measure(|| refused = Some(copy.apply(long)));
        let wrong = refused.unwrap().unwrap_err();
        assert!(wrong.contains("more than 268435456 bytes"), "{wrong}");
        assert!(used.bytes_max < 1 << 20, "{}", used.bytes_max);
    }

    #[test]
    fn work_is_bounded() {
        let document = json!({"a": vec![0; 1 << 16]});
        let compared = json!({"op": "test", "path": "/a", "value": vec![0; 1 << 16]});
        let patch = json!(vec![compared; 2]);
        assert!(patched(&document, &patch).is_ok());
        let moved = json!({"op": "move", "from": "/a/0", "path": "/a/-"});
        let patch = json!(vec![moved; 8_000]);
        let wrong = patched(&document, &patch).unwrap_err();
        assert!(wrong.contains("moved, copied and compared"), "{wrong}");
    }
}
