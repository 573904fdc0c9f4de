/**
 * Planted bugs: what other databases really got wrong (reliability.md, part 1) and the classics, each as a wrapper
 * around a port, a contract or the engine. A checker that finds none of them is not worth its time.
 */
import type { Addon } from "@elanus/engine/addon";
import type { OwnedSegments } from "@elanus/model/contract/query-node";
import type { LogPosition, SegmentId } from "@elanus/model/id";
import { succeed } from "@elanus/model/outcome";
import { type Timestamp, physicalMsOf, timestampOf } from "@elanus/model/time";
import type { LogFrame, LogWriter } from "@elanus/platform/ports/log";
import type { Composition } from "./composition.ts";
import type { FaultKind } from "./faults.ts";
import { type Mutation, override } from "./mutation.ts";

export interface PlantedBug {
  readonly name: string;
  /** Invariants of which at least one must be reported broken. */
  readonly breaks: readonly string[];
  readonly composition: Composition;
  readonly faults: readonly FaultKind[];
  /** Fresh for each seed: some bugs remember. */
  readonly plant: () => Mutation;
}

const CRASHES: readonly FaultKind[] = ["kill", "powerCut", "doubleCrash"];

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: "files are not synced",
    breaks: ["I1", "I15"],
    composition: "standalone",
    faults: ["powerCut"],
    plant: () => ({
      disk: (disk) =>
        override(disk, {
          open: async (path, mode) => {
            const file = await disk.open(path, mode);
            return file.ok ? succeed(override(file.value, { sync: async () => succeed(undefined) })) : file;
          },
        }),
    }),
  },
  {
    name: "folders are not synced",
    breaks: ["I1", "I15"],
    composition: "standalone",
    faults: ["powerCut"],
    plant: () => ({ disk: (disk) => override(disk, { syncFolder: async () => succeed(undefined) }) }),
  },
  {
    name: "writes are acknowledged before the log has them",
    breaks: ["I1", "I3"],
    composition: "standalone",
    faults: ["syncError", "writeError", "kill"],
    plant: () => ({ log: (log) => override(log, { open: async (...call) => eager(await log.open(...call)) }) }),
  },
  {
    name: "an older owner is not fenced",
    breaks: ["I9", "I1", "I3", "I6"],
    composition: "three",
    faults: ["zombie"],
    plant: unfenced,
  },
  {
    name: "replay stops one record early",
    breaks: ["I1"],
    composition: "standalone",
    faults: CRASHES,
    plant: () => ({ log: (log) => override(log, { read: (...call) => withoutLast(log.read(...call)) }) }),
  },
  {
    name: "the checkpoint is one record too far",
    breaks: ["I1", "I3", "I7"],
    composition: "standalone",
    faults: CRASHES,
    plant: () => movedCheckpoint(1n),
  },
  {
    name: "a flush commits all but one of its segments",
    breaks: ["I1"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => ({
      coordinator: (contract) =>
        override(contract, {
          commitManifest: (commit) =>
            contract.commitManifest(commit.checkpoint === undefined ? commit : { ...commit, add: commit.add.slice(1) }),
        }),
    }),
  },
  {
    name: "a write does not shadow older rows in sealed segments",
    breaks: ["I6", "I3", "I7"],
    composition: "standalone",
    faults: ["slowProcess"],
    plant: () => ({
      queryNode: (contract) => override(contract, { applyDeletes: async ({ ids }) => succeed(ids.map(() => 0)) }),
    }),
  },
  {
    name: "growing deletes are dropped",
    breaks: ["I7", "I1"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => ({
      addon: (addon) =>
        changed(addon, {
          Segment: {
            open: (...call) => addon.Segment.open(...call),
            merge: (...call) => addon.Segment.merge(...call),
            growing: (schema, id) => Object.assign(addon.Segment.growing(schema, id), { delete: () => 0 }),
          },
        }),
    }),
  },
  {
    name: "compaction forgets the sources' tombstones",
    breaks: ["I7", "I6", "I3"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => ({
      dataNode: (contract) =>
        override(contract, {
          compact: (job) => {
            const sources = job.sources.map((meta) => ({
              ...meta,
              files: meta.files.filter(({ role }) => role !== "deletes"),
            }));
            return contract.compact({ ...job, sources });
          },
        }),
    }),
  },
  {
    name: "the swap misses tombstones of its own time",
    breaks: ["I7", "I6", "I3", "I1"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => {
      const fresh = new Set<SegmentId>();
      return {
        queryNode: (contract) =>
          override(contract, {
            load: (request) => {
              fresh.add(request.meta.id);
              return contract.load({ ...request, carryFrom: [] });
            },
            applyDeletes: async ({ ids, term }, keys, at) => {
              const settled = ids.filter((id) => !fresh.has(id));
              const applied = await contract.applyDeletes({ ids: settled, term }, keys, at);
              for (const id of ids) fresh.delete(id);
              return applied.ok ? succeed(ids.map(() => 0)) : applied;
            },
          }),
      };
    },
  },
  {
    name: "delete files are not written at a flush",
    breaks: ["I7", "I6", "I3"],
    composition: "standalone",
    faults: CRASHES,
    plant: () => ({
      queryNode: (contract) => override(contract, { exportDeletes: async () => succeed(undefined) }),
    }),
  },
  {
    name: "reads look one tick too early",
    breaks: ["I5", "I1", "I3"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => ({
      addon: (addon) =>
        changed(addon, {
          query: (pool, request) => addon.query(pool, { ...request, snapshot: request.snapshot - 1n }),
        }),
    }),
  },
  {
    name: "an upsert is a delete and then an insert",
    breaks: ["I1", "I3", "I4", "I6"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => ({
      proxy: (contract) =>
        override(contract, {
          upsert: async (request, deadlineMs) => {
            const rows = JSON.parse(new TextDecoder().decode(bytesOfRows(request.rows))) as { readonly id: number }[];
            const filter = { text: `id in [${rows.map(({ id }) => id).join(",")}]`, templates: new Map() };
            const consistency = { level: "strong" as const, guarantee: 0n as Timestamp };
            await contract.delete({ ...request, filter, consistency }, deadlineMs);
            return contract.insert(request, deadlineMs);
          },
        }),
    }),
  },
  {
    name: "a write over two shards is two records",
    breaks: ["I4"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => ({
      streamingNode: (contract) =>
        override(contract, {
          append: async (entries, deadlineMs) => {
            let last = await contract.append(entries.slice(0, 1), deadlineMs);
            for (const entry of entries.slice(1)) if (last.ok) last = await contract.append([entry], deadlineMs);
            return last;
          },
        }),
    }),
  },
  {
    name: "every other write is answered with a moment from before it",
    breaks: ["I9"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => {
      let count = 0;
      return {
        streamingNode: (contract) =>
          override(contract, {
            append: async (entries, deadlineMs) => {
              const appended = await contract.append(entries, deadlineMs);
              count += 1;
              return appended.ok && count % 2 === 0 ? succeed({ at: early(appended.value.at) }) : appended;
            },
          }),
      };
    },
  },
  {
    name: "reduce keeps one node's hits only",
    breaks: ["I10", "I12"],
    composition: "three",
    faults: ["slowDisk"],
    plant: () => ({
      addon: (addon) =>
        changed(addon, { reduceHits: (parts, topK) => addon.sliceHits(parts[0] ?? new Uint8Array(), 0, topK) }),
    }),
  },
  {
    name: "sealed segments are searched for one hit too few",
    breaks: ["I10"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => ({
      queryNode: (contract) =>
        override(contract, {
          search: (segments, plan, ...rest) =>
            contract.search(segments, { ...plan, topK: Math.max(1, plan.topK - 1) }, ...rest),
        }),
    }),
  },
  {
    name: "a filter looks into the first segment only",
    breaks: ["I12", "I1", "I3"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => ({
      queryNode: (contract) =>
        override(contract, {
          query: (segments, plan, snapshot) =>
            contract.query(plan.filter === undefined ? segments : firstOf(segments), plan, snapshot),
        }),
    }),
  },
  {
    name: "count takes dead rows along",
    breaks: ["I6"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => ({
      queryNode: (contract) =>
        override(contract, {
          count: async (segments, plan, snapshot) => {
            const counted = await contract.count(segments, plan, snapshot);
            return counted.ok ? succeed({ count: counted.value.count + 1n }) : counted;
          },
        }),
    }),
  },
  {
    name: "rows come back with another row's fields",
    breaks: ["I2"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => ({
      proxy: (contract) => override(contract, { query: async (...call) => swapped(await contract.query(...call)) }),
    }),
  },
  {
    name: "garbage is never deleted",
    breaks: ["I13"],
    composition: "standalone",
    faults: ["slowDisk"],
    plant: () => ({ objects: (objects) => override(objects, { delete: async () => succeed(undefined) }) }),
  },
  {
    name: "garbage collection takes a referenced file",
    breaks: ["I13", "I1", "I15"],
    composition: "standalone",
    faults: CRASHES,
    plant: () => ({
      objects: (objects) =>
        override(objects, {
          put: async (key, chunks) => {
            const put = await objects.put(key, chunks);
            if (key.endsWith("statistics.bin")) await objects.delete(key);
            return put;
          },
        }),
    }),
  },
  {
    name: "a commit takes objects that were collected while its role stood still",
    breaks: ["I13", "I1", "I15"],
    composition: "standalone",
    faults: ["roleFreeze"],
    plant: () => ({
      objects: (objects) =>
        override(objects, {
          list: async (prefix) => (isObjectKey(prefix) ? succeed([prefix]) : objects.list(prefix)),
        }),
    }),
  },
  {
    name: "a failed log is never opened again",
    breaks: ["I15"],
    composition: "standalone",
    faults: ["writeError", "syncError"],
    plant: () => {
      let hasFailed = false;
      const refused = { ok: false, error: { kind: "ioFailed", message: "given up" } } as const;
      return {
        log: (log) =>
          override(log, {
            open: async (...call) => {
              if (hasFailed) return refused;
              const opened = await log.open(...call);
              if (!opened.ok) return opened;
              const writer = opened.value;
              const append: LogWriter["append"] = async (pieces) => {
                const appended = await writer.append(pieces);
                hasFailed ||= !appended.ok;
                return appended;
              };
              return succeed(override(writer, { append }));
            },
          }),
      };
    },
  },
];

/** The coordinator lists by a whole key to see whether an object is still there. */
function isObjectKey(prefix: string): boolean {
  return prefix.includes(".");
}

function early(at: Timestamp): Timestamp {
  return timestampOf(physicalMsOf(at) - 2_000);
}

/** Native classes do not bear a proxy; a plain copy of the module does. */
function firstOf(segments: readonly OwnedSegments[]): readonly OwnedSegments[] {
  return segments.slice(0, 1).map(({ ids, term }) => ({ ids: ids.slice(0, 1), term }));
}

function changed(addon: Addon, members: Partial<Addon>): Addon {
  return { ...addon, ...members };
}

type Opened = Awaited<ReturnType<Parameters<NonNullable<Mutation["log"]>>[0]["open"]>>;

function eager(opened: Opened): Opened {
  if (!opened.ok) return opened;
  const writer = opened.value;
  let promised = writer.last;
  return succeed(
    override(writer, {
      append: async (bytes) => {
        promised = (promised + 1n) as LogPosition;
        void writer.append(bytes);
        return succeed(promised);
      },
    }),
  );
}

/** Every opening of a channel gets the first one's writer. */
function unfenced(): Mutation {
  const writers = new Map<string, LogWriter>();
  return {
    log: (log) =>
      override(log, {
        open: async (channel, term) => {
          const known = writers.get(channel);
          if (known !== undefined) return succeed(known);
          const opened = await log.open(channel, term);
          if (opened.ok) writers.set(channel, opened.value);
          return opened;
        },
      }),
    // The coordinator's own fence would hide it.
    coordinator: (contract) =>
      override(contract, {
        commitManifest: ({ term: _term, ...commit }) => contract.commitManifest(commit),
      }),
  };
}

async function* withoutLast(
  frames: AsyncIterable<ReturnType<typeof succeed<LogFrame>> | { readonly ok: false }>,
): AsyncGenerator<never> {
  let held: unknown;
  for await (const frame of frames) {
    if (held !== undefined) yield held as never;
    held = frame;
  }
}

function movedCheckpoint(by: bigint): Mutation {
  return {
    coordinator: (contract) =>
      override(contract, {
        commitManifest: (commit) => {
          const { checkpoint } = commit;
          if (checkpoint === undefined) return contract.commitManifest(commit);
          const position = (checkpoint.position + by) as LogPosition;
          return contract.commitManifest({ ...commit, checkpoint: { ...checkpoint, position } });
        },
      }),
  };
}

function bytesOfRows(rows: { readonly kind: string; readonly rows?: Uint8Array | undefined }): Uint8Array {
  return rows.rows ?? new Uint8Array();
}

type QueryAnswer = Awaited<ReturnType<Parameters<NonNullable<Mutation["proxy"]>>[0]["query"]>>;

function swapped(answer: QueryAnswer): QueryAnswer {
  const [body] = answer.ok ? answer.value.columns : [];
  if (!answer.ok || body === undefined) return answer;
  const rows = JSON.parse(new TextDecoder().decode(body)) as { tag?: string }[];
  const [first, second] = rows;
  if (first?.tag === undefined || second?.tag === undefined) return answer;
  [first.tag, second.tag] = [second.tag, first.tag];
  return succeed({ ...answer.value, columns: [new TextEncoder().encode(JSON.stringify(rows))] });
}
