/** The catalog store: ordered keys, small values, atomic transactions with conditions. */
import type { Outcome } from "@elanus/model/outcome";

export type MetaOp =
  | { readonly kind: "put"; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: "delete"; readonly key: string };

/** What the key must hold: exactly this value, any value at all, or none when undefined. */
export interface MetaCondition {
  readonly key: string;
  readonly value: Uint8Array | "any" | undefined;
}

export interface MetaStore {
  get(key: string): Promise<Outcome<Uint8Array | undefined>>;
  /** Keys that start with `prefix`, ascending by bytes. */
  list(prefix: string): Promise<Outcome<readonly { readonly key: string; readonly value: Uint8Array }[]>>;
  /** All or nothing, durable when it resolves; `false` when a condition did not hold. */
  transact(conditions: readonly MetaCondition[], ops: readonly MetaOp[]): Promise<Outcome<boolean>>;
  close(): Promise<void>;
}
