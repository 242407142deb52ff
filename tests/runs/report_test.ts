// Tests of runs/report.ts: numbers and tables as people read them.
import { assertEquals } from "@std/assert";
import { generateCommand } from "../../runs/examples.ts";
import { clock, percent, scoreTable, shellWord, short } from "../../runs/report.ts";

Deno.test("percent(), short() and clock() keep few digits", () => {
  assertEquals([0, 0.6254, 1].map(percent), ["0.0 %", "62.5 %", "100.0 %"]);
  assertEquals(
    [0.25, 8.53, 412.4, 5216, 33_100, 2_500_000].map(short),
    ["0.25", "8.5", "412", "5216", "33.1k", "2.5M"],
  );
  assertEquals([0, 65, 7389, -1].map(clock), ["0:00", "1:05", "2:03:09", "0:00"]);
});

Deno.test("scoreTable() lists categories by name and all in the end, in columns", () => {
  const half = { accuracy: 0.5, correct: 1, total: 2, baseline_accuracy: 0.25 };
  const none = { accuracy: 0, correct: 0, total: 10 };
  const all = { accuracy: 1 / 12, correct: 1, total: 12 };
  assertEquals(scoreTable(all, { shape: none, color: half }).split("\n"), [
    "       accuracy  95 % interval  baseline  correct  of",
    "color    50.0 %     9.5–90.5 %    25.0 %        1   2",
    "shape     0.0 %     0.0–27.8 %         –        0  10",
    "all       8.3 %     1.5–35.4 %         –        1  12",
  ]);
});

Deno.test("shellWord() makes text that a shell reads back unchanged", async () => {
  const texts = ["plain/path.png", "What color?", "it's", '"$HOME" `x` \\', "two\nlines", "*", ""];
  const script = `for word in ${texts.map(shellWord).join(" ")}; do printf '%s\\0' "$word"; done`;
  const { stdout } = await new Deno.Command("sh", { args: ["-c", script] }).output();
  assertEquals(new TextDecoder().decode(stdout).split("\0").slice(0, -1), texts);
});

Deno.test("scoreTable() shows a kind of question that would steer a terminal or fill the table", () => {
  const score = { accuracy: 0.5, correct: 1, total: 2 };
  const table = scoreTable(score, { "a\x1b[2J\nall  100.0 %": score, ["x".repeat(90)]: score });
  assertEquals(table.split("\n").length, 4);
  assertEquals(Math.max(...table.split("\n").map((line) => line.length)) < 80, true);
  assertEquals(table.includes("\x1b"), false);
});

Deno.test("generateCommand() is one line that steers no terminal, whatever the question is", () => {
  assertEquals(
    generateCommand("a b.png", "What\nis\x1b[2J it?", "out"),
    "deno run -A generate.ts 'a b.png' 'What is\\u001b[2J it?' --checkpoint out",
  );
});
