/**
 * SQLite's way of testing: one workload over the file drivers, stopped before and after every single I/O call, and
 * with every call failing once. After each the files are opened again and compared with what had been promised.
 */
import type { ChannelName, LogPosition, Term } from "@elanus/model/id";
import type { Outcome } from "@elanus/model/outcome";
import { fail } from "@elanus/model/outcome";
import { fileLog } from "@elanus/platform/drivers/log/file";
import { openJournalMeta } from "@elanus/platform/drivers/meta/journal";
import { openFileObjects } from "@elanus/platform/drivers/objects/file";
import type { Disk } from "@elanus/platform/ports/disk";
import type { LogStore, LogWriter } from "@elanus/platform/ports/log";
import type { MetaStore } from "@elanus/platform/ports/meta";
import type { ObjectStore } from "@elanus/platform/ports/objects";
import { type CrashMode, DiskImage, type IoGate, simDisk } from "./disk.ts";
import { SeededRandom } from "./random.ts";

export type CrashPoint =
  | { readonly kind: "none" }
  | { readonly kind: "crash"; readonly call: number; readonly when: "before" | "after"; readonly mode: CrashMode }
  | { readonly kind: "fail"; readonly call: number };

export interface CrashPointResult {
  readonly calls: number;
  readonly violations: readonly string[];
}

/** Something less than the real drivers, to prove that the enumeration would notice. */
export type DriverWrap = (disk: Disk) => Disk;

export async function runCrashPoint(
  point: CrashPoint,
  rounds: number,
  wrap: DriverWrap = (disk) => disk,
): Promise<CrashPointResult> {
  const random = new SeededRandom(`crash-points/${JSON.stringify(point)}`);
  const image = new DiskImage(random);
  const gate = new CountingGate(point);
  const promises = new Promises();
  const work = workload(wrap(simDisk(image, gate, random)), promises, rounds);
  await Promise.race([work, gate.crashed]);
  // After a failed call the run goes on; what it acknowledged from then on must survive the power, too.
  if (point.kind !== "none") image.crash(point.kind === "crash" ? point.mode : "dropped");
  const violations = await verify(wrap(simDisk(image, { perform: async (_call, apply) => apply() }, random)), promises);
  return { calls: gate.count, violations };
}

/** Counts calls; at the chosen one it stops the world for good or fails it. */
class CountingGate implements IoGate {
  count = 0;
  readonly crashed: Promise<void>;
  readonly #point: CrashPoint;
  #crash: () => void = () => {};
  #isDown = false;

  constructor(point: CrashPoint) {
    this.#point = point;
    this.crashed = new Promise((resolve) => {
      this.#crash = resolve;
    });
  }

