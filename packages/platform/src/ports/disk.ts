/** The files below one root that the file drivers use; simulated with torn writes and lost unsynced data. */
import type { Outcome } from "@elanus/model/outcome";

export interface DiskFile {
  /** Writes all of `chunks` at `offset`. Not durable before `sync`. */
  write(offset: number, chunks: readonly Uint8Array[]): Promise<Outcome<void>>;
  read(offset: number, length: number): Promise<Outcome<Uint8Array>>;
  size(): Promise<Outcome<number>>;
  truncate(size: number): Promise<Outcome<void>>;
  /** Data and size are durable when it resolves. After a failure the file's unsynced data is lost or torn. */
  sync(): Promise<Outcome<void>>;
  close(): Promise<void>;
}

export interface Disk {
  open(path: string, mode: "read" | "create"): Promise<Outcome<DiskFile>>;
  /** Names (not paths) in a folder, sorted; empty when it does not exist. */
  list(folder: string): Promise<Outcome<readonly string[]>>;
  makeFolder(folder: string): Promise<Outcome<void>>;
  rename(from: string, to: string): Promise<Outcome<void>>;
  remove(path: string): Promise<Outcome<void>>;
  /** Makes creations, renames and removals in the folder durable. */
  syncFolder(folder: string): Promise<Outcome<void>>;
  /** Absolute path for native code, when the disk is real. */
  absolutePath(path: string): string | undefined;
}
