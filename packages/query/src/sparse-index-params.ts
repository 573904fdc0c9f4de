/** Build parameters of SPARSE_INVERTED_INDEX and SPARSE_WAND (contract/indexes.md 14). */
import { succeed, type Outcome } from "@elanus/model/outcome";
import { float, integer, refuse, type Sent } from "./build-param.ts";

const INT_MAX = 2_147_483_647;
const ALGORITHMS = ["TAAT_NAIVE", "DAAT_WAND", "DAAT_MAXSCORE", "BLOCK_MAX_MAXSCORE", "BLOCK_MAX_WAND", "SINDI"];
const CODECS = ["block_streamvbyte", "block_maskedvbyte", "block_adaptive"];
const IP_WIDTHS = ["fp16", "fp32"];
const BM25_WIDTHS = ["u16", "u32"];

export function sparseParams(type: string, metric: string, sent: Sent): Outcome<Record<string, string | number>> {
  const preset = type === "SPARSE_WAND" ? "DAAT_WAND" : "DAAT_MAXSCORE";
  const algorithm = String(sent["inverted_index_algo"] ?? preset).toUpperCase();
  if (!ALGORITHMS.includes(algorithm))
    return unknown("sparse inverted index algo", sent["inverted_index_algo"], ALGORITHMS);
  const codec = sent["inverted_index_codec"];
  if (codec !== undefined && !CODECS.includes(String(codec))) return unknown("inverted index codec", codec, CODECS);
  const ranges = checkRanges(sent);
  if (!ranges.ok) return ranges;
  const widths = metric === "BM25" ? BM25_WIDTHS : IP_WIDTHS;
  const width = sent["quant_type"];
  if (width !== undefined && !widths.includes(String(width))) {
    const [narrow, wide] = widths;
    return refuse(`quant_type for ${metric} metric must be '${narrow}' or '${wide}', got '${width}'`);
  }
  return succeed({ inverted_index_algo: algorithm, ...ranges.value });
}

function unknown(what: string, name: unknown, known: readonly string[]): Outcome<never> {
  return refuse(`${what} ${String(name)} not found or not supported, supported: [${known.join(" ")}]`);
}

/** What has a range; the parameters of BM25 are what the index keeps of it. */
function checkRanges(sent: Sent): Outcome<Record<string, number>> {
  const drop = float(sent, "drop_ratio_build", "[0, 1)");
  if (!drop.ok) return drop;
  const block = integer(sent, "block_max_block_size", [1, INT_MAX], 128);
  if (!block.ok) return block;
  const window = integer(sent, "sindi_window_size", [1024, 65_535], 65_535);
  if (!window.ok) return window;
  const k1 = float(sent, "bm25_k1", "[0, 3]");
  if (!k1.ok) return k1;
  const b = float(sent, "bm25_b", "[0, 1]");
  if (!b.ok) return b;
  return succeed({
    ...(k1.value === undefined ? {} : { bm25_k1: k1.value }),
    ...(b.value === undefined ? {} : { bm25_b: b.value }),
  });
}
