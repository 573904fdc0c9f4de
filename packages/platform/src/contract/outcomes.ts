/** What the contract suites use to look inside outcomes. */
import type { DbErrorKind } from "@elanus/model/error";
import type { Outcome } from "@elanus/model/outcome";
import { DbFailure } from "@elanus/model/error";

export async function valueOf<T>(outcome: Promise<Outcome<T>> | Outcome<T>): Promise<T> {
  const settled = await outcome;
  if (!settled.ok) throw new DbFailure(settled.error);
  return settled.value;
}

export async function kindOf(outcome: Promise<Outcome<unknown>> | Outcome<unknown>): Promise<DbErrorKind | "success"> {
  const settled = await outcome;
  return settled.ok ? "success" : settled.error.kind;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
