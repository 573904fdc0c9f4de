/**
 * Chevrotain as the one file that its package also holds. Its usual entry loads some seven hundred modules, most of
 * them lodash's, and a third of a server's start went there. The package does not export that file by name.
 */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

type Chevrotain = typeof import("chevrotain");

const entry = pathToFileURL(createRequire(import.meta.url).resolve("chevrotain"));
const bundle: Chevrotain = (await import(new URL("../chevrotain.mjs", entry).href)) as Chevrotain;

export const createToken: Chevrotain["createToken"] = bundle.createToken;
export const EmbeddedActionsParser: Chevrotain["EmbeddedActionsParser"] = bundle.EmbeddedActionsParser;
export const Lexer: Chevrotain["Lexer"] = bundle.Lexer;
