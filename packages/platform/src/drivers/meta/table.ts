/** Keys and values in memory with the catalog's rules: conditions, order by bytes, no shared buffers. */
import { Buffer } from "node:buffer";
import type { MetaCondition, MetaOp } from "../../ports/meta.ts";

export interface MetaPair {
  readonly key: string;
  readonly value: Uint8Array;
}

export class MetaTable {
  readonly #values = new Map<string, Uint8Array>();

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key)?.slice();
  }

  list(prefix: string): readonly MetaPair[] {
    const pairs: MetaPair[] = [];
    for (const [key, value] of this.#values) {
      if (key.startsWith(prefix)) pairs.push({ key, value: value.slice() });
    }
    // UTF-8 bytes, not UTF-16 units: the two orders differ above the basic plane.
    return pairs.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  }

  holds(conditions: readonly MetaCondition[]): boolean {
    return conditions.every((condition) => meets(this.#values.get(condition.key), condition));
  }

  apply(ops: readonly MetaOp[]): void {
    for (const op of ops) {
      if (op.kind === "put") this.#values.set(op.key, op.value.slice());
      else this.#values.delete(op.key);
    }
  }
}

/** Whether what a key holds is what the condition asks for. */
export function meets(found: Uint8Array | undefined, { value }: MetaCondition): boolean {
  if (found === undefined || value === undefined) return found === value;
  return value === "any" || Buffer.compare(found, value) === 0;
}
