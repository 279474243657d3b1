//! ROOT files from their parts, byte by byte: right as they come, and wrong in whatever way a test
//! makes them.

use twox_hash::XxHash3_64;

/// Where the first folder's record is, and the first object behind it.
const FOLDER: u32 = 64;
const OBJECTS: usize = 128;
/// Marks a length; a class that is written for the first time.
const LENGTH: u32 = 0x4000_0000;
const NEW_CLASS: u32 = 0xffff_ffff;

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn be(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// A number as `i32`, cut off.
fn int(number: i64) -> [u8; 4] {
    be(number as u32)
}

/// A text behind its length.
fn text(text: &str) -> Vec<u8> {
    match u8::try_from(text.len()) {
        Ok(length) if length < 255 => joined(&[&[length], text.as_bytes()]),
        _ => joined(&[&[255], &be(text.len() as u32), text.as_bytes()]),
    }
}

/// What a class wrote, behind its length and version.
pub fn class(version: u16, content: &[u8]) -> Vec<u8> {
    let length = LENGTH | (content.len() as u32 + 2);
    joined(&[&be(length), &version.to_be_bytes(), content])
}

/// The base of objects.
const OBJECT: [u8; 10] = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The base of objects with a name.
fn named(name: &str, title: &str) -> Vec<u8> {
    class(1, &joined(&[&OBJECT, &text(name), &text(title)]))
}

/// A pointer to an object that is here for the first time.
fn pointer(name: &str, object: &[u8]) -> Vec<u8> {
    let content = joined(&[&be(NEW_CLASS), name.as_bytes(), &[0], object]);
    joined(&[&be(LENGTH | content.len() as u32), &content])
}

/// An array of objects, which says to have so many.
fn array(objects: &[Vec<u8>], count: i64) -> Vec<u8> {
    let content = [&OBJECT[..], &[0], &int(count), &[0; 4], &objects.concat()];
    class(3, &content.concat())
}

/// What stands before an object, in an old file and without a folder around.
#[derive(Clone)]
pub struct Key {
    pub class: String,
    pub name: String,
    pub cycle: u16,
    /// In place of what they are.
    pub length: Option<i64>,
    pub header: Option<u16>,
    pub unpacked: Option<i64>,
    pub place: Option<i64>,
}

impl Key {
    pub fn new(class: &str, name: &str) -> Self {
        Self {
            class: class.to_owned(),
            name: name.to_owned(),
            cycle: 1,
            length: None,
            header: None,
            unpacked: None,
            place: None,
        }
    }

    /// The key of an object of a length at a place, with so many bytes of its own behind it.
    fn bytes(&self, place: usize, object: usize, more: usize) -> Vec<u8> {
        let texts = [text(&self.class), text(&self.name), text("")].concat();
        let header = 26 + texts.len() + more;
        let length = self.length.unwrap_or((header + object) as i64);
        let [length, unpacked, place] = [
            length,
            self.unpacked.unwrap_or(object as i64),
            self.place.unwrap_or(place as i64),
        ]
        .map(int);
        let header = self.header.unwrap_or(header as u16).to_be_bytes();
        let cycle = self.cycle.to_be_bytes();
        joined(&[
            &length,
            &[0, 4],
            &unpacked,
            &[0; 4],
            &header,
            &cycle,
            &place,
            &be(FOLDER),
            &texts,
        ])
    }
}

/// The bytes of a file on the way.
pub struct File {
    bytes: Vec<u8>,
    keys: Vec<Vec<u8>>,
    /// In place of how many keys there are.
    pub count: Option<i64>,
    /// In place of where their list is, and how long.
    pub list: Option<[i64; 2]>,
    /// Where the descriptions of classes are, and how long.
    pub described: [i64; 2],
}

impl Default for File {
    fn default() -> Self {
        Self {
            bytes: vec![0; OBJECTS],
            keys: Vec::new(),
            count: None,
            list: None,
            described: [0; 2],
        }
    }
}

impl File {
    /// Adds bytes; where they are.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        self.bytes.extend(bytes);
        self.bytes.len() - bytes.len()
    }

    /// Adds an object, in the list of the only folder.
    pub fn object(&mut self, key: &Key, object: &[u8]) {
        let key = key.bytes(self.bytes.len(), object.len(), 0);
        self.put(&key);
        self.put(object);
        self.keys.push(key);
    }

    /// Adds the list of descriptions of classes.
    fn describe(&mut self, classes: &[Class]) {
        let classes: Vec<Vec<u8>> = classes.iter().map(Class::bytes).collect();
        let count = int(classes.len() as i64);
        let list = [&OBJECT[..], &[0], &count, &classes.concat()].concat();
        let list = class(5, &list);
        let key = Key::new("TList", "StreamerInfo").bytes(self.bytes.len(), list.len(), 0);
        let place = self.put(&joined(&[&key, &list])) as i64;
        self.described = [place, (key.len() + list.len()) as i64];
    }

    pub fn finish(mut self) -> Vec<u8> {
        let count = self.count.unwrap_or(self.keys.len() as i64);
        let list = joined(&[&int(count), &self.keys.concat()]);
        let key = Key::new("TFile", "").bytes(self.bytes.len(), list.len(), 0);
        let list = joined(&[&key, &list]);
        let place = self.put(&list);
        let [place, length] = self
            .list
            .unwrap_or([place as i64, list.len() as i64])
            .map(int);
        let described = self.described.map(int).concat();
        let begin = [&b"root"[..], &be(61800), &be(FOLDER), &[0; 25], &described].concat();
        self.bytes[..begin.len()].copy_from_slice(&begin);
        let record = [&[0, 5][..], &[0; 8], &length, &[0; 12], &place].concat();
        let at = FOLDER as usize;
        self.bytes[at..at + record.len()].copy_from_slice(&record);
        self.bytes
    }
}

