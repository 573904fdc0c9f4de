/** The servers of Milvus's protocol that benchmarks compare: `{ address, pid, stop }` over a folder of their own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { startServer } from "../conformance/node/server.mjs";
import { environment } from "./environment.mjs";

export async function startElanus(folder) {
  const { address, child, stop } = await startServer(join(folder, "data"));
  return { address, pid: child.pid, stop };
}

/** The standalone server of the PyPI package `milvus`. */
export async function startMilvus(folder) {
  const python = environment("milvus", "bench/milvus-requirements.txt");
  const port = 20_000 + (process.pid % 10_000);
  const script = join(import.meta.dirname, "milvus_server.py");
  const child = spawn(python, [script, folder, String(port)], { stdio: ["pipe", "pipe", "inherit"] });
  const gone = once(child, "exit");
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    gone.then(([code]) => reject(new Error(`Milvus did not start (${code})`)));
  });
  const [, bound, pid] = line.split(" ");
  const stop = () => {
    child.stdin.end();
    return gone;
  };
  return { address: `127.0.0.1:${bound}`, pid: Number(pid), stop };
}
