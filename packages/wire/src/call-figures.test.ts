import type { Telemetry } from "@elanus/platform/ports/world";
import { expect, test } from "vitest";
import { CallFigures } from "./call-figures.ts";

test("calls are counted by name and code, and timed in seconds", () => {
  const counts = new Map<string, number>();
  const times = new Map<string, number[]>();
  const telemetry: Telemetry = {
    counter: (_name, _help, labels = {}) => ({
      add: (value) => {
        const key = `${labels["call"]} ${labels["code"]}`;
        counts.set(key, (counts.get(key) ?? 0) + value);
      },
    }),
    gauge: () => ({ set: () => {} }),
    histogram: (_name, _help, labels = {}) => ({
      observe: (value) => {
        const key = labels["call"] ?? "";
        times.set(key, [...(times.get(key) ?? []), value]);
      },
    }),
    log: () => {},
  };
  let now = 0;
  const figures = new CallFigures(telemetry, { nowMs: () => 0, monotonicMs: () => now });
  for (const [call, code, lasts] of [
    ["Search", 0, 5],
    ["Search", 0, 7],
    ["Search", 101, 1],
    ["rest collections/list", 0, 2],
  ] as const) {
    const started = figures.start();
    now += lasts;
    figures.end(call, code, started);
  }
  expect(Object.fromEntries(counts)).toEqual({ "Search 0": 2, "Search 101": 1, "rest collections/list 0": 1 });
  expect(Object.fromEntries(times)).toEqual({ Search: [0.005, 0.007, 0.001], "rest collections/list": [0.002] });
});
