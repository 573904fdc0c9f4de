/** Build parameters of the IVF family (contract/indexes.md 7, 8 and 15). */
import { succeed } from "@elanus/model/outcome";
import type { Outcome } from "@elanus/model/outcome";
import { flag, integer, refuse, type Sent } from "./build-param.ts";

type BuildParams = Record<string, string | number | boolean>;

const SCALAR_CODES: readonly string[] = ["sq4", "sq6", "sq8"];
/** From coarse to exact. */
const REFINE_TYPES: readonly string[] = ["sq6", "sq8", "fp16", "bf16", "fp32", "flat"];

/** Parameters of `type` over vectors of `dim` dimensions. */
export function ivfParams(type: string, sent: Sent, dim: number): Outcome<BuildParams> {
  const lists = integer(sent, "nlist", [1, 65_536], 128);
  if (!lists.ok) return lists;
  const codes = codeParams(type, sent, dim);
  if (!codes.ok) return codes;
  const refined = type === "IVF_SQ8" || type === "IVF_PQ" || type === "IVF_RABITQ";
  const refine = refined ? refineParams(sent, String(codes.value["sq_type"] ?? "")) : succeed({});
  return refine.ok ? succeed({ nlist: lists.value, ...codes.value, ...refine.value }) : refine;
}

function codeParams(type: string, sent: Sent, dim: number): Outcome<BuildParams> {
  switch (type) {
    case "IVF_SQ8": {
      const codes = String(sent["sq_type"] ?? "sq8").toLowerCase();
      return SCALAR_CODES.includes(codes) ? succeed({ sq_type: codes }) : refuse("invalid scalar quantizer type");
    }
    case "IVF_PQ":
      return productParams(sent, dim);
    case "IVF_RABITQ": {
      const bits = integer(sent, "rbq_bits", [1, 9], 1);
      return bits.ok ? succeed({ rbq_bits: bits.value }) : bits;
    }
    case "SCANN": {
      const raw = flag(sent, "with_raw_data");
      if (!raw.ok) return raw;
      const part = integer(sent, "sub_dim", [1, 65_536], 2);
      if (!part.ok || dim % part.value === 0) return part.ok ? succeed({ sub_dim: part.value }) : part;
      return refuse(
        `The dimension of the vector (dim) should be a multiple of sub_dim. Dimension: ${dim}, sub_dim: ${part.value}`,
      );
    }
    default:
      return succeed({});
  }
}

function productParams(sent: Sent, dim: number): Outcome<BuildParams> {
  if (sent["m"] === undefined) return refuse("param 'm' not exist in json");
  const parts = integer(sent, "m", [1, 65_536], 1);
  if (!parts.ok) return parts;
  if (dim % parts.value !== 0) {
    return refuse(
      "The dimension of the vector (dim) should be a multiple of the number of subquantizers (m). " +
        `Dimension: ${dim}, m: ${parts.value}`,
    );
  }
  const bits = integer(sent, "nbits", [1, 24], 8);
  return bits.ok ? succeed({ m: parts.value, nbits: bits.value }) : bits;
}

/** What refines is at least as precise as the codes, whose type is `codes` when they are scalar. */
function refineParams(sent: Sent, codes: string): Outcome<BuildParams> {
  const refine = flag(sent, "refine");
  if (!refine.ok) return refine;
  if (!refine.value) return succeed({});
  const kind = String(sent["refine_type"] ?? "flat").toLowerCase();
  const fitting = REFINE_TYPES.slice(Math.max(0, REFINE_TYPES.indexOf(codes)));
  if (fitting.includes(kind)) return succeed({ refine: true, refine_type: kind });
  return refuse(`invalid refine type : ${sent["refine_type"]}, optional types are [${fitting.join(", ")}]`);
}

/** GPU_IVF_PQ may leave the number of parts to us: parts of four dimensions, or of as many as divide the vector. */
export function withAutomaticSplits(type: string, sent: Sent, dim: number): Sent {
  if (type !== "GPU_IVF_PQ" || Number(sent["m"] ?? 0) !== 0) return sent;
  const part = [4, 3, 2].find((candidate) => dim % candidate === 0) ?? 1;
  return { ...sent, m: dim / part };
}
