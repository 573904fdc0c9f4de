/** Rows that are not in a sealed segment yet: one memory segment of one partition of a shard. */
import type { NativeSchema, NativeSegment } from "@elanus/engine/addon";
import type { SealedSegmentMeta } from "@elanus/model/catalog";
import type { Outcome } from "@elanus/model/outcome";
import type { Timestamp } from "@elanus/model/time";
import type { ObjectStore } from "@elanus/platform/ports/objects";
import { attemptNow, type NativeEngine } from "./native-engine.ts";
import { type SegmentIdentity, writeSegment } from "./write-segment.ts";

export class GrowingSegment {
  readonly identity: SegmentIdentity;
  readonly native: NativeSegment;

  constructor(engine: NativeEngine, schema: NativeSchema, identity: SegmentIdentity) {
    this.identity = identity;
    this.native = engine.addon.Segment.growing(schema, identity.id);
  }

  get rowCount(): number {
    return this.native.rowCount;
  }

  get byteSize(): number {
    return this.native.byteSize;
  }

  /** Rows replace older rows of the same keys in this segment. */
  append(rows: Uint8Array, at: Timestamp): Outcome<void> {
    return attemptNow(() => this.native.append(rows, at));
  }

  /** Rows of these keys with an earlier timestamp die at `at`. */
  delete(keys: Uint8Array, at: Timestamp): Outcome<number> {
    return attemptNow(() => this.native.delete(keys, at));
  }

  /** Writes the files of a segment that gets no more rows; tombstones may still arrive. */
  seal(engine: NativeEngine, objects: ObjectStore): Promise<Outcome<SealedSegmentMeta>> {
    return writeSegment(engine, objects, this.identity, this.native, false);
  }

  close(): void {
    this.native.close();
  }
}
