//! Compiled schemas as handles.

use std::sync::Arc;

use elanus_rows::error::NativeError;
use elanus_rows::schema::{Field, Schema};
use napi_derive::napi;

use crate::failure::{Thrown, now};

#[napi(js_name = "Schema")]
pub struct SchemaHandle {
    pub(crate) schema: Arc<Schema>,
}

#[napi]
impl SchemaHandle {
    #[napi(constructor)]
    pub fn new(json: String) -> Result<Self, Thrown> {
        now(|| {
            let schema = Schema::from_json(&json).map_err(NativeError::Internal)?;
            Ok(Self { schema: Arc::new(schema) })
        })
    }

    #[napi(getter)]
    pub fn field_count(&self) -> u32 {
        self.schema.fields.len() as u32
    }
}

impl SchemaHandle {
    pub fn field(&self, id: u32) -> Result<&Field, NativeError> {
        self.schema.by_id(id).ok_or_else(|| NativeError::Internal(format!("the schema has no field {id}")))
    }
}
