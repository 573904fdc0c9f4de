#!/usr/bin/env node
/** `npm run bench:peers`: builds Elanus and a Python environment with the peers, then runs compare.py in it. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root, setUp } from "../../scripts/setup.mjs";
import { environment } from "../environment.mjs";

await setUp({ quiet: true });
const python = environment("peers", "bench/peers/requirements.txt");
const ran = spawnSync(python, [join(root, "bench/peers/compare.py"), ...process.argv.slice(2)], { stdio: "inherit" });
process.exitCode = ran.status ?? 1;
