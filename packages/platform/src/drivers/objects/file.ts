/**
 * Objects as files below one folder. An object is written under a temporary name, made durable, and only then
 * renamed to its key: a reader meets it whole or not at all, whenever the machine stops.
 */
import { type Outcome, succeed } from "@elanus/model/outcome";
import type { Disk } from "../../ports/disk.ts";
import type { ObjectStore, StagedObject } from "../../ports/objects.ts";
import { checkKey } from "./key.ts";

const TEMPORARY = ".tmp";

/** Opens the store below `folder` of the disk and removes what an interrupted `put` left behind. */
export async function openFileObjects(disk: Disk, folder: string): Promise<Outcome<ObjectStore>> {
  const temporary = `${folder}/${TEMPORARY}`;
  const made = await disk.makeFolder(temporary);
  if (!made.ok) return made;
  const leftovers = await disk.list(temporary);
  if (!leftovers.ok) return leftovers;
  for (const name of leftovers.value) {
    const removed = await disk.remove(`${temporary}/${name}`);
    if (!removed.ok) return removed;
  }
  return succeed(new FileObjects(disk, folder));
}

class FileObjects implements ObjectStore {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #foldersMade = new Set<string>();
  #temporaryCount = 0;

  constructor(disk: Disk, folder: string) {
    this.#disk = disk;
    this.#folder = folder;
  }

  async put(key: string, chunks: readonly Uint8Array[]): Promise<Outcome<void>> {
    checkKey(key);
    const temporary = this.#temporary();
    const written = await this.#writeTemporary(temporary, chunks);
    const placed = written.ok ? await this.#place(temporary, this.#path(key)) : written;
    if (!placed.ok) await this.#disk.remove(temporary);
    return placed;
  }

  async get(key: string): Promise<Outcome<Uint8Array | undefined>> {
    checkKey(key);
    const path = this.#path(key);
    const found = await this.#disk.exists(path);
    if (!found.ok) return found;
    if (!found.value) return succeed(undefined);
    const file = await this.#disk.open(path, "read");
    if (!file.ok) return file;
    try {
      const size = await file.value.size();
      return size.ok ? await file.value.read(0, size.value) : size;
    } finally {
      await file.value.close();
    }
  }

  async list(prefix: string): Promise<Outcome<readonly string[]>> {
    const keys: string[] = [];
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    const listed = await this.#collect(folder, prefix, keys);
    return listed.ok ? succeed(keys.sort()) : listed;
  }

  /** Not made durable: an object that comes back after a crash is garbage that is found again. */
  delete(key: string): Promise<Outcome<void>> {
    checkKey(key);
    return this.#disk.remove(this.#path(key));
  }

  localPath(key: string): string | undefined {
    checkKey(key);
    return this.#disk.absolutePath(this.#path(key));
  }

  stage(key: string): StagedObject | undefined {
    checkKey(key);
    const temporary = this.#temporary();
    const path = this.#disk.absolutePath(temporary);
    if (path === undefined) return undefined;
    return {
      path,
      place: () => this.#place(temporary, this.#path(key)),
      discard: () => this.#disk.remove(temporary),
    };
  }

  #temporary(): string {
    this.#temporaryCount += 1;
    return `${this.#folder}/${TEMPORARY}/${this.#temporaryCount}`;
  }

  #path(key: string): string {
    return `${this.#folder}/${key}`;
  }

  async #writeTemporary(path: string, chunks: readonly Uint8Array[]): Promise<Outcome<void>> {
    const file = await this.#disk.open(path, "create");
    if (!file.ok) return file;
    try {
      const written = await file.value.write(0, chunks);
      return written.ok ? await file.value.sync() : written;
    } finally {
      await file.value.close();
    }
  }

  async #place(temporary: string, path: string): Promise<Outcome<void>> {
    const parent = path.slice(0, path.lastIndexOf("/"));
    if (!this.#foldersMade.has(parent)) {
      const made = await this.#disk.makeFolder(parent);
      if (!made.ok) return made;
      this.#foldersMade.add(parent);
    }
    const renamed = await this.#disk.rename(temporary, path);
    return renamed.ok ? this.#disk.syncFolder(parent) : renamed;
  }

  /** Adds the keys below `folder` ("" or ending with a slash) that start with `prefix`. */
  async #collect(folder: string, prefix: string, keys: string[]): Promise<Outcome<void>> {
    const names = await this.#disk.list(`${this.#folder}/${folder}`.replace(/\/$/, ""));
    if (!names.ok) return names;
    for (const name of names.value) {
      const key = folder + name;
      if (name === `${TEMPORARY}/` || !(key.startsWith(prefix) || prefix.startsWith(key))) continue;
      if (!name.endsWith("/")) keys.push(key);
      else {
        const below = await this.#collect(key, prefix, keys);
        if (!below.ok) return below;
      }
    }
    return succeed(undefined);
  }
}
