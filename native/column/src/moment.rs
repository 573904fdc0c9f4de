//! Which inserts a read sees.

/// A moment that a read looks at: rows inserted at or before `snapshot` are there, unless they died by then or were
/// inserted at or before `expired`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub snapshot: u64,
    /// 0: no row expires.
    pub expired: u64,
}

impl Moment {
    /// Whether a row inserted at `stamp` is there, as long as it lives.
    #[inline]
    pub(crate) fn sees(self, stamp: u64) -> bool {
        self.expired < stamp && stamp <= self.snapshot
    }
}

/// The moment of a snapshot at which nothing has expired.
impl From<u64> for Moment {
    fn from(snapshot: u64) -> Self {
        Self { snapshot, expired: 0 }
    }
}
