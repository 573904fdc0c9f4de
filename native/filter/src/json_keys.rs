//! The keys under which an index keeps what JSON documents hold: where a value lies below the path of the index, its
//! type, and the value in bytes that sort like it. A condition on a path is then a range of keys.
//!
//! A step to a member is `2`, its name with 0 bytes written as `0 1`, and `0 0`; to an element `3` and its number;
//! to any element `4`. A value is one of the tags below and its bytes; the tag alone says that something is there
//! that the index was not asked to keep.

use crate::json::{Json, Number, Step, elements, find, members, unescape};
use crate::node::Literal;
use crate::source::BytesSlice;
use elanus_index::scalar::JsonSource;
use elanus_rows::error::{NativeError, Result};
use std::borrow::Cow;
use std::collections::HashSet;

const MEMBER: u8 = 2;
const ELEMENT: u8 = 3;
const ANY_ELEMENT: u8 = 4;

pub(crate) const NULL: u8 = 0x10;
pub(crate) const BOOL: u8 = 0x11;
pub(crate) const NUMBER: u8 = 0x12;
pub(crate) const TEXT: u8 = 0x13;
pub(crate) const ARRAY: u8 = 0x14;
pub(crate) const OBJECT: u8 = 0x15;

/// Deeper values are not indexed, and longer paths not looked up.
const DEPTH_MAX: usize = 64;
/// A numeric step leads to an element or to a member spelled like it: the ways double with each.
const WAYS_MAX: usize = 16;
/// From here on integers share their doubles.
const EXACT_MAX: u64 = 1 << 53;

/// What an index keeps of the values at its path (contract/indexes.md 23).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// Values of that type; numbers are doubles.
    Value(ValueType),
    /// Elements of that type of the array at the path.
    Elements(ValueType),
    /// Doubles; a text that spells a number is that number (`STRING_TO_DOUBLE`).
    Parsed,
    /// All that lies at the path and below.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    Bool,
    Double,
    Varchar,
}

impl ValueType {
    fn tag(self) -> u8 {
        match self {
            Self::Bool => BOOL,
            Self::Double => NUMBER,
            Self::Varchar => TEXT,
        }
    }
}

impl Cast {
    /// By Milvus's name of the type, or of the function that casts to it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let value = |name| match name {
            "BOOL" => Some(ValueType::Bool),
            "DOUBLE" => Some(ValueType::Double),
            "VARCHAR" => Some(ValueType::Varchar),
            _ => None,
        };
        match name.strip_prefix("ARRAY_") {
            Some(element) => value(element).map(Self::Elements),
            None if name == "JSON" => Some(Self::Json),
            None if name == "STRING_TO_DOUBLE" => Some(Self::Parsed),
            None => value(name).map(Self::Value),
        }
    }

    /// Whether values with this tag are kept at the path, not only noted.
    pub(crate) fn keeps(self, tag: u8) -> bool {
        match self {
            Self::Value(own) => own.tag() == tag,
            Self::Elements(_) => false,
            Self::Parsed => tag == NUMBER,
            Self::Json => true,
        }
    }

    /// Whether elements with this tag of an array at the path are kept.
    pub(crate) fn keeps_elements(self, tag: u8) -> bool {
        match self {
            Self::Value(_) | Self::Parsed => false,
            Self::Elements(own) => own.tag() == tag,
            Self::Json => true,
        }
    }
}

/// Where an index begins in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath(pub(crate) Vec<Step>);

impl JsonPath {
    /// Reads a JSON array of names and numbers.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Json::Array(array) = find(text.as_bytes(), &[])? else { return None };
        let step = |step| match step {
            Json::Text(name) => Some(Step::Key(String::from_utf8(unescape(name).into_owned()).ok()?.into())),
            Json::Number(Number::Int(number)) => {
                let number = usize::try_from(number).ok()?;
                Some(Step::Index { number, spelled: number.to_string().into() })
            }
            _ => None,
        };
        elements(array).map(step).collect::<Option<_>>().map(Self)
    }
}

