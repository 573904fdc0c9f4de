import { afterEach, describe, expect, it } from "vitest";
import { type Monitor, monitorRoutes, startMonitor } from "./monitor.ts";

let monitor: Monitor | undefined;
let healthy = true;

afterEach(async () => {
  await monitor?.close();
  healthy = true;
});

async function start(): Promise<string> {
  monitor = await startMonitor("127.0.0.1", 0, {
    healthy: () => healthy,
    metrics: () => Promise.resolve("elanus_up 1\n"),
    status: () => Promise.resolve({ version: "v1", note: "<script>alert(1)</script>" }),
  });
  return `http://127.0.0.1:${monitor.port}`;
}

describe("the metrics port", () => {
  it("serves just these routes", () => {
    expect(monitorRoutes).toEqual(["/healthz", "/livez", "/readyz", "/metrics", "/status", "/"]);
  });

  it.each([
    ["/healthz", "text/plain"],
    ["/metrics", "text/plain; version=0.0.4; charset=utf-8"],
    ["/status", "application/json"],
    ["/", "text/html; charset=utf-8"],
  ])("answers %s", async (path, type) => {
    const answer = await fetch(`${await start()}${path}`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe(type);
  });

  it("escapes what it shows", async () => {
    const page = await (await fetch(`${await start()}/`)).text();
    expect(page).not.toContain("<script>");
  });

  it.each(["POST", "PUT", "DELETE", "PATCH"])("changes nothing by %s", async (method) => {
    const address = await start();
    for (const path of monitorRoutes) expect((await fetch(`${address}${path}`, { method })).status).toBe(405);
  });

  it.each(["/nothing", "/../etc/passwd", "/management/stop", "/expr"])("knows no %s", async (path) => {
    expect((await fetch(`${await start()}${path}`)).status).toBe(404);
  });

  it("says when it stops", async () => {
    const address = await start();
    healthy = false;
    expect((await fetch(`${address}/healthz`)).status).toBe(503);
  });
});
