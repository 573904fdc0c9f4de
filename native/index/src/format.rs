//! The container of every index file: named sections on cache lines, a checksum for every block
//! (docs/formats/index.md). Whatever `open` accepts has passed all checksums, so a reader only has to distrust
//! the meaning of the bytes, not their safe arrival.

use std::io::{self, Seek, SeekFrom, Write};
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
/// What a device reads at least.
pub(crate) const PAGE_BYTES: usize = 4096;

/// What a file that does not hold what it should is refused with.
pub(crate) fn corrupt(what: &str) -> IndexError {
    IndexError::Corrupt(format!("index file is damaged: {what}"))
}

/// What a section is refused with that has another size than the lists of the index say.
pub(crate) fn damaged(section: &str) -> IndexError {
    corrupt(&format!("section {section} does not fit the lists"))
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
    /// `count` pieces of `bytes` bytes, a multiple of [`PAGE_BYTES`], from a page boundary of the file on.
    Pages {
        count: usize,
        bytes: usize,
        fill: Fill<'a>,
    },
}

/// Gets the number of a piece, in order, and zeros to write over.
type Fill<'a> = &'a dyn Fn(usize, &mut [u8]) -> Result<(), IndexError>;

impl Part<'_> {
    fn len(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Records { stride, order, .. } => stride * order.len(),
            Self::Pages { count, bytes, .. } => count * bytes,
        }
    }

    fn alignment(self) -> usize {
        match self {
            Self::Pages { .. } => PAGE_BYTES,
            _ => ALIGNMENT,
        }
    }

    fn append_to(self, body: &mut Body<'_>) -> Result<(), IndexError> {
        match self {
            Self::Bytes(bytes) => body.append(bytes),
            Self::Records { bytes, stride, order } => {
                order.iter().try_for_each(|&at| body.append(&bytes[at as usize * stride..(at as usize + 1) * stride]))
            }
            Self::Pages { count, bytes, fill } => {
                let mut piece = vec![0; bytes];
                (0..count).try_for_each(|number| {
                    piece.fill(0);
                    fill(number, &mut piece)?;
                    body.append(&piece)
                })
            }
        }
    }
}

/// Where a file is written to.
pub trait Sink: Write + Seek {}

impl<T: Write + Seek> Sink for T {}

/// What follows the header, on its way to the sink; holds one block at most.
struct Body<'a> {
    sink: &'a mut dyn Sink,
    block: Vec<u8>,
    sums: Vec<u8>,
}

impl Body<'_> {
    fn append(&mut self, mut bytes: &[u8]) -> Result<(), IndexError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == BLOCK_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IndexError> {
        if !self.block.is_empty() {
            self.sums.extend(crc32c(&self.block).to_le_bytes());
            self.sink.write_all(&self.block).map_err(unwritten)?;
            self.block.clear();
        }
        Ok(())
    }
}

pub(crate) fn unwritten(error: io::Error) -> IndexError {
    IndexError::Unwritten(format!("index file cannot be written: {error}"))
}

