import type { BuildId, NodeId, PinId, ShardId } from "@elanus/model/id";
import type { QueryNodeContract } from "@elanus/model/contract/query-node";
import { succeed } from "@elanus/model/outcome";
import { expect, test } from "vitest";
import { kindOf } from "../../contract/outcomes.ts";
import { DirectPeers } from "./direct.ts";

test("a role that has not started answers notReady, and its silent verbs nothing", async () => {
  const peers = new DirectPeers();
  expect(await kindOf(peers.coordinator.allocateIds(1))).toBe("notReady");
  expect(await kindOf(peers.streamingNode(1 as NodeId).flush(["p0_1v0" as ShardId]))).toBe("notReady");
  expect(peers.streamingNode(1 as NodeId).release("pin" as PinId)).toBeUndefined();
  expect(peers.dataNode().buildProgress(1n as BuildId)).toBeUndefined();
});

test("a registered role is called plainly", async () => {
  const peers = new DirectPeers();
  const released: unknown[] = [];
  const release: QueryNodeContract["release"] = async (segments) => {
    released.push(segments);
    return succeed(undefined);
  };
  peers.addQueryNode(2 as NodeId, { release } as QueryNodeContract);
  expect(await kindOf(peers.queryNode(2 as NodeId).release([], 1n))).toBe("success");
  expect(released).toEqual([[]]);
  expect(await kindOf(peers.queryNode(3 as NodeId).release([], 1n))).toBe("notReady");
});
