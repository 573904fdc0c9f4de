//! Row batches as handles, keys and query vectors as bytes.

use std::sync::Arc;

use elanus_rows::batch_codec::{decode_batch, decode_keys, encode_batch};
use elanus_rows::column::VarBytes;
use elanus_rows::error::NativeError;
use elanus_rows::ingest::{self, Ingested, WriteOptions};
use elanus_rows::keys::{Key, Keys};
use elanus_rows::schema::Schema;
use elanus_rows::{json_in, placeholders, query_answer, route};
use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, BigInt, Either, ObjectFinalize, Uint8Array};
use napi_derive::napi;

use crate::bytes::Bytes;
use crate::failure::{Thrown, now, wrong_argument};
use crate::numbers::{self, or_undefined};
use crate::pool::gate_failure;
use crate::schema::SchemaHandle;

#[napi(object, js_name = "WriteOptions")]
pub struct WriteOptionsObject {
    pub first_auto_id: Option<BigInt>,
    pub upsert: bool,
    pub allow_insert_auto_id: bool,
}

impl WriteOptionsObject {
    fn read(&self) -> Result<WriteOptions, NativeError> {
        let first = self.first_auto_id.as_ref().map(|id| numbers::signed(id, "firstAutoId")).transpose()?;
        Ok(WriteOptions { first_auto_id: first, upsert: self.upsert, allow_insert_auto_id: self.allow_insert_auto_id })
    }
}

#[napi(object)]
pub struct RoutedRows {
    pub shard: u32,
    pub partition: u32,
    pub rows: Uint8Array,
}

/// Rows of one write. V8 is told of their bytes, or it would let dropped handles pile up.
#[napi(js_name = "Rows", custom_finalize)]
pub struct RowsHandle {
    schema: Arc<Schema>,
    held: Option<Ingested>,
    held_bytes: i64,
}

impl ObjectFinalize for RowsHandle {
    fn finalize(mut self, env: Env) -> napi::Result<()> {
        self.free(env);
        Ok(())
    }
}

#[napi]
impl RowsHandle {
    #[napi]
    pub fn from_field_data(
        env: Env,
        schema: &SchemaHandle,
        fields: Vec<Uint8Array>,
        row_count: f64,
        options: WriteOptionsObject,
    ) -> Result<Self, Thrown> {
        now(|| {
            let messages: Vec<&[u8]> = fields.iter().map(AsRef::as_ref).collect();
            let row_count = numbers::count(row_count, "rowCount")?;
            let ingested = ingest::from_field_data(&schema.schema, &messages, row_count, options.read()?)?;
            Ok(Self::of(env, schema, ingested))
        })
    }

    #[napi]
    pub fn from_json(
        env: Env,
        schema: &SchemaHandle,
        json: &[u8],
        options: WriteOptionsObject,
    ) -> Result<Self, Thrown> {
        now(|| Ok(Self::of(env, schema, json_in::from_json(&schema.schema, json, options.read()?)?)))
    }

    #[napi]
    pub fn decode(env: Env, schema: &SchemaHandle, bytes: &[u8]) -> Result<Self, Thrown> {
        now(|| {
            let batch = decode_batch(&schema.schema, bytes)?;
            Ok(Self::of(env, schema, Ingested { batch, replaced: None }))
        })
    }

    #[napi(getter)]
    pub fn row_count(&self) -> Result<u32, Thrown> {
        self.read(|held| Ok(held.batch.row_count as u32))
    }

    #[napi(getter)]
    pub fn byte_size(&self) -> Result<f64, Thrown> {
        self.read(|held| Ok(held.batch.byte_size() as f64))
    }

    #[napi]
    pub fn encode(&self) -> Result<Bytes, Thrown> {
        self.read(|held| Ok(encode_batch(&self.schema, &held.batch).into()))
    }

    /// Milvus `IDs` message, in row order.
    #[napi]
    pub fn ids(&self) -> Result<Bytes, Thrown> {
        self.read(|held| Ok(query_answer::encode_ids(&self.keys_of(held)?).into()))
    }

    #[napi]
    pub fn keys(&self) -> Result<Bytes, Thrown> {
        self.read(|held| Ok(self.keys_of(held)?.encode().into()))
    }

    /// Keys that the client sent and that new automatic ones replaced (upsert); absent otherwise.
    #[napi]
    pub fn replaced_keys(&self) -> Result<Either<Uint8Array, ()>, Thrown> {
        self.read(|held| Ok(or_undefined(held.replaced.as_ref().map(|keys| keys.encode().into()))))
    }

