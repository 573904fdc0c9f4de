/** The `system_info` document of GetMetrics: which components there are, as Milvus's consoles draw them. */
import type { Environment } from "./call.ts";

/** Every role is shown, although one process runs them all: consoles and tests look for each. */
const components = ["proxy", "rootcoord", "datacoord", "querycoord", "querynode", "datanode", "streamingnode"] as const;

export function systemInfo(env: Environment): string {
  const startedAt = new Date(env.startedAtMs).toISOString();
  const updatedAt = new Date(env.clock.nowMs()).toISOString();
  const nodes = components.map((type, at) => {
    const id = env.nodeId + at;
    return {
      identifier: id,
      connected: connectionsOf(type, env.nodeId),
      infos: {
        has_error: false,
        error_reason: "",
        name: `${type}${id}`,
        hardware_infos: {
          ip: "",
          cpu_core_count: 0,
          cpu_core_usage: 0,
          memory: 0,
          memory_usage: 0,
          disk: 0,
          disk_usage: 0,
          io_wait_percentage: 0,
        },
        system_info: {
          system_version: env.version,
          deploy_mode: env.deployMode,
          build_version: env.version,
          build_time: startedAt,
          used_go_version: "none",
        },
        created_time: startedAt,
        updated_time: updatedAt,
        type,
        id,
        system_configurations: { default_partition_name: "_default", default_index_name: "_default_idx" },
        quota_metrics: null,
      },
    };
  });
  return JSON.stringify({ nodes_info: nodes });
}

/** The proxy forwards to the coordinators; a coordinator manages its nodes. */
function connectionsOf(type: (typeof components)[number], first: number): object[] {
  const edge = (target: (typeof components)[number], kind: string): object => ({
    connected_identifier: first + components.indexOf(target),
    type: kind,
    target_type: target,
  });
  if (type === "proxy")
    return [edge("rootcoord", "forward"), edge("datacoord", "forward"), edge("querycoord", "forward")];
  if (type === "querycoord") return [edge("querynode", "manage")];
  return type === "datacoord" ? [edge("datanode", "manage")] : [];
}
