//! What the members of classes are, from the list with which a file describes its classes
//! (`TStreamerInfo`): titles and types. How a number or a list of numbers is written is known
//! here, so that nothing else is done by it.

use std::cell::OnceCell;
use std::collections::HashMap;

use super::container::Source;
use super::objects::{Pointer, Reader};

/// The classes that a file describes, read when one is asked for.
pub(super) struct Classes<'a> {
    source: &'a Source,
    found: OnceCell<Result<HashMap<String, Vec<Class>>, String>>,
}

/// One version of a class.
struct Class {
    version: i32,
    checksum: u32,
    members: HashMap<String, Member>,
}

#[derive(Debug)]
pub(super) struct Member {
    /// What is said of it; of a reduced float the range, in brackets.
    pub(super) title: String,
    pub(super) type_name: String,
    /// An array of such.
    pub(super) is_array: bool,
}

impl<'a> Classes<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Self {
            source,
            found: OnceCell::new(),
        }
    }

    /// The member `name` of the version of a class that has a checksum, else of the newest.
    pub(super) fn member(&self, class: &str, checksum: u32, name: &str) -> Result<&Member, String> {
        let found = self.found.get_or_init(|| read(self.source));
        let found = found
            .as_ref()
            .map_err(|e| format!("what class `{class}` is made of is not known: {e}"))?;
        let versions = found.get(class).map_or(&[][..], Vec::as_slice);
        let meant = versions.iter().find(|of| of.checksum == checksum);
        let newest = || versions.iter().max_by_key(|of| of.version);
        let member = meant.or_else(newest).and_then(|of| of.members.get(name));
        member.ok_or_else(|| format!("the file describes no member `{name}` of class `{class}`"))
    }
}

/// The versions of each class.
fn read(source: &Source) -> Result<HashMap<String, Vec<Class>>, String> {
    let (object, header) = source.described()?;
    let mut reader = Reader::new(&object, header);
    let mut found: HashMap<String, Vec<Class>> = HashMap::new();
    reader.list(|reader, class, _| {
        // there are lists of rules beside
        if class == "TStreamerInfo" {
            let (name, class) = one(reader)?;
            found.entry(name).or_default().push(class);
        }
        Ok(())
    })?;
    Ok(found)
}

fn one(reader: &mut Reader<'_>) -> Result<(String, Class), String> {
    reader.header()?;
    let (name, _) = reader.named()?;
    let (checksum, version) = (reader.cursor.u32()?, reader.cursor.i32()?);
    let mut members = HashMap::new();
    if let Pointer::New { class, .. } = reader.pointer()?
        && class == "TObjArray"
    {
        reader.array(|reader, class, _| {
            let (name, member) = member(reader, class)?;
            members.insert(name, member);
            Ok(())
        })?;
    }
    let class = Class {
        version,
        checksum,
        members,
    };
    Ok((name, class))
}

/// A `TStreamerElement` of a kind, whose own class wraps the one that all have.
fn member(reader: &mut Reader<'_>, class: &str) -> Result<(String, Member), String> {
    if class != "TStreamerElement" {
        reader.header()?;
    }
    reader.header()?;
    let (name, title) = reader.named()?;
    // type, size, numbers of an array, dimensions, the largest index of each of five
    reader.cursor.skip(12)?;
    let is_array = reader.cursor.i32()? != 0;
    reader.cursor.skip(20)?;
    let type_name = reader.cursor.text()?;
    let member = Member {
        title,
        type_name,
        is_array,
    };
    Ok((name, member))
}
