/** The catalog in memory, for tests and for databases that keep nothing. */
import { type Outcome, succeed } from "@elanus/model/outcome";
import type { MetaCondition, MetaOp, MetaStore } from "../../ports/meta.ts";
import { MetaTable } from "./table.ts";

export function memoryMeta(): MetaStore {
  return new MemoryMeta();
}

class MemoryMeta implements MetaStore {
  readonly #table = new MetaTable();

  async get(key: string): Promise<Outcome<Uint8Array | undefined>> {
    return succeed(this.#table.get(key));
  }

  async list(prefix: string): ReturnType<MetaStore["list"]> {
    return succeed(this.#table.list(prefix));
  }

  async transact(conditions: readonly MetaCondition[], ops: readonly MetaOp[]): Promise<Outcome<boolean>> {
    if (!this.#table.holds(conditions)) return succeed(false);
    this.#table.apply(ops);
    return succeed(true);
  }

  async close(): Promise<void> {}
}
