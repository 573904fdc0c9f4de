//! Which shard and partition a row belongs to, and one row per key.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::column::Batch;
use crate::error::Result;
use crate::keys::Keys;
pub use crate::keys::bucket;
use crate::schema::Schema;

/// Rows of one shard and one partition, both as ordinals.
#[derive(Clone, Debug)]
pub struct Routed<'a> {
    pub shard: usize,
    pub partition: usize,
    /// The batch itself where all of its rows go the same way.
    pub rows: Cow<'a, Batch>,
}

/// Splits rows by the hash of the key (shard) and of the partition key (partition; 0 without one). Of rows with the
/// same key the last stays.
///
/// # Errors
/// `Internal` when a key column is of no key type.
pub fn route<'a>(schema: &Schema, batch: &'a Batch, shards: usize, partitions: usize) -> Result<Vec<Routed<'a>>> {
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
        return Ok(vec![Routed { shard, partition, rows: Cow::Borrowed(batch) }]);
    }
    let gathered = |((shard, partition), rows): ((usize, usize), Vec<u32>)| Routed {
        shard,
        partition,
        rows: Cow::Owned(batch.gather(&rows)),
    };
    Ok(groups.into_iter().map(gathered).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::column::{Column, Values};
    use crate::fixture::{any_batch, every_type};
    use crate::keys::Key;

    proptest! {
        /// Every key goes to exactly one place, once, as its last row.
        #[test]
        fn each_key_arrives_once_where_its_hash_says(
            batch in any_batch(1..12), keys in prop::collection::vec(0_i64..8, 12), shards in 1_usize..4,
        ) {
            let (schema, mut batch) = (every_type(), batch);
            let keys = keys[..batch.row_count].to_vec();
            batch.columns[0] = Column { values: Values::Int64(keys.clone()), validity: None };
            let mut seen = BTreeSet::new();
            for part in route(&schema, &batch, shards, 3).unwrap() {
                let Values::Int64(own) = &part.rows.columns[0].values else { panic!("no keys") };
                for (i, &key) in own.iter().enumerate() {
                    prop_assert!(seen.insert(key));
                    prop_assert_eq!(bucket(Key::Int(key), shards), part.shard);
                    let last = keys.iter().rposition(|&other| other == key).unwrap() as u32;
                    prop_assert_eq!(part.rows.gather(&[i as u32]), batch.gather(&[last]));
                }
            }
            prop_assert_eq!(seen, keys.into_iter().collect());
        }
    }
}
