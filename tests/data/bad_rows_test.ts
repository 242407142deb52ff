// Tests of data/bad_rows.ts: what is said of rows that cannot be read.
import { assertEquals, assertThrows } from "@std/assert";
import { percentToAllow, reasonAt, requireFewBad } from "../../data/bad_rows.ts";

Deno.test("reasonAt() leaves out what the place says already", () => {
  const place = 'a/b (c), row 8 (line 9 of "a/b (c)/d.csv")';
  for (
    const [message, expected] of [
      [
        'Cannot read line 9 of "a/b (c)/d.csv": found 5 values, expected 3',
        "found 5 values, expected 3",
      ],
      ['Cannot decode image "a/b (c), row 8": found a text file', "found a text file"],
      [
        'Cannot decode image "a/b (c), row 8, e.png": found a text file',
        'Cannot decode image "e.png": found a text file',
      ],
      [
        'Cannot read picture "e.png": found no such file',
        'Cannot read picture "e.png": found no such file',
      ],
      ['Cannot read line 7 of "f": found x', 'Cannot read line 7 of "f": found x'],
      ["odd", "odd"],
    ] as const
  ) {
    assertEquals(reasonAt(place, new Error(message)), expected);
    assertEquals(reasonAt(place, expected), expected, "once is enough");
  }
});

Deno.test("what an error says to allow is more than the share so far", () => {
  const skipped = Array.from({ length: 4 }, (_, row) => ({ row, imageName: "a", reason: "b" }));
  assertThrows(() => requireFewBad(skipped, 25, { rows: 60 }), RangeError, "--allow-bad-rows 32%.");
  const more = [...skipped, ...skipped.slice(2), ...skipped]; // 10 of 60
  requireFewBad(more, 60, { allowed: 0.32 });
  assertEquals([[10, 60], [1, 1000], [3, 4]].map(([bad = 0, of = 0]) => percentToAllow(bad, of)), [
    34,
    1,
    100,
  ]);
});
