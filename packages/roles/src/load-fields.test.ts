/** Collections that are loaded in part: what reads may name then. */
import { afterEach, expect, test } from "vitest";
import type { LoadFields } from "@elanus/model/contract/coordinator";
import { DataType } from "@elanus/model/schema";
import {
  create,
  field,
  idField,
  insert,
  memoryStores,
  must,
  openSmall,
  query,
  ref,
  search,
  type SmallDatabase,
  vector,
} from "./testing/small-database.ts";

let database: SmallDatabase | undefined;
afterEach(() => database?.stop());

async function loadedWith(fields: LoadFields): Promise<SmallDatabase> {
  database = await openSmall(memoryStores());
  const text = field("t", DataType.varChar, { lengthMax: 20 });
  await create(database, [idField, vector, field("w", DataType.floatVector, { dim: 2 }), text], { dynamic: true });
  await insert(database, [{ id: 1, v: [0, 0], w: [1, 1], t: "a", color: "red" }]);
  const { catalog } = database.proxy;
  must(await catalog.release(ref, "all"));
  must(await catalog.load(ref, "all", fields));
  return database;
}

const refusal = async (read: Promise<unknown>): Promise<string> =>
  read.then(
    () => "nothing was refused",
    (cause: unknown) => (cause instanceof Error ? cause.message : String(cause)),
  );

test("a read names loaded fields only", async () => {
  const of = await loadedWith({ names: ["id", "v"], skipDynamic: true });
  const anns = { anns_field: "v" };
  expect(await query(of, "id == 1", ["*"])).toEqual([{ id: 1, v: [0, 0] }]);
  expect(await search(of, [[0, 0]], { params: anns })).toEqual([[{ id: 1, distance: 0 }]]);
  for (const [read, text] of [
    [query(of, "id == 1", ["t"]), "field t is not loaded"],
    [query(of, 't == "a"', ["id"]), "field t is not loaded"],
    [query(of, 'color == "red"', ["id"]), "field color is dynamic but dynamic field is not loaded"],
    [query(of, "id == 1", ["color"]), "field color cannot be returned since dynamic field not loaded"],
    [search(of, [[0, 0]], { params: { anns_field: "w" } }), "ann field w not loaded"],
    [search(of, [[0, 0]], { params: anns, outputFields: ["t"] }), "field t is not loaded"],
    [search(of, [[0, 0]], { params: anns, filter: 't > "a"' }), "field t is not loaded"],
    [search(of, [[0, 0]], { params: { ...anns, group_by_field: "t" } }), "field t is not loaded"],
  ] as const) {
    expect(await refusal(read)).toContain(text);
  }
});

test("the dynamic field comes along unless it is left out; a load without a list is another one", async () => {
  const of = await loadedWith({ names: ["id", "v"], skipDynamic: false });
  expect(await query(of, 'color == "red"', ["*"])).toEqual([{ id: 1, v: [0, 0], color: "red" }]);
  const again = await of.proxy.catalog.load(ref, "all");
  expect(again).toMatchObject({ error: { message: "can't change the load field list for loaded collection" } });
  must(await of.proxy.catalog.release(ref, "all"));
  must(await of.proxy.catalog.load(ref, "all"));
  expect(await query(of, "id == 1", ["t"])).toEqual([{ id: 1, t: "a" }]);
});
