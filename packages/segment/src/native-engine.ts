/** The engine as segments use it: the gate and the pool its heavy calls run on. */
import type { Addon, Native, NativePool, NativeSchema } from "@elanus/engine/addon";
import type { DbError } from "@elanus/model/error";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { type CollectionSchema, encodeSchema } from "@elanus/model/schema";

export interface NativeEngine {
  readonly addon: Addon;
  readonly pool: NativePool;
}

export function compileSchema(engine: NativeEngine, schema: CollectionSchema): NativeSchema {
  return new engine.addon.Schema(encodeSchema(schema));
}

/** Runs a native call; what it throws becomes a value. `file` names the object that a corruption lies in. */
export async function attempt<T>(call: () => Native<T>, file = ""): Promise<Outcome<T>> {
  try {
    return succeed(await call());
  } catch (cause) {
    return fail(errorOfNative(cause, file));
  }
}

/** The same for calls that never leave the calling thread. */
export function attemptNow<T>(call: () => T, file = ""): Outcome<T> {
  try {
    return succeed(call());
  } catch (cause) {
    return fail(errorOfNative(cause, file));
  }
}

/** Kinds that the gate throws and that carry nothing but a message. */
const MESSAGE_KINDS = [
  "invalidParameter",
  "parameterTooLarge",
  "planFailed",
  "memoryLimit",
  "ioFailed",
  "cancelled",
] as const;

function errorOfNative(cause: unknown, file: string): DbError {
  if (!(cause instanceof Error)) return { kind: "internal", message: String(cause) };
  const { message } = cause;
  const code = "code" in cause ? cause.code : undefined;
  if (code === "fileCorrupt") return { kind: "fileCorrupt", file, message };
  const kind = MESSAGE_KINDS.find((known) => known === code);
  return kind === undefined ? { kind: "internal", message } : { kind, message };
}
