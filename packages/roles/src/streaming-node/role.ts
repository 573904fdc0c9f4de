/** The streaming node: owns log channels and their shards, keeps growing rows, answers reads as delegator. */
import type { ShardManifest } from "@elanus/model/catalog";
import type { ChannelAssignment } from "@elanus/model/contract/coordinator";
import type { StreamingNodeContract } from "@elanus/model/contract/streaming-node";
import type { ChannelName, PartitionId, SegmentId, ShardId } from "@elanus/model/id";
import type { LogEntry } from "@elanus/model/log-record";
import { fail, type Outcome, succeed } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { RunningRole, World } from "@elanus/platform/ports/world";
import { Channel } from "./channel.ts";
import { agreedTick, Delegate, type OwnedShard } from "./delegate.ts";
import { Housekeeping } from "./housekeeping.ts";
import { NodeContext, type StreamingNodeConfig } from "./node-context.ts";
import { Shard } from "./shard.ts";
import { within } from "./waiting.ts";

export type { StreamingNodeConfig } from "./node-context.ts";

export interface RunningStreamingNode extends RunningRole<StreamingNodeContract> {
  /** The channels are claimed and replayed; calls wait for it. */
  readonly ready: Promise<Outcome<void>>;
}

export function startStreamingNode(world: World, config: StreamingNodeConfig): RunningStreamingNode {
  const node = new StreamingNode(new NodeContext(world, config));
  return { contract: node, ready: node.recovered, stop: () => node.stop() };
}

class StreamingNode implements StreamingNodeContract {
  readonly recovered: Promise<Outcome<void>>;
  readonly #context: NodeContext;
  readonly #channels = new Map<ChannelName, Channel>();
  readonly #delegate: Delegate;
  readonly #housekeeping: Housekeeping;
  #stopped: Promise<void> | undefined;
  /** What `recovered` came to, so that calls do not wait for what is over. */
  #recovery: Outcome<void> | undefined;

  constructor(context: NodeContext) {
    this.#context = context;
    this.#delegate = new Delegate(context);
    this.#housekeeping = new Housekeeping(context, this.#channels);
    this.recovered = this.#recover().then((recovery) => (this.#recovery = recovery));
  }

  // Start and stop

  async #recover(): Promise<Outcome<void>> {
    const { world, node } = this.#context;
    for (let failures = 1; ; failures += 1) {
      if (this.#context.stopping) return fail({ kind: "notReady", message: "the streaming node is stopping" });
      const { coordinator } = world.peers;
      const moment = await coordinator.allocateTimestamps(1);
      const claimed = moment.ok ? await coordinator.claimChannels(node, moment.value.first) : moment;
      if (claimed.ok) return this.#openAll(claimed.value);
      await this.#context.sleepBeforeRetry(failures);
    }
  }

