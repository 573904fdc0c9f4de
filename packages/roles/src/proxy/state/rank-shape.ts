/** Page and fusion of a hybrid search, from its rank parameters (contract/grpc.md 6.4). */
import type { SearchParams } from "@elanus/model/contract/proxy";
import { fail, succeed, type Outcome } from "@elanus/model/outcome";

export interface RankShape {
  readonly limit: number;
  readonly offset: number;
  readonly roundDecimal: number;
  readonly rank:
    | { readonly kind: "rrf"; readonly k: number }
    | { readonly kind: "weighted"; readonly weights: readonly number[]; readonly normalise: boolean };
}

const WINDOW_MAX = 16_384;
const RRF_K = 60;

export function rankShape(params: SearchParams, requests: number): Outcome<RankShape> {
  const text = value(params, "limit");
  if (text === undefined) return fail({ kind: "missingParameter", message: "limit not found in rank_params" });
  const limit = Number(text);
  const offset = Number(value(params, "offset") ?? "0");
  const window = offset + limit;
  if (!Number.isInteger(window) || limit < 1 || offset < 0 || window > WINDOW_MAX) {
    return refuse(
      `invalid max query result window, (offset+limit) should be in range [1, ${WINDOW_MAX}], but got ${window}`,
    );
  }
  const roundDecimal = Number(value(params, "round_decimal") ?? "-1");
  if (!Number.isInteger(roundDecimal) || roundDecimal < -1 || roundDecimal > 6) {
    return refuse(`round_decimal [${params.get("round_decimal")}] is invalid, should be -1 or an integer in range [0, 6]`);
  }
  const rank = rankOf(params, requests);
  return rank.ok ? succeed({ limit, offset, roundDecimal, rank: rank.value }) : rank;
}

function rankOf(params: SearchParams, requests: number): Outcome<RankShape["rank"]> {
  const inner = innerParams(params);
  if (!inner.ok) return inner;
  const strategy = value(params, "strategy") ?? "rrf";
  if (strategy === "rrf") return rrf(inner.value);
  if (strategy === "weighted") return weighted(inner.value, requests);
  return refuse(`unsupported rank type ${strategy}`);
}

function rrf(inner: Readonly<Record<string, unknown>>): Outcome<RankShape["rank"]> {
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
      kind: "invalidParameter", message: "the length of weights param mismatch with ann search requests",
      expected: String(requests), actual: String(weights.length),
    });
  }
  const norm = inner["norm_score"];
  return succeed({ kind: "weighted", weights, normalise: norm === true || /^(1|t|true)$/i.test(String(norm)) });
}

function innerParams(params: SearchParams): Outcome<Readonly<Record<string, unknown>>> {
  const text = value(params, "params");
  if (text === undefined) return succeed({});
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) {
      return succeed(parsed as Record<string, unknown>);
    }
  } catch {
    // Falls through to the refusal.
  }
  return refuse(`rank params in wrong format: ${text}`);
}

function value(params: SearchParams, key: string): string | undefined {
  const text = params.get(key);
  return text === undefined || text === "" ? undefined : text;
}

function refuse(message: string): ReturnType<typeof fail> {
  return fail({ kind: "invalidParameter", message });
}
