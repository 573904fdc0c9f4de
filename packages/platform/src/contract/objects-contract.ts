/** What every object store keeps, run against each of them. */
import { describe, expect, test } from "vitest";
import type { ObjectStore } from "../ports/objects.ts";
import { bytesOf, textOf, valueOf } from "./outcomes.ts";

export interface ObjectsUnderTest {
  readonly store: ObjectStore;
  reopen?(): Promise<ObjectStore>;
}

export function objectsContract(name: string, make: () => Promise<ObjectsUnderTest>): void {
  describe(`objects contract: ${name}`, () => {
    test("puts chunks together and gets them back", async () => {
      const { store } = await make();
      expect(await valueOf(store.get("a/b"))).toBeUndefined();
      await valueOf(store.put("a/b", [bytesOf("he"), new Uint8Array(), bytesOf("llo")]));
      expect(textOf((await valueOf(store.get("a/b"))) ?? new Uint8Array())).toBe("hello");
      await valueOf(store.put("empty", []));
      expect(await valueOf(store.get("empty"))).toEqual(new Uint8Array());
    });

    test("lists by prefix, not by folder", async () => {
      const { store } = await make();
      for (const key of ["s/1/a", "s/10/a", "s/1/b", "t", "s1"]) await valueOf(store.put(key, [bytesOf(key)]));
      expect(await valueOf(store.list("s/1"))).toEqual(["s/1/a", "s/1/b", "s/10/a"]);
      expect(await valueOf(store.list("s/1/"))).toEqual(["s/1/a", "s/1/b"]);
      expect(await valueOf(store.list(""))).toEqual(["s/1/a", "s/1/b", "s/10/a", "s1", "t"]);
      expect(await valueOf(store.list("none/"))).toEqual([]);
    });

    test("deletes, also what is not there", async () => {
      const { store } = await make();
      await valueOf(store.put("a/b", [bytesOf("x")]));
      await valueOf(store.delete("a/b"));
      await valueOf(store.delete("a/b"));
      expect(await valueOf(store.get("a/b"))).toBeUndefined();
      expect(await valueOf(store.list(""))).toEqual([]);
    });

    test("concurrent puts of one key leave one of them, whole", async () => {
      const { store } = await make();
      const bodies = Array.from({ length: 10 }, (_, index) => `${index}`.repeat(5_000));
      await Promise.all(bodies.map((body) => valueOf(store.put("k", [bytesOf(body)]))));
      expect(bodies).toContain(textOf((await valueOf(store.get("k"))) ?? new Uint8Array()));
    });

    test("refuses keys that are not ours", async () => {
      const { store } = await make();
      for (const key of ["../x", "a/../b", "/a", "a//b", "", ".hidden", "a\0"]) {
        await expect(async () => store.put(key, [])).rejects.toThrow("broken invariant");
      }
    });

    test("stands after a restart, without leftovers", async () => {
      const { store, reopen } = await make();
      if (reopen === undefined) return;
      await valueOf(store.put("a/b", [bytesOf("x")]));
      const again = await reopen();
      expect(await valueOf(again.list(""))).toEqual(["a/b"]);
    });
  });
}
