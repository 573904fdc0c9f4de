/** Telemetry that goes nowhere, for tests. */
import type { Telemetry } from "../../ports/world.ts";

export const silentTelemetry: Telemetry = {
  counter: () => ({ add: () => {} }),
  gauge: () => ({ set: () => {} }),
  histogram: () => ({ observe: () => {} }),
  log: () => {},
};
