/** The catalog in one LMDB file. Every transaction is on disk when it resolves. */
import { Buffer } from "node:buffer";
import { type Outcome, succeed } from "@elanus/model/outcome";
import { open, type RootDatabase } from "lmdb";
import type { MetaCondition, MetaOp, MetaStore } from "../../ports/meta.ts";
import { ioFailure } from "../io-error.ts";
import { type MetaPair, meets } from "./table.ts";

type Database = RootDatabase<Buffer, Buffer>;

/** `path` is the absolute path of the file; its folder must exist. */
export function openLmdbMeta(path: string): Outcome<MetaStore> {
  try {
    const database = open<Buffer, Buffer>({
      path,
      noSubdir: true,
      encoding: "binary",
      keyEncoding: "binary",
      // Without these two a commit could resolve before its bytes are on the disk.
      overlappingSync: false,
      noSync: false,
    });
    return succeed(new LmdbMeta(database));
  } catch (error) {
    return ioFailure(error, "open the catalog");
  }
}

class LmdbMeta implements MetaStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async get(key: string): Promise<Outcome<Uint8Array | undefined>> {
    try {
      return succeed(copyOf(this.#database.get(Buffer.from(key))));
    } catch (error) {
      return ioFailure(error, "read the catalog");
    }
  }

  async list(prefix: string): Promise<Outcome<readonly MetaPair[]>> {
    try {
      const start = Buffer.from(prefix);
      const pairs: MetaPair[] = [];
      for (const { key, value } of this.#database.getRange(start.length === 0 ? {} : { start })) {
        if (Buffer.compare(key.subarray(0, start.length), start) !== 0) break;
        pairs.push({ key: key.toString(), value: new Uint8Array(value) });
      }
      return succeed(pairs);
    } catch (error) {
      return ioFailure(error, "list the catalog");
    }
  }

  async transact(conditions: readonly MetaCondition[], ops: readonly MetaOp[]): Promise<Outcome<boolean>> {
    try {
      const done = await this.#database.transaction(() => {
        const held = conditions.every((condition) => meets(this.#database.get(Buffer.from(condition.key)), condition));
        if (!held) return false;
        for (const op of ops) this.#apply(op);
        return true;
      });
      return succeed(done);
    } catch (error) {
      return ioFailure(error, "write the catalog");
    }
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  /** Inside a transaction: the calls act at once, and their promises are the transaction's own. */
  #apply(op: MetaOp): void {
    if (op.kind === "put") this.#database.putSync(Buffer.from(op.key), Buffer.from(op.value));
    else this.#database.removeSync(Buffer.from(op.key));
  }
}

function copyOf(value: Buffer | undefined): Uint8Array | undefined {
  return value === undefined ? undefined : new Uint8Array(value);
}
