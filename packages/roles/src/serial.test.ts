import { expect, it } from "vitest";
import { KeyedSerial, Serial } from "./serial.ts";

it("runs tasks one after the other, also behind one that failed", async () => {
  const serial = new Serial();
  const events: string[] = [];
  const task = (name: string, fails: boolean) => async (): Promise<string> => {
    events.push(`${name} begins`);
    await Promise.resolve();
    events.push(`${name} ends`);
    if (fails) throw new Error(name);
    return name;
  };
  const outcomes = await Promise.allSettled([serial.run(task("a", true)), serial.run(task("b", false))]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  expect(events).toEqual(["a begins", "a ends", "b begins", "b ends"]);
});

it("lets different keys overlap and the same key wait", async () => {
  const serial = new KeyedSerial<number>();
  const events: string[] = [];
  const task = (name: string) => async (): Promise<void> => {
    events.push(`${name} begins`);
    await Promise.resolve();
    events.push(`${name} ends`);
  };
  await Promise.all([serial.run(1, task("a")), serial.run(1, task("b")), serial.run(2, task("c"))]);
  expect(events.indexOf("b begins")).toBeGreaterThan(events.indexOf("a ends"));
  expect(events.indexOf("c begins")).toBeLessThan(events.indexOf("a ends"));
});
