/**
 * Where a composition keeps its data: the real file drivers over the simulated disk. In one process they are used
 * directly; roles of other processes reach them over a reliable link, for a log or an object store is no lossy thing,
 * but each call takes time and dies with its caller.
 */
import type { ChannelName, LogPosition, Term } from "@elanus/model/id";
import { type Outcome, fail, succeed } from "@elanus/model/outcome";
import { fileLog } from "@elanus/platform/drivers/log/file";
import { openJournalMeta } from "@elanus/platform/drivers/meta/journal";
import { openFileObjects } from "@elanus/platform/drivers/objects/file";
import type { Disk } from "@elanus/platform/ports/disk";
import type { LogFrame, LogStore, LogWriter } from "@elanus/platform/ports/log";
import type { MetaStore } from "@elanus/platform/ports/meta";
import type { ObjectStore } from "@elanus/platform/ports/objects";
import { type DiskImage, type IoCall, type IoGate, simDisk } from "./disk.ts";
import type { SimProcess } from "./process.ts";
import type { SeededRandom } from "./random.ts";

export interface DiskFaults {
  /** Probability that a call of this kind fails. */
  write: number;
  sync: number;
  read: number;
  /** Multiplies the time a call takes. */
  slowness: number;
}

export function noDiskFaults(): DiskFaults {
  return { write: 0, sync: 0, read: 0, slowness: 1 };
}

export interface Stores {
  readonly log: LogStore;
  readonly meta: MetaStore;
  readonly objects: ObjectStore;
}

/** Files as one process sees them: every call waits, takes effect, and is answered a little later. */
export function processDisk(process: SimProcess, image: DiskImage, faults: DiskFaults, random: SeededRandom): Disk {
  const gate: IoGate = {
    perform: (call, apply, spoil) =>
      new Promise((resolve) => {
        process.after(latencyMs(call, random) * faults.slowness, `${call.verb} ${call.path}`, () => {
          const outcome = isUnlucky(call, faults, random) ? spoiled(call, spoil) : apply();
          process.after(0.01 + random.next() * 0.05, `end of ${call.verb}`, () => resolve(outcome));
        });
      }),
  };
  return simDisk(image, gate, random);
}

export async function openStores(disk: Disk, logSegmentBytesMax: number): Promise<Outcome<Stores>> {
  const objects = await openFileObjects(disk, "objects");
  if (!objects.ok) return objects;
  const metaObjects = await openFileObjects(disk, "catalog");
  if (!metaObjects.ok) return metaObjects;
  const metaLog = fileLog(disk, "catalog-log", { segmentBytesMax: 4_096 });
  const meta = await openJournalMeta({ log: metaLog, objects: metaObjects.value, snapshotEvery: 20 });
  if (!meta.ok) return meta;
  const log = fileLog(disk, "log", { segmentBytesMax: logSegmentBytesMax });
  return succeed({ log, meta: meta.value, objects: objects.value });
}

/** The stores of `host` as `guest` reaches them. */
export function remoteStores(guest: SimProcess, host: SimProcess, stores: Stores, random: SeededRandom): Stores {
  const link = new StorageLink(guest, host, random);
  const { meta, objects, log } = stores;
  return {
    meta: {
      get: (key) => link.call("meta.get", () => meta.get(key)),
      list: (prefix) => link.call("meta.list", () => meta.list(prefix)),
      transact: (conditions, ops) => link.call("meta.transact", () => meta.transact(conditions, ops)),
      close: () => Promise.resolve(),
    },
    objects: {
      put: (key, chunks) => link.call("objects.put", () => objects.put(key, chunks)),
      get: (key) => link.call("objects.get", () => objects.get(key)),
      list: (prefix) => link.call("objects.list", () => objects.list(prefix)),
      delete: (key) => link.call("objects.delete", () => objects.delete(key)),
      localPath: () => undefined,
      stage: () => undefined,
    },
    log: remoteLog(link, log),
  };
}

function remoteLog(link: StorageLink, log: LogStore): LogStore {
  return {
    async open(channel: ChannelName, term: Term) {
      const opened = await link.call("log.open", () => log.open(channel, term));
      return opened.ok ? succeed(remoteWriter(link, opened.value)) : opened;
    },
    async *read(channel: ChannelName, after: LogPosition) {
      const frames = await link.call("log.read", async () => succeed(await collect(log.read(channel, after))));
      if (frames.ok) yield* frames.value;
      else yield frames;
    },
  };
}

function remoteWriter(link: StorageLink, writer: LogWriter): LogWriter {
  return {
    get last() {
      return writer.last;
    },
    append: (pieces) => link.call("log.append", () => writer.append(pieces)),
    confirm: () => link.call("log.confirm", () => writer.confirm()),
    truncate: (position) => link.call("log.truncate", () => writer.truncate(position)),
    close: () => Promise.resolve(),
  };
}

/** Requests of one guest arrive in their order. */
class StorageLink {
  readonly #guest: SimProcess;
  readonly #host: SimProcess;
  readonly #random: SeededRandom;

  constructor(guest: SimProcess, host: SimProcess, random: SeededRandom) {
    this.#guest = guest;
    this.#host = host;
    this.#random = random;
  }

  call<T>(label: string, act: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    return new Promise((resolve) => {
      if (this.#guest.isDead) return;
      if (this.#host.isDead) {
        this.#guest.after(1, `${label} refused`, () => resolve(fail({ kind: "ioFailed", message: "storage is away" })));
        return;
      }
      const unwatch = this.#host.onDeath(() => {
        this.#guest.after(0.2, `${label} broken`, () =>
          resolve(fail({ kind: "ioFailed", message: "storage went away" })),
        );
      });
      // The same while for every request, so that they cannot overtake each other.
      this.#host.after(0.15, label, () => {
        void this.#answer(label, act, (outcome) => {
          unwatch();
          resolve(outcome);
        });
      });
    });
  }

  async #answer<T>(
    label: string,
    act: () => Promise<Outcome<T>>,
    settle: (outcome: Outcome<T>) => void,
  ): Promise<void> {
    const outcome = await act();
    if (this.#host.isDead) return;
    this.#guest.after(0.1 + this.#random.next() * 0.2, `${label} done`, () => settle(outcome));
  }
}

async function collect(frames: AsyncIterable<Outcome<LogFrame>>): Promise<Outcome<LogFrame>[]> {
  const all: Outcome<LogFrame>[] = [];
  for await (const frame of frames) all.push(frame);
  return all;
}

function latencyMs(call: IoCall, random: SeededRandom): number {
  if (call.verb === "sync" || call.verb === "syncFolder" || call.verb === "makeFolder") return 0.3 + random.next() * 2;
  return 0.02 + random.next() * 0.1 + call.bytes / 200_000;
}

function isUnlucky(call: IoCall, faults: DiskFaults, random: SeededRandom): boolean {
  if (call.verb === "sync" || call.verb === "syncFolder") return random.chance(faults.sync);
  if (call.verb === "read") return random.chance(faults.read);
  return call.verb === "write" && random.chance(faults.write);
}

function spoiled(call: IoCall, spoil: (() => void) | undefined): Outcome<never> {
  spoil?.();
  return fail({ kind: "ioFailed", message: `${call.verb} ${call.path}: injected` });
}
