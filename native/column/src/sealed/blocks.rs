//! Decoded blocks of columns that are too large to be kept whole, for filters. All segments of the process share one
//! bound; the block that was not read for the longest time goes first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use elanus_rows::column::Column;
use elanus_rows::error::Result;

use crate::accounting::{Account, Kind};

/// Rows of a block; a multiple of 64.
pub(crate) const BLOCK_ROWS: usize = if cfg!(test) { 64 } else { 1 << 16 };
/// Bytes of all blocks that are kept.
const CACHE_BYTES: usize = if cfg!(test) { 1 << 14 } else { 256 << 20 };

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Number of the opened segment.
    pub(crate) segment: u64,
    /// Of the field in the schema.
    pub(crate) position: usize,
    pub(crate) block: usize,
}

struct Kept {
    column: Arc<Column>,
    account: Account,
    /// When it was last read.
    read: u64,
}

#[derive(Default)]
struct Cache {
    blocks: HashMap<Place, Kept>,
    /// By the time of the last reading.
    order: BTreeMap<u64, Place>,
    bytes: usize,
    now: u64,
}

impl Cache {
    fn find(&mut self, place: Place) -> Option<Arc<Column>> {
        self.now += 1;
        let kept = self.blocks.get_mut(&place)?;
        self.order.remove(&kept.read);
        kept.read = self.now;
        self.order.insert(self.now, place);
        Some(Arc::clone(&kept.column))
    }

    fn put(&mut self, place: Place, column: &Arc<Column>) {
        let bytes = column.byte_size();
        if bytes > CACHE_BYTES || self.blocks.contains_key(&place) {
            return;
        }
        while self.bytes + bytes > CACHE_BYTES {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            self.remove(*oldest);
        }
        self.now += 1;
        self.bytes += bytes;
        self.order.insert(self.now, place);
        let account = Account::new(Kind::Sealed, bytes);
        self.blocks.insert(place, Kept { column: Arc::clone(column), account, read: self.now });
    }

    fn remove(&mut self, place: Place) {
        if let Some(kept) = self.blocks.remove(&place) {
            self.order.remove(&kept.read);
            self.bytes -= kept.account.bytes();
        }
    }
}

static CACHE: Mutex<Option<Cache>> = Mutex::new(None);

fn with_cache<T>(use_it: impl FnOnce(&mut Cache) -> T) -> T {
    use_it(CACHE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// The block, from memory or by `decode`. Two readers at once may both decode it.
///
/// # Errors
/// Those of `decode`.
pub(crate) fn get(place: Place, decode: impl FnOnce() -> Result<Column>) -> Result<Arc<Column>> {
    if let Some(column) = with_cache(|cache| cache.find(place)) {
        return Ok(column);
    }
    let column = Arc::new(decode()?);
    with_cache(|cache| cache.put(place, &column));
    Ok(column)
}

/// Drops the blocks of a closed segment.
pub(crate) fn forget(segment: u64) {
    with_cache(|cache| {
        let places: Vec<Place> = cache.blocks.keys().filter(|place| place.segment == segment).copied().collect();
        places.into_iter().for_each(|place| cache.remove(place));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use elanus_rows::column::Values;

    fn column(rows: usize) -> Column {
        Column { values: Values::Int64(vec![7; rows]), validity: None }
    }

    #[test]
    fn the_bound_holds_and_what_was_read_last_stays() {
        let mut cache = Cache::default();
        let place = |block| Place { segment: 1, position: 0, block };
        let rows = CACHE_BYTES / 8 / 4;
        (0..4).for_each(|block| cache.put(place(block), &Arc::new(column(rows))));
        assert!((0..4).all(|block| cache.find(place(block)).is_some()));
        assert!(cache.find(place(0)).is_some());
        cache.put(place(4), &Arc::new(column(rows)));
        assert!(cache.bytes <= CACHE_BYTES);
        assert!(cache.find(place(0)).is_some() && cache.find(place(1)).is_none());
        cache.put(place(5), &Arc::new(column(CACHE_BYTES)));
        assert!(cache.find(place(5)).is_none());
        cache.remove(place(0));
        assert_eq!(cache.bytes, cache.blocks.values().map(|kept| kept.account.bytes()).sum::<usize>());
    }

    #[test]
    fn a_block_is_decoded_once_and_forgotten_with_its_segment() {
        let place = Place { segment: u64::MAX, position: 0, block: 0 };
        get(place, || Ok(column(3))).unwrap();
        get(place, || panic!("decoded twice")).unwrap();
        forget(u64::MAX);
        assert_eq!(get(place, || Ok(column(4))).unwrap().len(), 4);
        forget(u64::MAX);
    }
}
