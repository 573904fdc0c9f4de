//! The container of every index file: named sections on cache lines, a checksum for every block
//! (docs/formats/index.md). Whatever `open` accepts has passed all checksums, so a reader only has to distrust
//! the meaning of the bytes, not their safe arrival.

use std::ops::Range;

use elanus_kernels::crc32c;

use crate::IndexError;
use crate::storage::Storage;

const MAGIC: &[u8; 8] = b"ELANUSIX";
const VERSION: u32 = 1;
const BLOCK_BYTES: usize = 1 << 20;
const SECTIONS_MAX: usize = 64;
const FIXED_BYTES: usize = 32;
const ENTRY_BYTES: usize = 32;
const NAME_BYTES: usize = 16;
const ALIGNMENT: usize = 64;

fn corrupt(what: &str) -> IndexError {
    IndexError::Corrupt(format!("index file is damaged: {what}"))
}

/// Bytes of the header of a file with these many sections and blocks.
fn header_bytes(sections: usize, blocks: usize) -> usize {
    (FIXED_BYTES + sections * ENTRY_BYTES + blocks * 4 + 4).next_multiple_of(ALIGNMENT)
}

/// What a section is filled with.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    Bytes(&'a [u8]),
    /// Records of `stride` bytes, taken from `bytes` in another order.
    Records {
        bytes: &'a [u8],
        stride: usize,
        order: &'a [u32],
    },
}

impl Part<'_> {
    fn len(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Records { stride, order, .. } => stride * order.len(),
        }
    }

    fn append_to(self, file: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) => file.extend_from_slice(bytes),
            Self::Records { bytes, stride, order } => {
                for &record in order {
                    file.extend_from_slice(&bytes[record as usize * stride..(record as usize + 1) * stride]);
                }
            }
        }
    }
}