  async perform<T>(
    call: { verb: string; path: string },
    apply: () => Outcome<T>,
    spoil?: () => void,
  ): Promise<Outcome<T>> {
    if (this.#isDown) return never();
    this.count += 1;
    const point = this.#point;
    if (point.kind === "none" || point.call !== this.count) return apply();
    if (point.kind === "fail") {
      spoil?.();
      return fail({ kind: "ioFailed", message: `${call.verb} ${call.path}: injected` });
    }
    if (point.when === "after") apply();
    this.#isDown = true;
    this.#crash();
    return never();
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}

/** What was asked for and what was acknowledged. */
class Promises {
  readonly appendsAsked = new Map<ChannelName, Set<string>>();
  /** Position to text. */
  readonly appendsAcked = new Map<ChannelName, Map<LogPosition, string>>();
  readonly truncatedTo = new Map<ChannelName, LogPosition>();
  readonly objectsAsked = new Map<string, Uint8Array>();
  readonly objectsAcked = new Set<string>();
  readonly objectsDeleted = new Set<string>();
  /** Value of the catalog's counter per key: acknowledged, and asked for. */
  readonly metaAcked = new Map<string, number>();
  readonly metaAsked = new Map<string, number>();
}

const CHANNELS = ["p0", "p1"] as ChannelName[];

interface Opened {
  readonly log: LogStore;
  readonly objects: ObjectStore;
  readonly meta: MetaStore;
}

async function openDrivers(disk: Disk): Promise<Outcome<Opened>> {
  const log = fileLog(disk, "log", { segmentBytesMax: 700 });
  const objects = await openFileObjects(disk, "objects");
  if (!objects.ok) return objects;
  const metaObjects = await openFileObjects(disk, "meta");
  if (!metaObjects.ok) return metaObjects;
  const metaLog = fileLog(disk, "meta-log", { segmentBytesMax: 300 });
  const meta = await openJournalMeta({ log: metaLog, objects: metaObjects.value, snapshotEvery: 4 });
  return meta.ok ? { ok: true, value: { log, objects: objects.value, meta: meta.value } } : meta;
}

async function workload(disk: Disk, promises: Promises, rounds: number): Promise<void> {
  let opened = await openDrivers(disk);
  // One call of the whole run fails at most, so a second try must do.
  if (!opened.ok) opened = await openDrivers(disk);
  if (!opened.ok) throw new Error(`cannot open: ${opened.error.kind}`);
  const { log, objects, meta } = opened.value;
  const writers = new Map<ChannelName, LogWriter>();
  for (let round = 1; round <= rounds; round += 1) {
    for (const channel of CHANNELS) await appendRound(log, channel, round, writers, promises);
    await objectRound(objects, round, promises);
    await metaRound(meta, round, promises);
  }
}

async function appendRound(
  log: LogStore,
  channel: ChannelName,
  round: number,
  writers: Map<ChannelName, LogWriter>,
  promises: Promises,
): Promise<void> {
  const term = (1 + Math.floor(round / 5)) as Term;
  let writer = round % 5 === 0 ? undefined : writers.get(channel);
  if (writer === undefined) {
    let taken = await log.open(channel, term);
    if (!taken.ok) taken = await log.open(channel, term);
    if (!taken.ok) throw new Error(`cannot open ${channel}: ${JSON.stringify(taken.error)}`);
    writer = taken.value;
    writers.set(channel, writer);
  }
  const asked = entryOf(promises.appendsAsked, channel, () => new Set<string>());
  const acked = entryOf(promises.appendsAcked, channel, () => new Map<LogPosition, string>());
  const current = writer;
  await Promise.all(
    [0, 1, 2].map(async (index) => {
      const text = `${channel}/${round}/${index}/${"x".repeat((round * 37 + index * 211) % 600)}`;
      asked.add(text);
      const appended = await current.append([new TextEncoder().encode(text)]);
      if (appended.ok) acked.set(appended.value, text);
      else writers.delete(channel);
    }),
  );
  if (round % 4 !== 0 || current.last < 8n) return;
  const position = (current.last - 6n) as LogPosition;
  promises.truncatedTo.set(channel, position);
  const truncated = await current.truncate(position);
  if (!truncated.ok) writers.delete(channel);
}

async function objectRound(objects: ObjectStore, round: number, promises: Promises): Promise<void> {
  const key = `segments/${round % 3}/file-${round}`;
  const bytes = new Uint8Array(100 + ((round * 331) % 1_500)).fill(round);
  promises.objectsAsked.set(key, bytes);
  const put = await objects.put(key, [bytes.subarray(0, 50), bytes.subarray(50)]);
  if (put.ok) promises.objectsAcked.add(key);
  if (round % 3 !== 0) return;
  const old = `segments/${(round - 2) % 3}/file-${round - 2}`;
  promises.objectsDeleted.add(old);
  await objects.delete(old);
}

async function metaRound(meta: MetaStore, round: number, promises: Promises): Promise<void> {
  const key = `counter/${round % 3}`;
  const value = new TextEncoder().encode(`${round}`);
  promises.metaAsked.set(key, round);
  // Both keys of a transaction change together or not at all.
  const ops = [
    { kind: "put" as const, key, value },
    { kind: "put" as const, key: `twin/${round % 3}`, value },
  ];
  const done = await meta.transact([], ops);
  if (done.ok) promises.metaAcked.set(key, round);
}

async function verify(disk: Disk, promises: Promises): Promise<readonly string[]> {
  const opened = await openDrivers(disk);
  if (!opened.ok) return [`cannot open again: ${JSON.stringify(opened.error)}`];
  const found: string[] = [];
  for (const channel of CHANNELS) found.push(...(await verifyChannel(opened.value.log, channel, promises)));
  found.push(...(await verifyObjects(opened.value.objects, promises)));
  found.push(...(await verifyMeta(opened.value.meta, promises)));
  return found;
}

async function verifyChannel(log: LogStore, channel: ChannelName, promises: Promises): Promise<readonly string[]> {
  const found: string[] = [];
  const writer = await log.open(channel, 1_000 as Term);
  if (!writer.ok) return [`${channel} cannot be opened: ${JSON.stringify(writer.error)}`];
  const truncated = promises.truncatedTo.get(channel) ?? 0n;
  const texts = new Map<LogPosition, string>();
  let previous: LogPosition | undefined;
  for await (const frame of log.read(channel, 0n as LogPosition)) {
    if (!frame.ok) return [`${channel} cannot be read: ${JSON.stringify(frame.error)}`];
    const { position, bytes } = frame.value;
    if (previous !== undefined && position !== previous + 1n) found.push(`${channel}: ${position} follows ${previous}`);
    previous = position;
    const text = new TextDecoder().decode(bytes);
    texts.set(position, text);
    if (promises.appendsAsked.get(channel)?.has(text) !== true) found.push(`${channel}: invented ${text.slice(0, 20)}`);
  }
  if (new Set(texts.values()).size !== texts.size) found.push(`${channel}: a record stands twice`);
  for (const [position, text] of promises.appendsAcked.get(channel) ?? []) {
    const stands = texts.get(position);
    if (stands === undefined && position <= truncated) continue;
    if (stands !== text) found.push(`${channel}: acknowledged record ${position} is ${stands?.slice(0, 20) ?? "lost"}`);
  }
  const next = await writer.value.append([new TextEncoder().encode("after")]);
  if (!next.ok || next.value <= (previous ?? 0n)) found.push(`${channel}: cannot go on after the restart`);
  return found;
}

async function verifyObjects(objects: ObjectStore, promises: Promises): Promise<readonly string[]> {
  const found: string[] = [];
  const keys = await objects.list("");
  if (!keys.ok) return ["objects cannot be listed"];
  for (const key of promises.objectsAcked) {
    if (!keys.value.includes(key) && !promises.objectsDeleted.has(key)) found.push(`object ${key} is lost`);
  }
  for (const key of keys.value) {
    const read = await objects.get(key);
    const asked = promises.objectsAsked.get(key);
    const isWhole = read.ok && asked !== undefined && Buffer.from(asked).equals(read.value ?? new Uint8Array());
    if (!isWhole) found.push(`object ${key} is not what was put`);
  }
  return found;
}

async function verifyMeta(meta: MetaStore, promises: Promises): Promise<readonly string[]> {
  const found: string[] = [];
  for (const [key, asked] of promises.metaAsked) {
    const acked = promises.metaAcked.get(key) ?? 0;
    const read = await meta.get(key);
    const twin = await meta.get(key.replace("counter", "twin"));
    if (!read.ok || !twin.ok) return ["catalog cannot be read"];
    const value = Number(new TextDecoder().decode(read.value ?? new Uint8Array()));
    const other = Number(new TextDecoder().decode(twin.value ?? new Uint8Array()));
    if (value < acked || value > asked) found.push(`catalog ${key} is ${value}, acknowledged ${acked}, asked ${asked}`);
    if (value !== other) found.push(`catalog transaction of ${key} is torn`);
  }
  const done = await meta.transact([], [{ kind: "put", key: "after", value: new Uint8Array() }]);
  if (!done.ok) found.push("catalog takes no writes after the restart");
  return found;
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
