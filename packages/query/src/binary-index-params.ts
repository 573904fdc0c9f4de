/** Metrics and build parameters of binary indexes (contract/indexes.md 12 and 13). */
import { succeed, type Outcome } from "@elanus/model/outcome";
import { flag, float, integer, outOfRange, refuse, type Sent } from "./build-param.ts";

const INT_MAX = 2_147_483_647;

/** The metrics that each index type takes. */
const METRICS: ReadonlyMap<string, readonly string[]> = new Map([
  ["BIN_FLAT", ["HAMMING", "JACCARD", "SUBSTRUCTURE", "SUPERSTRUCTURE", "MHJACCARD"]],
  ["BIN_IVF_FLAT", ["HAMMING", "JACCARD"]],
  ["HNSW", ["HAMMING", "JACCARD"]],
  ["GPU_CAGRA", ["HAMMING"]],
  ["MINHASH_LSH", ["MHJACCARD"]],
]);

export function checkBinaryMetric(type: string, metric: string): Outcome<void> {
  const supported = METRICS.get(type);
  if (supported === undefined || supported.includes(metric)) return succeed(undefined);
  return refuse(`metric type ${metric} not found or not supported, supported: [${supported.join(" ")}]`);
}

/** Bits of one element of a MinHash signature. */
export function elementWidth(metric: string, sent: Sent): Outcome<Record<string, number>> {
  if (metric !== "MHJACCARD") return succeed({});
  const width = integer(sent, "mh_element_bit_width", [8, 256], 8);
  if (!width.ok) return width;
  if (width.value % 8 !== 0) return outOfRange("mh_element_bit_width", width.value, "[8, 256] and a multiple of 8");
  return succeed({ mh_element_bit_width: width.value });
}

export function minHashParams(sent: Sent): Outcome<Record<string, number>> {
  const width = elementWidth("MHJACCARD", sent);
  if (!width.ok) return width;
  const band = integer(sent, "mh_lsh_band", [1, INT_MAX], 1);
  if (!band.ok) return band;
  const block = integer(sent, "mh_lsh_aligned_block_size", [4096, INT_MAX], 4096);
  if (!block.ok) return block;
  const share = float(sent, "mh_lsh_bloom_false_positive_prob", "[0, 1]");
  if (!share.ok) return share;
  for (const key of ["mh_lsh_code_in_mem", "mh_lsh_shared_bloom_filter", "with_raw_data"]) {
    const checked = flag(sent, key);
    if (!checked.ok) return checked;
  }
  return succeed({ ...width.value, mh_lsh_band: band.value });
}
