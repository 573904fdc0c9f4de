#!/usr/bin/env node
/** `npm run bench:databases`: builds Elanus and a Python environment with the databases, then runs compare.py in it. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root, setUp } from "../../scripts/setup.mjs";
import { environment } from "../environment.mjs";

await setUp({ quiet: true });
const python = environment("databases", "bench/databases/requirements.txt");
const ran = spawnSync(python, [join(root, "bench/databases/compare.py"), ...process.argv.slice(2)], {
  stdio: "inherit",
});
process.exitCode = ran.status ?? 1;
