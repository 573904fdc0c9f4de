/**
 * What a read of a shard looks at. A view never changes; apply and hand-over replace it. Readers hold views, so
 * a segment may be closed only when neither the current view nor a held one names it.
 */
import type { LoadState, SealedSegmentMeta } from "@elanus/model/catalog";
import type { DbError } from "@elanus/model/error";
import type { PartitionId, SegmentId } from "@elanus/model/id";
import { invariant } from "@elanus/model/outcome";

/** The part of a growing segment that decisions need. */
export interface GrowingRef {
  readonly identity: { readonly id: SegmentId; readonly partition: PartitionId };
}

/** Keys of the delete file and of the index files that a load attached. */
export interface Attachment {
  readonly deletes: string;
  readonly indexes: string;
}

export interface SealedEntry {
  readonly meta: SealedSegmentMeta;
  /** Live: open on the query node and given every tombstone as it is applied. */
  readonly live: boolean;
  /** What the last load attached. */
  readonly attached?: Attachment;
  /** Why it could not be opened. */
  readonly failure?: DbError;
}

export interface View<G extends GrowingRef> {
  readonly growing: readonly G[];
  readonly sealed: readonly SealedEntry[];
}

/** Segments that no view names any more. */
export interface Unreferenced<G> {
  readonly growing: readonly G[];
  readonly sealed: readonly SegmentId[];
}

export class ViewKeeper<G extends GrowingRef> {
  #current: View<G> = { growing: [], sealed: [] };
  readonly #held = new Map<View<G>, number>();

  get current(): View<G> {
    return this.#current;
  }

  hold(): View<G> {
    this.#held.set(this.#current, (this.#held.get(this.#current) ?? 0) + 1);
    return this.#current;
  }

  replace(next: View<G>): Unreferenced<G> {
    const before = this.#current;
    this.#current = next;
    return this.#held.has(before) ? { growing: [], sealed: [] } : this.#unreferencedOf(before);
  }

  release(view: View<G>): Unreferenced<G> {
    const users = this.#held.get(view);
    invariant(users !== undefined, "a released view was held");
    if (users > 1) {
      this.#held.set(view, users - 1);
      return { growing: [], sealed: [] };
    }
    this.#held.delete(view);
    return view === this.#current ? { growing: [], sealed: [] } : this.#unreferencedOf(view);
  }

  /** True while a view, current or held, names the sealed segment as live. */
  names(id: SegmentId): boolean {
    const views = [this.#current, ...this.#held.keys()];
    return views.some((view) => view.sealed.some((entry) => entry.live && entry.meta.id === id));
  }

  #unreferencedOf(view: View<G>): Unreferenced<G> {
    const alive = [this.#current, ...this.#held.keys()];
    const growing = view.growing.filter((segment) => !alive.some((other) => other.growing.includes(segment)));
    const live = view.sealed.filter((entry) => entry.live).map((entry) => entry.meta.id);
    return { growing, sealed: live.filter((id) => !this.names(id)) };
  }
}

/** Where a read goes, or why it cannot yet. */
export type Targets<G> =
  | { readonly kind: "ready"; readonly growing: readonly G[]; readonly sealed: readonly SegmentId[] }
  | { readonly kind: "opening" }
  | { readonly kind: "released" }
  | { readonly kind: "failed"; readonly error: DbError };

export interface TargetScope {
  readonly partitions: "all" | readonly PartitionId[];
  readonly ignoreGrowing: boolean;
}

export function targetsOf<G extends GrowingRef>(view: View<G>, load: LoadState, scope: TargetScope): Targets<G> {
  if (load.kind === "released") return { kind: "released" };
  const wanted = (partition: PartitionId): boolean =>
    covers(load.partitions, partition) && covers(scope.partitions, partition);
  const sealed = view.sealed.filter((entry) => wanted(entry.meta.partition));
  const failure = sealed.find((entry) => entry.failure !== undefined)?.failure;
  if (failure !== undefined) return { kind: "failed", error: failure };
  if (sealed.some((entry) => !entry.live)) return { kind: "opening" };
  const growing = scope.ignoreGrowing ? [] : view.growing.filter((segment) => wanted(segment.identity.partition));
  return { kind: "ready", growing, sealed: sealed.map((entry) => entry.meta.id) };
}

export function isWanted(load: LoadState, partition: PartitionId): boolean {
  return load.kind !== "released" && covers(load.partitions, partition);
}

function covers(partitions: "all" | readonly PartitionId[], partition: PartitionId): boolean {
  return partitions === "all" || partitions.includes(partition);
}
