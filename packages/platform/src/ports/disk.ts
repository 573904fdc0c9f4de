/**
 * The files below one root that the file drivers use; simulated with torn writes and lost unsynced data.
 * Paths are relative to the root, with slashes, and made by us.
 */
import type { Outcome } from "@elanus/model/outcome";

export interface DiskFile {
  /** Writes all of `chunks` at `offset`. Not durable before `sync`. */
  write(offset: number, chunks: readonly Uint8Array[]): Promise<Outcome<void>>;
  /** Shorter than `length` only at the end of the file. */
  read(offset: number, length: number): Promise<Outcome<Uint8Array>>;
  size(): Promise<Outcome<number>>;
  truncate(size: number): Promise<Outcome<void>>;
  /** Data and size are durable when it resolves. After a failure the file's unsynced data is lost or torn. */
  sync(): Promise<Outcome<void>>;
  close(): Promise<void>;
}

export interface Disk {
  /** "create" opens for reading and writing and creates the file when it is absent; it never truncates. */
  open(path: string, mode: "read" | "create"): Promise<Outcome<DiskFile>>;
  exists(path: string): Promise<Outcome<boolean>>;
  /** Names (not paths) in a folder, sorted; folders end with a slash. Empty when the folder does not exist. */
  list(folder: string): Promise<Outcome<readonly string[]>>;
  /** Creates the folder and its parents; durable when it resolves. */
  makeFolder(folder: string): Promise<Outcome<void>>;
  /** Replaces `to` when it exists. */
  rename(from: string, to: string): Promise<Outcome<void>>;
  /** Succeeds when the file is absent. */
  remove(path: string): Promise<Outcome<void>>;
  /** Makes creations, renames and removals in the folder durable. */
  syncFolder(folder: string): Promise<Outcome<void>>;
  /** Absolute path for native code, when the disk is real. */
  absolutePath(path: string): string | undefined;
}
