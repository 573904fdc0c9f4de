#!/usr/bin/env node
/** `npm run bench`: see bench/run.mjs. */
await import("../bench/run.mjs");
