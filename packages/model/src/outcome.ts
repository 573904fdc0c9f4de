/**
 * Expected failures are values. A function that can fail for a reason the world may give returns an
 * `Outcome`; a broken invariant is our own bug and throws through `invariant`.
 */
import type { DbError } from "./error.ts";

export type Success<T> = { readonly ok: true; readonly value: T };
export type Failure = { readonly ok: false; readonly error: DbError };
export type Outcome<T> = Success<T> | Failure;

export function succeed<T>(value: T): Success<T> {
  return { ok: true, value };
}

export function fail(error: DbError): Failure {
  return { ok: false, error };
}

/** Crashes loudly: the condition is ours to keep, never the caller's. */
export function invariant(condition: unknown, what: string): asserts condition {
  if (!condition) throw new InvariantViolation(what);
}

export class InvariantViolation extends Error {
  constructor(what: string) {
    super(`broken invariant: ${what}`);
    this.name = "InvariantViolation";
  }
}

/** For the default branch of an exhaustive switch: a case nobody handles does not compile. */
export function unreachable(value: never): never {
  throw new InvariantViolation(`unreachable case ${JSON.stringify(value)}`);
}
