/** Tests of the multiple-choice check against nanoVLM v0.1's Python. */
import { assertEquals, assertThrows } from "@std/assert";
import { matchesMultipleChoice } from "../../data/multiple_choice.ts";
import { GOLDEN } from "./helpers.ts";

interface Case {
  model_output: string;
  correct_answer: string;
  match: boolean;
}
const cases: Case[] = JSON.parse(
  Deno.readTextFileSync(new URL("multiple_choice_v01.json", GOLDEN)),
);

Deno.test("matchesMultipleChoice() decides as Python on all 74 golden strings", () => {
  assertEquals(cases.length, 74);
  for (const { model_output, correct_answer, match } of cases) {
    const found = matchesMultipleChoice(model_output, correct_answer);
    assertEquals(found, match, `${JSON.stringify(model_output)} for ${correct_answer}`);
  }
});

Deno.test("matchesMultipleChoice() refuses an answer that is no regular expression", () => {
  assertThrows(() => matchesMultipleChoice("A", "("), SyntaxError);
});
