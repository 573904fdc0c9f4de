/** What goes wrong: kinds of faults, chosen a few per seed (swarm), each an episode that begins and ends. */
import type { Cluster } from "./cluster.ts";
import type { Composition, ProcessSpec, RoleName } from "./composition.ts";
import type { CrashMode } from "./disk.ts";
import type { SeededRandom } from "./random.ts";

export type FaultKind =
  | "kill"
  | "powerCut"
  | "doubleCrash"
  | "cleanRestart"
  | "readersCrash"
  | "zombie"
  | "freeze"
  | "roleFreeze"
  | "slowProcess"
  | "clockJump"
  | "clockDrift"
  | "slowDisk"
  | "writeError"
  | "syncError"
  | "readError"
  | "diskFull"
  | "messageDrop"
  | "messageDelay"
  | "partition"
  | "oneWayCut"
  | "flapping";

const EVERYWHERE: readonly FaultKind[] = [
  "kill",
  "powerCut",
  "doubleCrash",
  "cleanRestart",
  "freeze",
  "roleFreeze",
  "slowProcess",
  "clockJump",
  "clockDrift",
  "slowDisk",
  "writeError",
  "syncError",
  "readError",
  "diskFull",
  "messageDelay",
];

const KINDS: Readonly<Record<Composition, readonly FaultKind[]>> = {
  standalone: EVERYWHERE,
  three: [...EVERYWHERE, "readersCrash", "zombie", "messageDrop", "partition", "oneWayCut", "flapping"],
};

const ROLES: readonly RoleName[] = ["coordinator", "queryNode", "dataNode", "streamingNode", "proxy"];
/** Longer than any lease: answers (4 s), pins (5 s), garbage (6 s), retention (8 s), DDL entries (10 s). */
const ROLE_FREEZE_MS_MIN = 10_500;

const POWER_CUTS: readonly CrashMode[] = ["dropped", "torn", "reordered"];

/** Three to nine kinds for this seed. */
export function chooseFaults(composition: Composition, random: SeededRandom): readonly FaultKind[] {
  return random.shuffled(KINDS[composition]).slice(0, random.between(3, 9));
}

export class FaultPlan {
  readonly kinds: readonly FaultKind[];
  /** How often each kind was met. */
  readonly met: Map<string, number> = new Map();
  readonly #cluster: Cluster;
  readonly #random: SeededRandom;
  #isOver = false;
  /** Moment until which a role is frozen. */
  #frozenUntilMs = 0;

  constructor(cluster: Cluster, kinds: readonly FaultKind[], random: SeededRandom) {
    this.#cluster = cluster;
    this.kinds = kinds;
    this.#random = random;
  }

  get hasClockFaults(): boolean {
    return this.met.has("clockJump") || this.met.has("clockDrift");
  }

  /** Episodes, one or two at a time, until `stop`. */
  async run(): Promise<void> {
    while (!this.#isOver) {
      await this.#sleep(100 + this.#random.next() * 1_200);
      if (this.#isOver) return;
      const kind = this.#random.pick(this.kinds);
      this.#count(kind);
      this.#cluster.config.scheduler.trace(`fault ${kind}`);
      this.#cluster.onLog?.("faults", "info", kind, undefined);
      await this.#episode(kind);
    }
  }

  /** Everything is mended and every process is up or starting; a frozen role had its whole time before. */
  async stop(): Promise<void> {
    this.#isOver = true;
    if (this.#frozenForMs > 0) await this.#sleep(this.#frozenForMs);
    this.#mend();
  }

  #count(name: string): void {
    this.met.set(name, (this.met.get(name) ?? 0) + 1);
  }

  #mend(): void {
    const { network, diskFaults, image, processes } = this.#cluster;
    network.heal();
    Object.assign(diskFaults, { write: 0, sync: 0, read: 0, slowness: 1 });
    image.bytesMax = Number.POSITIVE_INFINITY;
    for (const process of processes) {
      process.slowness = 1;
      process.clockRate = 1;
    }
    this.#cluster.endStop();
    this.#cluster.thawAll();
    this.#cluster.buryZombies();
    this.#cluster.startAll();
  }

  async #episode(kind: FaultKind): Promise<void> {
    const random = this.#random;
    const undo = this.#begin(kind, random);
    await this.#sleep(Math.max(30 + random.next() * random.next() * 4_000, this.#frozenForMs));
    if (this.#isOver) return;
    undo();
    this.#cluster.startAll();
  }

