#!/usr/bin/env node
/**
 * DISKANN with five times more vectors than memory may hold, beside the device's own limit.
 *
 *   node bench/disk.mjs --source FILE.npy [--rows N] [--folder FOLDER] [--seconds 10] [--threads 32] [--rounds 3]
 *
 * Builds once into the folder (`--folder`, kept for the next run), then searches in a process whose memory, page cache
 * included, a control group holds to a fifth of the index file. Reads are those that the kernel counts for the process.
 * The device's limit is what as many threads read at random past the page cache, before and after; the better counts,
 * and of several rounds the one in the middle.
 * Needs Linux and the right to make a control group; without that the page cache is dropped and nothing is limited.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../scripts/setup.mjs";

const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};
const rows = Number(option("rows", 400_000));
const seconds = Number(option("seconds", 10));
const threads = Number(option("threads", 32));
const rounds = Number(option("rounds", 3));
const lists = option("lists", "16,20,24,32,48,64,80,100,128,160,200,256");
const folder = option("folder", join(tmpdir(), `elanus-disk-${rows}`));
const source = option("source", "");
const example = join(root, "native/target/release/examples/disk");
const index = join(folder, "index.bin");

const cargo = ["build", "--release", "-p", "elanus-index", "--example", "disk"];
succeed("cargo", [...cargo, "--manifest-path", join(root, "native/Cargo.toml")]);
const account = join(folder, "made.json");
if (!existsSync(account)) {
  const [made] = run([], ["make", folder, source, String(rows)]);
  writeFileSync(account, JSON.stringify(made));
}

const limit = Math.floor(statSync(index).size / 5);
const group = controlGroup(limit);
const device = ["device", index, String(threads), String(Math.min(seconds, 5))];
const enter = group === undefined ? [] : ["sh", "-c", `echo $$ > ${group}/cgroup.procs && exec "$@"`, "sh"];
const turns = [];
for (let turn = 0; turn < rounds; turn += 1) {
  const [before] = run([], device);
  for (const file of ["index.bin", "rows.bin"]) succeed("dd", [`if=${join(folder, file)}`, "iflag=nocache", "count=0"]);
  const [opened, ...trials] = run(enter, ["search", folder, String(threads), String(seconds), lists]);
  const [after] = run([], device);
  const reached = trials.pop();
  const deviceReadsPerSecond = Math.max(before.readsPerSecond, after.readsPerSecond);
  turns.push({ opened, trials, reached, deviceReadsPerSecond, share: reached.readsPerSecond / deviceReadsPerSecond });
}
if (group !== undefined) rmdirSync(group);

turns.sort((left, right) => left.share - right.share);
const { share, ...median } = turns[Math.floor(turns.length / 2)];
const figures = {
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  load: loadavg()[0],
  rows,
  indexBytes: statSync(index).size,
  memoryLimitBytes: group === undefined ? null : limit,
  build: JSON.parse(readFileSync(account, "utf8")),
  ...median,
  shareOfDevice: Number(share.toFixed(3)),
  sharesOfAllRounds: turns.map((turn) => Number(turn.share.toFixed(3))),
};
writeFileSync(join(root, "bench/results/disk.json"), `${JSON.stringify(figures, null, 2)}\n`);
process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);

/** Of version 2 or 1; undefined where none may be made. */
function controlGroup(bytes) {
  const kinds = [
    ["/sys/fs/cgroup", "memory.max"],
    ["/sys/fs/cgroup/memory", "memory.limit_in_bytes"],
  ];
  for (const [parent, file] of kinds) {
    const path = join(parent, `elanus-disk-${process.pid}`);
    try {
      mkdirSync(path);
      if (existsSync(join(path, file))) {
        writeFileSync(join(path, file), String(bytes));
        return path;
      }
      rmdirSync(path);
    } catch {
      // Not permitted here: the next kind, or none.
    }
  }
  return undefined;
}

/** The figures that the example prints, a line each. */
function run(before, args) {
  const [command, ...rest] = [...before, example, ...args];
  const done = spawnSync(command, rest, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (done.status !== 0) throw new Error(`${args.join(" ")}: ended with ${done.status ?? done.signal}`);
  process.stderr.write(done.stdout);
  return done.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function succeed(command, args) {
  const done = spawnSync(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  if (done.status !== 0) throw new Error(`${command} ${args.join(" ")}: ended with ${done.status}`);
}
