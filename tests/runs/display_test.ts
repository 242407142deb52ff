// Tests of runs/display.ts: what is written to a terminal, and to anything else.
import { assertEquals } from "@std/assert";
import { Display, showAsked } from "../../runs/display.ts";

/** What a display writes, and in how many pieces, while a clock of the test's own runs. */
function written(isTerminal: boolean, use: (display: Display, wait: (ms: number) => void) => void) {
  let text = "";
  let milliseconds = 0;
  const writeSync = (bytes: Uint8Array) => {
    const part = bytes.subarray(0, 7); // fewer than given, as a pipe may do
    text += new TextDecoder().decode(part);
    return part.length;
  };
  const display = new Display({ isTerminal: () => isTerminal, writeSync }, () => milliseconds);
  use(display, (passed) => milliseconds += passed);
  return text;
}

Deno.test("a Display that is no terminal gets plain lines, one now and then", () => {
  const text = written(false, (display, wait) => {
    for (let step = 1; step <= 25; step++, wait(1000)) display.update(`step ${step}`);
  });
  assertEquals(text, "step 1\nstep 11\nstep 21\n");
});

Deno.test("a Display that is no terminal gets the last state before other lines and in the end", () => {
  const text = written(false, (display) => {
    for (const step of [1, 2, 3]) display.update(`step ${step}`);
    display.print("evaluated");
    display.print("saved");
    for (const step of [4, 5]) display.update(`step ${step}`);
    display.clear();
    display.clear();
  });
  assertEquals(text, "step 1\nstep 3\nevaluated\nsaved\nstep 5\n");
});

Deno.test("a Display that is no terminal gets a glimpse only of what lasts", () => {
  const text = written(false, (display, wait) => {
    for (const step of [1, 2]) display.update(`step ${step}`);
    for (let asked = 1; asked <= 3; asked++, wait(1000)) display.glimpse(`asked ${asked}`);
    display.print("evaluated");
    for (let asked = 1; asked <= 15; asked++, wait(1000)) display.glimpse(`asked ${asked}`);
    display.clear();
  });
  assertEquals(text, "step 1\nstep 2\nevaluated\nasked 11\n");
});

Deno.test("showAsked() tells the speed and the time left, but for the first questions, which compile shaders", () => {
  const lines: string[] = [];
  let milliseconds = 500;
  const told = showAsked({ glimpse: (line) => lines.push(line) }, () => milliseconds);
  milliseconds += 120_000;
  told(32, 4847);
  milliseconds += 2000;
  told(64, 4847);
  assertEquals(lines, [
    "Evaluating: 32 of 4,847 questions",
    "Evaluating: 64 of 4,847 questions, 16/s, 4:59 left",
  ]);
});

Deno.test("a Display at a terminal writes one line over, and takes it away", () => {
  const text = written(true, (display, wait) => {
    display.update("step 1");
    wait(100);
    display.update("step 2");
    display.print("evaluated");
    wait(100);
    display.update("step 3");
    display.clear();
    display.clear();
  });
  assertEquals(
    text,
    "\rstep 1\x1b[K\rstep 2\x1b[K\r\x1b[Kevaluated\n\rstep 3\x1b[K\r\x1b[K",
  );
});

Deno.test("a Display at a terminal changes ten times a second at most", () => {
  const text = written(true, (display, wait) => {
    for (let step = 1; step <= 1000; step++, wait(1)) display.update(String(step));
  });
  assertEquals(text.split("\r").length - 1, 10);
});

Deno.test("a Display writes each state at once, so that it does not flicker", () => {
  const writes: number[] = [];
  const output = {
    isTerminal: () => true,
    writeSync: (bytes: Uint8Array) => writes.push(bytes.length) && bytes.length,
  };
  const display = new Display(output);
  display.update("step 1");
  display.print("evaluated");
  assertEquals(writes.length, 2);
});

Deno.test("a Display at a terminal never lets a line wrap", () => {
  const text = written(true, (display) => {
    assertEquals(display.columns > 0 && display.columns < 1000, true);
    display.update("x".repeat(1000));
  });
  assertEquals(text.replaceAll("x", "").length, "\r\x1b[K".length);
  assertEquals(text.length < 1000, true);
});

Deno.test("a Display shows what in foreign texts would steer a terminal", () => {
  const foreign = "blue\x1b]0;title\x07\r\u202e";
  const shown = "blue\\u001b]0;title\\u0007\\u000d\\u202e";
  assertEquals(written(true, (display) => display.print(`a\n${foreign}`)), `a\n${shown}\n`);
  const state = written(true, (display) => display.update(`a\n${foreign}`));
  assertEquals(state, `\ra\\n${shown.replace("\\u000d", "\\r")}\x1b[K`);
});
