/**
 * Answers reads for the node's shards: waits for the tick, holds the views, asks growing segments here and sealed
 * ones on their query nodes, and merges.
 */
import type { CountPlan, OwnedSegments, QueryNodeContract, SegmentHandle } from "@elanus/model/contract/query-node";
import type { CountAnswer, RowsAnswer, SearchAnswer } from "@elanus/model/contract/streaming-node";
import type { DbError } from "@elanus/model/error";
import type { NodeReport, SegmentReport } from "@elanus/model/explain";
import type { FieldId, PinId, SegmentId } from "@elanus/model/id";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type { QueryPlan, ReadScope, SearchPlan } from "@elanus/model/plan";
import type { Timestamp } from "@elanus/model/time";
import type { GrowingSegment } from "@elanus/segment/growing";
import type { NativeSegment } from "@elanus/segment/native-engine";
import { countSegments, querySegments, reduceHits, retrieveHits, searchSegments } from "@elanus/segment/search";
import type { Channel } from "./channel.ts";
import type { NodeContext } from "./node-context.ts";
import type { Shard } from "./shard.ts";
import { targetsOf } from "./state/view.ts";

/** A shard and the channel it lies on. */
export interface OwnedShard {
  readonly shard: Shard;
  readonly channel: Channel;
}

interface SealedGroup {
  readonly node: QueryNodeContract;
  /** Of each shard in `shards`. */
  readonly segments: OwnedSegments[];
  readonly shards: Shard[];
}

/** What one read looks at, kept alive until `letGo`. */
interface Held {
  readonly snapshot: Timestamp;
  readonly growing: readonly GrowingSegment[];
  readonly sealed: readonly SealedGroup[];
  readonly letGo: () => void;
}

/** What a read looks at in one shard; `node` has the sealed segments, where there are any. */
interface HeldShard {
  readonly growing: readonly GrowingSegment[];
  readonly sealed: readonly SegmentId[];
  readonly node: QueryNodeContract | undefined;
  readonly letGo: () => void;
}

interface PartsRead<T> {
  readonly parts: readonly T[];
  readonly snapshot: Timestamp;
  /** Until everything that the read needs was there. */
  readonly waitedMs: number;
  readonly readMs: number;
}

interface Pin {
  readonly held: Held[];
  readonly cancelLease: () => void;
}

export class Delegate {
  readonly #context: NodeContext;
  readonly #pins = new Map<PinId, Pin>();

  constructor(context: NodeContext) {
    this.#context = context;
  }

