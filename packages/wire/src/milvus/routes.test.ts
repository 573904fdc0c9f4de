/** Whatever arrives, every call gives an answer of its own kind. */
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import type protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { restGaps } from "../rest/answer.ts";
import {
  ClientTelemetryServiceMethods,
  ClientTelemetryServiceName,
  HealthName,
  MilvusServiceMethods,
  MilvusServiceName,
} from "../gen/services.ts";
import { CollectionSchemaCodec } from "../gen/schema.ts";
import { decode, encode, type Method } from "../protobuf/runtime.ts";
import { TestClient } from "../testing/client.ts";
import { messageArbitrary, protocolRoot } from "../testing/random-messages.ts";
import { knownGaps, milvusRoutes } from "./routes.ts";

const root = protocolRoot();
const methods = new Map<string, Method<unknown, unknown>>([
  ...Object.entries(MilvusServiceMethods).map(([name, method]) => [`/${MilvusServiceName}/${name}`, method] as const),
  ...Object.entries(ClientTelemetryServiceMethods).map(
    ([name, method]) => [`/${ClientTelemetryServiceName}/${name}`, method] as const,
  ),
]);
const paths = [...methods.keys()];

interface AnyStatus {
  readonly code: number;
  readonly errorCode: number;
  readonly reason: string;
}

/** The status a response carries; undefined where its type has none. */
function statusIn(path: string, body: Uint8Array): AnyStatus | undefined {
  const method = methods.get(path);
  if (method?.statusField === undefined) return undefined;
  const message = decode(method.response, body) as Record<string, unknown>;
  return (method.statusField === "self" ? message : message[method.statusField]) as AnyStatus;
}

function expectAnswer(path: string, answer: { readonly status: number; readonly body: Uint8Array }): void {
  // Malformed bytes are the caller's fault, unserved calls are unimplemented; nothing else ends as a gRPC failure.
  expect([0, 3, 12]).toContain(answer.status);
  if (answer.status !== 0) return;
  const status = statusIn(path, answer.body);
  if (status === undefined) return;
  expect(status.code === 0).toBe(status.errorCode === 0);
  expect(status.code === 5 ? status.reason : "").toBe("");
  if (status.code !== 0) expect(status.reason).not.toBe("");
}

function knownNames(type: protobuf.Type): Record<string, unknown> {
  const names: Record<string, unknown> = {
    collectionName: "c",
    dbName: "default",
    alias: "a",
    partitionName: "_default",
  };
  return Object.fromEntries(
    Object.entries(names).filter(([name]) => type.fields[name]?.type === "string" && !type.fields[name]?.repeated),
  );
}

describe("routes", () => {
  test("cover every method of the services", () => {
    expect([...milvusRoutes.keys()].sort()).toEqual([...paths].sort());
  });

  test("the calls not served are those of conformance/known-gaps.yaml", () => {
    const text = readFileSync(new URL("../../../../conformance/known-gaps.yaml", import.meta.url), "utf8");
    const listed = [...text.matchAll(/^ {2}(\S+\/\S+): (status|grpc)$/gm)].map(([, call, answer]) => ({
      call,
      answer,
    }));
    expect(listed).toEqual([...knownGaps].sort((a, b) => (a.call < b.call ? -1 : 1)));
    const rest = [...text.matchAll(/^ {2}- (\S+)$/gm)].map(([, path]) => path);
    expect(rest).toEqual([...restGaps].sort());
  });

  test("an unknown method is unimplemented", async () => {
    expect(await new TestClient().send("/milvus.proto.milvus.MilvusService/Nope", new Uint8Array(0))).toMatchObject({
      status: 12,
    });
    expect(
      await new TestClient().send("/milvus.proto.milvus.ProxyService/RegisterLink", new Uint8Array(0)),
    ).toMatchObject({ status: 12 });
  });

  test("calls not served yet say so by name", async () => {
    const client = new TestClient();
    for (const { call, answer } of knownGaps) {
      const given = await client.send(`/${call}`, new Uint8Array(0));
      expect(given.status).toBe(answer === "grpc" ? 12 : 0);
      if (answer === "grpc") continue;
      const status = statusIn(`/${call}`, given.body);
      expect(status).toMatchObject({ code: 10, errorCode: 1 });
      expect(status?.reason).toContain(call.split("/")[1]);
    }
  });

  test("health is serving, and may be watched", async () => {
    const client = new TestClient();
    expect(await client.send(`/${HealthName}/Check`, new Uint8Array(0))).toMatchObject({
      status: 0,
      body: Buffer.from([8, 1]),
    });
    expect(await client.send(`/${HealthName}/Watch`, new Uint8Array(0))).toMatchObject({ keepOpen: true });
  });
});

describe("bad input", () => {
  test("an empty message to every call", async () => {
    const client = new TestClient();
    for (const path of paths) expectAnswer(path, await client.send(path, new Uint8Array(0)));
  });

  test("random bytes to any call", async () => {
    const client = new TestClient();
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), fc.uint8Array({ maxLength: 100 }), async (path, bytes) => {
        expectAnswer(path, await client.send(path, bytes));
      }),
      { numRuns: 3_000 },
    );
  });

  test("random well-formed messages to every call", async () => {
    const client = new TestClient();
    const fields = [
      { name: "id", isPrimaryKey: true, dataType: 5 },
      { name: "v", dataType: 101, typeParams: [{ key: "dim", value: "4" }] },
    ];
    await client.call("CreateCollection", { collectionName: "c", schema: encode(CollectionSchemaCodec, { fields }) });
    for (const path of paths.filter((one) => !/Drop(Collection|Database)$/.test(one))) {
      const [, service, name] = /^\/(.+)\/(\w+)$/.exec(path) ?? [];
      const method = root.lookupService(service ?? "").methods[name ?? ""];
      const type = method?.resolve() === method ? method?.resolvedRequestType : undefined;
      if (type === undefined || type === null) throw new Error(`no descriptor of ${path}`);
      await fc.assert(
        fc.asyncProperty(messageArbitrary(type), fc.boolean(), async (message, known) => {
          // Half of them name a collection that is there, so that they get past the first check.
          const named = known ? { ...message, ...knownNames(type) } : message;
          expectAnswer(path, await client.send(path, type.encode(named).finish()));
        }),
        { numRuns: 12 },
      );
    }
  });

  test("every error of the database becomes a status, on every call", async () => {
    const client = new TestClient();
    client.proxy.failure = { kind: "overloaded", what: "growing data" };
    const served = paths.filter((path) => !knownGaps.some((gap) => `/${gap.call}` === path));
    for (const path of served) expectAnswer(path, await client.send(path, new Uint8Array(0)));
  });

  test("a bug below becomes an internal error of that call", async () => {
    const client = new TestClient();
    client.proxy.thrown = new Error("broken invariant");
    const answer = await client.call("ListDatabases", {});
    expect(answer.status).toMatchObject({ code: 5, reason: "ListDatabases: broken invariant: service internal error" });
  });
});
