//! Which shard and partition a row belongs to, and one row per key.

use std::collections::BTreeMap;

use crate::column::Batch;
use crate::error::Result;
pub use crate::keys::bucket;
use crate::keys::Keys;
use crate::schema::Schema;

/// Rows of one shard and one partition, both as ordinals.
#[derive(Clone, Debug)]
pub struct Routed {
    pub shard: usize,
    pub partition: usize,
    pub rows: Batch,
}

/// Splits rows by the hash of the key (shard) and of the partition key (partition; 0 without one). Of rows with the
/// same key the last stays.
///
/// # Errors
/// `Internal` when a key column is of no key type.
pub fn route(schema: &Schema, batch: &Batch, shards: usize, partitions: usize) -> Result<Vec<Routed>> {
    let keys = Keys::of_column(&batch.columns[schema.primary_position()])?;
    let partition_keys = match schema.fields.iter().position(|field| field.partition_key) {
        Some(position) => Some(Keys::of_column(&batch.columns[position])?),
        None => None,
    };
    let mut groups: BTreeMap<(usize, usize), Vec<u32>> = BTreeMap::new();
    for row in keys.last_positions() {
        let shard = bucket(keys.get(row as usize), shards);
        let partition = partition_keys.as_ref().map_or(0, |keys| bucket(keys.get(row as usize), partitions));
        groups.entry((shard, partition)).or_default().push(row);
    }
    if let (1, Some((&(shard, partition), rows))) = (groups.len(), groups.first_key_value())
        && rows.len() == batch.row_count
    {
        return Ok(vec![Routed { shard, partition, rows: batch.clone() }]);
    }
    let routed = groups.into_iter().map(|((shard, partition), rows)| Routed { shard, partition, rows: batch.gather(&rows) });
    Ok(routed.collect())
}