/// Lays sections of plain bytes out one after the other. Names have at most 16 bytes.
pub(crate) fn write(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let parts: Vec<(&str, Part<'_>)> = sections.iter().map(|&(name, bytes)| (name, Part::Bytes(bytes))).collect();
    write_parts(&parts)
}

/// Lays the sections out one after the other. Names have at most 16 bytes.
pub(crate) fn write_parts(sections: &[(&str, Part<'_>)]) -> Vec<u8> {
    let body: usize = sections.iter().map(|(_, part)| part.len().next_multiple_of(ALIGNMENT)).sum();
    let blocks = body.div_ceil(BLOCK_BYTES);
    let start = header_bytes(sections.len(), blocks);
    let mut file = Vec::with_capacity(start + body);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    file.extend_from_slice(&((start + body) as u64).to_le_bytes());
    file.extend_from_slice(&(start as u64).to_le_bytes());
    let mut offset = start;
    for (name, part) in sections {
        let mut padded = [0; NAME_BYTES];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        file.extend_from_slice(&padded);
        file.extend_from_slice(&(offset as u64).to_le_bytes());
        file.extend_from_slice(&(part.len() as u64).to_le_bytes());
        offset += part.len().next_multiple_of(ALIGNMENT);
    }
    let sums_at = file.len();
    file.resize(start, 0);
    for (_, part) in sections {
        part.append_to(&mut file);
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
    }
    let sums: Vec<u8> = file[start..].chunks(BLOCK_BYTES).flat_map(|block| crc32c(block).to_le_bytes()).collect();
    file[sums_at..sums_at + sums.len()].copy_from_slice(&sums);
    let header_sum = crc32c(&file[..start - 4]).to_le_bytes();
    file[start - 4..start].copy_from_slice(&header_sum);
    file
}

/// A verified file.
#[derive(Debug)]
pub(crate) struct File {
    storage: Storage,
    sections: Vec<(String, Range<usize>)>,
}

impl File {
    /// Verifies every checksum.
    pub(crate) fn open(storage: Storage) -> Result<Self, IndexError> {
        let (start, sections) = read_header(&storage)?;
        let sums_at = FIXED_BYTES + sections.len() * ENTRY_BYTES;
        for (number, block) in storage[start..].chunks(BLOCK_BYTES).enumerate() {
            if Some(crc32c(block)) != u32_at(&storage, sums_at + number * 4) {
                let from = start + number * BLOCK_BYTES;
                let name = sections.iter().rfind(|(_, range)| range.start <= from).map_or("", |(name, _)| name);
                return Err(corrupt(&format!("block {number} at byte {from} (section {name}): checksum mismatch")));
            }
        }
        Ok(Self { storage, sections })
    }

    /// The bytes of a section, on a cache line.
    pub(crate) fn section(&self, name: &str) -> Result<&[u8], IndexError> {
        self.range(name).map(|range| &self.storage[range])
    }

    /// Where a section lies, to be used with [`Self::bytes`] without another look-up.
    pub(crate) fn range(&self, name: &str) -> Result<Range<usize>, IndexError> {
        let found = self.sections.iter().find(|(own, _)| own == name);
        found.map(|(_, range)| range.clone()).ok_or_else(|| corrupt(&format!("section {name} is missing")))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.storage
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.storage.heap_bytes()
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)?;
    usize::try_from(word).ok()
}

type Sections = Vec<(String, Range<usize>)>;

/// Where the blocks start, and the sections.
fn read_header(bytes: &[u8]) -> Result<(usize, Sections), IndexError> {
    if bytes.get(..8) != Some(MAGIC) {
        return Err(corrupt("header: not an index file"));
    }
    let version = u32_at(bytes, 8).ok_or_else(|| corrupt("header: cut off"))?;
    if version != VERSION {
        return Err(corrupt(&format!("header: version {version} is not known")));
    }
    if usize_at(bytes, 16) != Some(bytes.len()) {
        return Err(corrupt("header: the file has another length than it says"));
    }
    let count = u32_at(bytes, 12).map_or(usize::MAX, |count| count as usize);
    if count > SECTIONS_MAX {
        return Err(corrupt("header: section count"));
    }
    let start = usize_at(bytes, 24).filter(|&start| {
        let blocks = bytes.len().checked_sub(start).map(|body| body.div_ceil(BLOCK_BYTES));
        blocks.is_some_and(|blocks| start == header_bytes(count, blocks))
    });
    let start = start.ok_or_else(|| corrupt("header: size"))?;
    if u32_at(bytes, start - 4) != Some(crc32c(&bytes[..start - 4])) {
        return Err(corrupt("header: checksum mismatch"));
    }
    let sections: Option<Sections> = (0..count).map(|index| read_entry(bytes, index, start)).collect();
    Ok((start, sections.ok_or_else(|| corrupt("header: section table"))?))
}

fn read_entry(bytes: &[u8], index: usize, start: usize) -> Option<(String, Range<usize>)> {
    let at = FIXED_BYTES + index * ENTRY_BYTES;
    let name = bytes.get(at..at + NAME_BYTES)?;
    let name = name.split(|&byte| byte == 0).next().unwrap_or(name);
    let offset = usize_at(bytes, at + NAME_BYTES)?;
    let end = offset.checked_add(usize_at(bytes, at + NAME_BYTES + 8)?)?;
    let inside = offset >= start && end <= bytes.len() && offset.is_multiple_of(ALIGNMENT);
    inside.then(|| (String::from_utf8_lossy(name).into_owned(), offset..end))
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, File, write};
    use crate::storage::Storage;

    #[test]
    fn sections_come_back_aligned() {
        let big: Vec<u8> = (0..3 * BLOCK_BYTES + 17).map(|i| (i % 251) as u8).collect();
        for sections in [vec![], vec![("a", &b"xyz"[..]), ("empty", b""), ("b", &big)]] {
            let file = File::open(Storage::copy_of(&write(&sections))).expect("whole");
            for (name, bytes) in sections {
                let found = file.section(name).expect("there");
                assert_eq!(found, bytes);
                assert_eq!(found.as_ptr() as usize % 64, 0);
            }
            assert!(file.section("other").is_err());
        }
    }

    #[test]
    fn any_header_size_is_found_again() {
        for blocks in 0..24 {
            let body = vec![7; blocks * BLOCK_BYTES / 8 * 8];
            let file = File::open(Storage::copy_of(&write(&[("body", &body)]))).expect("whole");
            assert_eq!(file.section("body").expect("there").len(), body.len());
        }
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let bytes = write(&[("meta", b"{}"), ("rows", &[9; 200])]);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let error = File::open(Storage::copy_of(&damaged)).expect_err("damaged").to_string();
            assert!(error.contains("header") || error.contains("block 0"), "{error}");
            assert!(File::open(Storage::copy_of(&bytes[..at])).is_err());
        }
    }
}
