/** Build parameters of the graph indexes: the HNSW family (contract/indexes.md 9), and CAGRA, which it serves. */
import type { CreateIndex } from "@elanus/model/contract/coordinator";
import { succeed } from "@elanus/model/outcome";
import type { Outcome } from "@elanus/model/outcome";
import { flag, integer, refuse, type Sent } from "./build-param.ts";

type BuildParams = CreateIndex["params"];
const INT_MAX = 2_147_483_647;

const SCALAR_CODES: readonly string[] = ["SQ4U", "SQ6", "SQ8", "FP16", "BF16"];
/** From coarse to exact; types of one entry are equally precise. */
const REFINE_TYPES: readonly (readonly string[])[] = [["SQ4U"], ["SQ6"], ["SQ8"], ["FP16", "BF16"], ["FP32", "FLAT"]];

/** Parameters of HNSW and its quantised variants over vectors of `dim` dimensions. */
export function graphParams(type: string, sent: Sent, dim: number): Outcome<BuildParams> {
  const links = integer(sent, "M", [2, 2048], 30);
  if (!links.ok) return links;
  const width = integer(sent, "efConstruction", [1, INT_MAX], 360);
  if (!width.ok) return width;
  const codes = codeParams(type, sent, dim);
  if (!codes.ok) return codes;
  const refined = checkRefinement(type, sent, String(codes.value["sq_type"] ?? ""));
  if (!refined.ok) return refined;
  return succeed({ M: links.value, efConstruction: width.value, ...codes.value });
}

function codeParams(type: string, sent: Sent, dim: number): Outcome<BuildParams> {
  if (type === "HNSW") return succeed({});
  if (type === "HNSW_SQ") {
    const codes = String(sent["sq_type"] ?? "SQ8").toUpperCase();
    return SCALAR_CODES.includes(codes) ? succeed({ sq_type: codes }) : refuse("invalid scalar quantizer type");
  }
  const residual = type === "HNSW_PRQ";
  const parts = integer(sent, "m", [1, 65_536], residual ? 2 : 32);
  if (!parts.ok) return parts;
  if (dim % parts.value !== 0) {
    return refuse(
      "The dimension of the vector (dim) should be a multiple of the number of subquantizers (m). " +
        `Dimension: ${dim}, m: ${parts.value}`,
    );
  }
  const bits = integer(sent, "nbits", [1, 24], 8);
  if (!bits.ok) return bits;
  const steps = integer(sent, "nrq", [1, 16], 2);
  if (residual && !steps.ok) return steps;
  const product = { m: parts.value, nbits: bits.value };
  return succeed(residual && steps.ok ? { ...product, nrq: steps.value } : product);
}

/** The rows themselves always refine; what is asked for must still make sense. */
function checkRefinement(type: string, sent: Sent, codes: string): Outcome<void> {
  const refine = flag(sent, "refine");
  if (!refine.ok) return refine;
  if (!refine.value) return succeed(undefined);
  if (type === "HNSW") return refuse("refine is not supported for this index");
  const wanted = sent["refine_type"];
  if (wanted === undefined) return succeed(undefined);
  const coarsest = REFINE_TYPES.findIndex((types) => types.includes(codes)) + 1;
  const fitting = REFINE_TYPES.slice(coarsest).flat();
  if (fitting.includes(String(wanted).toUpperCase())) return succeed(undefined);
  return refuse(`invalid refine type : ${wanted}, optional types are [${fitting.join(", ")}]`);
}

const CAGRA_BUILDERS: readonly string[] = ["NN_DESCENT", "IVF_PQ", "ITERATIVE"];

/**
 * GPU_CAGRA as the graph that serves it (contract/indexes.md 15). CAGRA's rows have `graph_degree` links, HNSW's twice
 * `M`; both choose them from so many near rows as `intermediate_graph_degree` and `efConstruction` say.
 */
export function cagraParams(sent: Sent): Outcome<BuildParams> {
  const degree = integer(sent, "graph_degree", [1, 4096], 64);
  if (!degree.ok) return degree;
  const wide = integer(sent, "intermediate_graph_degree", [1, INT_MAX], Math.max(128, degree.value));
  if (!wide.ok) return wide;
  if (wide.value < degree.value) {
    return refuse(`intermediate_graph_degree(${wide.value}) should not be less than graph_degree(${degree.value})`);
  }
  const builder = String(sent["build_algo"] ?? "NN_DESCENT").toUpperCase();
  if (!CAGRA_BUILDERS.includes(builder)) {
    return refuse(`build_algo ${sent["build_algo"]} not supported, supported: [${CAGRA_BUILDERS.join(" ")}]`);
  }
  for (const key of ["cache_dataset_on_device", "adapt_for_cpu"]) {
    const checked = flag(sent, key);
    if (!checked.ok) return checked;
  }
  const rounds = integer(sent, "nn_descent_niter", [1, INT_MAX], 20);
  if (!rounds.ok) return rounds;
  return succeed({ M: Math.max(2, Math.ceil(degree.value / 2)), efConstruction: wide.value });
}
