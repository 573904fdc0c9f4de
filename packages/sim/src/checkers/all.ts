/** Every checker, in the order of the invariants. */
import type { Checker } from "../history.ts";
import { fullK } from "./full-k.ts";
import { handOver } from "./hand-over.ts";
import { indexAgreement } from "./index-agreement.ts";
import { linearizable } from "./linearizable.ts";
import { liveness } from "./liveness.ts";
import { noInvention } from "./no-invention.ts";
import { noLeak } from "./no-leak.ts";
import { noLostAck } from "./no-lost-ack.ts";
import { noResurrection } from "./no-resurrection.ts";
import { session } from "./session.ts";
import { snapshot } from "./snapshot.ts";
import { timeOrder } from "./time-order.ts";

export const allCheckers: readonly Checker[] = [
  noLostAck,
  noInvention,
  linearizable,
  snapshot,
  session,
  handOver,
  noResurrection,
  timeOrder,
  fullK,
  indexAgreement,
  noLeak,
  liveness,
];
