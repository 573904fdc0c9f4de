//! What the tests of this crate share: a schema with every kind of field, random rows, sealing, and a naive twin.

use std::sync::Arc;

use elanus_index::progress::Progress;
use elanus_kernels::crc32c;
use elanus_rows::column::{Batch, Bits, Column, Values, VarBytes};
use elanus_rows::error::Result;
use elanus_rows::keys::Keys;
use elanus_rows::schema::{DataType, Field, Schema};

use crate::build::{BuildRequest, build_index};
use crate::file::{FileSource, SegmentFile};
use crate::segment::Segment;

/// Small, seeded and good enough.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn float(&mut self) -> f32 {
        self.below(2001) as f32 / 1000.0 - 1.0
    }
}

pub(crate) const DIM: usize = 8;

/// Every field kind; the key is Int64 or VarChar.
pub(crate) fn schema(text_key: bool) -> Arc<Schema> {
    let field = |id: u32, name: &str, kind: u32, more: &str| {
        let base = format!(r#""id":{id},"name":"{name}","type":{kind},"primaryKey":{},"autoId":false"#, id == 100);
        let nullable = more.contains("nullable");
        let dynamic = name == "$meta";
        let more = more.replace("nullable", "");
        format!(r#"{{{base},"partitionKey":false,"nullable":{nullable},"dynamic":{dynamic}{more}}}"#)
    };
    let dim = format!(r#","dim":{DIM}"#);
    let fields = [
        field(100, "pk", if text_key { 21 } else { 5 }, r#","lengthMax":64"#),
        field(101, "flag", 1, ""),
        field(102, "tiny", 2, "nullable"),
        field(103, "small", 3, ""),
        field(104, "plain", 4, "nullable"),
        field(105, "ratio", 10, ""),
        field(106, "exact", 11, "nullable"),
        field(107, "title", 21, r#"nullable,"lengthMax":100"#),
        field(108, "tags", 22, r#","elementType":21,"capacityMax":8,"lengthMax":20"#),
        field(109, "numbers", 22, r#"nullable,"elementType":4,"capacityMax":8"#),
        field(110, "vector", 101, &dim),
        field(111, "half", 102, &format!("nullable{dim}")),
        field(112, "bits", 100, &dim),
        field(113, "sparse", 104, "nullable"),
        field(114, "maybe", 101, &format!("nullable{dim}")),
        field(115, "$meta", 23, ""),
    ];
    let json = format!(r#"{{"name":"c","fields":[{}],"dynamicFieldEnabled":true,"version":1}}"#, fields.join(","));
    Arc::new(Schema::from_json(&json).expect("schema of the tests"))
}

/// Integers as keys of the schema.
pub(crate) fn keys(schema: &Schema, keys: &[i64]) -> Keys {
    match schema.primary().data_type {
        DataType::VarChar => {
            let texts: Vec<String> = keys.iter().map(|key| format!("k{key:05}")).collect();
            Keys::Text(texts.iter().map(String::as_bytes).collect::<VarBytes>())
        }
        _ => Keys::Int(keys.to_vec()),
    }
}

/// Rows with these keys and random other values.
pub(crate) fn batch(schema: &Schema, random: &mut Random, of: &[i64]) -> Batch {
    let columns = schema
        .fields
        .iter()
        .map(|field| match field.primary_key {
            true => Column { values: keys(schema, of).into_values(), validity: None },
            false => column(field, random, of.len()),
        })
        .collect();
    Batch { row_count: of.len(), columns }
}

fn column(field: &Field, random: &mut Random, rows: usize) -> Column {
    let mut validity = Bits::with_value(rows, true);
    let mut column = Column::empty(field);
    for row in 0..rows {
        if field.nullable && random.below(3) == 0 {
            validity.set(row, false);
            column.values.push_zeros(1);
        } else {
            push(&mut column.values, field, random);
        }
    }
    column.validity = (validity.count_ones() < rows).then_some(validity);
    column
}

fn push(values: &mut Values, field: &Field, random: &mut Random) {
    let narrow = match field.data_type {
        DataType::Int8 => i64::from(i8::MAX),
        DataType::Int16 => i64::from(i16::MAX),
        _ => i64::from(i32::MAX),
    };
    match values {
        Values::Bool(v) => v.push(random.below(2) == 1),
        Values::Int32(v) => v.push((random.below(2 * narrow as u64 + 1).cast_signed() - narrow) as i32),
        Values::Int64(v) => v.push(random.next().cast_signed()),
        Values::Float(v) => v.push(random.float()),
        Values::Double(v) => v.push(f64::from(random.float()) * 1e100),
        Values::Bytes(v) => match field.data_type {
            DataType::SparseFloatVector => v.push(&sparse(random)),
            DataType::Json => v.push(format!(r#"{{"a":{}}}"#, random.below(100)).as_bytes()),
            _ => v.push("ünï".repeat(random.below(4) as usize).as_bytes()),
        },
        Values::Array { offsets, elements } => {
            for _ in 0..random.below(4) {
                match &mut **elements {
                    Values::Int32(v) => v.push(random.below(9) as i32),
                    Values::Bytes(v) => v.push(format!("t{}", random.below(9)).as_bytes()),
                    _ => {}
                }
            }
            offsets.push(elements.len() as u64);
        }
        Values::Fixed { width, data } => match field.data_type {
            DataType::FloatVector => (0..DIM).for_each(|_| data.extend_from_slice(&random.float().to_le_bytes())),
            _ => (0..*width).for_each(|_| data.push(random.below(120) as u8 & 0x3f)),
        },
    }
}

fn sparse(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut index = 0_u32;
    for _ in 0..1 + random.below(5) {
        index += 1 + random.below(9) as u32;
        bytes.extend_from_slice(&index.to_le_bytes());
        bytes.extend_from_slice(&(random.below(100) as f32 / 10.0 + 0.1).to_le_bytes());
    }
    bytes
}

/// A file of content, described truly.
pub(crate) fn file(role: &str, content: Vec<u8>) -> SegmentFile {
    SegmentFile {
        role: role.into(),
        crc32c: crc32c(&content),
        bytes: content.len() as u64,
        source: FileSource::Content(content),
        field: None,
    }
}

/// The files of the sealed form of a segment, its deletes among them.
pub(crate) fn files(segment: &Segment) -> Vec<SegmentFile> {
    let mut files: Vec<SegmentFile> =
        segment.groups().iter().map(|group| file(group, segment.encode_group(group).expect("encodes"))).collect();
    let deletes = segment.export_deletes().expect("exports");
    if deletes.deleted_count > 0 {
        files.push(file("deletes", deletes.bytes));
    }
    files
}

pub(crate) fn seal(segment: &Segment) -> Result<Arc<Segment>> {
    Segment::open(Arc::clone(segment.schema()), segment.id(), files(segment))
}

/// The same column without validity that says nothing.
pub(crate) fn plain(mut column: Column) -> Column {
    column.validity = column.validity.filter(|bits| bits.count_ones() < bits.len());
    column
}

/// Encoded filters of the tests (docs/formats/filter-program.md).
pub(crate) mod filters {
    use elanus_rows::keys::{Key, Keys};

    fn program(node: Vec<u8>) -> Vec<u8> {
        [b"EFLT".to_vec(), vec![1], node].concat()
    }

    fn field(id: u32) -> Vec<u8> {
        [vec![0], id.to_le_bytes().to_vec()].concat()
    }

    fn small_at_most(value: i64) -> Vec<u8> {
        [vec![6, 2], field(103), vec![1], value.to_le_bytes().to_vec()].concat()
    }

    fn key_in(keys: &Keys) -> Vec<u8> {
        let mut list = vec![0];
        list.extend_from_slice(&(keys.len() as u32).to_le_bytes());
        for key in keys.iter() {
            match key {
                Key::Int(key) => list.extend([vec![1], key.to_le_bytes().to_vec()].concat()),
                Key::Text(key) => {
                    list.extend([vec![3], (key.len() as u32).to_le_bytes().to_vec(), key.to_vec()].concat());
                }
            }
        }
        [vec![8], field(100), list].concat()
    }

    /// `small <= value`
    pub(crate) fn small(value: i64) -> Vec<u8> {
        program(small_at_most(value))
    }

    /// `pk in keys`
    pub(crate) fn keys(keys: &Keys) -> Vec<u8> {
        program(key_in(keys))
    }

    /// `pk in keys and small <= value`
    pub(crate) fn both(keys: &Keys, value: i64) -> Vec<u8> {
        program([vec![1], 2_u32.to_le_bytes().to_vec(), key_in(keys), small_at_most(value)].concat())
    }
}

/// Builds an index and attaches it.
pub(crate) fn index(segment: &Segment, id: u64, field: u32, index_type: &str, metric: &str) -> Result<()> {
    let request = BuildRequest { field, index_type, metric, params: "{}", threads: 1 };
    let content = build_index(segment, &request, &Progress::default())?;
    segment.attach_index(id, SegmentFile { field: Some(field), ..file(&format!("index:{id}"), content) })
}
