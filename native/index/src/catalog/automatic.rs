//! What AUTOINDEX becomes over the rows of one segment (docs/decisions/0015-automatic-index.md).

use super::Rows;
use crate::vector::Element;

/// So long may a comparison of all rows take: about two walks through a graph.
const EXACT_NANOS_MAX: usize = 100_000;
/// What comparing a row costs beside reading it: of floats, and of bits.
const ROW_NANOS: usize = 18;
const BIT_ROW_NANOS: usize = 10;
/// Bytes that are read and compared in a nanosecond.
const BYTES_PER_NANO: usize = 24;
/// Most lists of binary vectors (contract/indexes.md 18).
const LISTS_MAX: usize = 1024;

/// Nanoseconds in which exact search compares a row.
pub(super) fn row_nanos(element: Element, dim: usize) -> usize {
    let own = if element == Element::Bit { BIT_ROW_NANOS } else { ROW_NANOS };
    own + element.row_bytes(dim) / BYTES_PER_NANO
}

/// An index type with its build parameters as JSON.
pub(super) struct Choice {
    pub index_type: &'static str,
    pub params: String,
}

/// The type for these rows: none where comparing all of them is as fast, otherwise by the kind of vectors.
pub(super) fn choose(metric: &str, rows: Rows<'_>) -> Choice {
    let plain = |index_type| Choice { index_type, params: String::new() };
    let Rows::Dense(rows) = rows else { return plain("SPARSE_INVERTED_INDEX") };
    let binary = rows.element() == Element::Bit;
    if metric == "MHJACCARD" {
        return plain("MINHASH_LSH");
    }
    let nanos = rows.len() * row_nanos(rows.element(), rows.dim());
    match (binary, nanos <= EXACT_NANOS_MAX) {
        (false, true) => plain("FLAT"),
        (false, false) => Choice { index_type: "HNSW", params: r#"{"M": 18, "efConstruction": 240}"#.to_owned() },
        // Bits of SUBSTRUCTURE and SUPERSTRUCTURE are contained or not: there is nothing near to order them by.
        (true, false) if matches!(metric, "" | "HAMMING" | "JACCARD") => {
            let lists = rows.len().isqrt().min(LISTS_MAX);
            Choice { index_type: "BIN_IVF_FLAT", params: format!(r#"{{"nlist": {lists}}}"#) }
        }
        (true, _) => plain("BIN_FLAT"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::clustered;

    #[test]
    fn few_rows_stay_exact_and_many_get_the_index_of_their_kind() {
        let chosen = |element, rows, dim, metric: &str| {
            choose(metric, Rows::Dense(&clustered(element, rows, dim, 3, 1))).index_type
        };
        assert_eq!(chosen(Element::F32, 1_000, 384, "COSINE"), "FLAT");
        assert_eq!(chosen(Element::F32, 2_000, 384, "COSINE"), "HNSW");
        assert_eq!(chosen(Element::F32, 2_000, 8, "L2"), "FLAT");
        assert_eq!(chosen(Element::I8, 8_000, 8, "IP"), "HNSW");
        assert_eq!(chosen(Element::Bit, 2_000, 64, "HAMMING"), "BIN_FLAT");
        assert_eq!(chosen(Element::Bit, 20_000, 64, "HAMMING"), "BIN_IVF_FLAT");
        assert_eq!(chosen(Element::Bit, 20_000, 64, "SUBSTRUCTURE"), "BIN_FLAT");
        assert_eq!(chosen(Element::Bit, 10, 64, "MHJACCARD"), "MINHASH_LSH");
    }
}
