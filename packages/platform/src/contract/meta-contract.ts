/** What every catalog driver keeps, run against each of them. */
import { describe, expect, test } from "vitest";
import type { MetaStore } from "../ports/meta.ts";
import { bytesOf, textOf, valueOf } from "./outcomes.ts";

export interface MetaUnderTest {
  readonly store: MetaStore;
  reopen?(): Promise<MetaStore>;
}

export function metaContract(name: string, make: () => Promise<MetaUnderTest>): void {
  describe(`catalog contract: ${name}`, () => {
    test("puts, gets, replaces and deletes", async () => {
      const { store } = await make();
      expect(await valueOf(store.get("a"))).toBeUndefined();
      await put(store, { a: "1", b: "2" });
      expect(await read(store, "a")).toBe("1");
      await put(store, { a: "3" });
      expect(await read(store, "a")).toBe("3");
      await valueOf(
        store.transact(
          [],
          [
            { kind: "delete", key: "a" },
            { kind: "delete", key: "never" },
          ],
        ),
      );
      expect(await valueOf(store.get("a"))).toBeUndefined();
      expect(await read(store, "b")).toBe("2");
      await store.close();
    });

    test("keeps empty values apart from absent ones", async () => {
      const { store } = await make();
      await put(store, { a: "" });
      expect(await valueOf(store.get("a"))).toEqual(new Uint8Array());
      expect(await valueOf(store.transact([{ key: "a", value: undefined }], []))).toBe(false);
      expect(await valueOf(store.transact([{ key: "a", value: new Uint8Array() }], []))).toBe(true);
      await store.close();
    });

    test("lists a prefix in order of bytes", async () => {
      const { store } = await make();
      const keys = ["b/2", "a/10", "a/2", "a/\u{1F600}", "a/\uFFFD", "a/é", "ab", "a/"];
      await put(store, Object.fromEntries(keys.map((key) => [key, key])));
      const listed = (await valueOf(store.list("a/"))).map(({ key, value }) => [key, textOf(value)]);
      const expected = ["a/", "a/10", "a/2", "a/é", "a/\uFFFD", "a/\u{1F600}"];
      expect(listed).toEqual(expected.map((key) => [key, key]));
      expect((await valueOf(store.list(""))).length).toBe(keys.length);
      expect(await valueOf(store.list("zz"))).toEqual([]);
      await store.close();
    });

    test("a condition that does not hold changes nothing", async () => {
      const { store } = await make();
      await put(store, { a: "1" });
      const wrong = [{ key: "a", value: bytesOf("2") }];
      const ops = [{ kind: "put" as const, key: "b", value: bytesOf("x") }];
      expect(await valueOf(store.transact(wrong, ops))).toBe(false);
      expect(await valueOf(store.transact([{ key: "b", value: bytesOf("x") }], ops))).toBe(false);
      expect(await valueOf(store.get("b"))).toBeUndefined();
      const right = [
        { key: "a", value: bytesOf("1") },
        { key: "b", value: undefined },
      ];
      expect(await valueOf(store.transact(right, ops))).toBe(true);
      expect(await read(store, "b")).toBe("x");
      await store.close();
    });

    test("a condition can ask for any value", async () => {
      const { store } = await make();
      const ops = [{ kind: "put" as const, key: "b", value: bytesOf("x") }];
      expect(await valueOf(store.transact([{ key: "a", value: "any" }], ops))).toBe(false);
      expect(await valueOf(store.get("b"))).toBeUndefined();
      await put(store, { a: "" });
      expect(await valueOf(store.transact([{ key: "a", value: "any" }], ops))).toBe(true);
      expect(await read(store, "b")).toBe("x");
      await store.close();
    });

    test("of racing conditional writes exactly one wins", async () => {
      const { store } = await make();
      const racers = Array.from({ length: 20 }, (_, index) =>
        store.transact(
          [{ key: "leader", value: undefined }],
          [{ kind: "put", key: "leader", value: bytesOf(`${index}`) }],
        ),
      );
      const won = await Promise.all(racers.map((racer) => valueOf(racer)));
      expect(won.filter((yes) => yes).length).toBe(1);
      expect(await read(store, "leader")).toBe(`${won.indexOf(true)}`);
      await store.close();
    });

    test("hands out copies", async () => {
      const { store } = await make();
      const value = bytesOf("kept");
      await valueOf(store.transact([], [{ kind: "put", key: "a", value }]));
      value.fill(0);
      (await valueOf(store.get("a")))?.fill(0);
      expect(await read(store, "a")).toBe("kept");
      await store.close();
    });

    test("stands after a restart", async () => {
      const { store, reopen } = await make();
      if (reopen === undefined) return;
      for (let index = 0; index < 40; index += 1) await put(store, { [`k${index % 7}`]: `${index}` });
      await valueOf(store.transact([], [{ kind: "delete", key: "k0" }]));
      await store.close();
      const again = await reopen();
      const listed = (await valueOf(again.list("k"))).map(({ key, value }) => `${key}=${textOf(value)}`);
      expect(listed).toEqual(["k1=36", "k2=37", "k3=38", "k4=39", "k5=33", "k6=34"]);
      await again.close();
    });
  });
}

async function put(store: MetaStore, pairs: Readonly<Record<string, string>>): Promise<void> {
  const ops = Object.entries(pairs).map(([key, value]) => ({ kind: "put" as const, key, value: bytesOf(value) }));
  expect(await valueOf(store.transact([], ops))).toBe(true);
}

async function read(store: MetaStore, key: string): Promise<string | undefined> {
  const value = await valueOf(store.get(key));
  return value === undefined ? undefined : textOf(value);
}
