/** Exclusive locks between processes. */
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import { loadAddon } from "./load.ts";

export interface HeldLock {
  close(): void;
}

/** Takes the lock, or fails with `ioFailed` when another process holds it. Released when the process dies. */
export function lockFile(path: string): Outcome<HeldLock> {
  try {
    return succeed(loadAddon().lockFile(path));
  } catch (cause) {
    return fail({ kind: "ioFailed", message: cause instanceof Error ? cause.message : String(cause) });
  }
}
