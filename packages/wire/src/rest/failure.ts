/** What a REST call can fail with: an error of the database, or one of the REST layer's own codes. */
import type { DbError } from "@elanus/model/error";
import { codeOf, reasonOf } from "../milvus/status.ts";

export interface RestFailure {
  readonly code: number;
  readonly message: string;
  /** 200 for almost everything. */
  readonly httpStatus: number;
}

export type RestOutcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: RestFailure };

export function done<T>(value: T): RestOutcome<T> {
  return { ok: true, value };
}

export function refuse(
  code: number,
  message: string,
  httpStatus = 200,
): { readonly ok: false; readonly failure: RestFailure } {
  return { ok: false, failure: { code, message, httpStatus } };
}

export function failed(error: DbError): { readonly ok: false; readonly failure: RestFailure } {
  if (error.kind === "deadlineExceeded") return refuse(10_001, "request timeout", 408);
  return refuse(codeOf(error), reasonOf(error));
}

export function invalid(message: string): { readonly ok: false; readonly failure: RestFailure } {
  return failed({ kind: "invalidParameter", message });
}

export function notJson(why: string): { readonly ok: false; readonly failure: RestFailure } {
  return refuse(1_801, `can only accept json format request, error: ${why}`);
}
