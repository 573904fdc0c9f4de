/** The owner of a channel: batches appends, writes and syncs them, rotates and truncates segment files. */
import type { DbError } from "@elanus/model/error";
import type { ChannelName, LogPosition, Term } from "@elanus/model/id";
import { type Outcome, fail, invariant, succeed } from "@elanus/model/outcome";
import type { Disk } from "../../ports/disk.ts";
import type { LogWriter } from "../../ports/log.ts";
import { HEADER_BYTES, RECORD_HEADER_BYTES, bytesOf, encodeRecordHeader } from "./segment-file.ts";
import { type OpenSegment, createSegment, segmentPath } from "./segments.ts";

/** Records of one write together; a single larger one goes alone. */
const BATCH_BYTES_MAX = 32 * 1024 * 1024;

export interface FileLogWriterConfig {
  readonly disk: Disk;
  readonly folder: string;
  readonly channel: ChannelName;
  readonly term: Term;
  readonly last: LogPosition;
  readonly file: OpenSegment;
  /** First positions of the segment files, the current one's last. */
  readonly firsts: readonly LogPosition[];
  readonly segmentBytesMax: number;
}

interface Waiting {
  readonly pieces: readonly Uint8Array[];
  /** Of all pieces. */
  readonly bytes: number;
  readonly resolve: (outcome: Outcome<LogPosition>) => void;
}

export class FileLogWriter implements LogWriter {
  readonly term: Term;
  readonly #config: FileLogWriterConfig;
  #segment: OpenSegment;
  #firsts: readonly LogPosition[];
  #offset = HEADER_BYTES;
  #last: LogPosition;
  #queue: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #truncating: Promise<unknown> = Promise.resolve();
  /** Set once the writer refuses everything, with the reason. */
  #refusal: DbError | undefined;

  constructor(config: FileLogWriterConfig) {
    this.term = config.term;
    this.#config = config;
    this.#segment = config.file;
    this.#firsts = config.firsts;
    this.#last = config.last;
  }

  get last(): LogPosition {
    return this.#last;
  }

  append(pieces: readonly Uint8Array[]): Promise<Outcome<LogPosition>> {
    if (this.#refusal !== undefined) return Promise.resolve(fail(this.#refusal));
    return new Promise((resolve) => {
      this.#queue.push({ pieces, bytes: bytesOf(pieces), resolve });
      this.#writing ??= this.#writeQueue();
    });
  }

  async confirm(): Promise<Outcome<void>> {
    return this.#refusal === undefined ? succeed(undefined) : fail(this.#refusal);
  }

  truncate(position: LogPosition): Promise<Outcome<void>> {
    const done = this.#truncating.then(() => this.#removeBelow(position));
    this.#truncating = done;
    return done;
  }

  async close(): Promise<void> {
    await this.#stop({ kind: "ioFailed", message: `log writer of ${this.#config.channel} is closed` }, true);
  }

  /** Another owner takes the channel: what is being written may still finish, what waits is refused. */
  async fence(): Promise<void> {
    await this.#stop({ kind: "fenced", channel: this.#config.channel }, false);
  }

  async #stop(reason: DbError, finishQueue: boolean): Promise<void> {
    const isFirst = this.#refusal === undefined || this.#refusal.kind !== "fenced";
    if (!finishQueue && isFirst) this.#refusal = reason;
    const wasOpen = this.#refusal === undefined;
    while (this.#writing !== undefined) await this.#writing;
    if (finishQueue && wasOpen) this.#refusal ??= reason;
    await this.#truncating;
    await this.#closeFile();
  }

  #closed = false;
  async #closeFile(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#segment.file.close();
  }

  async #writeQueue(): Promise<void> {
    // One turn of the microtask queue, so that appends of the same moment share a write.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#takeBatch();
      const outcome = this.#refusal === undefined ? await this.#write(batch) : fail(this.#refusal);
      if (!outcome.ok) {
        this.#refusal ??= { kind: "ioFailed", message: `log writer of ${this.#config.channel} must be reopened` };
        for (const waiting of batch) waiting.resolve(outcome);
        continue;
      }
      const first = this.#last + 1n;
      this.#last = (this.#last + BigInt(batch.length)) as LogPosition;
      for (const [index, waiting] of batch.entries()) {
        waiting.resolve(succeed((first + BigInt(index)) as LogPosition));
      }
    }
    this.#writing = undefined;
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      bytes += waiting.bytes + RECORD_HEADER_BYTES;
      if (count > 0 && bytes > BATCH_BYTES_MAX) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #write(batch: readonly Waiting[]): Promise<Outcome<void>> {
    if (this.#offset >= this.#config.segmentBytesMax) {
      const rotated = await this.#rotate();
      if (!rotated.ok) return rotated;
    }
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for (const [index, { pieces, bytes: payloadBytes }] of batch.entries()) {
      const since = index + 1;
      const position = (this.#last + BigInt(since)) as LogPosition;
      chunks.push(encodeRecordHeader(this.#segment.seed, position, since, pieces), ...pieces);
      bytes += RECORD_HEADER_BYTES + payloadBytes;
    }
    const written = await this.#segment.file.write(this.#offset, chunks);
    if (!written.ok) return written;
    const synced = await this.#segment.file.sync();
    if (synced.ok) this.#offset += bytes;
    return synced;
  }

  async #rotate(): Promise<Outcome<void>> {
    const first = (this.#last + 1n) as LogPosition;
    const next = await createSegment(this.#config.disk, this.#config.folder, this.term, first);
    if (!next.ok) return next;
    await this.#segment.file.close();
    this.#segment = next.value;
    this.#firsts = [...this.#firsts, first];
    this.#offset = HEADER_BYTES;
    return succeed(undefined);
  }

  /** Oldest first, each durable before the next: a crash never leaves a hole between files. */
  async #removeBelow(position: LogPosition): Promise<Outcome<void>> {
    if (this.#refusal !== undefined) return fail(this.#refusal);
    invariant(position <= this.#last, `truncation at ${position} is not beyond the last record ${this.#last}`);
    for (;;) {
      const [oldest, following] = this.#firsts;
      if (oldest === undefined || following === undefined || following > position + 1n) return succeed(undefined);
      const removed = await this.#removeOldest(oldest);
      if (!removed.ok) return removed;
    }
  }

  async #removeOldest(first: LogPosition): Promise<Outcome<void>> {
    const { disk, folder } = this.#config;
    const removed = await disk.remove(segmentPath(folder, first));
    if (!removed.ok) return removed;
    this.#firsts = this.#firsts.slice(1);
    return disk.syncFolder(folder);
  }
}
