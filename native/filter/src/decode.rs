//! Reads docs/formats/filter-program.md. The bytes come from another process: types, counts, nesting and numbers are
//! all checked here, so that evaluation cannot fail.

use crate::json::{Number, Step};
use crate::like::LikePattern;
use crate::node::{
    ColumnsKind, Elements, JsonSet, JsonTest, Leaf, Literal, Node, Path, Quantifier, Relation, Source, Test,
};
use crate::numbers::{FloatTest, IntSet, IntTest, Operation};
use crate::reader::{Reader, malformed};
use crate::spatial::{Relationship, SpatialTest};
use crate::text::{TextSet, TextTest};
use elanus_kernels::compare::FloatRange;
use elanus_rows::error::{NativeError, Result};
use elanus_rows::geometry;
use elanus_rows::schema::{DataType, Field, Schema};

const MAGIC: &[u8; 4] = b"EFLT";
const VERSION: u8 = 1;
/// The parser allows 256 operators on a path, and the last may be written as two nodes. Evaluation recurses as deep.
const DEPTH_MAX: usize = 300;
const LITERAL_DEPTH_MAX: usize = 64;
/// Spatial tests that are no relation between two geometries.
const NEAR: u8 = 7;
const VALID: u8 = 8;

pub(crate) struct Decoded {
    pub root: Node,
    pub fields: Vec<u32>,
    pub tip_count: usize,
}

pub(crate) fn decode_node(schema: &Schema, bytes: &[u8]) -> Result<Decoded> {
    let mut reader = Reader::new(bytes);
    if reader.take(4)? != MAGIC {
        return Err(malformed("wrong magic"));
    }
    if reader.u8()? != VERSION {
        return Err(malformed("unknown version"));
    }
    let mut decoder = Decoder { schema, reader, fields: Vec::new(), tip_count: 0 };
    let root = decoder.node(0)?;
    if !decoder.reader.is_at_end() {
        return Err(malformed("bytes after the end"));
    }
    Ok(Decoded { root, fields: decoder.fields, tip_count: decoder.tip_count })
}

struct Decoder<'a> {
    schema: &'a Schema,
    reader: Reader<'a>,
    fields: Vec<u32>,
    tip_count: usize,
}

/// What is tested, before the test is known.
struct Operand<'a> {
    source: Source,
    field: &'a Field,
    kind: Kind,
    arithmetic: Option<(Operation, Literal)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    /// 32-bit columns compare with constants narrowed to 32 bits.
    Float,
    Double,
    Text,
    Array,
    Json,
}

fn kind_of(data_type: DataType) -> Result<Kind> {
    Ok(match data_type {
        DataType::Bool => Kind::Bool,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Kind::Int,
        DataType::Float => Kind::Float,
        DataType::Double => Kind::Double,
        DataType::VarChar => Kind::Text,
        DataType::Array => Kind::Array,
        DataType::Json => Kind::Json,
        other => return Err(mismatch(&format!("{other:?} is not comparable"))),
    })
}

fn mismatch(what: &str) -> NativeError {
    NativeError::SchemaMismatch(format!("filter program: {what}"))
}

impl<'a> Decoder<'a> {
    fn node(&mut self, depth: usize) -> Result<Node> {
        if depth > DEPTH_MAX {
            return Err(malformed("nested too deeply"));
        }
        match self.reader.u8()? {
            1 => Ok(Node::And(self.nodes(depth)?)),
            2 => Ok(Node::Or(self.nodes(depth)?)),
            3 => Ok(Node::Not(Box::new(self.node(depth + 1)?))),
            tag => self.tip(tag),
        }
    }

    /// A node without nodes below. Out of line, so that nesting costs only the small frame of `node`.
    #[inline(never)]
    fn tip(&mut self, tag: u8) -> Result<Node> {
        Ok(match tag {
            0 => Node::Constant(self.reader.bool()?),
            4 => {
                let (slot, field) = self.field()?;
                if field.dynamic { Node::Constant(false) } else { Node::IsNull { id: self.tip_id(), slot } }
            }
            5 => match self.operand(0)?.source {
                Source::Json(path) => Node::Exists { id: self.tip_id(), path },
                _ => return Err(malformed("exists needs a JSON path")),
            },
            6 => self.compare()?,
            7 => self.range()?,
            8 => self.membership()?,
            9 => self.pattern(|text| Ok(TextTest::Like(LikePattern::new(text))))?,
            10 => self.pattern(TextTest::regex)?,
            11 => self.columns()?,
            12 => self.contains()?,
            13 => self.spatial()?,
            other => return Err(malformed(&format!("unknown node {other}"))),
        })
    }

