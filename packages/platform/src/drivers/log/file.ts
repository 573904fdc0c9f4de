/**
 * The log in local files: `<folder>/<channel>/<first position>.log` (docs/formats/log.md).
 *
 * One writer owns a channel. Appends that arrive while a write is under way wait together and share the next
 * write and the next fsync. Opening a channel repairs what a crash left of the newest file and copies it, so
 * that nothing a reader sees depends on cached bytes that a failed fsync never brought to the disk.
 */
import type { ChannelName, LogPosition, Term } from "@elanus/model/id";
import { type Outcome, fail, succeed } from "@elanus/model/outcome";
import type { Disk } from "../../ports/disk.ts";
import type { LogFrame, LogStore, LogWriter } from "../../ports/log.ts";
import { FileLogWriter } from "./file-writer.ts";
import { createSegment, firstOf, listSegments, repairSegment, segmentPath } from "./segments.ts";
import { SegmentReader } from "./segment-reader.ts";

export interface FileLogConfig {
  /** A new segment file begins when the current one has reached this size. */
  readonly segmentBytesMax: number;
}

export function fileLog(disk: Disk, folder: string, config: FileLogConfig): LogStore {
  return new FileLog(disk, folder, config);
}

interface Channel {
  owner: FileLogWriter | undefined;
  /** Openings take turns. */
  opening: Promise<unknown>;
}

class FileLog implements LogStore {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #config: FileLogConfig;
  readonly #channels = new Map<ChannelName, Channel>();

  constructor(disk: Disk, folder: string, config: FileLogConfig) {
    this.#disk = disk;
    this.#folder = folder;
    this.#config = config;
  }

  open(channel: ChannelName, term: Term): Promise<Outcome<LogWriter>> {
    const state = this.#channels.get(channel) ?? { owner: undefined, opening: Promise.resolve() };
    this.#channels.set(channel, state);
    const opened = state.opening.then(() => this.#take(channel, term, state));
    state.opening = opened;
    return opened;
  }

  async *read(channel: ChannelName, after: LogPosition): AsyncGenerator<Outcome<LogFrame>> {
    // Bytes of a write under way are not records yet: stop at what the writer knows to be durable.
    const limit = this.#channels.get(channel)?.owner?.last;
    const folder = `${this.#folder}/${channel}`;
    const listed = await listSegments(this.#disk, folder);
    if (!listed.ok) return yield listed;
    const names = startingAt(listed.value, after);
    let expected: LogPosition | undefined;
    for (const [index, name] of names.entries()) {
      const path = `${folder}/${name}`;
      if (limit !== undefined && firstOf(name) > limit) return;
      if (expected !== undefined && expected !== firstOf(name)) {
        const message = `begins at record ${firstOf(name)}, but the file before it ends before record ${expected}`;
        return yield fail({ kind: "fileCorrupt", file: path, message });
      }
      const isNewest = index === names.length - 1;
      const end: { at: LogPosition | undefined } = { at: undefined };
      yield* readSegment(this.#disk, path, { after, limit, isNewest }, end);
      if (end.at === undefined) return;
      expected = end.at;
    }
  }

  async #take(channel: ChannelName, term: Term, state: Channel): Promise<Outcome<LogWriter>> {
    const old = state.owner;
    if (old !== undefined) {
      if (old.term > term) return fail({ kind: "fenced", channel });
      await old.fence();
      state.owner = undefined;
    }
    const folder = `${this.#folder}/${channel}`;
    const prepared = await this.#prepare(folder, channel, term);
    if (!prepared.ok) return prepared;
    const { segments, last } = prepared.value;
    const next = (last + 1n) as LogPosition;
    const file = await createSegment(this.#disk, folder, term, next);
    if (!file.ok) return file;
    const firsts = [...segments.map(firstOf).filter((first) => first < next), next];
    const writer = new FileLogWriter({
      disk: this.#disk,
      folder,
      channel,
      term,
      last,
      file: file.value,
      firsts,
      segmentBytesMax: this.#config.segmentBytesMax,
    });
    state.owner = writer;
    return succeed(writer);
  }

  /** Checks terms, repairs the newest file; the names and the last position that stand afterwards. */
  async #prepare(
    folder: string,
    channel: ChannelName,
    term: Term,
  ): Promise<Outcome<{ segments: readonly string[]; last: LogPosition }>> {
    const made = await this.#disk.makeFolder(folder);
    if (!made.ok) return made;
    const segments = await listSegments(this.#disk, folder);
    if (!segments.ok) return segments;
    const newest = segments.value.at(-1);
    if (newest === undefined) return succeed({ segments: [], last: 0n as LogPosition });
    const reader = await SegmentReader.open(this.#disk, segmentPath(folder, firstOf(newest)));
    if (!reader.ok) return reader;
    try {
      // Terms never fall from file to file, so the newest has the highest.
      if (reader.value.header.term > term) return fail({ kind: "fenced", channel });
      const last = await repairSegment(this.#disk, folder, reader.value);
      return last.ok ? succeed({ segments: segments.value, last: last.value }) : last;
    } finally {
      await reader.value.close();
    }
  }
}

/** The files that may hold records after `after`. */
function startingAt(names: readonly string[], after: LogPosition): readonly string[] {
  const start = names.findLastIndex((name) => firstOf(name) <= after + 1n);
  return names.slice(Math.max(start, 0));
}

interface ReadBounds {
  readonly after: LogPosition;
  readonly limit: LogPosition | undefined;
  readonly isNewest: boolean;
}

/** Yields the wanted records; `end.at` becomes the next position when the file was sound to its end. */
async function* readSegment(
  disk: Disk,
  path: string,
  bounds: ReadBounds,
  end: { at: LogPosition | undefined },
): AsyncGenerator<Outcome<LogFrame>> {
  const reader = await SegmentReader.open(disk, path);
  if (!reader.ok) return yield reader;
  try {
    for (;;) {
      if (bounds.limit !== undefined && reader.value.expected > bounds.limit) return;
      const step = await reader.value.next();
      if (!step.ok) return yield step;
      if (step.value.kind === "record") {
        const { position, bytes } = step.value.record;
        if (position > bounds.after) yield succeed({ position, bytes });
        continue;
      }
      if (step.value.kind === "end") end.at = reader.value.expected;
      // With a writer every record up to the limit is durable; without one the newest file may end torn.
      else if (bounds.limit !== undefined || !bounds.isNewest || step.value.durable) {
        const message = `record ${reader.value.expected} at offset ${step.value.offset} is damaged`;
        yield fail({ kind: "fileCorrupt", file: path, message });
      }
      return;
    }
  } finally {
    await reader.value.close();
  }
}
