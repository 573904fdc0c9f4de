import { expect, it } from "vitest";
import type { BuildId } from "@elanus/model/id";
import { emptyQueue, enqueue, removeBuild, startNext } from "./job-queue.ts";

const A = 1n as BuildId;
const B = 2n as BuildId;

it("runs builds in the order of arrival, one at a time", () => {
  const queued = enqueue(enqueue(emptyQueue(1), A), B);
  const first = startNext(queued);
  expect(first?.build).toBe(A);
  if (first === undefined) return;
  expect(startNext(first.queue)).toBeUndefined();
  expect(startNext(removeBuild(first.queue, A))?.build).toBe(B);
});

it("forgets a build that waits when it is cancelled", () => {
  const queued = enqueue(enqueue(emptyQueue(1), A), B);
  expect(startNext(removeBuild(queued, A))?.build).toBe(B);
  expect(startNext(emptyQueue(1))).toBeUndefined();
});
