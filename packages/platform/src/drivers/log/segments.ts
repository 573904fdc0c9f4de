/** The segment files of one channel's folder: listed, created whole, repaired. */
import type { LogPosition, Term } from "@elanus/model/id";
import { type Outcome, fail, succeed } from "@elanus/model/outcome";
import type { Disk, DiskFile } from "../../ports/disk.ts";
import { HEADER_BYTES, decodeHeader, encodeHeader } from "./segment-file.ts";
import type { SegmentReader } from "./segment-reader.ts";

const NAME = /^(\d{20})\.log$/;
const COPY_BYTES = 4 * 1024 * 1024;

export interface OpenSegment {
  readonly file: DiskFile;
  /** Start value of the records' check sums. */
  readonly seed: number;
}

export function segmentPath(folder: string, first: LogPosition): string {
  return `${folder}/${first.toString().padStart(20, "0")}.log`;
}

/** Position that a file's name gives. */
export function firstOf(name: string): LogPosition {
  return BigInt(NAME.exec(name)?.[1] ?? "0") as LogPosition;
}

/** Names in order of their positions. */
export async function listSegments(disk: Disk, folder: string): Promise<Outcome<readonly string[]>> {
  const names = await disk.list(folder);
  return names.ok ? succeed(names.value.filter((name) => NAME.test(name))) : names;
}

/** A file that holds only its header, durable under its name before it is used. */
export async function createSegment(
  disk: Disk,
  folder: string,
  term: Term,
  first: LogPosition,
): Promise<Outcome<OpenSegment>> {
  const path = segmentPath(folder, first);
  const header = encodeHeader(term, first);
  const placed = await placeDurably(disk, folder, path, (file) => file.write(0, [header]));
  if (!placed.ok) return placed;
  const file = await disk.open(path, "create");
  if (!file.ok) return file;
  const decoded = decodeHeader(header);
  return typeof decoded === "string"
    ? fail({ kind: "internal", message: decoded })
    : succeed({ file: file.value, seed: decoded.seed });
}

/**
 * Reads the newest file to its end, then replaces it by a durable copy of what was sound. Returns the last
 * position. Damage to a record that had been acknowledged is `fileCorrupt`.
 */
export async function repairSegment(disk: Disk, folder: string, reader: SegmentReader): Promise<Outcome<LogPosition>> {
  for (;;) {
    const step = await reader.next();
    if (!step.ok) return step;
    if (step.value.kind === "record") continue;
    if (step.value.kind === "damage" && step.value.durable) {
      const message = `record ${reader.expected} at offset ${step.value.offset} is damaged, and sound records follow`;
      return fail({ kind: "fileCorrupt", file: reader.path, message });
    }
    break;
  }
  const last = (reader.expected - 1n) as LogPosition;
  // An empty file is about to be replaced by the new writer's own.
  if (reader.offset === HEADER_BYTES) return succeed(last);
  const end = reader.offset;
  const copied = await placeDurably(disk, folder, reader.path, (target) => copyBytes(disk, reader.path, target, end));
  return copied.ok ? succeed(last) : copied;
}

/** Writes a file under another name, syncs it and renames it: under `path` it is whole or as it was. */
async function placeDurably(
  disk: Disk,
  folder: string,
  path: string,
  write: (file: DiskFile) => Promise<Outcome<void>>,
): Promise<Outcome<void>> {
  const temporary = `${path}.tmp`;
  const cleared = await disk.remove(temporary);
  if (!cleared.ok) return cleared;
  const file = await disk.open(temporary, "create");
  if (!file.ok) return file;
  try {
    const written = await write(file.value);
    if (!written.ok) return written;
    const synced = await file.value.sync();
    if (!synced.ok) return synced;
  } finally {
    await file.value.close();
  }
  const renamed = await disk.rename(temporary, path);
  return renamed.ok ? disk.syncFolder(folder) : renamed;
}

async function copyBytes(disk: Disk, from: string, target: DiskFile, end: number): Promise<Outcome<void>> {
  const source = await disk.open(from, "read");
  if (!source.ok) return source;
  try {
    for (let at = 0; at < end; at += COPY_BYTES) {
      const bytes = await source.value.read(at, Math.min(COPY_BYTES, end - at));
      if (!bytes.ok) return bytes;
      const written = await target.write(at, [bytes.value]);
      if (!written.ok) return written;
    }
    return succeed(undefined);
  } finally {
    await source.value.close();
  }
}
