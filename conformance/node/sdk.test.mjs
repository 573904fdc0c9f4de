/** Milvus's official Node client against a real server. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { DataType, MilvusClient } from "@zilliz/milvus2-sdk-node";
import { startServer } from "./server.mjs";

let folder, server, client;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "elanus-node-"));
  server = await startServer(join(folder, "data"));
  client = new MilvusClient({ address: server.address });
  await client.connectPromise;
});
after(async () => {
  await client?.closeConnection();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function ok(call) {
  const answer = await call;
  const status = answer.status ?? answer;
  assert.equal(status.error_code ?? "Success", "Success", status.reason);
  return answer;
}

const vectorOf = (i) => [Math.cos(i), Math.sin(i), Math.cos(i / 3), Math.sin(i / 3)];
const strong = { consistency_level: 0 };

async function createBooks(name, count) {
  await ok(
    client.createCollection({
      collection_name: name,
      enable_dynamic_field: true,
      fields: [
        { name: "id", data_type: DataType.Int64, is_primary_key: true },
        { name: "title", data_type: DataType.VarChar, max_length: 100 },
        { name: "year", data_type: DataType.Int32, nullable: true },
        { name: "vector", data_type: DataType.FloatVector, dim: 4 },
      ],
      index_params: [
        { field_name: "vector", index_type: "HNSW", metric_type: "L2", params: { M: 8, efConstruction: 64 } },
      ],
    }),
  );
  const data = Array.from({ length: count }, (_, i) => ({
    id: i,
    title: `book ${i}`,
    year: i % 4 === 0 ? null : 1900 + i,
    vector: vectorOf(i),
    shelf: i % 3,
  }));
  const inserted = await ok(client.insert({ collection_name: name, data }));
  assert.equal(inserted.insert_cnt, String(count));
  await ok(client.loadCollectionSync({ collection_name: name }));
}

describe("the Node SDK", () => {
  it("tells version and health", async () => {
    assert.match((await client.getVersion()).version, /\d+\.\d+\.\d+/);
    assert.equal((await client.checkHealth()).isHealthy, true);
    assert.ok((await client.listDatabases()).db_names.includes("default"));
  });

  it("creates, inserts, searches, queries, deletes", async () => {
    await createBooks("node_books", 60);
    const found = await ok(
      client.search({
        collection_name: "node_books",
        data: [vectorOf(17)],
        limit: 3,
        output_fields: ["id", "title", "shelf"],
        ...strong,
      }),
    );
    const hits = found.results.flat();
    assert.equal(hits[0].id, "17");
    assert.equal(hits[0].title, "book 17");
    assert.equal(hits[0].shelf, 17 % 3);
    assert.equal(hits.length, 3);

    const rows = await ok(
      client.query({
        collection_name: "node_books",
        filter: "year is null and id < 20",
        output_fields: ["id", "title"],
        ...strong,
      }),
    );
    assert.deepEqual(
      rows.data.map((row) => row.id),
      ["0", "4", "8", "12", "16"],
    );

    await ok(client.delete({ collection_name: "node_books", ids: [17] }));
    const counted = await ok(client.count({ collection_name: "node_books", expr: "", ...strong }));
    assert.equal(Number(counted.data), 59);
    await ok(
      client.upsert({
        collection_name: "node_books",
        data: [{ id: 3, title: "third", year: 3, vector: vectorOf(3), shelf: 9 }],
      }),
    );
    const got = await ok(
      client.get({ collection_name: "node_books", ids: [3], output_fields: ["title", "shelf"], ...strong }),
    );
    assert.equal(got.data[0].title, "third");
    await ok(client.dropCollection({ collection_name: "node_books" }));
  });

  it("describes, lists, renames, has", async () => {
    await createBooks("node_catalog", 5);
    const described = await ok(client.describeCollection({ collection_name: "node_catalog" }));
    assert.deepEqual(
      described.schema.fields.map((field) => field.name),
      ["id", "title", "year", "vector"],
    );
    await ok(client.renameCollection({ collection_name: "node_catalog", new_collection_name: "node_renamed" }));
    assert.equal((await client.hasCollection({ collection_name: "node_catalog" })).value, false);
    assert.equal((await client.hasCollection({ collection_name: "node_renamed" })).value, true);
    const listed = await ok(client.showCollections());
    assert.ok(listed.data.some((one) => one.name === "node_renamed"));
    const index = await ok(client.describeIndex({ collection_name: "node_renamed" }));
    assert.equal(index.index_descriptions[0].field_name, "vector");
    await ok(client.flushSync({ collection_names: ["node_renamed"] }));
    const segments = await ok(client.getPersistentSegmentInfo({ collectionName: "node_renamed" }));
    assert.deepEqual(
      segments.infos.map((segment) => [segment.num_rows, segment.state, segment.is_sorted]),
      [["5", "Flushed", true]],
      "a tool that waits until flushed segments are sorted must not wait for ever",
    );
    const statistics = await ok(client.getCollectionStatistics({ collection_name: "node_renamed" }));
    assert.equal(statistics.data.row_count, "5");
    await ok(client.createAlias({ collection_name: "node_renamed", alias: "node_alias" }));
    assert.equal(
      (await ok(client.describeAlias({ collection_name: "node_renamed", alias: "node_alias" }))).collection,
      "node_renamed",
    );
    await ok(client.dropAlias({ collection_name: "node_renamed", alias: "node_alias" }));
    await ok(client.createPartition({ collection_name: "node_renamed", partition_name: "p1" }));
    assert.equal((await client.hasPartition({ collection_name: "node_renamed", partition_name: "p1" })).value, true);
    await ok(client.releaseCollection({ collection_name: "node_renamed" }));
    assert.equal((await client.getLoadState({ collection_name: "node_renamed" })).state, "LoadStateNotLoad");
  });

  it("fuses searches", async () => {
    await createBooks("node_hybrid", 40);
    const answer = await ok(
      client.search({
        collection_name: "node_hybrid",
        data: [
          { anns_field: "vector", data: vectorOf(5), params: { ef: 32 } },
          { anns_field: "vector", data: vectorOf(5), params: { ef: 32 } },
        ],
        limit: 4,
        output_fields: ["id", "title"],
        ...strong,
      }),
    );
    assert.equal(answer.results.flat()[0].id, "5");
  });

  it("groups, and tells how a search and a query were answered", async () => {
    await createBooks("node_explain", 60);
    const near = { collection_name: "node_explain", data: [vectorOf(17)], limit: 3, output_fields: ["id", "year"] };
    const grouped = await ok(
      client.search({
        ...near,
        filter: "year is not null",
        group_by_field: "title",
        params: { explain: true },
        ...strong,
      }),
    );
    const ids = grouped.results.flat().map((hit) => hit.id);
    assert.equal(ids[0], "17");
    assert.equal(new Set(ids).size, 3);
    const search = JSON.parse(grouped.status.extra_info.explain);
    const searched = search.searches[0].nodes.flatMap((node) => node.segments);
    assert.equal(
      searched.reduce((sum, segment) => sum + segment.visible, 0),
      60,
    );
    const query = { collection_name: "node_explain", filter: "id < 20", output_fields: ["id"], ...strong };
    const rows = await ok(client.query({ ...query, params: { explain: true } }));
    const read = JSON.parse(rows.status.extra_info.explain).nodes.flatMap((node) => node.segments);
    assert.equal(
      read.reduce((sum, segment) => sum + segment.visited, 0),
      rows.data.length,
    );
    assert.deepEqual((await ok(client.query(query))).status.extra_info, {}, "nobody asked");
  });

  it("keeps geometries", async () => {
    const name = "node_places";
    await ok(
      client.createCollection({
        collection_name: name,
        fields: [
          { name: "id", data_type: DataType.Int64, is_primary_key: true },
          { name: "place", data_type: DataType.Geometry, nullable: true },
          { name: "vector", data_type: DataType.FloatVector, dim: 4 },
        ],
        index_params: [
          { field_name: "vector", index_type: "FLAT", metric_type: "L2" },
          { field_name: "place", index_type: "RTREE" },
        ],
      }),
    );
    const data = Array.from({ length: 40 }, (_, i) => ({
      id: i,
      place: i % 4 === 0 ? null : `POINT (${i} ${i})`,
      vector: vectorOf(i),
    }));
    await ok(client.insert({ collection_name: name, data }));
    await ok(client.loadCollectionSync({ collection_name: name }));
    const square = "st_within(place, 'POLYGON ((4 4, 9 4, 9 9, 4 9, 4 4))')";
    const within = { collection_name: name, filter: square, output_fields: ["id", "place"], ...strong };
    const expected = [5, 6, 7].map((i) => ({ id: String(i), place: `POINT (${i} ${i})` }));
    assert.deepEqual((await ok(client.query(within))).data, expected);
    await ok(client.flushSync({ collection_names: [name] }));
    assert.deepEqual((await ok(client.query(within))).data, expected);
    const nulls = await ok(client.count({ collection_name: name, expr: "place is null", ...strong }));
    assert.equal(Number(nulls.data), 10);
    const wrong = await client.insert({
      collection_name: name,
      data: [{ id: 99, place: "POINT (1)", vector: vectorOf(1) }],
    });
    assert.match(wrong.status.reason, /invalid Geometry data/);
  });

  it("iterates over a query", async () => {
    await createBooks("node_iterator", 100);
    const iterator = await client.queryIterator({
      collection_name: "node_iterator",
      batchSize: 30,
      expr: "id >= 0",
      output_fields: ["id"],
    });
    const seen = [];
    for await (const page of iterator) seen.push(...page.map((row) => Number(row.id)));
    assert.deepEqual(
      seen,
      Array.from({ length: 100 }, (_, i) => i),
    );
  });

  it("explains mistakes", async () => {
    const missing = await client.describeCollection({ collection_name: "node_absent" });
    assert.equal(missing.status.error_code, "CollectionNotExists");
    assert.match(missing.status.reason, /can't find collection\[database=default\]\[collection=node_absent\]/);
  });
});