/// A tree with its baskets; right as it is made, of three entries.
#[derive(Clone)]
pub struct Tree {
    pub version: u16,
    pub entries: u64,
    pub branches: Vec<Branch>,
    /// In place of how many branches there are.
    pub count: Option<i64>,
    pub classes: Vec<Class>,
}

/// A class as the file describes it.
#[derive(Clone)]
pub struct Class {
    pub name: String,
    pub version: i32,
    pub checksum: u32,
    pub members: Vec<Member>,
}

#[derive(Clone)]
pub struct Member {
    pub name: String,
    pub title: String,
    pub type_name: String,
    /// Of an array.
    pub dimensions: i32,
}

#[derive(Clone)]
pub struct Branch {
    pub class: String,
    pub version: u16,
    pub name: String,
    pub entries: u64,
    pub leaves: Vec<Leaf>,
    pub baskets: Vec<Basket>,
    /// Baskets that were written, in place of how many there are; room for them.
    pub written: Option<i64>,
    pub room: Option<i64>,
    pub branches: Vec<Branch>,
    /// Class, kind and streamer's code of a member.
    pub element: Option<(String, i32, i32)>,
    /// The last baskets, which are not in the file but in the tree.
    pub in_tree: Vec<Basket>,
}

#[derive(Clone)]
pub struct Leaf {
    pub class: String,
    pub title: String,
    pub length: i32,
    /// What points to the leaf that counts it.
    pub counted: u32,
}

#[derive(Clone)]
pub struct Basket {
    pub first: u64,
    pub entries: i64,
    /// The numbers, and behind them the places of entries.
    pub bytes: Vec<u8>,
    pub border: i64,
    pub key: Key,
    /// In place of where it is, and how long.
    pub place: Option<u64>,
    pub length: Option<i64>,
}

/// Big-endian floats.
pub fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_be_bytes()).collect()
}

impl Tree {
    /// `x`, a number, and `jet`, a list of 2, 0 and 1 numbers.
    pub fn new() -> Self {
        let x = Branch::new("x", "TLeafF", floats(&[1.0, 2.0, 3.0]), None);
        let mut jet = Branch::new("jet", "TLeafF", floats(&[1.0, 2.0, 3.0]), Some([0, 8, 8]));
        jet.leaves[0].counted = 2;
        Self {
            version: 18,
            entries: 3,
            branches: vec![x, jet],
            count: None,
            classes: Vec::new(),
        }
    }

