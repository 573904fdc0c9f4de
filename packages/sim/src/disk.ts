/**
 * A disk that forgets. What was written is seen at once and is durable only after a sync; a crash drops, tears or
 * reorders the rest, names as well as bytes. `DiskImage` is the state, `simDisk` gives it the port's face, and an
 * `IoGate` between them decides when a call takes effect, when it is answered, and which calls fail.
 */
import { type Outcome, fail, succeed } from "@elanus/model/outcome";
import type { Disk, DiskFile } from "@elanus/platform/ports/disk";
import type { SeededRandom } from "./random.ts";

/** What remains of unsynced work: everything (only the process died), nothing, a prefix, or any mixture. */
export type CrashMode = "kept" | "dropped" | "torn" | "reordered";

export interface IoCall {
  readonly verb:
    | "open"
    | "exists"
    | "list"
    | "makeFolder"
    | "rename"
    | "remove"
    | "syncFolder"
    | "write"
    | "read"
    | "size"
    | "truncate"
    | "sync";
  readonly path: string;
  /** Bytes that the call moves. */
  readonly bytes: number;
}

export interface IoGate {
  /** `spoil` is what a failure of this call leaves behind; absent when it leaves nothing. */
  perform<T>(call: IoCall, apply: () => Outcome<T>, spoil?: () => void): Promise<Outcome<T>>;
}

const SECTOR_BYTES = 512;

type DataOp =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly size: number };

type NameOp =
  | { readonly kind: "set"; readonly path: string; readonly inode: Inode }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "rename"; readonly from: string; readonly to: string; readonly inode: Inode };

/** Bytes that grow in place. */
class Content {
  #bytes: Uint8Array;
  #size: number;

  constructor(bytes: Uint8Array = new Uint8Array()) {
    this.#bytes = bytes;
    this.#size = bytes.length;
  }

  get size(): number {
    return this.#size;
  }

  read(offset: number, length: number): Uint8Array {
    return this.#bytes.slice(offset, Math.max(offset, Math.min(offset + length, this.#size)));
  }

