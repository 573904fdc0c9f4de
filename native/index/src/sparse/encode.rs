//! One posting list as it lies in the file (docs/formats/index.md).
//!
//! Rows are grouped in cells of 64, the rows of one word of a filter, and cells in windows of 65,536 rows, so that a
//! posting needs two bytes for its row. What a list can add to the rows of a cell at most is kept as one byte: the
//! largest contribution in the cell, rounded up. Ding & Suel, "Faster Top-k Document Retrieval Using Block-Max
//! Indexes" (SIGIR 2011); Mallia, Suel & Tonellotto, "Faster Learned Sparse Retrieval with Block-Max Pruning" (2024).

/// Rows of a cell.
pub(crate) const CELL_ROWS: usize = 64;
/// Rows of a window.
pub(crate) const WINDOW_ROWS: usize = 1 << 16;
pub(crate) const WINDOW_CELLS: usize = WINDOW_ROWS / CELL_ROWS;

/// Whether a list of so many postings has a byte and a start for every cell (long) or names each row in full (short).
pub(crate) fn is_long(postings: usize, cells: usize) -> bool {
    postings >= (cells / 2).max(8)
}

/// Values of an index: counts of words are bytes where all of them fit.
#[derive(Debug)]
pub(crate) enum Values {
    Floats(Vec<f32>),
    Bytes(Vec<u8>),
}

/// Lists one after the other, in the parts of the file.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub lows: Vec<u16>,
    pub highs: Vec<u16>,
    /// One for each posting of the short lists.
    pub short_codes: Vec<u8>,
    /// One for each cell of the long lists.
    pub cell_codes: Vec<u8>,
    pub cell_starts: Vec<u16>,
    pub window_starts: Vec<u32>,
    pub scales: Vec<f32>,
    pub leasts: Vec<f32>,
    pub values: Values,
}

impl Encoded {
    pub(crate) fn new(bytes: bool) -> Self {
        Self {
            lows: vec![],
            highs: vec![],
            short_codes: vec![],
            cell_codes: vec![],
            cell_starts: vec![],
            window_starts: vec![],
            scales: vec![],
            leasts: vec![],
            values: if bytes { Values::Bytes(vec![]) } else { Values::Floats(vec![]) },
        }
    }

    /// Appends a list of rows (ascending) and their values. `impact` gives the most that a posting adds for a
    /// query weight of 1.
    pub(crate) fn push(&mut self, rows: &[u32], values: &[f32], cells: usize, impact: impl Fn(u32, f32) -> f32) {
        let impacts: Vec<f32> = rows.iter().zip(values).map(|(&row, &value)| impact(row, value).max(0.0)).collect();
        let most = impacts.iter().fold(0.0f32, |most, &impact| most.max(impact));
        let scale = (most / 255.0).next_up();
        self.scales.push(scale);
        self.leasts.push(values.iter().fold(f32::INFINITY, |least, &value| least.min(value)));
        self.lows.extend(rows.iter().map(|&row| row as u16));
        match &mut self.values {
            Values::Floats(all) => all.extend_from_slice(values),
            Values::Bytes(all) => all.extend(values.iter().map(|&value| value as u8)),
        }
        if is_long(rows.len(), cells) {
            self.push_cells(rows, &impacts, scale, cells);
        } else {
            self.highs.extend(rows.iter().map(|&row| (row >> 16) as u16));
            self.short_codes.extend(impacts.iter().map(|&impact| code(impact, scale)));
        }
    }

    fn push_cells(&mut self, rows: &[u32], impacts: &[f32], scale: f32, cells: usize) {
        let first_code = self.cell_codes.len();
        self.cell_codes.resize(first_code + cells, 0);
        for (&row, &impact) in rows.iter().zip(impacts) {
            let own = &mut self.cell_codes[first_code + row as usize / CELL_ROWS];
            *own = (*own).max(code(impact, scale));
        }
        let mut at = 0;
        let mut window_start = 0;
        for cell in 0..cells {
            at += rows[at..].partition_point(|&row| (row as usize) < cell * CELL_ROWS);
            if cell.is_multiple_of(WINDOW_CELLS) {
                window_start = at;
                self.window_starts.push(at as u32);
            }
            self.cell_starts.push((at - window_start) as u16);
        }
        self.window_starts.push(rows.len() as u32);
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.lows.append(&mut other.lows);
        self.highs.append(&mut other.highs);
        self.short_codes.append(&mut other.short_codes);
        self.cell_codes.append(&mut other.cell_codes);
        self.cell_starts.append(&mut other.cell_starts);
        self.window_starts.append(&mut other.window_starts);
        self.scales.append(&mut other.scales);
        self.leasts.append(&mut other.leasts);
        match (&mut self.values, other.values) {
            (Values::Floats(own), Values::Floats(mut others)) => own.append(&mut others),
            (Values::Bytes(own), Values::Bytes(mut others)) => own.append(&mut others),
            _ => unreachable!("all groups of a build have the same kind of values"),
        }
    }
}

/// The smallest byte that stands for at least `impact`; 0 only for 0.
fn code(impact: f32, scale: f32) -> u8 {
    if impact <= 0.0 {
        return 0;
    }
    let code = (impact / scale).ceil().clamp(1.0, 255.0);
    let short = code * scale < impact && code < 255.0;
    code as u8 + u8::from(short)
}
