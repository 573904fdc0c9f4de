/** The coordinator's background: one loop that finishes what is unfinished, and sleeps when nothing is. */
import type { World } from "@elanus/platform/ports/world";
import type { Broadcaster } from "./broadcast.ts";
import type { GarbageCollector } from "./collect.ts";
import type { JobRunner } from "./jobs.ts";
import type { LoadTask } from "./loading.ts";

export interface BackgroundWork {
  readonly jobs: JobRunner;
  readonly loading: LoadTask;
  readonly broadcaster: Broadcaster;
  readonly garbage: GarbageCollector;
}

/** Pause while a load is under way. */
const LOAD_POLL_MS = 50;
const STOP_MS_MAX = 1_000;

export class Background {
  readonly #world: World;
  readonly #intervalMs: number;
  readonly #work: BackgroundWork;
  #sleeping = new AbortController();
  #woken = false;
  #stopped = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(world: World, intervalMs: number, work: BackgroundWork) {
    this.#world = world;
    this.#intervalMs = intervalMs;
    this.#work = work;
  }

  start(): void {
    this.#ended = this.#loop();
  }

  /** Something has happened that may have made work. */
  wake(): void {
    this.#woken = true;
    this.#sleeping.abort();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.wake();
    // A job that waits for a node is left behind; the closed store keeps its result out.
    await Promise.race([this.#ended, this.#world.timers.sleep(STOP_MS_MAX)]);
  }

  async #loop(): Promise<void> {
    // Nodes are not there yet when the coordinator starts.
    await this.#sleep(this.#intervalMs);
    while (!this.#stopped) {
      this.#woken = false;
      const pauseMs = await this.#round();
      // Even between two jobs the process gets a turn for everything else.
      await this.#sleep(this.#woken ? 0 : pauseMs);
    }
  }

  /** Milliseconds until the next round. */
  async #round(): Promise<number> {
    try {
      this.#work.broadcaster.resume();
      const loading = await this.#work.loading.settle();
      if (await this.#work.jobs.step()) return 0;
      await this.#work.garbage.collectIfDue();
      return loading ? LOAD_POLL_MS : this.#intervalMs;
    } catch (cause) {
      this.#world.telemetry.log("error", "background work failed", { cause: String(cause) });
      return this.#intervalMs;
    }
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#stopped) return;
    this.#sleeping = new AbortController();
    await this.#world.timers.sleep(ms, this.#sleeping.signal);
  }
}
