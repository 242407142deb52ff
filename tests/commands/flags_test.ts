// Tests of commands/flags.ts: what parseFlags() takes and refuses, and the help text.
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describeFlags, parseFlags, UsageError, wholeNumber } from "../../commands/flags.ts";

const FLAGS = {
  name: { value: "NAME", help: "a text" },
  steps: { value: "N", number: wholeNumber(1), help: "a whole number" },
  rate: { value: "X", number: { whole: false, least: 0, above: true, most: 1 }, help: "a number" },
  task: { value: "T", choices: ["a", "b"], help: "a word" },
  set: { value: "key=value", many: true, help: "many" },
  json: { help: "no value" },
} as const;

Deno.test("parseFlags() gives texts, numbers, lists, switches and other arguments", () => {
  const line =
    "picture.png --name x --steps 12 --rate=0.5 --task b --set k=1 --set l=2 --json what?";
  const args = parseFlags(line.split(" "), FLAGS, ["image", "question"]);
  assertEquals(args.positionals, ["picture.png", "what?"]);
  assertEquals(args.text("name"), "x");
  assertEquals([args.number("steps"), args.number("rate")], [12, 0.5]);
  assertEquals(args.text("task"), "b");
  assertEquals(args.texts("set"), ["k=1", "l=2"]);
  assertEquals(args.has("json"), true);
});

Deno.test("parseFlags() knows what was not given, and keeps arguments that look like numbers as texts", () => {
  const args = parseFlags(["1.50", "7"], FLAGS, ["image", "question"]);
  assertEquals(args.positionals, ["1.50", "7"]);
  assertEquals([args.text("name"), args.number("steps")], [undefined, undefined]);
  assertEquals([args.has("name"), args.has("json")], [false, false]);
  assertEquals(args.texts("set"), []);
});

for (
  const [why, line, message] of [
    ["an unknown flag", "--bogus 3", '"--bogus": there is no such flag'],
    ["an unknown short flag", "-x", '"-x": there is no such flag'],
    ["a flag given twice", "--steps 1 --steps 2", "--steps: it is given twice"],
    ["a switch given twice", "--json --json", "--json: it is given twice"],
    ["a missing value", "--name", "--name: found no value, expected NAME"],
    [
      "a missing value behind an equals sign",
      "--steps=",
      "--steps: found no value, expected a whole",
    ],
    ["a missing text behind an equals sign", "--name=", "--name: found no value, expected NAME"],
    ["an equals sign behind a switch", "--json=", '"--json=": expected --json'],
    ["a missing value before a flag", "--steps --json", "--steps: found no value"],
    ["a negative number", "--steps -5", "--steps: found no value"],
    ["a negative number after an equals sign", "--steps=-5", 'found "-5"'],
    ["a fraction", "--steps 1.5", 'found "1.5", expected a whole number of at least 1'],
    ["a number too small", "--steps 0", 'found "0"'],
    ["a bound that is excluded", "--rate 0", 'found "0", expected a number above 0 and at most 1'],
    ["a number too large", "--rate 1.1", 'found "1.1"'],
    ["NaN", "--rate NaN", 'found "NaN"'],
    ["infinity", "--steps Infinity", 'found "Infinity"'],
    ["a text for a number", "--steps ten", 'found "ten"'],
    ["a word that is none of the choices", "--task c", 'found "c", expected a or b'],
    ["an argument too many", "x", 'argument "x": expected flags only'],
  ] as const
) {
  Deno.test(`parseFlags() refuses ${why}`, () => {
    const error = assertThrows(() => parseFlags(line.split(" "), FLAGS, []), UsageError);
    assertStringIncludes(error.message, message);
  });
}

Deno.test("parseFlags() asks whether a flag or a choice was meant that is like what was written", () => {
  const flags = {
    "eval-every": { value: "N", help: "" },
    "eval-limit": { value: "N", help: "" },
    "max-steps": { value: "N", help: "" },
    "lr": { value: "X", help: "" },
    "out": { value: "DIR", help: "" },
    "set": { value: "key=value", help: "" },
    "preset": { value: "NAME", choices: ["quickstart", "tiny"], help: "" },
  };
  for (
    const [line, hint] of [
      ["--evl-evrey 3", " (did you mean --eval-every?)"],
      ["--Eval_Every=3", " (did you mean --eval-every?)"],
      ["--steps 3", " (did you mean --max-steps?)"],
      ["--eval 3", " (did you mean --eval-every or --eval-limit?)"],
      ["--output x", " (did you mean --out?)"],
      ["-lr 3", " (did you mean --lr?)"],
      ["--frobnicate", "there is no such flag"],
      ["--preset tinny", 'expected quickstart or tiny (did you mean "tiny"?)'],
      ["--preset large", "expected quickstart or tiny"],
    ] as const
  ) {
    const error = assertThrows(() => parseFlags(line.split(" "), flags, []), UsageError);
    assertEquals(error.message.slice(-hint.length), hint);
  }
});

Deno.test("parseFlags() refuses too few arguments, naming the first that is missing", () => {
  const parse = () => parseFlags(["x.png"], FLAGS, ["image", "question"]);
  assertThrows(parse, UsageError, "found no question, expected <image> <question>");
});

Deno.test("describeFlags() has a line a flag and wraps at 80 columns", () => {
  const text = describeFlags({ ...FLAGS, long: { help: "word ".repeat(40).trim() } });
  for (const name of Object.keys(FLAGS)) assertStringIncludes(text, `  --${name}`);
  const lines = text.split("\n");
  assertEquals(lines.filter((line) => line.length > 80), []);
  assertEquals(lines.length > Object.keys(FLAGS).length + 1, true);
});
