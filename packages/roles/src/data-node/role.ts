/** The data node: index builds and compactions over files, committed by the coordinator. */
import type { DataNodeContract } from "@elanus/model/contract/data-node";
import type { NodeId } from "@elanus/model/id";
import { fail } from "@elanus/model/outcome";
import type { RunningRole, World } from "@elanus/platform/ports/world";
import { compactSegments } from "@elanus/segment/compact";
import type { NativeEngine } from "@elanus/segment/native-engine";
import { Serial } from "../serial.ts";
import { IndexBuilds } from "./index-builds.ts";

export interface DataNodeConfig {
  readonly node: NodeId;
  readonly engine: NativeEngine;
  /** Index builds that run at once; each uses all threads of the pool. */
  readonly buildsMax?: number;
}

export function startDataNode(world: World, config: DataNodeConfig): RunningRole<DataNodeContract> {
  const { engine, buildsMax = 1 } = config;
  const builds = new IndexBuilds(world, engine, buildsMax);
  // A compaction holds its sources in memory, so only one runs at a time.
  const compactions = new Serial();
  let stopping = false;
  return {
    contract: {
      buildIndex: (job) => (stopping ? Promise.resolve(stopped()) : builds.build(job)),
      buildProgress: (build) => builds.progress(build),
      cancelBuild: (build) => builds.cancel(build),
      compact: (job) => compactions.run(() => (stopping ? stopped() : compactSegments(engine, world.objects, job))),
    },
    stop() {
      stopping = true;
      builds.cancelAll();
      return Promise.resolve();
    },
  };
}

function stopped(): ReturnType<typeof fail> {
  return fail({ kind: "notReady", message: "the data node is stopping" });
}
