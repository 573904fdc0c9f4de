/**
 * Records of the write-ahead log. A record is one frame of a channel: it is durable and applied as a
 * whole, so the entries of one request over several shards of the channel are atomic.
 *
 * Frame: magic u8 = 0xE1, version u8 = 1, kind u8, reserved u8, timestamp u64, term u32, entry count u32,
 * then the entries; all little-endian. Length and checksum belong to the log driver.
 */
import type { CollectionId, PartitionId, ShardId, Term } from "./id.ts";
import { fail, invariant, type Outcome, succeed, unreachable } from "./outcome.ts";
import type { Timestamp } from "./time.ts";

export type LogEntry =
  /** Rows (encoded batch, docs/formats/row-batch.md). They replace older rows of the same keys. */
  | { readonly kind: "insert"; readonly shard: ShardId; readonly partition: PartitionId; readonly rows: Uint8Array }
  /** Keys (encoded, docs/formats/row-batch.md); rows with an earlier timestamp die. `partition` undefined: all. */
  | {
      readonly kind: "delete";
      readonly shard: ShardId;
      readonly partition: PartitionId | undefined;
      readonly keys: Uint8Array;
    }
  /** The shard begins; `schema` is `encodeSchema`'s text. Also written after a schema change. */
  | {
      readonly kind: "createShard";
      readonly shard: ShardId;
      readonly collection: CollectionId;
      readonly schema: string;
    }
  | { readonly kind: "dropShard"; readonly shard: ShardId }
  | { readonly kind: "dropPartition"; readonly shard: ShardId; readonly partition: PartitionId };

export interface LogRecord {
  readonly at: Timestamp;
  readonly term: Term;
  readonly entries: readonly LogEntry[];
}

/** First byte of every record. */
const RECORD_MAGIC = 0xe1;
const RECORD_VERSION = 1;
/** Frame kind 1 holds entries; other kinds are free for later. */
const KIND_ENTRIES = 1;
/** A shorter text or blob is copied: a piece of its own costs more. */
const OWN_PIECE_BYTES_MIN = 1_024;

const ENTRY_INSERT = 1;
const ENTRY_DELETE = 2;
const ENTRY_CREATE_SHARD = 3;
const ENTRY_DROP_SHARD = 4;
const ENTRY_DROP_PARTITION = 5;

const U64_MAX = (1n << 64n) - 1n;
const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * One frame for `LogWriter.append`, in pieces: rows and keys stand in it without a copy. An entry is a kind byte
 * and its fields in the order of `LogEntry`: texts and bytes behind a u32 length, ids as u64, an absent
 * partition as a zero presence byte.
 */
export function encodeLogRecord(record: LogRecord): readonly Uint8Array[] {
  const writer = new RecordWriter();
  writer.u8(RECORD_MAGIC);
  writer.u8(RECORD_VERSION);
  writer.u8(KIND_ENTRIES);
  writer.u8(0);
  writer.u64(record.at);
  writer.u32(record.term);
  writer.u32(record.entries.length);
  for (const entry of record.entries) writeEntry(writer, entry);
  return writer.finish();
}

/** Reads a frame back. `file` names its origin in the error. Byte fields are views into `bytes`. */
export function decodeLogRecord(bytes: Uint8Array, file: string): Outcome<LogRecord> {
  try {
    return succeed(readRecord(bytes));
  } catch (cause) {
    if (cause instanceof MalformedRecord) return fail({ kind: "fileCorrupt", file, message: cause.message });
    throw cause;
  }
}

function readRecord(bytes: Uint8Array): LogRecord {
  const reader = new RecordReader(bytes);
  if (reader.u8() !== RECORD_MAGIC) throw new MalformedRecord("not a log record");
  const version = reader.u8();
  if (version !== RECORD_VERSION) throw new MalformedRecord(`log record of unknown version ${version}`);
  if (reader.u8() !== KIND_ENTRIES || reader.u8() !== 0) throw new MalformedRecord("log record of unknown kind");
  const at = reader.u64() as Timestamp;
  const term = reader.u32() as Term;
  const count = reader.u32();
  const entries: LogEntry[] = [];
  for (let index = 0; index < count; index += 1) entries.push(readEntry(reader));
  if (!reader.atEnd()) throw new MalformedRecord("log record with bytes after its last entry");
  return { at, term, entries };
}

