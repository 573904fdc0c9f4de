//! Geometries: WKT on the wire, WKB in columns (OGC 06-103r4, clauses 7 and 8), planar and two-dimensional.

use std::fmt::Write;

/// Little-endian byte order.
const NDR: u8 = 1;
/// Kinds by their WKB numbers, from 1 on.
const KINDS: [&str; 7] =
    ["POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION"];
const POINT: u32 = 1;
const LINE: u32 = 2;
const POLYGON: u32 = 3;
const MULTI_POINT: u32 = 4;
const MULTI_LINE: u32 = 5;
const MULTI_POLYGON: u32 = 6;
const COLLECTION: u32 = 7;
/// Geometries may stand in collections so deep; what a multi-geometry consists of stands one deeper.
const DEPTH_MAX: usize = 32;

/// The smallest rectangle around a geometry: from `min` to `max`, x first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    pub min: [f64; 2],
    pub max: [f64; 2],
}

impl Bounds {
    /// Around nothing: contains no point, and grows.
    pub const NONE: Self = Self { min: [f64::INFINITY; 2], max: [f64::NEG_INFINITY; 2] };

    pub fn add(&mut self, point: [f64; 2]) {
        let sides = self.min.iter_mut().zip(&mut self.max);
        for ((min, max), value) in sides.zip(point) {
            *min = min.min(value);
            *max = max.max(value);
        }
    }

    /// They share a point.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        (0..2).all(|axis| self.min[axis] <= other.max[axis] && other.min[axis] <= self.max[axis])
    }
}

/// The WKB of a geometry written as WKT.
///
/// # Errors
/// What is wrong with the text.
pub fn to_wkb(wkt: &str) -> Result<Vec<u8>, String> {
    let mut parser = Parser { text: wkt.as_bytes(), at: 0, out: Vec::with_capacity(wkt.len()) };
    parser.geometry(0)?;
    match parser.next() {
        None => Ok(parser.out),
        Some(_) => Err(parser.wrong("the end")),
    }
}

/// The WKT of a geometry in WKB; `None` when the bytes are none.
#[must_use]
pub fn to_wkt(wkb: &[u8]) -> Option<String> {
    let mut reader = WkbReader::new(wkb);
    let mut text = String::with_capacity(wkb.len());
    write_geometry(&mut reader, &mut text, 0)?;
    reader.is_at_end().then_some(text)
}

/// The rectangle around a geometry in WKB; `None` when it has no point, or when the bytes are none.
#[must_use]
pub fn bounds(wkb: &[u8]) -> Option<Bounds> {
    let mut bounds = Bounds::NONE;
    grow(&mut WkbReader::new(wkb), &mut bounds, 0)?;
    (bounds.min[0] <= bounds.max[0]).then_some(bounds)
}

fn grow(reader: &mut WkbReader<'_>, bounds: &mut Bounds, depth: usize) -> Option<()> {
    let kind = reader.kind(depth)?;
    match kind {
        POINT => {
            let point = reader.point()?;
            if !point[0].is_nan() {
                bounds.add(point);
            }
        }
        LINE => (0..reader.count()?).try_for_each(|_| reader.point().map(|point| bounds.add(point)))?,
        POLYGON => {
            for _ in 0..reader.count()? {
                (0..reader.count()?).try_for_each(|_| reader.point().map(|point| bounds.add(point)))?;
            }
        }
        _ => (0..reader.count()?).try_for_each(|_| grow(reader, bounds, depth + 1))?,
    }
    Some(())
}

/// The parts of a geometry in WKB as they stand there. Every method gives `None` at the end of the bytes.
#[derive(Clone, Debug)]
pub struct WkbReader<'a> {
    rest: &'a [u8],
}

impl<'a> WkbReader<'a> {
    #[must_use]
    pub fn new(wkb: &'a [u8]) -> Self {
        Self { rest: wkb }
    }

    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Byte order and kind of the next geometry, which stands in so many others: 1 point, 2 line, 3 polygon, 4 to 6
    /// several of them, 7 collection.
    pub fn kind(&mut self, depth: usize) -> Option<u32> {
        let [order] = self.take()?;
        let kind = u32::from_le_bytes(self.take()?);
        (order == NDR && depth <= DEPTH_MAX && (POINT..=COLLECTION).contains(&kind)).then_some(kind)
    }

    /// How many points, rings or geometries follow.
    pub fn count(&mut self) -> Option<usize> {
        Some(u32::from_le_bytes(self.take()?) as usize)
    }

    /// x and y; both NaN for the empty point.
    pub fn point(&mut self) -> Option<[f64; 2]> {
        Some([f64::from_le_bytes(self.take()?), f64::from_le_bytes(self.take()?)])
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }
}

fn write_geometry(reader: &mut WkbReader<'_>, text: &mut String, depth: usize) -> Option<()> {
    let kind = reader.kind(depth)?;
    text.push_str(KINDS[kind as usize - 1]);
    text.push(' ');
    write_body(reader, kind, text, depth)
}

