/** Hands out timestamps and ids; makes the bounds durable that `state/tso` and `state/id-range` ask for. */
import { fail, succeed, type Outcome } from "@elanus/model/outcome";
import { timestampOf, type Timestamp } from "@elanus/model/time";
import type { Clock } from "@elanus/platform/ports/world";
import { Serial } from "../serial.ts";
import { extendedIds, ID_FIRST, takeIds, type IdRange } from "./state/id-range.ts";
import { encodeRecord } from "./state/record-text.ts";
import { allocateRange, BOUND_AHEAD_MS, extended, restoredOracle, type Oracle } from "./state/tso.ts";
import type { CoordinatorStore } from "./store.ts";

const TIME_KEY = "time/bound";
const IDS_KEY = "ids/bound";
const RANGE_MAX = 1_000_000_000;
/** A clock that is further ahead than this is not followed. */
const MOVE_AHEAD_MS_MAX = 3_600_000;

export class OracleTask {
  readonly #store: CoordinatorStore;
  readonly #clock: Clock;
  readonly #timeQueue = new Serial();
  readonly #idQueue = new Serial();
  #oracle: Oracle;
  #ids: IdRange;
  #extending = false;

  private constructor(store: CoordinatorStore, clock: Clock, oracle: Oracle, ids: IdRange) {
    this.#store = store;
    this.#clock = clock;
    this.#oracle = oracle;
    this.#ids = ids;
  }

  static async open(store: CoordinatorStore, clock: Clock): Promise<Outcome<OracleTask>> {
    const time = await store.read<Timestamp>(TIME_KEY);
    if (!time.ok) return time;
    const ids = await store.read<bigint>(IDS_KEY);
    if (!ids.ok) return ids;
    const bound = ids.value ?? ID_FIRST;
    return succeed(
      new OracleTask(store, clock, restoredOracle(time.value ?? (0n as Timestamp)), { next: bound, bound }),
    );
  }

  async allocateTimestamps(count: number, above?: Timestamp): Promise<Outcome<{ first: Timestamp; count: number }>> {
    if (!isRangeSize(count)) return fail({ kind: "invalidParameter", message: `a range of ${count} timestamps` });
    if (above !== undefined && above > this.#oracle.last) {
      const moved = await this.#moveBeyond(above);
      if (!moved.ok) return moved;
    }
    const quick = this.#tryTimestamps(count);
    if (quick !== undefined) return succeed({ first: quick, count });
    return this.#timeQueue.run(async () => {
      for (;;) {
        const first = this.#tryTimestamps(count);
        if (first !== undefined) return succeed({ first, count });
        const { extendTo } = allocateRange(this.#oracle, this.#clock.nowMs(), count);
        if (extendTo === undefined) continue;
        const done = await this.#extendTime(extendTo);
        if (!done.ok) return done;
      }
    });
  }

  /** The newest timestamp handed out. */
  get last(): Timestamp {
    return this.#oracle.last;
  }

  /** A fresh timestamp. */
  async now(): Promise<Outcome<Timestamp>> {
    const range = await this.allocateTimestamps(1);
    return range.ok ? succeed(range.value.first) : range;
  }

  allocateIds(count: number): Promise<Outcome<{ first: bigint; count: number }>> {
    if (!isRangeSize(count)) {
      return Promise.resolve(fail({ kind: "invalidParameter", message: `a range of ${count} ids` }));
    }
    return this.#idQueue.run(async () => {
      const decision = takeIds(this.#ids, count);
      if (decision.first !== undefined) {
        this.#ids = decision.range;
        return succeed({ first: decision.first, count });
      }
      const bound = decision.extendTo ?? this.#ids.bound;
      const done = await this.#store.transact([{ kind: "put", key: IDS_KEY, value: encodeRecord(bound) }]);
      if (!done.ok) return done;
      this.#ids = extendedIds(this.#ids, bound);
      const taken = takeIds(this.#ids, count);
      if (taken.first === undefined) return fail({ kind: "internal", message: "id range is still too small" });
      this.#ids = taken.range;
      return succeed({ first: taken.first, count });
    });
  }

  /** On a clean stop: the bound falls back to what was used, so that the next start does not run ahead. */
  async close(): Promise<void> {
    await this.#idQueue.run(async () => {
      const { next } = this.#ids;
      this.#ids = { next, bound: next };
      await this.#store.transact([{ kind: "put", key: IDS_KEY, value: encodeRecord(next) }]);
    });
    await this.#timeQueue.run(async () => {
      const last = (this.#oracle.last + 1n) as Timestamp;
      this.#oracle = { last, bound: last };
      await this.#store.transact([{ kind: "put", key: TIME_KEY, value: encodeRecord(last) }]);
    });
  }

  /** Clocks differ: a moment that another one's clock has reached is promised already, so time goes on from there. */
  #moveBeyond(moment: Timestamp): Promise<Outcome<void>> {
    const horizon = timestampOf(this.#clock.nowMs() + MOVE_AHEAD_MS_MAX);
    if (moment > horizon) return Promise.resolve(succeed(undefined));
    return this.#timeQueue.run(async () => {
      const durable = await this.#extendTime((moment + timestampOf(BOUND_AHEAD_MS)) as Timestamp);
      if (!durable.ok) return durable;
      if (moment > this.#oracle.last) this.#oracle = { ...this.#oracle, last: moment };
      return succeed(undefined);
    });
  }

  #tryTimestamps(count: number): Timestamp | undefined {
    const decision = allocateRange(this.#oracle, this.#clock.nowMs(), count);
    this.#oracle = decision.oracle;
    if (decision.first !== undefined && decision.extendTo !== undefined) this.#extendSoon(decision.extendTo);
    return decision.first;
  }

  #extendSoon(bound: Timestamp): void {
    if (this.#extending) return;
    this.#extending = true;
    void this.#timeQueue
      .run(() => this.#extendTime(bound))
      .finally(() => {
        this.#extending = false;
      });
  }

  async #extendTime(bound: Timestamp): Promise<Outcome<void>> {
    if (bound <= this.#oracle.bound) return succeed(undefined);
    const done = await this.#store.transact([{ kind: "put", key: TIME_KEY, value: encodeRecord(bound) }]);
    if (!done.ok) return done;
    this.#oracle = extended(this.#oracle, bound);
    return succeed(undefined);
  }
}

function isRangeSize(count: number): boolean {
  return Number.isInteger(count) && count > 0 && count <= RANGE_MAX;
}
