//! Reads one path out of JSON text without building a tree. Stored text was checked at insert; text that is not
//! JSON after all reads as missing, never as an error.

use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(Box<str>),
    /// An element of an array; of an object the key spelled that way.
    Index {
        number: usize,
        spelled: Box<str>,
    },
}

/// A value inside the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    /// Between the quotes, escapes not resolved.
    Text(&'a [u8]),
    /// From the opening bracket on, to the end of the document.
    Array(&'a [u8]),
    Object(&'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    /// Fractions, exponents, and integers beyond int64.
    Float(f64),
}

impl Number {
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// The value at `steps`, if the path resolves.
pub(crate) fn find<'a>(document: &'a [u8], steps: &[Step]) -> Option<Json<'a>> {
    let mut cursor = Cursor { bytes: document, at: 0 };
    cursor.skip_space();
    for step in steps {
        match (cursor.peek()?, step) {
            (b'{', Step::Key(key)) => cursor.enter_object(key)?,
            (b'{', Step::Index { spelled, .. }) => cursor.enter_object(spelled)?,
            (b'[', Step::Index { number, .. }) => cursor.enter_array(*number)?,
            _ => return None,
        }
    }
    cursor.value()
}

/// The elements of `Json::Array`.
pub(crate) fn elements(array: &[u8]) -> Elements<'_> {
    Elements { cursor: Cursor { bytes: array, at: 1 }, first: true }
}

pub(crate) struct Elements<'a> {
    cursor: Cursor<'a>,
    first: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        self.cursor.skip_space();
        if self.cursor.peek()? == b']' {
            return None;
        }
        if !self.first {
            self.cursor.expect(b',')?;
            self.cursor.skip_space();
        }
        self.first = false;
        let value = Cursor { ..self.cursor }.value()?;
        self.cursor.skip_value()?;
        Some(value)
    }
}

/// The members of `Json::Object`: names with their escapes not resolved, and values. A name may come twice.
pub(crate) fn members(object: &[u8]) -> Members<'_> {
    Members { cursor: Cursor { bytes: object, at: 1 }, first: true }
}

pub(crate) struct Members<'a> {
    cursor: Cursor<'a>,
    first: bool,
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.skip_space();
        if self.cursor.peek()? == b'}' {
            return None;
        }
        if !self.first {
            self.cursor.expect(b',')?;
            self.cursor.skip_space();
        }
        self.first = false;
        let name = self.cursor.string()?;
        self.cursor.skip_space();
        self.cursor.expect(b':')?;
        self.cursor.skip_space();
        let value = Cursor { ..self.cursor }.value()?;
        self.cursor.skip_value()?;
        Some((name, value))
    }
}

/// Text with its escapes resolved.
pub(crate) fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'\\') {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        if raw[at] == b'\\' {
            at += unescape_one(&raw[at..], &mut out);
        } else {
            out.push(raw[at]);
            at += 1;
        }
    }
    Cow::Owned(out)
}

/// Writes the character of the escape at the start of `raw` and returns its width.
fn unescape_one(raw: &[u8], out: &mut Vec<u8>) -> usize {
    let simple = match raw.get(1) {
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b'r') => b'\r',
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'u') => return unescape_unicode(raw, out),
        Some(&other) => other,
        None => return 1,
    };
    out.push(simple);
    2
}

fn unescape_unicode(raw: &[u8], out: &mut Vec<u8>) -> usize {
    let unit = |from: usize| {
        let hex = std::str::from_utf8(raw.get(from..from + 4)?).ok()?;
        u32::from_str_radix(hex, 16).ok()
    };
    let Some(high) = unit(2) else { return raw.len() };
    let low = (raw.get(6..8) == Some(b"\\u")).then(|| unit(8)).flatten();
    let (code, width) = match low {
        Some(low) if (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low) => {
            (0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12)
        }
        _ => (high, 6),
    };
    let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    width
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Moves to the value of `key`; the first of equal keys counts.
    fn enter_object(&mut self, key: &str) -> Option<()> {
        self.expect(b'{')?;
        loop {
            self.skip_space();
            let name = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            if name == key.as_bytes() || (name.contains(&b'\\') && *unescape(name) == *key.as_bytes()) {
                return Some(());
            }
            self.skip_value()?;
            self.skip_space();
            self.expect(b',')?;
        }
    }

    fn enter_array(&mut self, index: usize) -> Option<()> {
        self.expect(b'[')?;
        self.skip_space();
        for _ in 0..index {
            self.skip_value()?;
            self.skip_space();
            self.expect(b',')?;
            self.skip_space();
        }
        (self.peek()? != b']').then_some(())
    }

    /// Reads a string and returns what is between the quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let offset = memchr::memchr2(b'"', b'\\', self.bytes.get(self.at..)?)?;
            self.at += offset;
            if self.bytes[self.at] == b'"' {
                self.at += 1;
                return self.bytes.get(start..self.at - 1);
            }
            self.at += 2;
        }
    }

    fn word_end(&self) -> usize {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| matches!(b, b',' | b']' | b'}' | b':' | b' ' | b'\n' | b'\r' | b'\t'));
        self.at + length.unwrap_or(rest.len())
    }

    /// Skips any value; nesting costs a counter, not the stack.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ => {
                    let end = self.word_end();
                    if end == self.at {
                        return None;
                    }
                    self.at = end;
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn value(mut self) -> Option<Json<'a>> {
        Some(match self.peek()? {
            b'"' => Json::Text(self.string()?),
            b'{' => Json::Object(&self.bytes[self.at..]),
            b'[' => Json::Array(&self.bytes[self.at..]),
            _ => match &self.bytes[self.at..self.word_end()] {
                b"null" => Json::Null,
                b"true" => Json::Bool(true),
                b"false" => Json::Bool(false),
                word => Json::Number(number(word)?),
            },
        })
    }
}

