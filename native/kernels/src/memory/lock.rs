//! One process per data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// An exclusive lock on a file, held until it is dropped or the process dies.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Creates the file if need be.
    ///
    /// # Errors
    /// `WouldBlock` when somebody else holds it; otherwise what the file system says.
    pub fn acquire(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FileLock;

    #[test]
    fn second_holder_is_refused_until_the_first_lets_go() {
        let path = std::env::temp_dir().join(format!("elanus-lock-{}", std::process::id()));
        let first = FileLock::acquire(&path).expect("free");
        assert_eq!(FileLock::acquire(&path).expect_err("held").kind(), std::io::ErrorKind::WouldBlock);
        drop(first);
        drop(FileLock::acquire(&path).expect("free again"));
        std::fs::remove_file(&path).expect("made above");
    }
}
