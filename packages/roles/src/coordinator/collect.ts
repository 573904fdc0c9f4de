/** Deletes objects that no manifest has needed for the grace time. */
import type { World } from "@elanus/platform/ports/world";
import type { ManifestBook } from "./manifests.ts";
import type { Catalog } from "./state/catalog.ts";
import { findGarbage } from "./state/garbage.ts";

const PREFIXES = ["segments/", "manifests/"] as const;

export class GarbageCollector {
  readonly #world: World;
  readonly #catalog: () => Catalog;
  readonly #manifests: ManifestBook;
  readonly #graceMs: number;
  #seen: ReadonlyMap<string, number> = new Map();
  #nextMs: number;

  constructor(world: World, catalog: () => Catalog, manifests: ManifestBook, graceMs: number) {
    this.#world = world;
    this.#catalog = catalog;
    this.#manifests = manifests;
    this.#graceMs = graceMs;
    this.#nextMs = world.clock.monotonicMs();
  }

  /** A look at most four times in a grace time. */
  async collectIfDue(): Promise<void> {
    const nowMs = this.#world.clock.monotonicMs();
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + this.#graceMs / 4;
    await this.collect(nowMs);
  }

  async collect(nowMs: number): Promise<void> {
    const stored: string[] = [];
    for (const prefix of PREFIXES) {
      const keys = await this.#world.objects.list(prefix);
      if (!keys.ok) return;
      stored.push(...keys.value);
    }
    this.#manifests.retain(new Set([...this.#catalog().collections.values()].flatMap((record) => record.shards)));
    if (!(await this.#manifests.settleAll())) return;
    // Listed first, referenced after: a commit in between can only take keys off the list.
    const verdict = findGarbage(stored, this.#manifests.referenced(), this.#seen, nowMs, this.#graceMs);
    this.#seen = verdict.unreferencedSince;
    for (const key of verdict.condemned) {
      const deleted = await this.#manifests.deleteGarbage(key);
      if (!deleted.ok) this.#world.telemetry.log("warn", "garbage not deleted", { key, error: deleted.error });
    }
  }
}
