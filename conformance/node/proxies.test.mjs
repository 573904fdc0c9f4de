/**
 * A server with several proxies, spoken to over connections that lie on different ones: what one client was answered,
 * every other sees.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { testCertificate, testKey } from "../../packages/platform/dist/testing/certificate.js";
import { startServer } from "./server.mjs";

const proxies = 2;
let folder, server, clients;

/** One connection to the REST API; connections go to the proxies in turn. */
class Client {
  #address;
  #agent;

  constructor(address, secure = false) {
    this.#address = address;
    this.#agent = secure
      ? new https.Agent({ keepAlive: true, maxSockets: 1, ca: testCertificate })
      : new http.Agent({ keepAlive: true, maxSockets: 1 });
  }

  /** The whole answer. */
  send(path, request) {
    const [host, port] = this.#address.split(":");
    const headers = { "content-type": "application/json" };
    const options = { host, port, path: `/v2/vectordb/${path}`, method: "POST", headers, agent: this.#agent };
    const send = this.#agent instanceof https.Agent ? https.request : http.request;
    return new Promise((resolve, reject) => {
      const sent = send(options, async (answer) => {
        const chunks = await answer.toArray();
        resolve(JSON.parse(Buffer.concat(chunks).toString("utf8")));
      });
      sent.on("error", reject);
      sent.end(JSON.stringify(request));
    });
  }

  /** Its data; a refusal fails the test. */
  async call(path, request) {
    const { code, message, data } = await this.send(path, request);
    assert.equal(code, 0, `${path}: ${message}`);
    return data;
  }

  close() {
    this.#agent.destroy();
  }
}

const vectorOf = (id) => [Math.cos(id), Math.sin(id), Math.cos(id / 3), Math.sin(id / 3)];
const rowsFrom = (first, count) =>
  Array.from({ length: count }, (_, at) => ({ id: first + at, vector: vectorOf(first + at), text: `t${first + at}` }));
const strongly = { consistencyLevel: "Strong" };

async function create(client, collectionName) {
  await client.call("collections/create", {
    collectionName,
    schema: {
      fields: [
        { fieldName: "id", dataType: "Int64", isPrimary: true },
        { fieldName: "vector", dataType: "FloatVector", elementTypeParams: { dim: 4 } },
        { fieldName: "text", dataType: "VarChar", elementTypeParams: { max_length: 20 } },
      ],
    },
    indexParams: [{ fieldName: "vector", indexName: "vector", metricType: "L2", indexType: "HNSW" }],
  });
}

const nearest = async (client, collectionName, id) => {
  const request = { collectionName, data: [vectorOf(id)], limit: 1, outputFields: ["id", "text"], ...strongly };
  return (await client.call("entities/search", request))[0];
};

describe("several proxies", () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "elanus-proxies-"));
    server = await startServer(join(folder, "data"), { options: ["--proxies", String(proxies)] });
    clients = Array.from({ length: proxies * 2 }, () => new Client(server.address));
  });
  after(async () => {
    for (const client of clients ?? []) client.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("see a definition as soon as one of them has answered it", async () => {
    for (let round = 0; round < 25; round++) {
      const collectionName = `ddl_${round}`;
      const [first, ...others] = [
        ...clients.slice(round % clients.length),
        ...clients.slice(0, round % clients.length),
      ];
      await create(first, collectionName);
      const seen = await Promise.all(others.map((client) => client.call("collections/has", { collectionName })));
      assert.deepEqual(
        seen,
        others.map(() => ({ has: true })),
      );
      await Promise.all(others.map((client) => client.call("entities/query", { collectionName, filter: "id >= 0" })));
      await first.call("collections/drop", { collectionName });
      for (const client of others) {
        const { code } = await client.send("entities/query", { collectionName, filter: "id >= 0" });
        assert.equal(code, 100, "the collection is gone for every proxy");
      }
    }
  });

  it("see a write as soon as one of them has acknowledged it, and a delete too", async () => {
    const collectionName = "writes";
    await create(clients[0], collectionName);
    for (let round = 0; round < 25; round++) {
      const writer = clients[round % clients.length];
      await writer.call("entities/insert", { collectionName, data: rowsFrom(round * 10, 10) });
      const id = round * 10 + 7;
      const found = await Promise.all(clients.map((client) => nearest(client, collectionName, id)));
      for (const hit of found) assert.deepEqual([Number(hit.id), hit.text], [id, `t${id}`]);
      await writer.call("entities/delete", { collectionName, filter: `id in [${id}]` });
      const left = await Promise.all(
        clients.map((client) => client.call("entities/query", { collectionName, filter: `id == ${id}`, ...strongly })),
      );
      assert.deepEqual(
        left,
        clients.map(() => []),
      );
    }
  });

  it("write rows of megabytes, flush them and fuse searches over them", async () => {
    const collectionName = "large";
    await create(clients[0], collectionName);
    // Large enough to travel in buffers of their own, both ways.
    const count = 20_000;
    await Promise.all(
      clients.map((client, at) =>
        client.call("entities/insert", {
          collectionName,
          data: rowsFrom((at * count) / clients.length, count / clients.length),
        }),
      ),
    );
    await clients[1].call("collections/flush", { collectionName });
    await clients[2].call("entities/insert", { collectionName, data: rowsFrom(count, 5) });
    const request = { collectionName, filter: "id >= 0", outputFields: ["id", "text"], limit: 16_000, ...strongly };
    const pages = await Promise.all(clients.map((client) => client.call("entities/query", request)));
    for (const page of pages) {
      assert.equal(page.length, 16_000);
      assert.ok(page.every((row, at) => Number(row.id) === at && row.text === `t${at}`));
    }
    const hybrid = {
      collectionName,
      search: [3, count + 3].map((id) => ({ data: [vectorOf(id)], annsField: "vector", limit: 2 })),
      rerank: { strategy: "rrf", params: { k: 60 } },
      limit: 4,
      outputFields: ["text"],
      ...strongly,
    };
    const fused = await Promise.all(clients.map((client) => client.call("entities/hybrid_search", hybrid)));
    for (const hits of fused) {
      assert.deepEqual(hits, fused[0]);
      assert.ok(hits.some((hit) => hit.text === "t3") && hits.some((hit) => hit.text === `t${count + 3}`));
    }
  });

  it("are counted together", async () => {
    const counted = async () => {
      const text = await (await fetch(`${server.metrics}/metrics`)).text();
      return Number(/elanus_calls_total\{call="rest collections\/has",code="0"\} (\d+)/.exec(text)?.[1] ?? 0);
    };
    const before = await counted();
    for (const client of clients) await client.call("collections/has", { collectionName: "none" });
    assert.equal((await counted()) - before, clients.length);
    const status = await (await fetch(`${server.metrics}/status`)).json();
    assert.equal(status.proxies, proxies);
  });
});