    /// A relation to a constant geometry, a distance from a point, or validity.
    fn spatial(&mut self) -> Result<Node> {
        let number = self.reader.u8()?;
        let (slot, field) = self.field()?;
        if field.data_type != DataType::Geometry {
            return Err(mismatch(&format!("field {} is no geometry", field.name)));
        }
        let mut constant = || {
            let text = self.reader.text()?;
            geometry::to_wkb(text).map_err(|why| NativeError::InvalidParameter(format!("invalid WKT {text}: {why}")))
        };
        let test = match number {
            NEAR => {
                let wkb = constant()?;
                SpatialTest::near(&wkb, self.reader.f64()?)
            }
            VALID => Some(SpatialTest::Valid),
            relation => {
                let relation = Relationship::from_number(relation).ok_or_else(|| malformed("unknown relation"))?;
                SpatialTest::relation(relation, &constant()?)
            }
        };
        let test = test.ok_or_else(|| malformed("a constant geometry does not fit"))?;
        Ok(self.leaf(Source::Column { slot }, Test::Spatial(test)))
    }

    /// Operands of `and` and `or`, cheapest first: evaluation stops early where the rest cannot matter.
    fn nodes(&mut self, depth: usize) -> Result<Vec<Node>> {
        let count = self.reader.count(2)?;
        let mut nodes = (0..count).map(|_| self.node(depth + 1)).collect::<Result<Vec<_>>>()?;
        nodes.sort_by_cached_key(Node::cost);
        Ok(nodes)
    }

    fn leaf(&mut self, source: Source, test: Test) -> Node {
        Node::Leaf(Leaf { id: self.tip_id(), source, test })
    }

    fn tip_id(&mut self) -> usize {
        self.tip_count += 1;
        self.tip_count - 1
    }

    fn field(&mut self) -> Result<(usize, &'a Field)> {
        let id = self.reader.u32()?;
        let field = self.schema.by_id(id).ok_or_else(|| mismatch(&format!("no field {id}")))?;
        let slot = self.fields.iter().position(|&known| known == id).unwrap_or_else(|| {
            self.fields.push(id);
            self.fields.len() - 1
        });
        Ok((slot, field))
    }