  apply(op: DataOp): void {
    if (op.kind === "truncate") {
      this.#bytes = this.read(0, op.size);
      this.#size = this.#bytes.length;
      return;
    }
    const end = op.offset + op.bytes.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      grown.set(this.read(0, this.#size));
      this.#bytes = grown;
    }
    this.#bytes.set(op.bytes, op.offset);
    this.#size = Math.max(this.#size, end);
  }

  copy(): Content {
    return new Content(this.read(0, this.#size));
  }

  flipBit(bit: number): void {
    const at = bit >> 3;
    if (at < this.#size) this.#bytes[at] = (this.#bytes[at] ?? 0) ^ (1 << (bit & 7));
  }
}

class Inode {
  seen: Content = new Content();
  durable: Content = new Content();
  pending: DataOp[] = [];

  apply(op: DataOp): void {
    this.seen.apply(op);
    this.pending.push(op);
  }

  sync(): void {
    for (const op of this.pending) this.durable.apply(op);
    this.pending = [];
  }

  /** A failed fsync: some of it reached the disk, and the cache forgets that the rest did not. */
  spoil(random: SeededRandom): void {
    keepSome(this.durable, this.pending, "reordered", random);
    this.pending = [];
  }

  crash(mode: CrashMode, random: SeededRandom): void {
    if (mode === "kept") return;
    keepSome(this.durable, this.pending, mode, random);
    this.pending = [];
    this.seen = this.durable.copy();
  }
}

export class DiskImage {
  readonly #random: SeededRandom;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #nameOps: NameOp[] = [];
  readonly #folders = new Set<string>([""]);
  /** Bytes that may be stored; writes beyond fail as on a full disk. */
  bytesMax: number = Number.POSITIVE_INFINITY;
  /** Grows with each crash: files opened before it are dead. */
  generation = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** All that is not durable meets its fate; afterwards the image is as after a start. */
  crash(mode: CrashMode): void {
    this.generation += 1;
    const inodes = new Set([...this.#names.values(), ...this.#durableNames.values()]);
    for (const op of this.#nameOps) if (op.kind !== "remove") inodes.add(op.inode);
    for (const inode of inodes) inode.crash(mode, this.#random);
    if (mode === "kept") return;
    for (const op of survivors(this.#nameOps, mode, this.#random)) applyName(this.#durableNames, op);
    this.#nameOps = [];
    this.#names = new Map(this.#durableNames);
  }

  find(path: string): Inode | undefined {
    return this.#names.get(path);
  }

  get bytesUsed(): number {
    let sum = 0;
    for (const inode of this.#names.values()) sum += inode.seen.size;
    return sum;
  }

  openFile(path: string, mode: "read" | "create"): Outcome<Inode> {
    const known = this.#names.get(path);
    if (known !== undefined) return succeed(known);
    if (mode === "read") return failed(`open ${path}: no such file`);
    if (!this.#folders.has(folderOf(path))) return failed(`open ${path}: no such folder`);
    const inode = new Inode();
    this.#change({ kind: "set", path, inode });
    return succeed(inode);
  }

  rename(from: string, to: string): Outcome<void> {
    const inode = this.#names.get(from);
    if (inode === undefined || !this.#folders.has(folderOf(to))) return failed(`rename ${from} to ${to}: no such file`);
    this.#change({ kind: "rename", from, to, inode });
    return succeed(undefined);
  }

  remove(path: string): Outcome<void> {
    if (this.#names.has(path)) this.#change({ kind: "remove", path });
    return succeed(undefined);
  }

  makeFolder(folder: string): Outcome<void> {
    const parts = folder.split("/");
    for (let count = 1; count <= parts.length; count += 1) this.#folders.add(parts.slice(0, count).join("/"));
    return succeed(undefined);
  }

  list(folder: string): Outcome<readonly string[]> {
    const prefix = folder === "" ? "" : `${folder}/`;
    const names: string[] = [];
    for (const path of this.#names.keys()) if (folderOf(path) === folder) names.push(path.slice(prefix.length));
    for (const path of this.#folders) {
      if (path !== "" && folderOf(path) === folder) names.push(`${path.slice(prefix.length)}/`);
    }
    return succeed(names.sort());
  }

  syncFolder(folder: string): Outcome<void> {
    const touches = (op: NameOp): boolean =>
      op.kind === "rename" ? folderOf(op.from) === folder || folderOf(op.to) === folder : folderOf(op.path) === folder;
    for (const op of this.#nameOps) if (touches(op)) applyName(this.#durableNames, op);
    this.#nameOps = this.#nameOps.filter((op) => !touches(op));
    return succeed(undefined);
  }

  /** Flips one bit of a stored file at rest. */
  flipBit(path: string, bit: number): void {
    const inode = this.#names.get(path);
    inode?.seen.flipBit(bit);
    inode?.durable.flipBit(bit);
  }

  get paths(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  #change(op: NameOp): void {
    applyName(this.#names, op);
    this.#nameOps.push(op);
  }
}

/** The port over an image, as one process's files. */
export function simDisk(image: DiskImage, gate: IoGate, random: SeededRandom): Disk {
  return {
    open: (path, mode) =>
      gate.perform(call("open", path), () => {
        const inode = image.openFile(path, mode);
        return inode.ok ? succeed(new SimFile(image, inode.value, path, gate, random)) : inode;
      }),
    exists: (path) => gate.perform(call("exists", path), () => succeed(image.find(path) !== undefined)),
    list: (folder) => gate.perform(call("list", folder), () => image.list(folder)),
    makeFolder: (folder) => gate.perform(call("makeFolder", folder), () => image.makeFolder(folder)),
    rename: (from, to) => gate.perform(call("rename", to), () => image.rename(from, to)),
    remove: (path) => gate.perform(call("remove", path), () => image.remove(path)),
    syncFolder: (folder) => gate.perform(call("syncFolder", folder), () => image.syncFolder(folder)),
    absolutePath: () => undefined,
  };
}

function call(verb: IoCall["verb"], path: string): IoCall {
  return { verb, path, bytes: 0 };
}

class SimFile implements DiskFile {
  readonly #image: DiskImage;
  readonly #inode: Inode;
  readonly #path: string;
  readonly #gate: IoGate;
  readonly #random: SeededRandom;

  constructor(image: DiskImage, inode: Inode, path: string, gate: IoGate, random: SeededRandom) {
    this.#image = image;
    this.#inode = inode;
    this.#path = path;
    this.#gate = gate;
    this.#random = random;
  }

  write(offset: number, chunks: readonly Uint8Array[]): Promise<Outcome<void>> {
    const bytes = joined(chunks);
    const op: DataOp = { kind: "write", offset, bytes };
    const apply = (): Outcome<void> => {
      if (this.#image.bytesUsed + bytes.length > this.#image.bytesMax) {
        return fail({ kind: "diskLimit", message: `write ${this.#path}: no space left` });
      }
      this.#inode.apply(op);
      return succeed(undefined);
    };
    const spoil = (): void => {
      // A failed write may have stored any first part of itself.
      const kept = bytes.subarray(0, this.#random.below(bytes.length + 1));
      if (kept.length > 0) this.#inode.apply({ kind: "write", offset, bytes: kept });
    };
    return this.#gate.perform({ verb: "write", path: this.#path, bytes: bytes.length }, apply, spoil);
  }

  read(offset: number, length: number): Promise<Outcome<Uint8Array>> {
    return this.#perform("read", () => succeed(this.#inode.seen.read(offset, length)));
  }

  size(): Promise<Outcome<number>> {
    return this.#perform("size", () => succeed(this.#inode.seen.size));
  }

  truncate(size: number): Promise<Outcome<void>> {
    return this.#perform("truncate", () => succeed(this.#inode.apply({ kind: "truncate", size })));
  }

  sync(): Promise<Outcome<void>> {
    return this.#perform(
      "sync",
      () => succeed(this.#inode.sync()),
      () => this.#inode.spoil(this.#random),
    );
  }

  async close(): Promise<void> {}

  #perform<T>(verb: IoCall["verb"], apply: () => Outcome<T>, spoil?: () => void): Promise<Outcome<T>> {
    return this.#gate.perform({ verb, path: this.#path, bytes: 0 }, apply, spoil);
  }
}

function keepSome(durable: Content, ops: readonly DataOp[], mode: CrashMode, random: SeededRandom): void {
  if (mode === "dropped") return;
  if (mode === "reordered") {
    for (const op of ops) for (const piece of sectorsOf(op)) if (random.chance(0.5)) durable.apply(piece);
    return;
  }
  const whole = random.below(ops.length + 1);
  for (const op of ops.slice(0, whole)) durable.apply(op);
  const cut = ops[whole];
  if (cut?.kind !== "write") return;
  const bytes = cut.bytes.subarray(0, random.below(cut.bytes.length + 1));
  if (bytes.length > 0) durable.apply({ kind: "write", offset: cut.offset, bytes });
}

/** A write as the sectors a disk stores one by one. */
function sectorsOf(op: DataOp): readonly DataOp[] {
  if (op.kind === "truncate") return [op];
  const pieces: DataOp[] = [];
  for (let at = 0; at < op.bytes.length; ) {
    const offset = op.offset + at;
    const length = Math.min(SECTOR_BYTES - (offset % SECTOR_BYTES), op.bytes.length - at);
    pieces.push({ kind: "write", offset, bytes: op.bytes.subarray(at, at + length) });
    at += length;
  }
  return pieces;
}

function survivors(ops: readonly NameOp[], mode: CrashMode, random: SeededRandom): readonly NameOp[] {
  if (mode === "dropped") return [];
  if (mode === "torn") return ops.slice(0, random.below(ops.length + 1));
  return ops.filter(() => random.chance(0.5));
}

function applyName(names: Map<string, Inode>, op: NameOp): void {
  if (op.kind === "set") names.set(op.path, op.inode);
  else if (op.kind === "remove") names.delete(op.path);
  else {
    names.delete(op.from);
    names.set(op.to, op.inode);
  }
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0));
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function failed(message: string): Outcome<never> {
  return fail({ kind: "ioFailed", message });
}
