/** Checks the search parameters that the field's index reads; those of other index types are ignored. */
import type { IndexInfo } from "@elanus/model/catalog";
import { succeed, type Outcome } from "@elanus/model/outcome";
import { refuse } from "./flat-params.ts";
import { flagParam, INT_MAX, integerParam, numberInRange, type Checked, type Given } from "./index-search-values.ts";

const FLOAT_MAX = 3.402_823_466_385_288_6e38;
/** Effort of what AUTOINDEX has chosen, at level 1 (docs/decisions/0015-automatic-index.md). */
const AUTOMATIC_EF = 64;
const AUTOMATIC_PROBES = 64;
const LEVEL_MAX = 10;
const NPROBE_MAX = 65_536;
const SPARSE_ALGORITHMS = ["TAAT_NAIVE", "DAAT_WAND", "DAAT_MAXSCORE", "BLOCK_MAX_MAXSCORE", "BLOCK_MAX_WAND", "SINDI"];

export function indexSearchParams(
  index: Pick<IndexInfo, "type" | "params" | "userParams">,
  given: Given,
  topK: number,
  iterates = false,
): Outcome<Checked> {
  const checked = ownParams(index, given, topK, iterates);
  if (!checked.ok) return checked;
  // Rows that are not indexed yet are compared by the same elements and found by the same bands.
  const kept = ["mh_element_bit_width", "mh_lsh_band"].flatMap((key) => {
    const value = index.params[key];
    return value === undefined ? [] : [[key, value] as const];
  });
  return succeed({ ...checked.value, ...Object.fromEntries(kept) });
}

function ownParams(
  index: Pick<IndexInfo, "type" | "userParams">,
  given: Given,
  topK: number,
  iterates: boolean,
): Outcome<Checked> {
  const automatic = index.userParams.some((param) => param.key === "index_type" && param.value === "AUTOINDEX");
  // Which type a segment got is known there only: each reads the effort that is its own.
  if (index.type === "AUTOINDEX") return automaticParams(given, topK);
  if (automatic && index.type !== "MINHASH_LSH") return succeed({});
  if (index.userParams.some((param) => param.key === "index_type" && param.value === "GPU_CAGRA")) {
    return iterates ? refuse("search iterator is not implemented for index GPU_CAGRA") : cagraParams(given, topK);
  }
  switch (index.type) {
    case "HNSW":
      return graphParams(given, topK, iterates);
    case "HNSW_SQ":
    case "HNSW_PQ":
    case "HNSW_PRQ":
      return both(
        graphParams(given, topK, iterates),
        optional(numberInRange(given, "refine_k", 1, FLOAT_MAX), "refine_k"),
      );
    case "DISKANN":
    case "AISAQ":
      return diskParams(index.type, given, topK);
    case "BIN_IVF_FLAT":
      return optional(integerParam(given, "nprobe", 1, NPROBE_MAX), "nprobe");
    case "IVF_FLAT":
    case "IVF_SQ8":
    case "IVF_PQ":
    case "IVF_RABITQ":
    case "SCANN":
      return listParams(index.type, given, topK);
    case "SPARSE_INVERTED_INDEX":
    case "SPARSE_WAND":
      return sparseParams(given);
    case "MINHASH_LSH":
      return minHashParams(given, iterates);
    default:
      return succeed({});
  }
}

/** `level` multiplies the effort; an `ef` says it itself, and is made wide enough for the answer. */
function automaticParams(given: Given, topK: number): Outcome<Checked> {
  const level = integerParam(given, "level", 1, LEVEL_MAX);
  if (!level.ok) return level;
  const ef = integerParam(given, "ef", 1, INT_MAX);
  if (!ef.ok) return ef;
  const nprobe = integerParam(given, "nprobe", 1, NPROBE_MAX);
  if (!nprobe.ok) return nprobe;
  const factor = level.value ?? 1;
  return succeed({
    ef: Math.max(topK, ef.value ?? AUTOMATIC_EF * factor),
    nprobe: nprobe.value ?? AUTOMATIC_PROBES * factor,
  });
}

function graphParams(given: Given, topK: number, iterates: boolean): Outcome<Checked> {
  const ef = integerParam(given, "ef", 1, INT_MAX);
  if (!ef.ok) return ef;
  if (ef.value !== undefined && ef.value < topK) return refuse(`ef(${ef.value}) should be larger than k(${topK})`);
  const seed = integerParam(given, "seed_ef", 1, INT_MAX);
  if (!seed.ok) return seed;
  // An iterator's pages are searches of their own here, each as wide as the seed.
  const seeded = iterates && seed.value !== undefined ? Math.max(seed.value, ef.value ?? topK) : ef.value;
  return together({
    ef: succeed(seeded),
    disable_fallback_brute_force: flagParam(given, "disable_fallback_brute_force"),
  });
}

