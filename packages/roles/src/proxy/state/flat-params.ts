/** Reads the flat key/value parameters of a request; every value is text, an empty one counts as absent. */
import type { SearchParams } from "@elanus/model/contract/proxy";
import { fail, succeed, type Failure, type Outcome } from "@elanus/model/outcome";

export function textParam(params: SearchParams, key: string): string | undefined {
  const text = params.get(key);
  return text === undefined || text === "" ? undefined : text;
}

/** NaN when the text is no number. */
export function numberParam(params: SearchParams, key: string): number | undefined {
  const text = textParam(params, key);
  return text === undefined ? undefined : Number(text);
}

const TRUE: readonly string[] = ["1", "t", "true"];
const FALSE: readonly string[] = ["0", "f", "false"];

export function isTrue(params: SearchParams, key: string): boolean {
  return TRUE.includes((params.get(key) ?? "").toLowerCase());
}

/** undefined: neither true nor false. */
export function parseFlag(text: string): boolean | undefined {
  const lower = text.toLowerCase();
  if (TRUE.includes(lower)) return true;
  return FALSE.includes(lower) ? false : undefined;
}

/** The JSON object in `params`; `what` names it in the refusal. */
export function innerParams(params: SearchParams, what: string): Outcome<Readonly<Record<string, unknown>>> {
  const text = textParam(params, "params");
  if (text === undefined) return succeed({});
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) {
      return succeed(parsed as Record<string, unknown>);
    }
  } catch {
    // Falls through to the refusal.
  }
  return refuse(`${what} in wrong format: ${text}`);
}

/** Requests for features that are not there yet fail by their name. */
export function refuseFeatures(params: SearchParams, keys: readonly string[], verb: string): Outcome<void> {
  const key = keys.find((candidate) => textParam(params, candidate) !== undefined);
  return key === undefined ? succeed(undefined) : fail({ kind: "notImplemented", call: `${verb} with ${key}` });
}

export function roundDecimalOf(params: SearchParams): Outcome<number> {
  const digits = numberParam(params, "round_decimal") ?? -1;
  if (Number.isInteger(digits) && digits >= -1 && digits <= 6) return succeed(digits);
  return refuse(
    `round_decimal [${params.get("round_decimal")}] is invalid, should be -1 or an integer in range [0, 6]`,
  );
}

export function refuse(message: string): Failure {
  return fail({ kind: "invalidParameter", message });
}

/** Largest limit + offset, topk and page of an iterator. */
export const WINDOW_MAX = 16_384;
