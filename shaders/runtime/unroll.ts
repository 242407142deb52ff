/**
 * Unrolling: WGSL has no hint for it, and not every driver does it, yet an array that is indexed by a loop's variable then
 * lives in memory instead of registers (on lavapipe attention took three times as long).
 *
 * `compile()` (kernel.ts) writes out every loop marked like this, with the variable as a literal, so it may also stand where
 * WGSL wants a constant (subgroupBroadcast's lane); LENGTH is a number or one of the kernel's constants:
 *
 *     /* unroll *\/ for (var i = 0u; i < LENGTH; i++) { … }
 */

const LOOP = /\/\* unroll \*\/ for \(var (\w+) = 0u; \1 < (\w+); \1\+\+\) \{/g;

/**
 * Writes out the marked loops of `code`, inner ones included; comments are dropped.
 *
 * @throws {SyntaxError} where a loop's bound is neither a number nor in `constants`, or a brace is missing.
 */
export function unroll(
  code: string,
  constants: Readonly<Record<string, number | boolean>>,
): string {
  let text = code.replaceAll(/\/\/.*$/gm, "");
  while (true) {
    const loop = [...text.matchAll(LOOP)].at(-1); // the last one holds no other
    if (!loop) return text;
    const [head, variable = "", bound = ""] = loop;
    const count = /^\d+u$/.test(bound) ? Number.parseInt(bound) : constants[bound];
    if (typeof count !== "number") {
      throw new SyntaxError(
        `Cannot unroll "${head}": ${bound} is no number and no constant of the kernel`,
      );
    }
    const start = loop.index + head.length;
    const end = closingBrace(text, start);
    const body = text.slice(start, end);
    const use = new RegExp(`\\b${variable}\\b`, "g");
    const copies = Array.from({ length: count }, (_, i) => `{${body.replace(use, `${i}u`)}}`);
    text = text.slice(0, loop.index) + copies.join("\n") + text.slice(end + 1);
  }
}

/** Where the block that begins before `start` ends. */
function closingBrace(text: string, start: number): number {
  let depth = 1;
  for (let i = start; i < text.length; i++) {
    if (text[i] === "{") depth++;
    if (text[i] === "}" && --depth === 0) return i;
  }
  throw new SyntaxError("Cannot unroll a loop: its closing brace is missing");
}
