//! The compiled schema of a collection; `packages/model/src/schema.ts` writes the JSON it reads.

use serde::Deserialize;

use crate::geometry;

/// Milvus's wire numbers of data types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DataType {
    Bool = 1,
    Int8 = 2,
    Int16 = 3,
    Int32 = 4,
    Int64 = 5,
    Float = 10,
    Double = 11,
    VarChar = 21,
    Array = 22,
    Json = 23,
    Geometry = 24,
    BinaryVector = 100,
    FloatVector = 101,
    Float16Vector = 102,
    BFloat16Vector = 103,
    SparseFloatVector = 104,
    Int8Vector = 105,
}

impl DataType {
    /// The type with this wire number, if it is one we store.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Bool,
            2 => Self::Int8,
            3 => Self::Int16,
            4 => Self::Int32,
            5 => Self::Int64,
            10 => Self::Float,
            11 => Self::Double,
            21 => Self::VarChar,
            22 => Self::Array,
            23 => Self::Json,
            24 => Self::Geometry,
            100 => Self::BinaryVector,
            101 => Self::FloatVector,
            102 => Self::Float16Vector,
            103 => Self::BFloat16Vector,
            104 => Self::SparseFloatVector,
            105 => Self::Int8Vector,
            _ => return None,
        })
    }

    /// True for the types that an index searches by distance.
    #[must_use]
    pub fn is_vector(self) -> bool {
        self as u8 >= 100
    }

    /// Bytes of one row of a dense or binary vector of `dim` dimensions; `None` for other types.
    #[must_use]
    pub fn vector_width(self, dim: usize) -> Option<usize> {
        match self {
            Self::FloatVector => Some(dim * 4),
            Self::Float16Vector | Self::BFloat16Vector => Some(dim * 2),
            Self::Int8Vector => Some(dim),
            Self::BinaryVector => Some(dim / 8),
            _ => None,
        }
    }
}

/// A default value, already of the field's type.
#[derive(Clone, Debug, PartialEq)]
pub enum DefaultValue {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// WKB of a geometry.
    Bytes(Vec<u8>),
}

#[derive(Clone, Debug)]
pub struct Field {
    pub id: u32,
    pub name: String,
    pub data_type: DataType,
    /// Element type of an array field.
    pub element_type: Option<DataType>,
    /// Dimensions of dense and binary vectors (bits for binary); 0 otherwise.
    pub dim: usize,
    /// Bytes of UTF-8.
    pub length_max: Option<usize>,
    /// Elements of an array.
    pub capacity_max: Option<usize>,
    pub primary_key: bool,
    pub auto_id: bool,
    pub partition_key: bool,
    pub nullable: bool,
    pub default_value: Option<DefaultValue>,
    /// The `$meta` JSON column.
    pub dynamic: bool,
}

#[derive(Clone, Debug)]
pub struct Schema {
    pub collection: String,
    pub fields: Vec<Field>,
    pub dynamic_field_enabled: bool,
    pub version: u32,
    primary: usize,
}

impl Schema {
    /// Reads the JSON of `encodeSchema`.
    ///
    /// # Errors
    /// A sentence naming what is wrong: the text comes from our own catalog, so this is a bug or damage.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let raw: RawSchema = serde_json::from_str(json).map_err(|e| format!("schema JSON: {e}"))?;
        let fields = raw.fields.into_iter().map(Field::try_from).collect::<Result<Vec<_>, _>>()?;
        let primary =
            fields.iter().position(|f| f.primary_key).ok_or_else(|| "schema without a primary key".to_owned())?;
        Ok(Self {
            collection: raw.name,
            fields,
            dynamic_field_enabled: raw.dynamic_field_enabled,
            version: raw.version,
            primary,
        })
    }

    #[must_use]
    pub fn primary(&self) -> &Field {
        &self.fields[self.primary]
    }

    /// Position of the primary key among `fields`.
    #[must_use]
    pub fn primary_position(&self) -> usize {
        self.primary
    }

    #[must_use]
    pub fn partition_key(&self) -> Option<&Field> {
        self.fields.iter().find(|f| f.partition_key)
    }

    #[must_use]
    pub fn by_id(&self, id: u32) -> Option<&Field> {
        self.fields.iter().find(|f| f.id == id)
    }

    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// Position among `fields` of the field with this id.
    #[must_use]
    pub fn position(&self, id: u32) -> Option<usize> {
        self.fields.iter().position(|f| f.id == id)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSchema {
    name: String,
    fields: Vec<RawField>,
    dynamic_field_enabled: bool,
    version: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawField {
    id: u32,
    name: String,
    #[serde(rename = "type")]
    data_type: u32,
    element_type: Option<u32>,
    dim: Option<usize>,
    length_max: Option<usize>,
    capacity_max: Option<usize>,
    primary_key: bool,
    auto_id: bool,
    partition_key: bool,
    nullable: bool,
    default_value: Option<serde_json::Value>,
    dynamic: bool,
}

impl TryFrom<RawField> for Field {
    type Error = String;

    fn try_from(raw: RawField) -> Result<Self, String> {
        let of = |number| DataType::from_number(number).ok_or_else(|| format!("field {}: type {number}", raw.name));
        let data_type = of(raw.data_type)?;
        let element_type = raw.element_type.map(of).transpose()?;
        let default_value = raw.default_value.as_ref().map(|v| default_of(data_type, v)).transpose()?;
        Ok(Self {
            id: raw.id,
            data_type,
            element_type,
            dim: raw.dim.unwrap_or(0),
            length_max: raw.length_max,
            capacity_max: raw.capacity_max,
            primary_key: raw.primary_key,
            auto_id: raw.auto_id,
            partition_key: raw.partition_key,
            nullable: raw.nullable,
            default_value,
            dynamic: raw.dynamic,
            name: raw.name,
        })
    }
}

fn default_of(data_type: DataType, value: &serde_json::Value) -> Result<DefaultValue, String> {
    let wrong = || format!("default value {value} does not fit {data_type:?}");
    Ok(match data_type {
        DataType::Bool => DefaultValue::Bool(value.as_bool().ok_or_else(wrong)?),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            let int = value.as_str().map_or_else(|| value.as_i64(), |text| text.parse().ok());
            DefaultValue::Int(int.ok_or_else(wrong)?)
        }
        DataType::Float | DataType::Double => DefaultValue::Float(value.as_f64().ok_or_else(wrong)?),
        DataType::VarChar => DefaultValue::Text(value.as_str().ok_or_else(wrong)?.to_owned()),
        DataType::Geometry => {
            DefaultValue::Bytes(value.as_str().and_then(|text| geometry::to_wkb(text).ok()).ok_or_else(wrong)?)
        }
        _ => return Err(wrong()),
    })
}
