//! Delete files: the tombstones of one sealed segment (docs/formats/segment.md).

use elanus_rows::error::Result;

use crate::sealed::checked::{self, Reader};

const MAGIC: [u8; 4] = *b"ELDL";

/// A delete file and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteFile {
    pub bytes: Vec<u8>,
    pub deleted_count: u64,
    /// The latest death; 0 when there is none.
    pub newest: u64,
}

/// `deaths` are (row, death), ascending by row.
pub(crate) fn encode(segment_rows: usize, deaths: &[(u32, u64)]) -> DeleteFile {
    let mut out = checked::begin(MAGIC);
    out.extend_from_slice(&(segment_rows as u64).to_le_bytes());
    out.extend_from_slice(&(deaths.len() as u64).to_le_bytes());
    deaths.iter().for_each(|(row, _)| out.extend_from_slice(&row.to_le_bytes()));
    deaths.iter().for_each(|(_, at)| out.extend_from_slice(&at.to_le_bytes()));
    DeleteFile {
        bytes: checked::finish(out),
        deleted_count: deaths.len() as u64,
        newest: deaths.iter().map(|&(_, at)| at).max().unwrap_or(0),
    }
}

/// The tombstones of a file that was made for a segment of `segment_rows` rows.
pub(crate) fn decode(segment_rows: usize, bytes: &[u8]) -> Result<Vec<(u32, u64)>> {
    let mut reader = Reader::open("deletes", MAGIC, bytes)?;
    if reader.u64()? != segment_rows as u64 {
        return Err(reader.damaged("it belongs to another segment"));
    }
    let count = reader.u64()?;
    let count = usize::try_from(count).ok().filter(|&count| count <= segment_rows);
    let count = count.ok_or_else(|| reader.damaged("more tombstones than rows"))?;
    let rows = reader.take(count * 4)?.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    let rows: Vec<u32> = rows.collect();
    let deaths = reader.u64s(count)?;
    reader.end()?;
    let ascending = rows.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || rows.last().is_some_and(|&row| row as usize >= segment_rows) {
        return Err(reader.damaged("its rows are out of order"));
    }
    Ok(rows.into_iter().zip(deaths).collect())
}