fn write_body(reader: &mut WkbReader<'_>, kind: u32, text: &mut String, depth: usize) -> Option<()> {
    match kind {
        POINT => {
            let point = reader.point()?;
            if point[0].is_nan() {
                text.push_str("EMPTY");
                return Some(());
            }
            text.push('(');
            write_point(point, text);
            text.push(')');
            Some(())
        }
        LINE => write_list(reader, text, |reader, text| reader.point().map(|point| write_point(point, text))),
        POLYGON => write_list(reader, text, |reader, text| {
            write_list(reader, text, |reader, text| reader.point().map(|point| write_point(point, text)))
        }),
        COLLECTION => write_list(reader, text, |reader, text| write_geometry(reader, text, depth + 1)),
        _ => write_list(reader, text, |reader, text| {
            let part = reader.kind(depth + 1)?;
            if part == kind - MULTI_POINT + POINT { write_body(reader, part, text, depth + 1) } else { None }
        }),
    }
}

fn write_list<'a>(
    reader: &mut WkbReader<'a>,
    text: &mut String,
    mut item: impl FnMut(&mut WkbReader<'a>, &mut String) -> Option<()>,
) -> Option<()> {
    let count = reader.count()?;
    if count == 0 {
        text.push_str("EMPTY");
        return Some(());
    }
    for number in 0..count {
        text.push_str(if number == 0 { "(" } else { ", " });
        item(reader, text)?;
    }
    text.push(')');
    Some(())
}

fn write_point([x, y]: [f64; 2], text: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{x} {y}");
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    out: Vec<u8>,
}