  /** A channel whose log is damaged stays closed and says so; the others serve. */
  async #openAll(assignments: readonly ChannelAssignment[]): Promise<Outcome<void>> {
    const opened = await Promise.all(assignments.map((assignment) => this.#openChannel(assignment)));
    this.#housekeeping.start();
    return opened.find((outcome) => !outcome.ok) ?? succeed(undefined);
  }

  async #openChannel(assignment: ChannelAssignment): Promise<Outcome<void>> {
    const channel = new Channel(this.#context, assignment.channel, assignment.term);
    for (const { shard: id, collection, schema, manifest } of assignment.shards) {
      channel.shards.set(id, new Shard(this.#context, { id, term: assignment.term, collection, schema, manifest }));
    }
    this.#channels.set(channel.name, channel);
    const started = this.#context.world.clock.monotonicMs();
    const opened = await channel.open();
    const ms = Math.round(this.#context.world.clock.monotonicMs() - started);
    if (opened.ok) this.#context.world.telemetry.log("info", "log channel open", { channel: channel.name, ms });
    for (const shard of channel.shards.values()) this.#housekeeping.learnLoadState(channel, shard);
    return opened;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#context.stop();
    this.#housekeeping.stop();
    await this.recovered;
    this.#delegate.releaseAll();
    await Promise.all([...this.#channels.values()].map((channel) => channel.close()));
  }

  // Finding shards

  #owned(shards: readonly ShardId[]): Outcome<readonly OwnedShard[]> {
    const owned: OwnedShard[] = [];
    for (const id of shards) {
      const channel = this.#channels.get(channelOf(id));
      const shard = channel?.shards.get(id);
      if (channel === undefined || shard === undefined) return fail({ kind: "fenced", channel: channelOf(id) });
      owned.push({ shard, channel });
    }
    return succeed(owned);
  }

  /** Runs `work` on owned shards once the node has recovered. */
  async #onShards<T>(
    shards: readonly ShardId[],
    deadlineMs: number | undefined,
    work: (owned: readonly OwnedShard[]) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    const { world } = this.#context;
    const recovered = this.#recovery ?? (await this.#recoveredBy(deadlineMs));
    // A node that recovered in part still serves the channels that it has.
    if (!recovered.ok && this.#channels.size === 0) return recovered;
    const owned = this.#owned(shards);
    if (!owned.ok) return owned;
    const done = work(owned.value);
    return await (deadlineMs === undefined ? done : within(world, deadlineMs, done, "the read"));
  }

  #recoveredBy(deadlineMs: number | undefined): Promise<Outcome<void>> {
    if (deadlineMs === undefined) return this.recovered;
    return within(this.#context.world, deadlineMs, this.recovered, "recovery of the streaming node");
  }

  // Writes

  append(entries: readonly LogEntry[], deadlineMs: number): ReturnType<StreamingNodeContract["append"]> {
    return this.#context.metrics.timed("append", this.#append(entries, deadlineMs));
  }

  async #append(entries: readonly LogEntry[], deadlineMs: number): ReturnType<StreamingNodeContract["append"]> {
    const recovered = this.#recovery ?? (await this.#recoveredBy(deadlineMs));
    if (!recovered.ok && this.#channels.size === 0) return recovered;
    const channel = this.#channelOfAll(entries);
    if (!channel.ok) return channel;
    return within(this.#context.world, deadlineMs, channel.value.append(entries, deadlineMs), "the write");
  }

  #channelOfAll(entries: readonly LogEntry[]): Outcome<Channel> {
    const [first] = entries;
    if (first === undefined) return fail({ kind: "invalidParameter", message: "a record has entries" });
    const name = channelOf(first.shard);
    if (entries.some((entry) => channelOf(entry.shard) !== name)) {
      return fail({ kind: "invalidParameter", message: "entries of one record lie on one channel" });
    }
    const channel = this.#channels.get(name);
    if (channel === undefined) return fail({ kind: "fenced", channel: name });
    const created = new Set(entries.filter((entry) => entry.kind === "createShard").map((entry) => entry.shard));
    // Dropping what is gone already is what a resumed drop does.
    const unknown = entries.find(
      (entry) => entry.kind !== "dropShard" && !created.has(entry.shard) && !channel.shards.has(entry.shard),
    );
    return unknown === undefined ? succeed(channel) : fail({ kind: "fenced", channel: name });
  }

  flush(shards: readonly ShardId[]): ReturnType<StreamingNodeContract["flush"]> {
    return this.#context.metrics.timed("flush", this.#flush(shards));
  }

  #flush(shards: readonly ShardId[]): ReturnType<StreamingNodeContract["flush"]> {
    return this.#onShards(shards, undefined, async (owned) => {
      const range = await this.#context.world.peers.coordinator.allocateTimestamps(1);
      if (!range.ok) return range;
      const at: Timestamp = range.value.first;
      const segments: SegmentId[] = [];
      const settled = await Promise.all(
        [...new Set(owned.map(({ channel }) => channel))].map((channel) =>
          channel.readTimestamp(at, Number.POSITIVE_INFINITY),
        ),
      );
      const unsettled = settled.find((outcome) => !outcome.ok);
      if (unsettled !== undefined && !unsettled.ok) return unsettled;
      for (const one of owned) {
        const sealed = await this.#housekeeping.seal(one.channel, one.shard);
        if (!sealed.ok) return sealed;
        segments.push(...sealed.value);
      }
      return succeed({ at, segments });
    });
  }

  growingRowCount(shards: readonly ShardId[], partition?: PartitionId): Promise<Outcome<number>> {
    return this.#onShards(shards, undefined, (owned) => {
      let rows = 0;
      for (const { shard } of owned) {
        const sealed = new Set(shard.manifest.segments.map((meta) => meta.id));
        for (const { identity, rowCount } of shard.view.growing) {
          // A generation that is in the manifest already is counted there.
          if (sealed.has(identity.id)) continue;
          if (partition === undefined || partition === identity.partition) rows += rowCount;
        }
      }
      return Promise.resolve(succeed(rows));
    });
  }

