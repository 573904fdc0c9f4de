/** Where a planted bug enters: around a port, a contract or the engine, never inside the product's own code. */
import type { Addon } from "@elanus/engine/addon";
import type { CoordinatorContract } from "@elanus/model/contract/coordinator";
import type { DataNodeContract } from "@elanus/model/contract/data-node";
import type { ProxyContract } from "@elanus/model/contract/proxy";
import type { QueryNodeContract } from "@elanus/model/contract/query-node";
import type { StreamingNodeContract } from "@elanus/model/contract/streaming-node";
import type { Disk } from "@elanus/platform/ports/disk";
import type { LogStore } from "@elanus/platform/ports/log";
import type { MetaStore } from "@elanus/platform/ports/meta";
import type { ObjectStore } from "@elanus/platform/ports/objects";

export interface Mutation {
  readonly disk?: (disk: Disk) => Disk;
  readonly log?: (log: LogStore) => LogStore;
  readonly meta?: (meta: MetaStore) => MetaStore;
  readonly objects?: (objects: ObjectStore) => ObjectStore;
  readonly addon?: (addon: Addon) => Addon;
  readonly coordinator?: (contract: CoordinatorContract) => CoordinatorContract;
  readonly streamingNode?: (contract: StreamingNodeContract) => StreamingNodeContract;
  readonly queryNode?: (contract: QueryNodeContract) => QueryNodeContract;
  readonly dataNode?: (contract: DataNodeContract) => DataNodeContract;
  readonly proxy?: (contract: ProxyContract) => ProxyContract;
}

export const noMutation: Mutation = {};

/** `target` with some members replaced; methods keep their `this`. */
export function override<T extends object>(target: T, members: Partial<T>): T {
  return new Proxy(target, {
    get(source, name) {
      if (Object.hasOwn(members, name)) return members[name as keyof T];
      const value: unknown = Reflect.get(source, name, source);
      return typeof value === "function" ? value.bind(source) : value;
    },
  });
}