/** CAGRA's internal list is the graph's search width; it always holds whole blocks of 32 (contract/indexes.md 15). */
function cagraParams(given: Given, topK: number): Outcome<Checked> {
  if (given["radius"] !== undefined) return refuse("range search is not implemented for index GPU_CAGRA");
  const checked = together({
    itopk_size: integerParam(given, "itopk_size", 1, INT_MAX),
    search_width: integerParam(given, "search_width", 1, INT_MAX),
    ef: integerParam(given, "ef", 1, INT_MAX),
    min_iterations: integerParam(given, "min_iterations", 0, INT_MAX),
    max_iterations: integerParam(given, "max_iterations", 0, INT_MAX),
    team_size: integerParam(given, "team_size", 0, 32),
    num_random_samplings: integerParam(given, "num_random_samplings", 1, INT_MAX),
    refine_ratio: numberInRange(given, "refine_ratio", 1, FLOAT_MAX),
  });
  if (!checked.ok) return checked;
  const { itopk_size: list, search_width: width, ef, team_size: team = 0 } = checked.value;
  if (![0, 2, 4, 8, 16, 32].includes(Number(team))) {
    return refuse(`team_size(${Number(team)}) should be one of 0, 2, 4, 8, 16, 32`);
  }
  if (ef !== undefined && Number(ef) < topK) return refuse(`ef(${Number(ef)}) should be larger than k(${topK})`);
  const blocks = Math.max(Math.ceil(Number(list ?? Math.max(topK, 64)) / 32), Number(width ?? Math.ceil(topK / 32)));
  if (blocks * 32 < topK) {
    return refuse(`max((itopk_size + 31)// 32, search_width) * 32< topk: ${blocks * 32} < ${topK}`);
  }
  return succeed({ ef: Number(ef ?? blocks * 32) });
}

function diskParams(type: string, given: Given, topK: number): Outcome<Checked> {
  const key = given["search_list"] === undefined ? "search_list_size" : "search_list";
  const list = integerParam(given, key, 1, INT_MAX);
  if (list.ok && list.value !== undefined && list.value < topK) {
    return refuse(`search_list_size(${list.value}) should be larger than k(${topK})`);
  }
  const vectors = integerParam(given, "vectors_beamwidth", 1, 4);
  if (type === "AISAQ" && !vectors.ok) return vectors;
  return together({ search_list: list, beamwidth: integerParam(given, "beamwidth", 1, type === "AISAQ" ? 16 : 128) });
}

function both(first: Outcome<Checked>, second: Outcome<Checked>): Outcome<Checked> {
  if (!first.ok) return first;
  return second.ok ? succeed({ ...first.value, ...second.value }) : second;
}

function listParams(type: string, given: Given, topK: number): Outcome<Checked> {
  const reorder = type === "SCANN" ? integerParam(given, "reorder_k", 1, INT_MAX) : succeed(undefined);
  if (reorder.ok && reorder.value !== undefined && reorder.value < topK) {
    return refuse(`reorder_k(${reorder.value}) should be larger than k(${topK})`);
  }
  const bits = ["rbq_bits_query", "rbq_query_bits"].find((key) => given[key] !== undefined);
  if (type === "IVF_RABITQ" && bits !== undefined) {
    // Queries always have eight bits here; the value only has to make sense.
    const checked = integerParam(given, bits, 0, 8);
    if (!checked.ok) return checked;
  }
  const refines = type !== "IVF_FLAT" && type !== "SCANN";
  return together({
    nprobe: integerParam(given, "nprobe", 1, NPROBE_MAX),
    ensure_topk_full: flagParam(given, "ensure_topk_full"),
    max_empty_result_buckets: integerParam(given, "max_empty_result_buckets", 0, NPROBE_MAX),
    refine_k: refines ? numberInRange(given, "refine_k", 1, FLOAT_MAX) : succeed(undefined),
    reorder_k: reorder,
  });
}

function optional(value: Outcome<number | undefined>, key: string): Outcome<Checked> {
  if (!value.ok) return value;
  return succeed(value.value === undefined ? {} : { [key]: value.value });
}

/** Each is absent from what is kept when it was not given. */
function together(values: Readonly<Record<string, Outcome<Checked[string] | undefined>>>): Outcome<Checked> {
  const kept: Record<string, Checked[string]> = {};
  for (const [key, value] of Object.entries(values)) {
    if (!value.ok) return value;
    if (value.value !== undefined) kept[key] = value.value;
  }
  return succeed(kept);
}

function sparseParams(given: Given): Outcome<Checked> {
  const algorithm = given["search_algo"];
  const name = String(algorithm ?? "INHERIT").toUpperCase();
  if (name !== "INHERIT" && !SPARSE_ALGORITHMS.includes(name)) {
    const known = SPARSE_ALGORITHMS.join(" ");
    return refuse(`search_algo ${String(algorithm)} not found or not supported, supported: [${known}]`);
  }
  return together({
    drop_ratio_search: numberInRange(given, "drop_ratio_search", 0, 1, { openEnd: true }),
    dim_max_score_ratio: numberInRange(given, "dim_max_score_ratio", 0.5, 1.3),
    refine_factor: integerParam(given, "refine_factor", 1, INT_MAX),
    search_algo: succeed(name === "INHERIT" ? undefined : name),
  });
}

function minHashParams(given: Given, iterates: boolean): Outcome<Checked> {
  if (given["radius"] !== undefined) return refuse("range search is not implemented for index MINHASH_LSH");
  if (iterates) return refuse("search iterator is not implemented for index MINHASH_LSH");
  return together({
    mh_search_with_jaccard: flagParam(given, "mh_search_with_jaccard"),
    mh_lsh_batch_search: flagParam(given, "mh_lsh_batch_search"),
    refine_k: integerParam(given, "refine_k", 1, INT_MAX),
  });
}
