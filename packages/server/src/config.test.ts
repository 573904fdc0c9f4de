import { describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";

describe("readConfig", () => {
  it("listens on loopback with the documented ports by default", () => {
    const config = readConfig({}, {});
    expect(config).toMatchObject({
      ok: true,
      value: { host: "127.0.0.1", port: 19_530, metricsPort: 9_091, data: "./elanus-data" },
    });
  });

  it("has one proxy, or up to 64", () => {
    expect(readConfig({}, {})).toMatchObject({ ok: true, value: { proxies: 1 } });
    expect(readConfig({ proxies: "64" }, {})).toMatchObject({ ok: true, value: { proxies: 64 } });
    expect(readConfig({}, { ELANUS_PROXIES: "2" })).toMatchObject({ ok: true, value: { proxies: 2 } });
    expect(readConfig({ transport: "node" }, { ELANUS_PROXIES: "1" }).ok).toBe(true);
  });

  it("prefers the command line over the environment", () => {
    const config = readConfig({ port: "20000" }, { ELANUS_PORT: "30000", ELANUS_DATA: "/d" });
    expect(config).toMatchObject({ ok: true, value: { port: 20_000, data: "/d" } });
  });

  it.each(["0.0.0.0", "192.168.1.2", "::", "example.org", "127.0.0.1.example.org"])(
    "refuses %s without --insecure",
    (host) => {
      expect(readConfig({ host }, {})).toMatchObject({
        ok: false,
        error: { kind: "invalidParameter", message: expect.stringContaining("--insecure") as string },
      });
      expect(readConfig({ host, insecure: "true" }, {}).ok).toBe(true);
    },
  );

  it.each([
    [{ port: "70000" }, "port (ELANUS_PORT)"],
    [{ port: "abc" }, "port (ELANUS_PORT)"],
    [{ logLevel: "loud" }, "logLevel"],
    [{ threads: "0" }, "threads"],
    [{ transport: "pigeon" }, "transport (ELANUS_TRANSPORT)"],
    [{ tlsCert: "cert.pem" }, "--tls-key"],
    [{ proxies: "0" }, "proxies (ELANUS_PROXIES)"],
    [{ proxies: "65" }, "proxies (ELANUS_PROXIES)"],
    [{ proxies: "1.5" }, "proxies (ELANUS_PROXIES)"],
    [{ proxies: "2", transport: "node" }, "--proxies above 1 needs --transport native"],
  ])("names the option that is wrong: %j", (input, words) => {
    expect(readConfig(input, {})).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining(words) as string },
    });
  });
});