    fn operand(&mut self, depth: usize) -> Result<Operand<'a>> {
        let tag = self.reader.u8()?;
        if depth > 2 {
            return Err(malformed("operand nested too deeply"));
        }
        match tag {
            0 => {
                let (slot, field) = self.field()?;
                let kind = kind_of(field.data_type)?;
                if kind == Kind::Json {
                    return Err(malformed("a JSON column needs a path"));
                }
                Ok(Operand { source: Source::Column { slot }, field, kind, arithmetic: None })
            }
            1 => self.json_operand(),
            2 => {
                let (slot, field) = self.field()?;
                let index = self.reader.u32()? as usize;
                let kind = kind_of(element_type(field)?)?;
                Ok(Operand { source: Source::Element { slot, index }, field, kind, arithmetic: None })
            }
            3 => self.length_operand(depth),
            4 => self.arithmetic_operand(depth),
            _ => Err(malformed("unknown operand")),
        }
    }

    fn json_operand(&mut self) -> Result<Operand<'a>> {
        let (slot, field) = self.field()?;
        if field.data_type != DataType::Json {
            return Err(mismatch(&format!("field {} is not JSON", field.name)));
        }
        let count = self.reader.count(5)?;
        let steps = (0..count).map(|_| self.step()).collect::<Result<Vec<_>>>()?;
        let path = Path { slot, steps, dynamic: field.dynamic };
        Ok(Operand { source: Source::Json(path), field, kind: Kind::Json, arithmetic: None })
    }

    fn step(&mut self) -> Result<Step> {
        Ok(match self.reader.u8()? {
            0 => Step::Key(self.reader.text()?.into()),
            1 => {
                let number = self.reader.u32()? as usize;
                Step::Index { number, spelled: number.to_string().into() }
            }
            _ => return Err(malformed("unknown path step")),
        })
    }

    fn length_operand(&mut self, depth: usize) -> Result<Operand<'a>> {
        let inner = self.operand(depth + 1)?;
        let source = match (inner.source, inner.kind) {
            (Source::Column { slot }, Kind::Array) => Source::Length { slot },
            (Source::Json(path), Kind::Json) if inner.arithmetic.is_none() => Source::JsonLength(path),
            _ => return Err(malformed("only arrays have a length")),
        };
        Ok(Operand { source, field: inner.field, kind: Kind::Int, arithmetic: None })
    }

    fn arithmetic_operand(&mut self, depth: usize) -> Result<Operand<'a>> {
        let operation = Operation::from_number(self.reader.u8()?).ok_or_else(|| malformed("unknown operation"))?;
        let inner = self.operand(depth + 1)?;
        let constant = self.literal(0)?;
        if inner.arithmetic.is_some() {
            return Err(malformed("arithmetic on arithmetic"));
        }
        let division = matches!(operation, Operation::Divide | Operation::Remainder);
        let ints_only = operation.on_floats(1.0, 1.0).is_none();
        match (&constant, inner.kind) {
            (Literal::Int(0), _) if division => return Err(malformed("division by zero")),
            (Literal::Float(0.0), _) if division => return Err(malformed("division by zero")),
            (Literal::Int(_), Kind::Int | Kind::Json) => {}
            (Literal::Float(_), Kind::Float | Kind::Double | Kind::Json) if !ints_only => {}
            (Literal::Int(_), Kind::Float | Kind::Double) if !ints_only => {}
            _ => return Err(malformed("arithmetic on unfit types")),
        }
        Ok(Operand { arithmetic: Some((operation, constant)), ..inner })
    }

    fn compare(&mut self) -> Result<Node> {
        let relation = self.relation()?;
        let operand = self.operand(0)?;
        let literal = self.literal(0)?;
        let test = match (operand.kind, literal) {
            (Kind::Int, Literal::Int(value)) => int_test(&operand, int_range(relation, value))?,
            (Kind::Float | Kind::Double, literal) => {
                let value = constant_float(&operand, &literal)?;
                float_test(&operand, float_range(relation, value))?
            }
            (Kind::Bool, Literal::Bool(value)) => {
                Test::Bool([false, true].map(|row| relation.holds(Some(row.cmp(&value)))))
            }
            (Kind::Text, Literal::Text(value)) => Test::Text(text_range(relation, value)),
            (Kind::Array, Literal::Array(items)) if relation == Relation::Equal => {
                Test::ArrayEquals(elements(element_type(operand.field)?, items)?)
            }
            (Kind::Json, literal) => json_test(&operand, JsonTest::Compare(relation, literal))?,
            _ => return Err(malformed("comparison of unfit types")),
        };
        Ok(self.leaf(operand.source, test))
    }

    fn relation(&mut self) -> Result<Relation> {
        Relation::from_number(self.reader.u8()?).ok_or_else(|| malformed("unknown relation"))
    }

    fn range(&mut self) -> Result<Node> {
        let flags = self.reader.u8()?;
        if flags > 3 {
            return Err(malformed("unknown range flags"));
        }
        let (low_closed, high_closed) = (flags & 1 != 0, flags & 2 != 0);
        let operand = self.operand(0)?;
        let (low, high) = (self.literal(0)?, self.literal(0)?);
        let test = match (operand.kind, low, high) {
            (Kind::Int, Literal::Int(low), Literal::Int(high)) => {
                int_test(&operand, closed_range(low, low_closed, high, high_closed))?
            }
            (Kind::Float | Kind::Double, low, high) => {
                let (low, high) = (constant_float(&operand, &low)?, constant_float(&operand, &high)?);
                float_test(&operand, FloatTest::Range(FloatRange { low, low_closed, high, high_closed }))?
            }
            (Kind::Text, Literal::Text(low), Literal::Text(high)) => {
                Test::Text(TextTest::Range { low: Some((low, low_closed)), high: Some((high, high_closed)) })
            }
            (Kind::Json, low, high) => json_test(&operand, JsonTest::Range { low, low_closed, high, high_closed })?,
            _ => return Err(malformed("range of unfit types")),
        };
        Ok(self.leaf(operand.source, test))
    }

    fn membership(&mut self) -> Result<Node> {
        let operand = self.operand(0)?;
        let items = self.list(0)?;
        if operand.arithmetic.is_some() {
            return Err(malformed("membership of arithmetic"));
        }
        let test = match operand.kind {
            Kind::Json => json_test(&operand, JsonTest::In(json_set(items)))?,
            Kind::Array => return Err(malformed("membership of an array")),
            kind => match elements(scalar_of(kind), items)? {
                Elements::Bools(values) => Test::Bool([false, true].map(|row| values.contains(&row))),
                Elements::Ints(values) => Test::Int { arithmetic: None, test: IntTest::In(IntSet::new(values)) },
                Elements::Floats(values) => Test::Float { arithmetic: None, test: FloatTest::In(values) },
                Elements::Texts(values) => Test::Text(TextTest::In(TextSet::new(values))),
            },
        };
        Ok(self.leaf(operand.source, test))
    }

    fn pattern(&mut self, compile: impl Fn(&str) -> Result<TextTest>) -> Result<Node> {
        let operand = self.operand(0)?;
        let test = compile(self.reader.text()?)?;
        let test = match operand.kind {
            Kind::Text => Test::Text(test),
            Kind::Json if operand.arithmetic.is_none() => json_test(&operand, JsonTest::Text(test))?,
            _ => return Err(malformed("pattern on unfit types")),
        };
        Ok(self.leaf(operand.source, test))
    }

    fn columns(&mut self) -> Result<Node> {
        let relation = self.relation()?;
        let (left, a) = self.field()?;
        let (right, b) = self.field()?;
        let kind = match (kind_of(a.data_type)?, kind_of(b.data_type)?) {
            (Kind::Int, Kind::Int) => ColumnsKind::Ints,
            (Kind::Int | Kind::Float | Kind::Double, Kind::Int | Kind::Float | Kind::Double) => ColumnsKind::Floats,
            (Kind::Text, Kind::Text) => ColumnsKind::Texts,
            (Kind::Bool, Kind::Bool) => ColumnsKind::Bools,
            _ => return Err(mismatch("columns of unfit types")),
        };
        Ok(Node::Columns { relation, left, right, kind })
    }

    fn contains(&mut self) -> Result<Node> {
        let quantifier = if self.reader.bool()? { Quantifier::All } else { Quantifier::Any };
        let operand = self.operand(0)?;
        let items = self.list(0)?;
        let test = match (operand.kind, &operand.arithmetic) {
            (Kind::Array, None) => Test::Contains(elements(element_type(operand.field)?, items)?, quantifier),
            (Kind::Json, None) => json_test(&operand, JsonTest::Contains(items, quantifier))?,
            _ => return Err(malformed("contains on unfit types")),
        };
        Ok(self.leaf(operand.source, test))
    }

    fn literal(&mut self, depth: usize) -> Result<Literal> {
        Ok(match self.reader.u8()? {
            0 => Literal::Bool(self.reader.bool()?),
            1 => Literal::Int(self.reader.i64()?),
            2 => Literal::Float(self.reader.f64()?),
            3 => Literal::Text(self.reader.text()?.as_bytes().into()),
            4 => Literal::Array(self.list(depth + 1)?),
            _ => return Err(malformed("unknown constant")),
        })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Literal>> {
        if depth > LITERAL_DEPTH_MAX {
            return Err(malformed("constant nested too deeply"));
        }
        match self.reader.u8()? {
            0 => (0..self.reader.count(2)?).map(|_| self.literal(depth)).collect(),
            1 => (0..self.reader.count(8)?).map(|_| self.reader.i64().map(Literal::Int)).collect(),
            _ => Err(malformed("unknown list form")),
        }
    }
}

