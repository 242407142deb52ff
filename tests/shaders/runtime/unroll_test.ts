// Loops that are written out: nesting, constants and what cannot be unrolled.
import { assertEquals, assertThrows } from "@std/assert";
import { unroll } from "../../../shaders/runtime/unroll.ts";

const squeeze = (text: string) => text.replaceAll(/\s+/g, " ").trim();

Deno.test("unroll() writes out nested loops with literals and constants", () => {
  const code = `/* unroll */ for (var r = 0u; r < ROWS; r++) {
    /* unroll */ for (var c = 0u; c < 2u; c++) { y[r][c] = other; } // r stays in comments
  }
  for (var i = 0u; i < 3u; i++) { x(i); }`;
  assertEquals(
    squeeze(unroll(code, { ROWS: 2 })),
    "{ { y[0u][0u] = other; } { y[0u][1u] = other; } } { { y[1u][0u] = other; } { y[1u][1u] = other; } } " +
      "for (var i = 0u; i < 3u; i++) { x(i); }",
  );
});

Deno.test("unroll() names a bound that it does not know", () => {
  const code = "/* unroll */ for (var r = 0u; r < ROWS; r++) { y[r] = 0; }";
  assertThrows(() => unroll(code, {}), SyntaxError, "ROWS is no number");
});

Deno.test("unroll() names a loop without an end", () => {
  const code = "/* unroll */ for (var r = 0u; r < 2u; r++) { y[r] = 0;";
  assertThrows(() => unroll(code, {}), SyntaxError, "brace is missing");
});
