/** Rows that outlive the collection's TTL: random writes, clocks and TTLs against a model. */
import { afterEach, describe, expect, it } from "vitest";
import { TTL_KEY } from "@elanus/model/expiry";
import type { World } from "@elanus/platform/ports/world";
import { systemClock } from "@elanus/platform/drivers/clock";
import {
  create,
  idField,
  ids,
  insert,
  memoryStores,
  must,
  openSmall,
  query,
  ref,
  search,
  type SmallDatabase,
  vector,
} from "./testing/small-database.ts";

/** The machine's clock, as far ahead as a test puts it. */
class MovedClock {
  aheadMs = 0;
  readonly nowMs = (): number => systemClock.nowMs() + this.aheadMs;
  readonly monotonicMs = (): number => systemClock.monotonicMs() + this.aheadMs;
}

let database: SmallDatabase | undefined;
afterEach(() => database?.stop());

async function open(clock: World["clock"], retentionMs: number): Promise<SmallDatabase> {
  database = await openSmall(memoryStores(), { clock, limits: { retentionMs } });
  await create(database, [idField, vector]);
  return database;
}

async function setTtl(of: SmallDatabase, seconds: number): Promise<void> {
  must(await of.proxy.catalog.alterCollection(ref, { [TTL_KEY]: String(seconds) }, []));
}

async function flush(of: SmallDatabase): Promise<void> {
  must(await of.proxy.flush(ref.database, [ref.name]));
}

/** The same numbers for the same seed. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

async function expectRows(of: SmallDatabase, wanted: readonly number[]): Promise<void> {
  expect(await query(of, "", ["count(*)"])).toEqual([{ "count(*)": wanted.length }]);
  expect(ids(await query(of, "id >= 0", ["id"]))).toEqual(wanted);
  const listed = Array.from({ length: 12 }, (_, id) => id);
  expect(ids(await query(of, `id in [${listed.join(",")}]`, ["id"]))).toEqual(wanted);
  const [found = []] = await search(of, [[0, 0]], { params: { topk: "50" } });
  expect(ids(found).toSorted((left, right) => Number(left) - Number(right))).toEqual(wanted);
}

describe("a collection with a TTL", () => {
  it.each([1, 2, 3])("shows the rows that are young enough, whatever was sealed when (seed %i)", async (seed) => {
    const clock = new MovedClock();
    const random = dice(seed);
    const of = await open(clock, 600_000);
    let ttl = 0;
    const born = new Map<number, number>();
    for (let step = 0; step < 40; step++) {
      const kind = random(6);
      if (kind <= 1) {
        const id = random(12);
        await insert(of, [{ id, v: [id, 1] }]);
        born.set(id, clock.aheadMs);
      } else if (kind === 2) {
        // Minutes, so that the time that the test takes does not matter.
        clock.aheadMs += 60_000 * (1 + random(4));
      } else if (kind === 3) {
        ttl = [0, -1, 30, 150, 330, 630][random(6)] ?? 0;
        await setTtl(of, ttl);
      } else if (kind === 4) {
        await flush(of);
      }
      const young = [...born].filter(([, at]) => ttl <= 0 || clock.aheadMs - at < ttl * 1_000).map(([id]) => id);
      await expectRows(
        of,
        young.toSorted((left, right) => left - right),
      );
    }
  });

  it("drops expired rows when it compacts, segments without others by itself", async () => {
    const clock = new MovedClock();
    const of = await open(clock, 1_000);
    await insert(of, [{ id: 1, v: [1, 1] }]);
    await flush(of);
    clock.aheadMs += 60_000;
    await insert(of, [{ id: 2, v: [2, 1] }]);
    await flush(of);
    expect(must(await of.proxy.catalog.listSegments(ref))).toHaveLength(2);
    await setTtl(of, 30);
    await expectRows(of, [2]);
    const rows = async (): Promise<number> =>
      must(await of.proxy.catalog.listSegments(ref)).reduce((sum, segment) => sum + segment.rowCount, 0);
    await expect.poll(rows, { timeout: 10_000 }).toBe(1);
    await setTtl(of, 0);
    await expectRows(of, [2]);
  });
});