/// The keys of many documents, row after row.
#[derive(Debug)]
pub struct JsonKeys {
    /// The keys of row i are `rows[i]..rows[i + 1]`.
    pub rows: Vec<u64>,
    /// Key i is `data[offsets[i]..offsets[i + 1]]`.
    pub offsets: Vec<u64>,
    pub data: Vec<u8>,
    /// Every number in them is its own double.
    pub exact: bool,
}

impl JsonKeys {
    /// The keys of the documents that `is_valid` names.
    #[must_use]
    pub fn of(documents: BytesSlice<'_>, is_valid: impl Fn(usize) -> bool, path: &JsonPath, cast: Cast) -> Self {
        let mut keys = Walk { keys: Self::empty(), prefix: Vec::new() };
        for row in 0..documents.offsets.len() - 1 {
            let value = if is_valid(row) { find(documents.get(row), &path.0) } else { None };
            match (value, cast) {
                (None, _) => {}
                (Some(value), Cast::Json) => keys.whole(value, 0),
                (Some(Json::Array(array)), Cast::Elements(_)) => {
                    keys.tag(ARRAY);
                    keys.any_elements(array, cast);
                }
                (Some(Json::Text(raw)), Cast::Parsed) => match parsed(raw) {
                    Some(number) => keys.value(Json::Number(Number::Float(number))),
                    None => keys.tag(TEXT),
                },
                (Some(value), cast) if cast.keeps(tag_of(value)) => keys.value(value),
                (Some(value), _) => keys.tag(tag_of(value)),
            }
            keys.keys.end_row();
        }
        keys.keys
    }

    /// The texts at the path themselves, for an index over runs of their characters.
    #[must_use]
    pub fn texts(documents: BytesSlice<'_>, is_valid: impl Fn(usize) -> bool, path: &JsonPath) -> Self {
        let mut texts = Self::empty();
        for row in 0..documents.offsets.len() - 1 {
            if let Some(Json::Text(raw)) = find(documents.get(row), &path.0).filter(|_| is_valid(row)) {
                texts.push(&unescape(raw), &[]);
            }
            texts.end_row();
        }
        texts
    }

    fn empty() -> Self {
        Self { rows: vec![0], offsets: vec![0], data: Vec::new(), exact: true }
    }

    fn push(&mut self, head: &[u8], tail: &[u8]) {
        self.data.extend(head);
        self.data.extend(tail);
        self.offsets.push(self.data.len() as u64);
    }

    fn end_row(&mut self) {
        self.rows.push(self.offsets.len() as u64 - 1);
    }
}

fn tag_of(value: Json<'_>) -> u8 {
    match value {
        Json::Null => NULL,
        Json::Bool(_) => BOOL,
        Json::Number(_) => NUMBER,
        Json::Text(_) => TEXT,
        Json::Array(_) => ARRAY,
        Json::Object(_) => OBJECT,
    }
}

