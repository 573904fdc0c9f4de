/** One `elanus serve` process of a test's own, on free loopback ports. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const main = join(dirname(fileURLToPath(import.meta.url)), "../../packages/cli/dist/main.js");

/** Waits until it serves; `address` is `host:port`, `stop` gives the exit code. */
export async function startServer(data, { options = [], env = {} } = {}) {
  const args = [main, "serve", "--data", data, "--port", "0", "--metrics-port", "0", "--log-level", "warn", ...options];
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  const exited = once(child, "exit");
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    child.once("exit", (code, signal) =>
      reject(new Error(`the server stopped before it was ready (${signal ?? code})`)),
    );
  });
  const value = (key) => new RegExp(`${key}=(\\S+)`).exec(line)?.[1] ?? "";
  return {
    address: value("grpc").replace("http://", ""),
    metrics: value("metrics"),
    child,
    kill: async () => {
      child.kill("SIGKILL");
      await exited;
    },
    stop: async () => {
      child.kill("SIGTERM");
      const [code] = await exited;
      return code;
    },
  };
}