  async search(owned: readonly OwnedShard[], scope: ReadScope, plan: SearchPlan): Promise<Outcome<SearchAnswer>> {
    const { engine } = this.#context;
    const read = await this.#read(owned, scope, {
      here: (segments, snapshot, isAll) => searchSegments(engine, { segments, snapshot }, partOf(plan, isAll)),
      there: (node, segments, snapshot, isAll, growing) =>
        node.search(segments, partOf(plan, isAll), snapshot, growing),
      joins: this.#context.sharesMemory && plan.nq <= JOINT_QUERIES_MAX,
    });
    if (!read.ok) return read;
    const { parts, snapshot } = read.value;
    const { clock } = this.#context.world;
    const begunMs = clock.nowMs();
    const [first] = parts;
    if (first?.answer !== undefined || first?.delivered === true) {
      return succeed({ hits: noHits, answer: first.answer, delivered: first.delivered, snapshot });
    }
    const found = parts.map((part) => part.hits);
    const hits = reduceHits(engine, found, plan.topK, plan.metric);
    if (!hits.ok) return hits;
    const report = reportOf(owned, plan, read.value);
    return succeed({
      hits: hits.value,
      snapshot,
      ...(report === undefined ? {} : { report: { ...report, reducedMs: clock.nowMs() - begunMs } }),
    });
  }

  async query(owned: readonly OwnedShard[], scope: ReadScope, plan: QueryPlan): Promise<Outcome<RowsAnswer>> {
    const { engine } = this.#context;
    const { responseBytesMax } = this.#context.world.limits;
    const read = await this.#read(owned, scope, {
      here: (segments, snapshot) => querySegments(engine, { segments, snapshot }, plan, responseBytesMax),
      there: (node, segments, snapshot) => node.query(segments, plan, snapshot),
      joins: false,
    });
    if (!read.ok) return read;
    const { parts, snapshot } = read.value;
    const report = reportOf(owned, plan, read.value);
    const rows = parts.map((part) => part.rows);
    return succeed({ rows, snapshot, ...(report === undefined ? {} : { report }) });
  }

  async count(owned: readonly OwnedShard[], scope: ReadScope, plan: CountPlan): Promise<Outcome<CountAnswer>> {
    const { engine } = this.#context;
    const read = await this.#read(owned, scope, {
      here: (segments, snapshot) => countSegments(engine, { segments, snapshot }, plan),
      there: (node, segments, snapshot) => node.count(segments, plan, snapshot),
      joins: false,
    });
    if (!read.ok) return read;
    const report = reportOf(owned, plan, read.value);
    const count = read.value.parts.reduce((sum, part) => sum + part.count, 0n);
    return succeed({ count, snapshot: read.value.snapshot, ...(report === undefined ? {} : { report }) });
  }

  async retrieve(id: PinId, hits: Uint8Array, fields: readonly FieldId[]): Promise<Outcome<readonly Uint8Array[]>> {
    const pin = this.#pins.get(id);
    if (pin === undefined) {
      return fail({ kind: "notReady", message: "the read took too long: its view is no longer held" });
    }
    const growing = [...new Set(pin.held.flatMap((held) => held.growing))];
    const here = new Set<SegmentId>(growing.map((segment) => segment.identity.id));
    const there = new Map<QueryNodeContract, Set<SegmentId>>();
    for (const { node, segments } of pin.held.flatMap((held) => held.sealed)) {
      const ids = there.get(node) ?? new Set();
      there.set(node, ids);
      // Handed over between two reads of one pin: the rows are the same, one answer is enough.
      for (const owned of segments) for (const id of owned.ids) if (!here.has(id)) ids.add(id);
    }
    const parts: Promise<Outcome<Uint8Array>>[] = [];
    if (growing.length > 0) parts.push(retrieveHits(this.#context.engine, nativeOf(growing), hits, fields));
    for (const [node, ids] of there) if (ids.size > 0) parts.push(node.retrieve([...ids], hits, fields));
    return allOf(await Promise.all(parts));
  }

  release(id: PinId): void {
    const pin = this.#pins.get(id);
    if (pin === undefined) return;
    this.#pins.delete(id);
    pin.cancelLease();
    for (const held of pin.held) held.letGo();
  }

  releaseAll(): void {
    // Releasing forgets a pin, so the list is taken first.
    const pins = Array.from(this.#pins.keys());
    for (const id of pins) this.release(id);
  }

  #pin(id: PinId, held: Held): void {
    const { timers, limits } = this.#context.world;
    const before = this.#pins.get(id);
    before?.cancelLease();
    const cancelLease = timers.after(limits.pinMsMax, () => this.release(id));
    this.#pins.set(id, { held: [...(before?.held ?? []), held], cancelLease });
  }

  /** Runs a read over everything the scope names; a query node that lost segments is given time to reopen them. */
  async #read<T>(
    owned: readonly OwnedShard[],
    scope: ReadScope,
    verbs: {
      /** `isAll`: nobody else is asked. */
      readonly here: (segments: readonly NativeSegment[], snapshot: Timestamp, isAll: boolean) => Promise<Outcome<T>>;
      readonly there: (
        node: QueryNodeContract,
        segments: readonly OwnedSegments[],
        snapshot: Timestamp,
        isAll: boolean,
        growing: readonly SegmentHandle[],
      ) => Promise<Outcome<T>>;
      /** A query node that has all sealed segments reads the growing ones, too. */
      readonly joins: boolean;
    },
  ): Promise<Outcome<PartsRead<T>>> {
    const { clock } = this.#context.world;
    const begunMs = clock.nowMs();
    const snapshot = await this.#snapshot(owned, scope);
    if (!snapshot.ok) return snapshot;
    for (;;) {
      const held = await this.#hold(owned, scope, snapshot.value);
      if (!held.ok) return held;
      const { growing, sealed, letGo } = held.value;
      const heldMs = clock.nowMs();
      const open = growing.length > 0 || sealed.length > 0 ? nativeOf(growing) : emptyOf(owned);
      const [local, given] = verbs.joins && sealed.length === 1 ? [[], open] : [open, []];
      const isAll = sealed.length + Math.min(local.length, 1) === 1;
      const asked = sealed.map(({ node, segments }) => verbs.there(node, segments, snapshot.value, isAll, given));
      const here = local.length > 0 ? [verbs.here(local, snapshot.value, isAll)] : [];
      const running = [...here, ...asked];
      const [only] = running;
      // Most reads have one part; waiting for a list costs more.
      const answers = only !== undefined && running.length === 1 ? [await only] : await Promise.all(running);
      const lost = sealed.filter((_, index) => isNotReady(answers[here.length + index]));
      if (lost.length === 0) {
        const parts = allOf(answers);
        if (parts.ok && scope.pin !== undefined) this.#pin(scope.pin, held.value);
        else letGo();
        if (!parts.ok) return parts;
        const times = { waitedMs: heldMs - begunMs, readMs: clock.nowMs() - heldMs };
        return succeed({ parts: parts.value, snapshot: snapshot.value, ...times });
      }
      letGo();
      for (const { shards, segments } of lost) {
        for (const [index, shard] of shards.entries()) await shard.lose(segments[index]?.ids ?? []);
      }
      if (this.#isLate(scope)) return fail(late());
    }
  }

  #isLate(scope: ReadScope): boolean {
    return this.#context.stopping || this.#context.world.clock.nowMs() >= scope.deadlineMs;
  }

  /** The moment the read sees: where it asks, or the tick that its shards agree on. */
  async #snapshot(owned: readonly OwnedShard[], scope: ReadScope): Promise<Outcome<Timestamp>> {
    const { guarantee, snapshot, deadlineMs } = scope;
    const needed = snapshot !== undefined && snapshot > guarantee ? snapshot : guarantee;
    const agreed = await agreedTick(owned, needed, deadlineMs);
    return agreed.ok ? succeed(snapshot ?? agreed.value) : agreed;
  }

  /** Holds a view of each shard in which everything that the read needs is open. */
  async #hold(owned: readonly OwnedShard[], scope: ReadScope, snapshot: Timestamp): Promise<Outcome<Held>> {
    const holds: (() => void)[] = [];
    const letGo = (): void => {
      for (const done of holds.splice(0)) done();
    };
    const growing: GrowingSegment[] = [];
    const sealed = new Map<QueryNodeContract, SealedGroup>();
    for (const { shard } of owned) {
      const held = await this.#holdShard(shard, scope);
      if (!held.ok) {
        letGo();
        return held;
      }
      holds.push(held.value.letGo);
      growing.push(...held.value.growing);
      if (held.value.node === undefined) continue;
      const { node } = held.value;
      const group = sealed.get(node) ?? { node, segments: [], shards: [] };
      sealed.set(node, group);
      group.segments.push({ ids: held.value.sealed, term: shard.term });
      group.shards.push(shard);
    }
    return succeed({ snapshot, growing, sealed: [...sealed.values()], letGo });
  }

  /** A promise only when something has to be waited for. */
  #holdShard(shard: Shard, scope: ReadScope): Outcome<HeldShard> | Promise<Outcome<HeldShard>> {
    if (shard.poison !== undefined) return fail(shard.poison);
    const targets = targetsOf(shard.view, shard.load, scope);
    const collection = shard.schema.name;
    switch (targets.kind) {
      case "failed":
        return fail(targets.error);
      case "released":
        return fail({ kind: "collectionNotLoaded", collection });
      case "opening":
        if (this.#isLate(scope)) return fail({ kind: "collectionNotFullyLoaded", collection });
        return this.#changeOrDeadline(shard, scope).then(() => this.#holdShard(shard, scope));
      case "ready": {
        const { growing, sealed } = targets;
        const { letGo } = shard.hold();
        if (sealed.length === 0) return succeed({ growing, sealed, node: undefined, letGo });
        const node = shard.queryNode();
        const withNode = (found: Outcome<QueryNodeContract>): Outcome<HeldShard> => {
          if (!found.ok) letGo();
          return found.ok ? succeed({ growing, sealed, node: found.value, letGo }) : found;
        };
        return node instanceof Promise ? node.then(withNode) : withNode(node);
      }
      default:
        return targets satisfies never;
    }
  }

  async #changeOrDeadline(shard: Shard, scope: ReadScope): Promise<void> {
    const { clock, timers } = this.#context.world;
    const leftMs = Math.min(Math.max(1, scope.deadlineMs - clock.nowMs()), 1_000);
    const over = new AbortController();
    await Promise.race([shard.changed.wait(), timers.sleep(leftMs, over.signal)]);
    over.abort();
  }
}

