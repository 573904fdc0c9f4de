//! A segment: rows of one partition of one shard, growing in memory, sealed in files, or merged and about to be
//! written.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use elanus_filter::Program;
use elanus_index::growing::GrowingLists;
use elanus_index::vector::Metric;
use elanus_rows::column::{Batch, Bits};
use elanus_rows::error::{NativeError, Result};
use elanus_rows::keys::Keys;
use elanus_rows::schema::Schema;

use crate::attached::Attached;
use crate::deaths::Deaths;
use crate::delete_file::{self, DeleteFile};
use crate::file::SegmentFile;
use crate::growing::Growing;
use crate::layout::Layout;
use crate::moment::Moment;
use crate::part::{Part, Source};
use crate::sealed::Sealed;

#[derive(Debug)]
pub struct Segment {
    id: u64,
    schema: Arc<Schema>,
    body: Body,
    /// The order in which a growing segment will be sealed, once somebody has asked.
    sealing: Mutex<Option<Arc<Sealing>>>,
}

#[derive(Debug)]
enum Body {
    Growing(Growing),
    Sealed(Arc<Sealed>),
    Merged { layout: Layout, deaths: RwLock<Deaths> },
}

/// A growing segment's rows in file order.
#[derive(Debug)]
struct Sealing {
    layout: Layout,
    /// File position of each row.
    positions: Vec<u32>,
}

impl Segment {
    #[must_use]
    pub fn growing(schema: Arc<Schema>, id: u64) -> Arc<Self> {
        let body = Body::Growing(Growing::new(&schema));
        Self::of(schema, id, body)
    }

    /// Opens a sealed segment after checking every file's size and checksum.
    ///
    /// # Errors
    /// `FileCorrupt` naming the role of a damaged file; `IoFailed` when one cannot be read.
    pub fn open(schema: Arc<Schema>, id: u64, files: Vec<SegmentFile>) -> Result<Arc<Self>> {
        let body = Body::Sealed(Arc::new(Sealed::open(Arc::clone(&schema), files)?));
        Ok(Self::of(schema, id, body))
    }

    /// The live rows of `sources` in key order, ready to be written. Rows that died at or before `drop_before` and
    /// rows inserted at or before `expired` are gone, younger tombstones are kept.
    ///
    /// # Errors
    /// A source's file turns out damaged.
    pub fn merge(
        schema: Arc<Schema>,
        id: u64,
        sources: &[Arc<Self>],
        drop_before: u64,
        expired: u64,
    ) -> Result<Arc<Self>> {
        let body = crate::merge::merge(&schema, sources, drop_before, expired)?;
        Ok(Self::of(schema, id, Body::Merged { layout: body.0, deaths: RwLock::new(body.1) }))
    }

    fn of(schema: Arc<Schema>, id: u64, body: Body) -> Arc<Self> {
        Arc::new(Self { id, schema, body, sealing: Mutex::new(None) })
    }

    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    #[must_use]
    pub fn row_count(&self) -> usize {
        match &self.body {
            Body::Growing(growing) => growing.rows(),
            Body::Sealed(sealed) => sealed.rows(),
            Body::Merged { layout, .. } => layout.rows(),
        }
    }

