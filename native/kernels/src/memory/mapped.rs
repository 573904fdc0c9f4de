//! Files read through the page cache.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::{Advice, Mmap};

/// A whole file, mapped read-only; starts on a page boundary. An empty file gives an empty slice.
#[derive(Debug)]
pub struct MappedFile {
    map: Option<Mmap>,
}

impl MappedFile {
    /// # Errors
    /// The file cannot be opened or mapped.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Self { map: None });
        }
        // SAFETY: data files are written once under a new name and never changed, and the folder is locked
        // against a second process; a file cut by force makes reads fault, as any lost disk would.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self { map: Some(map) })
    }

    /// Asks for a part to be read soon; what the system does not know or the file does not have is passed over.
    #[inline]
    pub fn will_need(&self, part: Range<usize>) {
        self.advise(Advice::WillNeed, part);
    }

    /// Says that a part is read here and there, so that nothing around a place is worth reading.
    pub fn read_at_random(&self, part: Range<usize>) {
        self.advise(Advice::Random, part);
    }

    #[inline]
    fn advise(&self, advice: Advice, part: Range<usize>) {
        if let Some(map) = &self.map
            && part.end <= map.len()
            && !part.is_empty()
        {
            // Advice that is refused changes nothing.
            let _ = map.advise_range(advice, part.start, part.len());
        }
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}