    /// As the only object of a file.
    pub fn file(&self) -> Vec<u8> {
        let mut file = File::default();
        let object = self.object(&mut file);
        file.object(&Key::new("TTree", "Events"), &object);
        if !self.classes.is_empty() {
            file.describe(&self.classes);
        }
        file.finish()
    }

    /// With its baskets in a file.
    pub fn object(&self, file: &mut File) -> Vec<u8> {
        let branches: Vec<Vec<u8>> = self.branches.iter().map(|b| b.bytes(file)).collect();
        let count = self.count.unwrap_or(branches.len() as i64);
        let looks = [class(1, &[]), class(1, &[]), class(1, &[])].concat();
        let settings = [0; 40 + 12 + 4 + 48];
        let content = [
            &named("Events", "")[..],
            &looks,
            &self.entries.to_be_bytes(),
            &settings,
            &array(&branches, count),
        ];
        class(self.version, &content.concat())
    }
}

impl Class {
    /// In a list.
    fn bytes(&self) -> Vec<u8> {
        let members: Vec<Vec<u8>> = self.members.iter().map(Member::bytes).collect();
        let members = pointer("TObjArray", &array(&members, members.len() as i64));
        let numbers = [be(self.checksum), self.version.to_be_bytes()].concat();
        let all = joined(&[&named(&self.name, ""), &numbers, &members]);
        joined(&[&pointer("TStreamerInfo", &class(9, &all)), &[0]])
    }
}

impl Member {
    fn bytes(&self) -> Vec<u8> {
        let numbers = [500, 24, 0, self.dimensions, 0, 0, 0, 0, 0].map(i32::to_be_bytes);
        let texts = (named(&self.name, &self.title), text(&self.type_name));
        let all = class(4, &joined(&[&texts.0, &numbers.concat(), &texts.1]));
        pointer("TStreamerSTL", &class(3, &joined(&[&all, &[0; 8]])))
    }
}

impl Branch {
    /// Of three entries in a basket: bytes, and where each entry begins if that is written.
    pub fn new(name: &str, class: &str, mut bytes: Vec<u8>, places: Option<[u32; 3]>) -> Self {
        let key = Key::new("TBasket", name);
        let border = bytes.len() as i64;
        if let Some(places) = places {
            // from the key's beginning on, which has 19 bytes of the basket's own
            let header = key.bytes(0, 0, 19).len() as u32 + 19;
            bytes.extend(be(4));
            bytes.extend(places.iter().flat_map(|place| be(place + header)));
            bytes.extend(be(0));
        }
        let basket = Basket {
            first: 0,
            entries: 3,
            bytes,
            border,
            key,
            place: None,
            length: None,
        };
        let leaf = Leaf {
            class: class.to_owned(),
            title: name.to_owned(),
            length: 1,
            counted: 0,
        };
        Self {
            class: "TBranch".to_owned(),
            version: 12,
            name: name.to_owned(),
            entries: 3,
            leaves: vec![leaf],
            baskets: vec![basket],
            written: None,
            room: None,
            branches: Vec::new(),
            element: None,
            in_tree: Vec::new(),
        }
    }

