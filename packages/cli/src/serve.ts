/** `elanus serve`: one standalone server until SIGTERM or SIGINT. */
import { type ConfigInput, readConfig } from "elanus/config";
import { explain } from "elanus/standalone";
import { startServer } from "elanus/serve";

/** Exit code: 0 after a clean stop, 1 when it could not start. */
export async function serve(options: Readonly<Record<string, string | boolean | undefined>>): Promise<number> {
  const input: ConfigInput = Object.fromEntries(
    Object.entries(options).map(([key, value]) => [key, value === undefined ? undefined : String(value)]),
  );
  const config = readConfig(input, process.env);
  if (!config.ok) return refuse(explain(config.error));
  const started = await startServer(config.value);
  if (!started.ok) return refuse(explain(started.error));
  const server = started.value;
  // Before the ready line: whoever reads it may stop the server at once.
  const asked = new Promise<void>((done) => {
    process.once("SIGTERM", () => done());
    process.once("SIGINT", () => done());
  });
  const { host, data } = config.value;
  process.stdout.write(
    `Elanus is ready: grpc=http://${host}:${server.port} metrics=http://${host}:${server.metricsPort} data=${data}\n`,
  );
  await asked;
  await server.stop();
  return 0;
}

function refuse(reason: string): number {
  process.stderr.write(`elanus: ${reason}\n`);
  return 1;
}
