/** Randomness of the machine: fast floats for jitter, real 64-bit values for names that must not collide. */
import { randomBytes } from "node:crypto";
import type { Random } from "../ports/world.ts";

export const systemRandom: Random = {
  next: () => Math.random(),
  bits64: () => randomBytes(8).readBigUInt64LE(),
};