    fn bytes(&self, file: &mut File) -> Vec<u8> {
        let [mut lengths, mut firsts, mut places] = [(); 3].map(|()| vec![0]);
        for basket in &self.baskets {
            let (place, length) = basket.put(file);
            lengths.extend(int(basket.length.unwrap_or(length as i64)));
            firsts.extend(basket.first.to_be_bytes());
            places.extend(basket.place.unwrap_or(place as u64).to_be_bytes());
        }
        let count = self.baskets.len() as i64;
        for basket in &self.in_tree {
            lengths.extend([0; 4]);
            firsts.extend(basket.first.to_be_bytes());
            places.extend([0; 8]);
        }
        let room = count + self.in_tree.len() as i64;
        let inside: Vec<Vec<u8>> = self.branches.iter().map(|b| b.bytes(file)).collect();
        let leaves: Vec<Vec<u8>> = self.leaves.iter().map(Leaf::bytes).collect();
        let in_tree: Vec<Vec<u8>> = self.in_tree.iter().map(Basket::object).collect();
        let content = [
            &named(&self.name, "")[..],
            &class(1, &[]),
            &[0; 12],
            &int(self.written.unwrap_or(count)),
            &self.entries.to_be_bytes(),
            &[0; 4],
            &int(self.room.unwrap_or(room)),
            &[0; 4],
            &self.entries.to_be_bytes(),
            &[0; 24],
            &array(&inside, inside.len() as i64),
            &array(&leaves, leaves.len() as i64),
            &array(&in_tree, in_tree.len() as i64),
            &lengths,
            &firsts,
            &places,
        ];
        let base = class(self.version, &content.concat());
        let object = match &self.element {
            None if self.class == "TBranch" => base,
            None => class(1, &base),
            Some((name, kind, streamer)) => {
                let words = [text(name), text(""), text("")].concat();
                let numbers = [kind.to_be_bytes(), streamer.to_be_bytes()].concat();
                class(10, &joined(&[&base, &words, &[0; 10], &numbers, &[0; 12]]))
            }
        };
        pointer(&self.class, &object)
    }
}

impl Leaf {
    fn bytes(&self) -> Vec<u8> {
        let title = self.title.as_str();
        let name = title.split('[').next().unwrap_or_default();
        let content = [
            &named(name, title)[..],
            &self.length.to_be_bytes(),
            &[0; 10],
            &be(self.counted),
        ];
        pointer(&self.class, &class(1, &class(2, &content.concat())))
    }
}

impl Basket {
    /// What stands before its entries, the last byte of which says how it goes on.
    fn header(&self, place: usize, flags: u8) -> Vec<u8> {
        let key = self.key.bytes(place, self.bytes.len(), 19);
        let border = self.border + key.len() as i64 + 19;
        let own = [
            &[0, 2][..],
            &be(32000),
            &be(1000),
            &int(self.entries),
            &int(border),
            &[flags],
        ];
        joined(&[&key, &own.concat()])
    }

    /// Where it is in the file, and its length.
    fn put(&self, file: &mut File) -> (usize, usize) {
        let place = file.bytes.len();
        file.put(&joined(&[&self.header(place, 0), &self.bytes]));
        (place, file.bytes.len() - place)
    }

    /// As an object in the tree: the places of entries come first, and before the entries as
    /// many bytes as the header has.
    fn object(&self) -> Vec<u8> {
        let border = usize::try_from(self.border).unwrap_or(0);
        let (entries, places) = self.bytes.split_at(border.min(self.bytes.len()));
        let header = self.header(0, if places.is_empty() { 12 } else { 11 });
        pointer("TBasket", &joined(&[&header, places, &header, entries]))
    }
}

/// An RNTuple; right as it is made, of three entries in a cluster.
#[derive(Clone)]
pub struct Ntuple {
    pub epoch: u16,
    pub features: u64,
    pub fields: Vec<Field>,
    pub columns: Vec<Column>,
    /// Column and field.
    pub aliases: Vec<[u32; 2]>,
    /// First entry and number of them, with what else the word holds.
    pub clusters: Vec<[u64; 2]>,
    /// Of every cluster the pages of every column.
    pub pages: Vec<Vec<Vec<Page>>>,
    /// How often the only list of pages is named.
    pub groups: usize,
    /// What is added to checksum, kind and length of the header, footer and list of pages.
    pub wrong: [[u64; 3]; 3],
    /// In place of how many fields there are.
    pub count: Option<u32>,
    /// What is added to the length of the frame of all fields.
    pub frame: i64,
    /// In place of the place, length and unpacked length of the footer.
    pub footer: [Option<u64>; 3],
}

#[derive(Clone)]
pub struct Field {
    pub parent: u32,
    pub role: u16,
    pub name: String,
    pub type_name: String,
    pub repeats: Option<u64>,
}

#[derive(Clone)]
pub struct Column {
    pub kind: u16,
    pub bits: u16,
    pub field: u32,
    /// 1 for elements that came later, with the first of them; 2 for a range.
    pub range: Option<[f64; 2]>,
    pub later: Option<i64>,
}

