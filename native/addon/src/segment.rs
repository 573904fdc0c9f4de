//! Segments as handles.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use elanus_column::{FileSource, Segment, SegmentFile};
use elanus_kernels::give_back_freed_memory;
use elanus_rows::batch_codec::decode_batch;
use elanus_rows::error::NativeError;
use elanus_rows::keys::Keys;
use elanus_rows::schema::Schema;
use napi::Env;
use napi::bindgen_prelude::{BigInt, ClassInstance, Uint8Array};
use napi_derive::napi;

use crate::failure::{Thrown, now, wrong_argument};
use crate::numbers;
use crate::pool::{Answer, Pool, Urgency};
use crate::schema::SchemaHandle;

#[napi(object, js_name = "NativeFile")]
pub struct FileObject {
    pub role: String,
    #[napi(js_name = "crc32c")]
    pub crc32c: u32,
    pub bytes: f64,
    pub path: Option<String>,
    pub content: Option<Uint8Array>,
    pub field: Option<u32>,
}

#[napi(object)]
pub struct ExportedDeletes {
    pub bytes: Uint8Array,
    pub deleted_count: f64,
    pub newest: BigInt,
}

/// The memory of a segment from here on goes back to the kernel when it is closed.
const LARGE_BYTES_MIN: usize = 8 << 20;

#[napi(js_name = "Segment")]
pub struct SegmentHandle {
    schema: Arc<Schema>,
    open: Mutex<Option<Arc<Segment>>>,
}

#[napi]
impl SegmentHandle {
    #[napi]
    pub fn growing(schema: &SchemaHandle, id: BigInt) -> Result<Self, Thrown> {
        now(|| {
            let segment = Segment::growing(Arc::clone(&schema.schema), numbers::unsigned(&id, "segment id")?);
            Ok(Self::of(&schema.schema, segment))
        })
    }

    #[napi]
    pub fn open<'env>(
        env: &'env Env,
        pool: &Pool,
        schema: &SchemaHandle,
        id: BigInt,
        files: Vec<FileObject>,
    ) -> Result<Answer<'env, SegmentHandle>, Thrown> {
        let (id, files) = now(|| {
            let files = files.into_iter().map(FileObject::read).collect::<Result<Vec<_>, _>>()?;
            Ok((numbers::unsigned(&id, "segment id")?, files))
        })?;
        let schema = Arc::clone(&schema.schema);
        pool.run(env, move || Ok(SegmentHandle::of(&schema, Segment::open(Arc::clone(&schema), id, files)?)))
    }

    #[napi]
    pub fn merge<'env>(
        env: &'env Env,
        pool: &Pool,
        schema: &SchemaHandle,
        id: BigInt,
        sources: Vec<ClassInstance<SegmentHandle>>,
        drop_before: BigInt,
        expired: BigInt,
    ) -> Result<Answer<'env, SegmentHandle>, Thrown> {
        let (id, sources, drop_before, expired) = now(|| {
            let id = numbers::unsigned(&id, "segment id")?;
            let drop_before = numbers::unsigned(&drop_before, "dropBefore")?;
            Ok((id, segments_of(&sources)?, drop_before, numbers::unsigned(&expired, "expired")?))
        })?;
        let schema = Arc::clone(&schema.schema);
        pool.run_as(env, Urgency::Background, move || {
            let merged = Segment::merge(Arc::clone(&schema), id, &sources, drop_before, expired)?;
            Ok(SegmentHandle::of(&schema, merged))
        })
    }

    #[napi(getter)]
    pub fn id(&self) -> Result<u64, Thrown> {
        self.read(|segment| Ok(segment.id()))
    }

    #[napi(getter)]
    pub fn row_count(&self) -> Result<f64, Thrown> {
        self.read(|segment| Ok(segment.row_count() as f64))
    }

    #[napi(getter)]
    pub fn byte_size(&self) -> Result<f64, Thrown> {
        self.read(|segment| Ok(segment.byte_size() as f64))
    }

    #[napi(getter)]
    pub fn deleted_count(&self) -> Result<f64, Thrown> {
        self.read(|segment| Ok(segment.deleted_count() as f64))
    }

    #[napi(getter)]
    pub fn timestamp_min(&self) -> Result<u64, Thrown> {
        self.read(|segment| Ok(segment.timestamp_min()))
    }

    #[napi(getter)]
    pub fn timestamp_max(&self) -> Result<u64, Thrown> {
        self.read(|segment| Ok(segment.timestamp_max()))
    }

    #[napi]
    pub fn append(&self, rows: &[u8], at: BigInt) -> Result<(), Thrown> {
        self.read(|segment| {
            let batch = decode_batch(&self.schema, rows)?;
            segment.append(batch, numbers::unsigned(&at, "timestamp")?)
        })
    }

    #[napi]
    pub fn delete(&self, keys: &[u8], at: BigInt) -> Result<f64, Thrown> {
        self.read(|segment| {
            let died = segment.delete(&Keys::decode(keys)?, numbers::unsigned(&at, "timestamp")?)?;
            Ok(died as f64)
        })
    }

    #[napi]
    pub fn groups(&self) -> Result<Vec<String>, Thrown> {
        self.read(|segment| Ok(segment.groups()))
    }

    #[napi]
    pub fn encode_group<'env>(
        &self,
        env: &'env Env,
        pool: &Pool,
        group: String,
    ) -> Result<Answer<'env, Uint8Array>, Thrown> {
        let segment = now(|| self.segment())?;
        pool.run_as(env, Urgency::Background, move || Ok(segment.encode_group(&group)?.into()))
    }

    #[napi]
    pub fn export_deletes(&self) -> Result<ExportedDeletes, Thrown> {
        self.read(|segment| {
            let exported = segment.export_deletes()?;
            Ok(ExportedDeletes {
                bytes: exported.bytes.into(),
                deleted_count: exported.deleted_count as f64,
                newest: exported.newest.into(),
            })
        })
    }

    #[napi]
    pub fn import_deletes(&self, bytes: &[u8]) -> Result<(), Thrown> {
        self.read(|segment| segment.import_deletes(bytes))
    }

    #[napi]
    pub fn carry_deletes(&self, source: &SegmentHandle, after: BigInt) -> Result<f64, Thrown> {
        self.read(|segment| {
            let carried = segment.carry_deletes(&*source.segment()?, numbers::unsigned(&after, "timestamp")?)?;
            Ok(carried as f64)
        })
    }

    #[napi]
    pub fn attach_index<'env>(
        &self,
        env: &'env Env,
        pool: &Pool,
        index_id: BigInt,
        file: FileObject,
    ) -> Result<Answer<'env, ()>, Thrown> {
        let (segment, id, file) =
            now(|| Ok((self.segment()?, numbers::unsigned(&index_id, "index id")?, file.read()?)))?;
        pool.run(env, move || segment.attach_index(id, file))
    }

    #[napi]
    pub fn detach_index(&self, index_id: BigInt) -> Result<(), Thrown> {
        self.read(|segment| {
            segment.detach_index(numbers::unsigned(&index_id, "index id")?);
            Ok(())
        })
    }

    #[napi]
    pub fn indexes(&self) -> Result<Vec<u64>, Thrown> {
        self.read(|segment| Ok(segment.indexes()))
    }

    /// Running calls keep the memory until they end.
    #[napi]
    pub fn close(&self) {
        let Some(segment) = self.open.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let was_large = segment.byte_size() >= LARGE_BYTES_MIN;
        drop(segment);
        if was_large {
            give_back_soon();
        }
    }
}