describe("a server of several proxies", () => {
  const withFolder = async (work) => {
    const own = mkdtempSync(join(tmpdir(), "elanus-proxies-"));
    try {
      await work(own);
    } finally {
      rmSync(own, { recursive: true, force: true });
    }
  };

  it("speaks TLS, and stops with code 0 while connections are open", () =>
    withFolder(async (own) => {
      writeFileSync(join(own, "cert.pem"), testCertificate);
      writeFileSync(join(own, "key.pem"), testKey);
      const files = ["--tls-cert", join(own, "cert.pem"), "--tls-key", join(own, "key.pem")];
      const secure = await startServer(join(own, "data"), { options: ["--proxies", "3", ...files] });
      const callers = Array.from({ length: 3 }, () => new Client(secure.address, true));
      await create(callers[0], "c");
      for (const caller of callers) assert.deepEqual(await caller.call("collections/list", {}), ["c"]);
      assert.equal(await secure.stop(), 0);
      for (const caller of callers) caller.close();
    }));

  it("ends loudly when the thread of one dies, and nothing acknowledged is lost", () =>
    withFolder(async (own) => {
      const preload = fileURLToPath(new URL("dying-thread.cjs", import.meta.url));
      const options = ["--proxies", "2", "--log-level", "silent"];
      const env = { NODE_OPTIONS: `--require=${preload}` };
      const doomed = await startServer(join(own, "data"), { options, env });
      const caller = new Client(doomed.address);
      await create(caller, "c");
      await caller.call("entities/insert", { collectionName: "c", data: rowsFrom(0, 3) });
      const exited = once(doomed.child, "exit");
      doomed.child.kill("SIGUSR2");
      const [code] = await exited;
      assert.notEqual(code, 0);
      caller.close();
      const next = await startServer(join(own, "data"), { options });
      const again = new Client(next.address);
      assert.equal(Number((await nearest(again, "c", 2)).id), 2);
      again.close();
      assert.equal(await next.stop(), 0);
    }));

  it("refuses Node's listener in the words of its options", async () => {
    const started = startServer("unused", { options: ["--proxies", "2", "--transport", "node"] });
    await assert.rejects(started, /stopped before it was ready \(1\)/);
  });
});