#[derive(Clone)]
pub struct Page {
    /// Negative with a checksum behind.
    pub elements: i32,
    pub bytes: Vec<u8>,
    /// In place of the length, whose sign tells the kind of place, and of the place.
    pub length: Option<i32>,
    pub place: Option<u64>,
}

/// A page of floats.
pub fn page(numbers: &[f32]) -> Page {
    let bytes = numbers.iter().flat_map(|x| x.to_le_bytes());
    Page {
        elements: numbers.len() as i32,
        bytes: bytes.collect(),
        length: None,
        place: None,
    }
}

/// A page of ends of lists.
pub fn ends(ends: &[u64]) -> Page {
    Page {
        elements: ends.len() as i32,
        bytes: ends.iter().flat_map(|x| x.to_le_bytes()).collect(),
        length: None,
        place: None,
    }
}

pub fn field(parent: u32, role: u16, name: &str, type_name: &str) -> Field {
    Field {
        parent,
        role,
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        repeats: None,
    }
}

pub fn column(field: u32, kind: u16, bits: u16) -> Column {
    Column {
        kind,
        bits,
        field,
        range: None,
        later: None,
    }
}

fn text_le(text: &str) -> Vec<u8> {
    joined(&[&(text.len() as u32).to_le_bytes(), text.as_bytes()])
}

/// A record behind its length.
fn record(content: &[u8]) -> Vec<u8> {
    joined(&[&(content.len() as u64 + 8).to_le_bytes(), content])
}

/// Items behind their length and number.
fn items(items: &[Vec<u8>], count: u32, more: i64) -> Vec<u8> {
    let content = items.concat();
    let length = -(content.len() as i64 + 12 + more);
    joined(&[&length.to_le_bytes(), &count.to_le_bytes(), &content])
}

fn all(list: &[Vec<u8>]) -> Vec<u8> {
    items(list, list.len() as u32, 0)
}

impl Ntuple {
    /// `x`, a number, and `jet`, a list of 2, 0 and 1 numbers.
    pub fn new() -> Self {
        Self {
            epoch: 1,
            features: 0,
            fields: vec![
                field(0, 0, "x", "float"),
                field(1, 1, "jet", "std::vector<float>"),
                field(1, 0, "_0", "float"),
            ],
            columns: vec![
                column(0, 0x0c, 32),
                column(1, 0x0f, 64),
                column(2, 0x0c, 32),
            ],
            aliases: Vec::new(),
            clusters: vec![[0, 3]],
            pages: vec![vec![
                vec![page(&[1.0, 2.0, 3.0])],
                vec![ends(&[2, 2, 3])],
                vec![page(&[4.0, 5.0, 6.0])],
            ]],
            groups: 1,
            wrong: [[0; 3]; 3],
            count: None,
            frame: 0,
            footer: [None; 3],
        }
    }

    /// As the only object of a file.
    pub fn file(&self) -> Vec<u8> {
        let mut file = File::default();
        let header = self.header();
        let header = self.envelope(0, &header);
        let header = (file.put(&header) as u64, header.len() as u64);
        let list = self.list(&mut file);
        let list = self.envelope(2, &list);
        let list = (file.put(&list) as u64, list.len() as u64);
        let nothing = all(&[]);
        let group = record(&joined(&[&[0; 20], &list.1.to_le_bytes(), &locator(list)]));
        let footer = [
            &self.features.to_le_bytes()[..],
            &[0; 8],
            &record(&nothing.repeat(4)),
            &all(&vec![group; self.groups]),
        ];
        let footer = self.envelope(1, &footer.concat());
        let footer = [file.put(&footer), footer.len(), footer.len()].map(|x| x as u64);
        let footer = [0, 1, 2].map(|k| self.footer[k].unwrap_or(footer[k]));
        let links = [
            header.0, header.1, header.1, footer[0], footer[1], footer[2],
        ];
        let links: Vec<u8> = links.iter().flat_map(|link| link.to_be_bytes()).collect();
        let anchor = [&self.epoch.to_be_bytes()[..], &[0; 6], &links, &[0; 16]];
        let anchor = class(2, &anchor.concat());
        file.object(&Key::new("ROOT::RNTuple", "Events"), &anchor);
        file.finish()
    }