  /** Starts the fault; the result ends it. */
  #begin(kind: FaultKind, random: SeededRandom): () => void {
    const { network, diskFaults, image } = this.#cluster;
    switch (kind) {
      case "kill":
        return this.#crash([this.#anyProcess()], "kept");
      case "powerCut":
        this.#cluster.crashAll(random.pick(POWER_CUTS));
        return () => {};
      case "doubleCrash":
        return this.#doubleCrash(random);
      case "readersCrash":
        return this.#crash(
          this.#cluster.specs.filter(({ name }) => /^(query|streaming|data)/.test(name)),
          "kept",
        );
      case "cleanRestart":
        return this.#cleanRestart();
      case "zombie":
        return this.#zombie(random);
      case "freeze": {
        const process = this.#anyOf(this.#cluster.processes);
        process?.freeze();
        return () => process?.thaw();
      }
      case "roleFreeze":
        return this.#roleFreeze(random);
      case "slowProcess":
      case "clockJump":
      case "clockDrift":
        return this.#bendTime(kind, random);
      case "slowDisk":
        diskFaults.slowness = 5 + random.next() * 60;
        return () => Object.assign(diskFaults, { slowness: 1 });
      case "writeError":
        diskFaults.write = 0.3;
        return () => Object.assign(diskFaults, { write: 0 });
      case "syncError":
        diskFaults.sync = 0.2;
        return () => Object.assign(diskFaults, { sync: 0 });
      case "readError":
        diskFaults.read = 0.2;
        return () => Object.assign(diskFaults, { read: 0 });
      case "diskFull":
        image.bytesMax = image.bytesUsed + random.below(2_000);
        return () => Object.assign(image, { bytesMax: Number.POSITIVE_INFINITY });
      case "messageDrop":
        network.faults.drop = 0.02 + random.next() * 0.2;
        return () => network.heal();
      case "messageDelay":
        Object.assign(network.faults, { delay: 0.3, delayMsMax: 50 + random.next() * 2_000 });
        return () => network.heal();
      case "partition":
      case "oneWayCut":
      case "flapping":
        return this.#cut(kind, random);
    }
  }

  #crash(specs: readonly (ProcessSpec | undefined)[], mode: CrashMode): () => void {
    for (const spec of specs) {
      if (spec === undefined) continue;
      // Without its disk no process keeps its connections.
      if (spec.hasDisk) this.#cluster.crashAll(mode);
      else this.#cluster.crash(spec.name, mode);
    }
    return () => {};
  }

  /** Down, up again, and down while it recovers. */
  #doubleCrash(random: SeededRandom): () => void {
    const spec = this.#anyProcess();
    const mode = random.pick<CrashMode>(["kept", ...POWER_CUTS]);
    this.#crash([spec], mode);
    for (const afterMs of [20 + random.next() * 60, 120 + random.next() * 200]) {
      this.#cluster.config.scheduler.after(afterMs - 15, "restart", () => {
        if (!this.#isOver) this.#cluster.startAll();
      });
      this.#cluster.config.scheduler.after(afterMs, "crash again", () => {
        if (!this.#isOver) this.#crash([spec], mode);
      });
    }
    return () => {};
  }

  #cleanRestart(): () => void {
    void this.#cluster.stopAll().catch((cause: unknown) => this.#cluster.report("stop", cause));
    return () => this.#cluster.endStop();
  }

  /** A streaming node stands still, is replaced, and wakes up beside its replacement. */
  #zombie(random: SeededRandom): () => void {
    const spec = random.pick(this.#cluster.specs.filter(({ roles }) => roles.includes("streamingNode")));
    this.#cluster.find(spec.name)?.process.freeze();
    this.#cluster.start(spec);
    return () => this.#cluster.thawAll();
  }

  /** One role stands still for longer than its leases, and the rest of its process goes on. */
  #roleFreeze(random: SeededRandom): () => void {
    const role = random.pick(ROLES);
    const gate = this.#anyOf(this.#cluster.gatesOf(role));
    if (gate === undefined) return () => {};
    this.#count(`${role} frozen`);
    this.#frozenUntilMs = this.#cluster.config.scheduler.nowMs + ROLE_FREEZE_MS_MIN + random.next() * 4_000;
    gate.freeze();
    return () => gate.thaw();
  }

  #bendTime(kind: FaultKind, random: SeededRandom): () => void {
    const process = this.#anyOf(this.#cluster.processes);
    if (process === undefined) return () => {};
    if (kind === "clockJump") {
      process.clockOffsetMs += (random.next() - 0.5) * 1_200_000;
      return () => {};
    }
    if (kind === "clockDrift") process.clockRate = random.chance(0.5) ? 1.05 : 0.95;
    else process.slowness = 2 + random.next() * 20;
    return () => Object.assign(process, { clockRate: 1, slowness: 1 });
  }

  #cut(kind: FaultKind, random: SeededRandom): () => void {
    const { network } = this.#cluster;
    const names = random.shuffled(this.#cluster.specs.map(({ name }) => name).filter((name) => name !== "storage"));
    const side = names.slice(0, random.between(1, 3));
    const others = names.slice(side.length);
    const apply = (): void => {
      for (const from of side) {
        for (const to of others) {
          network.cut(from, to);
          if (kind !== "oneWayCut") network.cut(to, from);
        }
      }
    };
    apply();
    if (kind !== "flapping") return () => network.heal();
    let isDone = false;
    const flap = (isCut: boolean): void => {
      if (isDone || this.#isOver) return;
      if (isCut) apply();
      else network.heal();
      this.#cluster.config.scheduler.after(100 + random.next() * 300, "flap", () => flap(!isCut));
    };
    flap(true);
    return () => {
      isDone = true;
      network.heal();
    };
  }

  get #frozenForMs(): number {
    return this.#frozenUntilMs - this.#cluster.config.scheduler.nowMs;
  }

  #anyProcess(): ProcessSpec | undefined {
    const running = this.#cluster.specs.filter(({ name }) => this.#cluster.find(name) !== undefined);
    return this.#anyOf(running);
  }

  #anyOf<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : this.#random.pick(items);
  }

  #sleep(ms: number): Promise<void> {
    return this.#cluster.config.scheduler.sleep(ms, "faults");
  }
}