const noHits = new Uint8Array(0);
/** With more query vectors two jobs on two threads answer sooner than one that has all segments. */
const JOINT_QUERIES_MAX = 4;

/** Who holds a part of what is searched gives hits. */
function partOf(plan: SearchPlan, isAll: boolean): SearchPlan {
  return isAll || plan.answer === undefined ? plan : { ...plan, answer: undefined };
}

/** The node's account of a read, when the plan asks to explain. */
function reportOf(
  owned: readonly OwnedShard[],
  { explain }: { readonly explain?: boolean | undefined },
  { parts, waitedMs, readMs }: PartsRead<{ readonly reports?: readonly SegmentReport[] }>,
): NodeReport | undefined {
  if (explain !== true) return undefined;
  const shards = owned.map(({ shard }) => shard.id);
  const segments = parts.flatMap((part) => part.reports ?? []);
  return { shards, waitedMs, searchedMs: readMs, reducedMs: 0, segments };
}

function nativeOf(segments: readonly GrowingSegment[]): readonly NativeSegment[] {
  return segments.map((segment) => segment.native);
}

/** A segment without rows still makes the engine check the plan and give an empty answer of the right shape. */
function emptyOf(owned: readonly OwnedShard[]): readonly NativeSegment[] {
  return owned.slice(0, 1).map(({ shard }) => shard.emptySegment().native);
}

