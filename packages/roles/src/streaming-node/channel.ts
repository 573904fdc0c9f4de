/**
 * One owned log channel: takes appends, gives them timestamps, writes them, applies them in log order and only
 * then acknowledges. It also knows the channel's tick, which strong reads ask for.
 */
import type { ChannelName, LogPosition, ShardId, Term } from "@elanus/model/id";
import type { AppendResult } from "@elanus/model/contract/streaming-node";
import type { DbError } from "@elanus/model/error";
import { decodeLogRecord, encodeLogRecord, type LogEntry, type LogRecord } from "@elanus/model/log-record";
import { fail, invariant, type Outcome, succeed } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { LogFrame, LogWriter } from "@elanus/platform/ports/log";
import type { NodeContext } from "./node-context.ts";
import { Shard } from "./shard.ts";
import { truncatablePosition } from "./state/generation.ts";
import { decodeShardSchema } from "./state/shard-schema.ts";
import { TimeTick } from "./state/time-tick.ts";
import { Signal } from "./waiting.ts";

interface Append {
  readonly entries: readonly LogEntry[];
  readonly bytes: number;
  readonly deadlineMs: number;
  readonly resolve: (outcome: Outcome<AppendResult>) => void;
}

interface InFlight {
  readonly append: Append;
  readonly record: LogRecord;
  readonly written: Promise<Outcome<LogPosition>>;
}

type State =
  | { readonly kind: "closed" }
  | { readonly kind: "open"; readonly writer: LogWriter }
  /** Refuses everything: another owner has the channel, or its log is damaged. */
  | { readonly kind: "lost"; readonly error: DbError };

/** How long an append may wait for its turn in the oracle's answers before it looks again. */
const FUTURE_POLL_MS = 10;

export class Channel {
  readonly name: ChannelName;
  readonly term: Term;
  readonly shards: Map<ShardId, Shard> = new Map();
  readonly #context: NodeContext;
  readonly #changed = new Signal();
  /** The oracle is known to have passed this moment. */
  #issued: Timestamp = 0n as Timestamp;
  #tick: TimeTick = new TimeTick(0n as Timestamp);
  #state: State = { kind: "closed" };
  #queue: Append[] = [];
  readonly #inFlight: InFlight[] = [];
  #isSequencing = false;
  #isApplying = false;
  #applied: LogPosition = 0n as LogPosition;
  #confirmation: Promise<Outcome<void>> | undefined;
  #nextConfirmation: Promise<Outcome<void>> | undefined;

  constructor(context: NodeContext, name: ChannelName, term: Term) {
    this.#context = context;
    this.name = name;
    this.term = term;
  }

  /** Takes the log and replays what the shards' manifests do not reflect. */
  async open(): Promise<Outcome<void>> {
    const opened = await this.#context.world.log.open(this.name, this.term);
    if (!opened.ok) return this.#lose(opened.error);
    let from: bigint | undefined;
    for (const shard of this.shards.values()) {
      const { checkpoint, checkpointAt } = shard.manifest;
      this.#tick.replayed(checkpointAt);
      if (from === undefined || checkpoint < from) from = checkpoint;
    }
    const replayed = await this.#replay((from ?? 0n) as LogPosition);
    if (!replayed.ok) {
      await opened.value.close();
      return this.#lose(replayed.error);
    }
    this.#setState({ kind: "open", writer: opened.value });
    return succeed(undefined);
  }