function writeEntry(writer: RecordWriter, entry: LogEntry): void {
  switch (entry.kind) {
    case "insert":
      writer.u8(ENTRY_INSERT);
      writer.text(entry.shard);
      writer.u64(entry.partition);
      writer.blob(entry.rows);
      return;
    case "delete":
      writer.u8(ENTRY_DELETE);
      writer.text(entry.shard);
      writer.u8(entry.partition === undefined ? 0 : 1);
      if (entry.partition !== undefined) writer.u64(entry.partition);
      writer.blob(entry.keys);
      return;
    case "createShard":
      writer.u8(ENTRY_CREATE_SHARD);
      writer.text(entry.shard);
      writer.u64(entry.collection);
      writer.text(entry.schema);
      return;
    case "dropShard":
      writer.u8(ENTRY_DROP_SHARD);
      writer.text(entry.shard);
      return;
    case "dropPartition":
      writer.u8(ENTRY_DROP_PARTITION);
      writer.text(entry.shard);
      writer.u64(entry.partition);
      return;
    default:
      unreachable(entry);
  }
}

function readEntry(reader: RecordReader): LogEntry {
  const kind = reader.u8();
  const shard = reader.text() as ShardId;
  switch (kind) {
    case ENTRY_INSERT:
      return { kind: "insert", shard, partition: reader.u64() as PartitionId, rows: reader.blob() };
    case ENTRY_DELETE: {
      const presence = reader.u8();
      if (presence > 1) throw new MalformedRecord("delete entry with an unknown presence byte");
      const partition = presence === 1 ? (reader.u64() as PartitionId) : undefined;
      return { kind: "delete", shard, partition, keys: reader.blob() };
    }
    case ENTRY_CREATE_SHARD:
      return { kind: "createShard", shard, collection: reader.u64() as CollectionId, schema: reader.text() };
    case ENTRY_DROP_SHARD:
      return { kind: "dropShard", shard };
    case ENTRY_DROP_PARTITION:
      return { kind: "dropPartition", shard, partition: reader.u64() as PartitionId };
    default:
      throw new MalformedRecord(`log entry of unknown kind ${kind}`);
  }
}

class MalformedRecord extends Error {}

/** Collects pieces; small ones are put together, large ones stay where they are. */
class RecordWriter {
  readonly #pieces: Uint8Array[] = [];
  #small: number[] = [];

  u8(value: number): void {
    this.#small.push(value);
  }

  u32(value: number): void {
    invariant(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff, "u32 in a log record");
    for (let shift = 0; shift < 32; shift += 8) this.#small.push((value >>> shift) & 0xff);
  }

  u64(value: bigint): void {
    invariant(value >= 0n && value <= U64_MAX, "u64 in a log record");
    this.u32(Number(value & 0xffff_ffffn));
    this.u32(Number(value >> 32n));
  }

  text(value: string): void {
    this.blob(utf8.encode(value));
  }

  blob(value: Uint8Array): void {
    this.u32(value.length);
    if (value.length < OWN_PIECE_BYTES_MIN) {
      for (const byte of value) this.#small.push(byte);
      return;
    }
    this.#cut();
    this.#pieces.push(value);
  }

  finish(): readonly Uint8Array[] {
    this.#cut();
    return this.#pieces;
  }

  #cut(): void {
    if (this.#small.length > 0) this.#pieces.push(Uint8Array.from(this.#small));
    this.#small = [];
  }
}

class RecordReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  text(): string {
    const bytes = this.blob();
    try {
      return strictUtf8.decode(bytes);
    } catch {
      throw new MalformedRecord("text in a log record is not UTF-8");
    }
  }

  blob(): Uint8Array {
    const length = this.u32();
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  #take(count: number): number {
    const start = this.#offset;
    if (count > this.#bytes.length - start) throw new MalformedRecord("log record ends early");
    this.#offset = start + count;
    return start;
  }
}