function isNotReady(answer: Outcome<unknown> | undefined): boolean {
  return answer !== undefined && !answer.ok && answer.error.kind === "notReady";
}

function late(): DbError {
  return { kind: "deadlineExceeded", message: "sealed segments did not open in time" };
}

/**
 * The greatest tick of the shards' channels, once all have reached it. The least one would fall behind on an idle
 * channel, and a read after a restart would see less than one before.
 */
export function agreedTick(
  owned: readonly OwnedShard[],
  guarantee: Timestamp,
  deadlineMs: number,
): Outcome<Timestamp> | Promise<Outcome<Timestamp>> {
  const channels = [...new Set(owned.map(({ channel }) => channel))];
  const [only] = channels;
  const reached = channels.length === 1 ? only?.reachedTick(guarantee) : undefined;
  return reached === undefined ? agree(channels, guarantee, deadlineMs) : succeed(reached);
}

async function agree(
  channels: readonly Channel[],
  guarantee: Timestamp,
  deadlineMs: number,
): Promise<Outcome<Timestamp>> {
  const reach = async (moment: Timestamp): Promise<Outcome<readonly Timestamp[]>> =>
    allOf(await Promise.all(channels.map((channel) => channel.readTimestamp(moment, deadlineMs))));
  const ticks = await reach(guarantee);
  if (!ticks.ok) return ticks;
  const greatest = ticks.value.reduce((most, tick) => (tick > most ? tick : most), guarantee);
  if (ticks.value.every((tick) => tick >= greatest)) return succeed(greatest);
  const reached = await reach(greatest);
  return reached.ok ? succeed(greatest) : reached;
}

/** All values, or the first failure. */
function allOf<T>(outcomes: readonly Outcome<T>[]): Outcome<readonly T[]> {
  const values: T[] = [];
  for (const outcome of outcomes) {
    if (!outcome.ok) return outcome;
    values.push(outcome.value);
  }
  return succeed(values);
}
