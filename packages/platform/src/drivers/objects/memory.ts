/** Objects in memory, for tests and for databases that keep nothing. */
import { type Outcome, succeed } from "@elanus/model/outcome";
import type { ObjectStore } from "../../ports/objects.ts";
import { checkKey, joinChunks } from "./key.ts";

export function memoryObjects(): ObjectStore {
  return new MemoryObjects();
}

class MemoryObjects implements ObjectStore {
  readonly #objects = new Map<string, Uint8Array>();

  async put(key: string, chunks: readonly Uint8Array[]): Promise<Outcome<void>> {
    checkKey(key);
    this.#objects.set(key, joinChunks(chunks));
    return succeed(undefined);
  }

  async get(key: string): Promise<Outcome<Uint8Array | undefined>> {
    return succeed(this.#objects.get(key)?.slice());
  }

  async list(prefix: string): Promise<Outcome<readonly string[]>> {
    return succeed([...this.#objects.keys()].filter((key) => key.startsWith(prefix)).sort());
  }

  async delete(key: string): Promise<Outcome<void>> {
    this.#objects.delete(key);
    return succeed(undefined);
  }

  localPath(): undefined {
    return undefined;
  }

  stage(): undefined {
    return undefined;
  }
}
