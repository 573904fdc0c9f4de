/** Page and fusion of a hybrid search, from its rank parameters (contract/grpc.md 6.4). */
import type { SearchParams } from "@elanus/model/contract/proxy";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { innerParams, numberParam, refuse, roundDecimalOf, textParam, WINDOW_MAX } from "./flat-params.ts";

export interface RankShape {
  readonly limit: number;
  readonly offset: number;
  readonly roundDecimal: number;
  readonly rank:
    | { readonly kind: "rrf"; readonly k: number }
    | { readonly kind: "weighted"; readonly weights: readonly number[]; readonly normalise: boolean };
}

const RRF_K = 60;

export function rankShape(params: SearchParams, requests: number): Outcome<RankShape> {
  const limit = numberParam(params, "limit");
  if (limit === undefined) return fail({ kind: "missingParameter", message: "limit not found in rank_params" });
  const offset = numberParam(params, "offset") ?? 0;
  const window = offset + limit;
  if (!Number.isInteger(limit) || !Number.isInteger(offset) || limit < 1 || offset < 0 || window > WINDOW_MAX) {
    return refuse(
      `invalid max query result window, (offset+limit) should be in range [1, ${WINDOW_MAX}], but got ${window}`,
    );
  }
  const roundDecimal = roundDecimalOf(params);
  if (!roundDecimal.ok) return roundDecimal;
  const rank = rankOf(params, requests);
  return rank.ok ? succeed({ limit, offset, roundDecimal: roundDecimal.value, rank: rank.value }) : rank;
}

function rankOf(params: SearchParams, requests: number): Outcome<RankShape["rank"]> {
  const inner = innerParams(params, "rank params");
  if (!inner.ok) return inner;
  const strategy = textParam(params, "strategy") ?? "rrf";
  if (strategy === "rrf") return reciprocal(inner.value);
  if (strategy === "weighted") return weighted(inner.value, requests);
  return refuse(`unsupported rank type ${strategy}`);
}

function reciprocal(inner: Readonly<Record<string, unknown>>): Outcome<RankShape["rank"]> {
  const k = Number(inner["k"] ?? RRF_K);
  if (!(k > 0 && k < WINDOW_MAX)) return refuse(`The rank params k should be in range (0, ${WINDOW_MAX})`);
  return succeed({ kind: "rrf", k });
}

function weighted(inner: Readonly<Record<string, unknown>>, requests: number): Outcome<RankShape["rank"]> {
  const given = inner["weights"];
  if (!Array.isArray(given)) return refuse("weights not found in rank_params");
  const weights = given.map(Number);
  if (weights.some((weight) => !(weight >= 0 && weight <= 1))) {
    return refuse("rank param weight should be in range [0, 1]");
  }
  if (weights.length !== requests) {
    return fail({
      kind: "invalidParameter",
      message: "the length of weights param mismatch with ann search requests",
      expected: String(requests),
      actual: String(weights.length),
    });
  }
  const norm = String(inner["norm_score"] ?? "false").toLowerCase();
  return succeed({ kind: "weighted", weights, normalise: ["true", "t", "1"].includes(norm) });
}