impl Parser<'_> {
    /// The next character that is no space.
    fn next(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn wrong(&self, wanted: &str) -> String {
        format!("{wanted} expected at character {}", self.at + 1)
    }

    fn accept(&mut self, symbol: u8) -> bool {
        let found = self.next() == Some(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: u8) -> Result<(), String> {
        if self.accept(symbol) { Ok(()) } else { Err(self.wrong(&format!("'{}'", char::from(symbol)))) }
    }

    /// A word in capitals; empty when something else stands there.
    fn word(&mut self) -> String {
        self.next();
        let rest = &self.text[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        self.at += length;
        String::from_utf8_lossy(&rest[..length]).to_ascii_uppercase()
    }

    fn accept_empty(&mut self) -> bool {
        let before = self.at;
        if self.word() == "EMPTY" {
            return true;
        }
        self.at = before;
        false
    }

    fn start(&mut self, kind: u32) {
        self.out.push(NDR);
        self.out.extend(kind.to_le_bytes());
    }

    fn geometry(&mut self, depth: usize) -> Result<(), String> {
        if depth >= DEPTH_MAX {
            return Err("collections are nested too deeply".to_owned());
        }
        let before = self.at;
        let word = self.word();
        let Some(kind) = KINDS.iter().position(|name| *name == word) else {
            self.at = before;
            return Err(self.wrong("the name of a geometry"));
        };
        let kind = kind as u32 + 1;
        self.start(kind);
        self.body(kind, depth)
    }

    fn body(&mut self, kind: u32, depth: usize) -> Result<(), String> {
        match kind {
            POINT => self.point_body(),
            LINE => self.points(2, false),
            POLYGON => self.list(|parser| parser.points(4, true)),
            MULTI_POINT => self.list(|parser| {
                parser.start(POINT);
                // `MULTIPOINT (1 2, 3 4)` is an old way to write it that everybody reads.
                match parser.next() {
                    Some(b'(' | b'E' | b'e') => parser.point_body(),
                    _ => parser.coordinates().map(|point| parser.put(point)),
                }
            }),
            MULTI_LINE => self.list(|parser| {
                parser.start(LINE);
                parser.points(2, false)
            }),
            MULTI_POLYGON => self.list(|parser| {
                parser.start(POLYGON);
                parser.list(|parser| parser.points(4, true))
            }),
            _ => self.list(|parser| parser.geometry(depth + 1)),
        }
    }

    fn point_body(&mut self) -> Result<(), String> {
        if self.accept_empty() {
            self.put([f64::NAN; 2]);
            return Ok(());
        }
        self.expect(b'(')?;
        let point = self.coordinates()?;
        self.put(point);
        self.expect(b')')
    }

    /// `EMPTY` or what `item` reads, in brackets and with commas between; counted in front.
    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        let place = self.out.len();
        self.out.extend([0; 4]);
        if self.accept_empty() {
            return Ok(());
        }
        self.expect(b'(')?;
        let mut count = 1_u32;
        item(self)?;
        while self.accept(b',') {
            item(self)?;
            count += 1;
        }
        self.out[place..place + 4].copy_from_slice(&count.to_le_bytes());
        self.expect(b')')
    }

    /// At least `least` points; a ring ends where it began.
    fn points(&mut self, least: usize, ring: bool) -> Result<(), String> {
        let mut points = Vec::new();
        self.list(|parser| {
            let point = parser.coordinates()?;
            points.push(point);
            parser.put(point);
            Ok(())
        })?;
        if !points.is_empty() && points.len() < least {
            return Err(format!("{} has less than {least} points", if ring { "a ring" } else { "a line" }));
        }
        if ring && points.first() != points.last() {
            return Err("a ring is not closed".to_owned());
        }
        Ok(())
    }

    fn put(&mut self, point: [f64; 2]) {
        point.iter().for_each(|number| self.out.extend(number.to_le_bytes()));
    }

    fn coordinates(&mut self) -> Result<[f64; 2], String> {
        Ok([self.number()?, self.number()?])
    }

    fn number(&mut self) -> Result<f64, String> {
        self.next();
        let rest = &self.text[self.at..];
        let length =
            rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')).count();
        let number = std::str::from_utf8(&rest[..length]).ok().and_then(|text| text.parse::<f64>().ok());
        let number = number.filter(|number| number.is_finite()).ok_or_else(|| self.wrong("a number"))?;
        self.at += length;
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_come_back_in_their_standard_form() {
        for (sent, read) in [
            ("point(1 2.5)", "POINT (1 2.5)"),
            ("POINT EMPTY", "POINT EMPTY"),
            ("LineString ( -1e2 0 , 3 4 )", "LINESTRING (-100 0, 3 4)"),
            ("POLYGON((0 0,4 0,4 4,0 0),(1 1,2 1,2 2,1 1))", "POLYGON ((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1))"),
            ("MULTIPOINT(1 2, 3 4)", "MULTIPOINT ((1 2), (3 4))"),
            ("MULTIPOINT((1 2), EMPTY)", "MULTIPOINT ((1 2), EMPTY)"),
            ("MULTILINESTRING((0 0,1 1),(2 2,3 3))", "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))"),
            ("MULTIPOLYGON(((0 0,1 0,1 1,0 0)))", "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))"),
            (
                "GEOMETRYCOLLECTION(POINT(1 1),GEOMETRYCOLLECTION EMPTY)",
                "GEOMETRYCOLLECTION (POINT (1 1), GEOMETRYCOLLECTION EMPTY)",
            ),
        ] {
            let wkb = to_wkb(sent).expect(sent);
            assert_eq!(to_wkt(&wkb).as_deref(), Some(read));
            assert_eq!(to_wkb(read).as_ref(), Ok(&wkb));
        }
        let point = to_wkb("POINT (1 2)").expect("a point");
        assert_eq!(point[..5], [1, 1, 0, 0, 0]);
        assert_eq!(point[5..], [1f64.to_le_bytes(), 2f64.to_le_bytes()].concat());
    }

    #[test]
    fn what_is_no_geometry_is_refused() {
        for text in [
            "",
            "POINT",
            "POINT (1)",
            "POINT (1 2 3)",
            "POINT Z (1 2 3)",
            "POINT (1 2) x",
            "POINT (nan 2)",
            "POINT (1e999 2)",
            "CIRCLE (1 2)",
            "LINESTRING (1 1)",
            "POLYGON ((0 0, 1 0, 1 1))",
            "POLYGON ((0 0, 1 0, 0 0))",
            "MULTIPOINT (1 2, 3)",
        ] {
            assert!(to_wkb(text).is_err(), "{text}");
        }
        let deep = format!("{}POINT (1 1){}", "GEOMETRYCOLLECTION (".repeat(32), ")".repeat(32));
        assert_eq!(to_wkb(&deep), Err("collections are nested too deeply".to_owned()));
    }

    #[test]
    fn the_deepest_text_that_is_taken_comes_back() {
        let deep = format!("{}MULTIPOINT ((1 1)){}", "GEOMETRYCOLLECTION (".repeat(31), ")".repeat(31));
        let wkb = to_wkb(&deep).expect("deep, but not too deep");
        assert_eq!(to_wkt(&wkb), Some(deep));
        assert_eq!(bounds(&wkb), Some(Bounds { min: [1.0; 2], max: [1.0; 2] }));
    }

    #[test]
    fn bounds_reach_every_point() {
        let of = |text: &str| bounds(&to_wkb(text).expect("a geometry"));
        assert_eq!(of("LINESTRING (3 -1, 0 5)"), Some(Bounds { min: [0.0, -1.0], max: [3.0, 5.0] }));
        let both = of("GEOMETRYCOLLECTION (POINT (9 9), POLYGON ((0 0, 1 0, 1 1, 0 0)))");
        assert_eq!(both, Some(Bounds { min: [0.0, 0.0], max: [9.0, 9.0] }));
        assert_eq!(of("MULTIPOINT (EMPTY)"), None);
        assert_eq!(bounds(&[]), None);
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_geometry_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), start: bool) {
            let bytes = if start { [&[1, 3, 0, 0, 0][..], &bytes].concat() } else { bytes };
            let _ = to_wkt(&bytes);
            let _ = bounds(&bytes);
            let _ = to_wkb(&String::from_utf8_lossy(&bytes));
        }
    }
}
