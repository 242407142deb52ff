// Tests of what reaches a terminal: foreign controls are shown, lines fold, commands are called as the program was.
import { assertEquals } from "@std/assert";
import { denoCommand, folded, printable, printableLines } from "../../data/terminal.ts";

Deno.test("printable() shows what would steer a terminal or the reading direction", () => {
  const cases = [
    ["a\x1b[2Jb", "a\\u001b[2Jb"],
    ["two\nlines\r\n\ttab", "two\\nlines\\r\\n\\ttab"],
    ["\x00\x07\x08\x7f\x9b31m", "\\u0000\\u0007\\u0008\\u007f\\u009b31m"],
    ["abc\u202etxt.exe\u2066\u2069", "abc\\u202etxt.exe\\u2066\\u2069"],
    ["\u2028\u2029\ufeff", "\\u2028\\u2029\\ufeff"],
    ["né 日本 👩‍👩‍👧 عربي C:\\n", "né 日本 👩‍👩‍👧 عربي C:\\n"],
  ] as const;
  for (const [text, shown] of cases) assertEquals(printable(text), shown);
  assertEquals(printable("abcdef", 4), "abc…");
  assertEquals(printable("abcd", 4), "abcd");
});

Deno.test("printableLines() keeps lines, tabs, and what a JSON document says", () => {
  assertEquals(printableLines("a\n\tb\x1b[1m\r"), "a\n\tb\\u001b[1m\\u000d");
  const value = { answer: "\x9b2J\u202e\x7f\n", n: 1 };
  assertEquals(JSON.parse(printableLines(JSON.stringify(value, null, 2))), value);
});

Deno.test("folded() breaks facts that are too long at spaces, below where they began", () => {
  const text = "Device      llvmpipe\nGPU memory  20.7 MB: parameters 1.0 MB, gradients 1.0 MB";
  assertEquals(
    folded(text, 40, 12),
    "Device      llvmpipe\nGPU memory  20.7 MB: parameters 1.0 MB,\n            gradients 1.0 MB",
  );
  assertEquals(folded(text, Infinity, 12), text);
  const word = `Device      ${"x".repeat(90)}`;
  assertEquals(folded(word, 40, 12), word);
});

Deno.test("denoCommand() calls Deno as this program was", () => {
  assertEquals(denoCommand("task train", "/usr/bin/deno"), "deno task train");
  for (
    const cache of ["/home/me/.npm/_npx/ffb2/node_modules/deno/deno", "C:\\npm\\_npx\\f\\x.exe"]
  ) {
    assertEquals(denoCommand("task train", cache), "npx -y deno@2 task train");
  }
});
