/** Turns what an I/O library threw into the failure a caller may meet. */
import { type Failure, fail } from "@elanus/model/outcome";

const NO_SPACE: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EFBIG", "MDB_MAP_FULL"]);

export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** `what` says in a few words what was tried, with the path below the data folder. */
export function ioFailure(error: unknown, what: string): Failure {
  const reason = error instanceof Error ? error.message : String(error);
  const message = `${what}: ${reason}`;
  return NO_SPACE.has(codeOf(error) ?? "") ? fail({ kind: "diskLimit", message }) : fail({ kind: "ioFailed", message });
}
