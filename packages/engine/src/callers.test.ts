/** Answers that go to a promise by its number: the same bytes as those that come back from the call. */
import type { FieldId } from "@elanus/model/id";
import { DataType, plainField } from "@elanus/model/schema";
import { describe, expect, it } from "vitest";
import type { NativePool, NativeSearch } from "./addon.ts";
import { loadAddon } from "./load.ts";
import { compileSchema } from "./rows.ts";

const addon = loadAddon();
const schema = compileSchema(addon, {
  name: "c",
  description: "",
  fields: [
    plainField({ id: 100 as FieldId, name: "id", type: DataType.int64, primaryKey: true }),
    plainField({ id: 101 as FieldId, name: "vec", type: DataType.floatVector, dim: 2 }),
  ],
  dynamicFieldEnabled: false,
  version: 0,
});
const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const shape = new addon.AnswerShape(schema, 0, 3, true, {
  fields: [100],
  outputFields: ["id"],
  dynamicKeys: [],
  metric: "L2",
  roundDecimal: -1,
  topK: 3,
  int64AsText: false,
});

function searchFor(x: number, topK = 3): NativeSearch {
  const segment = addon.Segment.growing(schema, 1n);
  const rows = Array.from({ length: 100 }, (_, id) => ({ id, vec: [id, 0] }));
  segment.append(addon.Rows.fromJson(schema, json(rows), { upsert: false, allowInsertAutoId: false }).encode(), 1n);
  const placeholders = addon.placeholdersFromJson(schema, 101, json([[x, 0.1]]));
  return { segments: [segment], field: 101, metric: "L2", placeholders, topK, snapshot: 9n, params: "{}" };
}

describe.each([0, 2])("answers for callers, from a pool of %i threads", (threads) => {
  const pool: NativePool = new addon.Pool(threads);

  it("are those of answerSearch, each for its own caller", async () => {
    const callers = [new addon.Callers(), new addon.Callers()];
    const asked = Array.from({ length: 40 }, (_, at) => {
      const caller = callers[at % 2] ?? new addon.Callers();
      const id = caller.first + at;
      return { id, request: searchFor(at), answer: caller.promise(id) };
    });
    for (const { id, request } of asked.toReversed()) addon.deliverSearch(pool, request, shape, id);
    for (const { request, answer } of asked) {
      expect(await answer).toEqual(await addon.answerSearch(pool, request, shape, false));
    }
  });

  it("are the same from the calling thread, once searches have been quick", async () => {
    const expected = await addon.answerSearch(pool, searchFor(3), shape, false);
    let here: Uint8Array | undefined;
    // A busy machine may take its time with a few of them.
    for (let asked = 0; here === undefined && asked < 1_000; asked += 1) {
      const answer = addon.answerSearch(pool, searchFor(3), shape, true);
      if (answer instanceof Uint8Array) here = answer;
      else await answer;
    }
    expect(here).toEqual(expected);
    expect(() => addon.answerSearch(pool, { ...searchFor(1), field: 77 }, shape, true)).toThrow();
  });

  it("fail for the caller alone", async () => {
    const callers = new addon.Callers();
    const refused = callers.promise(callers.first);
    addon.deliverSearch(pool, { ...searchFor(1), field: 77 }, shape, callers.first);
    await expect(refused).rejects.toMatchObject({ code: expect.any(String) as string });
  });

  it("are nothing once they are forgotten, and a search for nobody does no harm", async () => {
    const callers = new addon.Callers();
    const forgotten = callers.promise(callers.first);
    callers.forget(callers.first);
    callers.forget(callers.first);
    expect(await forgotten).toBeUndefined();
    addon.deliverSearch(pool, searchFor(1), shape, callers.first);
  });
});
