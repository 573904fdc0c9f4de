/** Runs index builds one after the other; each can be watched and cancelled. */
import type { SegmentFile } from "@elanus/model/catalog";
import type { BuildIndexJob } from "@elanus/model/contract/data-node";
import type { BuildId } from "@elanus/model/id";
import { fail, type Outcome } from "@elanus/model/outcome";
import type { World } from "@elanus/platform/ports/world";
import { buildIndex } from "@elanus/segment/build-index";
import type { NativeEngine, NativeProgress } from "@elanus/segment/native-engine";
import { emptyQueue, enqueue, type JobQueue, removeBuild, startNext } from "./state/job-queue.ts";

interface Build {
  readonly job: BuildIndexJob;
  readonly progress: NativeProgress;
  readonly done: Promise<Outcome<SegmentFile>>;
  readonly resolve: (outcome: Outcome<SegmentFile>) => void;
}

export class IndexBuilds {
  readonly #world: World;
  readonly #engine: NativeEngine;
  readonly #builds = new Map<BuildId, Build>();
  #queue: JobQueue;

  constructor(world: World, engine: NativeEngine, runningMax: number) {
    this.#world = world;
    this.#engine = engine;
    this.#queue = emptyQueue(runningMax);
  }

  /** A build that is known already is joined, so that a repeated request costs nothing. */
  build(job: BuildIndexJob): Promise<Outcome<SegmentFile>> {
    const known = this.#builds.get(job.build);
    if (known !== undefined) return known.done;
    const { promise: done, resolve } = newDeferred();
    this.#builds.set(job.build, { job, done, resolve, progress: new this.#engine.addon.Progress() });
    this.#queue = enqueue(this.#queue, job.build);
    this.#startWaiting();
    return done;
  }

  progress(build: BuildId): number | undefined {
    return this.#builds.get(build)?.progress.fraction;
  }

  cancel(build: BuildId): void {
    const known = this.#builds.get(build);
    if (known === undefined) return;
    known.progress.cancel();
    if (!this.#queue.running.has(build)) this.#end(known, cancelled(build));
  }

  cancelAll(): void {
    // Cancelling forgets a build, so the list is taken first.
    const builds = Array.from(this.#builds.keys());
    for (const build of builds) this.cancel(build);
  }

  #startWaiting(): void {
    for (let next = startNext(this.#queue); next !== undefined; next = startNext(this.#queue)) {
      this.#queue = next.queue;
      const build = this.#builds.get(next.build);
      if (build !== undefined) void this.#run(build);
    }
  }

  async #run(build: Build): Promise<void> {
    const { job, progress } = build;
    const started = this.#world.clock.monotonicMs();
    const settings = { progress, threads: Math.max(1, this.#engine.pool.threads) };
    const outcome = await buildIndex(this.#engine, this.#world.objects, job, settings);
    const ms = Math.round(this.#world.clock.monotonicMs() - started);
    const fields = { segment: job.segment.id, index: job.index.name, type: job.index.type, ms };
    if (outcome.ok) this.#world.telemetry.log("info", "index built", fields);
    else this.#world.telemetry.log("warn", "index not built", { ...fields, error: outcome.error });
    this.#end(build, outcome);
  }

  #end(build: Build, outcome: Outcome<SegmentFile>): void {
    this.#queue = removeBuild(this.#queue, build.job.build);
    this.#builds.delete(build.job.build);
    build.resolve(outcome);
    this.#startWaiting();
  }
}

function cancelled(build: BuildId): Outcome<SegmentFile> {
  return fail({ kind: "cancelled", message: `index build ${build} was cancelled` });
}

function newDeferred(): Pick<Build, "resolve"> & { promise: Build["done"] } {
  let resolve: Build["resolve"] = ignore;
  const promise = new Promise<Outcome<SegmentFile>>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function ignore(): void {}