    #[napi]
    pub fn route(&self, shard_count: u32, partition_count: u32) -> Result<Vec<RoutedRows>, Thrown> {
        self.read(|held| {
            let routed = route::route(&self.schema, &held.batch, shard_count as usize, partition_count as usize)?;
            let parts = routed.into_iter().map(|part| RoutedRows {
                shard: part.shard as u32,
                partition: part.partition as u32,
                rows: encode_batch(&self.schema, &part.rows).into(),
            });
            Ok(parts.collect())
        })
    }

    /// Frees the rows before the garbage collector would.
    #[napi]
    pub fn close(&mut self, env: Env) {
        self.free(env);
    }
}

impl RowsHandle {
    fn of(env: Env, schema: &SchemaHandle, ingested: Ingested) -> Self {
        let held_bytes = i64::try_from(ingested.batch.byte_size()).unwrap_or(0);
        // Only a hint: nothing depends on V8 having taken it.
        let _ = env.adjust_external_memory(held_bytes);
        Self { schema: Arc::clone(&schema.schema), held: Some(ingested), held_bytes }
    }

    fn free(&mut self, env: Env) {
        if self.held.take().is_some() {
            let _ = env.adjust_external_memory(-self.held_bytes);
        }
    }

    fn read<T>(&self, work: impl FnOnce(&Ingested) -> Result<T, NativeError>) -> Result<T, Thrown> {
        now(|| work(self.held.as_ref().ok_or_else(|| NativeError::Internal("the rows are closed".to_owned()))?))
    }

    fn keys_of(&self, held: &Ingested) -> Result<Keys, NativeError> {
        Keys::of_column(&held.batch.columns[self.schema.primary_position()])
    }
}

/// The encoded keys of encoded rows.
#[napi]
pub fn keys_of_batch(schema: &SchemaHandle, rows: &[u8]) -> Result<Bytes, Thrown> {
    now(|| Ok(decode_keys(&schema.schema, rows)?.encode().into()))
}

/// Frees bytes that a call gave, before the garbage collector would; what still looks at them sees nothing.
#[napi]
pub fn release(bytes: ArrayBuffer) -> Result<(), Thrown> {
    bytes.detach().map_err(|cause| gate_failure(&cause))
}

/// Encoded keys from literals: all integers or all text.
#[napi]
pub fn encode_keys(values: Vec<Either<BigInt, String>>) -> Result<Bytes, Thrown> {
    now(|| Ok(keys_of_literals(&values)?.encode().into()))
}

#[napi]
pub fn route_keys(keys: &[u8], shard_count: u32) -> Result<Vec<Either<Uint8Array, ()>>, Thrown> {
    now(|| {
        let keys = Keys::decode(keys)?;
        let parts = keys.split(shard_count as usize);
        let encode = |part: &Vec<u32>| or_undefined((!part.is_empty()).then(|| keys.gather(part).encode().into()));
        Ok(parts.iter().map(encode).collect())
    })
}

/// Partition ordinals that partition-key values hash to, ascending, without repeats.
#[napi]
pub fn partitions_of_keys(values: Vec<Either<BigInt, String>>, partition_count: u32) -> Result<Vec<u32>, Thrown> {
    now(|| {
        let keys = keys_of_literals(&values)?;
        let mut ordinals: Vec<u32> =
            keys.iter().map(|key| route::bucket(key, partition_count as usize) as u32).collect();
        ordinals.sort_unstable();
        ordinals.dedup();
        Ok(ordinals)
    })
}

/// How many vectors there are.
#[napi]
pub fn check_placeholders(schema: &SchemaHandle, field: u32, message: &[u8]) -> Result<u32, Thrown> {
    now(|| {
        let vectors: VarBytes = placeholders::decode(&schema.schema, schema.field(field)?, message)?;
        Ok(vectors.len() as u32)
    })
}

#[napi(js_name = "placeholdersFromJson")]
pub fn placeholders_from_json(schema: &SchemaHandle, field: u32, json: &[u8]) -> Result<Bytes, Thrown> {
    now(|| Ok(json_in::placeholders_from_json(schema.field(field)?, json)?.into()))
}

fn keys_of_literals(values: &[Either<BigInt, String>]) -> Result<Keys, NativeError> {
    let text = matches!(values.first(), Some(Either::B(_)));
    let mut keys = Keys::empty(text);
    for value in values {
        match value {
            Either::A(number) if !text => keys.push(Key::Int(numbers::signed(number, "key")?))?,
            Either::B(word) if text => keys.push(Key::Text(word.as_bytes()))?,
            _ => return Err(wrong_argument("keys of two kinds")),
        }
    }
    Ok(keys)
}