    fn envelope(&self, number: usize, payload: &[u8]) -> Vec<u8> {
        let [sum, kind, length] = self.wrong[number];
        let whole = payload.len() as u64 + 16 + length;
        let first = whole << 16 | (number as u64 + 1 + kind);
        let bytes = joined(&[&first.to_le_bytes(), payload]);
        let sum = XxHash3_64::oneshot(&bytes).wrapping_add(sum);
        joined(&[&bytes, &sum.to_le_bytes()])
    }

    fn header(&self) -> Vec<u8> {
        let fields: Vec<Vec<u8>> = self.fields.iter().map(Field::bytes).collect();
        let columns: Vec<Vec<u8>> = self.columns.iter().map(Column::bytes).collect();
        let alias = |pair: &[u32; 2]| record(&pair.map(u32::to_le_bytes).concat());
        let aliases: Vec<Vec<u8>> = self.aliases.iter().map(alias).collect();
        let count = self.count.unwrap_or(fields.len() as u32);
        let texts = [text_le("Events"), text_le(""), text_le("")].concat();
        joined(&[
            &self.features.to_le_bytes(),
            &texts,
            &items(&fields, count, self.frame),
            &all(&columns),
            &all(&aliases),
            &all(&[]),
        ])
    }

    fn list(&self, file: &mut File) -> Vec<u8> {
        let summary = |cluster: &[u64; 2]| record(&cluster.map(u64::to_le_bytes).concat());
        let summaries: Vec<Vec<u8>> = self.clusters.iter().map(summary).collect();
        let mut clusters = Vec::new();
        for cluster in &self.pages {
            let mut columns = Vec::new();
            for pages in cluster {
                let pages: Vec<Vec<u8>> = pages.iter().map(|page| page.bytes(file)).collect();
                // the place of the first element and the codec come behind the pages
                let content = [pages.concat(), vec![0; 12]];
                columns.push(items(&content, pages.len() as u32, 0));
            }
            clusters.push(all(&columns));
        }
        joined(&[&[0; 8], &all(&summaries), &all(&clusters)])
    }
}

fn locator((place, length): (u64, u64)) -> Vec<u8> {
    joined(&[&(length as u32).to_le_bytes(), &place.to_le_bytes()])
}

impl Field {
    fn bytes(&self) -> Vec<u8> {
        let flags = u16::from(self.repeats.is_some());
        let texts = [self.name.as_str(), &self.type_name, "", ""].map(text_le);
        let repeats = self
            .repeats
            .map_or(Vec::new(), |n| n.to_le_bytes().to_vec());
        let numbers = [self.role.to_le_bytes(), flags.to_le_bytes()].concat();
        let parent = self.parent.to_le_bytes();
        record(&joined(&[
            &[0; 8],
            &parent,
            &numbers,
            &texts.concat(),
            &repeats,
        ]))
    }
}

impl Column {
    fn bytes(&self) -> Vec<u8> {
        let flags = u16::from(self.later.is_some()) | u16::from(self.range.is_some()) << 1;
        let later = self.later.map_or(Vec::new(), |n| n.to_le_bytes().to_vec());
        let range = self
            .range
            .map_or(Vec::new(), |r| r.map(f64::to_le_bytes).concat());
        let kind = [self.kind.to_le_bytes(), self.bits.to_le_bytes()].concat();
        let field = self.field.to_le_bytes();
        record(&joined(&[
            &kind,
            &field,
            &flags.to_le_bytes(),
            &[0; 2],
            &later,
            &range,
        ]))
    }
}

impl Page {
    fn bytes(&self, file: &mut File) -> Vec<u8> {
        let place = self.place.unwrap_or(file.put(&self.bytes) as u64);
        let length = self.length.unwrap_or(self.bytes.len() as i32);
        let [elements, length] = [self.elements, length].map(i32::to_le_bytes);
        joined(&[&elements, &length, &place.to_le_bytes()])
    }
}
