/** RE2's syntax is what users write; the dialect of the native engine is what comes out. */
import { expect, test } from "vitest";
import { checkRegex } from "./regex-syntax.ts";

test.each([
  ["^a.*z$", "^a.*z$"],
  [String.raw`\d+\s\w`, String.raw`[0-9]+[\t\n\f\r ][0-9A-Za-z_]`],
  [String.raw`\bword\b`, String.raw`(?-u:\b)word(?-u:\b)`],
  [String.raw`[\d-]`, String.raw`[[0-9]\-]`],
  ["[a-z&&b]", String.raw`[a-z\&\&b]`],
  ["[]a]", String.raw`[\]a]`],
  ["[^[:alpha:]_]", "[^[:alpha:]_]"],
  ["(?i)abc", "(?i)abc"],
  ["(?i:a|b)c", "(?i:a|b)c"],
  ["(?P<name>x)", "(x)"],
  ["a{2,3}?", "a{2,3}?"],
  ["a{,3}", String.raw`a\{,3\}`],
  [String.raw`\Qa.b\E+`, String.raw`a\.b+`],
  [String.raw`\x41\x{1F600}\101`, String.raw`\x{41}\x{1f600}\x{41}`],
  [String.raw`\pL\p{Greek}`, String.raw`\pL\p{Greek}`],
  [String.raw`\p{^Greek}\P{^Lu}`, String.raw`\P{Greek}\p{Lu}`],
  ["中+", "中+"],
])("%s becomes %s", (pattern, expected) => {
  expect(checkRegex(pattern)).toBe(expected);
});

test.each([
  ["(", "missing closing )"],
  ["a)", "unexpected )"],
  ["[a", "missing closing ]"],
  ["[b-a]", "invalid character class range"],
  ["*a", "missing argument to repetition operator"],
  ["a**", "invalid nested repetition operator"],
  ["a{3,2}", "invalid repeat count"],
  ["a{1001}", "invalid repeat count"],
  ["(?=a)", "invalid or unsupported Perl syntax"],
  ["(?<!a)", "invalid or unsupported Perl syntax"],
  [String.raw`(a)\1`, "invalid escape sequence"],
  [String.raw`\y`, "invalid escape sequence"],
  ["a\\", "trailing backslash"],
  ["(?P<n>a)(?P<n>b)", "duplicate capture group name"],
])("%s is refused", (pattern, what) => {
  expect(() => checkRegex(pattern)).toThrow(what);
});
