/** Collections as the proxy uses them, kept while the catalog's version stays the same. */
import type { CollectionInfo } from "@elanus/model/catalog";
import type { CollectionRef, CoordinatorContract } from "@elanus/model/contract/coordinator";
import type { NodeId, ShardId } from "@elanus/model/id";
import { invariant, succeed, type Outcome } from "@elanus/model/outcome";
import type { CollectionSchema } from "@elanus/model/schema";
import { compileSchema } from "@elanus/engine/rows";
import { attemptNow } from "@elanus/segment/native-engine";
import type { ProxyEngine } from "./config.ts";

export type CompiledSchema = ReturnType<typeof compileSchema>;

/** Shards with one owner and one channel: they take one append. */
export interface Owned {
  readonly node: NodeId;
  readonly channel: string;
  readonly shards: readonly ShardId[];
}

export interface KnownCollection {
  readonly info: CollectionInfo;
  readonly schema: CollectionSchema;
  readonly compiled: CompiledSchema;
  readonly owners: readonly Owned[];
}

/** Collections of one version that are kept; the map is emptied when it is full or the version moves. */
const ENTRIES_MAX = 10_000;

export class CatalogCache {
  readonly #coordinator: CoordinatorContract;
  readonly #engine: ProxyEngine;
  readonly #entries = new Map<string, KnownCollection>();
  /** Compiled schemas outlive versions: most catalog changes leave a schema as it is. */
  readonly #compiled = new Map<string, { readonly schema: CollectionSchema; readonly compiled: CompiledSchema }>();
  #version = -1;

  constructor(coordinator: CoordinatorContract, engine: ProxyEngine) {
    this.#coordinator = coordinator;
    this.#engine = engine;
  }

  async collection(ref: CollectionRef): Promise<Outcome<KnownCollection>> {
    const version = await this.#coordinator.catalogVersion();
    if (!version.ok) return version;
    if (version.value !== this.#version || this.#entries.size >= ENTRIES_MAX) {
      this.#entries.clear();
      this.#version = version.value;
    }
    const key = `${ref.database}/${ref.name}`;
    const known = this.#entries.get(key);
    if (known !== undefined) return succeed(known);
    const fresh = await this.#describe(ref);
    // Only what was read after the version check may be kept under that version.
    if (fresh.ok && this.#version === version.value) this.#entries.set(key, fresh.value);
    return fresh;
  }

  async #describe(ref: CollectionRef): Promise<Outcome<KnownCollection>> {
    const info = await this.#coordinator.describeCollection(ref);
    if (!info.ok) return info;
    const placed = await this.#coordinator.placement(info.value.shards);
    if (!placed.ok) return placed;
    const owners = new Map<string, { node: NodeId; channel: string; shards: ShardId[] }>();
    for (const { shard, streamingNode } of placed.value) {
      const channel = channelOf(shard);
      const key = `${streamingNode}/${channel}`;
      const owned = owners.get(key) ?? { node: streamingNode, channel, shards: [] };
      owned.shards.push(shard);
      owners.set(key, owned);
    }
    const compiled = this.#compile(info.value);
    if (!compiled.ok) return compiled;
    const { schema } = info.value;
    return succeed({ info: info.value, schema, compiled: compiled.value, owners: [...owners.values()] });
  }

  #compile(info: CollectionInfo): Outcome<CompiledSchema> {
    const key = String(info.id);
    const held = this.#compiled.get(key);
    if (held !== undefined && held.schema === info.schema) return succeed(held.compiled);
    const compiled = attemptNow(() => compileSchema(this.#engine.addon, info.schema));
    if (!compiled.ok) return compiled;
    if (this.#compiled.size >= ENTRIES_MAX) this.#compiled.clear();
    this.#compiled.set(key, { schema: info.schema, compiled: compiled.value });
    return compiled;
  }
}

/** Text before the last underscore of a shard's name. */
function channelOf(shard: ShardId): string {
  const cut = shard.lastIndexOf("_");
  invariant(cut > 0, `shard name holds its channel: ${shard}`);
  return shard.slice(0, cut);
}