fn number(word: &[u8]) -> Option<Number> {
    let text = std::str::from_utf8(word).ok()?;
    if !word.first().is_some_and(|b| b.is_ascii_digit() || *b == b'-') {
        return None;
    }
    if let Ok(value) = text.parse() {
        return Some(Number::Int(value));
    }
    text.parse().ok().map(Number::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn key(k: &str) -> Step {
        Step::Key(k.into())
    }

    fn index(i: usize) -> Step {
        Step::Index { number: i, spelled: i.to_string().into() }
    }

    fn show(json: Option<Json<'_>>) -> Option<Value> {
        Some(match json? {
            Json::Null => Value::Null,
            Json::Bool(b) => b.into(),
            Json::Number(Number::Int(i)) => i.into(),
            Json::Number(Number::Float(f)) => f.into(),
            Json::Text(raw) => String::from_utf8(unescape(raw).into_owned()).unwrap().into(),
            Json::Array(bytes) => Value::Array(elements(bytes).map(|e| show(Some(e)).unwrap()).collect()),
            Json::Object(bytes) => {
                let mut stream = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
                stream.next().unwrap().unwrap()
            }
        })
    }

    #[test]
    fn paths() {
        let text = br#" {"a" : {"b":[1, {"c":"x\n\u4e2d\ud83d\ude00"}, null]}, "\u0061a":2, "0":3, "e":1e3,
            "big":9223372036854775808}"#;
        let at = |steps: &[Step]| show(find(text, steps));
        assert_eq!(at(&[key("a"), key("b"), index(0)]), Some(1.into()));
        assert_eq!(at(&[key("a"), key("b"), index(1), key("c")]), Some("x\n中😀".into()));
        assert_eq!(at(&[key("a"), key("b"), index(2)]), Some(Value::Null));
        assert_eq!(at(&[key("a"), key("b"), index(3)]), None);
        assert_eq!(at(&[key("aa")]), Some(2.into()));
        assert_eq!(at(&[index(0)]), Some(3.into()));
        assert_eq!(at(&[key("e")]), Some(1000.0.into()));
        assert_eq!(at(&[key("big")]), Some(9_223_372_036_854_775_808.0.into()));
        assert_eq!(at(&[key("a"), key("x")]), None);
        assert_eq!(find(b"[]", &[index(0)]), None);
        assert_eq!(find(b"{}", &[key("a")]), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            // Eighths: a JSON library without exact float reading agrees on them.
            (-1_000_000i64..1_000_000).prop_map(|v| Value::from(v as f64 / 8.0)),
            "[a-c\"\\\\\n中]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c\"\n]{0,2}", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    /// Every path of a document, with what a JSON library says lies there.
    fn walk(value: &Value, path: &mut Vec<Step>, out: &mut Vec<(Vec<Step>, Value)>) {
        out.push((path.clone(), value.clone()));
        let children: Vec<(Step, &Value)> = match value {
            Value::Array(items) => items.iter().enumerate().map(|(i, v)| (index(i), v)).collect(),
            Value::Object(map) => map.iter().map(|(k, v)| (key(k), v)).collect(),
            _ => Vec::new(),
        };
        for (step, child) in children {
            path.push(step);
            walk(child, path, out);
            path.pop();
        }
    }

    proptest! {
        #[test]
        fn every_path_is_found(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            let mut paths = Vec::new();
            walk(&value, &mut Vec::new(), &mut paths);
            for (path, expected) in paths {
                prop_assert_eq!(show(find(&text, &path)), Some(expected));
                let mut beyond = path;
                beyond.push(key("zz"));
                prop_assert_eq!(find(&text, &beyond), None);
            }
        }

        #[test]
        fn damaged_text_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60), i in 0usize..3) {
            for steps in [vec![], vec![key("a")], vec![index(i)], vec![key(""), index(i)]] {
                if let Some(Json::Array(array)) = find(&bytes, &steps) {
                    let _ = elements(array).count();
                }
            }
            let _ = unescape(&bytes);
        }
    }
}
