/** `node packages/sim/dist/main.js --seeds N --from S [--composition standalone|three] [--replay] [--verbose]` */
import { loadAddon } from "@elanus/engine/load";
import type { Composition } from "./composition.ts";
import { type SeedResult, runSeed } from "./run-seed.ts";

interface Options {
  readonly seeds: number;
  readonly from: number;
  readonly compositions: readonly Composition[];
  /** Runs every seed twice and compares the trace hashes. */
  readonly replay: boolean;
  readonly verbose: boolean;
  /** Goes on after a failure. */
  readonly keepGoing: boolean;
}

const options = readOptions(process.argv.slice(2));
const met = new Map<string, number>();
const answers = new Map<string, number>();
let simulatedMs = 0;
let failures = 0;

for (let seed = options.from; seed < options.from + options.seeds; seed += 1) {
  for (const composition of options.compositions) {
    const result = await run(seed, composition);
    if (result.violations.length > 0) failures += 1;
    if (failures > 0 && !options.keepGoing) break;
  }
  if (failures > 0 && !options.keepGoing) break;
  if ((seed - options.from) % 100 === 99) print(`${seed - options.from + 1} seeds, ${hours()} simulated hours`);
}
print(`faults met: ${listed(met)}`);
print(`answers: ${listed(answers)}`);
print(`${failures} failing, ${hours()} simulated hours`);
process.exitCode = failures === 0 ? 0 : 1;

async function run(seed: number, composition: Composition): Promise<SeedResult> {
  const config = { seed, composition, addon: loadAddon(), ...(options.verbose ? { onLine: print } : {}) };
  const result = await runSeed(config);
  simulatedMs += result.simulatedMs;
  for (const [kind, count] of result.faults) met.set(kind, (met.get(kind) ?? 0) + count);
  for (const [kind, count] of result.answers) answers.set(kind, (answers.get(kind) ?? 0) + count);
  if (options.replay) {
    const again = await runSeed({ seed, composition, addon: loadAddon() });
    if (again.traceHash !== result.traceHash) {
      print(`seed ${seed} ${composition}: trace ${result.traceHash} replayed as ${again.traceHash}`);
      failures += 1;
    }
  }
  if (result.violations.length === 0) return result;
  print(`seed ${seed} ${composition} fails (${[...result.faults.keys()].join(", ")}):`);
  for (const { invariant, message } of result.violations.slice(0, 8)) print(`  ${invariant}: ${message}`);
  print(`  replay: node packages/sim/dist/main.js --seeds 1 --from ${seed} --composition ${composition} --verbose`);
  return result;
}

function readOptions(words: readonly string[]): Options {
  const valueOf = (name: string): string | undefined => {
    const at = words.indexOf(name);
    return at < 0 ? undefined : words[at + 1];
  };
  const composition = valueOf("--composition");
  const isKnown = composition === "standalone" || composition === "three";
  return {
    seeds: Number(valueOf("--seeds") ?? 100),
    from: Number(valueOf("--from") ?? 1),
    compositions: isKnown ? [composition] : ["standalone", "three"],
    replay: words.includes("--replay"),
    verbose: words.includes("--verbose"),
    keepGoing: words.includes("--keep-going"),
  };
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort()
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}

function hours(): string {
  return (simulatedMs / 3_600_000).toFixed(2);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
