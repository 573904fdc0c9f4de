/** Which index build runs next: in the order of arrival, at most `runningMax` at once. */
import type { BuildId } from "@elanus/model/id";

export interface JobQueue {
  readonly waiting: readonly BuildId[];
  readonly running: ReadonlySet<BuildId>;
  readonly runningMax: number;
}

export function emptyQueue(runningMax: number): JobQueue {
  return { waiting: [], running: new Set(), runningMax };
}

export function enqueue(queue: JobQueue, build: BuildId): JobQueue {
  return { ...queue, waiting: [...queue.waiting, build] };
}

/** The build that may start now, moved to the running ones. */
export function startNext(queue: JobQueue): { readonly queue: JobQueue; readonly build: BuildId } | undefined {
  const [build, ...waiting] = queue.waiting;
  if (build === undefined || queue.running.size >= queue.runningMax) return undefined;
  return { queue: { ...queue, waiting, running: new Set([...queue.running, build]) }, build };
}

/** Forgets a build that ended or was cancelled. */
export function removeBuild(queue: JobQueue, build: BuildId): JobQueue {
  return {
    ...queue,
    waiting: queue.waiting.filter((other) => other !== build),
    running: new Set([...queue.running].filter((other) => other !== build)),
  };
}