/// Gives freed memory back on another thread, as the caller's has others waiting: once for all segments that are closed
/// until that thread begins. Without a thread the memory stays for the next segment.
fn give_back_soon() {
    static WAITING: AtomicBool = AtomicBool::new(false);
    if WAITING.swap(true, Ordering::AcqRel) {
        return;
    }
    let trim = || {
        WAITING.store(false, Ordering::Release);
        give_back_freed_memory();
    };
    if thread::Builder::new().name("elanus-trim".to_owned()).spawn(trim).is_err() {
        WAITING.store(false, Ordering::Release);
    }
}

impl SegmentHandle {
    fn of(schema: &Arc<Schema>, segment: Arc<Segment>) -> Self {
        Self { schema: Arc::clone(schema), open: Mutex::new(Some(segment)) }
    }

    pub fn segment(&self) -> Result<Arc<Segment>, NativeError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.clone().ok_or_else(|| NativeError::Internal("the segment is closed".to_owned()))
    }

    fn read<T>(&self, work: impl FnOnce(&Segment) -> Result<T, NativeError>) -> Result<T, Thrown> {
        now(|| work(&*self.segment()?))
    }
}

impl FileObject {
    fn read(self) -> Result<SegmentFile, NativeError> {
        let source = match (self.path, self.content) {
            (Some(path), None) => FileSource::Path(PathBuf::from(path)),
            (None, Some(content)) => FileSource::Content(content.to_vec()),
            _ => return Err(wrong_argument("a file has either a path or content")),
        };
        let bytes = numbers::count(self.bytes, "file size")? as u64;
        Ok(SegmentFile { role: self.role, crc32c: self.crc32c, bytes, source, field: self.field })
    }
}

pub fn segments_of(handles: &[ClassInstance<SegmentHandle>]) -> Result<Vec<Arc<Segment>>, NativeError> {
    handles.iter().map(|handle| handle.segment()).collect()
}
