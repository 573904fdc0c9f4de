import { expect, test } from "vitest";
import { systemTimers } from "./timers.ts";

test("an aborted sleep ends at once", async () => {
  const abort = new AbortController();
  const slept = systemTimers.sleep(3_600_000, abort.signal);
  abort.abort();
  await slept;
  await systemTimers.sleep(3_600_000, AbortSignal.abort());
});

test("a cancelled task does not run, another does", async () => {
  const ran: string[] = [];
  const cancel = systemTimers.after(0, () => ran.push("cancelled"));
  cancel();
  await new Promise<void>((resolve) => {
    systemTimers.after(0, () => {
      ran.push("run");
      resolve();
    });
  });
  expect(ran).toEqual(["run"]);
});