  // Reads

  search(
    scope: Parameters<StreamingNodeContract["search"]>[0],
    plan: Parameters<StreamingNodeContract["search"]>[1],
  ): ReturnType<StreamingNodeContract["search"]> {
    const { shards, deadlineMs } = scope;
    const read = this.#onShards(shards, deadlineMs, (owned) => this.#delegate.search(owned, scope, plan));
    return this.#context.metrics.timed("search", read);
  }

  query(
    scope: Parameters<StreamingNodeContract["query"]>[0],
    plan: Parameters<StreamingNodeContract["query"]>[1],
  ): ReturnType<StreamingNodeContract["query"]> {
    const { shards, deadlineMs } = scope;
    const read = this.#onShards(shards, deadlineMs, (owned) => this.#delegate.query(owned, scope, plan));
    return this.#context.metrics.timed("query", read);
  }

  count(
    scope: Parameters<StreamingNodeContract["count"]>[0],
    plan: Parameters<StreamingNodeContract["count"]>[1],
  ): ReturnType<StreamingNodeContract["count"]> {
    const { shards, deadlineMs } = scope;
    const read = this.#onShards(shards, deadlineMs, (owned) => this.#delegate.count(owned, scope, plan));
    return this.#context.metrics.timed("count", read);
  }

  retrieve(...call: Parameters<StreamingNodeContract["retrieve"]>): ReturnType<StreamingNodeContract["retrieve"]> {
    return this.#delegate.retrieve(...call);
  }

  release(pin: Parameters<StreamingNodeContract["release"]>[0]): void {
    this.#delegate.release(pin);
  }

  readTimestamp(shards: readonly ShardId[], guarantee: Timestamp, deadlineMs: number): Promise<Outcome<Timestamp>> {
    return this.#onShards(shards, deadlineMs, async (owned) => agreedTick(owned, guarantee, deadlineMs));
  }

  // From the coordinator

  setLoad(
    _collection: Parameters<StreamingNodeContract["setLoad"]>[0],
    shards: readonly ShardId[],
  ): Promise<Outcome<void>> {
    return this.#onShards(shards, undefined, async (owned) => {
      const learned = await Promise.all(
        owned.map(({ channel, shard }) => this.#housekeeping.refreshLoadState(channel, shard)),
      );
      return learned.find((outcome) => !outcome.ok) ?? succeed(undefined);
    });
  }

  manifestChanged(manifest: ShardManifest): Promise<Outcome<void>> {
    return this.#onShards([manifest.shard], undefined, async (owned) => {
      for (const { shard, channel } of owned) await this.#housekeeping.adopt(channel, shard, manifest);
      return succeed(undefined);
    });
  }

  loadedPercent(shards: readonly ShardId[]): Promise<Outcome<number>> {
    return this.#onShards(shards, undefined, (owned) =>
      Promise.resolve(succeed(this.#housekeeping.loadedPercent(owned.map(({ shard }) => shard)))),
    );
  }
}

/** A shard's name begins with its channel's. */
function channelOf(shard: ShardId): ChannelName {
  return shard.slice(0, shard.lastIndexOf("_")) as ChannelName;
}