    /// Heap bytes held now; mapped files are not counted.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        match &self.body {
            Body::Growing(growing) => growing.bytes(),
            Body::Sealed(sealed) => sealed.bytes() + sealed.attached().iter().map(|index| index.bytes()).sum::<usize>(),
            Body::Merged { layout, .. } => layout.rows() * 16,
        }
    }

    #[must_use]
    pub fn deleted_count(&self) -> usize {
        match &self.body {
            Body::Growing(growing) => growing.dead_count(),
            Body::Sealed(sealed) => sealed.deaths().len(),
            Body::Merged { deaths, .. } => deaths.read().unwrap_or_else(PoisonError::into_inner).len(),
        }
    }

    /// Earliest insert timestamp; 0 without rows.
    #[must_use]
    pub fn timestamp_min(&self) -> u64 {
        self.timestamps().0
    }

    /// Latest insert timestamp; 0 without rows.
    #[must_use]
    pub fn timestamp_max(&self) -> u64 {
        self.timestamps().1
    }

    fn timestamps(&self) -> (u64, u64) {
        match &self.body {
            Body::Growing(growing) => growing.stamps(),
            Body::Sealed(sealed) => (sealed.statistics().stamp_min, sealed.statistics().stamp_max),
            Body::Merged { layout, .. } => {
                let stamps = || layout.stamps.iter().copied();
                (stamps().min().unwrap_or(0), stamps().max().unwrap_or(0))
            }
        }
    }

    /// Adds rows that came at `at`; older rows of the same keys in this segment die then. Growing segments only.
    ///
    /// # Errors
    /// The batch is not of this schema, or the segment is not growing.
    pub fn append(&self, batch: Batch, at: u64) -> Result<()> {
        match &self.body {
            Body::Growing(growing) => growing.append(batch, at),
            _ => Err(NativeError::Internal("rows can be appended to a growing segment only".into())),
        }
    }

    /// Rows of `keys` inserted before `at` die at `at`; gives how many were alive. Idempotent.
    ///
    /// # Errors
    /// The key column of a sealed segment cannot be read.
    pub fn delete(&self, keys: &Keys, at: u64) -> Result<usize> {
        match &self.body {
            Body::Growing(growing) => Ok(growing.delete(keys, at)),
            Body::Sealed(sealed) => sealed.delete(keys, at),
            Body::Merged { .. } => Err(merged()),
        }
    }

    /// Names of the column groups that make a sealed segment of these rows.
    #[must_use]
    pub fn groups(&self) -> Vec<String> {
        let vectors = self.schema.fields.iter().filter(|field| field.data_type.is_vector());
        std::iter::once("scalars".to_owned())
            .chain(vectors.map(|field| format!("vector:{}", field.id)))
            .chain(std::iter::once("statistics".to_owned()))
            .collect()
    }

    /// Writes one column group.
    ///
    /// # Errors
    /// No such group, or a source's file turns out damaged.
    pub fn encode_group(&self, group: &str) -> Result<Vec<u8>> {
        let sealing;
        let layout = match &self.body {
            Body::Growing(growing) => {
                sealing = self.sealing(growing)?;
                &sealing.layout
            }
            Body::Merged { layout, .. } => layout,
            Body::Sealed(_) => return Err(NativeError::Internal("a sealed segment is written already".into())),
        };
        match group {
            "scalars" => layout.encode_scalars(&self.schema),
            "statistics" => layout.encode_statistics(&self.schema),
            other => {
                let id = other.strip_prefix("vector:").and_then(|id| id.parse().ok());
                let position = id.and_then(|id| self.schema.position(id));
                let position = position.filter(|&i| self.schema.fields[i].data_type.is_vector());
                let position = position.ok_or_else(|| NativeError::Internal(format!("no column group {other}")))?;
                layout.encode_vectors(&self.schema, position)
            }
        }
    }

    /// All tombstones as a delete file of the sealed form of this segment.
    ///
    /// # Errors
    /// The file order of a growing segment cannot be made.
    pub fn export_deletes(&self) -> Result<DeleteFile> {
        let deaths = match &self.body {
            Body::Growing(growing) => {
                let sealing = self.sealing(growing)?;
                let deaths = growing.deaths().sorted();
                let mut deaths: Vec<(u32, u64)> = deaths
                    .into_iter()
                    .filter_map(|(row, at)| sealing.positions.get(row as usize).map(|&row| (row, at)))
                    .collect();
                deaths.sort_unstable();
                deaths
            }
            Body::Sealed(sealed) => sealed.deaths().sorted(),
            Body::Merged { deaths, .. } => deaths.read().unwrap_or_else(PoisonError::into_inner).sorted(),
        };
        Ok(delete_file::encode(self.row_count(), &deaths))
    }

    /// Applies a delete file of this segment.
    ///
    /// # Errors
    /// `FileCorrupt`; or the segment is not sealed.
    pub fn import_deletes(&self, bytes: &[u8]) -> Result<()> {
        match &self.body {
            Body::Sealed(sealed) => {
                sealed.kill(&delete_file::decode(sealed.rows(), bytes)?);
                Ok(())
            }
            _ => Err(NativeError::Internal("delete files belong to sealed segments".into())),
        }
    }

    /// Tombstones of `source` younger than `after`, for rows that also live here; gives how many rows died.
    ///
    /// # Errors
    /// A file turns out damaged.
    pub fn carry_deletes(&self, source: &Self, after: u64) -> Result<usize> {
        let mut doomed = Vec::new();
        for (part, deaths) in source.contents()? {
            let stamps = part.stamps()?;
            for (at, row) in deaths.younger(after) {
                let Some(row) = row.checked_sub(part.base()).filter(|&row| (row as usize) < part.rows()) else {
                    continue;
                };
                let (key, stamp) = (part.key(&source.schema, row)?, stamps[row as usize]);
                if at <= stamp {
                    // Shadowed within its own batch: nobody ever saw it.
                    continue;
                }
                let here = match &self.body {
                    Body::Growing(growing) => growing.find_inserted(key, stamp),
                    Body::Sealed(sealed) => sealed.find_inserted(key, stamp)?,
                    Body::Merged { .. } => return Err(merged()),
                };
                doomed.extend(here.map(|row| (row, at)));
            }
        }
        Ok(match &self.body {
            Body::Growing(growing) => growing.kill(&doomed),
            Body::Sealed(sealed) => sealed.kill(&doomed),
            Body::Merged { .. } => 0,
        })
    }

    /// Attaches an index file; the old one of the same field goes when no search uses it any more.
    ///
    /// # Errors
    /// `FileCorrupt`, or the segment is not sealed.
    pub fn attach_index(&self, id: u64, file: SegmentFile) -> Result<()> {
        let sealed = self.as_sealed()?;
        sealed.attach(Arc::new(Attached::open(&self.schema, id, &file)?))
    }

    /// Lets go of an index; one that is not attached is fine.
    pub fn detach_index(&self, id: u64) {
        if let Body::Sealed(sealed) = &self.body {
            sealed.attached_mut().retain(|index| index.id != id);
        }
    }

    /// Ids of attached indexes.
    #[must_use]
    pub fn indexes(&self) -> Vec<u64> {
        match &self.body {
            Body::Sealed(sealed) => sealed.attached().iter().map(|index| index.id).collect(),
            _ => Vec::new(),
        }
    }

    /// Lists over many of a growing segment's rows (`interim`).
    pub(crate) fn lists(&self, position: usize, metric: Metric) -> Option<Arc<GrowingLists>> {
        match &self.body {
            Body::Growing(growing) => growing.lists(&self.schema, position, metric),
            _ => None,
        }
    }

    /// Waits until no lists are being made.
    #[cfg(test)]
    pub(crate) fn settle(&self) {
        if let Body::Growing(growing) = &self.body {
            growing.settle();
        }
    }

    /// Whether what a sealed segment knows of its columns says that no row passes a filter.
    pub(crate) fn rules_out(&self, program: &Program) -> bool {
        match &self.body {
            Body::Sealed(sealed) => !program.may_pass(&|field| sealed.statistics().column_bounds(field)),
            _ => false,
        }
    }

    /// The rows that `moment` sees.
    pub(crate) fn view(&self, moment: Moment) -> Result<Vec<Part>> {
        match &self.body {
            Body::Growing(growing) => Ok(growing
                .view(moment)
                .into_iter()
                .map(|(chunk, allowed)| Part { source: Source::Memory(chunk), allowed })
                .collect()),
            Body::Sealed(sealed) => {
                Ok(vec![Part { allowed: sealed.visible(moment)?, source: Source::Sealed(Arc::clone(sealed)) }])
            }
            Body::Merged { .. } => Err(merged()),
        }
    }

    /// The rows of `keys` that `moment` sees, as (source, row within it).
    pub(crate) fn find(&self, keys: &Keys, moment: Moment) -> Result<Vec<(Source, u32)>> {
        match &self.body {
            Body::Growing(growing) => Ok(growing
                .find(keys, moment)
                .into_iter()
                .map(|(chunk, row)| {
                    let base = chunk.base;
                    (Source::Memory(chunk), row - base)
                })
                .collect()),
            Body::Sealed(sealed) => {
                let rows = sealed.find(keys, moment)?;
                Ok(rows.into_iter().map(|row| (Source::Sealed(Arc::clone(sealed)), row)).collect())
            }
            Body::Merged { .. } => Err(merged()),
        }
    }

    /// Every source of rows.
    pub(crate) fn sources(&self) -> Result<Vec<Source>> {
        match &self.body {
            Body::Growing(growing) => Ok(growing.chunks().iter().cloned().map(Source::Memory).collect()),
            Body::Sealed(sealed) => Ok(vec![Source::Sealed(Arc::clone(sealed))]),
            Body::Merged { .. } => Err(merged()),
        }
    }

    /// Every source of rows, with the tombstones of the segment.
    pub(crate) fn contents(&self) -> Result<Vec<(Source, Arc<Deaths>)>> {
        let deaths = Arc::new(match &self.body {
            Body::Growing(growing) => growing.deaths(),
            Body::Sealed(sealed) => sealed.deaths().clone(),
            Body::Merged { .. } => return Err(merged()),
        });
        Ok(self.sources()?.into_iter().map(|source| (source, Arc::clone(&deaths))).collect())
    }

    /// The sealed body.
    pub(crate) fn as_sealed(&self) -> Result<&Arc<Sealed>> {
        match &self.body {
            Body::Sealed(sealed) => Ok(sealed),
            _ => Err(NativeError::Internal("indexes belong to sealed segments".into())),
        }
    }

    /// The file order of a growing segment; made again when rows came since.
    fn sealing(&self, growing: &Growing) -> Result<Arc<Sealing>> {
        let mut known = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sealing) = known.as_ref().filter(|sealing| sealing.layout.rows() == growing.rows()) {
            return Ok(Arc::clone(sealing));
        }
        let sources: Vec<(Source, Option<Bits>)> =
            growing.chunks().iter().map(|chunk| (Source::Memory(Arc::clone(chunk)), None)).collect();
        let layout = Layout::new(&self.schema, sources)?;
        let mut positions = vec![0; layout.rows()];
        for (position, &(source, row)) in layout.order().iter().enumerate() {
            positions[(layout.sources()[source as usize].base() + row) as usize] = position as u32;
        }
        let sealing = Arc::new(Sealing { layout, positions });
        *known = Some(Arc::clone(&sealing));
        Ok(sealing)
    }
}

fn merged() -> NativeError {
    NativeError::Internal("a merged segment can only be written".into())
}
