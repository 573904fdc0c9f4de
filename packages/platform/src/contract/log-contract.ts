/** What every log driver keeps, run against each of them (habit: one contract suite per port). */
import type { ChannelName, LogPosition, Term } from "@elanus/model/id";
import { describe, expect, test } from "vitest";
import type { LogStore } from "../ports/log.ts";
import { bytesOf, kindOf, textOf, valueOf } from "./outcomes.ts";

export interface LogUnderTest {
  readonly store: LogStore;
  /** The same log after a restart of the process; absent for drivers that keep nothing. */
  reopen?(): Promise<LogStore>;
}

const channel = "p0" as ChannelName;
const term = (number: number): Term => number as Term;
const position = (number: number): LogPosition => BigInt(number) as LogPosition;

export function logContract(name: string, make: () => Promise<LogUnderTest>): void {
  describe(`log contract: ${name}`, () => {
    test("numbers records from 1 without gaps and reads them back in order", async () => {
      const { store } = await make();
      const writer = await valueOf(store.open(channel, term(1)));
      expect(writer.last).toBe(0n);
      expect(await valueOf(writer.append([bytesOf("a")]))).toBe(1n);
      expect(await valueOf(writer.append([bytesOf("")]))).toBe(2n);
      expect(await valueOf(writer.append([bytesOf("c")]))).toBe(3n);
      expect(writer.last).toBe(3n);
      expect(await textsAfter(store, 0)).toEqual(["1:a", "2:", "3:c"]);
      expect(await textsAfter(store, 2)).toEqual(["3:c"]);
      expect(await textsAfter(store, 3)).toEqual([]);
    });

    test("keeps the call order of concurrent appends", async () => {
      const { store } = await make();
      const writer = await valueOf(store.open(channel, term(1)));
      const texts = Array.from({ length: 200 }, (_, index) => `r${index}`);
      const positions = await Promise.all(texts.map((text) => valueOf(writer.append([bytesOf(text)]))));
      expect(positions).toEqual(texts.map((_, index) => BigInt(index + 1)));
      expect(await textsAfter(store, 0)).toEqual(texts.map((text, index) => `${index + 1}:${text}`));
    });

    test("keeps channels apart", async () => {
      const { store } = await make();
      const one = await valueOf(store.open("p1" as ChannelName, term(1)));
      const two = await valueOf(store.open("p2" as ChannelName, term(1)));
      await valueOf(one.append([bytesOf("one")]));
      expect(await valueOf(two.append([bytesOf("two")]))).toBe(1n);
      expect(await textsAfter(store, 0, "p1")).toEqual(["1:one"]);
      expect(await textsAfter(store, 0, "p3")).toEqual([]);
    });

    test("fences the older owner and refuses an older term", async () => {
      const { store } = await make();
      const old = await valueOf(store.open(channel, term(1)));
      await valueOf(old.append([bytesOf("a")]));
      const young = await valueOf(store.open(channel, term(2)));
      expect(young.last).toBe(1n);
      expect(await kindOf(old.append([bytesOf("late")]))).toBe("fenced");
      expect(await kindOf(old.confirm())).toBe("fenced");
      expect(await kindOf(old.truncate(position(1)))).toBe("fenced");
      expect(await kindOf(store.open(channel, term(1)))).toBe("fenced");
      expect(await kindOf(young.confirm())).toBe("success");
      expect(await valueOf(young.append([bytesOf("b")]))).toBe(2n);
      expect(await textsAfter(store, 0)).toEqual(["1:a", "2:b"]);
    });

    test("an append that races a new owner is either in the log or refused", async () => {
      const { store } = await make();
      const old = await valueOf(store.open(channel, term(1)));
      const late = [old.append([bytesOf("x")]), old.append([bytesOf("y")])];
      const young = await valueOf(store.open(channel, term(2)));
      const outcomes = await Promise.all(late);
      await valueOf(young.append([bytesOf("z")]));
      const texts = await textsAfter(store, 0);
      for (const [index, outcome] of outcomes.entries()) {
        const text = `${index + 1}:${index === 0 ? "x" : "y"}`;
        if (outcome.ok) expect(texts).toContain(text);
        else expect(outcome.error.kind).toBe("fenced");
      }
      expect(texts.at(-1)).toBe(`${young.last}:z`);
    });

    test("truncates without losing a newer record or the numbering", async () => {
      const { store } = await make();
      const writer = await valueOf(store.open(channel, term(1)));
      for (let index = 1; index <= 20; index += 1) await valueOf(writer.append([bytesOf(`r${index}`)]));
      await valueOf(writer.truncate(position(15)));
      expect(await textsAfter(store, 15)).toEqual(["16:r16", "17:r17", "18:r18", "19:r19", "20:r20"]);
      await valueOf(writer.truncate(position(20)));
      expect(await textsAfter(store, 20)).toEqual([]);
      expect(await valueOf(writer.append([bytesOf("next")]))).toBe(21n);
    });

    test("refuses appends after close", async () => {
      const { store } = await make();
      const writer = await valueOf(store.open(channel, term(1)));
      const pending = writer.append([bytesOf("a")]);
      await writer.close();
      expect(await kindOf(pending)).toBe("success");
      expect(await kindOf(writer.append([bytesOf("b")]))).toBe("ioFailed");
    });

    test("stands after a restart", async () => {
      const { store, reopen } = await make();
      if (reopen === undefined) return;
      const writer = await valueOf(store.open(channel, term(3)));
      for (let index = 1; index <= 10; index += 1) await valueOf(writer.append([bytesOf(`r${index}`)]));
      await valueOf(writer.truncate(position(8)));
      await writer.close();
      const again = await reopen();
      expect((await textsAfter(again, 8)).map((text) => text.split(":")[1])).toEqual(["r9", "r10"]);
      expect(await kindOf(again.open(channel, term(2)))).toBe("fenced");
      const next = await valueOf(again.open(channel, term(4)));
      expect(next.last).toBe(10n);
      expect(await valueOf(next.append([bytesOf("r11")]))).toBe(11n);
      expect(await textsAfter(again, 9)).toEqual(["10:r10", "11:r11"]);
    });
  });
}

async function textsAfter(store: LogStore, after: number, name = "p0"): Promise<string[]> {
  const texts: string[] = [];
  for await (const frame of store.read(name as ChannelName, position(after))) {
    const value = await valueOf(frame);
    texts.push(`${value.position}:${textOf(value.bytes)}`);
  }
  return texts;
}
