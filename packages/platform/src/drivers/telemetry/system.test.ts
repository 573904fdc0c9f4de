import { expect, test } from "vitest";
import { systemTelemetry } from "./system.ts";

test("figures of one name share a metric and differ by label", async () => {
  const telemetry = systemTelemetry({ level: "silent" });
  telemetry.counter("elanus_calls", "Calls.", { verb: "insert" }).add(2);
  telemetry.counter("elanus_calls", "Calls.", { verb: "search" }).add(1);
  telemetry.counter("elanus_calls", "Calls.", { verb: "insert" }).add(3);
  telemetry.gauge("elanus_segments", "Open segments.").set(7);
  telemetry.histogram("elanus_search_seconds", "Duration.").observe(0.003);
  const text = await telemetry.metricsText();
  expect(text).toContain('elanus_calls{verb="insert"} 5');
  expect(text).toContain('elanus_calls{verb="search"} 1');
  expect(text).toContain("elanus_segments 7");
  expect(text).toMatch(/elanus_search_seconds_bucket\{le="0.0032"\} 1/);
  expect(text).toContain("elanus_search_seconds_count 1");
});

test("figures of several threads are added up by name and label", async () => {
  const [here, there, elsewhere] = ["here", "there", "elsewhere"].map((name) => {
    const telemetry = systemTelemetry({ level: "silent" });
    telemetry.counter("elanus_calls", "Calls.", { verb: "insert" }).add(2);
    telemetry.counter("elanus_calls", "Calls.", { verb: name }).add(5);
    telemetry.gauge("elanus_open", "Open.").set(3);
    telemetry.histogram("elanus_search_seconds", "Duration.", { verb: "search" }).observe(0.003);
    return telemetry;
  });
  const others = [await there?.figures(), await elsewhere?.figures()];
  const text = await here?.metricsText(structuredClone(others).flatMap((figures) => (figures ? [figures] : [])));
  expect(text).toContain('elanus_calls{verb="insert"} 6');
  for (const name of ["here", "there", "elsewhere"]) expect(text).toContain(`elanus_calls{verb="${name}"} 5`);
  expect(text).toContain("elanus_open 9");
  expect(text).toContain("# TYPE elanus_search_seconds histogram");
  expect(text).toContain('elanus_search_seconds_bucket{le="0.0016",verb="search"} 0');
  expect(text).toContain('elanus_search_seconds_bucket{le="0.0032",verb="search"} 3');
  expect(text).toContain('elanus_search_seconds_count{verb="search"} 3');
});

test("lines below the level are not written", () => {
  const lines: string[] = [];
  const telemetry = systemTelemetry({ level: "warn", destination: { write: (line) => lines.push(line) } });
  telemetry.log("info", "quiet");
  telemetry.log("warn", "heard", { shard: "p0_1v0" });
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ msg: "heard", shard: "p0_1v0" });
});

test("a bigint among the fields does not stop a line", () => {
  const lines: string[] = [];
  const telemetry = systemTelemetry({ level: "info", destination: { write: (line) => lines.push(line) } });
  telemetry.log("info", "sealed", { segments: [1003n] });
  expect(lines[0]).toContain("1003");
});
