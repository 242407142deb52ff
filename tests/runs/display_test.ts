// Tests of runs/display.ts: what is written to a terminal, and to anything else.
import { assertEquals } from "@std/assert";
import { Display } from "../../runs/display.ts";

function written(isTerminal: boolean, use: (display: Display) => void): string {
  let text = "";
  const writeSync = (bytes: Uint8Array) => {
    const part = bytes.subarray(0, 7); // fewer than given, as a pipe may do
    text += new TextDecoder().decode(part);
    return part.length;
  };
  use(new Display({ isTerminal: () => isTerminal, writeSync }));
  return text;
}

function twoStates(display: Display): void {
  display.update("step 1");
  display.update("step 2");
  display.print("evaluated");
  display.update("step 3");
  display.clear();
  display.clear();
}

Deno.test("a Display that is no terminal gets plain lines", () => {
  assertEquals(written(false, twoStates), "step 1\nstep 2\nevaluated\nstep 3\n");
});

Deno.test("a Display at a terminal writes one line over, and takes it away", () => {
  assertEquals(
    written(true, twoStates),
    "\rstep 1\x1b[K\rstep 2\x1b[K\r\x1b[Kevaluated\n\rstep 3\x1b[K\r\x1b[K",
  );
});

Deno.test("a Display at a terminal never lets a line wrap", () => {
  const text = written(true, (display) => display.update("x".repeat(1000)));
  assertEquals(text.replaceAll("x", "").length, "\r\x1b[K".length);
  assertEquals(text.length < 1000, true);
});