fn element_type(field: &Field) -> Result<DataType> {
    match (field.data_type, field.element_type) {
        (DataType::Array, Some(element)) => Ok(element),
        _ => Err(mismatch(&format!("field {} is not an array", field.name))),
    }
}

/// A type whose constants look like those of `kind`.
fn scalar_of(kind: Kind) -> DataType {
    match kind {
        Kind::Bool => DataType::Bool,
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float,
        Kind::Double => DataType::Double,
        Kind::Text => DataType::VarChar,
        Kind::Array => DataType::Array,
        Kind::Json => DataType::Json,
    }
}

fn constant_float(operand: &Operand<'_>, literal: &Literal) -> Result<f64> {
    let value = match literal {
        Literal::Int(value) => *value as f64,
        Literal::Float(value) => *value,
        _ => return Err(malformed("a number is missing")),
    };
    let narrow = operand.kind == Kind::Float && operand.arithmetic.is_none();
    Ok(if narrow { f64::from(value as f32) } else { value })
}

fn int_test(operand: &Operand<'_>, test: IntTest) -> Result<Test> {
    let arithmetic = match &operand.arithmetic {
        None => None,
        Some((operation, Literal::Int(constant))) => Some((*operation, *constant)),
        Some(_) => return Err(malformed("integer arithmetic with another type")),
    };
    Ok(Test::Int { arithmetic, test })
}

fn float_test(operand: &Operand<'_>, test: FloatTest) -> Result<Test> {
    let arithmetic = match &operand.arithmetic {
        None => None,
        Some((operation, Literal::Int(constant))) => Some((*operation, *constant as f64)),
        Some((operation, Literal::Float(constant))) => Some((*operation, *constant)),
        Some(_) => return Err(malformed("arithmetic with another type")),
    };
    Ok(Test::Float { arithmetic, test })
}

