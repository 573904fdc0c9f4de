/**
 * The catalog as a journal on a log channel plus snapshots among the objects (docs/formats/journal-meta.md).
 * It makes a catalog of any log and any object store; the simulator uses it to put the catalog under its faults.
 *
 * Operations take turns. A transaction whose append fails may or may not have happened, so the next operation
 * first reads everything back from the log.
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import type { ChannelName, LogPosition, Term } from "@elanus/model/id";
import { type Outcome, fail, succeed } from "@elanus/model/outcome";
import type { LogStore, LogWriter } from "../../ports/log.ts";
import type { MetaCondition, MetaOp, MetaStore } from "../../ports/meta.ts";
import type { ObjectStore } from "../../ports/objects.ts";
import { decodeOps, encodeOps } from "./ops.ts";
import { type MetaPair, MetaTable } from "./table.ts";

export interface JournalMetaConfig {
  readonly log: LogStore;
  readonly objects: ObjectStore;
  /** A snapshot is taken after this many transactions. */
  readonly snapshotEvery: number;
}

const CHANNEL = "catalog" as ChannelName;
/** The folder's lock keeps other processes out, so the catalog's channel never changes its owner. */
const TERM = 1 as Term;
const SNAPSHOTS = "catalog-snapshots/";
const MAGIC = 0x53_4d_4c_45;
const VERSION = 1;
const HEADER_BYTES = 20;

export async function openJournalMeta(config: JournalMetaConfig): Promise<Outcome<MetaStore>> {
  const meta = new JournalMeta(config);
  const list = await meta.list("");
  return list.ok ? succeed(meta) : list;
}

interface Opened {
  readonly writer: LogWriter;
  readonly table: MetaTable;
  snapshotAt: LogPosition;
}

class JournalMeta implements MetaStore {
  readonly #config: JournalMetaConfig;
  #turn: Promise<unknown> = Promise.resolve();
  #opened: Opened | undefined;
  #isClosed = false;

  constructor(config: JournalMetaConfig) {
    this.#config = config;
  }

  get(key: string): Promise<Outcome<Uint8Array | undefined>> {
    return this.#inTurn(async (opened) => succeed(opened.table.get(key)));
  }

  list(prefix: string): Promise<Outcome<readonly MetaPair[]>> {
    return this.#inTurn(async (opened) => succeed(opened.table.list(prefix)));
  }

  transact(conditions: readonly MetaCondition[], ops: readonly MetaOp[]): Promise<Outcome<boolean>> {
    return this.#inTurn(async (opened) => {
      if (!opened.table.holds(conditions)) return succeed(false);
      const appended = await opened.writer.append([encodeOps(ops)]);
      if (!appended.ok) {
        this.#opened = undefined;
        return appended;
      }
      opened.table.apply(ops);
      if (appended.value - opened.snapshotAt >= BigInt(this.#config.snapshotEvery)) await this.#snapshot(opened);
      return succeed(true);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
    await this.#opened?.writer.close();
    this.#opened = undefined;
  }

  #inTurn<T>(act: (opened: Opened) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const done = this.#turn.then(async (): Promise<Outcome<T>> => {
      if (this.#isClosed) return fail({ kind: "ioFailed", message: "the catalog is closed" });
      const opened = await this.#ready();
      return opened.ok ? act(opened.value) : opened;
    });
    this.#turn = done;
    return done;
  }

  async #ready(): Promise<Outcome<Opened>> {
    if (this.#opened !== undefined) return succeed(this.#opened);
    const writer = await this.#config.log.open(CHANNEL, TERM);
    if (!writer.ok) return writer;
    const loaded = await this.#load();
    if (!loaded.ok) return loaded;
    const opened = { writer: writer.value, ...loaded.value };
    this.#opened = opened;
    return succeed(opened);
  }

  async #load(): Promise<Outcome<{ table: MetaTable; snapshotAt: LogPosition }>> {
    const table = new MetaTable();
    const keys = await this.#config.objects.list(SNAPSHOTS);
    if (!keys.ok) return keys;
    let position = 0n as LogPosition;
    const newest = keys.value.at(-1);
    if (newest !== undefined) {
      const applied = await this.#applySnapshot(newest, table);
      if (!applied.ok) return applied;
      position = applied.value;
    }
    const snapshotAt = position;
    for await (const frame of this.#config.log.read(CHANNEL, position)) {
      if (!frame.ok) return frame;
      const ops = decodeOps(frame.value.bytes);
      if (frame.value.position !== position + 1n || ops === undefined) {
        const message = `record ${frame.value.position} does not continue record ${position}`;
        return fail({ kind: "fileCorrupt", file: `log/${CHANNEL}`, message });
      }
      table.apply(ops);
      position = frame.value.position;
    }
    return succeed({ table, snapshotAt });
  }

  async #applySnapshot(key: string, table: MetaTable): Promise<Outcome<LogPosition>> {
    const read = await this.#config.objects.get(key);
    if (!read.ok) return read;
    const snapshot = decodeSnapshot(read.value ?? new Uint8Array());
    if (snapshot === undefined) return fail({ kind: "fileCorrupt", file: key, message: "snapshot is damaged" });
    table.apply(snapshot.ops);
    return succeed(snapshot.position);
  }

  /** Its failure costs nothing but a longer journal. */
  async #snapshot(opened: Opened): Promise<void> {
    const position = opened.writer.last;
    const ops = opened.table.list("").map(({ key, value }): MetaOp => ({ kind: "put", key, value }));
    const older = await this.#config.objects.list(SNAPSHOTS);
    const key = `${SNAPSHOTS}${position.toString().padStart(20, "0")}`;
    const put = await this.#config.objects.put(key, [encodeSnapshot(position, ops)]);
    if (!put.ok || !older.ok) return;
    opened.snapshotAt = position;
    await opened.writer.truncate(position);
    for (const old of older.value) if (old !== key) await this.#config.objects.delete(old);
  }
}

function encodeSnapshot(position: LogPosition, ops: readonly MetaOp[]): Uint8Array {
  const body = encodeOps(ops);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(VERSION, 4);
  header.writeBigUInt64LE(position, 8);
  header.writeUInt32LE(crc32(body, crc32(header.subarray(0, 16))), 16);
  return Buffer.concat([header, body]);
}

function decodeSnapshot(bytes: Uint8Array): { position: LogPosition; ops: readonly MetaOp[] } | undefined {
  const snapshot = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (snapshot.length < HEADER_BYTES || snapshot.readUInt32LE(0) !== MAGIC) return undefined;
  if (snapshot.readUInt32LE(4) !== VERSION) return undefined;
  const body = snapshot.subarray(HEADER_BYTES);
  if (snapshot.readUInt32LE(16) !== crc32(body, crc32(snapshot.subarray(0, 16)))) return undefined;
  const ops = decodeOps(body);
  return ops === undefined ? undefined : { position: snapshot.readBigUInt64LE(8) as LogPosition, ops };
}
