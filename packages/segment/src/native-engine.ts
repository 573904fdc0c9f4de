/** The engine as segments use it: the gate and the pool its heavy calls run on. */
import type { Addon, Native, NativePool, NativeSchema } from "@elanus/engine/addon";
import { errorOfNative } from "@elanus/engine/native-error";
import type { DbError } from "@elanus/model/error";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { type CollectionSchema, encodeSchema } from "@elanus/model/schema";

/** Handles that roles pass from one act of a segment to the next without looking inside. */
export type { NativeProgress, NativeSchema, NativeSegment } from "@elanus/engine/addon";

export interface NativeEngine {
  readonly addon: Addon;
  readonly pool: NativePool;
}

export function compileSchema(engine: NativeEngine, schema: CollectionSchema): NativeSchema {
  return new engine.addon.Schema(encodeSchema(schema));
}

/** The object that a corruption lies in, from the role that native code names. */
type FileOfRole = (role: string) => string;

/** Runs a native call; what it throws becomes a value. */
export async function attempt<T>(call: () => Native<T>, file: FileOfRole = itself): Promise<Outcome<T>> {
  try {
    return succeed(await call());
  } catch (cause) {
    return fail(failureOf(cause, file));
  }
}

/** The same for calls that never leave the calling thread. */
export function attemptNow<T>(call: () => T, file: FileOfRole = itself): Outcome<T> {
  try {
    return succeed(call());
  } catch (cause) {
    return fail(failureOf(cause, file));
  }
}

/** What has no code is a fault of native code itself: it fails the one call, never the role around it. */
function failureOf(cause: unknown, file: FileOfRole): DbError {
  try {
    const error = errorOfNative(cause);
    return error.kind === "fileCorrupt" ? { ...error, file: file(error.file) } : error;
  } catch {
    return { kind: "internal", message: cause instanceof Error ? cause.message : String(cause) };
  }
}

function itself(role: string): string {
  return role;
}
