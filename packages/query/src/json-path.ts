/** The path that a JSON index is built on, as clients write it: `j["a"]["b"][0]`, or the bare name of a dynamic key. */

export type JsonStep = string | number;

const STEP = /\[\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\d+))\s*\]/y;
const NAME = /^[A-Za-z_$][A-Za-z0-9_$]*/;

/** The name that the path begins with, and the steps behind it; undefined when it is no path. */
export function parseJsonPath(
  text: string,
): { readonly name: string; readonly steps: readonly JsonStep[] } | undefined {
  const name = NAME.exec(text)?.[0];
  if (name === undefined) return undefined;
  const steps: JsonStep[] = [];
  STEP.lastIndex = name.length;
  while (STEP.lastIndex < text.length) {
    const match = STEP.exec(text);
    if (match === null) return undefined;
    const [, double, single, digits] = match;
    const quoted = double ?? single;
    steps.push(quoted === undefined ? Number(digits) : quoted.replaceAll(/\\(.)/gs, "$1"));
  }
  return { name, steps };
}
