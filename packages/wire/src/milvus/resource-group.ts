/** Resource groups: one node serves all, in the default group. */
import { succeed } from "@elanus/model/outcome";
import type * as milvus from "../gen/milvus.ts";
import type { Handler } from "./call.ts";
import { failureStatus, success } from "./status.ts";

export const DEFAULT_RESOURCE_GROUP = "__default_resource_group";
/** As Milvus shows a group without bounds. */
const NODES_MAX = 1_000_000;

export const listResourceGroups: Handler<
  milvus.ListResourceGroupsRequest,
  milvus.ListResourceGroupsResponse
> = async () => succeed({ status: success, resourceGroups: [DEFAULT_RESOURCE_GROUP] });

export const describeResourceGroup: Handler<
  milvus.DescribeResourceGroupRequest,
  milvus.DescribeResourceGroupResponse
> = async (request, call) => {
  const name = request.resourceGroup;
  if (name !== DEFAULT_RESOURCE_GROUP) {
    return succeed({ status: failureStatus(300, `resource group not found[rg=${name}]`, { input: true }) });
  }
  return succeed({
    status: success,
    resourceGroup: {
      name,
      capacity: 1,
      numAvailableNode: 1,
      config: { requests: { nodeNum: 0 }, limits: { nodeNum: NODES_MAX }, nodeFilter: {} },
      nodes: [{ nodeId: BigInt(call.env.nodeId), address: "", hostname: "" }],
    },
  });
};
