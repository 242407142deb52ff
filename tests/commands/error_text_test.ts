// Tests of how errors are printed: one line or folded ones, short, without secrets and controls.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { debugText, errorText } from "../../commands/error_text.ts";

const SECRET = "s3cr3tS3cr3t0123456789";

Deno.test("errorText() is one line where nobody watches, with one full stop", () => {
  assertEquals(errorText(new Error("Cannot a:\n  found b"), "", undefined), "Cannot a: found b.");
  assertEquals(errorText(new Error("Cannot a."), " See: x", undefined), "Cannot a. See: x");
  assertEquals(errorText(new Error('A "b"?'), "", undefined), 'A "b"?');
  assertEquals(errorText(new RangeError(""), "", undefined), "RangeError.");
  assertEquals(errorText("x\x1b[2J\u202e", "", undefined), "x\\u001b[2J\\u202e.");
  for (const command of ["deno task train --out C:\\a", "npx -y deno@2 run -A x.ts 'a; b'"]) {
    const text = errorText(
      new Error(`Cannot a; go on with: ${command.split(";")[0]}`),
      "",
      undefined,
    );
    assert(!text.endsWith("."), text);
  }
});

Deno.test("errorText() folds at a terminal's width, and leaves a command whole", () => {
  const words = Array.from({ length: 40 }, (_, i) => `word${i}`).join(" ");
  const command = `npx -y deno@2 task push --checkpoint ${"a/".repeat(40)} --to me/model`;
  const lines = errorText(new Error(`Cannot ${words}; push with: ${command}`), "", 60).split("\n");
  assertEquals(lines.at(-1), `  ${command}`);
  assert(lines.slice(0, -1).every((line) => line.length <= 60), lines.join("\n"));
  assertEquals(
    lines.slice(0, -1).map((line) => line.trim()).join(" "),
    `Cannot ${words}; push with:`,
  );
});

Deno.test("errorText() cuts the middle of a message without end, in little time", () => {
  const start = performance.now();
  for (const filler of ["x", "a.", "a-", "x ", "https://", '"', "hf_", "eyJ-", "\n"]) {
    const message = `Cannot a: found ${filler.repeat(48e6 / filler.length)}. Do this`;
    const text = errorText(new Error(message), "", 80);
    assert(text.length < 2500, `${text.length}`);
    assert(text.startsWith("Cannot a: found") && text.endsWith("Do this."), text);
  }
  assert(performance.now() - start < 5000);
});

Deno.test("no secret and no control gets through errors, causes and stacks", () => {
  const cause = new TypeError(
    `error sending request for https://cdn.example/a?X-Amz-Signature=${SECRET}`,
  );
  Object.assign(cause, { headers: { authorization: `Bearer ${SECRET}` }, token: `hf_${SECRET}` });
  const error = new Error(`Cannot read: ${cause.message}\x1b[2J`, { cause });
  for (const text of [errorText(error, "", 80), debugText(error)]) {
    assert(!text.includes(SECRET) && !text.includes("\x1b"), text);
    assertStringIncludes(text, "https://cdn.example/a");
  }
  assertStringIncludes(debugText(error), "error_text_test.ts");
});
