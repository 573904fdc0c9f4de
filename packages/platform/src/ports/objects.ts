/** Immutable objects by key. Keys are slash-separated and made by us, never taken from outside. */
import type { Outcome } from "@elanus/model/outcome";

export interface ObjectStore {
  /** Durable and whole when it resolves; an existing key is replaced only by equal bytes in our use. */
  put(key: string, chunks: readonly Uint8Array[]): Promise<Outcome<void>>;
  /** undefined when absent. */
  get(key: string): Promise<Outcome<Uint8Array | undefined>>;
  list(prefix: string): Promise<Outcome<readonly string[]>>;
  delete(key: string): Promise<Outcome<void>>;
  /** Path of a plain local file that native code may map, when the store has one. */
  localPath(key: string): string | undefined;
  /** A place where native code may write what is to become an object, when the store has plain local files. */
  stage(key: string): StagedObject | undefined;
}

/** An object in the making; nobody meets it before it is placed. What is not placed is gone after a restart. */
export interface StagedObject {
  /** Of a file that does not exist yet. */
  readonly path: string;
  /** Gives the file, whole and durable by then, its key; durable when it resolves. */
  place(): Promise<Outcome<void>>;
  discard(): Promise<Outcome<void>>;
}