  #setState(state: State): void {
    this.#state = state;
    this.#changed.notify();
  }

  #lose(error: DbError): Outcome<never> {
    this.#context.world.telemetry.log("error", "log channel lost", { channel: this.name, error });
    this.#setState({ kind: "lost", error });
    for (const append of this.#queue.splice(0)) this.#settle(append, fail(error));
    return fail(error);
  }

  /**
   * The coordinator has given the channel to a later claim: nothing that is written here would be committed any more,
   * even when the later owner is gone before it took the log. The node has to claim anew, so it is told as lost.
   */
  async disown(refusal: DbError): Promise<void> {
    const before = this.#state;
    if (before.kind !== "open") return;
    this.#lose(refusal);
    // What is on its way to the disk ends first: its callers deserve an answer.
    await Promise.all(this.#inFlight.map((one) => one.written));
    await before.writer.close();
  }

  async #replay(from: LogPosition): Promise<Outcome<void>> {
    // What lies below may still be in the log: whole files are truncated, not records.
    this.#applied = from;
    for await (const frame of this.#context.world.log.read(this.name, from)) {
      const applied = frame.ok ? await this.#replayFrame(frame.value) : frame;
      if (!applied.ok) return applied;
    }
    return succeed(undefined);
  }

  async #replayFrame(frame: LogFrame): Promise<Outcome<LogRecord>> {
    const record = decodeLogRecord(frame.bytes, `log ${this.name} record ${frame.position}`);
    if (!record.ok) return record;
    this.#tick.replayed(record.value.at);
    await this.#apply(frame.position, record.value);
    return record;
  }

  // Appends

  /** Queues the entries; resolves when they are durable and applied. */
  append(entries: readonly LogEntry[], deadlineMs: number): Promise<Outcome<AppendResult>> {
    if (this.#state.kind === "lost") return Promise.resolve(fail(this.#state.error));
    const { appendQueueLengthMax, growingBytesMax } = this.#context.world.limits;
    if (this.#queue.length + this.#inFlight.length >= appendQueueLengthMax) {
      return Promise.resolve(fail({ kind: "overloaded", what: "appends waiting for the log" }));
    }
    const bytes = entries.reduce((sum, entry) => sum + payloadBytes(entry), 0);
    const held = this.#context.growingBytes + this.#context.queuedBytes;
    if (entries.some((entry) => entry.kind === "insert") && held + bytes > growingBytesMax) {
      const message = `growing rows hold ${held} bytes of ${growingBytesMax}; retry when they are sealed`;
      // Clients retry a rate limit; they would give up on a memory limit.
      return Promise.resolve(fail({ kind: "rateLimited", message }));
    }
    this.#context.queuedBytes += bytes;
    return new Promise((resolve) => {
      this.#queue.push({ entries, bytes, deadlineMs, resolve });
      void this.#sequence();
    });
  }

  #settle(append: Append, outcome: Outcome<AppendResult>): void {
    this.#context.queuedBytes -= append.bytes;
    append.resolve(outcome);
  }

  /** Gives the queued appends timestamps, all at once, and hands them to the writer in that order. */
  async #sequence(): Promise<void> {
    if (this.#isSequencing) return;
    this.#isSequencing = true;
    try {
      while (this.#queue.length > 0) await this.#sequenceBatch(this.#takeQueued());
    } finally {
      this.#isSequencing = false;
    }
  }

  #takeQueued(): readonly Append[] {
    const nowMs = this.#context.world.clock.nowMs();
    const queued = this.#queue;
    this.#queue = [];
    return queued.filter((append) => {
      const isLate = append.deadlineMs <= nowMs;
      if (isLate) this.#settle(append, fail({ kind: "deadlineExceeded", message: "the log was too busy" }));
      return !isLate;
    });
  }

  async #sequenceBatch(batch: readonly Append[]): Promise<void> {
    if (batch.length === 0) return;
    const first = await this.#allocate(batch.length);
    if (!first.ok) {
      for (const append of batch) this.#settle(append, first);
      return;
    }
    const writer = await this.#writer();
    for (const [offset, append] of batch.entries()) {
      const at = (first.value + BigInt(offset)) as Timestamp;
      if (!writer.ok) {
        this.#tick.abandoned(at);
        this.#settle(append, writer);
        continue;
      }
      const record = { at, term: this.term, entries: append.entries };
      const written = writer.value.append(encodeLogRecord(record));
      this.#inFlight.push({ append, record, written });
    }
    this.#changed.notify();
    void this.#applyWritten();
  }

  /** A range above the tick. An oracle behind a promised moment is asked again until it has passed it. */
  async #allocate(count: number): Promise<Outcome<Timestamp>> {
    const { coordinator } = this.#context.world.peers;
    this.#tick.beginAllocation();
    for (;;) {
      const range = await coordinator.allocateTimestamps(count, this.#tick.now);
      const isUsable = range.ok && range.value.first > this.#tick.now;
      if (range.ok && !isUsable && !this.#context.stopping) {
        await this.#context.sleep(FUTURE_POLL_MS);
        continue;
      }
      const usable = range.ok && isUsable ? range.value : undefined;
      const length = usable === undefined ? 0 : count;
      this.#tick.endAllocation(Array.from({ length }, (_, i) => ((usable?.first ?? 0n) + BigInt(i)) as Timestamp));
      this.#changed.notify();
      if (!range.ok) return range;
      return usable === undefined ? fail(stopping()) : succeed(usable.first);
    }
  }

  /** Waits while the writer is being reopened. */
  async #writer(): Promise<Outcome<LogWriter>> {
    while (this.#state.kind === "closed") {
      if (this.#context.stopping) return fail(stopping());
      await this.#changed.wait();
    }
    return this.#state.kind === "open" ? succeed(this.#state.writer) : fail(this.#state.error);
  }

  // Applying

  async #applyWritten(): Promise<void> {
    if (this.#isApplying) return;
    this.#isApplying = true;
    try {
      for (let head = this.#inFlight[0]; head !== undefined; head = this.#inFlight[0]) {
        const position = await head.written;
        if (position.ok) await this.#applyHead(head, position.value);
        else await this.#recoverWriter(position.error);
      }
    } finally {
      this.#isApplying = false;
    }
  }

  async #applyHead(head: InFlight, position: LogPosition): Promise<void> {
    const applied = await this.#apply(position, head.record);
    this.#tick.applied(head.record.at);
    this.#inFlight.shift();
    this.#changed.notify();
    this.#settle(head.append, applied.ok ? succeed({ at: head.record.at }) : applied);
  }

  async #apply(position: LogPosition, record: LogRecord): Promise<Outcome<void>> {
    let outcome: Outcome<void> = succeed(undefined);
    for (const [shard, entries] of groupByShard(record.entries)) {
      const target = this.shards.get(shard) ?? this.#createShard(shard, entries);
      if (target === undefined || position <= target.manifest.checkpoint) continue;
      const applied = await target.apply({ position, at: record.at }, entries);
      if (!applied.ok) outcome = applied;
      if (target.dropped) this.shards.delete(shard);
    }
    this.#applied = position;
    return outcome;
  }

  /** A shard exists from its first record on; entries of a shard that was dropped find none. */
  #createShard(id: ShardId, entries: readonly LogEntry[]): Shard | undefined {
    const entry = entries.find((other) => other.kind === "createShard");
    const schema = entry === undefined ? undefined : decodeShardSchema(entry.schema);
    if (entry === undefined || schema === undefined) return undefined;
    const manifest = { shard: id, version: 0, checkpoint: 0n, checkpointAt: 0n as Timestamp, segments: [] };
    const shard = new Shard(this.#context, { id, term: this.term, collection: entry.collection, schema, manifest });
    this.shards.set(id, shard);
    return shard;
  }

  /** A write failed, so nobody knows what reached the log: opens it again and looks. */
  async #recoverWriter(error: DbError): Promise<void> {
    const before = this.#state;
    if (before.kind === "open") {
      this.#setState({ kind: "closed" });
      await before.writer.close();
    }
    this.#context.world.telemetry.log("error", "log write failed", { channel: this.name, error });
    for (let failures = 1; ; failures += 1) {
      if (error.kind === "fenced" || this.#context.stopping) return this.#abandonAll(error);
      const reopened = await this.#reopen();
      if (reopened.ok) return this.#abandonUnwritten(error);
      if (reopened.error.kind === "fenced" || reopened.error.kind === "fileCorrupt") {
        return this.#abandonAll(reopened.error);
      }
      await this.#context.sleepBeforeRetry(failures);
    }
  }

  /** Applies what did reach the log; those appends succeed after all. */
  async #reopen(): Promise<Outcome<void>> {
    const { log } = this.#context.world;
    const opened = await log.open(this.name, this.term);
    if (!opened.ok) return opened;
    for await (const frame of log.read(this.name, this.#applied)) {
      const applied = frame.ok ? await this.#applyFound(frame.value) : frame;
      if (applied.ok) continue;
      await opened.value.close();
      return applied;
    }
    this.#state = { kind: "open", writer: opened.value };
    return succeed(undefined);
  }

  async #applyFound(frame: LogFrame): Promise<Outcome<void>> {
    const record = decodeLogRecord(frame.bytes, `log ${this.name} record ${frame.position}`);
    if (!record.ok) return record;
    const head = this.#inFlight[0];
    invariant(head?.record.at === record.value.at, "the log holds what was appended, in that order");
    await this.#applyHead(head, frame.position);
    return succeed(undefined);
  }

  #abandonUnwritten(error: DbError): void {
    for (const { append, record } of this.#inFlight.splice(0)) {
      this.#tick.abandoned(record.at);
      this.#settle(append, fail(error));
    }
    this.#changed.notify();
  }

  #abandonAll(error: DbError): void {
    this.#lose(error);
    this.#abandonUnwritten(error);
  }

  // Time

  /** The tick when it stands at `guarantee` or above already: that promise needs no new proof. */
  reachedTick(guarantee: Timestamp): Timestamp | undefined {
    return guarantee <= this.#tick.now && this.#state.kind === "open" ? this.#tick.now : undefined;
  }

  /** The tick once it has reached `guarantee`, with proof that no other owner has appended meanwhile. */
  async readTimestamp(guarantee: Timestamp, deadlineMs: number): Promise<Outcome<Timestamp>> {
    const reached = this.reachedTick(guarantee);
    if (reached !== undefined) return succeed(reached);
    const issued = await this.#waitUntilIssued(guarantee, deadlineMs);
    if (!issued.ok) return issued;
    const request = this.#tick.request(guarantee);
    const confirmed = await this.#confirm();
    if (!confirmed.ok) {
      // Not only this reader must learn that another owner has the channel.
      if (confirmed.error.kind === "fenced" && this.#state.kind === "open") this.#lose(confirmed.error);
      return confirmed;
    }
    while (!this.#tick.isSettled(request)) {
      if (this.#state.kind === "lost") return fail(this.#state.error);
      if (this.#context.stopping || this.#context.world.clock.nowMs() > deadlineMs) return fail(stopping());
      await this.#changed.wait();
    }
    return succeed(this.#tick.promise(request));
  }

  /**
   * A client may name a moment that has not come: promising it now would hold up every append until then. Only the
   * oracle knows, clocks of other machines may be wrong.
   */
  async #waitUntilIssued(guarantee: Timestamp, deadlineMs: number): Promise<Outcome<void>> {
    const { clock, peers } = this.#context.world;
    while (guarantee > this.#issued) {
      const fresh = await peers.coordinator.allocateTimestamps(1);
      if (!fresh.ok) return fresh;
      this.#noteIssued(fresh.value.first);
      if (guarantee <= this.#issued) break;
      if (clock.nowMs() > deadlineMs || this.#context.stopping) return fail(stopping());
      await this.#context.sleep(Math.min(FUTURE_POLL_MS, Math.max(1, deadlineMs - clock.nowMs())));
    }
    return succeed(undefined);
  }

  #noteIssued(at: Timestamp): void {
    if (at > this.#issued) this.#issued = at;
  }

  /** One proof serves all readers that came before it began. */
  async #confirm(): Promise<Outcome<void>> {
    if (this.#confirmation === undefined) return this.#beginConfirmation();
    this.#nextConfirmation ??= this.#confirmation.then(() => this.#beginConfirmation());
    return this.#nextConfirmation;
  }

  #beginConfirmation(): Promise<Outcome<void>> {
    this.#nextConfirmation = undefined;
    const confirmation = this.#writer()
      .then((writer) => (writer.ok ? writer.value.confirm() : writer))
      .finally(() => {
        if (this.#confirmation === confirmation) this.#confirmation = undefined;
      });
    this.#confirmation = confirmation;
    return confirmation;
  }

  // Maintenance

  /** Frees the part of the log that every shard's manifest reflects. */
  async truncate(): Promise<void> {
    if (this.#state.kind !== "open") return;
    const unflushed = [...this.shards.values()].map((shard) => shard.unflushed);
    const position = truncatablePosition(this.#applied, unflushed);
    const truncated = await this.#state.writer.truncate(position);
    if (truncated.ok) return;
    const { error } = truncated;
    this.#context.world.telemetry.log("warn", "log not truncated", { channel: this.name, error });
  }

  async close(): Promise<void> {
    this.#changed.notify();
    // What is on its way to the disk ends first: its callers deserve an answer.
    await Promise.all(this.#inFlight.map((one) => one.written));
    while (this.#inFlight.length > 0 && this.#state.kind === "open") await this.#changed.wait();
    const before = this.#state;
    this.#setState({ kind: "lost", error: stopping() });
    if (before.kind === "open") await before.writer.close();
    for (const append of this.#queue.splice(0)) this.#settle(append, fail(stopping()));
    for (const shard of this.shards.values()) shard.closeAll();
  }
}

function stopping(): DbError {
  return { kind: "notReady", message: "the streaming node is stopping" };
}

function payloadBytes(entry: LogEntry): number {
  if (entry.kind === "insert") return entry.rows.length;
  return entry.kind === "delete" ? entry.keys.length : 0;
}

function groupByShard(entries: readonly LogEntry[]): ReadonlyMap<ShardId, readonly LogEntry[]> {
  const [first] = entries;
  if (first !== undefined && entries.every((entry) => entry.shard === first.shard)) {
    return new Map([[first.shard, entries]]);
  }
  const groups = new Map<ShardId, LogEntry[]>();
  for (const entry of entries) {
    const group = groups.get(entry.shard);
    if (group === undefined) groups.set(entry.shard, [entry]);
    else group.push(entry);
  }
  return groups;
}
