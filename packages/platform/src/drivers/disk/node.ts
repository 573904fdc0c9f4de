/** `Disk` over a folder of the machine. */
import type { FileHandle } from "node:fs/promises";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Outcome, succeed } from "@elanus/model/outcome";
import type { Disk, DiskFile } from "../../ports/disk.ts";
import { codeOf, ioFailure } from "../io-error.ts";

/** `writev` takes at most this many buffers on every system we run on (IOV_MAX). */
const CHUNKS_MAX = 1_024;

export function nodeDisk(root: string): Disk {
  return new NodeDisk(resolve(root));
}

class NodeDisk implements Disk {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  open(path: string, mode: "read" | "create"): Promise<Outcome<DiskFile>> {
    return attempt(`open ${path}`, async () => new NodeFile(path, await this.#openHandle(path, mode)));
  }

  exists(path: string): Promise<Outcome<boolean>> {
    return attempt(`look up ${path}`, async () => {
      const found = await absentAsUndefined(() => stat(this.absolutePath(path)));
      return found !== undefined;
    });
  }

  list(folder: string): Promise<Outcome<readonly string[]>> {
    return attempt(`list ${folder}`, async () => {
      const entries = await absentAsUndefined(() => readdir(this.absolutePath(folder), { withFileTypes: true }));
      const names = (entries ?? []).map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
      return names.sort();
    });
  }

  makeFolder(folder: string): Promise<Outcome<void>> {
    return attempt(`make folder ${folder}`, async () => {
      const first = await mkdir(this.absolutePath(folder), { recursive: true });
      if (first === undefined) return;
      // Every folder that is new, and the one that holds the first of them, must reach the disk.
      const above = dirname(first);
      for (let path = this.absolutePath(folder); path !== above; path = dirname(path)) await syncPath(path);
      await syncPath(above);
    });
  }

  rename(from: string, to: string): Promise<Outcome<void>> {
    return attempt(`rename ${from} to ${to}`, () => rename(this.absolutePath(from), this.absolutePath(to)));
  }

  remove(path: string): Promise<Outcome<void>> {
    return attempt(`remove ${path}`, () => rm(this.absolutePath(path), { force: true }));
  }

  syncFolder(folder: string): Promise<Outcome<void>> {
    return attempt(`sync folder ${folder}`, () => syncPath(this.absolutePath(folder)));
  }

  absolutePath(path: string): string {
    return join(this.#root, path);
  }

  async #openHandle(path: string, mode: "read" | "create"): Promise<FileHandle> {
    const absolute = this.absolutePath(path);
    if (mode === "read") return open(absolute, "r");
    try {
      return await open(absolute, "r+");
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      return open(absolute, "w+");
    }
  }
}

class NodeFile implements DiskFile {
  readonly #path: string;
  readonly #handle: FileHandle;

  constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  write(offset: number, chunks: readonly Uint8Array[]): Promise<Outcome<void>> {
    return attempt(`write ${this.#path}`, async () => {
      let at = offset;
      for (let first = 0; first < chunks.length; first += CHUNKS_MAX) {
        at = await this.#writeAll(at, chunks.slice(first, first + CHUNKS_MAX));
      }
    });
  }

  read(offset: number, length: number): Promise<Outcome<Uint8Array>> {
    return attempt(`read ${this.#path}`, async () => {
      const bytes = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await this.#handle.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    });
  }

  size(): Promise<Outcome<number>> {
    return attempt(`size of ${this.#path}`, async () => (await this.#handle.stat()).size);
  }

  truncate(size: number): Promise<Outcome<void>> {
    return attempt(`truncate ${this.#path}`, () => this.#handle.truncate(size));
  }

  sync(): Promise<Outcome<void>> {
    // fdatasync also flushes the size, and leaves out the times nobody needs.
    return attempt(`sync ${this.#path}`, () => this.#handle.datasync());
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** Writes what `writev` left over, too: it may stop short. Returns the offset after the last byte. */
  async #writeAll(offset: number, chunks: readonly Uint8Array[]): Promise<number> {
    let at = offset;
    let left = chunks.filter((chunk) => chunk.byteLength > 0);
    while (left.length > 0) {
      const { bytesWritten } = await this.#handle.writev([...left], at);
      at += bytesWritten;
      left = dropBytes(left, bytesWritten);
    }
    return at;
  }
}

function dropBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  const left: Uint8Array[] = [];
  let skip = count;
  for (const chunk of chunks) {
    if (skip >= chunk.byteLength) skip -= chunk.byteLength;
    else {
      left.push(skip === 0 ? chunk : chunk.subarray(skip));
      skip = 0;
    }
  }
  return left;
}

async function attempt<T>(what: string, act: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return succeed(await act());
  } catch (error) {
    return ioFailure(error, what);
  }
}

async function absentAsUndefined<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
