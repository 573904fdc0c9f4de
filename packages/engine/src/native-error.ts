/** What the gate throws, as values. Anything else that is thrown is our own bug and goes on up. */
import type { DbError } from "@elanus/model/error";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type { Native } from "./addon.ts";

/** Runs a native call that stays on the calling thread. */
export function attemptNow<T>(call: () => T): Outcome<T> {
  try {
    return succeed(call());
  } catch (cause) {
    return fail(errorOfNative(cause));
  }
}

/** Runs a native call that may go to the pool. */
export async function attempt<T>(call: () => Native<T>): Promise<Outcome<T>> {
  try {
    return succeed(await call());
  } catch (cause) {
    return fail(errorOfNative(cause));
  }
}

/** The gate's error as a `DbError`; rethrows what is none. */
export function errorOfNative(cause: unknown): DbError {
  if (!(cause instanceof Error) || !("code" in cause)) throw cause;
  const { message } = cause;
  switch (cause.code) {
    case "invalidParameter":
      return { kind: "invalidParameter", message, ...detailsOf(cause) };
    case "missingParameter":
    case "parameterTooLarge":
    case "memoryLimit":
    case "ioFailed":
    case "cancelled":
    case "internal":
      return { kind: cause.code, message };
    case "collectionSchemaMismatch":
      return { kind: "collectionSchemaMismatch", collection: message };
    case "fileCorrupt":
      return { kind: "fileCorrupt", file: detailsOf(cause).file ?? "", message };
    default:
      throw cause;
  }
}

/** What the error holds besides its message: JSON in the message of its cause. */
function detailsOf(error: Error): Readonly<Record<string, string>> {
  if (!(error.cause instanceof Error)) return {};
  const details: unknown = JSON.parse(error.cause.message);
  return details as Readonly<Record<string, string>>;
}
