/** Random DDL against a naive twin: two maps, and the rules of contract/grpc.md 3.3, 3.4, 3.6, 10.2 in a line each. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CollectionId, ChannelName, FieldId, PartitionId } from "@elanus/model/id";
import { defaultLimits } from "@elanus/model/limits";
import { invariant, type Outcome } from "@elanus/model/outcome";
import { plainField, DataType, type CollectionSchema, type FieldSchema } from "@elanus/model/schema";
import type { Timestamp } from "@elanus/model/time";
import { firstDatabase } from "../store.ts";
import { alterAlias, createAlias, dropAlias } from "./alias-ddl.ts";
import { Catalog, channelOf, type Change } from "./catalog.ts";
import { createCollection, dropCollection, renameCollection } from "./collection-ddl.ts";
import { load, release } from "./load-ddl.ts";
import { createPartition, dropPartition } from "./partition-ddl.ts";

const names = fc.constantFrom("a", "b", "c", "d");
const partitions = fc.constantFrom("p", "q");
const dims = fc.constantFrom(2, 4);

type Step =
  | { readonly verb: "create"; readonly name: string; readonly dim: number }
  | { readonly verb: "drop" | "load" | "release"; readonly name: string }
  | { readonly verb: "rename" | "alias" | "realias"; readonly name: string; readonly to: string }
  | { readonly verb: "unalias"; readonly name: string }
  | { readonly verb: "partition" | "unpartition"; readonly name: string; readonly to: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ verb: fc.constant("create" as const), name: names, dim: dims }),
  fc.record({ verb: fc.constantFrom("drop" as const, "load" as const, "release" as const), name: names }),
  fc.record({ verb: fc.constantFrom("rename" as const, "alias" as const, "realias" as const), name: names, to: names }),
  fc.record({ verb: fc.constant("unalias" as const), name: names }),
  fc.record({ verb: fc.constantFrom("partition" as const, "unpartition" as const), name: names, to: partitions }),
);

interface Twin {
  readonly dim: number;
  readonly partitions: Set<string>;
  loaded: boolean;
}

class NaiveCatalog {
  readonly collections = new Map<string, Twin>();
  readonly aliases = new Map<string, Twin>();

  named(name: string): Twin | undefined {
    return this.collections.get(name) ?? this.aliases.get(name);
  }

  /** Whether the verb succeeds; changes the twin when it does. */
  run(one: Step): boolean {
    const { name } = one;
    const real = this.collections.get(name);
    switch (one.verb) {
      case "create":
        if (this.aliases.has(name)) return false;
        if (real !== undefined) return real.dim === one.dim;
        this.collections.set(name, { dim: one.dim, partitions: new Set(), loaded: false });
        return true;
      case "drop":
        if (this.aliases.has(name)) return false;
        if (real !== undefined && [...this.aliases.values()].includes(real)) return false;
        this.collections.delete(name);
        return true;
      case "rename":
        if (name === one.to || real === undefined || this.named(one.to) !== undefined) return false;
        this.collections.delete(name);
        this.collections.set(one.to, real);
        return true;
      case "alias": {
        const holder = this.aliases.get(one.to);
        if (real === undefined || this.collections.has(one.to) || (holder !== undefined && holder !== real))
          return false;
        this.aliases.set(one.to, real);
        return true;
      }
      case "realias":
        if (real === undefined || !this.aliases.has(one.to)) return false;
        this.aliases.set(one.to, real);
        return true;
      case "unalias":
        this.aliases.delete(name);
        return true;
      default:
        return this.runInside(one);
    }
  }

  private runInside(one: Step): boolean {
    const target = this.named(one.name);
    if (target === undefined) return false;
    if (one.verb === "partition") target.partitions.add(one.to);
    if (one.verb === "unpartition") {
      if (target.loaded && target.partitions.has(one.to)) return false;
      target.partitions.delete(one.to);
    }
    // Without an index nothing can be loaded.
    if (one.verb === "load") return false;
    if (one.verb === "release") target.loaded = false;
    return true;
  }
}

function field(name: string, type: DataType, more: Partial<FieldSchema>): FieldSchema {
  return plainField({ id: 0 as FieldId, name, type, ...more });
}

function schemaOf(dim: number): CollectionSchema {
  const fields = [field("id", DataType.int64, { primaryKey: true }), field("v", DataType.floatVector, { dim })];
  return { name: "", description: "", fields, dynamicFieldEnabled: true, version: 0 };
}

class Subject {
  readonly catalog = new Catalog();
  #number = 1_000n;

  constructor() {
    this.catalog.apply({ putDatabases: [firstDatabase(1n as Timestamp)] });
  }

  run(one: Step): Outcome<unknown> {
    this.#number += 10n;
    const at = this.#number as Timestamp;
    const ref = { database: "default", name: one.name };
    const decided = this.#decide(one, ref, at);
    if (decided.ok) this.catalog.apply(decided.value);
    return decided;
  }

  #decide(one: Step, ref: { database: string; name: string }, at: Timestamp): Outcome<Change> {
    const { catalog } = this;
    switch (one.verb) {
      case "create": {
        const allotment = {
          id: this.#number as CollectionId,
          firstPartition: this.#number + 1n,
          at,
          channels: ["p0" as ChannelName],
        };
        const request = {
          ...ref,
          schema: schemaOf(one.dim),
          shards: 1,
          consistency: "bounded" as const,
          properties: {},
        };
        const created = createCollection(catalog, request, allotment, defaultLimits);
        return created.ok ? { ok: true, value: created.value.change } : created;
      }
      case "drop":
        return dropCollection(catalog, ref);
      case "rename":
        return renameCollection(catalog, ref, { ...ref, name: one.to }, at);
      case "alias":
        return createAlias(catalog, ref, one.to);
      case "realias":
        return alterAlias(catalog, ref, one.to);
      case "unalias":
        return dropAlias(catalog, "default", one.name);
      case "partition":
        return createPartition(catalog, {
          ref,
          partition: one.to,
          id: this.#number as PartitionId,
          at,
          partitionsMax: 1_024,
        });
      case "unpartition":
        return dropPartition(catalog, ref, one.to);
      case "load":
        return load(catalog, ref, "all");
      case "release":
        return release(catalog, ref, "all");
    }
  }
}

describe("catalog", () => {
  it("agrees with a naive twin on every verb's outcome and on what is there", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const subject = new Subject();
        const twin = new NaiveCatalog();
        for (const one of steps) {
          const outcome = subject.run(one);
          expect([one, outcome.ok]).toEqual([one, twin.run(one)]);
          const records = [...subject.catalog.collections.values()];
          expect(records.map((record) => record.schema.name).sort()).toEqual([...twin.collections.keys()].sort());
          expect(records.flatMap((record) => record.aliases).sort()).toEqual([...twin.aliases.keys()].sort());
          for (const [alias, target] of twin.aliases) {
            const found = subject.catalog.resolve({ database: "default", name: alias });
            invariant(found.ok, "an alias resolves");
            expect(twin.collections.get(found.value.schema.name)).toBe(target);
          }
          for (const record of records) {
            const others = record.partitions
              .map((partition) => partition.name)
              .filter((name) => name !== "_default")
              .sort();
            expect(others).toEqual([...(twin.collections.get(record.schema.name)?.partitions ?? [])].sort());
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("reads a shard's channel from its name", () => {
    expect(channelOf("p0_1000v3" as Parameters<typeof channelOf>[0])).toBe("p0");
    expect(channelOf("my_channel_12v0" as Parameters<typeof channelOf>[0])).toBe("my_channel");
  });
});