fn json_test(operand: &Operand<'_>, test: JsonTest) -> Result<Test> {
    let arithmetic = match &operand.arithmetic {
        None => None,
        Some((operation, Literal::Int(constant))) => Some((*operation, Number::Int(*constant))),
        Some((operation, Literal::Float(constant))) => Some((*operation, Number::Float(*constant))),
        Some(_) => return Err(malformed("arithmetic with another type")),
    };
    Ok(Test::Json { arithmetic, test })
}

fn int_range(relation: Relation, value: i64) -> IntTest {
    match relation {
        Relation::Equal => IntTest::Range { low: value, high: value },
        Relation::Less => closed_range(i64::MIN, true, value, false),
        Relation::LessEqual => IntTest::Range { low: i64::MIN, high: value },
        Relation::Greater => closed_range(value, false, i64::MAX, true),
        Relation::GreaterEqual => IntTest::Range { low: value, high: i64::MAX },
    }
}

/// An open end moves inward; past the end of the type nothing is left.
fn closed_range(low: i64, low_closed: bool, high: i64, high_closed: bool) -> IntTest {
    let low = if low_closed { Some(low) } else { low.checked_add(1) };
    let high = if high_closed { Some(high) } else { high.checked_sub(1) };
    match (low, high) {
        (Some(low), Some(high)) => IntTest::Range { low, high },
        _ => IntTest::Range { low: 1, high: 0 },
    }
}

fn float_range(relation: Relation, value: f64) -> FloatTest {
    let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
    let (low, high, closed) = match relation {
        Relation::Equal => (value, value, (true, true)),
        Relation::Less => (low, value, (true, false)),
        Relation::LessEqual => (low, value, (true, true)),
        Relation::Greater => (value, high, (false, true)),
        Relation::GreaterEqual => (value, high, (true, true)),
    };
    FloatTest::Range(FloatRange { low, low_closed: closed.0, high, high_closed: closed.1 })
}

fn text_range(relation: Relation, value: Box<[u8]>) -> TextTest {
    match relation {
        Relation::Equal => TextTest::Equals(value),
        Relation::Less => TextTest::Range { low: None, high: Some((value, false)) },
        Relation::LessEqual => TextTest::Range { low: None, high: Some((value, true)) },
        Relation::Greater => TextTest::Range { low: Some((value, false)), high: None },
        Relation::GreaterEqual => TextTest::Range { low: Some((value, true)), high: None },
    }
}

/// Constants as values of one type; 32-bit floats are narrowed.
fn elements(data_type: DataType, items: Vec<Literal>) -> Result<Elements> {
    let unfit = || malformed("a list constant has another type");
    Ok(match kind_of(data_type)? {
        Kind::Bool => Elements::Bools(
            items
                .iter()
                .map(|i| if let Literal::Bool(b) = i { Ok(*b) } else { Err(unfit()) })
                .collect::<Result<_>>()?,
        ),
        Kind::Int => Elements::Ints(
            items.iter().map(|i| if let Literal::Int(v) = i { Ok(*v) } else { Err(unfit()) }).collect::<Result<_>>()?,
        ),
        kind @ (Kind::Float | Kind::Double) => Elements::Floats(
            items
                .iter()
                .map(|item| match item {
                    Literal::Int(value) => Ok(*value as f64),
                    Literal::Float(value) => Ok(*value),
                    _ => Err(unfit()),
                })
                .map(|value| value.map(|v| if kind == Kind::Float { f64::from(v as f32) } else { v }))
                .collect::<Result<_>>()?,
        ),
        Kind::Text => Elements::Texts(
            items
                .into_iter()
                .map(|item| if let Literal::Text(text) = item { Ok(text) } else { Err(unfit()) })
                .collect::<Result<_>>()?,
        ),
        Kind::Array | Kind::Json => return Err(unfit()),
    })
}

fn json_set(items: Vec<Literal>) -> JsonSet {
    let mut set = JsonSet {
        bools: [false; 2],
        ints: IntSet::new(Vec::new()),
        floats: Vec::new(),
        texts: TextSet::new(Vec::new()),
        arrays: Vec::new(),
    };
    let (mut ints, mut texts) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Literal::Bool(value) => set.bools[usize::from(value)] = true,
            Literal::Int(value) => ints.push(value),
            Literal::Float(value) => set.floats.push(value),
            Literal::Text(value) => texts.push(value),
            Literal::Array(_) => set.arrays.push(item),
        }
    }
    set.ints = IntSet::new(ints);
    set.texts = TextSet::new(texts);
    set
}