/// Lays sections of plain bytes out one after the other. Names have at most 16 bytes.
pub(crate) fn write(sections: &[(&str, &[u8])]) -> Result<Vec<u8>, IndexError> {
    let parts: Vec<(&str, Part<'_>)> = sections.iter().map(|&(name, bytes)| (name, Part::Bytes(bytes))).collect();
    write_parts(&parts)
}

/// Lays the sections out one after the other. Names have at most 16 bytes.
pub(crate) fn write_parts(sections: &[(&str, Part<'_>)]) -> Result<Vec<u8>, IndexError> {
    let mut file = io::Cursor::new(Vec::with_capacity(Places::of(sections).end));
    write_to(&mut file, sections)?;
    Ok(file.into_inner())
}

/// Where everything goes.
struct Places {
    /// End of the header.
    start: usize,
    /// Start of each section.
    sections: Vec<usize>,
    end: usize,
}

impl Places {
    /// The header's length depends on the number of blocks, and that on where pages can start.
    fn of(sections: &[(&str, Part<'_>)]) -> Self {
        let mut blocks = 0;
        loop {
            let start = header_bytes(sections.len(), blocks);
            let mut end = start;
            let mut starts = vec![];
            for (_, part) in sections {
                let at = end.next_multiple_of(part.alignment());
                starts.push(at);
                end = (at + part.len()).next_multiple_of(ALIGNMENT);
            }
            let needed = (end - start).div_ceil(BLOCK_BYTES);
            if needed <= blocks {
                // A longer header can leave less before the first page, and so fewer blocks: the last is filled.
                let end = if needed < blocks { start + (blocks - 1) * BLOCK_BYTES + ALIGNMENT } else { end };
                return Self { start, sections: starts, end };
            }
            blocks = needed;
        }
    }
}

/// As [`write_parts`], piece by piece into a sink.
pub(crate) fn write_to(sink: &mut dyn Sink, sections: &[(&str, Part<'_>)]) -> Result<(), IndexError> {
    let places = Places::of(sections);
    let mut header = Vec::with_capacity(places.start);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    header.extend_from_slice(&(places.end as u64).to_le_bytes());
    header.extend_from_slice(&(places.start as u64).to_le_bytes());
    for ((name, part), offset) in sections.iter().zip(&places.sections) {
        let mut padded = [0; NAME_BYTES];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        header.extend_from_slice(&padded);
        header.extend_from_slice(&(*offset as u64).to_le_bytes());
        header.extend_from_slice(&(part.len() as u64).to_le_bytes());
    }
    sink.write_all(&vec![0; places.start]).map_err(unwritten)?;
    let mut body = Body { sink, block: Vec::with_capacity(BLOCK_BYTES), sums: vec![] };
    let mut at = places.start;
    for ((_, part), &start) in sections.iter().zip(&places.sections) {
        body.append(&vec![0; start - at])?;
        part.append_to(&mut body)?;
        at = start + part.len();
    }
    body.append(&vec![0; places.end - at])?;
    body.flush()?;
    header.extend_from_slice(&body.sums);
    header.resize(places.start - 4, 0);
    header.extend_from_slice(&crc32c(&header).to_le_bytes());
    sink.seek(SeekFrom::Start(0)).and_then(|_| sink.write_all(&header)).map_err(unwritten)
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

    pub(crate) fn is_mapped(&self) -> bool {
        self.storage.is_mapped()
    }

    pub(crate) fn will_need(&self, part: Range<usize>) {
        self.storage.will_need(part);
    }

    pub(crate) fn read_at_random(&self, part: Range<usize>) {
        self.storage.read_at_random(part);
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
    use super::{BLOCK_BYTES, File, PAGE_BYTES, Part, write, write_parts};
    use crate::storage::Storage;

    #[test]
    fn sections_come_back_aligned() {
        let big: Vec<u8> = (0..3 * BLOCK_BYTES + 17).map(|i| (i % 251) as u8).collect();
        for sections in [vec![], vec![("a", &b"xyz"[..]), ("empty", b""), ("b", &big)]] {
            let file = File::open(Storage::copy_of(&write(&sections).expect("written"))).expect("whole");
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
            let file = File::open(Storage::copy_of(&write(&[("body", &body)]).expect("written"))).expect("whole");
            assert_eq!(file.section("body").expect("there").len(), body.len());
        }
    }

    #[test]
    fn pages_start_on_a_page_of_the_file_whatever_lies_before() {
        let fill = |number: usize, page: &mut [u8]| {
            assert!(page.iter().all(|&byte| byte == 0));
            page[7] = (number % 250) as u8 + 1;
            Ok(())
        };
        for count in [0, 1, 2, 254, 255, 256, 257, 512] {
            for before in [0, 64, 3_700, 3_900, 4_096, BLOCK_BYTES - 64, BLOCK_BYTES] {
                let before = vec![3; before];
                let pages = Part::Pages { count, bytes: PAGE_BYTES, fill: &fill };
                let parts = [("before", Part::Bytes(&before)), ("pages", pages), ("after", Part::Bytes(b"x"))];
                let file = File::open(Storage::copy_of(&write_parts(&parts).expect("written"))).expect("whole");
                assert_eq!(file.section("before").expect("there"), before);
                assert_eq!(file.section("after").expect("there"), b"x");
                let range = file.range("pages").expect("there");
                assert!(range.start.is_multiple_of(PAGE_BYTES) && range.len() == count * PAGE_BYTES);
                let pages = &file.bytes()[range];
                assert!((0..count).all(|number| pages[number * PAGE_BYTES + 7] == (number % 250) as u8 + 1));
            }
        }
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let bytes = write(&[("meta", b"{}"), ("rows", &[9; 200])]).expect("written");
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let error = File::open(Storage::copy_of(&damaged)).expect_err("damaged").to_string();
            assert!(error.contains("header") || error.contains("block 0"), "{error}");
            assert!(File::open(Storage::copy_of(&bytes[..at])).is_err());
        }
    }
}