/// The finite number that a text spells.
fn parsed(raw: &[u8]) -> Option<f64> {
    let text = unescape(raw);
    let number: f64 = std::str::from_utf8(&text).ok()?.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

struct Walk {
    keys: JsonKeys,
    /// Steps to where the walk stands.
    prefix: Vec<u8>,
}

impl Walk {
    fn tag(&mut self, tag: u8) {
        self.keys.push(&self.prefix, &[tag]);
    }

    fn value(&mut self, value: Json<'_>) {
        let mut bytes = vec![tag_of(value)];
        match value {
            Json::Bool(value) => bytes.push(u8::from(value)),
            Json::Number(number) => {
                self.keys.exact &= is_exact(number);
                bytes.extend(number_bytes(number.as_f64()));
            }
            Json::Text(raw) => bytes.extend(&*unescape(raw)),
            Json::Null | Json::Array(_) | Json::Object(_) => {}
        }
        self.keys.push(&self.prefix, &bytes);
    }

    fn any_elements(&mut self, array: &[u8], cast: Cast) {
        let length = self.prefix.len();
        self.prefix.push(ANY_ELEMENT);
        for element in elements(array) {
            if matches!(element, Json::Bool(_) | Json::Number(_) | Json::Text(_))
                && cast.keeps_elements(tag_of(element))
            {
                self.value(element);
            }
        }
        self.prefix.truncate(length);
    }

    /// A value and all that lies below it.
    fn whole(&mut self, value: Json<'_>, depth: usize) {
        self.value(value);
        if depth == DEPTH_MAX {
            return;
        }
        let length = self.prefix.len();
        match value {
            Json::Object(object) => {
                let mut seen: HashSet<Cow<'_, [u8]>> = HashSet::new();
                for (name, member) in members(object) {
                    let name = unescape(name);
                    // The first of equal names counts.
                    if seen.insert(name.clone()) {
                        put_member(&mut self.prefix, &name);
                        self.whole(member, depth + 1);
                        self.prefix.truncate(length);
                    }
                }
            }
            Json::Array(array) => {
                self.any_elements(array, Cast::Json);
                for (number, element) in elements(array).enumerate() {
                    put_element(&mut self.prefix, number);
                    self.whole(element, depth + 1);
                    self.prefix.truncate(length);
                }
            }
            _ => {}
        }
    }
}

fn put_member(key: &mut Vec<u8>, name: &[u8]) {
    key.push(MEMBER);
    for &byte in name {
        key.push(byte);
        if byte == 0 {
            key.push(1);
        }
    }
    key.extend([0, 0]);
}

fn put_element(key: &mut Vec<u8>, number: usize) {
    key.push(ELEMENT);
    key.extend((number as u64).to_be_bytes());
}

fn is_exact(number: Number) -> bool {
    match number {
        Number::Int(value) => value.unsigned_abs() < EXACT_MAX,
        Number::Float(_) => true,
    }
}

/// Bytes that sort like the numbers; `-0` is `0`.
fn number_bytes(value: f64) -> [u8; 8] {
    let bits = (value + 0.0).to_bits();
    let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
    ordered.to_be_bytes()
}

/// What a key says of a constant: its tag and its bytes. `None` for arrays.
pub(crate) fn literal_bytes(literal: &Literal) -> Option<(u8, Vec<u8>)> {
    Some(match literal {
        Literal::Bool(value) => (BOOL, vec![u8::from(*value)]),
        Literal::Int(value) => (NUMBER, number_bytes(*value as f64).to_vec()),
        Literal::Float(value) => (NUMBER, number_bytes(*value).to_vec()),
        Literal::Text(text) => (TEXT, text.to_vec()),
        Literal::Array(_) => return None,
    })
}

/// An index' own path and what it keeps there.
pub(crate) struct Origin {
    path: JsonPath,
    pub cast: Cast,
}

impl Origin {
    /// # Errors
    /// The index was made by a newer version.
    pub fn of(source: &JsonSource) -> Result<Self> {
        let unknown = || NativeError::Internal(format!("unknown JSON index {} {}", source.path, source.cast));
        let path = JsonPath::parse(&source.path).ok_or_else(unknown)?;
        Ok(Self { path, cast: Cast::from_name(&source.cast).ok_or_else(unknown)? })
    }

    /// The beginnings of the keys of what lies at `steps`; `None` when the index does not reach there.
    pub fn prefixes(&self, steps: &[Step]) -> Option<Vec<Vec<u8>>> {
        let below = steps.strip_prefix(self.path.0.as_slice())?;
        if below.len() > DEPTH_MAX || (self.cast != Cast::Json && !below.is_empty()) {
            return None;
        }
        let mut prefixes = vec![Vec::new()];
        for step in below {
            let (name, number) = match step {
                Step::Key(name) => (name, None),
                Step::Index { number, spelled } => (spelled, Some(*number)),
            };
            let by_number = number.map(|number| prefixes.iter().map(move |way: &Vec<u8>| (way.clone(), number)));
            let mut elements: Vec<Vec<u8>> = by_number
                .into_iter()
                .flatten()
                .map(|(mut way, number)| {
                    put_element(&mut way, number);
                    way
                })
                .collect();
            prefixes.iter_mut().for_each(|way| put_member(way, name.as_bytes()));
            prefixes.append(&mut elements);
            if prefixes.len() > WAYS_MAX {
                return None;
            }
        }
        Some(prefixes)
    }
}

/// The beginning of the keys of any element of the array under `prefix`.
pub(crate) fn any_element(prefix: &[u8]) -> Vec<u8> {
    [prefix, &[ANY_ELEMENT]].concat()
}
