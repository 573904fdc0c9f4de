/**
 * A real server under concurrent insert, upsert, delete and flush is killed with SIGKILL at random moments and
 * started again over the same folder. After every restart each acknowledged write must be there and no deleted
 * row back. A write whose answer never came may have happened or not, but stays as it was first seen.
 *
 *   ELANUS_KILLS=200 ELANUS_SEED=1 node --test conformance/durability/
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { DataType, MilvusClient } from "@zilliz/milvus2-sdk-node";
import { startServer } from "../node/server.mjs";

const kills = Number(process.env.ELANUS_KILLS ?? 6);
const seed = Number(process.env.ELANUS_SEED ?? Date.now() % 100_000);
const keysPerWriter = 400;
const writers = 4;

/** Small seeded generator (mulberry32), so that a failing run's choices can be repeated. */
function generator(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What each key may hold: the last acknowledged version, and the versions of unanswered writes after it. */
class Model {
  #keys = new Map();

  begin(keys, version) {
    for (const key of keys) this.#of(key).pending.push(version);
  }

  acknowledge(keys, version) {
    for (const key of keys) this.#keys.set(key, { certain: version, pending: [] });
  }

  check(seen) {
    for (const [key, { certain, pending }] of this.#keys) {
      const version = seen.get(key) ?? 0;
      const allowed = [certain, ...pending];
      assert.ok(allowed.includes(version), `key ${key} holds version ${version}, allowed are ${allowed} (0 is absent)`);
      this.#keys.set(key, { certain: version, pending: [] });
    }
    for (const key of seen.keys()) assert.ok(this.#keys.has(key), `key ${key} was never written`);
  }

  #of(key) {
    let state = this.#keys.get(key);
    if (state === undefined) this.#keys.set(key, (state = { certain: 0, pending: [] }));
    return state;
  }
}

async function write(client, model, writer, random, nextVersion, stopped) {
  while (!stopped()) {
    const keys = [
      ...new Set(
        Array.from(
          { length: 1 + Math.floor(random() * 20) },
          () => writer * keysPerWriter + Math.floor(random() * keysPerWriter),
        ),
      ),
    ];
    const removing = random() < 0.25;
    const version = removing ? 0 : nextVersion();
    model.begin(keys, version);
    const rows = keys.map((id) => ({ id, version, vector: [id, version % 1_000, 1, 0] }));
    const call = removing
      ? client.delete({ collection_name: "t", ids: keys })
      : random() < 0.5
        ? client.insert({ collection_name: "t", data: rows })
        : client.upsert({ collection_name: "t", data: rows });
    const answer = await call.catch(() => undefined);
    if (answer === undefined || stopped()) return;
    if (answer.status.error_code === "Success") model.acknowledge(keys, version);
  }
}

async function flushNowAndThen(client, random, stopped) {
  while (!stopped()) {
    const answer = await client.flush({ collection_names: ["t"] }).catch(() => undefined);
    if (answer === undefined) return;
    if (random() < 0.3) await client.compact({ collection_name: "t" }).catch(() => undefined);
    await new Promise((wake) => setTimeout(wake, random() * 150));
  }
}

async function readAll(client) {
  const seen = new Map();
  const answer = await client.query({
    collection_name: "t",
    filter: "id >= 0",
    output_fields: ["id", "version"],
    consistency_level: 0,
  });
  assert.equal(answer.status.error_code, "Success", answer.status.reason);
  for (const row of answer.data) {
    assert.ok(!seen.has(Number(row.id)), `key ${row.id} came twice`);
    seen.set(Number(row.id), Number(row.version));
  }
  return seen;
}

/**
 * The client gives up on its first refused connection; a server that is ready deserves a second try. Every client
 * keeps connections of its own: from gRPC's shared pool it could get one that still waits after the death of an
 * earlier server on the same port, and every try at it would fail at once.
 */
async function connect(server) {
  const channelOptions = { "grpc.use_local_subchannel_pool": 1 };
  for (let attempt = 1; ; attempt++) {
    const client = new MilvusClient({ address: server.address, maxRetries: 0, timeout: 30_000, channelOptions });
    try {
      await client.connectPromise;
      if ((await client.getVersion()).version) return client;
    } catch (error) {
      if (attempt === 5) throw error;
    }
    await client.closeConnection().catch(() => undefined);
  }
}

it(`loses nothing over ${kills} kills (seed ${seed})`, { timeout: 20_000 + kills * 30_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "elanus-kill-"));
  const random = generator(seed);
  const model = new Model();
  let version = 0;
  let server = await startServer(join(folder, "data"), { env: { ELANUS_RETENTION_SECONDS: "0" } });
  try {
    let client = await connect(server);
    const created = await client.createCollection({
      collection_name: "t",
      fields: [
        { name: "id", data_type: DataType.Int64, is_primary_key: true },
        { name: "version", data_type: DataType.Int64 },
        { name: "vector", data_type: DataType.FloatVector, dim: 4 },
      ],
      index_params: [
        { field_name: "vector", index_type: "HNSW", metric_type: "L2", params: { M: 8, efConstruction: 40 } },
      ],
    });
    assert.equal(created.error_code ?? "Success", "Success", created.reason);
    await client.loadCollectionSync({ collection_name: "t" });
    for (let round = 0; round < kills; round++) {
      let stop = false;
      const stopped = () => stop;
      const work = [
        ...Array.from({ length: writers }, (_, writer) =>
          write(client, model, writer, random, () => ++version, stopped),
        ),
        flushNowAndThen(client, random, stopped),
      ];
      await new Promise((wake) => setTimeout(wake, 200 + random() * 1_800));
      stop = true;
      await server.kill();
      await Promise.all(work);
      await client.closeConnection();
      server = await startServer(join(folder, "data"), { env: { ELANUS_RETENTION_SECONDS: "0" } });
      client = await connect(server);
      model.check(await readAll(client));
      if ((round + 1) % 20 === 0) process.stdout.write(`# ${round + 1} kills survived\n`);
    }
    await client.closeConnection();
    assert.equal(await server.stop(), 0);
  } finally {
    server.child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
});
