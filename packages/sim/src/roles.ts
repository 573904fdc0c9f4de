/** Starts a process's roles in the order they need each other, as the server's composition does. */
import { type Outcome, fail, succeed } from "@elanus/model/outcome";
import type { Peers } from "@elanus/model/peers";
import { DirectPeers } from "@elanus/platform/drivers/peers/direct";
import type { World } from "@elanus/platform/ports/world";
import type { CoordinatorConfig } from "@elanus/roles/coordinator/config";
import { startCoordinator } from "@elanus/roles/coordinator/role";
import { startDataNode } from "@elanus/roles/data-node/role";
import { defaultProxy } from "@elanus/roles/proxy/config";
import { startProxy } from "@elanus/roles/proxy/role";
import { startQueryNode } from "@elanus/roles/query-node/role";
import { startStreamingNode } from "@elanus/roles/streaming-node/role";
import type { NativeEngine } from "@elanus/segment/native-engine";
import type { ProcessSpec, RoleName, Services } from "./composition.ts";
import type { Mutation } from "./mutation.ts";
import type { SimProcess } from "./process.ts";
import { RoleGate } from "./role-gate.ts";

export interface RoleSetup {
  readonly process: SimProcess;
  /** `peers` undefined: all roles are in this process. */
  readonly world: Omit<World, "peers"> & { readonly peers: Peers | undefined };
  readonly services: Services;
  readonly engine: NativeEngine;
  readonly coordinator: CoordinatorConfig;
  readonly mutation: Mutation;
}

export async function startRoles(spec: ProcessSpec, setup: RoleSetup): Promise<Outcome<void>> {
  const direct = setup.world.peers === undefined ? new DirectPeers() : undefined;
  const peers = setup.world.peers ?? direct;
  if (peers === undefined) return fail({ kind: "internal", message: "no peers" });
  const world: World = { ...setup.world, peers };
  for (const role of spec.roles) {
    const started = await startRole(role, spec, { ...setup, world }, direct);
    if (!started.ok) return started;
  }
  return succeed(undefined);
}

async function startRole(
  role: RoleName,
  spec: ProcessSpec,
  setup: RoleSetup & { readonly world: World },
  direct: DirectPeers | undefined,
): Promise<Outcome<void>> {
  const { services, engine, mutation } = setup;
  const { node } = spec;
  const gate = new RoleGate(setup.process);
  services.gates.set(role, gate);
  const world = gate.world(setup.world);
  if (role === "coordinator") {
    const started = await startCoordinator(world, setup.coordinator);
    if (!started.ok) return started;
    services.stops.push(() => started.value.stop());
    const contract = gate.contract(started.value.contract);
    services.coordinator = mutation.coordinator?.(contract) ?? contract;
    direct?.setCoordinator(services.coordinator);
  } else if (role === "queryNode") {
    const started = startQueryNode(world, { node, engine });
    services.stops.push(() => started.stop());
    const contract = gate.contract(started.contract);
    services.queryNode = mutation.queryNode?.(contract) ?? contract;
    direct?.addQueryNode(node, services.queryNode);
  } else if (role === "dataNode") {
    const started = startDataNode(world, { node, engine });
    services.stops.push(() => started.stop());
    const contract = gate.contract(started.contract);
    services.dataNode = mutation.dataNode?.(contract) ?? contract;
    direct?.setDataNode(services.dataNode);
  } else if (role === "streamingNode") {
    const started = startStreamingNode(world, { node, engine, sharesMemory: direct !== undefined });
    services.stops.push(() => started.stop());
    const contract = gate.contract(started.contract);
    services.streamingNode = mutation.streamingNode?.(contract) ?? contract;
    direct?.addStreamingNode(node, services.streamingNode);
    return started.ready;
  } else {
    const started = startProxy(world, { ...defaultProxy, engine });
    services.stops.push(() => started.stop());
    const contract = gate.contract(started.contract);
    services.proxy = mutation.proxy?.(contract) ?? contract;
  }
  return succeed(undefined);
}
